//! Case 1: a row that appears late, older than the newest row that was seen.
//!
//! Lost by collectors whose cursor is the newest time seen: Grove, XSIAM, Elastic's activity stream, Sentinel's CCF.

use e2e::{
    delivered,
    sim::{Fault, FaultRule, Order, PageTokens, Report},
};
use jiff::SignedDuration;

use super::{ACCOUNT, Case};

/// Lateness from seconds to the far edge of the late window, by the hour.
const LATE_BY_HOURS: [i64; 5] = [0, 3, 11, 25, 47];

#[tokio::test]
async fn late_rows_of_the_same_day_and_of_days_before() {
    let case = Case::collected(40, 40).await;
    for (number, hours) in LATE_BY_HOURS.into_iter().enumerate() {
        let late = case.ago(SignedDuration::from_hours(hours) + SignedDuration::from_secs(7));
        assert!(late < case.now());
        case.rows(late, &format!("late {number}"));
        case.settle().await;
    }
    case.settle_for_good().await;
    let metrics = case
        .engine()
        .ask(reqwest::Method::GET, "/metrics", None)
        .await
        .text();
    let counted = metrics
        .lines()
        .filter(|line| line.contains("late_events_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>();
    assert!(
        counted >= 8.0,
        "{counted} late events counted; metrics:\n{metrics}"
    );
}

#[tokio::test]
async fn late_rows_in_every_order_and_with_either_kind_of_page_token() {
    for order in [Order::NewestFirst, Order::OldestFirst] {
        for page_tokens in [PageTokens::Live, PageTokens::Snapshot] {
            let case = Case::collected(350, 30).await;
            case.sim().tune(ACCOUNT, |behaviour| {
                behaviour.order = order;
                behaviour.page_tokens = page_tokens;
            });
            case.rows(case.ago(SignedDuration::from_hours(5)), "late today");
            case.rows(case.ago(SignedDuration::from_hours(20)), "late yesterday");
            case.rows(case.now(), "new");
            case.settle().await;
        }
    }
}

/// A row may appear behind the page that is being read, and while the engine is away.
#[tokio::test]
async fn late_rows_in_the_middle_of_a_read_and_while_nobody_reads() {
    let mut case = Case::collected(350, 30).await;
    let slow = Fault::Delay { millis: 300 };
    case.sim().inject(FaultRule::times("next_page_token=", 2, slow));
    case.struck().await;
    // Newest first, so what is older than the first page's rows is still to come, and what is newer is passed.
    case.rows(
        case.ago(SignedDuration::from_mins(2)),
        "late on a page that was read",
    );
    case.rows(case.ago(SignedDuration::from_hours(29)), "late on a page to come");
    case.settle().await;

    case.stage.engine.kill();
    case.pass_stopped(SignedDuration::from_hours(6));
    case.rows(case.ago(SignedDuration::from_hours(8)), "late while nobody read");
    case.stage.engine.start_again().await;
    let events = case.settle_for_good().await;
    let both = Report::ALL.map(|report| case.sim().row_count(ACCOUNT, report));
    assert_eq!(events.len() as u64, both.iter().sum::<u64>());
    assert!(delivered::owed(case.sim(), ACCOUNT).len() > 600);
}
