//! Events that a destination refused for good.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DeadLetterId, DestinationId, LogType, SourceId};

/// An event that a destination refused for good, kept with its reason until it is replayed or its source or
/// destination is deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterView {
    /// The dead letter's id.
    pub id: DeadLetterId,
    /// The destination that refused it.
    pub destination_id: DestinationId,
    /// The source it was collected from.
    pub source_id: SourceId,
    /// The log type it belongs to.
    pub log_type: LogType,
    /// The event's own id, as in `zoom_log.id`.
    pub event_id: String,
    /// Why the destination refused it.
    pub reason: String,
    /// When it was refused last.
    pub refused_at: Timestamp,
    /// How often it was sent again since.
    pub replays: u32,
    /// The event as it was sent.
    pub event: serde_json::Value,
}

/// Which dead letters to send again. Without a filter, all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// Only those of this destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_id: Option<DestinationId>,
    /// Only those of this source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<SourceId>,
}

/// How many dead letters will be sent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayResult {
    /// Dead letters that are queued for their destination now.
    pub queued: u64,
}
