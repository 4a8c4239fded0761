//! 429 in each of its forms.

use e2e::sim::{Daily429, Limits, Plan, Report, RetryAfter};

use super::{ACCOUNT, Zoom, refused};

#[tokio::test]
async fn too_many_in_a_second() {
    let zoom = Zoom::start().await;
    zoom.sim.tune(ACCOUNT, |behaviour| {
        behaviour.limits = Some(Limits {
            per_second: 1,
            per_day: 1_000,
        });
    });
    let token = zoom.token().await;
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(zoom.get(Report::Activity, &token, &[]).await);
    }
    let refusal = answers.iter().find(|answer| answer.status == 429).unwrap();
    refused(refusal, 429, 429, "per-second rate limit");
    assert_eq!(refusal.header("x-ratelimit-type"), "QPS");
    assert_eq!(
        (
            refusal.header("x-ratelimit-limit"),
            refusal.header("x-ratelimit-remaining")
        ),
        ("1", "0")
    );
    assert_eq!(refusal.header("retry-after"), "");
    assert!(
        refusal.header("x-ratelimit-reset").parse::<i64>().unwrap() > zoom.sim.clock().now().as_second() - 5
    );
}

#[tokio::test]
async fn too_many_in_a_day_is_told_in_five_ways_and_ends_at_midnight() {
    let zoom = Zoom::start().await;
    zoom.sim.clock().freeze();
    zoom.sim.clock().set("2026-05-30T22:00:00Z".parse().unwrap());
    zoom.sim.tune(ACCOUNT, |behaviour| behaviour.plan = Plan::Pro);
    let token = zoom.token().await;
    let answer = zoom.get(Report::Activity, &token, &[]).await.expect(200);
    assert_eq!(answer.header("x-ratelimit-remaining"), "29999");
    zoom.sim.spend_elsewhere(ACCOUNT, 30_000);
    let forms = [
        (RetryAfter::Iso, "2026-05-31T00:00:00Z"),
        (RetryAfter::Seconds, "7200"),
        (RetryAfter::HttpDate, "Sun, 31 May 2026 00:00:00 GMT"),
        (RetryAfter::Absent, ""),
    ];
    for (retry_after, expected) in forms {
        zoom.sim
            .tune(ACCOUNT, |behaviour| behaviour.daily_429.retry_after = retry_after);
        let refusal = zoom.get(Report::Activity, &token, &[]).await;
        refused(&refusal, 429, 429, "maximum daily rate limit");
        assert_eq!(refusal.header("retry-after"), expected);
        assert_eq!(refusal.header("x-ratelimit-type"), "Daily-limit");
    }
    zoom.sim.tune(ACCOUNT, |behaviour| {
        behaviour.daily_429 = Daily429 {
            retry_after: RetryAfter::Absent,
            body_code: 200,
        };
        behaviour.rate_headers = false;
    });
    let bare = zoom.get(Report::Activity, &token, &[]).await;
    refused(&bare, 429, 200, "maximum daily rate limit");
    assert_eq!(bare.header("x-ratelimit-type"), "");

    zoom.sim.clock().set("2026-05-31T00:00:00Z".parse().unwrap());
    let token = zoom.token().await;
    zoom.get(Report::Activity, &token, &[]).await.expect(200);
    assert_eq!(zoom.sim.used_today(ACCOUNT), Some(1));
}
