//! The catalog: what users declared, as text, with its sealed secrets and what it needs.
//!
//! The store knows nothing of what a spec means, except for the rows that follow from it (feeds, positions, lanes,
//! alarms): those are brought in line in the transaction that writes the spec, from the very text that is stored, so
//! that no crash and no race can part them.
//!
//! An object's generation grows with each change of its spec or of one of its secrets, and with nothing else.

mod read;
#[cfg(test)]
mod tests;
mod write;

use engine_api::Kind;
use jiff::Timestamp;

use super::secrets::SealedSecret;

/// A declared object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its id, with the prefix of its kind.
    pub id: String,
    /// Its kind.
    pub kind: Kind,
    /// Its name, unique within its kind.
    pub name: String,
    /// Grows with each change.
    pub generation: u64,
    /// The spec as JSON, without secrets.
    pub spec: String,
    /// The keyed fingerprint of all of its stored secrets; `None` where none is stored.
    pub fingerprint: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a write makes of an object.
#[derive(Debug, Clone)]
pub struct Content {
    /// The name that the spec holds.
    pub name: String,
    /// The spec as JSON, without secrets.
    pub spec: String,
    /// The keyed fingerprint of `secrets`.
    pub fingerprint: Option<String>,
    /// All of its secrets; those that are not here are forgotten. One that did not change keeps its sealed bytes.
    pub secrets: Vec<SealedSecret>,
    /// All that it needs.
    pub references: Vec<Reference>,
}

/// An object that a spec names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The field that names it.
    pub field: &'static str,
    /// The id that it names.
    pub id: String,
}

/// Makes a create that is sent twice one create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key that the caller chose.
    pub key: String,
    /// A keyed digest of the request's body.
    pub digest: Vec<u8>,
}

/// What a create made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// A new object.
    New(Object),
    /// Nothing: the same request made this object before. It is shown as it is now.
    Before(Object),
}

/// Why the catalog does not do what it was asked. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such object.
    Absent,
    /// Another object of the kind has the name.
    NameTaken {
        /// The id of that object.
        holder: String,
    },
    /// Objects that the spec names do not exist.
    UnknownReferences(Vec<Reference>),
    /// The idempotency key came with another body before.
    KeyReused,
    /// The object changed since it was read.
    Changed {
        /// The generation that it has now.
        generation: u64,
    },
    /// Others need the object.
    InUse {
        /// Some of them.
        by: Vec<Needs>,
        /// How many there are.
        count: u64,
    },
}

/// An object that needs another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

/// The kind's word in the tables.
fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Source => "source",
        Kind::Destination => "destination",
        Kind::AlarmChannel => "alarm_channel",
    }
}
