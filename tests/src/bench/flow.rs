//! Events a second through the whole engine, beside the bare pipe.

use std::{
    fs::File,
    io::Read as _,
    path::Path,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::json;

use super::{
    Series, Table,
    cores::{self, Cores},
    machine::{count, memory, processor_seconds},
    pipe::{self, Depth},
    simulator::{SECRET, Simulator},
    table::whole,
};
use crate::{
    binaries,
    delivered::{self, Multiset},
    engine::Engine,
};

pub(super) const ACCOUNT: &str = "bench";
pub(super) const CLIENT: &str = "cid";
pub(super) const PAGE: &str = "300";

/// The hours that recent rows are spread over: within the window that the engine sweeps, so that one read finds all.
const RECENT_HOURS: i64 = 36;
/// The hours that a month's rows are spread over.
const MONTH_HOURS: i64 = 29 * 24;

/// How long one pass of the rows through the engine may take.
const LATE: Duration = Duration::from_mins(10);

/// How often the file is looked at; what a pass takes is known no better than this.
const LOOK: Duration = Duration::from_millis(2);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The measure's letter.
    letter: char,
    /// Rows of each of the two reports.
    rows: u64,
    /// The hours that they are spread over.
    span_hours: i64,
    repetitions: u32,
    /// Whether the engine also forgets the payload of all events, after the last pass.
    forgets: bool,
}

impl Options {
    /// Rows of the days that are swept.
    pub fn recent(rows: u64, repetitions: u32) -> Self {
        Self {
            letter: 'a',
            rows,
            span_hours: RECENT_HOURS,
            repetitions,
            forgets: false,
        }
    }

    /// Rows of a month, nearly all of them a backfill.
    pub fn month(rows: u64, repetitions: u32) -> Self {
        Self {
            letter: 'e',
            rows,
            span_hours: MONTH_HOURS,
            repetitions,
            forgets: true,
        }
    }
}

/// The days that hold all rows.
#[derive(Debug, Clone)]
pub(super) struct Days {
    pub(super) from: String,
    pub(super) to: String,
}

/// A simulator as full as it will ever be.
struct Zoom {
    simulator: Simulator,
    days: Days,
    /// Rows by exact text, with how often each is there.
    owed: Multiset,
    rows: u64,
    bytes: u64,
    /// It has a core of its own.
    apart: bool,
}

/// What one pass through the engine showed.
struct Pass {
    took: Duration,
    peak: f64,
    /// Seconds of a core that the engine used.
    worked: f64,
    /// What the database takes on disk when the engine has ended.
    stored: u64,
    /// The same once nothing is kept but what tells rows apart, where that was waited for.
    kept: Option<u64>,
}

/// Passes all rows through the bare pipe and through the engine, in turns.
///
/// # Panics
///
/// When the engine delivers anything but exactly what the simulator owes.
pub async fn measure(options: Options) -> Table {
    let zoom = Zoom::start(options).await;
    let (mut alone, mut bare, mut engine) = (Series::default(), Series::default(), Series::default());
    let (mut peak, mut worked, mut stored) = (Series::default(), Series::default(), Series::default());
    let mut kept = Series::default();
    for pass in 1..=options.repetitions {
        let (_, took) = zoom.pipe(Depth::Fetch).await;
        alone.push(count(zoom.rows) / took.as_secs_f64());
        let (bytes, took) = zoom.pipe(Depth::Parse).await;
        assert_eq!(bytes, zoom.bytes, "the bare pipe did not read what there is");
        bare.push(count(zoom.rows) / took.as_secs_f64());
        let pass = zoom.pass(options.forgets && pass == options.repetitions).await;
        engine.push(count(zoom.rows) / pass.took.as_secs_f64());
        peak.push(pass.peak);
        worked.push(pass.worked * 1e6 / count(zoom.rows));
        stored.push(count(pass.stored) / count(zoom.bytes));
        if let Some(bytes) = pass.kept {
            kept.push(count(bytes) / count(zoom.rows));
        }
    }

    let mut table = Table::new(format!(
        "{}. Through the engine: 2 feeds of {} rows over {} days, simulator to file",
        options.letter,
        whole(options.rows),
        (options.span_hours + 23) / 24
    ));
    table.line("simulator alone, rows not looked at", &alone, "rows/s");
    table.line("bare pipe, which keeps nothing", &bare, "rows/s");
    table.line("engine on SQLite", &engine, "events/s");
    table.line("engine / bare pipe", &engine.over(&bare), "of its rate");
    table.line("engine, time of a core", &worked, "µs an event");
    table.line("engine, peak memory (VmHWM)", &peak, "MiB");
    table.line("database / Zoom's rows", &stored, "bytes a byte");
    if options.forgets {
        table.line("database, payloads dropped", &kept, "bytes an event");
    }
    table.note(format!(
        "{} events a pass, each held against the simulator's ledger: none lost, none doubled.",
        whole(zoom.rows)
    ));
    table.note(if zoom.apart {
        "The simulator has a core of its own; the pipe and the engine have the others.".to_owned()
    } else {
        "The simulator shares its cores with what is measured: there is one core only, or no `taskset`."
            .to_owned()
    });
    table
}

