//! Credentials at plan time: whether Zoom takes what the plan would send, so that not the apply has to find it out.

use std::time::Duration;

use engine_api::{Code, client::Error};
use serde_json::{Map, Value as Json, json};
use tfplug::{
    diagnostics::{Diagnostic, Diagnostics, Severity},
    schema::Attribute,
    value::Value,
};
use tokio::time::timeout;

use crate::{
    connection::Connection,
    json, problem,
    schema::{FINGERPRINT, ID},
};

/// How long a plan waits for Zoom's answer, which the engine has to get for both reports.
const LONGEST: Duration = Duration::from_secs(15);

/// What Zoom judges, beside the secret.
const JUDGED: [&str; 6] = [
    "authorization",
    "account_id",
    "cloud",
    "client_id",
    "client_secret_ref",
    "log_types",
];

/// The secret.
const SECRET: &str = "client_secret";

/// Returns what to ask the engine: nothing where nothing changes that Zoom judges, where the source is not to be
/// verified, or where something is not known yet.
fn question(prior: Option<&Value>, config: &Value, plan: &Value) -> Option<Json> {
    let secret = config.get(SECRET);
    let known = JUDGED.iter().all(|name| !plan.get(name).is_unknown()) && !secret.is_unknown();
    if plan.get("verify").as_bool() != Some(true) || !known {
        return None;
    }
    if let Some(prior) = prior {
        let differs = |name: &str| prior.get(name) != plan.get(name);
        if differs("account_id") || differs("cloud") {
            // A replacement, which is planned once more as the new source that it makes.
            return None;
        }
        if !JUDGED.into_iter().any(differs) && !plan.get(FINGERPRINT).is_unknown() {
            return None;
        }
    }
    let name = plan.get("name").as_str().unwrap_or("not known yet");
    let mut spec = Map::from_iter([
        ("name".to_owned(), json!(name)),
        ("verify".to_owned(), json!(true)),
    ]);
    let judged = JUDGED.into_iter().map(|name| (name, plan.get(name)));
    for (name, value) in judged.chain([(SECRET, secret)]) {
        if !value.is_null() {
            spec.insert(name.to_owned(), json::from_value(value));
        }
    }
    let mut question = json!({ "spec": spec });
    if let Some(id) = prior.and_then(|prior| prior.get(ID).as_str()) {
        question["id"] = id.into();
    }
    Some(question)
}

/// A change to a source, as it is planned.
pub(super) struct Change<'a> {
    pub(super) prior: Option<&'a Value>,
    pub(super) config: &'a Value,
    pub(super) plan: &'a Value,
    /// Whether somebody changed the secret at the engine since Terraform last did.
    pub(super) drifted: bool,
}

/// Asks the engine to try out at Zoom what a plan changes about a source's credentials. What Zoom refuses is an error
/// at its attribute. Where nobody can tell now, it is a warning, and the apply finds out. It is one, too, where the plan
/// is there to show that somebody changed the secret at the engine: that must not be hidden behind an error.
pub(super) async fn try_out(
    connection: &Connection,
    attributes: &[Attribute],
    change: Change<'_>,
    diagnostics: &mut Diagnostics,
) {
    let Change {
        prior,
        config,
        plan,
        drifted,
    } = change;
    let Some(question) = question(prior, config, plan) else {
        return;
    };
    let why = match timeout(LONGEST, connection.client().try_source(&question)).await {
        Ok(Ok(())) => return,
        Ok(Err(Error::Problem(refused))) if refused.code().is_some_and(is_verdict) => {
            let mut told = Diagnostics::new();
            let error = Error::Problem(refused);
            problem::report(&error, "try out the source", attributes, config, &mut told);
            for diagnostic in told {
                diagnostics.push(if drifted { of_drift(diagnostic) } else { diagnostic });
            }
            return;
        }
        Ok(Err(error)) => problem::sentence("", &error.to_string()),
        Err(_) => format!("There was no answer within {} seconds.", LONGEST.as_secs()),
    };
    diagnostics.warning(
        "The source's credentials are not checked yet",
        format!(
            "{why} The plan can be applied all the same: the engine checks them at Zoom before it takes them."
        ),
    );
}

/// Makes a warning of what Zoom refuses about a secret that somebody has replaced at the engine.
fn of_drift(mut diagnostic: Diagnostic) -> Diagnostic {
    diagnostic.severity = Severity::Warning;
    diagnostic.detail.push_str(
        "\n\nThe secret was changed at the engine, outside of Terraform, and Zoom refuses the one that is configured here. \
         Where it was rotated in Zoom, put the new one into the configuration. This plan cannot be applied as it is.",
    );
    diagnostic
}

/// Whether an answer is about the credentials, and not about whether they could be tried out just now.
fn is_verdict(code: Code) -> bool {
    !matches!(
        code,
        Code::ZoomUnavailable
            | Code::ZoomRateLimited
            | Code::ZoomMalformed
            | Code::ZoomReadRestarted
            | Code::BudgetExhausted
            | Code::StoreUnavailable
            | Code::TimedOut
            | Code::Internal
            | Code::Unauthorized
            | Code::NotFound
            | Code::MethodNotAllowed
            | Code::MalformedBody
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(more: &[(&str, Value)]) -> Value {
        let mut source = Value::object([
            ("id", Value::from("src_1")),
            ("name", "n".into()),
            ("authorization", "server_to_server".into()),
            ("account_id", "a".into()),
            ("cloud", "commercial".into()),
            ("client_id", "c".into()),
            ("client_secret", Value::Null),
            ("client_secret_ref", Value::Null),
            ("log_types", Value::set(["activity"])),
            ("verify", true.into()),
            ("poll_interval", "1m".into()),
            (FINGERPRINT, "fp".into()),
        ]);
        for (name, value) in more {
            source.set_attribute(name, value.clone());
        }
        source
    }

    #[test]
    fn only_what_zoom_judges_and_is_known_is_asked() {
        let prior = source(&[]);
        let config = source(&[(SECRET, "s".into())]);
        let asks = |more: &[(&str, Value)]| question(Some(&prior), &config, &source(more)).is_some();
        assert!(!asks(&[]));
        assert!(!asks(&[("poll_interval", "2m".into()), ("name", "m".into())]));
        assert!(asks(&[(FINGERPRINT, Value::Unknown)]));
        assert!(asks(&[("client_id", "d".into())]));
        assert!(asks(&[("log_types", Value::set(["operation"]))]));
        assert!(!asks(&[("client_id", "d".into()), ("verify", false.into())]));
        assert!(!asks(&[("client_id", Value::Unknown)]));
        assert!(!asks(&[("account_id", "b".into())]), "a replacement");
        let waiting = source(&[(SECRET, Value::Unknown)]);
        assert!(question(None, &waiting, &source(&[])).is_none());

        let new = question(None, &config, &source(&[("name", Value::Unknown)])).unwrap();
        assert_eq!(new["spec"]["client_secret"], "s");
        assert_eq!(new["spec"]["log_types"], json!(["activity"]));
        assert!(new.get("id").is_none() && new["spec"].get("poll_interval").is_none());
        let changed = question(Some(&prior), &config, &source(&[("client_id", "d".into())])).unwrap();
        assert_eq!(changed["id"], "src_1");
    }
}
