//! Destinations that want a subset: what they do not want is passed, counted, and never in the way.

use engine_api::{Health, ReplayRequest};
use proptest::prelude::*;

use super::{turns::activate_and_die, *};
use crate::{delivery::tests::scripted::Act, destination::WriteError};

/// A scene whose destination wants this subset; rows that hold `billing` are labelled so, all others `sso`.
async fn wanting(only: serde_json::Value) -> Scene {
    let scene = Scene::new().await;
    want(&scene.fixture, only).await;
    scene
}

async fn want(fixture: &Fixture, only: serde_json::Value) {
    let spec = json!({ "file": { "path": "unused" }, "metadata": false, "only": only });
    fixture.destination(1, spec).await;
}

fn sso() -> serde_json::Value {
    json!({ "labels": ["sso"] })
}

fn left_out(worker: &DeliveryWorker) -> u64 {
    let text = worker.means.telemetry.render();
    let line = text
        .lines()
        .find(|line| line.starts_with("zoom_log_engine_destination_events_left_out_total{"));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

async fn what_is_not_wanted_is_passed_and_counted() {
    let scene = wanting(sso()).await;
    let rows = [
        "\"billing 1\"",
        "1",
        "\"billing 2\"",
        "2",
        "3",
        "4",
        "5",
        "\"billing 3\"",
        "6",
        "\"billing 4\"",
    ];
    scene.fixture.append(scene.feeds[0], &rows[..6]).await;
    scene.fixture.append(scene.feeds[0], &rows[6..]).await;
    assert_eq!(scene.settle().await, None);
    assert_eq!(scene.script.lines(), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(
        scene.script.now().tried,
        [4, 2],
        "batches are as long as they may be"
    );
    let status = scene.status().await;
    assert_eq!((status.pending_events, status.dead_letters), (0, 0));
    assert_eq!(left_out(&scene.worker), 4);
}

async fn where_nothing_is_wanted_nothing_is_written_and_the_position_moves() {
    let scene = wanting(json!({ "log_types": ["activity"] })).await;
    for _ in 0..5 {
        scene.fixture.append(scene.feeds[0], &texts(&rows(1..=7))).await;
    }
    assert_eq!(scene.settle().await, None);
    assert!(scene.script.now().tried.is_empty() && scene.script.now().prepared.is_empty());
    let status = scene.status().await;
    assert_eq!((status.pending_events, status.last_delivered_at), (0, None));
    assert_eq!(
        status.health,
        Health::Pending,
        "nothing is known of the destination itself"
    );
    assert_eq!(left_out(&scene.worker), 35);

    scene.fixture.append(scene.feeds[1], &["\"a sign-in\""]).await;
    scene.settle().await;
    assert_eq!(scene.script.lines(), ["\"a sign-in\""]);
}

async fn a_batch_that_is_written_again_is_the_same_whatever_is_left_out_after_it() {
    let scene = wanting(sso()).await;
    scene
        .fixture
        .append(scene.feeds[0], &["\"billing 0\"", "1", "2", "\"billing 1\""])
        .await;
    scene.script.now().acts.push_back(Act::TakeAndHang);
    activate_and_die(&scene.worker, || scene.script.now().taken.len() == 1).await;

    scene
        .fixture
        .append(scene.feeds[0], &["\"billing 2\"", "3", "\"billing 3\""])
        .await;
    let Scene { fixture, script, .. } = scene;
    let fixture = fixture.reopened().await;
    fixture.store.break_leases().await.unwrap();
    let worker = worker(&fixture, Arc::new(script.clone()));
    settle(&worker).await;
    let taken = script.now().taken.clone();
    assert_eq!(taken[0], taken[1], "the same id and the same lines");
    assert_eq!(taken[2].1, ["3"]);
    assert_eq!(left_out(&worker), 4);
}

async fn a_wanted_event_that_is_refused_is_the_dead_letter() {
    let scene = wanting(sso()).await;
    let rows = ["\"billing poison\"", "\"poison\"", "\"billing 2\"", "3"];
    scene.fixture.append(scene.feeds[0], &rows).await;
    scene.settle().await;
    assert_eq!(scene.script.lines(), ["3"]);
    let letters = scene
        .fixture
        .store
        .dead_letters(&ReplayRequest::default(), None, 9)
        .await
        .unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].event, "poison");
    assert_eq!(
        (scene.status().await.pending_events, left_out(&scene.worker)),
        (0, 2)
    );

    // What is asked for by name is sent, whatever the subset is by now.
    scene.script.now().healed = true;
    want(&scene.fixture, json!({ "labels": ["billing"] })).await;
    scene
        .fixture
        .store
        .queue_replay(&ReplayRequest::default())
        .await
        .unwrap();
    scene.settle().await;
    assert_eq!(scene.script.lines(), ["3", "\"poison\""]);
}

