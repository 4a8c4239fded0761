//! A source: one Zoom account that is collected from.

use std::{collections::BTreeSet, time::Duration};

use jiff::{Timestamp, Unit, Zoned, civil::Date, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AlarmChannelId, DestinationId, HumanDuration, HumanInstant, Kind, LogType, Secret, SecretField, Spec,
    Violation,
    spec::{check_name, check_secrets},
};

/// One Zoom account to collect audit logs from, through a Server-to-Server OAuth app of that account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// A friendly name, unique among sources; delivered with every event as `source_name`.
    pub name: String,
    /// The Zoom account's id, as the Server-to-Server OAuth app shows it. Another account is another source, so
    /// changing it replaces the source.
    #[schemars(extend("x-replace" = true))]
    pub account_id: String,
    /// The OAuth app's client id.
    pub client_id: String,
    /// The OAuth app's client secret. Sealed by the engine and never shown again; `credential_fingerprint` tells
    /// whether it changed.
    #[serde(default, skip_serializing)]
    #[schemars(extend("x-secret" = true))]
    pub client_secret: Option<Secret>,
    /// Where the engine itself reads the client secret, instead of `client_secret`: `file:/run/secrets/zoom` or
    /// `env:NAME`. Read again whenever Zoom refuses the secret. Only the directories and variable prefixes that the
    /// engine's configuration names can be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<String>,
    /// Any text. When set, `client_secret` is sent only when this text changes or the stored secret was changed
    /// behind Terraform's back: for secrets that are generated anew at every run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_version: Option<String>,
    /// Which reports to collect: `operation` (admin activity), `activity` (sign-ins and sign-outs), or both.
    #[serde(default = "both_log_types")]
    #[schemars(extend("x-set" = true))]
    pub log_types: BTreeSet<LogType>,
    /// The destinations that receive this source's events.
    #[serde(default)]
    #[schemars(extend("x-set" = true))]
    pub destination_ids: BTreeSet<DestinationId>,
    /// Whether the source is polled. What was collected before is still delivered while it is off.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// How often Zoom is asked for new events, from `15s` to `24h`.
    #[serde(default = "one_minute")]
    pub poll_interval: HumanDuration,
    /// How far back the engine looks for rows that appear late, from `1h` to `7d`. The engine's `zoom.late_window`,
    /// `48h` by default, where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_window: Option<HumanDuration>,
    /// How often all of `late_window` is read again, from `1m` to `24h`. The engine's `zoom.sweep_interval`, `1h` by
    /// default, where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep_interval: Option<HumanDuration>,
    /// How many report requests of the Zoom account may be spent a UTC day, over all sources on that account, before
    /// this source waits for the next day. Zoom allows 30,000 on Pro and 60,000 on Business, for all apps together.
    /// The engine's `zoom.daily_request_budget`, 10,000 by default, where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_request_budget: Option<u32>,
    /// The instant from which to collect, at most six months back; 24 hours before the source is created, where it is
    /// not set. Zoom's reports know whole days only, so collection begins at the start of that UTC day. Moving it
    /// back later collects the days that are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_from: Option<HumanInstant>,
    /// Whether the engine checks the credentials against Zoom before it accepts the source.
    #[serde(default = "yes")]
    pub verify: bool,
    /// Raises an alarm when no events arrive for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_off_alarm: Option<DropOffAlarm>,
}

/// The log drop-off alarm. It is judged for each log type by itself, and tells whether Zoom is quiet or the
/// collection is broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropOffAlarm {
    /// How long a log type may stay without a new event before the alarm is raised, from `15m` to `30d`.
    pub after: HumanDuration,
    /// The alarm channels that are told.
    #[serde(default)]
    #[schemars(extend("x-set" = true))]
    pub channel_ids: BTreeSet<AlarmChannelId>,
}

fn both_log_types() -> BTreeSet<LogType> {
    LogType::ALL.into()
}

fn yes() -> bool {
    true
}

