//! Case 3: several rows in the second of the newest row that was seen.
//!
//! Lost by collectors that stop at the cursor's own time: XSIAM.

use e2e::sim::{Order, Report};
use jiff::SignedDuration;

use super::{ACCOUNT, Case};

#[tokio::test]
async fn rows_of_a_second_that_come_one_poll_after_another() {
    let mut case = Case::collected(10, 10).await;
    let second = case.now();
    for number in 0..4 {
        case.rows(second, &format!("{number} of one second"));
        case.settle().await;
    }
    // The next two come when the engine has been away, and the list is shown the other way round.
    case.sim()
        .tune(ACCOUNT, |behaviour| behaviour.order = Order::OldestFirst);
    case.pass(SignedDuration::from_mins(10)).await;
    case.rows(second, "4 of one second");
    case.rows(second + SignedDuration::from_secs(1), "of the next second");
    case.settle_for_good().await;
}

/// A batch update writes more rows in a second than a page holds, and Zoom may list them in another order each time.
#[tokio::test]
async fn a_second_with_more_rows_than_a_page() {
    let case = Case::collected(10, 10).await;
    let second = case.ago(SignedDuration::from_mins(1));
    for number in 0..350 {
        case.row(Report::Operation, second, &format!("Batch Update {number}"));
    }
    case.settle().await;
    // Rows that change places between two pages may hide, never vanish. That they are told apart keeps them single.
    case.sim()
        .tune(ACCOUNT, |behaviour| behaviour.unstable_ties = true);
    case.reads(4).await;
    case.row(Report::Operation, second, "Batch Update, the last");
    case.sim()
        .tune(ACCOUNT, |behaviour| behaviour.unstable_ties = false);
    case.settle_for_good().await;
}
