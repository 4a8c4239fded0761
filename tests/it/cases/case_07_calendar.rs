//! Case 7: edges of the calendar: 00:00 UTC between two pages of one read, ends of months of 28 to 31 days, the leap
//! day, and the oldest day that Zoom still has.
//!
//! Sentinel's CCF never reads what appears later than an hour after midnight for the day before.

use e2e::sim::{Fault, FaultRule, Report};
use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date};
use serde_json::json;

use super::{ACCOUNT, Case, at, today};

/// The first year from the next one on that is a leap year, or is none.
fn year(leap: bool) -> i16 {
    let next = today().year() + 1;
    // There are eight years from one leap year to the next at most.
    (next..next + 9)
        .find(|year| Date::new(*year, 1, 1).unwrap().in_leap_year() == leap)
        .unwrap()
}

fn first(year: i16, month: i8) -> Timestamp {
    at(Date::new(year, month, 1).unwrap(), 0)
}

/// The day's last rows are on page 2, and page 2 is answered on the next day.
async fn midnight_between_two_pages(midnight: Timestamp) {
    let mut case = Case::begin_at(midnight - SignedDuration::from_secs(4), &[]).await;
    case.history(700, 20);
    let start = json!({"start_from": case.midnight(1).to_string()});
    case.collect(start).await;
    case.settle().await;
    assert!(case.now() < midnight, "too slow to see midnight coming");
    let left = u64::try_from(midnight.duration_since(case.now()).as_millis()).unwrap();
    let over = Fault::Delay { millis: left + 500 };
    case.sim().inject(FaultRule::times("next_page_token=", 2, over));
    case.struck().await;
    assert!(case.now() < midnight, "page 2 was asked for too late");
    case.rows(case.now(), "asked for and not yet answered");
    case.reads(1).await;
    assert!(case.now() > midnight);
    let second = SignedDuration::from_secs(1);
    case.rows(midnight - second, "the old day's last second");
    case.rows(midnight, "the new day's first second");
    case.rows(midnight - SignedDuration::from_hours(30), "two days ago");
    case.settle_for_good().await;
}

#[tokio::test]
async fn midnight_passes_between_two_pages() {
    futures_util::join!(
        midnight_between_two_pages(first(year(false), 1)),
        midnight_between_two_pages(first(year(true), 3)),
        midnight_between_two_pages(at(today().tomorrow().unwrap(), 0)),
    );
}

/// Ends of months of 29, 30, 31 and 28 days, one engine through them all, with weeks and months of silence between.
#[tokio::test]
async fn months_of_every_length_end() {
    let (leap, common) = (year(true), year(false));
    let mut ends = vec![
        first(leap, 2),
        first(leap, 3),
        first(leap, 5),
        first(leap + 1, 1),
        first(common, 3),
    ];
    ends.sort_unstable();
    let mut case = Case::begin_at(ends[0] - SignedDuration::from_hours(24), &[]).await;
    case.collect(json!({})).await;
    let (minute, second) = (SignedDuration::from_mins(1), SignedDuration::from_secs(1));
    for end in ends {
        case.pass_to(end - minute).await;
        case.rows(end - 2 * minute, &format!("before {end}"));
        case.settle().await;
        case.stage.engine.stop().await;
        case.pass_stopped(2 * minute);
        case.rows(end - second, &format!("last of {end}"));
        case.rows(end, &format!("first of {end}"));
        case.stage.engine.start_again().await;
        case.settle().await;
        // What appears hours after midnight for the day before, and for the day before that.
        case.pass(SignedDuration::from_hours(5)).await;
        case.rows(end - second, &format!("late for {end}"));
        case.rows(end - SignedDuration::from_hours(30), &format!("later for {end}"));
        case.settle().await;
    }
    case.settle_for_good().await;
}

/// Collects from the oldest day on, which is a leap day's neighbour where six months back is the end of February.
async fn from_the_oldest_day(now: Timestamp) {
    let mut case = Case::begin_at(now, &[]).await;
    let oldest = case.oldest();
    let second = SignedDuration::from_secs(1);
    let mut day = oldest;
    while day < case.now() {
        case.rows(day, &format!("first second of {day}"));
        let next = day + SignedDuration::from_hours(24);
        if next < case.now() {
            case.rows(next - second, &format!("last second before {next}"));
        }
        day = next;
    }
    case.collect(json!({"start_from": oldest.to_string()})).await;
    case.settle_for_good().await;
    // No request was outside what Zoom allows: a range of more than a month, or a day that is too old.
    assert_eq!(case.sim().counters().with_status(400), 0);
}

