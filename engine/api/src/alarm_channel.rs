//! An alarm channel: where alarms are sent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Kind, Secret, SecretField, Spec, Violation,
    spec::{check_header_name, check_header_value, check_name, check_secrets, check_url},
};

/// Where alarms and recovery notices are sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlarmChannelSpec {
    /// A friendly name, unique among alarm channels.
    pub name: String,
    /// Sends each notice as one JSON `POST`. So far the only kind of channel, so it must be set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<AlarmWebhook>,
    /// Any text. When set, the secrets of this channel are sent only when this text changes or a stored secret was
    /// changed behind Terraform's back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_version: Option<String>,
}

/// A webhook that takes alarms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlarmWebhook {
    /// The webhook's URL, without credentials.
    pub url: String,
    /// Headers to send beside the engine's own. Not for credentials.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Sent as `Authorization: Bearer …`.
    #[serde(default, skip_serializing)]
    #[schemars(extend("x-secret" = true))]
    pub bearer_token: Option<Secret>,
    /// Where the engine itself reads the bearer token: `file:/…` or `env:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token_ref: Option<String>,
    /// Signs every notice by the Standard Webhooks convention (HMAC-SHA256; headers `webhook-id`,
    /// `webhook-timestamp`, `webhook-signature`). A text that begins with `whsec_` is decoded from base64, any other
    /// is used as it is.
    #[serde(default, skip_serializing)]
    #[schemars(extend("x-secret" = true))]
    pub signing_secret: Option<Secret>,
    /// Where the engine itself reads the signing secret: `file:/…` or `env:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret_ref: Option<String>,
}

impl Spec for AlarmChannelSpec {
    const KIND: Kind = Kind::AlarmChannel;
    const ADDRESS: Option<&'static str> = Some("webhook.url");

    fn address(&self) -> Option<&str> {
        self.webhook.as_ref().map(|webhook| &*webhook.url)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn secrets(&self) -> Vec<SecretField<'_>> {
        let Some(webhook) = &self.webhook else {
            return Vec::new();
        };
        vec![
            SecretField {
                field: "webhook.bearer_token",
                value: webhook.bearer_token.as_ref(),
                reference: webhook.bearer_token_ref.as_deref(),
                required: false,
            },
            SecretField {
                field: "webhook.signing_secret",
                value: webhook.signing_secret.as_ref(),
                reference: webhook.signing_secret_ref.as_deref(),
                required: false,
            },
        ]
    }

    fn references(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn validate(&self, _now: Timestamp) -> Vec<Violation> {
        let mut violations = Vec::new();
        check_name(&self.name, &mut violations);
        check_secrets(self, &mut violations);
        match &self.webhook {
            None => violations.push(Violation::new("webhook", "must be set")),
            Some(webhook) => {
                check_url("webhook.url", &webhook.url, &mut violations);
                for (name, value) in &webhook.headers {
                    check_header_name("webhook.headers", name, &mut violations);
                    check_header_value(&format!("webhook.headers.{name}"), value, &mut violations);
                }
            }
        }
        violations
    }
}
