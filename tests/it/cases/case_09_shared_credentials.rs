//! Case 9: credentials that somebody else uses too: an access token is superseded in the middle of a window, two
//! engines share one app, and one of several sources of an account renews the token of all.
//!
//! tap-zoom ends with an error of its own where a refresh is refused, and keeps using the token that was rotated away.

use e2e::{
    delivered,
    engine::Engine,
    sim::{Fault, FaultRule},
};
use serde_json::json;

use super::{ACCOUNT, CLIENT, Case, LATE, SECRET};

/// Mints a token as another user of the app does, which voids the one before.
async fn mint_elsewhere(case: &Case) {
    let form = [("grant_type", "account_credentials"), ("account_id", ACCOUNT)];
    let url = format!("{}/oauth/token", case.sim().url());
    let answer = e2e::http::client()
        .post(url)
        .basic_auth(CLIENT, Some(SECRET))
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_token_is_superseded_in_the_middle_of_a_window() {
    let mut case = Case::begin().await;
    case.sim().change_app(CLIENT, |app| app.single_token = true);
    case.history(1_000, 20);
    let slow = Fault::Delay { millis: 100 };
    case.sim().inject(FaultRule::times("next_page_token=", 4, slow));
    case.collect(json!({})).await;
    while case.sim().faults_left() > 0 {
        let before = case.sim().counters().to("/v2");
        e2e::wait::until_now(LATE, "a further page", || match case.sim().counters().to("/v2") {
            now if now > before => Ok(()),
            now => Err(now),
        })
        .await;
        mint_elsewhere(&case).await;
    }
    case.settle_for_good().await;
    assert!(
        case.sim().counters().with_status(401) >= 1,
        "no token was refused"
    );
    case.status(|status| status["health"] == "ok").await;
}

/// Each engine's token voids the other's. Neither loses a row, and neither asks for tokens without end.
#[tokio::test]
async fn two_engines_on_one_credential() {
    let mut case = Case::begin().await;
    case.sim().change_app(CLIENT, |app| app.single_token = true);
    case.history(500, 20);
    let ahead = super::seconds(case.ahead);
    let other = Engine::start_with(
        &case.sim().url(),
        &[("zoom.sweep_interval", "1s"), ("clock.ahead", &ahead)],
    )
    .await;
    let destination = json!({"name": "lake", "file": {"path": "lake"}});
    let destination = other.create("destinations", destination).await;
    let spec = json!({
        "name": "the same account", "account_id": ACCOUNT, "client_id": CLIENT, "client_secret": SECRET,
        "destination_ids": [destination], "poll_interval": "15s",
    });
    let lake = other.out("lake");
    let twin = other.create("sources", spec).await;
    case.collect(json!({})).await;
    for round in 0..3 {
        case.rows(case.now(), &format!("round {round}"));
        case.settle().await;
        let at_the_other = delivered::exactly(case.sim(), ACCOUNT, &lake, LATE);
        let polls = async {
            loop {
                let _ = other.client().poll_source(&twin).await;
                tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            }
        };
        tokio::select! {
            _ = at_the_other => {}
            () = polls => unreachable!("polls go on until the wait is over"),
        }
    }
    case.settle_for_good().await;
    let counters = case.sim().counters();
    let (tokens, pages) = (counters.access_tokens_minted, counters.to("/v2"));
    assert!(tokens <= pages, "{tokens} tokens for {pages} pages");
}
