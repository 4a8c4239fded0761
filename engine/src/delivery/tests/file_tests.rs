//! Real files, and an engine that is killed at every possible moment.

use std::{fs, task::Context};

use futures_util::task::noop_waker;

use super::*;
use crate::{
    destination::Kinds,
    http::{Http, Options as HttpOptions},
};

fn kinds(fixture: &Fixture) -> Kinds {
    Kinds {
        http: Http::new(HttpOptions::default(), fixture.clock.clone()).unwrap(),
        clock: fixture.clock.clone(),
        file_roots: Arc::from([fixture.dir.path().join("out")]),
    }
}

async fn each_event_stands_in_the_file_once_however_often_the_engine_is_killed() {
    let fixture = Fixture::new().await;
    let lake = fixture
        .destination(1, json!({ "file": { "path": "a/lake" }, "metadata": false }))
        .await;
    let (_, feeds) = fixture.source(1, json!({ "destination_ids": [lake] })).await;
    let kinds = Arc::new(kinds(&fixture));
    let mut number = 0;
    for life in 0..150_u32 {
        let rows = rows(number + 1..=number + 3);
        number += 3;
        fixture.append(feeds[life as usize % 2], &texts(&rows)).await;
        let worker = worker(&fixture, kinds.clone());
        let stop = CancellationToken::new();
        let mut turn = Turn::default();
        let mut activation = worker.activate(&stop, &mut turn);
        // So many steps it lives: from not one to more than it needs.
        for _ in 0..life % 75 {
            if activation
                .as_mut()
                .poll(&mut Context::from_waker(&noop_waker()))
                .is_ready()
            {
                break;
            }
            // A step of the activation is over when the database's or the file's thread is.
            std::thread::yield_now();
            tokio::task::yield_now().await;
        }
        drop(activation);
        fixture.store.break_leases().await.unwrap();
    }
    // What was killed may still be writing, and holds the lock until it has ended.
    let worker = worker(&fixture, kinds);
    while let Some(due) = settle(&worker).await {
        fixture.time.advance_to(due);
    }
    let text = fs::read_to_string(fixture.dir.path().join("out/a/lake")).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let mut wanted = rows(1..=number);
    wanted.sort_unstable();
    assert_eq!(lines, wanted);
}

async fn a_path_that_leads_out_is_told() {
    let fixture = Fixture::new().await;
    let lake = fixture
        .destination(1, json!({ "file": { "path": "/etc/lake" } }))
        .await;
    let (_, feeds) = fixture.source(1, json!({ "destination_ids": [lake] })).await;
    fixture.append(feeds[0], &["1"]).await;
    settle(&worker(&fixture, Arc::new(kinds(&fixture)))).await;
    let status = fixture.store.destination_status(&lake).await.unwrap().unwrap();
    assert_eq!(status.trouble.unwrap().code, "path_refused");
    assert_eq!(status.pending_events, 1);
}

crate::store::testing::on_both!(
    each_event_stands_in_the_file_once_however_often_the_engine_is_killed,
    a_path_that_leads_out_is_told,
);
