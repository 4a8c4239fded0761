//! Case 8: a scope is missing for one report, the error that says so is malformed JSON, or the role of the app's owner
//! lacks a permission. The other report goes on, the status names what is missing, and what is granted later heals by
//! itself.

use e2e::sim::{Permissions, Report, ScopeRefusal};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{ACCOUNT, CLIENT, Case, feed, health};

const SCOPES: [&str; 2] = [
    "report:read:operation_logs:admin",
    "report:read:user_activities:admin",
];

fn grant(case: &Case, scopes: &[&str]) {
    case.sim().change_app(CLIENT, |app| {
        app.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    });
}

/// Begins with one report refused, and returns the status once the other is read.
async fn refused(case: &mut Case, report: Report, code: &str, words: &[&str]) -> Value {
    let other = Report::ALL.into_iter().find(|other| *other != report).unwrap();
    case.history(20, 5);
    case.collect(json!({"verify": false})).await;
    let split = |status: &Value| health(status, report) == "failing" && health(status, other) == "ok";
    let status = case.status(split).await;
    let trouble = &feed(&status, report)["trouble"];
    assert_eq!(trouble["code"], code, "{status:#}");
    for word in words {
        assert!(
            trouble["detail"].as_str().unwrap().contains(word),
            "{word}: {status:#}"
        );
    }
    assert!(feed(&status, other)["trouble"].is_null(), "{status:#}");
    status
}

/// Lets the engine's own pause pass, and holds that it looked again without being asked, and that all arrived.
async fn heals(mut case: Case) {
    case.pass(SignedDuration::from_mins(11)).await;
    let healed = |status: &Value| Report::ALL.iter().all(|report| health(status, *report) == "ok");
    case.engine()
        .source_status(&case.source, super::LATE, healed)
        .await;
    case.settle_for_good().await;
}

#[tokio::test]
async fn a_scope_that_is_missing_in_each_form_of_the_refusal() {
    let forms = [ScopeRefusal::Named, ScopeRefusal::Older, ScopeRefusal::Malformed];
    let cases = forms.into_iter().enumerate().map(async |(number, form)| {
        let report = Report::ALL[number % 2];
        let (missing, left) = (SCOPES[number % 2], SCOPES[1 - number % 2]);
        let mut case = Case::begin().await;
        case.sim()
            .tune(ACCOUNT, |behaviour| behaviour.scope_refusal = form);
        grant(&case, &[left]);
        refused(&mut case, report, "zoom_missing_scope", &[missing]).await;
        grant(&case, &SCOPES);
        heals(case).await;
    });
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn a_role_permission_that_is_missing() {
    let lacking = [
        (
            Report::Operation,
            Permissions {
                admin_activity_logs: false,
                ..Permissions::default()
            },
            "Admin Activity Logs",
        ),
        (
            Report::Activity,
            Permissions {
                sign_in_sign_out: false,
                ..Permissions::default()
            },
            "Sign In/Sign Out",
        ),
    ];
    let cases = lacking.into_iter().map(async |(report, permissions, name)| {
        let mut case = Case::begin().await;
        case.sim()
            .tune(ACCOUNT, |behaviour| behaviour.permissions = permissions);
        refused(
            &mut case,
            report,
            "zoom_missing_permission",
            &[name, "Usage Reports"],
        )
        .await;
        case.sim().tune(ACCOUNT, |behaviour| {
            behaviour.permissions = Permissions::default();
        });
        heals(case).await;
    });
    futures_util::future::join_all(cases).await;
}

/// A scope that is taken away while rows are collected, and given back hours later: what came meanwhile is not lost.
#[tokio::test]
async fn a_right_that_is_taken_away_and_given_back() {
    let mut case = Case::collected(20, 10).await;
    grant(&case, &SCOPES[..1]);
    case.sim().revoke_tokens(None);
    case.rows(case.now(), "while the scope was missing");
    let split = |status: &Value| {
        health(status, Report::Activity) == "failing" && health(status, Report::Operation) == "ok"
    };
    case.status(split).await;
    case.pass(SignedDuration::from_hours(30)).await;
    case.rows(case.ago(SignedDuration::from_hours(29)), "and still was");
    grant(&case, &SCOPES);
    heals(case).await;
}
