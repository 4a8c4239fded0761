//! Destinations that refuse, ask to wait, or cannot be reached.

use engine_api::{Code, Health, ReplayRequest};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::{delivery::tests::scripted::Act, destination::WriteError, store::delivery};

fn unavailable() -> Act {
    Act::Fail(WriteError::Unavailable {
        detail: "it is down".to_owned(),
    })
}

async fn dead_letters(scene: &Scene) -> Vec<engine_api::DeadLetterView> {
    scene
        .fixture
        .store
        .dead_letters(&ReplayRequest::default(), None, 100)
        .await
        .unwrap()
}

async fn the_event_at_fault_becomes_a_dead_letter_and_nothing_else_is_lost() {
    let scene = Scene::new().await;
    scene.script.now().limits.max_events = 100;
    let mut rows = rows(1..=20);
    rows[12] = "\"poison\"".to_owned();
    scene.fixture.append(scene.feeds[0], &texts(&rows)).await;
    assert_eq!(scene.settle().await, None);
    let poison = rows.remove(12);
    assert_eq!(scene.script.lines(), rows, "each once, in order");
    let tried = scene.script.now().tried.len();
    assert!(tried < 16, "{tried} writes");

    let status = scene.status().await;
    assert_eq!((status.pending_events, status.dead_letters), (0, 1));
    let letters = dead_letters(&scene).await;
    assert_eq!(letters[0].event.to_string(), poison);
    assert_eq!(
        (letters[0].reason.as_str(), letters[0].replays),
        ("poison found", 0)
    );
    assert_eq!(letters[0].destination_id, scene.destination);
    assert!(letters[0].event_id.starts_with("evt_"));
}

async fn a_destination_that_refuses_all_costs_one_write_an_event() {
    let scene = Scene::new().await;
    scene.script.now().limits.max_events = 1_000;
    let rows: Vec<_> = (0..200).map(|number| format!("\"poison {number}\"")).collect();
    scene.fixture.append(scene.feeds[0], &texts(&rows)).await;
    scene.settle().await;
    assert_eq!(scene.status().await.dead_letters, 200);
    let tried = scene.script.now().tried.len();
    assert!(tried < 220, "{tried} writes");
}

async fn a_batch_that_is_too_large_is_split_and_a_single_event_is_refused() {
    let scene = Scene::new().await;
    scene.script.now().limits.max_events = 100;
    scene.script.now().too_large = 40;
    let mut rows = rows(1..=16);
    rows[4] = format!("\"{}\"", "x".repeat(60));
    scene.fixture.append(scene.feeds[0], &texts(&rows)).await;
    scene.settle().await;
    rows.remove(4);
    assert_eq!(scene.script.lines(), rows);
    let letters = dead_letters(&scene).await;
    assert_eq!((letters.len(), letters[0].reason.as_str()), (1, "too large"));
}

async fn one_feeds_bad_event_does_not_stop_the_other_feed() {
    let scene = Scene::new().await;
    scene.script.now().parallel = 8;
    scene.fixture.append(scene.feeds[0], &["\"poison\"", "1"]).await;
    scene.fixture.append(scene.feeds[1], &["2"]).await;
    scene.settle().await;
    let mut lines = scene.script.lines();
    lines.sort();
    assert_eq!(lines, ["1", "2"]);
}

