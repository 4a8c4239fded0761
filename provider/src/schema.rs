//! JSON Schema to Terraform schema.
//!
//! The specs of `engine-api` describe themselves: doc comments are descriptions, defaults are defaults, and extensions
//! say what JSON Schema cannot. `x-secret` makes an attribute write-only, `x-replace` makes its change replace the
//! resource, `x-set` makes a list a set; the formats `human-duration` and `date-time` are compared by meaning.

use std::{collections::BTreeMap, str::FromStr};

use engine_api::{HumanDuration, HumanInstant, Kind, Spec};
use schemars::JsonSchema;
use serde_json::{Map, Value as Json};
use tfplug::{
    schema::{Attribute, Kind as AttributeKind, Nesting, Schema, matches_rule, one_of},
    value::{Type, Value},
};

use crate::{about, json};

/// The attribute with the id that the engine gives.
pub const ID: &str = "id";
/// The attribute with the id of the engine that has the object.
pub const ENGINE_ID: &str = "engine_id";
/// The attribute that shows whether a stored secret has changed.
pub const FINGERPRINT: &str = "credential_fingerprint";
/// The attribute of a source that shows where somebody consents.
pub const AUTHORIZATION_URL: &str = "authorization_url";

/// Returns the attributes of a spec, those that the engine computes left out.
pub fn spec_attributes<S: JsonSchema>() -> Vec<Attribute> {
    let root = schemars::schema_for!(S).to_value();
    Translation {
        root: &root,
        computed: false,
    }
    .attributes(&root)
}

/// Returns the words of each attribute of a spec, at its top level, that is one of a few.
pub fn choices<S: JsonSchema>() -> BTreeMap<String, Vec<String>> {
    let root = schemars::schema_for!(S).to_value();
    let translation = Translation {
        root: &root,
        computed: false,
    };
    let properties = root.get("properties").and_then(Json::as_object);
    properties
        .into_iter()
        .flatten()
        .filter_map(|(name, property)| Some((name.clone(), words(translation.resolve(property))?)))
        .filter(|(_, words)| !words.is_empty())
        .collect()
}

/// Returns the schema of the resource for a spec.
pub fn resource<S: Spec>() -> Schema {
    let root = schemars::schema_for!(S).to_value();
    let mut attributes = vec![
        Attribute::string(ID)
            .computed()
            .describe(format!("The id that the engine gave the {}.", S::KIND)),
        Attribute::string(ENGINE_ID).computed().describe(format!(
            "The id of the engine that has the {}. Where the provider is pointed at another engine, nothing is planned.",
            S::KIND
        )),
    ];
    attributes.extend(
        Translation {
            root: &root,
            computed: false,
        }
        .attributes(&root),
    );
    let secrets = match S::KIND {
        Kind::Source => "the stored client secret",
        Kind::Destination | Kind::AlarmChannel => "the stored secrets",
    };
    attributes.push(Attribute::string(FINGERPRINT).computed().describe(format!(
        "A fingerprint of {secrets}, made with a key of the engine. It changes whenever a secret changes, also behind \
         Terraform's back, and tells nothing about the secret itself."
    )));
    if S::KIND == Kind::Source {
        attributes.push(Attribute::string(AUTHORIZATION_URL).computed().describe(
            "With `authorization_code`, the page of the engine at which an account admin of Zoom lets the source in, now \
             or again. It needs no token; each plan warns until somebody has consented.",
        ));
    }
    let description = format!("{}\n\n{}", text(&root, "description"), about::resource(S::KIND));
    Schema::new(attributes).describe(description)
}

/// Returns the schema of a data source whose argument is `argument`, if it has one, and whose other attributes are all of
/// `T`.
pub fn data_source<T: JsonSchema>(argument: Option<&str>) -> Schema {
    let root = schemars::schema_for!(T).to_value();
    let attributes = Translation {
        root: &root,
        computed: true,
    }
    .attributes(&root)
    .into_iter()
    .map(|attribute| {
        if argument == Some(attribute.name.as_str()) {
            attribute.required()
        } else {
            attribute
        }
    });
    Schema::new(attributes).describe(text(&root, "description"))
}

