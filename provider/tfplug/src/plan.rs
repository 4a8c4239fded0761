//! The plan pipeline: configuration and prior state in, plan out.
//!
//! Everything here is pure. Core has already merged configuration and prior state into the *proposed* state: configured
//! values from the configuration, computed ones that are not configured from the prior state. From there a plan is made
//! in this order, which matters:
//!
//! 1. **Defaults** stand in where the configuration is null.
//! 2. **Spellings** that mean the same as the prior one give way to it, so that they are no change.
//! 3. **Write-only** values become null. Done later, every plan with a secret would differ from its prior state.
//! 4. **Computed** values that are not configured become unknown, but only if the plan differs from the prior state at
//!    all, and only for what is new or declared to change on update. Everything else keeps its prior value, so that an
//!    update does not ripple through all that refers to it.
//! 5. **Modifiers** of single attributes.
//! 6. The resource's own `modify_plan`, outside of this module.
//! 7. **Replacement**: which changes replace the resource, sorted and without repetition.
//!
//! Invariant: a value that the configuration sets is never changed, except to an equivalent spelling from the prior
//! state. Core refuses anything else.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    diagnostics::Diagnostics,
    path::{Path, Step},
    schema::{
        Attribute, AttributePlan, Computed, Kind, Nesting, Replace, ReplaceQuestion, Schema, entries_of,
    },
    value::Value,
};

type Entries = BTreeMap<String, Value>;

static NULL: Value = Value::Null;

/// Makes the plan from the proposed state: steps 1 to 5.
pub fn prepare(
    schema: &Schema,
    prior: &Value,
    config: &Value,
    proposed: Value,
    diagnostics: &mut Diagnostics,
) -> Value {
    let mut plan = proposed;
    let (Some(config), Value::Object(entries)) = (entries_of(config), &mut plan) else {
        return plan;
    };
    let attributes = &schema.attributes;

    apply_defaults(attributes, config, entries);
    if let Some(prior) = entries_of(prior) {
        keep_spelling_of(attributes, prior, entries);
    }
    schema.null_write_only(&mut plan);
    let changed = plan != *prior;
    let Value::Object(entries) = &mut plan else {
        return plan;
    };
    if changed {
        mark_computed(attributes, entries_of(prior), config, entries);
    }
    modify(
        attributes,
        entries_of(prior),
        config,
        entries,
        &mut Path::root(),
        diagnostics,
    );
    schema.null_write_only(&mut plan);
    plan
}

/// Returns the paths of the changes that replace the resource: step 7. New and deleted resources have none.
pub fn replacements(schema: &Schema, prior: &Value, config: &Value, plan: &Value) -> Vec<Path> {
    let mut found = BTreeSet::new();
    if let (Some(prior), Some(plan)) = (entries_of(prior), entries_of(plan)) {
        replace(
            &schema.attributes,
            prior,
            entries_of(config),
            plan,
            &mut Path::root(),
            &mut found,
        );
    }
    found.into_iter().collect()
}

/// Gives values of `value` that mean the same as in `reference` the spelling that they have there.
///
/// Read keeps the prior spelling this way, and apply the planned one, to which core holds a provider by the letter.
pub fn keep_spelling(schema: &Schema, reference: &Value, value: &mut Value) {
    if let (Some(reference), Value::Object(entries)) = (entries_of(reference), value) {
        keep_spelling_of(&schema.attributes, reference, entries);
    }
}

fn entry<'a>(entries: Option<&'a Entries>, name: &str) -> &'a Value {
    entries.and_then(|entries| entries.get(name)).unwrap_or(&NULL)
}

fn apply_defaults(attributes: &[Attribute], config: &Entries, plan: &mut Entries) {
    for attribute in attributes {
        let configured = entry(Some(config), &attribute.name);
        let Some(planned) = plan.get_mut(&attribute.name) else {
            continue;
        };
        if configured.is_null() {
            if let Some(default) = &attribute.default {
                *planned = default.clone();
            }
        } else if let Kind::Nested(_, inner) = &attribute.kind {
            // Elements of a set have no defaults: the schema check sees to it.
            pairs(configured, planned, &mut |_, configured, planned| {
                if let Some(configured) = entries_of(configured) {
                    apply_defaults(inner, configured, planned);
                }
            });
        }
    }
}

