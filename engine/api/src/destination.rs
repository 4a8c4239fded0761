//! A destination: where events are written.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    HumanDuration, Kind, LogType, Secret, SecretField, Spec, Violation,
    label::{UNCLASSIFIED, check_label},
    spec::{check_header_name, check_header_value, check_name, check_secrets, check_url},
};

/// Where events are written. Exactly one of `file` and `http` is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationSpec {
    /// A friendly name, unique among destinations.
    pub name: String,
    /// Appends to a file on the engine's machine, one line of JSON an event (NDJSON).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileDestination>,
    /// Sends batches of events by HTTP `POST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpDestination>,
    /// Whether each event carries the object `zoom_log` (id, source, labels, times) beside Zoom's own fields. When
    /// `false`, Zoom's row is delivered alone, byte for byte.
    #[serde(default = "yes")]
    pub metadata: bool,
    /// Whether this destination also gets the engine's own audit log: who changed what, from now on, each entry as one
    /// event whose `zoom_log.log_type` is `ZoomLogEngine.Audit`. `only` does not act on it.
    #[serde(default)]
    pub audit_log: bool,
    /// Delivers a subset only. This is the one place where an event is left out on purpose: without it, a destination
    /// gets every event of its sources. What is left out stays in the engine's log like any other event, and is not
    /// delivered later; a change acts on events that are not yet delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Only>,
    /// Any text. When set, the secrets of this destination are sent only when this text changes or a stored secret
    /// was changed behind Terraform's back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_version: Option<String>,
}

/// Which events a destination gets: those that fit all that is set here, at least one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Only {
    /// Events of these log types: `operation` (admin activity), `activity` (sign-ins and sign-outs). Both, where it is
    /// not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-set" = true))]
    pub log_types: Option<BTreeSet<LogType>>,
    /// Events with at least one of these labels: `account_settings`, `role_and_license`, `billing`, `sso`,
    /// `unclassified`, or one of a rule in the engine's configuration. Any, where it is not set. An event is labelled
    /// when it is collected. Sign-ins are `unclassified`, so naming the other labels leaves them out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-set" = true))]
    pub labels: Option<BTreeSet<String>>,
}

impl Only {
    /// Whether a destination gets an event of this log type with these labels, which are separated by commas.
    pub fn admits(&self, log_type: LogType, labels: &str) -> bool {
        let of_type = self
            .log_types
            .as_ref()
            .is_none_or(|wanted| wanted.contains(&log_type));
        let labelled = |wanted: &BTreeSet<String>| labels.split(',').any(|label| wanted.contains(label));
        of_type && self.labels.as_ref().is_none_or(labelled)
    }

    fn validate(&self, violations: &mut Vec<Violation>) {
        if self.log_types.is_none() && self.labels.is_none() {
            violations.push(Violation::new(
                "only",
                "names neither `log_types` nor `labels`: set one of them, or leave `only` out to deliver everything",
            ));
        }
        for (field, empty) in [
            (
                "only.log_types",
                self.log_types.as_ref().is_some_and(BTreeSet::is_empty),
            ),
            (
                "only.labels",
                self.labels.as_ref().is_some_and(BTreeSet::is_empty),
            ),
        ] {
            if empty {
                violations.push(Violation::new(
                    field,
                    "is empty, which would leave out every event: name at least one, or leave it out to allow all",
                ));
            }
        }
        for label in self
            .labels
            .iter()
            .flatten()
            .filter(|label| *label != UNCLASSIFIED)
        {
            if let Err(message) = check_label(label) {
                violations.push(Violation::new(
                    "only.labels",
                    format!("`{label}` is not a label: it {message}"),
                ));
            }
        }
    }
}

/// One line of JSON an event (NDJSON), appended to a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDestination {
    /// The file. A relative path is taken from the first of the engine's file roots; an absolute one must lie under
    /// one of them. Directories on the way are made.
    pub path: String,
}

