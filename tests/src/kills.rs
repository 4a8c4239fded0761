//! The real engine, killed again and again at random moments while it collects; nothing may be lost or doubled.

use std::{
    fmt, fs, io,
    path::Path,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::json;
use zoom_log_engine::crash::ARM_VARIABLE;

use crate::{
    binaries::Binary,
    delivered,
    engine::Engine,
    rng::Rng,
    sim::{Bulk, Drip, Fault, FaultRule, Mix, Report, Sim},
    wait,
};

const ACCOUNT: &str = "abc123";
const CLIENT: &str = "cid";
const SECRET: &str = "zoom-secret-one";

/// The points that the engine passes again and again while there is work.
const POINTS_OF_WORK: [&str; 12] = [
    "budget.set_aside",
    "delivery.before_stage",
    "delivery.settled",
    "delivery.staged",
    "delivery.written",
    "file.half_written",
    "intake.before_commit",
    "intake.before_release",
    "intake.claimed",
    "intake.committed",
    "intake.page_read",
    "token.minted",
];
/// A point that is not passed within this time, the third pass of a rare one for instance, is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

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
    /// Kills while rows were still to come.
    pub amid: u32,
    /// Kills at a labelled point; the others came at a moment drawn by chance.
    pub at_points: u32,
    pub took: Duration,
}

impl fmt::Display for Survived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { rows, kills, seed } = self.options;
        write!(
            f,
            "{kills} kills over {rows} rows a feed (seed {seed}), {} of them while rows were still to come, {} at a labelled \
             point: {} events, each once, in {:.0} s",
            self.amid,
            self.at_points,
            self.events,
            self.took.as_secs_f64()
        )
    }
}

/// Kills the engine while rows come, by turns at a moment drawn by chance and at a labelled point of the work.
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
    // Reads take long enough to be killed at.
    let slow = Fault::Delay { millis: 15 };
    sim.inject(FaultRule::times("GET /v2/report", 10_000_000, slow));
    let _ = Binary::engine_with_crash_points();
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
        // Whoever begins anew a hundred times asks for more than a usual day's requests; Zoom's own bound is 60,000.
        "daily_request_budget": 50_000,
        "start_from": format!("{first}T00:00:00Z"),
    });
    let source = engine.create("sources", source).await;
    let lake = engine.out("lake");

    let mut rng = Rng::new(options.seed);
    let (mut amid, mut at_points) = (0, 0);
    for number in 0..options.kills {
        // There is always something new: what was there at the start is read within seconds.
        for report in Report::ALL {
            let mix = Mix {
                seed: options.seed + 100 + u64::from(number),
                ..mix
            };
            let rows = (options.rows / 200).max(20);
            let span_secs = 3_600;
            sim.generate(ACCOUNT, report, Bulk { rows, span_secs, mix });
        }
        if number % 2 == 0 {
            let _ = engine.client().poll_source(&source).await;
            // From right after the poll to some way into the work, or a little beyond its end.
            tokio::time::sleep(Duration::from_millis(rng.below(600))).await;
        } else {
            engine.kill();
            let at = format!("{}:{}", rng.pick(&POINTS_OF_WORK), rng.below(3) + 1);
            engine.set_variable(ARM_VARIABLE, &at);
            engine.start_doomed();
            at_points += u32::from(dies(&mut engine, &source).await);
            engine.forget_variable(ARM_VARIABLE);
        }
        engine.kill();
        let owed: u64 = Report::ALL
            .map(|report| sim.row_count(ACCOUNT, report))
            .iter()
            .sum();
        amid += u32::from(lines(&lake) < owed);
        engine.start_again().await;
    }
    sim.clear_faults();
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
    delivered::each_once(&events);
    Survived {
        options,
        events: events.len(),
        amid,
        at_points,
        took: began.elapsed(),
    }
}

/// Waits until the engine dies by itself; `false` where it does not.
async fn dies(engine: &mut Engine, source: &str) -> bool {
    let began = Instant::now();
    while began.elapsed() < LONGEST_WAIT {
        if !engine.is_running() {
            return true;
        }
        // The client asks a dead engine for long.
        let poll = engine.client();
        let _ = tokio::time::timeout(Duration::from_millis(100), poll.poll_source(source)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// The complete lines of a file.
fn lines(path: &Path) -> u64 {
    match fs::read(path) {
        Ok(bytes) => bytes.split(|byte| *byte == b'\n').count() as u64 - 1,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