fn keep_spelling_of(attributes: &[Attribute], reference: &Entries, value: &mut Entries) {
    for attribute in attributes {
        let before = entry(Some(reference), &attribute.name);
        let Some(now) = value.get_mut(&attribute.name) else {
            continue;
        };
        if before != now && attribute.means_same(before, now) {
            *now = before.clone();
        } else if let Kind::Nested(_, inner) = &attribute.kind {
            pairs(before, now, &mut |_, before, now| {
                if let Some(before) = entries_of(before) {
                    keep_spelling_of(inner, before, now);
                }
            });
        }
    }
}

fn mark_computed(attributes: &[Attribute], prior: Option<&Entries>, config: &Entries, plan: &mut Entries) {
    for attribute in attributes {
        let configured = entry(Some(config), &attribute.name);
        let before = entry(prior, &attribute.name);
        let Some(planned) = plan.get_mut(&attribute.name) else {
            continue;
        };
        if attribute.is_computed() && configured.is_null() {
            let unknown = match attribute.computed {
                _ if attribute.default.is_some() => false,
                _ if prior.is_none() => true,
                Computed::ChangesOnUpdate => true,
                Computed::KeepPriorNonNull => before.is_null(),
                Computed::KeepPrior => false,
            };
            if unknown {
                *planned = Value::Unknown;
            }
        } else if let Kind::Nested(nesting, inner) = &attribute.kind {
            if *nesting == Nesting::Set {
                mark_set(inner, planned);
            } else {
                pairs(configured, planned, &mut |step, configured, planned| {
                    if let Some(configured) = entries_of(configured) {
                        mark_computed(inner, entries_of(child(before, step)), configured, planned);
                    }
                });
            }
        }
    }
}

/// Elements of a set have no place by which to find their configuration. Core has filled in the computed values of
/// those that it found in the prior state, so a computed value that is still null belongs to a new element.
fn mark_set(attributes: &[Attribute], plan: &mut Value) {
    let Value::Set(elements) = plan else { return };
    for element in elements {
        let Value::Object(entries) = element else { continue };
        for attribute in attributes.iter().filter(|attribute| attribute.is_computed()) {
            if let Some(planned) = entries.get_mut(&attribute.name)
                && planned.is_null()
            {
                *planned = Value::Unknown;
            }
        }
    }
}

fn modify(
    attributes: &[Attribute],
    prior: Option<&Entries>,
    config: &Entries,
    plan: &mut Entries,
    path: &mut Path,
    diagnostics: &mut Diagnostics,
) {
    for attribute in attributes {
        let configured = entry(Some(config), &attribute.name);
        let before = entry(prior, &attribute.name);
        let Some(planned) = plan.get_mut(&attribute.name) else {
            continue;
        };
        path.push(Step::Attribute(attribute.name.clone()));
        for modifier in &attribute.modifiers {
            let mut change = AttributePlan {
                path,
                prior: before,
                config: configured,
                plan: planned,
            };
            modifier(&mut change, diagnostics);
        }
        if let Kind::Nested(_, inner) = &attribute.kind {
            pairs(configured, planned, &mut |step, configured, planned| {
                if let Some(configured) = entries_of(configured) {
                    path.extend(step);
                    modify(
                        inner,
                        entries_of(child(before, step)),
                        configured,
                        planned,
                        path,
                        diagnostics,
                    );
                    path.retract(step);
                }
            });
        }
        path.pop();
    }
}