struct Translation<'a> {
    root: &'a Json,
    /// Whether the provider sets everything, as in a data source.
    computed: bool,
}

fn text(schema: &Json, key: &str) -> String {
    schema
        .get(key)
        .and_then(Json::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn is_true(schema: &Json, key: &str) -> bool {
    schema.get(key).and_then(Json::as_bool).unwrap_or(false)
}

impl Translation<'_> {
    fn attributes(&self, object: &Json) -> Vec<Attribute> {
        let required: Vec<&str> = object
            .get("required")
            .and_then(Json::as_array)
            .map(|names| names.iter().filter_map(Json::as_str).collect())
            .unwrap_or_default();
        let none = Map::new();
        object
            .get("properties")
            .and_then(Json::as_object)
            .unwrap_or(&none)
            .iter()
            .map(|(name, property)| self.attribute(name, property, required.contains(&name.as_str())))
            .collect()
    }

    fn attribute(&self, name: &str, property: &Json, required: bool) -> Attribute {
        let shape = self.resolve(property);
        let mut attribute = self
            .shaped(name, property, shape)
            .describe(text(property, "description"));
        if self.computed {
            let words = meanings(shape);
            if !words.is_empty() {
                let description = format!("{} One of {words}.", attribute.description);
                attribute = attribute.describe(description);
            }
            return attribute.computed();
        }
        if is_true(property, "x-secret") {
            return attribute.write_only();
        }
        if is_true(property, "x-replace") {
            attribute = attribute.requires_replace();
        }
        match property.get("default") {
            _ if required => attribute.required(),
            Some(default) if !default.is_null() => {
                let default = json::to_value(default, &attribute.ty());
                attribute.default(default)
            }
            _ => attribute,
        }
    }

    fn shaped(&self, name: &str, property: &Json, shape: &Json) -> Attribute {
        match kind(shape) {
            "array" => {
                let items = shape
                    .get("items")
                    .map_or(&Json::Null, |items| self.resolve(items));
                let set = is_true(property, "x-set");
                if is_object(items) {
                    let nesting = if set { Nesting::Set } else { Nesting::List };
                    return Attribute::nested(name, nesting, self.attributes(items));
                }
                let element = self.element(items);
                let ty = if set {
                    Type::set(element)
                } else {
                    Type::list(element)
                };
                let attribute = Attribute::plain(name, ty);
                match words(items) {
                    Some(words) if !self.computed => attribute.validate(each_of(&words)),
                    _ => attribute,
                }
            }
            "object" if is_object(shape) => Attribute::single(name, self.attributes(shape)),
            "object" => {
                let values = shape
                    .get("additionalProperties")
                    .map_or(&Json::Null, |inner| self.resolve(inner));
                Attribute::plain(name, Type::map(self.element(values)))
            }
            "boolean" => Attribute::bool(name),
            "integer" if !self.computed => Attribute::number(name).validate(whole(shape)),
            "integer" | "number" => Attribute::number(name),
            _ => self.text_attribute(name, property, shape),
        }
    }

    fn text_attribute(&self, name: &str, property: &Json, shape: &Json) -> Attribute {
        let attribute = Attribute::string(name);
        if self.computed {
            return attribute;
        }
        let format = property
            .get("format")
            .or_else(|| shape.get("format"))
            .and_then(Json::as_str);
        match (format, words(shape)) {
            (Some("human-duration"), _) => {
                attribute
                    .same_if(means_same::<HumanDuration>)
                    .validate(readable::<HumanDuration>(
                        "must be a duration such as `15m`, `24h`, `1h30m` or `7d`",
                    ))
            }
            (Some("date-time"), _) => attribute.same_if(means_same::<HumanInstant>).validate(readable::<
                HumanInstant,
            >(
                "must be an instant in RFC 3339, such as `2026-01-31T00:00:00Z`",
            )),
            (_, Some(words)) => attribute.validate(one_of(words)),
            _ => attribute,
        }
    }

    fn element(&self, schema: &Json) -> Type {
        match kind(schema) {
            "boolean" => Type::Bool,
            "integer" | "number" => Type::Number,
            "array" => Type::list(
                schema
                    .get("items")
                    .map_or(Type::String, |items| self.element(self.resolve(items))),
            ),
            _ => Type::String,
        }
    }

    /// Follows references, and takes the one of two alternatives that is not null.
    fn resolve<'s>(&'s self, schema: &'s Json) -> &'s Json {
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let pointer = reference.trim_start_matches('#');
            return self
                .root
                .pointer(pointer)
                .map_or(schema, |found| self.resolve(found));
        }
        schema
            .get("anyOf")
            .and_then(Json::as_array)
            .and_then(|alternatives| {
                alternatives
                    .iter()
                    .find(|alternative| kind(alternative) != "null")
            })
            .map_or(schema, |alternative| self.resolve(alternative))
    }
}

