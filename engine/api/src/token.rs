//! Tokens for the engine's API: what they may do, and for how long.

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::{HumanDuration, HumanInstant, Secret, TokenId, Violation, spec::check_name};

/// The shortest and the longest life that can be asked for.
const LIFE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_hours(24 * 3_660));

/// What a token may do. Each scope holds those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// See everything but secrets, and compare candidates with stored secrets: enough for `terraform plan`.
    Read,
    /// Change what is collected and where it goes: what `terraform apply` needs.
    Write,
    /// See and revoke every token, and make tokens that outlive their maker.
    Admin,
}

impl Scope {
    /// All scopes, from the least.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The word in the API, the configuration and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// Reads the word that [`Scope::as_str`] writes.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A wish for a token. With an `admin` token it may be of any scope, and last for ever where neither `expires_at` nor
/// `ttl` is given. Any other token makes tokens of at most its own scope, which end with it at the latest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What it is for; shown in lists and in the audit log. Several tokens may have the same name.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it ends, in RFC 3339. Conflicts with `ttl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<HumanInstant>,
    /// How long it lasts from now, such as `15m`. Conflicts with `expires_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<HumanDuration>,
}

impl TokenRequest {
    /// What is wrong with it at `now`.
    pub fn validate(&self, now: Timestamp) -> Vec<Violation> {
        let mut violations = Vec::new();
        check_name(&self.name, &mut violations);
        if self.ttl.is_some() && self.expires_at.is_some() {
            violations.push(Violation::new(
                "ttl",
                "conflicts with `expires_at`: give one of the two",
            ));
        }
        if self.expires_at.as_ref().is_some_and(|end| end.get() <= now) {
            violations.push(Violation::new(
                "expires_at",
                format!("must lie in the future; at the engine it is {now}"),
            ));
        }
        violations.extend(self.ttl.as_ref().and_then(check_ttl));
        violations
    }

    /// When the token is to end, where it is to end at all.
    pub fn end(&self, now: Timestamp) -> Option<Timestamp> {
        let by_ttl = self.ttl.as_ref().map(|ttl| after(now, ttl));
        by_ttl.or_else(|| self.expires_at.as_ref().map(HumanInstant::get))
    }
}

/// A wish that a token lasts longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// How long it is to last from now.
    pub ttl: HumanDuration,
}

impl RenewRequest {
    /// What is wrong with it.
    pub fn validate(&self) -> Vec<Violation> {
        check_ttl(&self.ttl).into_iter().collect()
    }

    /// When the token is to end.
    pub fn end(&self, now: Timestamp) -> Timestamp {
        after(now, &self.ttl)
    }
}

fn check_ttl(ttl: &HumanDuration) -> Option<Violation> {
    let good = (LIFE.0..=LIFE.1).contains(&ttl.get());
    (!good).then(|| Violation::new("ttl", "must be from `10s` to `3660d`"))
}

fn after(now: Timestamp, ttl: &HumanDuration) -> Timestamp {
    let length = SignedDuration::try_from(ttl.get()).unwrap_or(SignedDuration::MAX);
    now.saturating_add(length).unwrap_or(Timestamp::MAX)
}

/// A token as it is listed. Its text is not in it, and cannot be had again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    /// The token's id, which is also a part of its text.
    pub id: TokenId,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// The token that made it; absent where the admin token did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<TokenId>,
    /// The workload that it was given to; absent where it was made with another token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// When it ends by itself; absent where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was used last, within five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked; absent where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// A workload, as the platform that it runs on knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// The platform.
    pub issuer: String,
    /// The platform's name for the workload.
    pub subject: String,
}

/// Asks for a token in exchange for what a platform says of a workload. The members are those of RFC 8693, as JSON.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRequest {
    /// The JSON Web Token that the platform gave to the workload.
    #[schemars(extend("writeOnly" = true))]
    pub subject_token: Secret,
    /// What the token has to be good for; as much as the engine's rules give, where it is left out.
    #[serde(default)]
    pub scope: Option<Scope>,
    /// How long it is wanted for, such as `10m`; as long as the engine's rules give, where it is left out.
    #[serde(default)]
    pub ttl: Option<HumanDuration>,
}

impl ExchangeRequest {
    /// What is wrong with it.
    pub fn validate(&self) -> Vec<Violation> {
        self.ttl.as_ref().and_then(check_ttl).into_iter().collect()
    }
}

/// What is given in exchange: a short-lived token. The members are those of RFC 8693, and the token's id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExchangedToken {
    /// The text to send as `Authorization: Bearer …`. The engine keeps only a digest of it.
    #[serde(serialize_with = "shown_once")]
    pub access_token: Secret,
    /// Always `urn:ietf:params:oauth:token-type:access_token`.
    pub issued_token_type: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// In how many seconds it ends.
    pub expires_in: u64,
    /// What it may do.
    pub scope: Scope,
    /// Its id, under which it is listed, and can be revoked.
    pub id: TokenId,
}

/// A token that was made just now: the only time that its text is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewToken {
    /// The text to send as `Authorization: Bearer …`. The engine keeps only a digest of it.
    #[serde(serialize_with = "shown_once")]
    pub token: Secret,
    /// The token as it is listed from now on.
    #[serde(flatten)]
    pub view: TokenView,
}

/// The one secret that an answer holds, since nobody has it yet.
fn shown_once<S: Serializer>(token: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> TokenRequest {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn scopes_hold_those_before_them_and_are_read_back() {
        assert!(Scope::Read < Scope::Write && Scope::Write < Scope::Admin);
        for scope in Scope::ALL {
            assert_eq!(Scope::from_word(scope.as_str()), Some(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
    }

    #[test]
    fn a_token_ends_when_its_request_says() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let end = |text| request(text).end(now).map(|end| end.to_string());
        assert_eq!(end(r#"{"name": "ci", "scope": "read"}"#), None);
        assert_eq!(
            end(r#"{"name": "ci", "scope": "read", "ttl": "15m"}"#).as_deref(),
            Some("2026-01-31T12:15:00Z")
        );
        assert_eq!(
            end(r#"{"name": "ci", "scope": "read", "expires_at": "2026-02-01T00:00:00+01:00"}"#).as_deref(),
            Some("2026-01-31T23:00:00Z")
        );
    }

    #[test]
    fn what_is_wrong_is_told_at_its_field() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        for (text, fields) in [
            (r#"{"name": "ci", "scope": "read", "ttl": "1s"}"#, vec!["ttl"]),
            (r#"{"name": "ci", "scope": "read", "ttl": "4000d"}"#, vec!["ttl"]),
            (r#"{"name": " ", "scope": "read"}"#, vec!["name"]),
            (
                r#"{"name": "ci", "scope": "read", "expires_at": "2026-01-31T12:00:00Z"}"#,
                vec!["expires_at"],
            ),
            (
                r#"{"name": "ci", "scope": "read", "expires_at": "2027-01-31T12:00:00Z", "ttl": "1h"}"#,
                vec!["ttl"],
            ),
            (r#"{"name": "ci", "scope": "admin", "ttl": "1h"}"#, vec![]),
        ] {
            let violations = request(text).validate(now);
            let found: Vec<_> = violations.iter().map(|violation| &*violation.field).collect();
            assert_eq!(found, fields, "{text}");
        }
    }
}