async fn a_pause_doubles_is_kept_against_new_events_and_ends_with_a_new_spec() {
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    for _ in 0..3 {
        scene.script.now().acts.push_back(unavailable());
    }
    fixture.append(scene.feeds[0], &["1"]).await;
    fixture.append(scene.feeds[1], &["2"]).await;
    let since = fixture.now();
    let mut pauses = Vec::new();
    for _ in 0..2 {
        let due = scene.settle().await.unwrap();
        // What arrives meanwhile does not shorten the pause.
        fixture.append(scene.feeds[0], &["3"]).await;
        assert_eq!(scene.settle().await, Some(due));
        pauses.push(due.duration_since(fixture.now()).as_secs_f64());
        fixture.time.advance_to(due);
    }
    assert!(
        (0.5..=1.0).contains(&pauses[0]) && (1.0..=2.0).contains(&pauses[1]),
        "{pauses:?}"
    );
    scene.settle().await.unwrap();
    assert_eq!(scene.script.now().tried.len(), 3, "the other feed began nothing");
    let status = scene.status().await;
    let trouble = status.trouble.unwrap();
    assert_eq!((status.health, trouble.since), (Health::Degraded, since));
    assert_eq!(
        (trouble.code.as_str(), trouble.detail.as_str()),
        ("destination_unavailable", "it is down")
    );

    fixture
        .destination(1, json!({ "file": { "path": "corrected" }, "metadata": false }))
        .await;
    assert_eq!(scene.settle().await, None);
    let status = scene.status().await;
    assert_eq!(
        (status.pending_events, status.health, status.trouble),
        (0, Health::Ok, None)
    );
    assert_eq!(scene.script.lines().len(), 4);
}

async fn a_wish_to_wait_is_followed_and_a_block_is_retried_slowly() {
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    let wish = fixture.now() + SignedDuration::from_secs(40);
    let throttled = WriteError::Throttled {
        retry_after: Some(wish),
        detail: "slow down".to_owned(),
    };
    scene.script.now().acts.push_back(Act::Fail(throttled));
    let blocked = WriteError::Blocked {
        code: Code::DestinationRefused,
        detail: "wrong token".to_owned(),
    };
    scene.script.now().acts.push_back(Act::Fail(blocked));
    fixture.append(scene.feeds[0], &["1"]).await;
    assert_eq!(scene.settle().await, Some(wish));
    fixture.time.advance_to(wish);
    let due = scene.settle().await.unwrap();
    assert!(due.duration_since(wish) >= SignedDuration::from_secs(16), "{due}");
    assert_eq!(scene.status().await.health, Health::Failing);
    assert_eq!(scene.status().await.dead_letters, 0, "everything is kept");
    fixture.time.advance_to(due);
    assert_eq!(scene.settle().await, None);
    assert_eq!(scene.script.lines(), ["1"]);
}

async fn a_refused_batch_that_is_halved_survives_death() {
    let scene = Scene::new().await;
    scene
        .fixture
        .append(scene.feeds[0], &["1", "2", "\"poison\"", "4"])
        .await;
    let refused = WriteError::Refused {
        reason: "poison found".to_owned(),
    };
    scene
        .script
        .now()
        .acts
        .extend([Act::Fail(refused), unavailable()]);
    let due = scene.settle().await.unwrap();
    assert_eq!(scene.script.now().tried, [4, 2]);
    scene.fixture.time.advance_to(due);
    scene.settle().await;
    assert_eq!(scene.script.now().tried[2], 2, "the staged half is written again");
    assert_eq!(scene.script.lines(), ["1", "2", "4"]);
    assert_eq!(scene.status().await.dead_letters, 1);
}

async fn dead_letters_are_replayed_before_anything_new() {
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    fixture
        .append(scene.feeds[0], &["\"poison 1\"", "\"poison 2\"", "3"])
        .await;
    scene.settle().await;
    assert_eq!(scene.status().await.dead_letters, 2);

    // Refused again: it waits for the next replay with the new reason.
    fixture.time.advance(Duration::from_secs(1));
    let all = ReplayRequest::default();
    assert_eq!(fixture.store.queue_replay(&all).await.unwrap(), 2);
    scene.settle().await;
    let letters = dead_letters(&scene).await;
    assert_eq!(
        letters.iter().map(|letter| letter.replays).collect::<Vec<_>>(),
        [1, 1]
    );
    assert_eq!(letters[0].refused_at, fixture.now());

    // Accepted now; not available in between; a new event comes last.
    let of = ReplayRequest {
        destination_id: Some(scene.destination.clone()),
        source_id: None,
    };
    let before = scene.script.lines().len();
    scene.script.now().acts.push_back(unavailable());
    fixture.store.queue_replay(&of).await.unwrap();
    fixture.append(scene.feeds[0], &["4"]).await;
    let due = scene.settle().await.unwrap();
    assert_eq!(scene.status().await.dead_letters, 2);
    fixture.time.advance_to(due);
    scene.script.now().healed = true;
    assert_eq!(scene.settle().await, None);
    let lines = scene.script.lines();
    assert_eq!(lines[before..], ["\"poison 1\"", "\"poison 2\"", "4"]);
    assert_eq!(scene.status().await.dead_letters, 0);
    let none = ReplayRequest {
        source_id: Some(engine_api::SourceId::from_bytes([9; 16])),
        destination_id: None,
    };
    assert_eq!(fixture.store.queue_replay(&none).await.unwrap(), 0);
}

