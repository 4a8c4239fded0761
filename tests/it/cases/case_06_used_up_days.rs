//! Case 6: the requests of a day are used up, and Zoom says so in one of its ways: with an ISO date, with seconds,
//! with an HTTP date, without any header, with the code 200 in the body.
//!
//! Grove crashes on the ISO date, XSIAM and Sentinel's function do not wait.

use e2e::{
    receiver::Receiver,
    sim::{Daily429, Report, RetryAfter},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{ACCOUNT, Case, feed};

fn exhausted(status: &Value) -> bool {
    status["health"] == "budget_exhausted"
}

#[tokio::test]
async fn each_form_of_the_daily_429_pauses_until_midnight_and_is_no_failure() {
    let channel = Receiver::start().await;
    let mut case = Case::begin().await;
    let webhook = json!({"name": "oncall", "webhook": {"url": channel.url()}});
    let webhook = case.engine().create("alarm-channels", webhook).await;
    case.history(20, 5);
    let alarm = json!({"drop_off_alarm": {"after": "15m", "channel_ids": [webhook]}});
    case.collect(alarm).await;
    case.settle().await;
    let forms = [
        (RetryAfter::Iso, 429, true),
        (RetryAfter::Seconds, 429, true),
        (RetryAfter::HttpDate, 429, true),
        (RetryAfter::Absent, 429, true),
        (RetryAfter::Iso, 200, true),
        (RetryAfter::Absent, 200, false),
    ];
    for (number, (retry_after, body_code, rate_headers)) in forms.into_iter().enumerate() {
        let form = format!("{retry_after:?} with code {body_code}, headers {rate_headers}");
        case.sim().tune(ACCOUNT, |behaviour| {
            behaviour.daily_429 = Daily429 {
                retry_after,
                body_code,
            };
            behaviour.rate_headers = rate_headers;
        });
        case.sim().spend_elsewhere(ACCOUNT, 1_000_000);
        let before = case.sim().counters().with_status(429);
        // The pause is the account's: whichever feed meets it first is enough, and this one waits until it has.
        let told = |status: &Value| {
            let detail = &feed(status, Report::Operation)["trouble"]["detail"];
            detail.as_str().map(str::to_owned)
        };
        let status = case
            .status(|status| exhausted(status) && told(status).is_some())
            .await;
        let midnight = case.midnight(-1);
        let told = told(&status).unwrap_or_default();
        let until: Timestamp = told
            .split_whitespace()
            .find_map(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("{form}: no instant in `{told}`"));
        let off = until.duration_since(midnight).abs();
        assert!(
            off <= SignedDuration::from_secs(2),
            "{form}: `{told}` for {midnight}"
        );

        // Neither a restart nor an hour makes the engine ask again, and silence that has this reason is no alarm.
        case.rows(case.now(), &format!("during pause {number}"));
        case.pass(SignedDuration::from_hours(1)).await;
        let asked = case.sim().counters().to("/v2");
        case.stage.poll(&case.source).await;
        let status = case
            .engine()
            .source_status(&case.source, super::LATE, exhausted)
            .await;
        for report in Report::ALL {
            assert_ne!(
                feed(&status, report)["alarm"]["state"],
                "alarm",
                "{form}: {status:#}"
            );
        }
        assert_eq!(
            case.sim().counters().to("/v2"),
            asked,
            "{form}: asked during the pause"
        );
        let refused = case.sim().counters().with_status(429) - before;
        assert!(
            (1..=2).contains(&refused),
            "{form}: {refused} requests ran into the limit"
        );

        case.pass_to(midnight + SignedDuration::from_secs(30)).await;
        case.settle().await;
        let status = case.status(|status| status["health"] == "ok").await;
        assert!(
            feed(&status, Report::Operation)["trouble"].is_null(),
            "{form}: {status:#}"
        );
        // Back to noon, so that the next form has the same way to go.
        case.pass_to(case.midnight(0) + SignedDuration::from_hours(12))
            .await;
        case.rows(case.now(), &format!("after pause {number}"));
        case.settle().await;
    }
    case.settle_for_good().await;
}

/// The engine's own bound counts all that is asked of an account, by whichever source.
#[tokio::test]
async fn one_bound_for_all_sources_of_an_account() {
    const BOUND: u64 = 40;
    let mut case = Case::begin_with(&[("zoom.daily_request_budget", &BOUND.to_string())]).await;
    case.sim()
        .tune(ACCOUNT, |behaviour| behaviour.rate_headers = false);
    case.history(20, 5);
    case.collect(json!({})).await;
    case.settle().await;
    let other = json!({"name": "the same account", "poll_interval": "15s"});
    let other = case.stage.source(&[], other).await;
    let both = async {
        loop {
            case.stage.poll(&other).await;
            let first = case
                .engine()
                .get(&format!("/v1/sources/{}/status", case.source))
                .await;
            let second = case.engine().get(&format!("/v1/sources/{other}/status")).await;
            if exhausted(&first) && exhausted(&second) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let both = tokio::time::timeout(super::LATE, case.polling(both));
    both.await.expect("both sources to run out of requests");
    let asked = case.sim().counters().to("/v2/report");
    // Polls that are under way together may each end what they have begun.
    assert!((BOUND..BOUND + 12).contains(&asked), "{asked} requests");
    case.rows(case.now(), "during the pause");
    let midnight = case.midnight(-1);
    case.pass_to(midnight + SignedDuration::from_secs(5)).await;
    case.settle().await;
}