/// An HTTP endpoint that takes batches of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpDestination {
    /// The endpoint's URL, without credentials.
    pub url: String,
    /// How the events of a batch are put into the body: `ndjson` (one line an event) or `json_array`.
    #[serde(default)]
    pub format: BodyFormat,
    /// How the body is compressed: `none` or `gzip`.
    #[serde(default)]
    pub compression: Compression,
    /// Headers to send beside the engine's own. Not for credentials.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Sent as `Authorization: Bearer …`. Not together with `basic`.
    #[serde(default, skip_serializing)]
    #[schemars(extend("x-secret" = true))]
    pub bearer_token: Option<Secret>,
    /// Where the engine itself reads the bearer token: `file:/…` or `env:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_ref: Option<String>,
    /// Sent as `Authorization: Basic …`. Not together with `bearer_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuth>,
    /// A header whose value is a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_header: Option<SecretHeader>,
    /// Signs every request by the Standard Webhooks convention (HMAC-SHA256; headers `webhook-id`,
    /// `webhook-timestamp`, `webhook-signature`). A text that begins with `whsec_` is decoded from base64, any other
    /// is used as it is.
    #[serde(default, skip_serializing)]
    #[schemars(extend("x-secret" = true))]
    pub signing_secret: Option<Secret>,
    /// Where the engine itself reads the signing secret: `file:/…` or `env:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret_ref: Option<String>,
    /// When a batch is full and sent: at the first bound that is reached.
    #[serde(default)]
    pub batch: Batch,
    /// How long one request may take, from `1s` to `5m`.
    #[serde(default = "half_a_minute")]
    pub timeout: HumanDuration,
}

/// HTTP basic authentication.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The user's name.
    pub username: String,
    /// The password.
    #[serde(default, skip_serializing)]
    #[schemars(extend("x-secret" = true))]
    pub password: Option<Secret>,
    /// Where the engine itself reads the password: `file:/…` or `env:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_ref: Option<String>,
}

/// A header whose value is a secret, such as an API key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretHeader {
    /// The header's name, such as `x-api-key`.
    pub name: String,
    /// The header's value.
    #[serde(default, skip_serializing)]
    #[schemars(extend("x-secret" = true))]
    pub value: Option<Secret>,
    /// Where the engine itself reads the value: `file:/…` or `env:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_ref: Option<String>,
}

/// When a batch is full and sent: at the first bound that is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Events in a batch, from 1 to 10000.
    #[serde(default = "default_max_events")]
    pub max_events: u32,
    /// Bytes in a batch before compression, from 1024 to 10485760. A single event that is larger is sent by itself.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: u32,
    /// How long an event may wait for others, up to `5m`.
    #[serde(default = "one_second")]
    pub max_age: HumanDuration,
}

/// How the events of a batch are put into one body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// One line an event.
    #[default]
    Ndjson,
    /// One JSON array.
    JsonArray,
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// `Content-Encoding: gzip`.
    Gzip,
}

fn yes() -> bool {
    true
}

fn half_a_minute() -> HumanDuration {
    Duration::from_secs(30).into()
}

fn one_second() -> HumanDuration {
    Duration::from_secs(1).into()
}

fn default_max_events() -> u32 {
    500
}

fn default_max_bytes() -> u32 {
    1_000_000
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            max_events: default_max_events(),
            max_bytes: default_max_bytes(),
            max_age: one_second(),
        }
    }
}

impl HttpDestination {
    fn validate(&self, violations: &mut Vec<Violation>) {
        check_url("http.url", &self.url, violations);
        for (name, value) in &self.headers {
            check_header_name("http.headers", name, violations);
            check_header_value(&format!("http.headers.{name}"), value, violations);
        }
        let credentials = [
            self.bearer_token.as_ref().is_some_and(|token| !token.is_empty())
                || self.bearer_token_ref.is_some(),
            self.basic.is_some(),
            self.secret_header
                .as_ref()
                .is_some_and(|header| header.name.eq_ignore_ascii_case("authorization")),
        ];
        if credentials.into_iter().filter(|&set| set).count() > 1 {
            violations.push(Violation::new(
                "http",
                "has several credentials for the header `Authorization`: keep one of `bearer_token` and `basic`",
            ));
        }
        if let Some(basic) = &self.basic
            && (basic.username.contains(':') || basic.username.chars().any(char::is_control))
        {
            violations.push(Violation::new(
                "http.basic.username",
                "must hold neither `:` nor control characters: the header could not be read back",
            ));
        }
        if let Some(header) = &self.secret_header {
            check_header_name("http.secret_header.name", &header.name, violations);
        }
        if !(1..=10_000).contains(&self.batch.max_events) {
            violations.push(Violation::new("http.batch.max_events", "must be from 1 to 10000"));
        }
        if !(1_024..=10_485_760).contains(&self.batch.max_bytes) {
            violations.push(Violation::new(
                "http.batch.max_bytes",
                "must be from 1024 to 10485760",
            ));
        }
        if self.batch.max_age.get() > Duration::from_mins(5) {
            violations.push(Violation::new("http.batch.max_age", "must be at most `5m`"));
        }
        let timeout = self.timeout.get();
        if timeout < Duration::from_secs(1) || timeout > Duration::from_mins(5) {
            violations.push(Violation::new("http.timeout", "must be from `1s` to `5m`"));
        }
    }
}

