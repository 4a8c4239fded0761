//! Case 13: Zoom's other hosts, and an `api_url` in the token's answer that is not Zoom's.
//!
//! Grove and folio-sec's provider have one pair of hosts built in; whoever follows `api_url` blindly hands a bearer
//! token to whoever wrote it.

use std::collections::BTreeMap;

use e2e::{
    receiver::Receiver,
    sim::{Fault, FaultRule, Sim},
};
use serde_json::json;

use super::{ACCOUNT, CLIENT, Case, SECRET};

#[tokio::test]
async fn an_api_url_that_is_not_zooms_is_not_followed() {
    let thief = Receiver::start().await;
    let mut case = Case::begin().await;
    case.history(350, 10);
    for hostile in [
        thief.url().to_owned(),
        format!("{}/v2", thief.url()),
        thief.url().replace("http://", "http://zoom.us@"),
        "https://api.zoom.us.example.com".to_owned(),
        "file:///etc/passwd".to_owned(),
        "not a url".to_owned(),
    ] {
        case.sim()
            .change_app(CLIENT, |app| app.api_url = Some(hostile.clone()));
        case.sim().revoke_tokens(None);
        if case.source.is_empty() {
            case.collect(json!({})).await;
        }
        case.rows(case.now(), "after another token");
        case.settle().await;
    }
    assert!(thief.received().is_empty(), "{:?}", thief.received());
    case.settle_for_good().await;
}

/// The API and the tokens of one account may be at hosts of their own.
#[tokio::test]
async fn tokens_and_reports_at_two_hosts() {
    let elsewhere = Sim::start().await;
    elsewhere.simple_account(ACCOUNT, CLIENT, SECRET);
    let mut case = Case::begin_with(&[("zoom.api_url", &elsewhere.url())]).await;
    elsewhere.clock().advance(case.ahead);
    case.collect(json!({"verify": false})).await;
    // The token is of another Zoom, so the reports' host refuses it; nothing is asked of the token's host but tokens.
    let refused =
        |status: &serde_json::Value| status["feeds"][0]["trouble"]["code"] == "zoom_invalid_credentials";
    case.status(refused).await;
    assert_eq!(case.sim().counters().to("/v2"), 0);
    assert_eq!(elsewhere.counters().to("/oauth"), 0);
    assert!(case.sim().counters().access_tokens_minted >= 1 && elsewhere.counters().to("/v2") >= 1);
}

/// A redirect is refused wherever it leads: the bearer token is for Zoom alone.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let thief = Receiver::start().await;
    let case = Case::collected(350, 10).await;
    for status in [301, 302, 307, 308] {
        for on in ["GET /v2/report", "POST /oauth/token"] {
            let fault = Fault::Respond {
                status,
                headers: BTreeMap::from([("location".to_owned(), thief.url().to_owned())]),
                body: String::new(),
            };
            case.sim().inject(FaultRule::next(on, fault));
            case.sim().revoke_tokens(None);
            case.struck().await;
        }
    }
    case.rows(case.now(), "after the redirects");
    case.settle().await;
    assert!(thief.received().is_empty(), "{:?}", thief.received());
    case.status(|status| status["health"] == "ok").await;
}
