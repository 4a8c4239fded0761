//! What the API shows of an object.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ConsentStatus, Secret, SourceSpec};

/// An object as the engine holds it. Secrets are not in it; their fingerprint is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "View_{S}")]
pub struct View<S> {
    /// The object's id, with the prefix of its kind.
    pub id: String,
    /// Grows with each change of the spec; the object's `ETag`.
    pub generation: u64,
    /// What the user wrote, without secrets.
    pub spec: S,
    /// A keyed fingerprint of all the stored secrets of this object; absent where none is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_fingerprint: Option<String>,
    /// The consent, where the object is a source that needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentStatus>,
    /// When the object was created.
    pub created_at: Timestamp,
    /// When its spec or one of its secrets last changed.
    pub updated_at: Timestamp,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Items_{T}")]
pub struct Items<T> {
    /// The objects, ordered by id.
    pub items: Vec<T>,
    /// Pass it as `after` to get the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Asks whether candidates equal the stored secrets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareRequest {
    /// Candidate secrets by their field, such as `client_secret` or `http.basic.password`.
    pub secrets: BTreeMap<String, Secret>,
}

/// Says which candidates equal the stored secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompareResult {
    /// For each candidate, whether the stored secret has the same value. An empty candidate equals an absent secret.
    pub matches: BTreeMap<String, bool>,
    /// The fingerprint at the moment of the comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_fingerprint: Option<String>,
}

/// Asks the same of several objects of one kind at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareAllRequest {
    /// Up to 100 objects with their candidates.
    #[schemars(length(max = 100))]
    pub items: Vec<CompareItem>,
}

/// The most objects that one request compares.
pub const MOST_COMPARED: usize = 100;

/// An object and the candidates for its secrets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareItem {
    /// The object's id.
    pub id: String,
    /// Candidate secrets by their field, such as `client_secret` or `http.basic.password`.
    pub secrets: BTreeMap<String, Secret>,
}

/// Says of several objects which candidates equal the stored secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompareAllResult {
    /// One for each object that was asked about, in that order.
    pub items: Vec<ComparedItem>,
}

/// What was found about one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedItem {
    /// The object's id.
    pub id: String,
    /// Absent where the object does not exist, or too many wrong secrets of it were tried: asked for by itself, it has the
    /// reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<CompareResult>,
}

/// Asks whether the engine would accept a source's credentials, and stores nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceTrial {
    /// The source whose stored secret counts where `spec` has none; a new source, where it is left out.
    #[serde(default)]
    pub id: Option<String>,
    /// The source as it would be.
    pub spec: SourceSpec,
}

/// The engine: what it is, and what a Zoom app must know of it before any source exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EngineView {
    /// The id of the installation, kept with its store.
    pub engine_id: String,
    /// The version of the engine.
    pub version: String,
    /// The URL under which users reach the engine.
    pub public_url: String,
    /// Where Zoom sends the browser back to after a consent: the redirect URL and the allow-list entry of an
    /// account-level OAuth app.
    pub redirect_url: String,
}
