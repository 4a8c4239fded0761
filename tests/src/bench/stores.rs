//! Rows a second on each store, side by side: SQLite, PostgreSQL with one engine, PostgreSQL with several.

use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use private_postgres::Server;
use serde_json::json;

use super::{Series, Table, machine::count, table::whole};
use crate::{
    binaries::Binary,
    delivered::{self, Difference, Multiset},
    engine::Engine,
    process::Process,
    sim::Report,
    wait,
};

const SECRET: &str = "bench-secret";
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
    url: String,
    owed: Multiset,
    rows: u64,
    from: String,
    _process: Process,
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
        let mut command = Command::new(Binary::Simulator.path());
        command
            .args(["--account-id", "bench", "--client-id", "app", "--no-limits"])
            .args(["--accounts", &SOURCES.to_string(), "--rows", &rows.to_string()])
            .args(["--span-hours", &HOURS.to_string()])
            .env("ZOOM_SIM_CLIENT_SECRET", SECRET);
        let mut process = Process::spawn("the simulator", &mut command);
        let line = process.line_with("listening on http").await;
        let url = line.trim_start_matches("listening on ").trim().to_owned();
        let mut owed = Multiset::new();
        let http = crate::http::client();
        for account in 0..SOURCES {
            for report in Report::ALL {
                let ledger = format!("{url}/_sim/accounts/bench-{account}/{}/rows", report.word());
                let answer = http.get(ledger).send().await.expect("the ledger");
                let body = answer.bytes().await.expect("the whole ledger");
                for row in body.split(|byte| *byte == b'\n').filter(|row| !row.is_empty()) {
                    *owed.entry(row.to_vec()).or_default() += 1;
                }
            }
        }
        Self {
            url,
            rows: owed.values().sum(),
            owed,
            from: from.to_zoned(TimeZone::UTC).date().to_string(),
            _process: process,
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
            running.push(start_one(&self.url, server.as_ref(), shared.path(), &[]).await);
        }
        let lake = shared.path().join("lake");
        let destination = json!({"name": "lake", "file": {"path": lake}});
        let destination = running[0].create("destinations", destination).await;
        let began = Instant::now();
        for number in 0..SOURCES {
            let source = json!({
                "name": format!("source {number}"),
                "account_id": format!("bench-{number}"),
                "client_id": format!("app-{number}"),
                "client_secret": SECRET,
                "destination_ids": [destination],
                "start_from": format!("{}T00:00:00Z", self.from),
                "verify": false,
            });
            running[0].create("sources", source).await;
        }
        let took = self.all_lines(&lake, began).await;
        for engine in &mut running {
            engine.stop().await;
        }
        let events = delivered::read_file(&lake);
        let difference = Difference::between(&self.owed, &delivered::multiset(&events));
        assert!(difference.is_none(), "{difference}");
        let ids: BTreeSet<_> = events
            .iter()
            .filter_map(|event| event.zoom_log["id"].as_str())
            .collect();
        assert_eq!(ids.len(), events.len(), "ids came twice, or not at all");
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
