//! Case 10: repeated polls of data that does not change deliver nothing new, and cost no more than they have to.
//!
//! Grove's activities and both of Sentinel's connectors deliver the same rows again.

use e2e::{
    delivered::{self, Difference, Multiset},
    sim::{Fault, FaultRule, Report, TimeForm, Wording},
    wait,
};
use jiff::SignedDuration;
use serde_json::json;

use super::{ACCOUNT, Case, LATE};

#[tokio::test]
async fn nothing_new_comes_of_polls_sweeps_and_restarts() {
    let mut case = Case::collected(1_000, 40).await;
    let events = case.settle_for_good().await;
    case.stage.engine.kill_and_restart().await;
    case.reads(8).await;
    case.stage.engine.restart().await;
    case.reads(8).await;
    assert_eq!(delivered::read_file(&case.lake), events);
    let status = case
        .engine()
        .get(&format!("/v1/sources/{}/status", case.source))
        .await;
    for report in Report::ALL {
        assert_eq!(super::feed(&status, report)["events"], 1_000, "{status:#}");
    }
}

/// Sweeps as seldom as they are by default, so that what is counted is what a quiet hour costs: one request a poll.
#[tokio::test]
async fn an_idle_feed_costs_one_request_a_poll() {
    let mut case = Case::begin_with(&[("zoom.sweep_interval", "1h")]).await;
    // Several pages, which only a sweep reads all of.
    case.history(700, 20);
    case.collect(json!({})).await;
    case.settle().await;
    // The first reads are confirmed by others; then there is nothing more to learn.
    case.reads(4).await;
    let polls = async |case: &Case| {
        let status = case
            .engine()
            .get(&format!("/v1/sources/{}/status", case.source))
            .await;
        Report::ALL.map(|report| super::feed(&status, report)["last_poll_at"].to_string())
    };
    let mut last = polls(&case).await;
    let before = Report::ALL.map(|report| case.sim().counters().to(report.path()));
    let mut counted = [0_u64; 2];
    while counted.iter().any(|polls| *polls < 10) {
        case.stage.poll(&case.source).await;
        last = e2e::wait::until(LATE, "a poll of each report", async || {
            let now = polls(&case).await;
            if now.iter().zip(&last).all(|(now, last)| now != last) {
                Ok(now)
            } else {
                Err(format!("{now:?}"))
            }
        })
        .await;
        for polls in &mut counted {
            *polls += 1;
        }
    }
    for (number, report) in Report::ALL.into_iter().enumerate() {
        let asked = case.sim().counters().to(report.path()) - before[number];
        assert!(
            asked <= counted[number] + 1,
            "{asked} requests in {} polls of {report:?}",
            counted[number]
        );
    }
}

/// From one page of a read to the next, Zoom adds a member to every row or spells its times another way: the rows are
/// the ones that they were. What is new is delivered as it is shown.
#[tokio::test]
async fn rows_that_zoom_writes_otherwise_are_not_new() {
    let added = Some(r#""tenant":{"id":"x","region":null}"#.to_owned());
    let wordings = [
        (added.clone(), TimeForm::AsAdded),
        (None, TimeForm::Fraction),
        (None, TimeForm::Spaced),
        (added, TimeForm::Offset),
    ];
    let cases = wordings.into_iter().map(async |(added_member, times)| {
        let wording = Wording { added_member, times };
        let case = Case::collected(350, 30).await;
        let slow = Fault::Delay { millis: 200 };
        case.sim().inject(FaultRule::times("next_page_token=", 2, slow));
        case.struck().await;
        case.sim()
            .tune(ACCOUNT, |behaviour| behaviour.wording = wording.clone());
        case.rows(case.now(), "after the change");
        case.rows(case.ago(SignedDuration::from_hours(20)), "late after the change");
        let settled = wait::until_now(LATE, "what Zoom owes, as it is written now", || {
            let difference = difference(&case, &wording);
            assert!(difference.doubled.is_empty(), "{wording:?}: {difference}");
            if difference.is_none() {
                Ok(())
            } else {
                Err(difference.to_string())
            }
        });
        case.polling(settled).await;
        case.reads(8).await;
        let difference = difference(&case, &wording);
        assert!(
            difference.is_none(),
            "{wording:?}, after further reads: {difference}"
        );
    });
    futures_util::future::join_all(cases).await;
}

/// The delivered rows, read back to what they were before the change, against the ledger.
fn difference(case: &Case, wording: &Wording) -> Difference {
    let mut rows = Multiset::new();
    for event in delivered::read_file(&case.lake) {
        let shown = String::from_utf8(event.row).unwrap();
        *rows
            .entry(wording.read(&shown).into_owned().into_bytes())
            .or_default() += 1;
    }
    Difference::between(&delivered::owed(case.sim(), ACCOUNT), &rows)
}
