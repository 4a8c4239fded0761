//! Between wire messages and the types of this crate.

use std::time::SystemTime;

use crate::{
    diagnostics::{Diagnostics, Severity},
    function::Parameter,
    identity::IdentitySchema,
    offers::Signature,
    path::{Path, Step},
    provider::{Deferred, Reason},
    schema::{Attribute, Kind, Mode, Nesting, Schema},
    value::{Type, Value},
    wire::tfplugin6 as wire,
};

/// Reads a value, or says that it cannot be read. Nothing at all is null.
pub(super) fn decode(
    wire: Option<&wire::DynamicValue>,
    ty: &Type,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    let read = match wire {
        Some(wire) if !wire.msgpack.is_empty() => Value::from_msgpack(&wire.msgpack, ty),
        Some(wire) if !wire.json.is_empty() => Value::from_json(&wire.json, ty),
        _ => Ok(Value::Null),
    };
    match read {
        Ok(value) => Some(value),
        Err(error) => {
            diagnostics.error(
                "Request cannot be read",
                format!("Terraform sent a {what} that does not fit the provider's schema: {error}."),
            );
            None
        }
    }
}

/// Writes a value, or says that the provider made one that does not fit its schema.
pub(super) fn encode(
    value: &Value,
    ty: &Type,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> wire::DynamicValue {
    match value.to_msgpack(ty) {
        Ok(bytes) => wire::DynamicValue {
            msgpack: bytes.into(),
            json: Vec::new().into(),
        },
        Err(error) => {
            diagnostics.error(
                "Provider bug",
                format!(
                    "The provider made a {what} that does not fit its own schema: {error}. This is a bug in the \
                     provider, not in the configuration. Please report it."
                ),
            );
            null()
        }
    }
}

/// The null that is always valid.
pub(super) fn null() -> wire::DynamicValue {
    wire::DynamicValue {
        msgpack: vec![0xc0].into(),
        json: Vec::new().into(),
    }
}

/// Writes that an operation waits.
pub(super) fn deferred(deferred: Option<Deferred>) -> Option<wire::Deferred> {
    use wire::deferred::Reason as Wire;
    deferred.map(|Deferred(reason)| wire::Deferred {
        reason: match reason {
            Reason::ResourceConfigUnknown => Wire::ResourceConfigUnknown,
            Reason::ProviderConfigUnknown => Wire::ProviderConfigUnknown,
            Reason::AbsentPrerequisite => Wire::AbsentPrereq,
        }
        .into(),
    })
}

/// Writes an instant.
pub(super) fn timestamp(instant: SystemTime) -> prost_types::Timestamp {
    instant.into()
}

/// Writes diagnostics.
pub(super) fn diagnostics(diagnostics: Diagnostics) -> Vec<wire::Diagnostic> {
    diagnostics
        .into_iter()
        .map(|diagnostic| wire::Diagnostic {
            severity: match diagnostic.severity {
                Severity::Error => wire::diagnostic::Severity::Error.into(),
                Severity::Warning => wire::diagnostic::Severity::Warning.into(),
            },
            summary: diagnostic.summary,
            detail: diagnostic.detail,
            attribute: diagnostic.path.map(|path| attribute_path(&path)),
        })
        .collect()
}

/// Writes a path. The wire cannot say an element of a set, so the path ends there.
pub(super) fn attribute_path(path: &Path) -> wire::AttributePath {
    use wire::attribute_path::step::Selector;
    let steps = path
        .sayable()
        .steps()
        .iter()
        .filter_map(|step| match step {
            Step::Attribute(name) => Some(Selector::AttributeName(name.clone())),
            Step::Key(key) => Some(Selector::ElementKeyString(key.clone())),
            Step::Index(index) => Some(Selector::ElementKeyInt(i64::try_from(*index).unwrap_or(i64::MAX))),
            Step::Element(_) => None,
        })
        .map(|selector| wire::attribute_path::Step {
            selector: Some(selector),
        })
        .collect();
    wire::AttributePath { steps }
}

/// Writes a schema.
pub(super) fn schema(schema: &Schema) -> wire::Schema {
    wire::Schema {
        version: schema.version,
        block: Some(wire::schema::Block {
            version: schema.version,
            attributes: attributes(&schema.attributes, marks(&schema.attributes) == 1),
            description: schema.description.clone(),
            description_kind: wire::StringKind::Markdown.into(),
            deprecated: schema.deprecation.is_some(),
            deprecation_message: schema.deprecation.clone().unwrap_or_default(),
            ..Default::default()
        }),
    }
}

/// Returns how many places of a value are marked as sensitive, counting no further than two: a list, set or map of
/// nested attributes may hold any number.
fn marks(attributes: &[Attribute]) -> usize {
    let places = attributes.iter().map(|attribute| match &attribute.kind {
        _ if attribute.sensitive => 1,
        Kind::Plain(_) => 0,
        Kind::Nested(Nesting::Single, inner) => marks(inner),
        Kind::Nested(Nesting::List | Nesting::Set | Nesting::Map, inner) => 2 * marks(inner),
    });
    places.sum::<usize>().min(2)
}

/// Writes attributes. `alone` says that no value of the schema has more than one sensitive place.
fn attributes(attributes: &[Attribute], alone: bool) -> Vec<wire::schema::Attribute> {
    attributes
        .iter()
        .map(|attribute| {
            let (ty, nested_type) = match &attribute.kind {
                Kind::Plain(ty) => (ty.to_json().into_bytes(), None),
                Kind::Nested(nesting, inner) => (Vec::new(), Some(object(*nesting, inner, alone))),
            };
            wire::schema::Attribute {
                name: attribute.name.clone(),
                r#type: ty,
                nested_type,
                description: attribute.description.clone(),
                description_kind: wire::StringKind::Markdown.into(),
                required: attribute.mode == Mode::Required,
                optional: matches!(attribute.mode, Mode::Optional | Mode::OptionalComputed),
                computed: attribute.is_computed(),
                // A write-only value is never in plan or state, so there is nothing to hide. But the mark of a
                // sensitive variable reaches the state as a path, and an imported resource has the path from here
                // or not at all: without it, the plan after an import would update a resource only to mark it. Two
                // paths are worse. Core up to 1.14 lists them in random order, and `plan -refresh-only
                // -detailed-exitcode` would exit with 2 now and then although nothing has changed.
                sensitive: attribute.sensitive && (alone || !attribute.write_only),
                write_only: attribute.write_only,
                deprecated: attribute.deprecation.is_some(),
                deprecation_message: attribute.deprecation.clone().unwrap_or_default(),
            }
        })
        .collect()
}

fn object(nesting: Nesting, inner: &[Attribute], alone: bool) -> wire::schema::Object {
    use wire::schema::object::NestingMode;
    let nesting = match nesting {
        Nesting::Single => NestingMode::Single,
        Nesting::List => NestingMode::List,
        Nesting::Set => NestingMode::Set,
        Nesting::Map => NestingMode::Map,
    };
    wire::schema::Object {
        attributes: attributes(inner, alone),
        nesting: nesting.into(),
        ..Default::default()
    }
}

/// Writes the schema of identities.
pub(super) fn identity_schema(schema: &IdentitySchema) -> wire::ResourceIdentitySchema {
    wire::ResourceIdentitySchema {
        version: schema.version,
        identity_attributes: schema
            .attributes
            .iter()
            .map(|attribute| wire::resource_identity_schema::IdentityAttribute {
                name: attribute.name.clone(),
                r#type: attribute.ty.to_json().into_bytes(),
                required_for_import: attribute.required_for_import,
                optional_for_import: !attribute.required_for_import,
                description: attribute.description.clone(),
            })
            .collect(),
    }
}

/// Writes what a function is.
pub(super) fn function(signature: &Signature) -> wire::Function {
    let parameter = |parameter: &Parameter| wire::function::Parameter {
        name: parameter.name.clone(),
        r#type: parameter.ty.to_json().into_bytes(),
        allow_null_value: parameter.nullable,
        allow_unknown_values: parameter.unknown,
        description: parameter.description.clone(),
        description_kind: wire::StringKind::Markdown.into(),
    };
    wire::Function {
        parameters: signature.parameters.iter().map(parameter).collect(),
        variadic_parameter: signature.variadic.as_ref().map(parameter),
        r#return: Some(wire::function::Return {
            r#type: signature.returns.to_json().into_bytes(),
        }),
        summary: signature.summary.clone(),
        description: signature.description.clone(),
        description_kind: wire::StringKind::Markdown.into(),
        deprecation_message: signature.deprecation.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the names of the attributes that core takes as sensitive, of the outermost and of nested ones.
    fn sensitive(schema: &Schema) -> Vec<String> {
        let mut found = Vec::new();
        let mut levels = vec![super::schema(schema).block.unwrap().attributes];
        while let Some(level) = levels.pop() {
            for attribute in level {
                if attribute.sensitive {
                    found.push(attribute.name);
                }
                levels.extend(attribute.nested_type.map(|inner| inner.attributes));
            }
        }
        found
    }

    #[test]
    fn a_write_only_attribute_is_sensitive_where_no_other_is() {
        let secret = |name| Attribute::string(name).write_only();
        let alone = [Attribute::string("id"), secret("password")];
        assert_eq!(sensitive(&Schema::new(alone.clone())), ["password"]);
        let inside = Attribute::single("http", alone.clone());
        assert_eq!(sensitive(&Schema::new([inside.clone()])), ["password"]);
        assert_eq!(
            sensitive(&Schema::new([inside, secret("token")])),
            Vec::<String>::new()
        );
        let many = Attribute::nested("http", Nesting::List, alone);
        assert_eq!(sensitive(&Schema::new([many])), Vec::<String>::new());
        let shown = Attribute::string("key").sensitive();
        assert_eq!(sensitive(&Schema::new([shown, secret("token")])), ["key"]);
    }
}
