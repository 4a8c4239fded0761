//! The delivery worker against a scripted destination, and against real files.

mod audit;
mod failures;
mod file_tests;
mod only;
mod scripted;
mod turns;

use std::{sync::Arc, time::Duration};

use engine_api::DestinationId;
use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::scripted::Scripted;
use super::{DeliveryWorker, Options};
use crate::{
    destination::Open,
    retry::Backoff,
    store::testing::Fixture,
    telemetry::Telemetry,
    vault::{self, Held, KeyFrom, Vault},
    worker::{Next, Turn, Worker as _},
};

fn vault(fixture: &Fixture) -> Vault {
    let options = vault::Options {
        key: KeyFrom::File(fixture.dir.path().join("key")),
        ref_dirs: vec![fixture.dir.path().join("secrets")],
        ref_env_prefixes: Vec::new(),
    };
    Vault::load(options, Held::Nothing).unwrap()
}

fn worker(fixture: &Fixture, destinations: Arc<dyn Open>) -> DeliveryWorker {
    let backoff = Backoff {
        first: Duration::from_secs(1),
        longest: Duration::from_mins(5),
    };
    DeliveryWorker::new(
        fixture.store.clone(),
        vault(fixture),
        fixture.clock.clone(),
        Telemetry::new(),
        destinations,
        Options::new("engine".to_owned(), backoff),
    )
}

/// Activates until nothing is to be done at once; answers when something will be.
async fn settle(worker: &DeliveryWorker) -> Option<Timestamp> {
    for _ in 0..1_000 {
        match worker
            .activate(&CancellationToken::new(), &mut Turn::default())
            .await
        {
            Next::Again => {}
            Next::At(due) => return Some(due),
            Next::Idle => return None,
        }
    }
    panic!("the worker finds no end");
}

/// A fixture with one destination, one source with rows in its first feed, and a worker.
struct Scene {
    fixture: Fixture,
    script: Scripted,
    worker: DeliveryWorker,
    destination: DestinationId,
    feeds: [i64; 2],
}

impl Scene {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        // What the scripted destination is does not matter; without metadata its lines are easy to read.
        let destination = fixture
            .destination(1, json!({ "file": { "path": "unused" }, "metadata": false }))
            .await;
        let (_, feeds) = fixture
            .source(1, json!({ "destination_ids": [destination] }))
            .await;
        let script = Scripted::default();
        let worker = worker(&fixture, Arc::new(script.clone()));
        Self {
            fixture,
            script,
            worker,
            destination,
            feeds,
        }
    }

    async fn status(&self) -> engine_api::DestinationStatus {
        self.fixture
            .store
            .destination_status(&self.destination)
            .await
            .unwrap()
            .unwrap()
    }

    async fn settle(&self) -> Option<Timestamp> {
        settle(&self.worker).await
    }
}

/// `row-1`, `row-2`, … as JSON texts.
fn rows(numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    numbers.map(|number| format!("\"row-{number}\"")).collect()
}

fn texts(rows: &[String]) -> Vec<&str> {
    rows.iter().map(String::as_str).collect()
}
