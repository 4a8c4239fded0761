//! Secrets in a plan: which to compare, which to send, and what that means for the fingerprint.
//!
//! A secret stands in the configuration only. The state holds the fingerprint that the engine makes of all the secrets
//! of an object. A plan asks the engine whether the configured secrets equal the stored ones: equal plans nothing,
//! different plans the fingerprint as *unknown*, and so an update. It must be unknown and not a new value, since an
//! ephemeral secret may be another one when the plan is applied.
//!
//! A version attribute, where the configuration sets it, gates this, for secrets that are new at every run: while the
//! engine holds the same version, secrets are neither compared nor sent, unless the stored one was changed at the
//! engine. For that the fingerprint of our last write is remembered in private state. A version that only the engine
//! holds gates nothing: it is planned away, and the secrets are compared.
//!
//! Where the address changes that secrets are sent to, they are sent again, whatever the version says: the engine does
//! not take what it stores to a server that it was not given for.

use std::collections::BTreeMap;

use engine_api::same_origin;
use tfplug::{
    path::{Path, Step},
    private::Key,
    schema::{Attribute, Kind},
    value::Value,
};

/// The key in private state under which the fingerprint of the last write stands.
pub const APPLIED: Key<String> = Key::new("applied_fingerprint");

/// One secret that a configuration can hold.
#[derive(Debug)]
pub struct Slot<'a> {
    /// The field, dotted as the engine writes it.
    pub field: String,
    /// The attribute.
    pub path: Path,
    /// The value in the configuration.
    pub value: &'a Value,
}

/// Returns the secrets that the objects of a configuration have room for, set or not.
pub fn slots<'a>(attributes: &[Attribute], config: &'a Value) -> Vec<Slot<'a>> {
    let mut found = Vec::new();
    collect(attributes, config, &Path::root(), &mut found);
    found
}

fn collect<'a>(attributes: &[Attribute], object: &'a Value, parent: &Path, found: &mut Vec<Slot<'a>>) {
    if !matches!(object, Value::Object(_)) {
        return;
    }
    for attribute in attributes {
        let path = parent.clone().attribute(&attribute.name);
        let value = object.get(&attribute.name);
        if attribute.write_only {
            found.push(Slot {
                field: field_of(&path),
                path,
                value,
            });
        } else if let Kind::Nested(_, inner) = &attribute.kind {
            collect(inner, value, &path, found);
        }
    }
}

fn field_of(path: &Path) -> String {
    let names = path.steps().iter().filter_map(|step| match step {
        Step::Attribute(name) => Some(name.as_str()),
        _ => None,
    });
    names.collect::<Vec<_>>().join(".")
}

/// What the plan has to find out.
#[derive(Debug, PartialEq, Eq)]
pub enum Question {
    /// Nothing: the fingerprint stays.
    Keep,
    /// Nothing: the secrets are sent, or forgotten, so the fingerprint will be another one.
    Send,
    /// Whether these candidates, by their field, equal the stored secrets.
    Compare(BTreeMap<String, String>),
}

/// What is known of a resource that exists and stays.
#[derive(Debug)]
pub struct Known<'a> {
    /// Its attributes.
    pub attributes: &'a [Attribute],
    /// The name of its version attribute.
    pub version: &'a str,
    /// The field with the URL that its secrets are sent to, where it has one.
    pub address: Option<&'a str>,
    /// The prior state, as the engine just showed it.
    pub prior: &'a Value,
    /// The configuration.
    pub config: &'a Value,
    /// The plan so far.
    pub plan: &'a Value,
    /// The fingerprint of our last write, if we remember one.
    pub applied: Option<&'a str>,
    /// The fingerprint in the prior state.
    pub stored: Option<&'a str>,
}

/// Decides what the plan has to find out about secrets.
pub fn question(known: &Known<'_>) -> Question {
    if places(known.attributes, known.prior) != places(known.attributes, known.plan)
        || hides_room(known.attributes, known.plan)
    {
        return Question::Send;
    }
    let given: Vec<Slot<'_>> = slots(known.attributes, known.config)
        .into_iter()
        .filter(|slot| !slot.value.is_null())
        .collect();
    if given.is_empty() {
        return Question::Keep;
    }
    if moves(known) {
        return Question::Send;
    }
    let version = known.plan.get(known.version);
    if !version.is_null() {
        let same = version == known.prior.get(known.version);
        return if same && known.applied.is_some() && known.applied == known.stored {
            Question::Keep
        } else {
            Question::Send
        };
    }
    let mut candidates = BTreeMap::new();
    for slot in given {
        match slot.value.as_str() {
            Some(text) => candidates.insert(slot.field, text.to_owned()),
            // What is not known yet may well be another secret.
            None => return Question::Send,
        };
    }
    Question::Compare(candidates)
}

/// Returns whether secrets are to be sent to another server than so far, or to one that is not known yet.
fn moves(known: &Known<'_>) -> bool {
    let Some(address) = known.address else {
        return false;
    };
    let path = address.split('.').fold(Path::root(), Path::attribute);
    let (old, new) = (known.prior.at(&path), known.plan.at(&path));
    match (old.and_then(Value::as_str), new) {
        (Some(_), Some(Value::Unknown)) => true,
        (Some(old), Some(new)) => new.as_str().is_some_and(|new| !same_origin(old, new)),
        _ => false,
    }
}

/// Whether something with room for secrets is not known yet, so that nobody can say whether there will be some.
fn hides_room(attributes: &[Attribute], object: &Value) -> bool {
    attributes.iter().any(|attribute| {
        let Kind::Nested(_, inner) = &attribute.kind else {
            return false;
        };
        match object.get(&attribute.name) {
            Value::Unknown => has_room(inner),
            value => hides_room(inner, value),
        }
    })
}

fn has_room(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.kind {
        Kind::Nested(_, inner) => has_room(inner),
        Kind::Plain(_) => attribute.write_only,
    })
}

/// Returns where an object keeps secrets or refers to them: the fields with room for one, and each one's reference.
/// When these change, the engine forgets or reads anew, and the fingerprint changes with them.
fn places(attributes: &[Attribute], object: &Value) -> Vec<(String, Value)> {
    slots(attributes, object)
        .into_iter()
        .map(|slot| {
            let mut path = slot.path;
            let reference = match path.pop() {
                Some(Step::Attribute(name)) => object.at(&path.attribute(format!("{name}_ref"))).cloned(),
                _ => None,
            };
            (slot.field, reference.unwrap_or_default())
        })
        .collect()
}