/// Returns the type of a schema; of several, the first that is not null.
fn kind(schema: &Json) -> &str {
    match schema.get("type") {
        Some(Json::String(kind)) => kind,
        Some(Json::Array(kinds)) => kinds
            .iter()
            .filter_map(Json::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or_default(),
        _ => "",
    }
}

/// Whether a schema is an object with properties of its own, as opposed to a map.
fn is_object(schema: &Json) -> bool {
    schema.get("properties").is_some()
}

/// Returns the words that a text may be, where they are listed.
fn words(schema: &Json) -> Option<Vec<String>> {
    let listed = |key: &str| schema.get(key).and_then(Json::as_array);
    if let Some(words) = listed("enum") {
        return words
            .iter()
            .map(|word| word.as_str().map(str::to_owned))
            .collect();
    }
    listed("oneOf")?
        .iter()
        .map(|variant| variant.get("const").and_then(Json::as_str).map(str::to_owned))
        .collect()
}

/// Returns the words that a text may be, each with its meaning, as part of a sentence.
fn meanings(schema: &Json) -> String {
    let variants = schema.get("oneOf").and_then(Json::as_array);
    let meanings = variants.into_iter().flatten().filter_map(|variant| {
        let word = variant.get("const").and_then(Json::as_str)?;
        let meaning = text(variant, "description");
        let mut letters = meaning.trim_end_matches('.').chars();
        let first: String = letters.next()?.to_lowercase().collect();
        Some(format!("`{word}` ({first}{})", letters.as_str()))
    });
    meanings.collect::<Vec<_>>().join(", ")
}

fn each_of(words: &[String]) -> impl tfplug::schema::Validator + use<> {
    let listed: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let words = words.to_vec();
    matches_rule(
        format!("must hold nothing but {}", listed.join(", ")),
        move |value| {
            value.elements().is_none_or(|elements| {
                elements.iter().all(|element| {
                    element
                        .as_str()
                        .is_none_or(|text| words.iter().any(|word| word == text))
                })
            })
        },
    )
}

/// The rule for integers: what the type on the other side can hold.
fn whole(schema: &Json) -> impl tfplug::schema::Validator + use<> {
    let small = schema.get("format").and_then(Json::as_str) == Some("uint32");
    let max = if small { u64::from(u32::MAX) } else { u64::MAX };
    matches_rule("must be a whole number, 0 or more", move |value| {
        value
            .as_number()
            .is_none_or(|number| number.as_u64().is_some_and(|number| number <= max))
    })
}

fn readable<T: FromStr>(description: &'static str) -> impl tfplug::schema::Validator + use<T> {
    matches_rule(description, |value| {
        value.as_str().is_none_or(|text| T::from_str(text).is_ok())
    })
}

fn means_same<T: FromStr + PartialEq>(a: &Value, b: &Value) -> bool {
    let parse = |value: &Value| value.as_str().and_then(|text| T::from_str(text).ok());
    parse(a).is_some_and(|a| parse(b) == Some(a))
}

/// Returns whether the attribute is judged against the clock.
pub fn is_instant(attribute: &Attribute) -> bool {
    let early = Value::from("2000-01-01T00:00:00Z");
    let other = Value::from("2000-01-01T01:00:00+01:00");
    matches!(attribute.kind, AttributeKind::Plain(Type::String)) && attribute.means_same(&early, &other)
}
