//! The actions, invoked as Terraform 1.14 does it.

use std::time::Duration;

use e2e::{
    delivered,
    plugin::object,
    sim::{Fault, FaultRule},
    wait,
};
use engine_api::BackfillState;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use tfplug::value::Value;
use tokio_util::sync::CancellationToken;

use super::{ACCOUNT, CLIENT, LATE, Stage};

const POLL: &str = "zoom_log_source_poll";
const CHECK: &str = "zoom_log_source_check";
const BACKFILL: &str = "zoom_log_source_backfill";

const DAYS: u64 = 20;

fn day(days_ago: u64) -> Value {
    let then = Timestamp::now() - Duration::from_hours(24 * days_ago);
    Value::from(then.to_zoned(TimeZone::UTC).date().to_string())
}

#[tokio::test]
async fn a_poll_collects_what_is_new() {
    let stage = Stage::set().await;
    let source = stage
        .source_to_file("lake", json!({"poll_interval": "24h"}))
        .await;
    delivered::exactly(&stage.sim, ACCOUNT, &stage.engine.out("lake"), LATE).await;
    let mut plugin = stage.plugin().await;
    stage.show(20, 3_600);
    let config = object(&[("source_id", source.as_str().into())]);
    let (never, lake) = (CancellationToken::new(), stage.engine.out("lake"));
    let done = plugin.driver.invoke(POLL, &config, &never).await.unwrap();
    assert_eq!(done.errors, [""; 0]);
    assert!(done.progress[0].contains(&source), "{done:?}");
    // What a poll leaves open is confirmed by the next.
    let collected = delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE);
    let events = stage.while_polling(&source, collected).await;
    assert!(!events.is_empty());

    let nobody = object(&[("source_id", "src_00000000000000000000000000".into())]);
    let refused = plugin.driver.invoke(POLL, &nobody, &never).await.unwrap();
    assert!(
        refused.errors[0].contains("`not_found`") && refused.errors[0].contains("Request id"),
        "{refused:?}"
    );
    assert_eq!(plugin.driver.findings(), []);
}

#[tokio::test]
async fn a_check_tells_what_zoom_refuses() {
    let stage = Stage::set().await;
    let source = stage.source_to_file("lake", json!({})).await;
    let mut plugin = stage.plugin().await;
    let config = object(&[("source_id", source.as_str().into())]);
    let never = CancellationToken::new();
    let good = plugin.driver.invoke(CHECK, &config, &never).await.unwrap();
    assert_eq!((good.progress.len(), good.errors.len()), (2, 0), "{good:?}");
    stage.sim.change_app(CLIENT, |app| {
        app.scopes = vec!["report:read:user_activities:admin".to_owned()];
    });
    let half = plugin.driver.invoke(CHECK, &config, &never).await.unwrap();
    assert_eq!((half.progress.len(), half.errors.len()), (1, 1), "{half:?}");
    for words in [
        "`operation` cannot be read",
        "operation_logs",
        "`zoom_missing_scope`",
    ] {
        assert!(half.errors[0].contains(words), "`{words}` is missing in {half:?}");
    }
    assert_eq!(plugin.driver.findings(), []);
}

#[tokio::test]
async fn a_backfill_tells_how_far_it_is_until_it_is_done() {
    let stage = Stage::set().await;
    stage.show(500, DAYS * 86_400);
    let source = stage.source_to_file("lake", json!({})).await;
    let mut plugin = stage.plugin().await;
    let config = object(&[
        ("source_id", source.as_str().into()),
        ("from", day(DAYS + 1)),
        ("to", day(0)),
    ]);
    let never = CancellationToken::new();
    let invoked = plugin.driver.invoke(BACKFILL, &config, &never);
    let done = stage.while_polling(&source, invoked).await.unwrap();
    assert_eq!(done.errors, [""; 0]);
    let (first, last) = (&done.progress[0], done.progress.last().unwrap());
    assert!(
        first.contains("0 of 22 days") && done.progress.len() > 1,
        "{done:?}"
    );
    assert_eq!(last.matches("22 of 22 days").count(), 2, "{done:?}");
    let lake = stage.engine.out("lake");
    let collected = delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE);
    stage.while_polling(&source, collected).await;

    for (from, to, words) in [
        (day(400), day(0), "`from` is older than Zoom keeps"),
        (day(1), day(2), "`to` must not be before `from`"),
        ("May".into(), day(0), "must be a day such as"),
    ] {
        let config = object(&[("source_id", source.as_str().into()), ("from", from), ("to", to)]);
        let refused = plugin.driver.invoke(BACKFILL, &config, &never).await.unwrap();
        assert!(
            refused.errors.iter().any(|error| error.contains(words)),
            "{refused:?}"
        );
        assert_eq!(refused.progress, [""; 0]);
    }
    assert_eq!(plugin.driver.findings(), []);
}

#[tokio::test]
async fn an_interrupt_ends_the_backfill_and_keeps_what_it_collected() {
    let stage = Stage::set().await;
    stage.show(2_000, DAYS * 86_400);
    let source = stage.source_to_file("lake", json!({})).await;
    // Slow enough to be met in the middle.
    let slow = FaultRule::times("GET /v2/report", 100_000, Fault::Delay { millis: 60 });
    stage.sim.inject(slow);
    let mut plugin = stage.plugin().await;
    let config = object(&[
        ("source_id", source.as_str().into()),
        ("from", day(DAYS + 1)),
        ("to", day(0)),
    ]);
    let stop = CancellationToken::new();
    let running = async {
        wait::until(LATE, "the backfill to run", async || {
            let all = stage
                .engine
                .client()
                .backfills(&source, None)
                .await
                .unwrap()
                .items;
            let asked = all.into_iter().find(|view| view.from < view.to);
            asked.ok_or_else(|| "not yet".to_owned())
        })
        .await;
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(plugin.driver.invoke(BACKFILL, &config, &stop), running);
    let ended = ended.unwrap();
    assert!(ended.errors[0].contains("Terraform was interrupted"), "{ended:?}");
    let all = stage
        .engine
        .client()
        .backfills(&source, None)
        .await
        .unwrap()
        .items;
    let mine = all
        .iter()
        .find(|view| ended.errors[0].contains(view.id.as_str()))
        .unwrap();
    assert_eq!(mine.state, BackfillState::Cancelled, "{mine:?}");
    assert_eq!(plugin.driver.findings(), []);
}
