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

/// How the engine is let in to Zoom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authorization {
    /// By a Server-to-Server OAuth app: its client id and secret are enough.
    #[default]
    ServerToServer,
    /// By an account-level OAuth app (Zoom's general app, admin-managed): somebody opens `authorization_url` once and
    /// consents.
    AuthorizationCode,
}

/// Which of Zoom's clouds an account lives in.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Cloud {
    /// `zoom.us`.
    #[default]
    Commercial,
    /// `zoomgov.com`, Zoom for Government.
    Government,
}

/// One Zoom account to collect audit logs from, through an OAuth app of that account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// A friendly name, unique among sources; delivered with every event as `source_name`.
    pub name: String,
    /// How the engine is let in to Zoom: `server_to_server`, by a Server-to-Server OAuth app, or `authorization_code`,
    /// by an account-level OAuth app to which somebody consents once at `authorization_url`.
    #[serde(default)]
    pub authorization: Authorization,
    /// The Zoom account's id. Required with `server_to_server`, whose app shows it beside its client id. With
    /// `authorization_code` it may be left out, and then the account that consents first is the source's; where it is
    /// set, only that account may consent. Another account is another source, so changing it replaces the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-replace" = true))]
    pub account_id: Option<String>,
    /// With `authorization_code` and without `account_id`: whether a later consent may come from another Zoom account
    /// than the one before, whose logs the source collects from then on.
    #[serde(default)]
    pub allow_account_change: bool,
    /// Which of Zoom's clouds the account lives in: `commercial` (`zoom.us`) or `government` (`zoomgov.com`). An account
    /// of another cloud is another account, so changing it replaces the source.
    #[serde(default)]
    #[schemars(extend("x-replace" = true))]
    pub cloud: Cloud,
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
    /// this source waits for the next day. Zoom allows 30,000 on Pro and 60,000 on Business, for all apps together;
    /// where it says that it allows fewer than this, that holds. The engine's `zoom.daily_request_budget`, 10,000 by
    /// default, where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_request_budget: Option<u32>,
    /// The instant from which to collect, at most six months back; 24 hours before the source is created, where it is
    /// not set. Zoom's reports know whole days only, so collection begins at the start of that UTC day. Moving it
    /// back later collects the days that are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_from: Option<HumanInstant>,
    /// Whether the engine checks the credentials against Zoom before it accepts the source. With `authorization_code`
    /// there is nothing to check before somebody has consented.
    #[serde(default = "yes")]
    pub verify: bool,
    /// Raises an alarm when no events arrive for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_off_alarm: Option<DropOffAlarm>,
}

/// The log drop-off alarm. It is judged for each log type by itself, and tells whether Zoom is quiet, the collection is
/// broken, or a destination takes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropOffAlarm {
    /// How long a log type may stay without a new event, or a destination without taking one that waits for it, before
    /// the alarm is raised, from `15m` to `30d`.
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

    /// What the requests of the Zoom account are counted under: its id, or, where that is not set, the app, which is
    /// one account's unless it is published.
    pub fn account_key(&self) -> &str {
        self.account_id.as_deref().unwrap_or(&self.client_id)
    }

    /// Whether somebody has to consent before the source can be collected.
    pub fn needs_consent(&self) -> bool {
        self.authorization == Authorization::AuthorizationCode
    }

    /// The rules about which Zoom account the source is.
    fn check_account(&self, violations: &mut Vec<Violation>) {
        let mut broken = |field: &str, message: &str| violations.push(Violation::new(field, message));
        if !self.needs_consent() {
            if self.account_id.is_none() {
                broken(
                    "account_id",
                    "must be set with `authorization = \"server_to_server\"`: a Server-to-Server OAuth app shows it \
                     beside its client id",
                );
            }
            if self.allow_account_change {
                broken(
                    "allow_account_change",
                    "has a meaning only with `authorization = \"authorization_code\"`",
                );
            }
        } else if self.allow_account_change && self.account_id.is_some() {
            broken(
                "allow_account_change",
                "conflicts with `account_id`, which names the only account that may consent: leave one of them out",
            );
        }
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
        let ids = [
            ("account_id", self.account_id.as_ref()),
            ("client_id", Some(&self.client_id)),
        ];
        for (field, value) in ids.into_iter().filter_map(|(field, value)| Some((field, value?))) {
            if value.is_empty() || value.len() > 200 || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                violations.push(Violation::new(
                    field,
                    "must be 1 to 200 printable ASCII characters without spaces",
                ));
            }
        }
        self.check_account(&mut violations);
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn broken(more: Value) -> Vec<String> {
        let mut spec = json!({ "name": "n", "client_id": "c", "client_secret": "s" });
        if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
            spec.extend(more);
        }
        let spec: SourceSpec = serde_json::from_value(spec).unwrap();
        let violations = spec.validate(Timestamp::UNIX_EPOCH);
        violations.into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn an_account_is_named_unless_a_consent_names_it() {
        let code = "authorization_code";
        assert_eq!(broken(json!({})), ["account_id"]);
        assert_eq!(broken(json!({ "account_id": "a" })), [""; 0]);
        assert_eq!(broken(json!({ "authorization": code })), [""; 0]);
        assert_eq!(
            broken(json!({ "authorization": code, "account_id": "a b" })),
            ["account_id"]
        );
        let both = json!({ "authorization": code, "account_id": "a", "allow_account_change": true });
        assert_eq!(broken(both), ["allow_account_change"]);
        let alone = json!({ "account_id": "a", "allow_account_change": true });
        assert_eq!(broken(alone), ["allow_account_change"]);
        assert_eq!(
            broken(json!({ "authorization": code, "allow_account_change": true })),
            [""; 0]
        );
    }
}
