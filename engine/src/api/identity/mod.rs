//! The identity of a workload: a pipeline shows what its platform says of it, and gets a short-lived token for it.
//!
//! A token of the platform (a JSON Web Token) is good where its issuer is trusted, one of the issuer's keys signed it, it
//! is in its time, and a rule of the configuration takes its audience, its subject and its claims. The signature is
//! checked before any rule is, so a stranger learns nothing about the rules.

pub(super) mod jwt;
mod keys;
mod rules;

use engine_api::{Code, Scope, Secret};
use jiff::Timestamp;

use self::keys::{KeyRing, Verdict};
use super::failure::Failure;
use crate::{clock::Clock, config::Issuer, http::Http};

/// Longer names of issuers and subjects are not shown whole.
const LONGEST_SHOWN: usize = 200;

/// The issuers that are trusted, and their keys.
#[derive(Debug)]
pub(super) struct Identities {
    rules: Vec<Issuer>,
    keys: KeyRing,
}

/// A workload that was let in.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    /// The rule that took it.
    pub(super) rule: &'a Issuer,
    /// Of whom its token speaks.
    pub(super) subject: String,
}

impl Identities {
    pub(super) fn new(rules: Vec<Issuer>, http: Http, clock: Clock) -> Self {
        Self {
            keys: KeyRing::new(&rules, http, clock),
            rules,
        }
    }

    /// Lets a workload in, by the rule with the least scope that is enough where one is wanted, and else by the one with
    /// the most.
    pub(super) async fn admit(
        &self,
        token: &Secret,
        wanted: Option<Scope>,
        now: Timestamp,
    ) -> Result<Admitted<'_>, Failure> {
        if self.rules.is_empty() {
            return Err(refused(
                "this engine trusts no issuer: add one to `auth.issuers` in its configuration",
            ));
        }
        let token = jwt::read(token.expose().trim()).map_err(|why| {
            refused(format!(
                "`subject_token` is not a JSON Web Token that can be taken: {why}"
            ))
        })?;
        let claim = |name: &str| token.claims.get(name).and_then(serde_json::Value::as_str);
        let issuer = claim("iss").unwrap_or_default();
        let rules: Vec<_> = self.rules.iter().filter(|rule| rule.issuer == issuer).collect();
        if rules.is_empty() {
            return Err(refused(format!(
                "the issuer `{}` is not one that this engine trusts: add it to `auth.issuers` in its configuration",
                shown(issuer)
            )));
        }
        match self.keys.judge(issuer, &token).await {
            Verdict::Signed => {}
            Verdict::NotSigned => {
                return Err(refused("the token's signature fits none of its issuer's keys"));
            }
            Verdict::NoKeys(why) => {
                return Err(Failure::new(
                    Code::IssuerUnavailable,
                    format!("the keys of the issuer `{}` cannot be had: {why}", shown(issuer)),
                ));
            }
        }
        rules::check_times(&token.claims, now)
            .map_err(|why| refused(format!("the token of `{}` is not good: {why}", shown(issuer))))?;
        let subject = shown(claim("sub").unwrap_or_default());
        let judged: Vec<_> = rules
            .into_iter()
            .map(|rule| rules::takes(rule, &token.claims).map(|()| rule))
            .collect();
        let taken = judged.iter().filter_map(|judged| judged.as_ref().ok().copied());
        let enough = taken
            .clone()
            .filter(|rule| wanted.is_some_and(|wanted| rule.scope >= wanted));
        let rule = match wanted {
            Some(_) => enough.min_by_key(|rule| rule.scope),
            None => taken.clone().max_by_key(|rule| rule.scope),
        };
        if let Some(rule) = rule {
            return Ok(Admitted { rule, subject });
        }
        if let (Some(wanted), Some(most)) = (wanted, taken.map(|rule| rule.scope).max()) {
            return Err(Failure::at(
                Code::InsufficientScope,
                "scope",
                format!("the identity `{subject}` is good for the scope `{most}`, and not for `{wanted}`"),
            ));
        }
        let claims: Vec<_> = judged
            .iter()
            .filter_map(|judged| judged.as_ref().err())
            .map(|claim| format!("`{claim}`"))
            .collect();
        Err(refused(format!(
            "the identity `{subject}` of `{}` is verified, and no rule of `auth.issuers` takes it: see its {}",
            shown(issuer),
            claims.join(", ")
        )))
    }
}

fn refused(detail: impl Into<String>) -> Failure {
    Failure::new(Code::IdentityRefused, detail)
}

/// What a caller wrote, in a form that a text can hold.
fn shown(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(LONGEST_SHOWN)
        .collect()
}
