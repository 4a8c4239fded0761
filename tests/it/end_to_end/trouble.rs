//! An engine whose database is in trouble says so, waits, needs no more memory, and goes on where it stopped.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use e2e::{
    delivered::{self, Difference},
    engine::Engine,
    sim::{Bulk, Mix, Report, Sim},
    wait,
};
use reqwest::Method;
use serde_json::json;

use super::{ACCOUNT, CLIENT, SECRET};

/// Rows that one small commit holds.
pub(super) const FEW: u64 = 40;
/// What an engine may need beyond what it needed before, in KiB.
pub(super) const GROWTH: u64 = 64 << 10;
/// How soon an engine notices, and how soon it is well again; TCP by itself takes a quarter of an hour.
const SOON: Duration = Duration::from_secs(40);

/// How long it is watched for asking Zoom for what could not be kept: several statements' time.
const WATCHED: Duration = Duration::from_secs(6);
/// How soon all is delivered: a feed whose poll ended in the trouble must not wait for the end of its lease, two minutes.
const AGAIN: Duration = Duration::from_mins(1);

/// An engine with one source whose rows are all delivered.
pub(super) struct Served {
    pub(super) sim: Sim,
    pub(super) engine: Engine,
    source: String,
    seed: u64,
}

impl Served {
    /// Starts what `start` makes of Zoom's URL and these settings.
    pub(super) async fn start(start: impl AsyncFnOnce(&str, &[(&str, &str)]) -> Engine) -> Self {
        let sim = Sim::start().await;
        sim.simple_account(ACCOUNT, CLIENT, SECRET);
        let settings = [
            ("zoom.sweep_interval", "5s"),
            ("delivery.retry_first", "100ms"),
            ("log.level", "info"),
        ];
        let engine = start(&sim.url(), &settings).await;
        let lake = engine
            .create("destinations", json!({"name": "lake", "file": {"path": "lake"}}))
            .await;
        let source = json!({
            "name": "corp", "account_id": ACCOUNT, "client_id": CLIENT, "client_secret": SECRET,
            "destination_ids": [lake], "poll_interval": "15s",
        });
        let source = engine.create("sources", source).await;
        let mut served = Self {
            sim,
            engine,
            source,
            seed: 0,
        };
        served.new_rows(FEW);
        served.all_is_delivered().await;
        served
    }

    /// Zoom has more rows from now on.
    pub(super) fn new_rows(&mut self, rows: u64) {
        self.seed += 1;
        let mix = Mix {
            seed: self.seed,
            twin_percent: 5.0,
            late_percent: 0.0,
            late_secs: 0,
        };
        let span_secs = 3_600;
        for report in Report::ALL {
            self.sim.generate(ACCOUNT, report, Bulk { rows, span_secs, mix });
        }
    }

    async fn poll(&self) {
        // One that cannot be asked for now comes by itself.
        let _ = tokio::time::timeout(
            Duration::from_secs(1),
            self.engine.client().poll_source(&self.source),
        )
        .await;
    }

    pub(super) async fn all_is_delivered(&self) {
        let owed = delivered::owed(&self.sim, ACCOUNT);
        wait::until(AGAIN, "all rows in the file", async || {
            let events = delivered::read_file(&self.engine.out("lake"));
            let difference = Difference::between(&owed, &delivered::multiset(&events));
            assert!(difference.doubled.is_empty(), "{difference}");
            delivered::each_once(&events);
            if difference.is_none() {
                return Ok(());
            }
            self.poll().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            Err(format!("{difference}\n{}", self.engine.log()))
        })
        .await;
    }

    pub(super) async fn delete_source(&self) {
        self.engine.delete("sources", &self.source).await;
    }

    pub(super) fn resident(&self) -> u64 {
        let pid = self.engine.pid().unwrap();
        let status =
            std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Waits until the engine says that it is not ready, and why.
    pub(super) async fn is_not_ready(&self, reason: &str) {
        wait::until(SOON, "the engine to say that it is not ready", async || {
            let answer = self.engine.ask(Method::GET, "/readyz", None).await;
            let said = answer.text();
            if answer.status == 503 && said.contains(reason) {
                Ok(())
            } else {
                Err(format!("{} {said}", answer.status))
            }
        })
        .await;
    }

    pub(super) async fn is_ready(&self) {
        wait::until(SOON, "the engine to be ready", async || {
            let answer = self.engine.ask(Method::GET, "/readyz", None).await;
            if answer.status == 200 {
                Ok(())
            } else {
                Err(answer.text())
            }
        })
        .await;
    }

    /// The database takes nothing: rows come meanwhile, and nobody asks Zoom for what could not be kept.
    pub(super) async fn waits(&mut self, rows: u64, reason: &str) {
        self.new_rows(rows);
        self.is_not_ready(reason).await;
        let before = self.resident();
        // What was under way when it began has ended by now.
        let asked = self.sim.counters().to("/v2/report");
        let began = Instant::now();
        while began.elapsed() < WATCHED {
            self.poll().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let more = self.sim.counters().to("/v2/report") - asked;
        assert!(more <= 2, "{more} pages were asked for\n{}", self.engine.log());
        let after = self.resident();
        assert!(after < before + GROWTH, "{before} KiB became {after} KiB");
    }

    pub(super) async fn goes_on(&self) {
        self.is_ready().await;
        self.all_is_delivered().await;
    }
}