async fn dead_letters_are_listed_page_by_page() {
    let scene = Scene::new().await;
    let rows: Vec<_> = (0..7).map(|number| format!("\"poison {number}\"")).collect();
    scene.fixture.append(scene.feeds[0], &texts(&rows)).await;
    scene.settle().await;
    let all = ReplayRequest::default();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = scene
            .fixture
            .store
            .dead_letters(&all, after.as_ref(), 3)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        seen.extend(page.iter().map(|letter| letter.event.to_string()));
    }
    seen.sort();
    assert_eq!(seen, rows);
}

async fn a_log_that_cannot_be_read_stops_only_its_own_feed() {
    let scene = Scene::new().await;
    scene.fixture.append(scene.feeds[0], &["1"]).await;
    scene.fixture.append(scene.feeds[1], &["2"]).await;
    scene.fixture.damage_log(scene.feeds[0]).await;
    assert!(scene.settle().await.is_some());
    assert_eq!(scene.script.lines(), ["2"]);
    let status = scene.status().await;
    assert_eq!((status.health, status.pending_events), (Health::Failing, 1));
    assert_eq!(status.trouble.unwrap().code, "internal");
}

async fn a_secret_that_cannot_be_opened_blocks() {
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    let spec = |reference: &str| json!({ "http": { "url": "http://127.0.0.1:1/", "bearer_token_ref": reference }, "metadata": false });
    fixture.destination(1, spec("file:/etc/shadow")).await;
    fixture.append(scene.feeds[0], &["1"]).await;
    scene.settle().await;
    assert_eq!(scene.status().await.trouble.unwrap().code, "secret_ref_refused");

    let missing = format!("file:{}/secrets/token", fixture.dir.path().display());
    fixture.destination(1, spec(&missing)).await;
    scene.settle().await;
    assert_eq!(
        scene.status().await.trouble.unwrap().code,
        "secret_ref_unreadable"
    );

    std::fs::create_dir(fixture.dir.path().join("secrets")).unwrap();
    std::fs::write(fixture.dir.path().join("secrets/token"), "t\n").unwrap();
    let due = scene.settle().await.unwrap();
    fixture.time.advance_to(due);
    scene.settle().await;
    assert_eq!(scene.script.lines(), ["1"]);

    let broken = json!({ "http": { "url": "http://127.0.0.1:1/" }, "metadata": false });
    fixture.destination(1, broken).await;
    fixture
        .seal(
            scene.destination.as_str(),
            "http.bearer_token",
            b"not sealed".to_vec(),
        )
        .await;
    fixture.append(scene.feeds[0], &["2"]).await;
    scene.settle().await;
    assert_eq!(scene.status().await.trouble.unwrap().code, "missing_secret");
}

