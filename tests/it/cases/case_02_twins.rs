//! Case 2: two identical rows in one second, together and on different polls.
//!
//! Collapsed into one by collectors that keep a set of hashes: Grove, Elastic.

use e2e::{
    delivered,
    sim::{Drip, Mix, Report},
};
use jiff::SignedDuration;

use super::{ACCOUNT, Case, occurrences};

#[tokio::test]
async fn twins_that_appear_together_and_on_later_polls() {
    let case = Case::collected(10, 10).await;
    for report in Report::ALL {
        let second = case.ago(SignedDuration::from_mins(30));
        let twin = case.row(report, second, "twin");
        assert_eq!(case.row(report, second, "twin"), twin);
        assert_eq!(occurrences(&case.settle().await, &twin), [1, 2]);
        // Others by later polls, when the first are long delivered.
        for known in 2..4 {
            case.row(report, second, "twin");
            let numbers: Vec<u64> = (1..=known + 1).collect();
            assert_eq!(occurrences(&case.settle().await, &twin), numbers);
        }
    }
    let events = case.settle_for_good().await;
    delivered::each_once(&events);
}

/// No single page shows both, whatever the page size: the first is the last of its page, the other the first of the
/// next.
#[tokio::test]
async fn twins_that_a_page_edge_cuts_apart() {
    let mut case = Case::begin().await;
    let second = case.ago(SignedDuration::from_mins(90));
    let mut twins = Vec::new();
    for report in Report::ALL {
        let twin = case.row(report, second, "twin");
        case.row(report, second, "twin");
        for number in 0..299 {
            case.row(
                report,
                second + SignedDuration::from_secs(number + 1),
                &format!("{number}"),
            );
        }
        twins.push(twin);
    }
    case.collect(serde_json::json!({})).await;
    let events = case.settle_for_good().await;
    for twin in twins {
        assert_eq!(occurrences(&events, &twin), [1, 2]);
    }
}

/// The same row on two pages of one read is no twin where a new row pushed it over the edge.
#[tokio::test]
async fn a_row_that_a_shift_shows_twice_is_one() {
    let mut case = Case::begin().await;
    case.history(1_000, 30);
    for report in Report::ALL {
        let mix = Mix {
            seed: 31,
            twin_percent: 10.0,
            late_percent: 20.0,
            late_secs: 30 * 3_600,
        };
        let drip = Drip {
            rows_per_page: 13,
            rows: 400,
            mix,
        };
        case.sim().drip(ACCOUNT, report, Some(drip));
    }
    let start = serde_json::json!({"start_from": case.midnight(2).to_string()});
    case.collect(start).await;
    // Each settling ends in the middle of the rain; what a shift made up would have been delivered as a double.
    case.settle().await;
    for report in Report::ALL {
        case.sim().drip(ACCOUNT, report, None);
    }
    case.settle_for_good().await;
}
