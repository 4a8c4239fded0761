//! The audit log: who changed what, when, and from what to what.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Identity, TokenId};

/// One change, or one use of a token that sets something going. It is written in the transaction of the change itself, so
/// there is none without the other, and never altered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Grows with each entry; none is used twice.
    pub number: u64,
    /// When it happened, by the engine's clock.
    pub at: Timestamp,
    /// What was done: the kind of object, a dot, and a verb, such as `destination.update`.
    pub action: String,
    /// To which object, by its id; absent where it was to several at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Who did it.
    pub actor: Actor,
    /// The request that it was done by, as the engine's log and every answer name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What the object was before, without secrets; absent where it was not, or what was done changes no object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it is from then on, or what was asked for, without secrets. A secret that changed shows in
    /// `credential_fingerprint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What somebody acted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// The admin token of the file.
    AdminToken,
    /// A token that the engine made.
    Token,
    /// What a platform says of a workload, before it has a token.
    Workload,
    /// A browser that came back from Zoom's consent page.
    Browser,
    /// A command on the engine's own machine.
    Command,
}

/// Somebody who acted, as far as the engine knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// What they acted with.
    pub kind: ActorKind,
    /// The token, where they acted with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    /// The name of the token, or of the rule that let the workload in.
    pub name: String,
    /// The workload that the token was given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The address that the request came from; behind a proxy, the proxy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// Which entries of the audit log to show. All that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Only what was done to this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Only what was done with this token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    /// Only this, such as `destination.update`, or all of one kind, such as `destination`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Only from this instant on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only what is older than this entry: `next` of the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// How many entries a page has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}
