//! What core proposes before it asks for a plan: configuration and prior state, merged.

use crate::{
    schema::{Attribute, Kind, Mode, Nesting, Schema},
    value::Value,
};

/// Merges a configuration into the prior state, as core does before `PlanResourceChange`.
pub fn proposed_new(schema: &Schema, prior: &Value, config: &Value) -> Value {
    object(&schema.attributes, prior, config)
}

fn object(attributes: &[Attribute], prior: &Value, config: &Value) -> Value {
    if !matches!(config, Value::Object(_)) {
        return config.clone();
    }
    Value::object(attributes.iter().map(|attribute| {
        let proposed = proposed(attribute, prior.get(&attribute.name), config.get(&attribute.name));
        (attribute.name.clone(), proposed)
    }))
}

fn proposed(attribute: &Attribute, prior: &Value, config: &Value) -> Value {
    if config.is_null() && attribute.is_computed() {
        // An object that was configured and no longer is has not become computed.
        let was_configured = match &attribute.kind {
            Kind::Nested(_, inner) => {
                attribute.mode == Mode::OptionalComputed && holds_configured(inner, prior)
            }
            Kind::Plain(_) => false,
        };
        return if was_configured {
            Value::Null
        } else {
            prior.clone()
        };
    }
    let Kind::Nested(nesting, inner) = &attribute.kind else {
        return config.clone();
    };
    match (nesting, config) {
        (Nesting::Single, _) => object(inner, prior, config),
        (Nesting::List, Value::List(elements)) => Value::List(
            elements
                .iter()
                .enumerate()
                .map(|(index, element)| {
                    let before = prior.elements().and_then(|elements| elements.get(index));
                    before.map_or_else(|| element.clone(), |before| object(inner, before, element))
                })
                .collect(),
        ),
        (Nesting::Map, Value::Map(elements)) => Value::Map(
            elements
                .iter()
                .map(|(key, element)| {
                    let before = prior.entries().and_then(|entries| entries.get(key));
                    let merged =
                        before.map_or_else(|| element.clone(), |before| object(inner, before, element));
                    (key.clone(), merged)
                })
                .collect(),
        ),
        (Nesting::Set, Value::Set(elements)) => {
            let mut unused: Vec<&Value> = prior.elements().unwrap_or_default().iter().collect();
            let merged = elements.iter().map(|element| {
                match unused.iter().position(|before| came_from(inner, before, element)) {
                    Some(found) => object(inner, unused.remove(found), element),
                    None => element.clone(),
                }
            });
            Value::Set(merged.collect())
        }
        _ => config.clone(),
    }
}

/// Whether something in a value can only come from a configuration.
fn holds_configured(attributes: &[Attribute], value: &Value) -> bool {
    match value {
        Value::Object(_) => attributes.iter().any(|attribute| {
            let inner = value.get(&attribute.name);
            match &attribute.kind {
                _ if inner.is_null() => false,
                _ if !attribute.is_computed() => true,
                Kind::Nested(_, attributes) => holds_configured(attributes, inner),
                Kind::Plain(_) => false,
            }
        }),
        Value::List(elements) | Value::Set(elements) => elements
            .iter()
            .any(|element| holds_configured(attributes, element)),
        Value::Map(entries) => entries
            .values()
            .any(|element| holds_configured(attributes, element)),
        _ => false,
    }
}

/// Whether a prior element can have come from a configured one: equal in all that is configured, and computed else.
fn came_from(attributes: &[Attribute], prior: &Value, config: &Value) -> bool {
    let (Value::Object(before), Value::Object(_)) = (prior, config) else {
        return prior == config;
    };
    attributes.iter().all(|attribute| {
        let before = before.get(&attribute.name).unwrap_or(&Value::Null);
        let configured = config.get(&attribute.name);
        if before == configured || (attribute.is_computed() && configured.is_null()) {
            return true;
        }
        let Kind::Nested(nesting, inner) = &attribute.kind else {
            return false;
        };
        match (nesting, before, configured) {
            (Nesting::Single, _, _) => came_from(inner, before, configured),
            (Nesting::List, Value::List(before), Value::List(configured)) => {
                before.len() == configured.len()
                    && before
                        .iter()
                        .zip(configured)
                        .all(|(before, configured)| came_from(inner, before, configured))
            }
            (Nesting::Map, Value::Map(before), Value::Map(configured)) => {
                before.keys().eq(configured.keys())
                    && before
                        .iter()
                        .all(|(key, before)| came_from(inner, before, &configured[key]))
            }
            (Nesting::Set, Value::Set(before), Value::Set(configured)) => {
                before.len() == configured.len()
                    && configured
                        .iter()
                        .all(|configured| before.iter().any(|before| came_from(inner, before, configured)))
            }
            _ => false,
        }
    })
}
