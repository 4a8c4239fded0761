//! The rules that core holds a provider to, as checks of our own.
//!
//! Core would find the same mistakes, but its words blame "the provider" and name no reason. Each check here returns
//! sentences with the rule's number, the place, and what is wrong, never a value. The server runs them after the
//! author's code, so that a mistake is one precise diagnostic.
//!
//! The letters and numbers are those of the parent module.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::{
    diagnostics::Diagnostics,
    path::{Path, Step},
    schema::{Attribute, Kind, Mode, Nesting, Schema, visit},
    value::{Type, Value},
};

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule, such as `P9`.
    pub rule: &'static str,
    /// Where.
    pub path: Path,
    /// What is wrong there, as a sentence without an end.
    pub sentence: String,
}

impl Violation {
    pub(crate) fn new(rule: &'static str, path: &Path, sentence: impl Into<String>) -> Self {
        Self {
            rule,
            path: path.clone(),
            sentence: sentence.into(),
        }
    }
}

/// Adds one error for all violations, if there are any.
pub fn report(type_name: &str, operation: &str, violations: &[Violation], diagnostics: &mut Diagnostics) {
    let Some(first) = violations.first() else { return };
    let lines: Vec<String> = violations
        .iter()
        .map(|violation| {
            let place = match violation.path.to_string() {
                root if root.is_empty() => "the value as a whole".to_owned(),
                path => format!("`{path}`"),
            };
            format!("- {}: {place}: {}.", violation.rule, violation.sentence)
        })
        .collect();
    let detail = format!(
        "While it {operation} `{type_name}`, the provider broke the rules that Terraform sets for its answers:\n\n{}\n\n\
         This is a bug in the provider, not in the configuration. Please report it.",
        lines.join("\n")
    );
    if first.path.steps().is_empty() {
        diagnostics.error("Provider bug", detail);
    } else {
        diagnostics.attribute_error(first.path.clone(), "Provider bug", detail);
    }
}

/// Checks that a plan follows from configuration and prior state: P1 and P3 to P11.
pub fn plan_follows(schema: &Schema, prior: &Value, config: &Value, plan: &Value) -> Vec<Violation> {
    let mut found = Vec::new();
    if let Err(error) = plan.conforms(&schema.ty()) {
        found.push(Violation::new("P3", &error.path, error.reason));
        return found;
    }
    plan_object(
        &schema.attributes,
        [prior, config, plan],
        &mut Path::root(),
        &mut found,
    );
    found
}