fn one_minute() -> HumanDuration {
    Duration::from_mins(1).into()
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl SourceSpec {
    /// The first UTC day that Zoom still has at `now`: its reports reach back six months.
    pub fn oldest_day(now: Timestamp) -> Date {
        let today = now.to_zoned(TimeZone::UTC).date();
        // One day inside Zoom's edge: a window that begins right on it is refused once midnight has passed.
        today
            .checked_sub(jiff::Span::new().months(6))
            .and_then(|edge| edge.checked_add(jiff::Span::new().days(1)))
            .unwrap_or(today)
    }

    /// The first UTC day to collect for a source that is created at `created`.
    pub fn start_day(&self, created: Timestamp) -> Date {
        let start: Zoned = match &self.start_from {
            Some(start) => start.get().to_zoned(TimeZone::UTC),
            None => created
                .to_zoned(TimeZone::UTC)
                .saturating_sub(jiff::SignedDuration::from_hours(24)),
        };
        start.date()
    }
}

impl Spec for SourceSpec {
    const KIND: Kind = Kind::Source;

    fn name(&self) -> &str {
        &self.name
    }

    fn secrets(&self) -> Vec<SecretField<'_>> {
        vec![SecretField {
            field: "client_secret",
            value: self.client_secret.as_ref(),
            reference: self.client_secret_ref.as_deref(),
            required: true,
        }]
    }

    fn references(&self) -> Vec<(&'static str, String)> {
        let destinations = self
            .destination_ids
            .iter()
            .map(|id| ("destination_ids", id.to_string()));
        let channels = self.drop_off_alarm.iter().flat_map(|alarm| &alarm.channel_ids);
        destinations
            .chain(channels.map(|id| ("drop_off_alarm.channel_ids", id.to_string())))
            .collect()
    }

    fn validate(&self, now: Timestamp) -> Vec<Violation> {
        let mut violations = Vec::new();
        check_name(&self.name, &mut violations);
        for (field, value) in [("account_id", &self.account_id), ("client_id", &self.client_id)] {
            if value.is_empty() || value.len() > 200 || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                violations.push(Violation::new(
                    field,
                    "must be 1 to 200 printable ASCII characters without spaces",
                ));
            }
        }
        check_secrets(self, &mut violations);
        if self.client_secret.as_ref().is_some_and(Secret::is_empty) {
            violations.push(Violation::new(
                "client_secret",
                "must not be empty: a source cannot work without it",
            ));
        }
        if self.log_types.is_empty() {
            violations.push(Violation::new(
                "log_types",
                "must name at least one of `operation` and `activity`",
            ));
        }
        let poll = self.poll_interval.get().as_secs();
        if !(15..=DAY).contains(&poll) {
            violations.push(Violation::new("poll_interval", "must be from `15s` to `24h`"));
        }
        for (field, value, allowed, words) in [
            (
                "late_window",
                &self.late_window,
                HOUR..=7 * DAY,
                "from `1h` to `7d`",
            ),
            (
                "sweep_interval",
                &self.sweep_interval,
                MINUTE..=DAY,
                "from `1m` to `24h`",
            ),
        ] {
            if value
                .as_ref()
                .is_some_and(|value| !allowed.contains(&value.get().as_secs()))
            {
                violations.push(Violation::new(field, format!("must be {words}")));
            }
        }
        if self
            .daily_request_budget
            .is_some_and(|budget| !(100..=10_000_000).contains(&budget))
        {
            violations.push(Violation::new(
                "daily_request_budget",
                "must be from 100 to 10000000: with less, one quiet report alone could not be polled all day",
            ));
        }
        if let Some(alarm) = &self.drop_off_alarm {
            let after = alarm.after.get();
            if after.as_secs() < 15 * MINUTE || after.as_secs() > 30 * DAY {
                violations.push(Violation::new(
                    "drop_off_alarm.after",
                    "must be from `15m` to `30d`",
                ));
            } else if after < self.poll_interval.get() * 2 {
                violations.push(Violation::new(
                    "drop_off_alarm.after",
                    "must be at least twice `poll_interval`: otherwise one late poll would raise the alarm",
                ));
            }
        }
        if let Some(start) = &self.start_from {
            if start.get().to_zoned(TimeZone::UTC).date() < Self::oldest_day(now) {
                violations.push(Violation::new(
                    "start_from",
                    format!(
                        "is older than Zoom keeps: the oldest day is {}",
                        Self::oldest_day(now)
                    ),
                ));
            } else if start.get()
                > now
                    .saturating_add(jiff::SignedDuration::from_hours(1))
                    .unwrap_or(now)
            {
                let now = now.round(Unit::Second).unwrap_or(now);
                violations.push(Violation::new(
                    "start_from",
                    format!("lies in the future: now is {now}"),
                ));
            }
        }
        violations
    }
}
