//! Backfills: older days of a source that are collected behind the tail.

use std::collections::BTreeSet;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{BackfillId, LogType, SourceId, SourceSpec, Violation};

/// A wish to collect a range of days. Where some of them were collected before, only what is missing is added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackfillRequest {
    /// The first UTC day, at most six months back.
    pub from: Date,
    /// The last UTC day; today at the latest.
    pub to: Date,
    /// Which reports; all that the source collects, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_types: Option<BTreeSet<LogType>>,
}

impl BackfillRequest {
    /// What is wrong with it at `now`.
    pub fn validate(&self, now: Timestamp) -> Vec<Violation> {
        let mut violations = Vec::new();
        let (oldest, today) = (SourceSpec::oldest_day(now), now.to_zoned(TimeZone::UTC).date());
        if self.from < oldest {
            let why = format!("is older than Zoom keeps: the oldest day is {oldest}");
            violations.push(Violation::new("from", why));
        }
        if self.to > today {
            let why = format!("lies in the future: today is {today} in UTC");
            violations.push(Violation::new("to", why));
        }
        if self.to < self.from {
            let why = format!("must not be before `from`, which is {}", self.from);
            violations.push(Violation::new("to", why));
        }
        if self.log_types.as_ref().is_some_and(BTreeSet::is_empty) {
            violations.push(Violation::new(
                "log_types",
                "must name at least one of `operation` and `activity`, or be left out",
            ));
        }
        violations
    }
}

/// How far a backfill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackfillState {
    /// All its days are collected.
    Done,
    /// It was ended before; what it collected stays.
    Cancelled,
    /// There are days left.
    Running,
}

impl BackfillState {
    /// The word in the API and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Running => "running",
        }
    }

    /// Reads the word that [`BackfillState::as_str`] writes.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Done, Self::Cancelled, Self::Running]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// A backfill's progress in one log type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackfillFeed {
    /// The log type.
    pub log_type: LogType,
    /// How far it is.
    pub state: BackfillState,
    /// How many days it has in all.
    pub days: u32,
    /// How many of them are complete.
    pub days_done: u32,
    /// Events that it added.
    pub events: u64,
    /// Pages that it read.
    pub pages: u64,
    /// Why it does not go on, where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// A backfill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackfillView {
    /// Its id.
    pub id: BackfillId,
    /// The source.
    pub source_id: SourceId,
    /// The first day, in UTC.
    pub from: Date,
    /// The last day.
    pub to: Date,
    /// `running` while any log type is.
    pub state: BackfillState,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Each log type by itself.
    pub feeds: Vec<BackfillFeed>,
}
