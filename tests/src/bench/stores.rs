//! Rows a second on each store, side by side: SQLite, PostgreSQL with one engine, PostgreSQL with several.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use private_postgres::Server;
use serde_json::json;

use super::{Series, Table, machine::count, simulator::Simulator, table::whole};
use crate::{
    delivered::{self, Multiset},
    engine::Engine,
    wait,
};

/// Sources, of two feeds each: as many as give several engines something to do.
const SOURCES: u32 = 6;
/// The hours that rows are spread over: within the window that the engine sweeps, so that one read finds all.
const HOURS: i64 = 36;
const LATE: Duration = Duration::from_mins(10);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Rows of each feed.
    pub rows: u64,
    pub repetitions: u32,
}

/// Where engines keep what they know.
#[derive(Debug, Clone, Copy)]
enum Kept {
    Sqlite,
    /// Shared by so many engines.
    Postgres(usize),
}

impl Kept {
    fn name(self) -> String {
        match self {
            Self::Sqlite => "SQLite".to_owned(),
            Self::Postgres(1) => "PostgreSQL, one engine".to_owned(),
            Self::Postgres(engines) => format!("PostgreSQL, {engines} engines"),
        }
    }
}

struct Zoom {
    simulator: Simulator,
    owed: Multiset,
    rows: u64,
    from: String,
}

/// Passes all rows through each store, by turns.
///
/// # Panics
///
/// When anything but exactly what the simulator owes is delivered.
pub async fn measure(options: Options) -> Table {
    let zoom = Zoom::start(options.rows).await;
    let stores = [Kept::Sqlite, Kept::Postgres(1), Kept::Postgres(3)];
    let mut rates = [Series::default(), Series::default(), Series::default()];
    for _ in 0..options.repetitions {
        for (store, rates) in stores.iter().zip(&mut rates) {
            let took = zoom.pass(*store).await;
            rates.push(count(zoom.rows) / took.as_secs_f64());
        }
    }
    let mut table = Table::new(format!(
        "g. Stores side by side: {SOURCES} sources, 2 feeds of {} rows each, simulator to one file",
        whole(options.rows)
    ));
    for (store, rates) in stores.iter().zip(&rates) {
        table.line(store.name(), rates, "events/s");
    }
    table.line(
        "PostgreSQL, one engine / SQLite",
        &rates[1].over(&rates[0]),
        "of its rate",
    );
    table.line(
        "PostgreSQL, 3 engines / one",
        &rates[2].over(&rates[1]),
        "of its rate",
    );
    table.note(format!(
        "{} events a pass, each held against the simulator's ledgers: none lost, none doubled.",
        whole(zoom.rows)
    ));
    table.note("Simulator, engines and PostgreSQL share the cores; commits wait for the disk on both.");
    table
}

impl Zoom {
    async fn start(rows: u64) -> Self {
        let from = Timestamp::now() - SignedDuration::from_hours(HOURS);
        let options = [
            ("--accounts", SOURCES.into()),
            ("--rows", rows),
            ("--span-hours", HOURS.unsigned_abs()),
        ];
        let simulator = Simulator::start("bench", "app", &options).await;
        let mut owed = Multiset::new();
        for account in 0..SOURCES {
            for (row, times) in simulator.ledger(&format!("bench-{account}")).await {
                *owed.entry(row).or_default() += times;
            }
        }
        Self {
            simulator,
            rows: owed.values().sum(),
            owed,
            from: from.to_zoned(TimeZone::UTC).date().to_string(),
        }
    }

    /// Passes all rows through fresh engines on a fresh store; answers how long that took.
    async fn pass(&self, store: Kept) -> Duration {
        let shared = tempfile::Builder::new().prefix("zle-stores-").tempdir();
        let shared = shared.expect("a temporary directory");
        let (server, engines) = match store {
            Kept::Sqlite => (None, 1),
            Kept::Postgres(engines) => (Some(Server::start().expect("a PostgreSQL")), engines),
        };
        let mut running = Vec::new();
        for _ in 0..engines {
            running.push(start_one(&self.simulator.url, server.as_ref(), shared.path(), &[]).await);
        }
        let lake = shared.path().join("lake");
        let destination = json!({"name": "lake", "file": {"path": lake}});
        let destination = running[0].create("destinations", destination).await;
        let began = Instant::now();
        let more = json!({
            "destination_ids": [destination],
            "start_from": format!("{}T00:00:00Z", self.from),
        });
        self.simulator.declare(&running[0], SOURCES, &more).await;
        let took = self.all_lines(&lake, began).await;
        for engine in &mut running {
            engine.stop().await;
        }
        delivered::is_just_what_is_owed(&lake, &self.owed);
        took
    }

    /// Waits until the file is as long as it stays: longer than all rows, and not growing while it has a line for each.
    async fn all_lines(&self, lake: &Path, began: Instant) -> Duration {
        let least: u64 = self
            .owed
            .iter()
            .map(|(row, times)| row.len() as u64 * times)
            .sum();
        wait::until(LATE, "all events in the file", async || {
            let size = std::fs::metadata(lake).map_or(0, |file| file.len());
            // Nobody counts lines before there can be enough of them.
            if size < least {
                return Err(format!("{size} bytes"));
            }
            let took = began.elapsed();
            let lines = delivered::read_file(lake).len() as u64;
            if lines >= self.rows {
                Ok(took)
            } else {
                Err(format!("{lines} of {} lines", self.rows))
            }
        })
        .await
    }
}

/// Starts an engine on a server, or on its own SQLite where there is none; all that share a folder have one master key.
pub(super) async fn start_one(
    zoom: &str,
    server: Option<&Server>,
    shared: &Path,
    more: &[(&str, &str)],
) -> Engine {
    let text = |path: &Path| path.display().to_string();
    let (key, root) = (text(&shared.join("vault.key")), text(shared));
    let url = server.map(|server| server.url(None)).unwrap_or_default();
    let mut settings = vec![
        ("vault.key_file", key.as_str()),
        ("egress.file_roots", root.as_str()),
        ("log.level", "info"),
    ];
    if server.is_some() {
        settings.push(("store.url", &url));
    }
    settings.extend(more);
    Engine::start_with(zoom, &settings).await
}
