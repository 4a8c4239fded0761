//! What changes by itself: health, positions, alarms. Never part of a spec, so never a diff.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DestinationId, LogType};

/// How something is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Working.
    Ok,
    /// Nothing is known yet.
    Pending,
    /// Switched off by its spec.
    Disabled,
    /// Waiting for somebody to consent at `authorization_url`.
    PendingAuthorization,
    /// Waiting for the request budget of the Zoom account; not a failure.
    BudgetExhausted,
    /// Failing for a reason that may pass by itself.
    Degraded,
    /// Refused: somebody has to do something.
    Failing,
    /// What Zoom gave at the last consent is void: somebody has to consent again at `authorization_url`.
    ReauthorizationRequired,
}

/// How far the consent that a source with `authorization_code` needs has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// Nobody has consented yet.
    PendingAuthorization,
    /// Somebody has, and it holds as far as is known.
    Authorized,
    /// Zoom no longer honours it.
    ReauthorizationRequired,
}

/// The consent of a source with `authorization_code`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConsentStatus {
    /// How far it has come.
    pub state: Consent,
    /// The page of the engine at which to consent, now or again.
    pub authorization_url: String,
    /// The Zoom account that consented, where Zoom tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// When the last consent was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorized_at: Option<Timestamp>,
    /// When Zoom last renewed what it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshed_at: Option<Timestamp>,
    /// What is wrong with it, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// What is wrong, since when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trouble {
    /// The code of the error, such as `zoom_missing_scope`.
    pub code: String,
    /// What happened and what to do, in a sentence.
    pub detail: String,
    /// When it was first seen; nothing has succeeded since.
    pub since: Timestamp,
}

/// The state of a drop-off alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    /// Events arrive.
    Ok,
    /// No events for longer than the alarm allows.
    Alarm,
    /// Too early to tell.
    InsufficientData,
}

impl AlarmState {
    /// The word in the API, notices and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Alarm => "alarm",
            Self::InsufficientData => "insufficient_data",
        }
    }

    /// Reads the word that [`AlarmState::as_str`] writes.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Ok, Self::Alarm, Self::InsufficientData]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// The drop-off alarm of one feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlarmStatus {
    /// The alarm's state.
    pub state: AlarmState,
    /// When it came into this state.
    pub since: Timestamp,
    /// Why it is in this state, in words.
    pub cause: String,
}

/// How far one destination has a feed's events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FeedDelivery {
    /// The destination's id.
    pub destination_id: DestinationId,
    /// Events collected and not yet acknowledged by the destination.
    pub pending_events: u64,
    /// When the destination last acknowledged a batch of this feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivered_at: Option<Timestamp>,
    /// Events of this feed that the destination refused for good.
    pub dead_letters: u64,
    /// What is wrong with delivery, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// One log type of one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FeedStatus {
    /// The log type.
    pub log_type: LogType,
    /// How collection is doing.
    pub health: Health,
    /// What is wrong with collection, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// When Zoom was last asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_poll_at: Option<Timestamp>,
    /// When Zoom was last asked with success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<Timestamp>,
    /// When the last new event was collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_collected_at: Option<Timestamp>,
    /// The time of the newest event, as Zoom wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event_at: Option<Timestamp>,
    /// Everything that Zoom had published with an event time below this instant has been collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Timestamp>,
    /// How far collection is behind: the seconds since the watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<u64>,
    /// Events collected since the source was created.
    pub events: u64,
    /// The drop-off alarm, where the source has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<AlarmStatus>,
    /// Delivery, for each destination of the source.
    pub deliveries: Vec<FeedDelivery>,
}

/// A source's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceStatus {
    /// The source's id.
    pub source_id: String,
    /// The worst health of the source's log types.
    pub health: Health,
    /// Zoom requests that may still be made today for this account, over all its sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_remaining: Option<u64>,
    /// The consent, where the source needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentStatus>,
    /// Each log type of the source, by itself.
    pub feeds: Vec<FeedStatus>,
}

/// A destination's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DestinationStatus {
    /// The destination's id.
    pub destination_id: String,
    /// How delivery is doing.
    pub health: Health,
    /// What is wrong, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// Events not yet acknowledged, over all sources.
    pub pending_events: u64,
    /// Events refused for good, over all sources.
    pub dead_letters: u64,
    /// When the destination last acknowledged a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivered_at: Option<Timestamp>,
}

/// An alarm channel's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelStatus {
    /// The channel's id.
    pub alarm_channel_id: String,
    /// How sending is doing.
    pub health: Health,
    /// What is wrong, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// Notices not yet accepted by the channel.
    pub pending_notices: u64,
    /// When the channel last accepted a notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sent_at: Option<Timestamp>,
}

/// What keeps one log type of a source from being collected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FeedTrouble {
    /// The source's id.
    pub source_id: String,
    /// The log type.
    pub log_type: LogType,
    /// How collection is doing.
    pub health: Health,
    /// What is wrong, since when.
    pub trouble: Trouble,
}

/// What a check of one feed found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FeedCheck {
    /// The log type.
    pub log_type: LogType,
    /// What Zoom refuses, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// What a check of a source's access found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckReport {
    /// Whether every feed can be read.
    pub ok: bool,
    /// Each feed by itself.
    pub feeds: Vec<FeedCheck>,
}
