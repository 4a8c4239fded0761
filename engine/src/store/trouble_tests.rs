//! The database fails, and is there again: nothing is half done, and nothing hangs.

use std::{task::Context, time::Duration};

use futures_util::task::noop_waker;
use serde_json::json;

use super::{
    Error, Store, sql,
    testing::{Backend, Fixture},
};
use crate::clock::Clock;

async fn on(backend: Backend) -> Fixture {
    backend.choose();
    Fixture::new().await
}

/// A transaction that is dropped at whatever instant is rolled back, and nobody else works in it.
#[tokio::test]
async fn a_write_that_is_dropped_at_any_instant_is_no_write() {
    let clock = Clock::real();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let fixture = on(backend).await;
        for steps in 0..60 {
            let write = async {
                let mut write = fixture.store.durable().await?;
                sql::query("INSERT INTO meta (key, value) VALUES ('dropped', $1)")
                    .bind(vec![1])
                    .execute(&mut *write)
                    .await?;
                std::future::pending::<Result<(), Error>>().await
            };
            let mut write = std::pin::pin!(write);
            for _ in 0..steps {
                let polled = write.as_mut().poll(&mut Context::from_waker(&noop_waker()));
                assert!(polled.is_pending());
                clock.sleep(Duration::from_micros(100)).await;
            }
        }
        fixture.store.keep_key_check(b"kept").await.unwrap();
        let dropped = fixture
            .number("SELECT count(*) FROM meta WHERE key = 'dropped'")
            .await;
        assert_eq!(dropped, 0, "{backend:?}");
        // What was said to be kept is there for somebody else, too.
        let reopened = fixture.reopened().await;
        assert_eq!(reopened.store.keep_key_check(b"another").await.unwrap(), b"kept");
    }
}

#[tokio::test]
async fn sessions_that_the_server_ends_are_replaced() {
    let fixture = on(Backend::Postgres).await;
    for round in 0..3 {
        let ended = sql::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        let _ = ended.execute(fixture.store.read()).await;
        let mut tries = 0;
        while let Err(error) = fixture.store.ready().await {
            assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
            tries += 1;
            assert!(tries < 20, "round {round}: {}", error.chain());
        }
    }
}

#[tokio::test]
async fn a_database_that_only_reads_is_not_ready_and_says_so() {
    let fixture = on(Backend::Postgres).await;
    let reader = Store::open_to_read(fixture.database(), fixture.clock.clone())
        .await
        .unwrap();
    assert!(fixture.store.ready().await.is_ok());
    let error = reader.ready().await.unwrap_err();
    assert!(error.chain().contains("read-only"), "{}", error.chain());
}

/// Appends a segment of bytes that nobody reads.
async fn try_append(store: &Store, feed: i64, number: u64) -> Result<(), Error> {
    let payload: Vec<u8> = (0..300_u64)
        .flat_map(|part| *blake3::hash(&[number.to_le_bytes(), part.to_le_bytes()].concat()).as_bytes())
        .collect();
    let mut write = store.durable().await?;
    let seq: i64 =
        sql::query_scalar("UPDATE feed SET last_seq = last_seq + 1 WHERE id = $1 RETURNING last_seq")
            .bind(feed)
            .fetch_one(&mut *write)
            .await?;
    sql::query("INSERT INTO segment (feed_id, seq, events, payload, created_at) VALUES ($1, $2, 1, $3, 0)")
        .bind(feed)
        .bind(seq)
        .bind(payload)
        .execute(&mut *write)
        .await?;
    Ok(write.commit().await?)
}

/// A disk that is full refuses what is new, keeps what is there, and takes more once there is room.
#[tokio::test]
async fn a_full_disk_under_sqlite_loses_nothing() {
    let fixture = on(Backend::Sqlite).await;
    let (_, feeds) = fixture.source(1, json!({})).await;
    fixture.sql("PRAGMA max_page_count = 400").await;
    let mut kept = 0;
    let error = loop {
        match try_append(&fixture.store, feeds[0], kept).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1_000, "the disk is never full");
    };
    assert!(error.chain().contains("full"), "{}", error.chain());
    assert!(matches!(error, Error::Unavailable(_)) && kept > 10, "{kept}");
    fixture.sql("PRAGMA max_page_count = 1000000").await;
    try_append(&fixture.store, feeds[0], kept).await.unwrap();
    let kept = i64::try_from(kept).unwrap() + 1;
    assert_eq!(fixture.number("SELECT count(*) FROM segment").await, kept);
    assert_eq!(fixture.number("SELECT max(last_seq) FROM feed").await, kept);
}