fn replace(
    attributes: &[Attribute],
    prior: &Entries,
    config: Option<&Entries>,
    plan: &Entries,
    path: &mut Path,
    found: &mut BTreeSet<Path>,
) {
    for attribute in attributes {
        let before = entry(Some(prior), &attribute.name);
        let planned = entry(Some(plan), &attribute.name);
        if before == planned {
            continue;
        }
        let configured = entry(config, &attribute.name);
        path.push(Step::Attribute(attribute.name.clone()));
        let replaces = match &attribute.replace {
            Replace::Never => false,
            Replace::OnChange => true,
            Replace::If(rule) => rule(&ReplaceQuestion {
                prior: before,
                config: configured,
                plan: planned,
            }),
        };
        if replaces {
            found.insert(path.clone());
        } else if let Kind::Nested(nesting, inner) = &attribute.kind {
            replace_inside(*nesting, inner, [before, configured, planned], path, found);
        }
        path.pop();
    }
}

fn replace_inside(
    nesting: Nesting,
    inner: &[Attribute],
    [before, configured, planned]: [&Value; 3],
    path: &mut Path,
    found: &mut BTreeSet<Path>,
) {
    static EMPTY: Entries = Entries::new();
    if planned.is_unknown() {
        // It may well turn out to be a change that replaces, and a plan cannot find that out only when it is applied.
        if replaces_somewhere(inner) {
            found.insert(path.clone());
        }
        return;
    }
    let steps: Vec<Option<Step>> = match nesting {
        Nesting::Single => vec![None],
        Nesting::List => {
            let count = |value: &Value| value.elements().map_or(0, <[Value]>::len);
            (0..count(before).max(count(planned)))
                .map(|index| Some(Step::Index(index as u64)))
                .collect()
        }
        Nesting::Map => {
            let keys = |value: &Value| {
                value
                    .entries()
                    .map(|entries| entries.keys().cloned().collect::<Vec<_>>())
                    .unwrap_or_default()
            };
            let all: BTreeSet<String> = keys(before).into_iter().chain(keys(planned)).collect();
            all.into_iter().map(|key| Some(Step::Key(key))).collect()
        }
        Nesting::Set => {
            // The wire cannot name an element of a set, so the set as a whole is what replaces.
            if replaces_somewhere(inner) {
                found.insert(path.clone());
            }
            return;
        }
    };
    for step in steps {
        let step = step.as_ref();
        let at = |value| entries_of(child(value, step));
        path.extend(step);
        if child(planned, step).is_unknown() && replaces_somewhere(inner) {
            found.insert(path.clone());
        }
        replace(
            inner,
            at(before).unwrap_or(&EMPTY),
            at(configured),
            at(planned).unwrap_or(&EMPTY),
            path,
            found,
        );
        path.retract(step);
    }
}

/// Whether a change of one of these attributes, or of one in them, can replace the resource.
fn replaces_somewhere(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let inside = match &attribute.kind {
            Kind::Nested(_, inner) => replaces_somewhere(inner),
            Kind::Plain(_) => false,
        };
        inside || !matches!(attribute.replace, Replace::Never)
    })
}

/// Returns the object of nested attributes that `step` leads to; a single object has no step.
fn child<'a>(value: &'a Value, step: Option<&Step>) -> &'a Value {
    let found = match (value, step) {
        (Value::Object(_), None) => Some(value),
        (Value::List(elements), Some(Step::Index(index))) => {
            usize::try_from(*index).ok().and_then(|index| elements.get(index))
        }
        (Value::Map(entries), Some(Step::Key(key))) => entries.get(key),
        _ => None,
    };
    found.unwrap_or(&NULL)
}

/// Calls `each` with the objects of nested attributes in `value`, each with its counterpart in `other` (null where it
/// has none) and the step to it. Elements of sets have no counterpart and are left out.
fn pairs(other: &Value, value: &mut Value, each: &mut dyn FnMut(Option<&Step>, &Value, &mut Entries)) {
    match value {
        Value::Object(entries) => each(None, child(other, None), entries),
        Value::List(elements) => {
            for (index, element) in elements.iter_mut().enumerate() {
                if let Value::Object(entries) = element {
                    let step = Step::Index(index as u64);
                    each(Some(&step), child(other, Some(&step)), entries);
                }
            }
        }
        Value::Map(elements) => {
            for (key, element) in elements {
                if let Value::Object(entries) = element {
                    let step = Step::Key(key.clone());
                    each(Some(&step), child(other, Some(&step)), entries);
                }
            }
        }
        _ => {}
    }
}
