//! Random schemas, and configurations for them.

use std::collections::BTreeMap;

use proptest::{collection, option, prelude::*, sample::select};

use super::Step;
use crate::{
    schema::{Attribute, Kind, Mode, Nesting, Schema},
    value::{Dynamic, Number, Type, Value},
};

/// Where an attribute stands, which decides what it may be.
#[derive(Clone, Copy)]
struct Place {
    depth: u32,
    in_set: bool,
}

fn any_type(in_set: bool) -> impl Strategy<Value = Type> {
    let mut leaves = vec![Type::String, Type::Number, Type::Bool];
    if !in_set {
        leaves.push(Type::Dynamic);
    }
    let leaf = select(leaves).boxed();
    let simple = select(vec![Type::String, Type::Number, Type::Bool]);
    prop_oneof![
        4 => leaf,
        1 => simple.clone().prop_map(Type::list),
        1 => simple.clone().prop_map(Type::set),
        1 => simple.prop_map(Type::map),
    ]
}

fn plain(place: Place) -> impl Strategy<Value = Attribute> {
    (any_type(place.in_set), 0..9_u8, any::<bool>()).prop_map(move |(ty, sort, replaces)| {
        let is_text = ty == Type::String;
        let attribute = Attribute::plain("", ty);
        let attribute = match sort {
            0 | 1 => attribute.required(),
            2 => attribute.computed(),
            3 => attribute.computed().changes_on_update(),
            4 if !place.in_set => attribute.optional_computed(),
            5 if !place.in_set => attribute.optional_computed().keep_prior_non_null(),
            6 if is_text && !place.in_set => attribute.default("DEFAULT"),
            7 if is_text && !place.in_set => attribute.write_only(),
            8 if is_text && !place.in_set => attribute.same_if(|a, b| {
                let small = |value: &Value| value.as_str().map(str::to_lowercase);
                small(a) == small(b)
            }),
            _ => attribute,
        };
        if replaces && sort == 1 {
            attribute.requires_replace()
        } else {
            attribute
        }
    })
}

fn any_attribute(place: Place) -> BoxedStrategy<Attribute> {
    if place.depth == 0 {
        return plain(place).boxed();
    }
    let nesting = select(vec![Nesting::Single, Nesting::List, Nesting::Set, Nesting::Map]);
    let nested = nesting.prop_flat_map(move |nesting| {
        let inside = Place {
            depth: place.depth - 1,
            in_set: place.in_set || nesting == Nesting::Set,
        };
        (attributes(inside), any::<bool>()).prop_map(move |(inner, required)| {
            let attribute = Attribute::nested("", nesting, inner);
            if required { attribute.required() } else { attribute }
        })
    });
    prop_oneof![3 => plain(place), 1 => nested].boxed()
}

fn attributes(place: Place) -> BoxedStrategy<Vec<Attribute>> {
    collection::vec(any_attribute(place), 1..4)
        .prop_map(|mut attributes| {
            for (attribute, name) in attributes.iter_mut().zip(["a", "b", "c", "d"]) {
                name.clone_into(&mut attribute.name);
            }
            attributes
        })
        .boxed()
}

fn any_value(ty: &Type) -> BoxedStrategy<Value> {
    let leaf = |ty: &Type| -> BoxedStrategy<Value> {
        match ty {
            Type::Bool => any::<bool>().prop_map(Value::from).boxed(),
            Type::Number => prop_oneof![
                any::<i64>().prop_map(Value::from),
                "-?[0-9]{1,30}\\.[0-9]{1,20}".prop_filter_map("a number", |text| {
                    text.parse::<Number>().ok().map(Value::from)
                }),
            ]
            .boxed(),
            _ => "[a-cA-C]{1,3}".prop_map(Value::from).boxed(),
        }
    };
    let element = |ty: &Type| prop_oneof![5 => leaf(ty), 1 => Just(Value::Unknown)];
    match ty {
        Type::List(inner) => collection::vec(element(inner), 0..3)
            .prop_map(Value::List)
            .boxed(),
        Type::Set(inner) => collection::vec(element(inner), 0..3).prop_map(set).boxed(),
        Type::Map(inner) => collection::btree_map("[x-z]", element(inner), 0..3)
            .prop_map(Value::Map)
            .boxed(),
        Type::Dynamic => leaf(&Type::Number)
            .prop_map(|value| {
                Value::Dynamic(Box::new(Dynamic {
                    ty: Type::Number,
                    value,
                }))
            })
            .boxed(),
        plain => leaf(plain),
    }
}

/// A set as core makes it: known elements stand once in it.
fn set(mut elements: Vec<Value>) -> Value {
    elements.sort();
    elements.dedup_by(|a, b| a == b && a.is_wholly_known());
    Value::Set(elements)
}

fn any_object(attributes: &[Attribute]) -> BoxedStrategy<Value> {
    let mut parts: BoxedStrategy<BTreeMap<String, Value>> = Just(BTreeMap::new()).boxed();
    for attribute in attributes {
        let name = attribute.name.clone();
        parts = (parts, configured(attribute))
            .prop_map(move |(mut parts, value)| {
                parts.insert(name.clone(), value);
                parts
            })
            .boxed();
    }
    parts.prop_map(Value::Object).boxed()
}

