//! Schemas: what attributes a provider, resource or data source has, and everything that follows from each of them.
//!
//! An [`Attribute`] carries its type, its description, who may set it, and its behavior at plan time: default,
//! validators, replacement, what a computed value does on update, and which spellings mean the same. The server, the
//! plan pipeline, the checks and the documentation all read this one description.

mod attribute;
mod check;
mod generate;
mod validators;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::{
    path::{Path, Step},
    value::{Type, Value},
};

pub use attribute::{
    Attribute, AttributePlan, Computed, Kind, Mode, Modifier, Nesting, Replace, ReplaceQuestion, Same,
};
pub use check::{Role, problems};
pub(crate) use generate::generated;
pub use validators::{Validator, between, length, matches_rule, one_of, size};

/// The schema of a provider, resource or data source.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The version of stored state, which grows when state has to be upgraded.
    pub version: i64,
    /// What the thing is, as Markdown. The first paragraph is the summary of its page.
    pub description: String,
    /// Why not to use it any more.
    pub deprecation: Option<String>,
    /// The attributes, in the order in which they are documented.
    pub attributes: Vec<Attribute>,
}

impl Schema {
    /// Returns a schema with the given attributes.
    pub fn new(attributes: impl IntoIterator<Item = Attribute>) -> Self {
        Self {
            attributes: attributes.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Sets the description, as Markdown.
    #[must_use]
    pub fn describe(mut self, markdown: impl Into<String>) -> Self {
        self.description = markdown.into();
        self
    }

    /// Sets the version of stored state.
    #[must_use]
    pub fn version(mut self, version: i64) -> Self {
        self.version = version;
        self
    }

    /// Marks the whole as deprecated and says what to use instead.
    #[must_use]
    pub fn deprecated(mut self, message: impl Into<String>) -> Self {
        self.deprecation = Some(message.into());
        self
    }

    /// Returns the attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// Returns the attribute at `path`, through nested attributes. Paths into plain values lead to their attribute.
    pub fn at(&self, path: &Path) -> Option<&Attribute> {
        let mut attributes = &self.attributes;
        let mut found = None;
        for step in path.steps() {
            if let Step::Attribute(name) = step {
                let Some(attribute) = attributes.iter().find(|attribute| attribute.name == *name) else {
                    return found.filter(|attribute: &&Attribute| matches!(attribute.kind, Kind::Plain(_)));
                };
                found = Some(attribute);
                match &attribute.kind {
                    Kind::Nested(_, inner) => attributes = inner,
                    Kind::Plain(_) => return found,
                }
            }
        }
        found
    }

    /// Returns the object type of values of this schema.
    pub fn ty(&self) -> Type {
        object_type(&self.attributes)
    }

    /// Returns the value with every attribute null.
    pub fn null_object(&self) -> Value {
        null_object(&self.attributes)
    }

    /// Sets every write-only attribute of `value` to null.
    pub fn null_write_only(&self, value: &mut Value) {
        null_write_only(&self.attributes, value);
    }

    /// Returns the paths of write-only attributes that are not null in `value`.
    pub fn write_only_set(&self, value: &Value) -> Vec<Path> {
        let mut found = Vec::new();
        visit(
            &self.attributes,
            value,
            &mut Path::root(),
            &mut |path, attribute, value| {
                if attribute.write_only && !value.is_null() {
                    found.push(path.clone());
                }
            },
        );
        found
    }
}

/// A schema with its type, made once.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) schema: Schema,
    pub(crate) ty: Type,
}

impl Compiled {
    pub(crate) fn new(schema: Schema) -> Self {
        Self {
            ty: schema.ty(),
            schema,
        }
    }
}

/// Returns the object type of values with these attributes.
pub(crate) fn object_type(attributes: &[Attribute]) -> Type {
    Type::object(
        attributes
            .iter()
            .map(|attribute| (attribute.name.clone(), attribute.ty())),
    )
}

/// Returns the object with each of these attributes null.
pub(crate) fn null_object(attributes: &[Attribute]) -> Value {
    Value::object(
        attributes
            .iter()
            .map(|attribute| (attribute.name.clone(), Value::Null)),
    )
}

fn null_write_only(attributes: &[Attribute], value: &mut Value) {
    let Value::Object(entries) = value else { return };
    for attribute in attributes {
        let Some(entry) = entries.get_mut(&attribute.name) else {
            continue;
        };
        if attribute.write_only {
            entry.wipe();
            *entry = Value::Null;
        } else if let Kind::Nested(_, inner) = &attribute.kind {
            each_object(entry, &mut |object| null_write_only(inner, object));
        }
    }
}

/// Calls `change` with each object that a nested attribute holds.
fn each_object(value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Object(_) => change(value),
        Value::List(elements) | Value::Set(elements) => elements.iter_mut().for_each(change),
        Value::Map(entries) => entries.values_mut().for_each(change),
        _ => {}
    }
}

/// Visits every attribute that stands in `value`, nested ones included, outermost first.
pub(crate) fn visit(
    attributes: &[Attribute],
    value: &Value,
    path: &mut Path,
    see: &mut dyn FnMut(&Path, &Attribute, &Value),
) {
    let Value::Object(entries) = value else { return };
    for attribute in attributes {
        let Some(entry) = entries.get(&attribute.name) else {
            continue;
        };
        path.push(Step::Attribute(attribute.name.clone()));
        see(path, attribute, entry);
        if let Kind::Nested(_, inner) = &attribute.kind {
            match entry {
                Value::Object(_) => visit(inner, entry, path, see),
                Value::List(elements) => {
                    for (index, element) in elements.iter().enumerate() {
                        path.push(Step::Index(index as u64));
                        visit(inner, element, path, see);
                        path.pop();
                    }
                }
                Value::Set(elements) => {
                    for element in elements {
                        path.push(Step::Element(Box::new(element.clone())));
                        visit(inner, element, path, see);
                        path.pop();
                    }
                }
                Value::Map(elements) => {
                    for (key, element) in elements {
                        path.push(Step::Key(key.clone()));
                        visit(inner, element, path, see);
                        path.pop();
                    }
                }
                _ => {}
            }
        }
        path.pop();
    }
}

/// Returns the entries of an object, or none for null and unknown.
pub(crate) fn entries_of(value: &Value) -> Option<&BTreeMap<String, Value>> {
    if let Value::Object(entries) = value {
        Some(entries)
    } else {
        None
    }
}
