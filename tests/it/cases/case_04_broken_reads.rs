//! Case 4: a read that breaks off between its pages: page 2 fails, the page token expires, the connection is reset in
//! the middle of a body, new rows arrive before the retry.
//!
//! What was behind the break is lost by collectors that move their cursor at the first page (Grove) or drop the rest
//! of a window at a failure (Sentinel's function).

use std::collections::BTreeMap;

use e2e::sim::{Fault, FaultRule, TokenLifeFrom};
use jiff::SignedDuration;

use super::{ACCOUNT, Case, LATE};

/// So many tries the engine gives one page before it gives up the poll.
const ALL_TRIES: u64 = 3;

fn server_error() -> Fault {
    Fault::Respond {
        status: 500,
        headers: BTreeMap::new(),
        body: "<html>Internal Server Error</html>".into(),
    }
}

/// Stands four days of rows, three pages of each report, before an engine that was away, and breaks its second page.
async fn catch_up(fault: Fault, times: u64, rows_before_the_retry: bool) {
    let mut case = Case::begin_with(&[("zoom.request_timeout", "1s")]).await;
    case.history(20, 10);
    case.collect(serde_json::json!({})).await;
    case.settle().await;
    case.stage.engine.stop().await;
    case.pass_stopped(SignedDuration::from_hours(4 * 24));
    case.history(750, 4 * 24);
    // Both reports meet it; which of them meets it how often does not matter.
    case.sim()
        .inject(FaultRule::times("next_page_token=", 2 * times, fault));
    case.stage.engine.start_again().await;
    case.struck().await;
    if rows_before_the_retry {
        for number in 0..5 {
            case.rows(case.now(), &format!("{number} before the retry"));
        }
        case.rows(case.ago(SignedDuration::from_hours(50)), "late before the retry");
    }
    case.settle_for_good().await;
}

#[tokio::test]
async fn page_two_fails_and_new_rows_arrive_before_the_retry() {
    let ways = [
        (server_error(), ALL_TRIES),
        (server_error(), 2 * ALL_TRIES),
        (Fault::ResetBody { after_bytes: 700 }, ALL_TRIES),
        (Fault::CutBody { after_bytes: 700 }, ALL_TRIES),
        (Fault::CutJson { after_bytes: 700 }, ALL_TRIES),
        (Fault::LoseAnswer, ALL_TRIES),
        // More than the engine takes of one answer.
        (Fault::Pad { bytes: 17 << 20 }, 1),
        (Fault::Hang, 1),
        (Fault::HangBody { after_bytes: 700 }, 1),
    ];
    let ways = ways
        .into_iter()
        .enumerate()
        .map(|(number, (fault, times))| catch_up(fault, times, number % 2 == 0));
    futures_util::future::join_all(ways).await;
}

/// The page token lives for a quarter of an hour; a read that takes longer begins anew.
#[tokio::test]
async fn a_page_token_expires_between_two_pages() {
    let mut case = Case::begin().await;
    case.history(700, 20);
    let slow = Fault::Delay { millis: 200 };
    case.sim().inject(FaultRule::next("next_page_token=", slow));
    case.collect(serde_json::json!({})).await;
    let old = e2e::wait::until_now(LATE, "a second page to be asked for", || {
        match case.sim().faults_left() {
            0 => Ok(()),
            left => Err(format!("{left} faults left")),
        }
    });
    old.await;
    case.sim().clock().advance(SignedDuration::from_mins(16));
    case.rows(case.now(), "while the token expired");
    case.settle_for_good().await;
    let refused = case.sim().counters().with_status(400);
    assert!(refused >= 1, "no page token was refused");
    // A read that begins anew is no failure.
    let status = case.status(|status| status["health"] == "ok").await;
    assert!(status["feeds"][0]["trouble"].is_null(), "{status:#}");
}

/// Every token of a while is void: the restart of a read is not repeated for ever, and the next poll reads it.
#[tokio::test]
async fn page_tokens_expire_again_and_again() {
    let mut case = Case::begin().await;
    case.history(700, 20);
    case.sim()
        .tune(ACCOUNT, |behaviour| behaviour.page_token_life_secs = 0);
    let slow = Fault::Delay { millis: 5 };
    case.sim().inject(FaultRule::times("next_page_token=", 12, slow));
    case.collect(serde_json::json!({})).await;
    case.struck().await;
    case.sim()
        .tune(ACCOUNT, |behaviour| behaviour.page_token_life_secs = 900);
    case.settle_for_good().await;
}

/// The token's life counts from the first page, and all pages together take longer: the window is too large, and no
/// number of restarts makes it smaller.
#[tokio::test]
async fn a_window_that_cannot_be_paged_within_a_tokens_life() {
    let mut case = Case::begin().await;
    case.history(2_000, 40);
    case.sim().tune(ACCOUNT, |behaviour| {
        behaviour.page_token_life_from = TokenLifeFrom::FirstPage;
        behaviour.page_token_life_secs = 1;
        behaviour.latency_millis = 200;
    });
    let start = serde_json::json!({"start_from": case.midnight(2).to_string()});
    case.collect(start).await;
    case.settle_for_good().await;
}