async fn a_change_acts_on_what_is_not_yet_delivered() {
    let scene = wanting(sso()).await;
    scene
        .fixture
        .append(scene.feeds[0], &["1", "\"billing 2\""])
        .await;
    scene.settle().await;
    let detail = "it is down".to_owned();
    scene
        .script
        .now()
        .acts
        .push_back(Act::Fail(WriteError::Unavailable { detail }));
    scene
        .fixture
        .append(scene.feeds[0], &["3", "\"billing 4\"", "5"])
        .await;
    assert!(
        scene.settle().await.is_some(),
        "a batch is staged, and the lane pauses"
    );
    assert_eq!(scene.status().await.pending_events, 3);

    want(&scene.fixture, json!({ "labels": ["billing"] })).await;
    scene.settle().await;
    assert_eq!(scene.script.lines(), ["1", "\"billing 4\""]);
    scene
        .fixture
        .append(scene.feeds[0], &["6", "\"billing 7\""])
        .await;
    scene
        .fixture
        .destination(1, json!({ "file": { "path": "unused" }, "metadata": false }))
        .await;
    scene.settle().await;
    assert_eq!(scene.script.lines(), ["1", "\"billing 4\"", "6", "\"billing 7\""]);
    assert_eq!(scene.status().await.pending_events, 0);
}

async fn a_staged_batch_of_which_nothing_is_wanted_any_more_is_passed() {
    let scene = wanting(sso()).await;
    let detail = "it is down".to_owned();
    scene
        .script
        .now()
        .acts
        .push_back(Act::Fail(WriteError::Unavailable { detail }));
    scene.fixture.append(scene.feeds[0], &["1", "2"]).await;
    assert!(scene.settle().await.is_some());
    want(&scene.fixture, json!({ "log_types": ["activity"] })).await;
    assert_eq!(scene.settle().await, None);
    assert_eq!(scene.script.lines(), [""; 0]);
    assert_eq!(
        (scene.status().await.pending_events, left_out(&scene.worker)),
        (0, 2)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever fails: at the end each wanted event was taken once or is a dead letter, in order, and each other one
    /// was counted.
    #[test]
    fn each_wanted_event_arrives_once(
        segments in prop::collection::vec(prop::collection::vec((any::<bool>(), 0..8_u8), 1..12), 1..6),
        fails in prop::collection::vec(any::<bool>(), 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let scene = wanting(sso()).await;
            for fails in fails {
                let detail = "it is down".to_owned();
                let refused = WriteError::Refused { reason: "no".to_owned() };
                let error = if fails { WriteError::Unavailable { detail } } else { refused };
                scene.script.now().acts.push_back(Act::Fail(error));
            }
            let (mut wanted, mut others, mut number) = (Vec::new(), 0, 0);
            for segment in segments {
                let mut rows = Vec::new();
                for (is_wanted, dice) in segment {
                    number += 1;
                    let poison = if dice == 0 { " poison" } else { "" };
                    let kind = if is_wanted { "sso" } else { "billing" };
                    let row = format!("\"{kind} {number}{poison}\"");
                    if is_wanted { wanted.push(row.clone()) } else { others += 1 }
                    rows.push(row);
                }
                scene.fixture.append(scene.feeds[0], &texts(&rows)).await;
                if scene.settle().await.is_some() {
                    scene.fixture.time.advance(Duration::from_hours(1));
                }
            }
            for _ in 0..10 {
                scene.fixture.time.advance(Duration::from_hours(1));
                scene.settle().await;
            }
            let letters = scene.fixture.store.dead_letters(&ReplayRequest::default(), None, 999).await.unwrap();
            let dead: Vec<String> = letters.iter().map(|letter| letter.event.to_string()).collect();
            let lines = scene.script.lines();
            let alive: Vec<_> = wanted.iter().filter(|row| !dead.contains(row)).cloned().collect();
            assert_eq!(lines, alive);
            assert_eq!(lines.len() + dead.len(), wanted.len());
            assert_eq!(left_out(&scene.worker), others);
            assert_eq!(scene.status().await.pending_events, 0);
            let staged = "SELECT COUNT(*) FROM position WHERE staged_seq IS NOT NULL";
            assert_eq!(scene.fixture.number(staged).await, 0);
        });
    }
}

crate::store::testing::on_both!(
    what_is_not_wanted_is_passed_and_counted,
    where_nothing_is_wanted_nothing_is_written_and_the_position_moves,
    a_batch_that_is_written_again_is_the_same_whatever_is_left_out_after_it,
    a_wanted_event_that_is_refused_is_the_dead_letter,
    a_change_acts_on_what_is_not_yet_delivered,
    a_staged_batch_of_which_nothing_is_wanted_any_more_is_passed,
);
