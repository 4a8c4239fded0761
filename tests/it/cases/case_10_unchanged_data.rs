//! Case 10: repeated polls of data that does not change deliver nothing new, and cost no more than they have to.
//!
//! Grove's activities and both of Sentinel's connectors deliver the same rows again.

use e2e::{delivered, sim::Report};
use serde_json::json;

use super::{Case, LATE};

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