/// What a configuration says of an attribute.
fn configured(attribute: &Attribute) -> BoxedStrategy<Value> {
    if attribute.write_only {
        let secret = "[a-z]{12}".prop_map(|text| Value::from(format!("secret-{text}")));
        return option::of(secret)
            .prop_map(|secret| secret.unwrap_or(Value::Null))
            .boxed();
    }
    let known = match &attribute.kind {
        Kind::Plain(ty) => any_value(ty),
        Kind::Nested(nesting, inner) => {
            let object = any_object(inner);
            match nesting {
                Nesting::Single => object,
                Nesting::List => collection::vec(object, 0..3).prop_map(Value::List).boxed(),
                Nesting::Set => collection::vec(object, 0..3).prop_map(set).boxed(),
                Nesting::Map => collection::btree_map("[x-z]", object, 0..3)
                    .prop_map(Value::Map)
                    .boxed(),
            }
        }
    };
    match attribute.mode {
        Mode::Computed => Just(Value::Null).boxed(),
        Mode::Required => prop_oneof![8 => known, 1 => Just(Value::Unknown)].boxed(),
        Mode::Optional | Mode::OptionalComputed => {
            prop_oneof![4 => known, 2 => Just(Value::Null), 1 => Just(Value::Unknown)].boxed()
        }
    }
}

/// What becomes of a configuration until it is applied: every unknown is known.
fn applied(attributes: &[Attribute], value: &Value) -> Value {
    let Value::Object(entries) = value else {
        return value.clone();
    };
    Value::object(attributes.iter().map(|attribute| {
        let value = entries.get(&attribute.name).unwrap_or(&Value::Null);
        let known = match &attribute.kind {
            Kind::Plain(ty) => later(value, ty),
            Kind::Nested(nesting, inner) => match (nesting, value) {
                (Nesting::Single, Value::Unknown) => {
                    let empty = Value::object(inner.iter().map(|inner| (inner.name.clone(), unset(inner))));
                    applied(inner, &empty)
                }
                (Nesting::List, Value::Unknown) => Value::List(Vec::new()),
                (Nesting::Set, Value::Unknown) => Value::Set(Vec::new()),
                (Nesting::Map, Value::Unknown) => Value::Map(BTreeMap::new()),
                (_, Value::List(elements)) => {
                    Value::List(elements.iter().map(|element| applied(inner, element)).collect())
                }
                (_, Value::Set(elements)) => {
                    Value::set(elements.iter().map(|element| applied(inner, element)))
                }
                (_, Value::Map(elements)) => Value::Map(
                    elements
                        .iter()
                        .map(|(key, element)| (key.clone(), applied(inner, element)))
                        .collect(),
                ),
                _ => applied(inner, value),
            },
        };
        (attribute.name.clone(), known)
    }))
}

/// The least that a configuration must say of an attribute.
fn unset(attribute: &Attribute) -> Value {
    if attribute.mode == Mode::Required {
        Value::Unknown
    } else {
        Value::Null
    }
}

fn later(value: &Value, ty: &Type) -> Value {
    match (value, ty) {
        (Value::Unknown, Type::Bool) => false.into(),
        (Value::Unknown, Type::Number) => 42_i64.into(),
        (Value::Unknown, Type::String) => "later".into(),
        (Value::Unknown, Type::List(_)) => Value::List(Vec::new()),
        (Value::Unknown, Type::Set(_)) => Value::Set(Vec::new()),
        (Value::Unknown, Type::Map(_)) => Value::Map(BTreeMap::new()),
        (Value::Unknown, _) => Value::Dynamic(Box::new(Dynamic {
            ty: Type::Bool,
            value: true.into(),
        })),
        (Value::List(elements), Type::List(inner)) => {
            Value::List(elements.iter().map(|element| later(element, inner)).collect())
        }
        (Value::Set(elements), Type::Set(inner)) => {
            Value::set(elements.iter().map(|element| later(element, inner)))
        }
        (Value::Map(entries), Type::Map(inner)) => Value::Map(
            entries
                .iter()
                .map(|(key, element)| (key.clone(), later(element, inner)))
                .collect(),
        ),
        _ => value.clone(),
    }
}

/// A resource's schema, and the configurations that it lives through.
pub(super) fn resource() -> impl Strategy<Value = (Schema, Vec<Step>)> {
    let place = Place {
        depth: 2,
        in_set: false,
    };
    attributes(place).prop_flat_map(|attributes| {
        let mut all = vec![Attribute::string("id").computed()];
        all.extend(attributes);
        let schema = Schema::new(all);
        let configs = collection::vec(any_object(&schema.attributes), 1..4);
        (Just(schema), configs).prop_map(|(schema, configs)| {
            let steps = configs
                .into_iter()
                .map(|planned| Step {
                    applied: applied(&schema.attributes, &planned),
                    planned,
                })
                .collect();
            (schema, steps)
        })
    })
}
