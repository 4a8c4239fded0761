//! What a report shows, to whom, and for which days.

use e2e::sim::{Permissions, Plan, Report, ScopeRefusal, TimeForm, Wording};
use jiff::SignedDuration;

use super::{ACCOUNT, Zoom, refused, rows};

#[tokio::test]
async fn an_answer_has_zooms_shape_and_the_rows_exact_text() {
    let zoom = Zoom::start().await;
    let now = zoom.sim.clock().now();
    let operation =
        format!(r#"{{"action":"Update",  "operation_detail":"Edit Group Recruiting ","time":"{now:.0}"}}"#);
    let activity = format!(r#"{{"email":"j\u00fcrgen@example.com","time":"{now:.0}","type":"Sign in"}}"#);
    zoom.sim.add_text(ACCOUNT, Report::Operation, &operation);
    zoom.sim.add_text(ACCOUNT, Report::Activity, &activity);
    for (report, text) in [(Report::Operation, operation), (Report::Activity, activity)] {
        let answer = zoom.today(report).await.expect(200);
        let body = answer.json();
        let day = zoom.day(0);
        assert_eq!((&body["from"], &body["to"]), (&day.clone().into(), &day.into()));
        assert_eq!(
            (&body["next_page_token"], &body["page_size"]),
            (&"".into(), &300.into())
        );
        assert_eq!(rows(&answer, report), [text]);
        assert_eq!(answer.header("x-ratelimit-category"), "Heavy");
        assert_eq!(answer.header("x-ratelimit-limit"), "60000");
    }
}

#[tokio::test]
async fn days_are_whole_inclusive_and_where_the_account_has_them() {
    let zoom = Zoom::start().await;
    zoom.sim.clock().freeze();
    zoom.sim.clock().set("2026-03-10T12:00:00Z".parse().unwrap());
    for time in [
        "2026-03-01T00:00:00Z",
        "2026-03-01T23:59:59Z",
        "2026-03-02T00:00:00Z",
    ] {
        zoom.sim
            .add_text(ACCOUNT, Report::Activity, &format!(r#"{{"time":"{time}"}}"#));
    }
    let token = zoom.token().await;
    let count = async |from, to| {
        let answer = zoom
            .get(Report::Activity, &token, &[("from", from), ("to", to)])
            .await
            .expect(200);
        rows(&answer, Report::Activity).len()
    };
    assert_eq!(count("2026-03-01", "2026-03-01").await, 2);
    assert_eq!(count("2026-03-01", "2026-03-02").await, 3);
    assert_eq!(count("2026-03-02T05:00:00Z", "2026-03-02T06:00:00Z").await, 1);
    zoom.sim
        .tune(ACCOUNT, |behaviour| behaviour.day_zone_minutes = -60);
    assert_eq!(count("2026-03-01", "2026-03-01").await, 2);
    assert_eq!(count("2026-02-28", "2026-02-28").await, 1);
}

#[tokio::test]
async fn ranges_that_zoom_refuses_are_refused() {
    let zoom = Zoom::start().await;
    zoom.sim.clock().freeze();
    zoom.sim.clock().set("2026-03-31T12:00:00Z".parse().unwrap());
    let token = zoom.token().await;
    let get = async |from, to, size| {
        let query = [("from", from), ("to", to), ("page_size", size)];
        zoom.get(Report::Operation, &token, &query).await
    };
    get("2026-02-28", "2026-03-28", "300").await.expect(200);
    refused(
        &get("2026-02-28", "2026-03-29", "300").await,
        400,
        300,
        "one month",
    );
    refused(
        &get("2026-03-02", "2026-03-01", "300").await,
        400,
        300,
        "start date",
    );
    get("2025-09-30", "2025-10-01", "300").await.expect(200);
    refused(
        &get("2025-09-29", "2025-10-01", "300").await,
        400,
        300,
        "recent 6 months",
    );
    refused(
        &get("2026-03-01", "2026-03-02", "301").await,
        400,
        300,
        "page_size",
    );
    refused(&get("yesterday", "2026-03-02", "30").await, 400, 300, "date");
    refused(
        &zoom.get(Report::Operation, &token, &[]).await,
        400,
        300,
        "required",
    );
    zoom.get(Report::Activity, &token, &[]).await.expect(200);

    get("2026-03-31", "2026-04-01", "300").await.expect(200);
    zoom.sim
        .tune(ACCOUNT, |behaviour| behaviour.refuse_future_to = true);
    zoom.sim.tune(ACCOUNT, |behaviour| behaviour.range_status = 300);
    refused(&get("2026-03-31", "2026-04-01", "300").await, 300, 300, "future");
}

#[tokio::test]
async fn scope_permission_and_plan_each_refuse_in_their_own_words() {
    let zoom = Zoom::start().await;
    let scopes = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect();
    zoom.sim.change_app("cid", |app| {
        app.scopes = scopes(&["report:read:meeting_activity_log:admin"]);
    });
    let named = "does not contain scopes:[report:read:operation_logs:admin].";
    refused(&zoom.today(Report::Operation).await, 400, 4711, named);
    zoom.sim
        .tune(ACCOUNT, |behaviour| behaviour.scope_refusal = ScopeRefusal::Older);
    refused(&zoom.today(Report::Operation).await, 400, 4700, named);
    zoom.sim.tune(ACCOUNT, |behaviour| {
        behaviour.scope_refusal = ScopeRefusal::Malformed;
    });
    let malformed = zoom.today(Report::Operation).await.expect(400);
    assert!(serde_json::from_slice::<serde_json::Value>(&malformed.body).is_err());
    assert!(malformed.text().starts_with(r#"{"code":104,"#));

    zoom.sim
        .change_app("cid", |app| app.scopes = scopes(&["report:read:admin"]));
    let permissions = Permissions {
        admin_activity_logs: false,
        ..Permissions::default()
    };
    zoom.sim
        .tune(ACCOUNT, |behaviour| behaviour.permissions = permissions);
    refused(&zoom.today(Report::Operation).await, 400, 200, "No permission.");
    zoom.today(Report::Activity).await.expect(200);

    zoom.sim.tune(ACCOUNT, |behaviour| behaviour.plan = Plan::Free);
    refused(
        &zoom.today(Report::Activity).await,
        400,
        200,
        "only available for the paid account: acc",
    );
}

#[tokio::test]
async fn the_filter_shows_its_own_category_and_nothing_without_a_filter_value() {
    let zoom = Zoom::start().await;
    for category in ["User Settings", "User Group", "Billing", "Billing"] {
        let time = zoom.sim.clock().now() - SignedDuration::from_secs(1);
        let text = format!(r#"{{"category_type":"{category}","time":"{time:.0}"}}"#);
        zoom.sim.add_text(ACCOUNT, Report::Operation, &text);
    }
    let token = zoom.token().await;
    let (from, to) = (zoom.day(1), zoom.day(0));
    for (filter, expected) in [("all", 4), ("billing", 2), ("user_settings", 1), ("user", 0)] {
        let query = [("from", &*from), ("to", &*to), ("category_type", filter)];
        let answer = zoom.get(Report::Operation, &token, &query).await.expect(200);
        assert_eq!(rows(&answer, Report::Operation).len(), expected, "{filter}");
    }
}

#[tokio::test]
async fn an_answer_is_dated_by_zooms_clock_and_takes_its_time() {
    let zoom = Zoom::start().await;
    zoom.sim.clock().freeze();
    zoom.sim.clock().set("2028-02-29T23:59:59Z".parse().unwrap());
    assert_eq!(
        zoom.today(Report::Activity).await.header("date"),
        "Tue, 29 Feb 2028 23:59:59 GMT"
    );
    zoom.sim.tune(ACCOUNT, |behaviour| behaviour.latency_millis = 150);
    let began = std::time::Instant::now();
    zoom.today(Report::Activity).await.expect(200);
    assert!(began.elapsed().as_millis() >= 150);
}

#[tokio::test]
async fn rows_are_written_otherwise_from_one_moment_on() {
    let zoom = Zoom::start().await;
    let now = zoom.sim.clock().now();
    let text = format!(r#"{{"email":"a@example.com","time":"{now:.0}","type":"Sign in"}}"#);
    zoom.sim.add_text(ACCOUNT, Report::Activity, &text);
    let shown = rows(&zoom.today(Report::Activity).await, Report::Activity);
    assert_eq!(shown, std::slice::from_ref(&text));
    let wording = Wording {
        added_member: Some(r#""tenant":"x""#.to_owned()),
        times: TimeForm::Offset,
    };
    zoom.sim
        .tune(ACCOUNT, |behaviour| behaviour.wording = wording.clone());
    let shown = rows(&zoom.today(Report::Activity).await, Report::Activity);
    let expected = text.replace("Z\"", "+00:00\"").replace('}', r#","tenant":"x"}"#);
    assert_eq!(shown, [expected]);
    assert_eq!(wording.read(&shown[0]), text);
    // The ledger does not change with the wording.
    let ledger = zoom.sim.ledger(ACCOUNT, Report::Activity);
    assert_eq!(ledger.into_keys().collect::<Vec<_>>(), [text.into_bytes()]);
}
