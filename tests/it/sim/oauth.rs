//! Access tokens: who gets one, what it is good for, and how a refusal reads.

use e2e::sim::{App, Report, TokenRefusal};
use jiff::SignedDuration;
use serde_json::json;

use super::{ACCOUNT, Zoom, refused};

const FORM: [(&str, &str); 2] = [("grant_type", "account_credentials"), ("account_id", ACCOUNT)];

#[tokio::test]
async fn a_token_says_what_zoom_says() {
    let zoom = Zoom::start().await;
    let body = zoom.grant("cid", "secret", &FORM).await.expect(200).json();
    assert_eq!(body["token_type"], "bearer");
    assert_eq!(body["expires_in"], 3599);
    assert_eq!(body["api_url"], zoom.sim.url());
    assert_eq!(
        body["scope"],
        "report:read:operation_logs:admin report:read:user_activities:admin"
    );
    // The parameters may stand in the query as well.
    let url = format!(
        "{}/oauth/token?grant_type=account_credentials&account_id={ACCOUNT}",
        zoom.sim.url()
    );
    let sent = zoom
        .http
        .post(url)
        .basic_auth("cid", Some("secret"))
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 200);
}

#[tokio::test]
async fn each_refusal_has_its_own_body() {
    let zoom = Zoom::start().await;
    let cases = [
        (
            "cid",
            "wrong",
            FORM,
            json!({"reason": "Invalid client_id or client_secret", "error": "invalid_client"}),
        ),
        (
            "none",
            "secret",
            FORM,
            json!({"reason": "Invalid client_id or client_secret", "error": "invalid_client"}),
        ),
        (
            "cid",
            "secret",
            [("grant_type", "client_credentials"), ("account_id", ACCOUNT)],
            json!({"reason": "unsupported grant type", "error": "unsupported_grant_type"}),
        ),
        (
            "cid",
            "secret",
            [("grant_type", "account_credentials"), ("account_id", "other")],
            json!({"reason": "Bad Request", "error": "invalid_request"}),
        ),
    ];
    for (client, secret, form, body) in cases {
        assert_eq!(zoom.grant(client, secret, &form).await.expect(400).json(), body);
    }
    zoom.sim.change_app("cid", |app| app.disabled = true);
    let body = zoom.grant("cid", "secret", &FORM).await.expect(400).json();
    assert_eq!(body["reason"], "The app has been disabled");
}

#[tokio::test]
async fn a_token_ends_by_age_by_revocation_and_by_its_successor() {
    let zoom = Zoom::start().await;
    let token = zoom.token().await;
    let (day, report) = (zoom.day(0), Report::Activity);
    let query = [("from", &*day), ("to", &*day)];
    zoom.get(report, &token, &query).await.expect(200);
    refused(
        &zoom.get(report, "made-up", &query).await,
        401,
        124,
        "Invalid access token.",
    );

    zoom.sim.clock().advance(SignedDuration::from_mins(61));
    let day = zoom.day(0);
    let query = [("from", &*day), ("to", &*day)];
    refused(
        &zoom.get(report, &token, &query).await,
        401,
        124,
        "Access token is expired.",
    );

    let token = zoom.token().await;
    assert_eq!(zoom.sim.revoke_tokens(Some("cid")), 1);
    refused(
        &zoom.get(report, &token, &query).await,
        401,
        124,
        "Invalid access token.",
    );

    zoom.sim.change_app("cid", |app| app.single_token = true);
    let (first, second) = (zoom.token().await, zoom.token().await);
    refused(
        &zoom.get(report, &first, &query).await,
        401,
        124,
        "Invalid access token.",
    );
    zoom.get(report, &second, &query).await.expect(200);
    assert_eq!(zoom.sim.minted_tokens().len(), 4);
}

#[tokio::test]
async fn a_bad_token_is_refused_in_every_form_that_was_seen() {
    let zoom = Zoom::start().await;
    zoom.sim.change_app("cid", |app| app.token_life_secs = 0);
    let token = zoom.token().await;
    for (form, status, code) in [
        (TokenRefusal::Usual, 401, 124),
        (TokenRefusal::Older, 400, 124),
        (TokenRefusal::Code201, 401, 201),
    ] {
        zoom.sim.tune(ACCOUNT, |behaviour| behaviour.token_refusal = form);
        refused(
            &zoom.get(Report::Activity, &token, &[]).await,
            status,
            code,
            "Access token is expired.",
        );
    }
    zoom.sim.tune(ACCOUNT, |behaviour| {
        behaviour.token_refusal = TokenRefusal::ErrorCode;
    });
    let body = zoom.get(Report::Activity, &token, &[]).await.expect(401).json();
    assert_eq!(
        (&body["errorCode"], &body["status"]),
        (&json!(401), &json!(false))
    );
}

#[tokio::test]
async fn scopes_are_those_of_the_time_of_minting() {
    let zoom = Zoom::start().await;
    zoom.sim.put_app(App {
        scopes: vec!["report:read:operation_logs:admin".into()],
        ..App::new(ACCOUNT, "cid", "secret")
    });
    let old = zoom.token().await;
    zoom.sim
        .change_app("cid", |app| app.scopes = vec!["report:read:admin".into()]);
    let today = zoom.day(0);
    let query = [("from", &*today), ("to", &*today)];
    let named = "does not contain scopes:[report:read:user_activities:admin].";
    refused(&zoom.get(Report::Activity, &old, &query).await, 400, 4711, named);
    zoom.get(Report::Activity, &zoom.token().await, &query)
        .await
        .expect(200);
}