#[tokio::test]
async fn six_months_back_over_months_of_every_length() {
    // Six months before the last days of August are the last days of February.
    let ends = [year(true), year(false)].map(|year| {
        let day = Date::new(year, 8, 30).unwrap();
        at(day, 23) + SignedDuration::from_mins(50)
    });
    futures_util::join!(from_the_oldest_day(ends[0]), from_the_oldest_day(ends[1]));
}

/// Midnight passes while the oldest days are read: a day that Zoom drops meanwhile stops nothing.
#[tokio::test]
async fn the_oldest_day_goes_while_it_is_read() {
    let noon = at(today().checked_add(2.days()).unwrap(), 12);
    let mut case = Case::begin_at(noon, &[]).await;
    let oldest = case.oldest();
    // Rows of days that stay readable; the first two days hold none, and are gone when the engine comes back.
    for day in 3..20 {
        case.rows(
            oldest + SignedDuration::from_hours(24 * day),
            &format!("day {day}"),
        );
    }
    let slow = Fault::Delay { millis: 300 };
    case.sim().inject(FaultRule::times("GET /v2/report", 1_000, slow));
    case.collect(json!({"start_from": oldest.to_string()})).await;
    case.reads(3).await;
    case.stage.engine.kill();
    case.sim().clear_faults();
    case.pass_stopped(SignedDuration::from_hours(2 * 24 + 13));
    case.stage.engine.start_again().await;
    case.rows(case.now(), "now");
    case.settle_for_good().await;
    assert!(case.sim().row_count(ACCOUNT, Report::Operation) > 10);
}

/// The account's days begin elsewhere than the engine's: for hours each day, the two do not agree on what today is.
async fn days_of_another_zone(minutes_east: i32, refuse_future_to: bool) {
    let mut case = Case::begin_at(at(today().tomorrow().unwrap(), 1), &[]).await;
    case.sim().tune(ACCOUNT, |behaviour| {
        behaviour.day_zone_minutes = minutes_east;
        behaviour.refuse_future_to = refuse_future_to;
    });
    case.collect(json!({"verify": false})).await;
    // Through a day and a night, so that each side's midnight passes.
    for hour in [2, 5, 9, 16, 23, 32, 40] {
        let then = at(today().tomorrow().unwrap(), 0) + SignedDuration::from_hours(hour);
        case.pass_to(then).await;
        case.rows(case.now(), &format!("{hour} hours in, {minutes_east}"));
        if minutes_east <= 0 {
            case.settle().await;
        } else {
            // East of UTC the newest rows are in what the engine takes for tomorrow; they appear as late ones.
            case.reads(1).await;
        }
    }
    case.pass(SignedDuration::from_hours(20)).await;
    case.settle_for_good().await;
}

#[tokio::test]
async fn an_account_whose_days_begin_elsewhere() {
    futures_util::join!(
        days_of_another_zone(9 * 60, false),
        days_of_another_zone(-8 * 60, false),
        days_of_another_zone(9 * 60, true),
    );
}

/// West of UTC the engine's today is Zoom's tomorrow for hours each day, and Zoom may refuse it.
#[tokio::test]
async fn an_account_whose_today_is_still_the_engines_yesterday() {
    days_of_another_zone(-8 * 60, true).await;
}

/// The engine's clock is half a minute ahead of Zoom's, which refuses a day that has not begun there.
#[tokio::test]
async fn a_clock_that_is_ahead_of_zooms_at_midnight() {
    let midnight = at(today().tomorrow().unwrap().tomorrow().unwrap(), 0);
    let mut case = Case::begin_at(midnight - SignedDuration::from_mins(5), &[]).await;
    case.sim()
        .tune(ACCOUNT, |behaviour| behaviour.refuse_future_to = true);
    case.collect(json!({})).await;
    case.rows(case.now(), "before midnight");
    case.settle().await;
    case.sim().clock().advance(SignedDuration::from_secs(-30));
    case.pass(SignedDuration::from_mins(5) + SignedDuration::from_secs(5))
        .await;
    case.rows(case.now(), "the last of the day, for Zoom");
    // Not a failure, and nothing to wait for: the day that Zoom has is read.
    case.settle().await;
    assert!(case.now() < midnight, "only read when Zoom's own day had turned");
    let status = case.status(|status| status["health"] == "ok").await;
    assert!(status["feeds"][0]["trouble"].is_null(), "{status:#}");
}
