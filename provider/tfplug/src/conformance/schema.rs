//! Schemas as they come over the wire.

use super::Violation;
use crate::{
    path::Path,
    schema::{Attribute, Kind, Mode, Nesting, Schema},
    value::Type,
    wire::tfplugin6 as wire,
};

/// Reads a schema: attributes as they are, and nested blocks as the nested attributes that they resemble. What cannot
/// be read breaks an S rule.
///
/// # Errors
///
/// The rules that are broken. Core refuses the whole provider for one of them.
pub fn schema_from_wire(schema: &wire::Schema) -> Result<Schema, Vec<Violation>> {
    let mut broken = Vec::new();
    if schema.version < 0 {
        broken.push(Violation::new("S9", &Path::root(), "the version is negative"));
    }
    let block = schema.block.clone().unwrap_or_default();
    let read = Schema {
        version: schema.version,
        attributes: of_block(&block, &Path::root(), &mut broken),
        ..Schema::default()
    };
    if broken.is_empty() { Ok(read) } else { Err(broken) }
}

fn of_block(block: &wire::schema::Block, path: &Path, broken: &mut Vec<Violation>) -> Vec<Attribute> {
    use wire::schema::nested_block::NestingMode;
    let mut attributes: Vec<Attribute> = block
        .attributes
        .iter()
        .filter_map(|attribute| of_attribute(attribute, path, broken))
        .collect();
    for nested in &block.block_types {
        let here = path.clone().attribute(&nested.type_name);
        let nesting = match nested.nesting() {
            NestingMode::Single | NestingMode::Group => Nesting::Single,
            NestingMode::List => Nesting::List,
            NestingMode::Set => Nesting::Set,
            NestingMode::Map => Nesting::Map,
            NestingMode::Invalid => {
                broken.push(Violation::new("S8", &here, "a block has no nesting mode"));
                continue;
            }
        };
        if attributes
            .iter()
            .any(|attribute| attribute.name == nested.type_name)
        {
            broken.push(Violation::new(
                "S8",
                &here,
                "a block has the name of an attribute",
            ));
        }
        let inner = of_block(&nested.block.clone().unwrap_or_default(), &here, broken);
        attributes.push(Attribute::nested(&nested.type_name, nesting, inner));
    }
    attributes
}

fn of_attribute(
    attribute: &wire::schema::Attribute,
    path: &Path,
    broken: &mut Vec<Violation>,
) -> Option<Attribute> {
    let here = path.clone().attribute(&attribute.name);
    let mut say = |rule, sentence: &str| broken.push(Violation::new(rule, &here, sentence));
    let mode = match (attribute.required, attribute.optional, attribute.computed) {
        (true, false, false) => Mode::Required,
        (false, true, false) => Mode::Optional,
        (false, true, true) => Mode::OptionalComputed,
        (false, false, true) => Mode::Computed,
        (false, false, false) => {
            say("S1", "it is neither required nor optional nor computed");
            return None;
        }
        (true, true, _) => {
            say("S2", "it is both required and optional");
            return None;
        }
        (true, false, true) => {
            say("S3", "it is both required and computed");
            return None;
        }
    };
    if !attribute.deprecated && !attribute.deprecation_message.is_empty() {
        say("S4", "it says why it is deprecated, and is not");
    }
    if attribute.write_only && attribute.computed {
        say("S13", "a write-only attribute is not computed");
    }
    let kind = match (&attribute.nested_type, attribute.r#type.is_empty()) {
        (None, false) => match Type::from_json(&attribute.r#type) {
            Ok(ty) => Kind::Plain(ty),
            Err(error) => {
                say("S5", &error.reason);
                return None;
            }
        },
        (Some(object), true) => {
            use wire::schema::object::NestingMode;
            let nesting = match object.nesting() {
                NestingMode::Single => Nesting::Single,
                NestingMode::List => Nesting::List,
                NestingMode::Set => Nesting::Set,
                NestingMode::Map => Nesting::Map,
                NestingMode::Invalid => {
                    say("S6", "it has no nesting mode");
                    return None;
                }
            };
            let inner = object
                .attributes
                .iter()
                .filter_map(|inner| of_attribute(inner, &here, broken))
                .collect();
            Kind::Nested(nesting, inner)
        }
        _ => {
            say("S5", "it has not exactly one of a type and a nested type");
            return None;
        }
    };
    let mut read = Attribute::of_kind(&attribute.name, kind);
    read.mode = mode;
    read.write_only = attribute.write_only;
    read.sensitive = attribute.sensitive;
    Some(read)
}

/// Returns the type of identities.
///
/// # Errors
///
/// S10, where core would refuse the schema.
pub fn identity_from_wire(schema: &wire::ResourceIdentitySchema) -> Result<Type, Vec<Violation>> {
    let mut broken = Vec::new();
    let mut attributes = Vec::new();
    for attribute in &schema.identity_attributes {
        let here = Path::of(&attribute.name);
        let ty = Type::from_json(&attribute.r#type).ok();
        let simple = |ty: &Type| matches!(ty, Type::Bool | Type::Number | Type::String);
        let fits = match &ty {
            Some(Type::List(inner)) => simple(inner),
            Some(ty) => simple(ty),
            None => false,
        };
        if !fits {
            broken.push(Violation::new(
                "S10",
                &here,
                "an identity has primitives and lists of them only",
            ));
        }
        if attribute.required_for_import == attribute.optional_for_import {
            broken.push(Violation::new(
                "S10",
                &here,
                "it is either required or optional for import",
            ));
        }
        attributes.extend(ty.map(|ty| (attribute.name.clone(), ty)));
    }
    if broken.is_empty() {
        Ok(Type::object(attributes))
    } else {
        Err(broken)
    }
}