impl Zoom {
    async fn start(options: Options) -> Self {
        let Options { rows, span_hours, .. } = options;
        let options = [("--rows", rows), ("--span-hours", span_hours.unsigned_abs())];
        let day = |instant: Timestamp| instant.to_zoned(TimeZone::UTC).date().to_string();
        let from = day(Timestamp::now() - SignedDuration::from_hours(span_hours));
        let simulator = Simulator::start(ACCOUNT, CLIENT, &options).await;
        let to = day(Timestamp::now());
        let owed = simulator.ledger(ACCOUNT).await;
        let held = owed.values().sum();
        assert_eq!(
            held,
            rows * 2,
            "the simulator holds other rows than it was told to"
        );
        Self {
            days: Days { from, to },
            rows: held,
            bytes: owed.iter().map(|(row, times)| row.len() as u64 * times).sum(),
            owed,
            // Whoever looks on shares the simulator's core.
            apart: cores::bind(simulator.pid(), Cores::Zoom) && cores::bind(std::process::id(), Cores::Zoom),
            simulator,
        }
    }

    /// Reads all rows without an engine, on the engine's cores.
    async fn pipe(&self, depth: Depth) -> (u64, Duration) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        cores::bind(std::process::id(), Cores::Measured);
        let (url, days, path) = (
            self.simulator.url.clone(),
            self.days.clone(),
            folder.path().to_owned(),
        );
        // A runtime of its own has as many threads as there are cores to measure on.
        let run = move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(pipe::run(&url, &days, &path, depth))
        };
        let ran = tokio::task::spawn_blocking(run).await.expect("a pipe that ends");
        cores::bind(std::process::id(), Cores::Zoom);
        ran
    }

    /// Passes all rows through a fresh engine.
    async fn pass(&self, forgets: bool) -> Pass {
        // What is started here runs where this runs, and takes as many threads as that is cores.
        cores::bind(std::process::id(), Cores::Measured);
        let mut engine = Engine::start_with(&self.simulator.url, &[("log.level", "info")]).await;
        cores::bind(std::process::id(), Cores::Zoom);
        let destination = json!({"name": "lake", "file": {"path": "lake"}});
        let destination = engine.create("destinations", destination).await;
        let lake = engine.out("lake");
        let pid = engine.pid().expect("the engine runs");
        let worked = processor_seconds(pid);
        let began = Instant::now();
        let source = json!({
            "name": "bench",
            "account_id": ACCOUNT,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "destination_ids": [destination],
            "start_from": format!("{}T00:00:00Z", self.days.from),
        });
        engine.create("sources", source).await;
        self.all_lines(&lake, &mut engine).await;
        let took = began.elapsed();
        let worked = processor_seconds(pid) - worked;
        let peak = memory(pid, "VmHWM");
        engine.stop().await;
        // A rate for fewer rows, or other ones, would say nothing.
        delivered::is_just_what_is_owed(&lake, &self.owed);
        let stored = database_size(engine.data_dir());
        let kept = if forgets {
            Some(forget(&mut engine).await)
        } else {
            None
        };
        Pass {
            took,
            peak,
            worked,
            stored,
            kept,
        }
    }

    /// Waits until the file holds as many lines as there are rows, reading on from where it had come to.
    async fn all_lines(&self, path: &Path, engine: &mut Engine) {
        let deadline = Instant::now() + LATE;
        let mut file = None;
        let mut lines = 0;
        let mut buffer = vec![0; 1 << 20];
        loop {
            file = file.or_else(|| File::open(path).ok());
            if let Some(file) = &mut file {
                loop {
                    let read = file.read(&mut buffer).expect("read what was delivered");
                    if read == 0 {
                        break;
                    }
                    lines += newlines(&buffer[..read]);
                }
            }
            if lines >= self.rows {
                return;
            }
            assert!(
                engine.is_running() && Instant::now() < deadline,
                "{lines} of {} lines were delivered; log:\n{}",
                self.rows,
                engine.log()
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[expect(
    clippy::naive_bytecount,
    reason = "it is quicker by far than the file grows; a dependency for it would be one for nothing"
)]
fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Lets the engine forget the payload of everything that was delivered; returns what the database takes then.
async fn forget(engine: &mut Engine) -> u64 {
    /// The database has given back what it could once it was of one size for so long.
    const STILL: Duration = Duration::from_secs(3);

    engine.set("store.replay_retention", "0s");
    engine.start_again().await;
    let (mut size, mut since) = (database_size(engine.data_dir()), Instant::now());
    let deadline = Instant::now() + LATE;
    while since.elapsed() < STILL && Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
        let now = database_size(engine.data_dir());
        if now != size {
            (size, since) = (now, Instant::now());
        }
    }
    engine.stop().await;
    database_size(engine.data_dir())
}

/// Returns what the database takes on disk, with what lies beside it.
fn database_size(data: &Path) -> u64 {
    let files = binaries::files(data).into_iter();
    let database = files.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("engine.db")
    });
    let sizes = database.map(|path| path.metadata().map_or(0, |metadata| metadata.len()));
    let size = sizes.sum();
    assert!(size > 0, "no database in {}", data.display());
    size
}
