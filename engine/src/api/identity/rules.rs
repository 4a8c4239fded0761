//! What a trusted issuer's token must say: for whom it is, when it is good, and of whom it speaks.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::config::Issuer;

/// How far the issuer's clock may be off, in seconds.
const LEEWAY: f64 = 60.0;

/// The instants of a token's life; otherwise says what is wrong with them.
pub(super) fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<(), String> {
    let now = now.as_duration().as_secs_f64();
    let instant = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_f64()
            .map(Some)
            .ok_or_else(|| format!("its `{name}` is not a number")),
    };
    match instant("exp")? {
        None => return Err("it has no `exp`".to_owned()),
        Some(end) if end + LEEWAY <= now => return Err("it has expired".to_owned()),
        Some(_) => {}
    }
    for name in ["nbf", "iat"] {
        if instant(name)?.is_some_and(|begin| begin - LEEWAY > now) {
            return Err(format!("it is from the future (`{name}`): are the clocks right?"));
        }
    }
    Ok(())
}

/// Whether a rule takes a token; otherwise names the first claim that it does not take.
pub(super) fn takes<'a>(rule: &'a Issuer, claims: &Map<String, Value>) -> Result<(), &'a str> {
    if !texts(claims.get("aud")).contains(&rule.audience) {
        return Err("aud");
    }
    let one_of = |patterns: &[String], value: Option<&Value>| {
        let texts = texts(value);
        patterns
            .iter()
            .any(|pattern| texts.iter().any(|text| matches(pattern, text)))
    };
    if !one_of(&rule.subjects, claims.get("sub")) {
        return Err("sub");
    }
    for (name, patterns) in &rule.claims {
        if !one_of(patterns, claims.get(name)) {
            return Err(name);
        }
    }
    Ok(())
}

/// A claim as texts: itself, or each of its items.
fn texts(value: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(text).collect(),
        Some(value) => text(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Whether a text fits a pattern, in which `*` stands for any characters but a colon, and `**` for any at all.
///
/// Issuers put subjects together of parts between colons, and some parts are chosen by whoever may push a branch. A star
/// that ran over a colon would let such a part speak for the next one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Which beginnings of the pattern the text so far fits: a text of n characters takes n steps over the pattern.
    let mut fits = vec![false; pattern.len() + 1];
    fits[0] = true;
    skip_stars(&pattern, &mut fits);
    for character in text {
        let mut next = vec![false; pattern.len() + 1];
        for (at, fitting) in fits.iter().enumerate().filter(|(at, _)| *at < pattern.len()) {
            if !fitting {
                continue;
            }
            match pattern[at] {
                '*' if character != ':' || double(&pattern, at) => next[at] = true,
                '*' => {}
                wanted if wanted == character => next[at + 1] = true,
                _ => {}
            }
        }
        skip_stars(&pattern, &mut next);
        fits = next;
    }
    fits.last().copied().unwrap_or(false)
}

/// A star may stand for nothing.
fn skip_stars(pattern: &[char], fits: &mut [bool]) {
    for at in 0..pattern.len() {
        if fits[at] && pattern[at] == '*' {
            fits[at + 1] = true;
        }
    }
}

/// Whether the star here is one of two.
fn double(pattern: &[char], at: usize) -> bool {
    pattern.get(at + 1) == Some(&'*') || (at > 0 && pattern[at - 1] == '*')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine_api::Scope;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_star_stops_at_a_colon_and_two_do_not() {
        for (pattern, text, fits) in [
            ("repo:acme/infra:*", "repo:acme/infra:pull_request", true),
            ("repo:acme/infra:*", "repo:acme/infra:ref:refs/heads/main", false),
            ("repo:acme/infra:**", "repo:acme/infra:ref:refs/heads/main", true),
            (
                "repo:acme/*:ref:refs/heads/main",
                "repo:acme/a:ref:refs/heads/main",
                true,
            ),
            (
                "repo:acme/*:ref:refs/heads/main",
                "repo:acme/a:environment:x:ref:refs/heads/main",
                false,
            ),
            ("refs/heads/*", "refs/heads/feature/x", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("exact", "inexact", false),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
            ("**", "a:b", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
        // Neither stars nor length make it slow.
        assert!(!matches(&"*a".repeat(50), &"a".repeat(40)));
    }

    #[test]
    fn every_claim_of_a_rule_must_fit() {
        let rule = Issuer {
            name: "ci".to_owned(),
            issuer: "https://ci.example".to_owned(),
            audience: "logs".to_owned(),
            subjects: vec!["repo:acme/infra:*".to_owned()],
            claims: [
                (
                    "environment".to_owned(),
                    vec!["prod".to_owned(), "stage".to_owned()],
                ),
                ("protected".to_owned(), vec!["true".to_owned()]),
            ]
            .into(),
            scope: Scope::Write,
            max_ttl: Duration::from_mins(15),
        };
        let good = json!({ "aud": ["other", "logs"], "sub": "repo:acme/infra:x", "environment": "stage", "protected": true });
        let takes = |change: Value| {
            let mut claims = good.as_object().unwrap().clone();
            claims.extend(change.as_object().unwrap().clone());
            super::takes(&rule, &claims).map_err(ToOwned::to_owned)
        };
        assert_eq!(takes(json!({})), Ok(()));
        for (change, claim) in [
            (json!({ "aud": "other" }), "aud"),
            (json!({ "aud": null }), "aud"),
            (json!({ "aud": "log" }), "aud"),
            (json!({ "sub": "repo:acme/other:x" }), "sub"),
            (json!({ "sub": null }), "sub"),
            (json!({ "environment": "dev" }), "environment"),
            (json!({ "environment": ["dev"] }), "environment"),
            (json!({ "protected": "false" }), "protected"),
        ] {
            assert_eq!(takes(change.clone()), Err(claim.to_owned()), "{change}");
        }
    }

    #[test]
    fn a_token_is_good_in_its_time_with_a_minute_of_leeway() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let at = |seconds: i64| now.as_second() + seconds;
        let check = |claims: Value| check_times(claims.as_object().unwrap(), now);
        assert_eq!(check(json!({ "exp": at(1), "nbf": at(0), "iat": at(0) })), Ok(()));
        assert_eq!(
            check(json!({ "exp": at(-59), "nbf": at(59), "iat": at(59) })),
            Ok(())
        );
        for (claims, word) in [
            (json!({ "exp": at(-60) }), "expired"),
            (json!({ "exp": at(9), "nbf": at(61) }), "`nbf`"),
            (json!({ "exp": at(9), "iat": at(61) }), "`iat`"),
            (json!({}), "no `exp`"),
            (json!({ "exp": "soon" }), "not a number"),
        ] {
            let error = check(claims.clone()).unwrap_err();
            assert!(error.contains(word), "{claims}: {error}");
        }
    }
}