impl Spec for DestinationSpec {
    const KIND: Kind = Kind::Destination;
    const ADDRESS: Option<&'static str> = Some("http.url");

    fn address(&self) -> Option<&str> {
        self.http.as_ref().map(|http| &*http.url)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn secrets(&self) -> Vec<SecretField<'_>> {
        let Some(http) = &self.http else { return Vec::new() };
        let mut secrets = vec![
            SecretField {
                field: "http.bearer_token",
                value: http.bearer_token.as_ref(),
                reference: http.bearer_token_ref.as_deref(),
                required: false,
            },
            SecretField {
                field: "http.signing_secret",
                value: http.signing_secret.as_ref(),
                reference: http.signing_secret_ref.as_deref(),
                required: false,
            },
        ];
        secrets.extend(http.basic.as_ref().map(|basic| SecretField {
            field: "http.basic.password",
            value: basic.password.as_ref(),
            reference: basic.password_ref.as_deref(),
            required: true,
        }));
        secrets.extend(http.secret_header.as_ref().map(|header| SecretField {
            field: "http.secret_header.value",
            value: header.value.as_ref(),
            reference: header.value_ref.as_deref(),
            required: true,
        }));
        secrets
    }

    fn references(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn validate(&self, _now: Timestamp) -> Vec<Violation> {
        let mut violations = Vec::new();
        check_name(&self.name, &mut violations);
        check_secrets(self, &mut violations);
        if let Some(only) = &self.only {
            only.validate(&mut violations);
        }
        match (&self.file, &self.http) {
            (Some(_), Some(_)) => {
                violations.push(Violation::new(
                    "http",
                    "conflicts with `file`: a destination is one of the two",
                ));
            }
            (None, None) => {
                violations.push(Violation::new("", "one of `file` and `http` must be set"));
            }
            (Some(file), None) => {
                let climbs = file.path.split('/').any(|part| part == "..");
                if file.path.is_empty() || file.path.ends_with('/') || climbs || file.path.contains('\0') {
                    violations.push(Violation::new(
                        "file.path",
                        "must name a file, without `..` on the way",
                    ));
                }
            }
            (None, Some(http)) => http.validate(&mut violations),
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn only(only: &serde_json::Value) -> DestinationSpec {
        serde_json::from_value(json!({ "name": "lake", "file": { "path": "lake" }, "only": only })).unwrap()
    }

    #[test]
    fn a_subset_names_log_types_or_labels_and_neither_is_empty() {
        let now = Timestamp::UNIX_EPOCH;
        for (spec, fields) in [
            (json!({ "log_types": ["operation"] }), &[][..]),
            (
                json!({ "labels": ["sso", "unclassified", "privileged_user"] }),
                &[],
            ),
            (json!({}), &["only"]),
            (
                json!({ "log_types": [], "labels": [] }),
                &["only.log_types", "only.labels"],
            ),
            (
                json!({ "labels": ["SSO", "a,b", "sso"] }),
                &["only.labels", "only.labels"],
            ),
        ] {
            let violations = only(&spec).validate(now);
            let told: Vec<_> = violations
                .iter()
                .map(|violation| violation.field.as_str())
                .collect();
            assert_eq!(told, fields, "{spec}");
        }
        let unknown = json!({ "name": "x", "only": { "log_types": ["operations"] } });
        let error = serde_json::from_value::<DestinationSpec>(unknown).unwrap_err();
        assert!(error.to_string().contains("`operation` or `activity`"), "{error}");
    }

    #[test]
    fn an_event_must_fit_all_that_is_set() {
        let admits =
            |spec: serde_json::Value, log_type, labels| only(&spec).only.unwrap().admits(log_type, labels);
        let sso = || json!({ "labels": ["sso", "billing"] });
        assert!(admits(sso(), LogType::Operation, "account_settings,sso"));
        assert!(!admits(sso(), LogType::Operation, "account_settings,sso_mapping"));
        assert!(!admits(sso(), LogType::Activity, "unclassified"));
        let activity = || json!({ "log_types": ["activity"] });
        assert!(admits(activity(), LogType::Activity, "unclassified"));
        assert!(!admits(activity(), LogType::Operation, "sso"));
        let both = || json!({ "log_types": ["operation"], "labels": ["unclassified"] });
        assert!(admits(both(), LogType::Operation, "unclassified"));
        assert!(!admits(both(), LogType::Activity, "unclassified"));
    }
}