async fn the_store_refuses_a_stale_claim_and_a_step_back() {
    let scene = Scene::new().await;
    let store = &scene.fixture.store;
    scene.fixture.append(scene.feeds[0], &["1", "2"]).await;
    let lease = Duration::from_mins(1);
    let lane = store.claim_lane("one", lease).await.unwrap().unwrap();
    assert!(
        store.claim_lane("two", lease).await.unwrap().is_none(),
        "claimed already"
    );
    let stale = crate::store::testing::another(&lane.claim, -1);
    let pending = store.pending_feeds(&lane.claim, 9).await.unwrap().remove(0);
    let end = crate::model::Position { seq: 2, index: 0 };
    assert_eq!(
        store.stage(&stale, lease, &pending, end, None).await.unwrap(),
        delivery::Moved::Fenced
    );
    let settlement = delivery::Settlement {
        feed_id: pending.feed_id,
        from: pending.position,
        to: end,
        settled: None,
        refused: None,
    };
    assert_eq!(
        store.settle(&stale, &settlement).await.unwrap(),
        delivery::Moved::Fenced
    );
    assert!(store.release_lane(&stale, None).await.unwrap().is_err());
    assert_eq!(
        store.settle(&lane.claim, &settlement).await.unwrap(),
        delivery::Moved::Done
    );
    // The same step again starts from a position that is no longer there.
    assert_eq!(
        store.settle(&lane.claim, &settlement).await.unwrap(),
        delivery::Moved::Gone
    );
    let back = sqlx_error(&scene.fixture, "UPDATE position SET seq = 1").await;
    assert!(back.contains("position_never_moves_back"), "{back}");
    let back = sqlx_error(&scene.fixture, "UPDATE lane SET fence = 0").await;
    assert!(back.contains("lane_fence_never_moves_back"), "{back}");
}

async fn sqlx_error(fixture: &Fixture, statement: &'static str) -> String {
    fixture.try_sql(statement).await.unwrap_err()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever fails in whatever order: at the end each event was taken once by an acknowledged write, or is a dead
    /// letter, and each feed's events came in order.
    #[test]
    fn nothing_is_lost_and_order_is_kept(
        poisoned in prop::collection::btree_set(0_usize..40, 0..6),
        segments in prop::collection::vec(1_usize..9, 1..8),
        faults in prop::collection::vec(0_u8..4, 0..10),
        (max_events, parallel) in (1_usize..12, 1_usize..3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let scene = Scene::new().await;
            {
                let mut script = scene.script.now();
                script.limits.max_events = max_events;
                script.parallel = parallel;
            }
            let (mut wanted, mut poison) = ([Vec::new(), Vec::new()], Vec::new());
            let mut number = 0;
            for (turn, size) in segments.iter().enumerate() {
                let rows: Vec<_> = (number..number + size).map(|row| {
                    if poisoned.contains(&row) { format!("\"poison {row}\"") } else { format!("\"row {row}\"") }
                }).collect();
                number += size;
                for row in &rows {
                    if row.contains("poison") { poison.push(row.clone()) } else { wanted[turn % 2].push(row.clone()) }
                }
                scene.fixture.append(scene.feeds[turn % 2], &texts(&rows)).await;
                let fault = faults.get(turn).copied().unwrap_or(0);
                let act = match fault {
                    1 => Some(unavailable()),
                    2 => Some(Act::Fail(WriteError::Throttled { retry_after: None, detail: String::new() })),
                    _ => None,
                };
                scene.script.now().acts.extend(act);
                while let Some(due) = scene.settle().await {
                    scene.fixture.time.advance_to(due);
                }
            }
            let lines = scene.script.lines();
            for feed in &wanted {
                let arrived: Vec<_> = lines.iter().filter(|line| feed.contains(line)).cloned().collect();
                assert_eq!(&arrived, feed);
            }
            assert_eq!(lines.len(), wanted[0].len() + wanted[1].len());
            let mut dead: Vec<_> = dead_letters(&scene).await.iter().map(|letter| letter.event.to_string()).collect();
            dead.sort();
            poison.sort();
            assert_eq!(dead, poison);
        });
    }
}

crate::store::testing::on_both!(
    the_event_at_fault_becomes_a_dead_letter_and_nothing_else_is_lost,
    a_destination_that_refuses_all_costs_one_write_an_event,
    a_batch_that_is_too_large_is_split_and_a_single_event_is_refused,
    one_feeds_bad_event_does_not_stop_the_other_feed,
    a_pause_doubles_is_kept_against_new_events_and_ends_with_a_new_spec,
    a_wish_to_wait_is_followed_and_a_block_is_retried_slowly,
    a_refused_batch_that_is_halved_survives_death,
    dead_letters_are_replayed_before_anything_new,
    dead_letters_are_listed_page_by_page,
    a_log_that_cannot_be_read_stops_only_its_own_feed,
    a_secret_that_cannot_be_opened_blocks,
    the_store_refuses_a_stale_claim_and_a_step_back,
);
