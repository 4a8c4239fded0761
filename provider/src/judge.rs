//! The engine's own rules at plan time.
//!
//! The rules judge a whole spec, but at plan time parts of a configuration can be unknown. So a spec is judged several
//! times with different stand-ins for what is unknown, and only what is wrong in all of them, and at none of the
//! unknown attributes, is reported. Instants are judged against the clock, so only new or changed ones are: a source
//! that began to collect in January is not wrong in December.

use std::collections::BTreeMap;

use engine_api::{Spec, Violation};
use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use tfplug::{
    diagnostics::Diagnostics,
    path::{Path, Step},
    schema::{Attribute, Kind, Mode},
    value::{Type, Value},
};

use crate::{json, problem, schema};

/// Stand-ins for durations that are not known: none, so that the default counts, and the two ends of what is usual.
const DURATIONS: [Option<&str>; 3] = [None, Some("15s"), Some("24h")];

/// What stands in for what is not known, in one of the turns in which a spec is judged.
#[derive(Default)]
struct StandIn {
    duration: Option<&'static str>,
    /// A word for each attribute that can be one of a few; none in the first turn, so that the default counts.
    words: BTreeMap<String, String>,
}

impl StandIn {
    /// All turns: each word of the spec's own choices has one. Where everything is known, one turn says it all.
    fn turns<S: Spec>(unknown: &[String]) -> Vec<Self> {
        if unknown.is_empty() {
            return vec![Self::default()];
        }
        let choices = schema::choices::<S>();
        let longest = choices.values().map(Vec::len).max().unwrap_or_default();
        let turns = DURATIONS.len().max(longest + 1);
        (0..turns)
            .map(|turn| Self {
                duration: DURATIONS[turn % DURATIONS.len()],
                words: choices
                    .iter()
                    .filter_map(|(name, words)| {
                        let word = words.get(turn.checked_sub(1)? % words.len())?;
                        Some((name.clone(), word.clone()))
                    })
                    .collect(),
            })
            .collect()
    }
}

/// Reports what is wrong with a configuration. `prior` is the state, where there is one.
pub fn judge<S: Spec>(
    attributes: &[Attribute],
    config: &Value,
    prior: Option<&Value>,
    diagnostics: &mut Diagnostics,
) {
    let unknown = unknown_fields(config);
    let mut agreed: Option<Vec<Violation>> = None;
    for turn in StandIn::turns::<S>(&unknown) {
        let spec = match serde_json::from_value::<S>(Json::Object(stand_in(attributes, config, &turn))) {
            Ok(spec) => spec,
            Err(error) => {
                unreadable::<S>(attributes, config, &unknown, &error, diagnostics);
                return;
            }
        };
        let violations = spec.validate(Timestamp::now());
        agreed = Some(match agreed {
            None => violations,
            Some(before) => before
                .into_iter()
                .filter(|violation| violations.contains(violation))
                .collect(),
        });
    }
    for violation in agreed.unwrap_or_default() {
        let depends = unknown.iter().any(|field| overlap(field, &violation.field));
        if depends || is_old_instant(attributes, &violation.field, config, prior) {
            continue;
        }
        let detail = problem::sentence(&violation.field, &violation.message);
        match problem::attribute_path(&violation.field, attributes, config) {
            Some(path) => diagnostics.attribute_error(path, "Invalid value", detail),
            None => diagnostics.error("Invalid configuration", detail),
        }
    }
}

/// Reports a configuration that is not even a spec, at the attribute without which it would be one.
fn unreadable<S: Spec>(
    attributes: &[Attribute],
    config: &Value,
    unknown: &[String],
    error: &serde_json::Error,
    diagnostics: &mut Diagnostics,
) {
    let whole = stand_in(attributes, config, &StandIn::default());
    let culprit = whole.keys().find(|name| {
        let mut without = whole.clone();
        without.remove(*name);
        serde_json::from_value::<S>(Json::Object(without)).is_ok()
    });
    let detail = problem::sentence("", &error.to_string());
    match culprit {
        Some(name) if unknown.iter().any(|field| overlap(field, name)) => {}
        Some(name) => diagnostics.attribute_error(Path::of(name), "Invalid value", detail),
        None if unknown.is_empty() => diagnostics.error("Invalid configuration", detail),
        None => {}
    }
}

/// Whether the field is an instant that the prior state has as well.
fn is_old_instant(attributes: &[Attribute], field: &str, config: &Value, prior: Option<&Value>) -> bool {
    let Some(attribute) = attributes.iter().find(|attribute| attribute.name == field) else {
        return false;
    };
    schema::is_instant(attribute)
        && prior.is_none_or(|prior| attribute.means_same(prior.get(field), config.get(field)))
}

/// Returns the fields that are unknown, dotted; elements of collections count as their collection.
fn unknown_fields(config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    config.walk(&mut Path::root(), &mut |path, value| {
        if value.is_unknown() {
            let names = path.steps().iter().map_while(|step| match step {
                Step::Attribute(name) => Some(name.as_str()),
                _ => None,
            });
            found.push(names.collect::<Vec<_>>().join("."));
        }
        true
    });
    found
}

/// Whether a rule at field `b` may depend on field `a`: one contains the other. A rule at the root is about which of
/// the top-level attributes are set.
fn overlap(a: &str, b: &str) -> bool {
    let inside = |inner: &str, outer: &str| {
        inner == outer
            || inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.starts_with(['.', '[']))
    };
    if b.is_empty() {
        !a.contains('.')
    } else {
        inside(a, b) || inside(b, a)
    }
}

/// Writes a configuration as JSON, with stand-ins for what is required and not known.
fn stand_in(attributes: &[Attribute], config: &Value, turn: &StandIn) -> Map<String, Json> {
    let mut object = Map::new();
    for attribute in attributes.iter().filter(|attribute| attribute.is_configurable()) {
        let value = config.get(&attribute.name);
        let json = match (value, &attribute.kind) {
            (Value::Null, _) => None,
            (Value::Unknown, _) => placeholder(attribute, turn),
            (Value::Object(_), Kind::Nested(_, inner)) => Some(Json::Object(stand_in(inner, value, turn))),
            _ => Some(json::from_value(value)),
        };
        if let Some(json) = json {
            object.insert(attribute.name.clone(), json);
        }
    }
    object
}

fn placeholder(attribute: &Attribute, turn: &StandIn) -> Option<Json> {
    let required = attribute.mode == Mode::Required;
    let is_duration = attribute.means_same(&Value::from("60m"), &Value::from("1h"));
    match &attribute.kind {
        _ if is_duration => turn.duration.or(required.then_some("1h")).map(Json::from),
        _ if turn.words.contains_key(&attribute.name) => {
            turn.words.get(&attribute.name).cloned().map(Json::from)
        }
        _ if !required => None,
        Kind::Plain(Type::String) => Some(Json::from("unknown")),
        Kind::Plain(Type::Number) => Some(Json::from(1)),
        Kind::Plain(Type::Bool) => Some(Json::from(true)),
        Kind::Plain(Type::List(_) | Type::Set(_) | Type::Tuple(_)) => Some(Json::Array(Vec::new())),
        Kind::Plain(_) | Kind::Nested(..) => Some(Json::Object(Map::new())),
    }
}
