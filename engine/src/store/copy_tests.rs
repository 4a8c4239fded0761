//! A store that moves, and one that is copied while it is written to.

use std::time::Duration;

use engine_api::{Kind, LogType};
use serde_json::json;

use super::*;
use crate::{
    database::Database,
    store::{
        Store,
        samples::Sample,
        testing::{Backend, Fixture, Home},
    },
};

async fn filled() -> (Fixture, [i64; 2]) {
    Backend::Sqlite.choose();
    let fixture = Fixture::new().await;
    let lake = fixture.destination(1, json!({ "file": { "path": "x" } })).await;
    let (source, feeds) = fixture
        .source(
            1,
            json!({ "destination_ids": [lake], "drop_off_alarm": { "after": "1h" } }),
        )
        .await;
    fixture
        .seal(source.as_str(), "client_secret", vec![1, 2, 3])
        .await;
    fixture.append(feeds[0], &["\"a\"", "\"b\""]).await;
    fixture.append(feeds[1], &["\"c\""]).await;
    fixture.store.keep_key_check(b"check").await.unwrap();
    let id = engine_api::DeadLetterId::from_bytes([3; 16]);
    fixture
        .store
        .plant_dead_letter(id.as_str(), lake.as_str(), source.as_str())
        .await;
    (fixture, feeds)
}

async fn rows(store: &Store) -> Vec<String> {
    let mut rows = Vec::new();
    store
        .sample(None, None::<LogType>, Sample::default(), |_, event| {
            rows.push(event.row.to_owned());
            true
        })
        .await
        .unwrap();
    rows
}

#[tokio::test]
async fn a_store_moves_with_its_ids_and_positions_and_only_into_an_empty_one() {
    let (fixture, feeds) = filled().await;
    Backend::Postgres.choose();
    let home = Home::new(fixture.dir.path());
    let Database::Postgres(place) = home.database() else {
        panic!("{:?}", home.database())
    };
    let file = fixture.dir.path().join("engine.db");
    let copied = copy(&file, place).await.unwrap();
    let of = |table: &str| copied.iter().find(|(name, _)| *name == table).unwrap().1;
    assert_eq!(
        (of("feed"), of("segment"), of("position"), of("alarm")),
        (2, 2, 2, 2)
    );
    assert_eq!((of("dead_letter"), of("object_secret"), of("meta")), (1, 1, 1));

    let moved = home.open(fixture.clock.clone()).await;
    assert_eq!(rows(&moved).await, rows(&fixture.store).await);
    assert_eq!(moved.keep_key_check(b"another").await.unwrap(), b"check");
    let objects = |store: Store| async move { store.objects(Kind::Source, None, None, 9).await.unwrap() };
    assert_eq!(objects(moved.clone()).await, objects(fixture.store.clone()).await);
    // What was pending is pending, and the feeds' numbers are the same.
    let lane = moved
        .claim_lane("e", Duration::from_mins(1))
        .await
        .unwrap()
        .unwrap();
    let pending = moved.pending_feeds(&lane.claim, 9).await.unwrap();
    let mut ids: Vec<i64> = pending.iter().map(|pending| pending.feed_id).collect();
    ids.sort_unstable();
    assert_eq!(ids, feeds);
    moved.close().await;

    let again = copy(&file, place).await.unwrap_err().to_string();
    assert!(again.contains("is not empty"), "{again}");
}

#[tokio::test]
async fn a_copy_that_fails_leaves_nothing() {
    let (fixture, _) = filled().await;
    Backend::Postgres.choose();
    let home = Home::new(fixture.dir.path());
    let Database::Postgres(place) = home.database() else {
        panic!("{:?}", home.database())
    };
    let file = fixture.dir.path().join("engine.db");
    // What SQLite's own tables refuse cannot come from a sound store: it stands for any failure in the middle.
    fixture
        .sql("PRAGMA ignore_check_constraints = ON; UPDATE alarm SET state = 'odd'")
        .await;
    let failed = copy(&file, place).await.unwrap_err().to_string();
    assert!(failed.contains("alarm_state_is_known"), "{failed}");
    let store = home.open(fixture.clock.clone()).await;
    assert!(
        store
            .objects(Kind::Source, None, None, 9)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_backup_is_whole_while_the_store_is_written_to() {
    let (fixture, feeds) = filled().await;
    let (file, to) = (
        fixture.dir.path().join("engine.db"),
        fixture.dir.path().join("backup.db"),
    );
    let writes = async {
        for number in 0..20 {
            fixture.append(feeds[0], &[&format!("\"{number}\"")]).await;
        }
    };
    let (bytes, ()) = tokio::join!(back_up(&file, &to), writes);
    assert!(bytes.unwrap() > 0);
    let backup = Store::open(&to, fixture.clock.clone()).await.unwrap();
    let (kept, all) = (rows(&backup).await, rows(&fixture.store).await);
    assert!(
        kept.len() >= 3 && all.len() == 23,
        "{} of {}",
        kept.len(),
        all.len()
    );
    let of = |feed_rows: Vec<crate::store::FeedRow>| feed_rows.iter().map(|feed| feed.events).sum::<u64>();
    let source = engine_api::SourceId::from_bytes([1; 16]);
    let counted = of(backup.feed_rows(source.as_str()).await.unwrap());
    assert_eq!(counted, kept.len() as u64, "all of it is of one instant");
    let again = back_up(&file, &to).await.unwrap_err().to_string();
    assert!(again.contains("a file of this name"), "{again}");
}
