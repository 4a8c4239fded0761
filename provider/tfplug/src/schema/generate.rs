//! The configuration that a state could have come from.

use super::{Attribute, Kind, Mode};
use crate::value::Value;

/// Returns a configuration for a state: without what nobody configures, what should not be configured any more, what is
/// never in a state, and what has its default anyway.
pub(crate) fn generated(attributes: &[Attribute], state: &Value) -> Value {
    let Value::Object(entries) = state else {
        return state.clone();
    };
    Value::object(attributes.iter().map(|attribute| {
        let value = entries.get(&attribute.name).unwrap_or(&Value::Null);
        let needed = attribute.mode == Mode::Required;
        let left_out = attribute.mode == Mode::Computed
            || attribute.write_only
            || (attribute.deprecation.is_some() && !needed)
            || attribute.default.as_ref().is_some_and(|default| default == value);
        let configured = match &attribute.kind {
            _ if left_out => Value::Null,
            Kind::Plain(_) => value.clone(),
            Kind::Nested(_, inner) => each(inner, value),
        };
        (attribute.name.clone(), configured)
    }))
}

fn each(attributes: &[Attribute], value: &Value) -> Value {
    match value {
        Value::Object(_) => generated(attributes, value),
        Value::List(elements) => Value::List(
            elements
                .iter()
                .map(|value| generated(attributes, value))
                .collect(),
        ),
        Value::Set(elements) => Value::set(elements.iter().map(|value| generated(attributes, value))),
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), generated(attributes, value)))
                .collect(),
        ),
        other => other.clone(),
    }
}
