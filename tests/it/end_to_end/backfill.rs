//! Backfills through the API: older days are collected behind what is new, each row once, and can be ended.

use std::time::Duration;

use e2e::{
    delivered,
    sim::{Fault, FaultRule},
    wait,
};
use engine_api::{BackfillId, BackfillRequest, BackfillState, BackfillView};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::json;

use super::{ACCOUNT, LATE, Stage};

const DAYS: u64 = 20;

fn date(days_ago: u64) -> Date {
    let then = Timestamp::now() - Duration::from_hours(24 * days_ago);
    then.to_zoned(TimeZone::UTC).date()
}

/// All days of which there may be rows, today included.
fn all_days() -> BackfillRequest {
    BackfillRequest {
        from: date(DAYS + 1),
        to: date(0),
        log_types: None,
    }
}

async fn backfill(stage: &Stage, source: &str, id: &BackfillId) -> BackfillView {
    let client = stage.engine.client();
    client
        .backfill(source, id)
        .await
        .expect("an answer")
        .expect("a backfill")
}

async fn ended(stage: &Stage, source: &str, id: &BackfillId) -> BackfillView {
    wait::until(LATE, "the backfill's end", async || {
        let view = backfill(stage, source, id).await;
        match view.state {
            BackfillState::Running => Err(format!("{view:?}")),
            BackfillState::Done | BackfillState::Cancelled => Ok(view),
        }
    })
    .await
}

#[tokio::test]
async fn what_is_missing_is_collected_once_and_what_is_there_is_not_collected_again() {
    let stage = Stage::set_with(&[]).await;
    stage.show(500, DAYS * 86_400);
    let source = stage.source_to_file("lake", json!({})).await;
    let lake = stage.engine.out("lake");
    let client = stage.engine.client();

    let asked = client
        .create_backfill(&source, &all_days())
        .await
        .expect("a backfill");
    let view = stage
        .while_polling(&source, ended(&stage, &source, &asked.id))
        .await;
    assert_eq!(view.state, BackfillState::Done);
    assert!(
        view.feeds
            .iter()
            .all(|feed| feed.days_done == feed.days && feed.events > 0),
        "{view:?}"
    );
    let done = delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE);
    let events = stage.while_polling(&source, done).await.len();

    // Over the same days once more there is nothing to add.
    let again = client
        .create_backfill(&source, &all_days())
        .await
        .expect("a backfill");
    let view = stage
        .while_polling(&source, ended(&stage, &source, &again.id))
        .await;
    assert!(view.feeds.iter().all(|feed| feed.events == 0), "{view:?}");
    assert_eq!(delivered::read_file(&lake).len(), events);
    let mut listed: Vec<_> = client.backfills(&source, None).await.expect("a list").items;
    listed.retain(|view| [&asked.id, &again.id].contains(&&view.id));
    assert_eq!(listed.len(), 2);
}

#[tokio::test]
async fn a_backfill_goes_on_after_a_kill_and_ends_when_it_is_cancelled() {
    let mut stage = Stage::set_with(&[]).await;
    stage.show(3_000, DAYS * 86_400);
    let slow = Fault::Delay { millis: 60 };
    stage
        .sim
        .inject(FaultRule::times("GET /v2/report", 100_000, slow));
    let source = stage.source_to_file("lake", json!({})).await;
    let lake = stage.engine.out("lake");
    let asked = stage.engine.client().create_backfill(&source, &all_days()).await;
    let id = asked.expect("a backfill").id;
    wait::until(LATE, "some days", async || {
        let view = backfill(&stage, &source, &id).await;
        match view.feeds.iter().all(|feed| feed.days_done > 0) {
            true => Ok(()),
            false => Err(format!("{view:?}")),
        }
    })
    .await;
    stage.engine.kill();
    stage.engine.start_again().await;
    let view = stage.while_polling(&source, ended(&stage, &source, &id)).await;
    assert_eq!(view.state, BackfillState::Done);
    let done = delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE);
    stage.while_polling(&source, done).await;

    let client = stage.engine.client();
    let other = client
        .create_backfill(&source, &all_days())
        .await
        .expect("a backfill");
    let cancelled = client
        .cancel_backfill(&source, &other.id)
        .await
        .expect("an answer");
    assert_eq!(cancelled.state, BackfillState::Cancelled);
    let view = stage
        .while_polling(&source, ended(&stage, &source, &other.id))
        .await;
    assert_eq!(view.state, BackfillState::Cancelled, "it stays so");
}
