//! What happens when nothing fails, and when the engine dies.

use std::{future::Future as _, pin::pin, task::Context};

use engine_api::{Health, LogType};
use futures_util::task::noop_waker;
use jiff::SignedDuration;

use super::*;
use crate::delivery::tests::scripted::Act;

/// Activates once and drops the activation at the point where it waits for `hung`.
pub(super) async fn activate_and_die(worker: &DeliveryWorker, hung: impl Fn() -> bool) {
    let stop = CancellationToken::new();
    let mut turn = Turn::default();
    let mut activation = pin!(worker.activate(&stop, &mut turn));
    for _ in 0..100_000 {
        if activation
            .as_mut()
            .poll(&mut Context::from_waker(&noop_waker()))
            .is_ready()
            || hung()
        {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the write was never reached");
}

async fn events_arrive_in_order_and_the_lane_sleeps() {
    let scene = Scene::new().await;
    let rows = rows(1..=10);
    let texts = texts(&rows);
    scene.fixture.append(scene.feeds[0], &texts[..3]).await;
    scene.fixture.append(scene.feeds[0], &texts[3..]).await;
    assert_eq!(scene.status().await.pending_events, 10);
    assert_eq!(scene.settle().await, None);
    assert_eq!(scene.script.lines(), rows);
    assert_eq!(scene.script.now().tried, [4, 4, 2]);

    let status = scene.status().await;
    assert_eq!((status.pending_events, status.health), (0, Health::Ok));
    assert_eq!(status.last_delivered_at, Some(scene.fixture.now()));
    let deliveries = scene
        .fixture
        .store
        .feed_deliveries(&engine_api::SourceId::from_bytes([1; 16]))
        .await
        .unwrap();
    let delivered: Vec<_> = deliveries
        .iter()
        .map(|(log_type, of)| (*log_type, of.pending_events, of.last_delivered_at.is_some()))
        .collect();
    assert_eq!(
        delivered,
        [(LogType::Activity, 0, false), (LogType::Operation, 0, true)]
    );

    scene.fixture.append(scene.feeds[0], &["\"late\""]).await;
    assert_eq!(scene.settle().await, None);
    assert_eq!(scene.script.lines().last().unwrap(), "\"late\"");
}

async fn what_the_adapter_must_find_again_is_stored_around_each_write() {
    let scene = Scene::new().await;
    scene.fixture.append(scene.feeds[0], &texts(&rows(1..=5))).await;
    scene.settle().await;
    scene.fixture.append(scene.feeds[0], &["6"]).await;
    scene.settle().await;
    let wanted = [
        (None, false),
        (Some("1".to_owned()), false),
        (Some("2".to_owned()), false),
    ];
    assert_eq!(scene.script.now().prepared, wanted);
}

async fn a_batch_that_was_cut_off_by_death_is_written_again_as_it_was() {
    let scene = Scene::new().await;
    scene.fixture.append(scene.feeds[0], &["1", "2"]).await;
    scene.script.now().acts.push_back(Act::TakeAndHang);
    activate_and_die(&scene.worker, || scene.script.now().taken.len() == 1).await;

    // More arrives while nobody delivers: the first batch must not grow.
    scene.fixture.append(scene.feeds[0], &["3"]).await;
    let Scene { fixture, script, .. } = scene;
    let fixture = fixture.reopened().await;
    let worker = worker(&fixture, Arc::new(script.clone()));
    assert_eq!(
        settle(&worker).await,
        Some(fixture.now() + SignedDuration::from_mins(10)),
        "the lease is not over"
    );
    fixture.store.break_leases().await.unwrap();
    settle(&worker).await;

    let taken = script.now().taken.clone();
    assert_eq!(taken[0], taken[1], "the same id and the same lines");
    assert_eq!(taken[2].1, ["3"]);
    assert_eq!(
        script.now().prepared[1],
        (Some("0".to_owned()), true),
        "the adapter was told"
    );
    assert!(!script.now().prepared[2].1);
}

async fn who_lost_the_lane_changes_nothing_and_stops() {
    let scene = Scene::new().await;
    scene.fixture.append(scene.feeds[0], &texts(&rows(1..=8))).await;
    let act = Act::TakeWhileClaimed(scene.fixture.store.clone());
    scene.script.now().acts.push_back(act);
    assert_eq!(
        scene
            .worker
            .activate(&CancellationToken::new(), &mut Turn::default())
            .await,
        Next::Again
    );
    assert_eq!(scene.script.now().tried, [4], "it began nothing more");
    assert_eq!(scene.status().await.pending_events, 8);
    // The other engine dies; the batch is written again, since nobody settled it.
    scene.fixture.time.advance(Duration::from_mins(1));
    scene.settle().await;
    let taken = scene.script.now().taken.clone();
    assert_eq!(taken[0], taken[1]);
    assert_eq!(scene.status().await.pending_events, 0);
}

async fn a_batch_waits_for_company_until_its_age() {
    let scene = Scene::new().await;
    scene.script.now().limits.max_age = Duration::from_secs(30);
    scene.fixture.append(scene.feeds[0], &["1"]).await;
    let due = scene.fixture.now() + SignedDuration::from_secs(30);
    assert_eq!(scene.settle().await, Some(due));
    scene.fixture.time.advance(Duration::from_secs(10));
    scene.fixture.append(scene.feeds[0], &["2"]).await;
    scene.fixture.append(scene.feeds[1], &["3"]).await;
    assert_eq!(scene.settle().await, Some(due), "the oldest event decides");
    assert!(scene.script.lines().is_empty());
    scene.fixture.time.advance_to(due);
    assert_eq!(scene.settle().await, Some(due + SignedDuration::from_secs(10)));
    assert_eq!(scene.script.lines(), ["1", "2"]);
    // A full batch does not wait.
    scene.fixture.append(scene.feeds[1], &["4", "5", "6"]).await;
    assert_eq!(scene.settle().await, None);
    assert_eq!(scene.script.lines().len(), 6);
}

async fn stopping_is_honoured_between_batches() {
    let scene = Scene::new().await;
    scene.fixture.append(scene.feeds[0], &["1"]).await;
    let stop = CancellationToken::new();
    stop.cancel();
    assert_eq!(
        scene.worker.activate(&stop, &mut Turn::default()).await,
        Next::Again
    );
    assert!(scene.script.lines().is_empty());
    scene.settle().await;
    assert_eq!(scene.script.lines(), ["1"]);
}

async fn a_new_destination_begins_at_the_end_and_a_removed_one_gets_no_more() {
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    fixture.append(scene.feeds[0], &["1"]).await;
    let second = fixture
        .destination(2, json!({ "file": { "path": "second" }, "metadata": false }))
        .await;
    fixture
        .source(1, json!({ "destination_ids": [scene.destination, second] }))
        .await;
    fixture.append(scene.feeds[0], &["2"]).await;
    assert_eq!(
        fixture
            .store
            .destination_status(&second)
            .await
            .unwrap()
            .unwrap()
            .pending_events,
        1
    );
    scene.settle().await;
    assert_eq!(scene.script.now().taken.len(), 2);
    assert_eq!(scene.script.lines().iter().filter(|line| *line == "2").count(), 2);
    assert_eq!(scene.script.lines().iter().filter(|line| *line == "1").count(), 1);

    fixture.source(1, json!({ "destination_ids": [second] })).await;
    fixture.append(scene.feeds[0], &["3"]).await;
    scene.settle().await;
    assert_eq!(scene.script.lines().iter().filter(|line| *line == "3").count(), 1);
    assert_eq!(scene.status().await.pending_events, 0);
}

async fn metadata_is_added_unless_it_is_switched_off() {
    let scene = Scene::new().await;
    scene
        .fixture
        .destination(1, json!({ "file": { "path": "unused" } }))
        .await;
    scene
        .fixture
        .append(scene.feeds[1], &[r#"{"email":"a@b"}"#])
        .await;
    scene.settle().await;
    let line: serde_json::Value = serde_json::from_str(&scene.script.lines()[0]).unwrap();
    assert_eq!(line["email"], "a@b");
    assert_eq!(line["zoom_log"]["log_type"], "Zoom.Activity");
    assert_eq!(line["zoom_log"]["source_name"], "source 1");
}

async fn segments_are_forgotten_when_all_have_them_and_they_are_old() {
    use super::super::RetentionWorker;
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    let week = Duration::from_hours(7 * 24);
    let retention = RetentionWorker::new(fixture.store.clone(), fixture.clock.clone(), week);
    let kept = || fixture.number("SELECT COUNT(*) FROM segment");
    async fn forget(retention: &RetentionWorker) {
        while retention
            .activate(&CancellationToken::new(), &mut Turn::default())
            .await
            == Next::Again
        {}
    }
    fixture.append(scene.feeds[0], &["1"]).await;
    let (_, lonely) = fixture.source(2, json!({})).await;
    fixture.append(lonely[0], &["2"]).await;

    fixture.time.advance(week);
    forget(&retention).await;
    assert_eq!(kept().await, 2, "not older than a week yet");
    fixture.time.advance(Duration::from_millis(1));
    forget(&retention).await;
    assert_eq!(
        kept().await,
        1,
        "one is not delivered yet; nobody waits for the other"
    );
    scene.settle().await;
    forget(&retention).await;
    assert_eq!(kept().await, 0);
    let prints = "SELECT SUM(LENGTH(prints)) / 16 FROM segment_day";
    assert_eq!(
        fixture.number(prints).await,
        2,
        "what was collected is known for as long as Zoom has it"
    );
}

async fn prints_of_forgotten_segments_are_joined_and_go_when_zoom_has_forgotten_their_day() {
    use super::super::RetentionWorker;
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    let retention = RetentionWorker::new(fixture.store.clone(), fixture.clock.clone(), Duration::ZERO);
    let feed = scene.feeds[0];
    let day = crate::model::Day::of(fixture.now());
    let rows: Vec<String> = (0..100).map(|row| row.to_string()).collect();
    for row in &rows {
        fixture.append(feed, &[row]).await;
    }
    let before = fixture.store.known(feed, day).await.unwrap();
    scene.settle().await;
    fixture.time.advance(Duration::from_secs(1));
    while retention
        .activate(&CancellationToken::new(), &mut Turn::default())
        .await
        == Next::Again
    {}
    assert_eq!(fixture.number("SELECT COUNT(*) FROM segment").await, 0);
    assert_eq!(fixture.number("SELECT COUNT(*) FROM segment_day").await, 1);
    assert_eq!(
        fixture.store.known(feed, day).await.unwrap(),
        before,
        "in the order of the log"
    );
    fixture.time.advance(Duration::from_hours(24 * 200));
    while retention
        .activate(&CancellationToken::new(), &mut Turn::default())
        .await
        == Next::Again
    {}
    assert_eq!(fixture.number("SELECT COUNT(*) FROM segment_day").await, 0);
}

crate::store::testing::on_both!(
    events_arrive_in_order_and_the_lane_sleeps,
    what_the_adapter_must_find_again_is_stored_around_each_write,
    a_batch_that_was_cut_off_by_death_is_written_again_as_it_was,
    who_lost_the_lane_changes_nothing_and_stops,
    a_batch_waits_for_company_until_its_age,
    stopping_is_honoured_between_batches,
    a_new_destination_begins_at_the_end_and_a_removed_one_gets_no_more,
    metadata_is_added_unless_it_is_switched_off,
    segments_are_forgotten_when_all_have_them_and_they_are_old,
    prints_of_forgotten_segments_are_joined_and_go_when_zoom_has_forgotten_their_day,
);