fn plan_object(
    attributes: &[Attribute],
    [prior, config, plan]: [&Value; 3],
    path: &mut Path,
    found: &mut Vec<Violation>,
) {
    match (config, plan) {
        (Value::Null, Value::Null) => {}
        (Value::Null, _) => found.push(Violation::new("P1", path, "it is planned but not configured")),
        (_, Value::Null) => found.push(Violation::new("P1", path, "it is configured but not planned")),
        (Value::Object(configured), Value::Object(planned)) => {
            for attribute in attributes {
                let (Some(config), Some(plan)) =
                    (configured.get(&attribute.name), planned.get(&attribute.name))
                else {
                    continue;
                };
                path.push(Step::Attribute(attribute.name.clone()));
                plan_attribute(attribute, [prior.get(&attribute.name), config, plan], path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

fn plan_attribute(
    attribute: &Attribute,
    [prior, config, plan]: [&Value; 3],
    path: &mut Path,
    found: &mut Vec<Violation>,
) {
    if attribute.write_only {
        if !plan.is_null() {
            found.push(Violation::new("P6", path, "a write-only value is planned"));
        }
        return;
    }
    if plan == config || (plan == prior && !prior.is_null() && !config.is_null()) {
        return;
    }
    if !attribute.is_configurable() || (config.is_null() && attribute.is_computed()) {
        return;
    }
    if config.is_null() {
        found.push(Violation::new(
            "P9",
            path,
            "a value is planned that is neither configured nor computed",
        ));
        return;
    }
    let Kind::Nested(nesting, inner) = &attribute.kind else {
        found.push(Violation::new(
            "P11",
            path,
            "the plan is neither what is configured nor what was there",
        ));
        return;
    };
    match (nesting, config, plan) {
        (Nesting::Single, Value::Object(_), Value::Object(_) | Value::Null) => {
            plan_object(inner, [prior, config, plan], path, found);
        }
        (Nesting::List, Value::List(configured), Value::List(planned)) => {
            if configured.len() != planned.len() {
                found.push(Violation::new(
                    "P10",
                    path,
                    "the plan has another number of elements",
                ));
            }
            for (index, (config, plan)) in configured.iter().zip(planned).enumerate() {
                let before = prior.elements().and_then(|elements| elements.get(index));
                path.push(Step::Index(index as u64));
                plan_object(inner, [before.unwrap_or(&Value::Null), config, plan], path, found);
                path.pop();
            }
        }
        (Nesting::Map, Value::Map(configured), Value::Map(planned)) => {
            if !configured.keys().eq(planned.keys()) {
                found.push(Violation::new("P10", path, "the plan has other keys"));
            }
            for (key, config) in configured {
                let Some(plan) = planned.get(key) else { continue };
                path.push(Step::Key(key.clone()));
                plan_object(inner, [prior.get(key), config, plan], path, found);
                path.pop();
            }
        }
        (Nesting::Set, Value::Set(configured), Value::Set(planned)) => {
            // Core trusts the elements and looks at their number only, which an unknown element leaves open.
            if planned.len() > configured.len() {
                found.push(Violation::new("P10", path, "the plan has more elements"));
            }
        }
        _ => found.push(Violation::new(
            "P10",
            path,
            "the plan does not hold what is configured",
        )),
    }
}

/// Checks that a result agrees with its plan: A3 to A6.
pub fn result_agrees(plan: &Value, result: &Value) -> Vec<Violation> {
    let mut found = Vec::new();
    agree(plan, result, &mut Path::root(), &mut found);
    found
}

fn agree(plan: &Value, result: &Value, path: &mut Path, found: &mut Vec<Violation>) {
    match (plan, result) {
        (Value::Unknown, _) | (Value::Null, Value::Null) => {}
        (Value::Null, _) => found.push(Violation::new("A3", path, "it was planned as null and is not")),
        (_, Value::Null) => found.push(Violation::new("A3", path, "a value was planned and it is null")),
        (Value::Object(planned), Value::Object(actual)) => {
            for (name, plan) in planned {
                path.push(Step::Attribute(name.clone()));
                agree(plan, actual.get(name).unwrap_or(&Value::Null), path, found);
                path.pop();
            }
        }
        (Value::Map(planned), Value::Map(actual)) => {
            if !planned.keys().eq(actual.keys()) {
                found.push(Violation::new("A5", path, "its keys are not the planned ones"));
            }
            for (key, plan) in planned {
                let Some(result) = actual.get(key) else { continue };
                path.push(Step::Key(key.clone()));
                agree(plan, result, path, found);
                path.pop();
            }
        }
        (Value::List(planned), Value::List(actual)) | (Value::Tuple(planned), Value::Tuple(actual)) => {
            if planned.len() != actual.len() {
                found.push(Violation::new(
                    "A5",
                    path,
                    "its number of elements is not the planned one",
                ));
            }
            for (index, (plan, result)) in planned.iter().zip(actual).enumerate() {
                path.push(Step::Index(index as u64));
                agree(plan, result, path, found);
                path.pop();
            }
        }
        (Value::Set(planned), Value::Set(actual)) => {
            let agrees = |plan: &Value, result: &Value| result_agrees(plan, result).is_empty();
            if actual.len() > planned.len() {
                found.push(Violation::new("A6", path, "it has more elements than planned"));
            }
            if planned
                .iter()
                .any(|plan| !actual.iter().any(|result| agrees(plan, result)))
            {
                found.push(Violation::new("A6", path, "a planned element is missing"));
            }
            if actual
                .iter()
                .any(|result| !planned.iter().any(|plan| agrees(plan, result)))
            {
                found.push(Violation::new("A6", path, "an element was not planned"));
            }
        }
        (Value::Dynamic(planned), Value::Dynamic(actual)) => {
            if planned.ty == actual.ty {
                agree(&planned.value, &actual.value, path, found);
            } else {
                found.push(Violation::new("A3", path, "its type is not the planned one"));
            }
        }
        // An unknown result is reported as A8, once, by `settled`.
        (_, Value::Unknown) => {}
        _ if plan != result => found.push(Violation::new("A3", path, "it is not the planned value")),
        _ => {}
    }
}

/// Checks that a state is one: of the schema's type, wholly known, and without write-only values. `rules` are the
/// numbers that the three have for this operation.
pub fn settled(schema: &Schema, state: &Value, rules: [&'static str; 3]) -> Vec<Violation> {
    let [conforms, known, write_only] = rules;
    if let Err(error) = state.conforms(&schema.ty()) {
        return vec![Violation::new(conforms, &error.path, error.reason)];
    }
    let mut found = Vec::new();
    if let Some(path) = state.first_unknown() {
        found.push(Violation::new(known, &path, "it is still unknown"));
    }
    for path in schema.write_only_set(state) {
        found.push(Violation::new(
            write_only,
            &path,
            "a write-only value is in the state",
        ));
    }
    found
}

/// Checks the changes that a plan says replace the resource: P13.
pub fn replacements_exist(prior: &Value, plan: &Value, replace: &BTreeSet<Path>) -> Vec<Violation> {
    replace
        .iter()
        .filter(|path| prior.at(path).is_none() && plan.at(path).is_none())
        .map(|path| {
            Violation::new(
                "P13",
                path,
                "it replaces the resource, and is in neither state nor plan",
            )
        })
        .collect()
}

/// Checks an identity: that it conforms to its type (P14), names something and does not change (X3), and is known
/// unless it may be unknown.
pub fn identity_stays(ty: &Type, before: Option<&Value>, identity: &Value, unknown: bool) -> Vec<Violation> {
    let root = Path::root();
    if let Err(error) = identity.conforms(ty) {
        return vec![Violation::new(
            "P14",
            &error.path,
            format!("in the identity, {}", error.reason),
        )];
    }
    let empty = identity
        .entries()
        .is_none_or(|entries| entries.values().all(Value::is_null));
    if empty {
        return vec![Violation::new("X3", &root, "the identity names nothing")];
    }
    match identity.first_unknown() {
        Some(path) if !unknown => return vec![Violation::new("P14", &path, "the identity is still unknown")],
        _ => {}
    }
    if before.is_some_and(|before| before != identity) {
        return vec![Violation::new(
            "X3",
            &root,
            "the identity is another one than before",
        )];
    }
    Vec::new()
}

/// Checks a generated configuration: G1, so that it could have been written by hand.
pub fn is_configuration(schema: &Schema, config: &Value) -> Vec<Violation> {
    if let Err(error) = config.conforms(&schema.ty()) {
        return vec![Violation::new("G1", &error.path, error.reason)];
    }
    let mut found = Vec::new();
    let mut see = |path: &Path, attribute: &Attribute, value: &Value| {
        if !attribute.is_configurable() && !value.is_null() {
            found.push(Violation::new(
                "G1",
                path,
                "nobody configures a computed attribute",
            ));
        }
        if attribute.mode == Mode::Required && value.is_null() {
            found.push(Violation::new("G1", path, "a required attribute is missing"));
        }
        if attribute.write_only && !value.is_null() {
            found.push(Violation::new("G1", path, "a write-only value is written down"));
        }
    };
    visit(&schema.attributes, config, &mut Path::root(), &mut see);
    if let Some(path) = config.first_unknown() {
        found.push(Violation::new("G1", &path, "it is unknown"));
    }
    found
}
