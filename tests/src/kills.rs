//! The real engine, killed again and again at random moments while it collects; nothing may be lost or doubled.

use std::{
    collections::BTreeSet,
    fmt,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::json;

use crate::{
    delivered::{self, Event},
    engine::Engine,
    rng::Rng,
    sim::{Bulk, Drip, Mix, Report, Sim},
    wait,
};

const ACCOUNT: &str = "abc123";
const CLIENT: &str = "cid";
const SECRET: &str = "zoom-secret-one";

/// How much is killed, and how often.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Rows of each feed that are there from the start.
    pub rows: u64,
    pub kills: u32,
    /// Draws the moments.
    pub seed: u64,
}

/// What became of it.
#[derive(Debug)]
pub struct Survived {
    pub options: Options,
    pub events: usize,
    /// Kills at which rows had been delivered and rows were still to come.
    pub amid: u32,
    pub took: Duration,
}

impl fmt::Display for Survived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { rows, kills, seed } = self.options;
        write!(
            f,
            "{kills} kills over {rows} rows a feed (seed {seed}), {} of them in the middle of the work: {} events, \
             each once, in {:.0} s",
            self.amid,
            self.events,
            self.took.as_secs_f64()
        )
    }
}

/// Kills the engine at moments drawn from the whole way, by how many rows have arrived.
///
/// # Panics
///
/// When a row is lost or doubled.
pub async fn run(options: Options) -> Survived {
    let began = Instant::now();
    let sim = Sim::start().await;
    sim.simple_account(ACCOUNT, CLIENT, SECRET);
    let settings = [
        ("zoom.sweep_interval", "5s"),
        ("delivery.retry_first", "100ms"),
        ("log.level", "info"),
    ];
    let mix = Mix {
        seed: options.seed,
        twin_percent: 2.0,
        late_percent: 5.0,
        late_secs: 20 * 3_600,
    };
    for report in Report::ALL {
        let span_secs = 40 * 3_600;
        sim.generate(
            ACCOUNT,
            report,
            Bulk {
                rows: options.rows,
                span_secs,
                mix,
            },
        );
        let mix = Mix {
            seed: options.seed + 1,
            ..mix
        };
        let drip = Drip {
            rows_per_page: 5,
            rows: options.rows / 20,
            mix,
        };
        sim.drip(ACCOUNT, report, Some(drip));
    }
    let mut engine = Engine::start_with(&sim.url(), &settings).await;
    let destination = json!({"name": "lake", "file": {"path": "lake"}});
    let destination = engine.create("destinations", destination).await;
    let first = (Timestamp::now() - SignedDuration::from_hours(72))
        .to_zoned(TimeZone::UTC)
        .date();
    let source = json!({
        "name": "My Zoom logs",
        "account_id": ACCOUNT,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "destination_ids": [destination],
        "poll_interval": "15s",
        "start_from": format!("{first}T00:00:00Z"),
    });
    let source = engine.create("sources", source).await;
    let lake = engine.out("lake");

    let mut rng = Rng::new(options.seed);
    let mut amid = 0;
    for _ in 0..options.kills {
        let before = std::fs::metadata(&lake).map_or(0, |found| found.len());
        // From right after the start, where the most is begun, to some way into the work.
        tokio::time::sleep(Duration::from_millis(rng.below(600))).await;
        let _ = engine.client().poll_source(&source).await;
        tokio::time::sleep(Duration::from_millis(rng.below(120))).await;
        engine.kill();
        let after = std::fs::metadata(&lake).map_or(0, |found| found.len());
        amid += u32::from(after > before);
        engine.start_again().await;
    }
    for report in Report::ALL {
        sim.drip(ACCOUNT, report, None);
    }
    let done = delivered::exactly(&sim, ACCOUNT, &lake, 5 * wait::LATE);
    let polls = async {
        loop {
            let _ = engine.client().poll_source(&source).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let events = tokio::select! {
        events = done => events,
        () = polls => unreachable!("polls go on until the wait is over"),
    };
    each_once(&events);
    Survived {
        options,
        events: events.len(),
        amid,
        took: began.elapsed(),
    }
}

/// Holds that no event is there twice.
///
/// # Panics
///
/// When one is.
pub fn each_once(events: &[Event]) {
    let mut ids = BTreeSet::new();
    for event in events {
        let id = event.zoom_log["id"].as_str().expect("an event has an id");
        assert!(ids.insert(id), "an id came twice: {}", event.zoom_log);
    }
}
