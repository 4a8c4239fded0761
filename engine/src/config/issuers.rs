//! What `[[auth.issuers]]` means: whose word about a workload is taken, and what it is good for.

use std::{collections::BTreeMap, time::Duration};

use engine_api::{HumanDuration, Scope};
use serde::Deserialize;
use serde_json::Value as Json;
use url::{Host, Url};

use super::{Place, Problem, RawConfig, raw::Value, tables::Table};

const ISSUERS: &str = "auth.issuers";
const USUAL_TTL: Duration = Duration::from_hours(1);
const LONGEST_TTL: Duration = Duration::from_hours(24);
const SHORTEST_TTL: Duration = Duration::from_mins(1);

/// An issuer whose word about a workload is taken, and the workloads that this rule lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// What tokens by this rule are called.
    pub name: String,
    /// The issuer, exactly as its tokens name it; its discovery document lies below this URL.
    pub issuer: String,
    /// The audience that its tokens must be for.
    pub audience: String,
    /// Patterns for the subject, of which one must fit.
    pub subjects: Vec<String>,
    /// Patterns for other claims, of which one each must fit.
    pub claims: BTreeMap<String, Vec<String>>,
    /// What the tokens may do that are given for it.
    pub scope: Scope,
    /// How long they last at most.
    pub max_ttl: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    issuer: String,
    audience: String,
    subjects: Vec<String>,
    #[serde(default)]
    claims: BTreeMap<String, OneOrMore>,
    scope: Scope,
    max_ttl: Option<HumanDuration>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Whether credentials and keys may travel to and from a URL; otherwise says why not, to stand behind its name.
///
/// # Errors
///
/// Where it is neither `https` nor `http` to this very machine.
pub fn safe_for_credentials(url: &Url) -> Result<(), &'static str> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(url) => Ok(()),
        _ => Err("must begin with `https://`; `http://` is for loopback addresses only"),
    }
}

/// Whether a URL names this very machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Reads the list; `None`, and at least one problem, where something is wrong.
pub(super) fn read(raw: &RawConfig, problems: &mut Vec<Problem>) -> Option<Vec<Issuer>> {
    let written = raw.get(ISSUERS);
    let Value::Tables(tables) = written.value else {
        return None;
    };
    let read: Vec<_> = tables
        .iter()
        .enumerate()
        .map(|(number, table)| issuer(number, table, &written.place, problems))
        .collect();
    read.into_iter().collect()
}

fn issuer(number: usize, table: &Table, around: &Place, problems: &mut Vec<Problem>) -> Option<Issuer> {
    let before = problems.len();
    let mut told = |field: &str, message: String| {
        let path = match field {
            "" => format!("{ISSUERS}[{number}]"),
            field => format!("{ISSUERS}[{number}].{field}"),
        };
        problems.push(Problem {
            place: table.place(field).unwrap_or(around).clone(),
            path,
            message,
        });
    };
    let written: Written = match serde_path_to_error::deserialize(Json::Object(table.members.clone())) {
        Ok(written) => written,
        Err(error) => {
            let path = error.path().to_string();
            told(path.trim_matches('.'), error.into_inner().to_string());
            return None;
        }
    };
    if written.name.trim().is_empty() || written.name.chars().count() > 100 {
        told("name", "must be 1 to 100 characters".to_owned());
    }
    match written.issuer.parse::<Url>() {
        Ok(url) if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() => {
            told(
                "issuer",
                "must hold neither credentials nor a query nor a fragment".to_owned(),
            );
        }
        Ok(url) => {
            if let Err(why) = safe_for_credentials(&url) {
                told("issuer", why.to_owned());
            }
        }
        Err(_) => told(
            "issuer",
            "must be a URL, such as `https://token.actions.githubusercontent.com`".to_owned(),
        ),
    }
    if written.audience.is_empty() {
        told(
            "audience",
            "must not be empty: a token for anybody would be taken".to_owned(),
        );
    }
    if written.subjects.is_empty()
        || written
            .subjects
            .iter()
            .any(|pattern| pattern.trim_matches('*').is_empty())
    {
        told(
            "subjects",
            "must hold at least one pattern, and none that fits everybody whom the issuer knows".to_owned(),
        );
    }
    let claims: BTreeMap<String, Vec<String>> = written
        .claims
        .into_iter()
        .map(|(name, patterns)| match patterns {
            OneOrMore::One(pattern) => (name, vec![pattern]),
            OneOrMore::More(patterns) => (name, patterns),
        })
        .collect();
    if let Some(name) = claims
        .iter()
        .find(|(_, patterns)| patterns.is_empty())
        .map(|(name, _)| name)
    {
        told(
            "claims",
            format!("`{name}` has no pattern, so nobody would be let in"),
        );
    }
    let max_ttl = written.max_ttl.map_or(USUAL_TTL, |ttl| ttl.get());
    if !(SHORTEST_TTL..=LONGEST_TTL).contains(&max_ttl) {
        told("max_ttl", "must be from `1m` to `24h`".to_owned());
    }
    (problems.len() == before).then_some(Issuer {
        name: written.name,
        issuer: written.issuer,
        audience: written.audience,
        subjects: written.subjects,
        claims,
        scope: written.scope,
        max_ttl,
    })
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Issuer};

    const GOOD: &str = r#"
[[auth.issuers]]
name     = "github"
issuer   = "https://token.actions.githubusercontent.com"
audience = "zoom-logs"
subjects = ["repo:acme/infra:*"]
claims   = { repository_owner = "acme", environment = ["prod", "stage"] }
scope    = "write"
max_ttl  = "15m"
"#;

    fn parse(text: &str) -> Result<Vec<Issuer>, String> {
        let variables = [("HOME".into(), "/home/engine".into())];
        Config::parse(Some(("engine.toml", text)), variables)
            .map(|config| config.auth.issuers)
            .map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn a_rule_is_read_whole() {
        let issuers = parse(GOOD).unwrap();
        assert_eq!(issuers.len(), 1);
        assert_eq!(issuers[0].claims["environment"], ["prod", "stage"]);
        assert_eq!(issuers[0].max_ttl.as_secs(), 900);
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_at_its_key_and_line() {
        for (old, new, told) in [
            (
                "https://token",
                "http://token",
                "engine.toml:4: `auth.issuers[0].issuer`: must begin with `https://`",
            ),
            (
                r#"["repo:acme/infra:*"]"#,
                r#"["**"]"#,
                "engine.toml:6: `auth.issuers[0].subjects`",
            ),
            (r#"["repo:acme/infra:*"]"#, "[]", "`auth.issuers[0].subjects`"),
            (
                r#""zoom-logs""#,
                r#""""#,
                "engine.toml:5: `auth.issuers[0].audience`",
            ),
            (
                r#""15m""#,
                r#""48h""#,
                "`auth.issuers[0].max_ttl`: must be from `1m` to `24h`",
            ),
            (r#""write""#, r#""all""#, "unknown variant `all`"),
            ("max_ttl", "max_life", "unknown field `max_life`"),
            (r#"["prod", "stage"]"#, "[]", "`environment` has no pattern"),
        ] {
            assert!(GOOD.contains(old));
            let error = parse(&GOOD.replace(old, new)).unwrap_err();
            assert!(error.contains(told), "{new}: {error}");
        }
    }
}
