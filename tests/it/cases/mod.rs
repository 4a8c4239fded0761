//! The cases in which collectors of Zoom's reports are known to lose rows, double them or stop: each is a module by
//! its number and name.
//!
//! Every case runs the real engine against the simulated Zoom and holds what was delivered against the ledger, as
//! multisets of exact bytes. [`Case`] is the one place that knows how a source is made quick, how the time of both
//! sides is moved together, and what an event looks like.

mod case_01_late_rows;
mod case_02_twins;
mod case_03_rows_of_one_second;
mod case_04_broken_reads;
mod case_05_crashes;
mod case_06_used_up_days;
mod case_07_calendar;
mod case_08_missing_rights;
mod case_09_shared_credentials;
mod case_10_unchanged_data;
mod case_11_odd_rows;
mod case_12_alarms;
mod case_13_hosts;
mod case_14_secrets;

use std::path::PathBuf;

use e2e::{
    delivered::{self, Difference, Event},
    engine::Engine,
    sim::{Bulk, Limits, Mix, Report, Sim},
    wait,
};
use engine_api::SourceSpec;
use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::{Value, json};

use crate::end_to_end::{ACCOUNT, CLIENT, LATE, SECRET, Stage};

/// What makes an hour's work of the engine happen within seconds.
const QUICK: [(&str, &str); 2] = [("zoom.sweep_interval", "1s"), ("delivery.retry_first", "100ms")];

/// A Zoom and an engine whose clocks show the same simulated time, and a source that writes to a file.
struct Case {
    stage: Stage,
    /// How far both clocks are ahead of the machine's.
    ahead: SignedDuration,
    /// Empty until [`Case::collect`].
    source: String,
    lake: PathBuf,
}

impl Case {
    /// Begins at noon, so that no case meets midnight unless it wants to.
    async fn begin() -> Self {
        Self::begin_with(&[]).await
    }

    /// Begins at noon, with further settings of the engine.
    async fn begin_with(settings: &[(&str, &str)]) -> Self {
        Self::begin_at(at(today().tomorrow().unwrap(), 12), settings).await
    }

    /// Begins at an instant that is still to come.
    async fn begin_at(now: Timestamp, settings: &[(&str, &str)]) -> Self {
        // Whole seconds, since that is how the engine's setting is written.
        let ahead = SignedDuration::from_secs(now.duration_since(Timestamp::now()).as_secs());
        let spelled = seconds(ahead);
        let mut all = QUICK.to_vec();
        all.push(("clock.ahead", &spelled));
        all.extend_from_slice(settings);
        let stage = Stage::set_with(&all).await;
        stage.sim.clock().advance(ahead);
        // An hour's sweeps within a minute would run into the limit of the second, which is no part of any case.
        let limits = Limits {
            per_second: u64::MAX,
            per_day: 60_000,
        };
        stage
            .sim
            .tune(ACCOUNT, |behaviour| behaviour.limits = Some(limits));
        let lake = stage.engine.out("lake");
        Self {
            stage,
            ahead,
            source: String::new(),
            lake,
        }
    }

    /// Begins to collect into the file, with the given members of the source's spec beside the usual ones.
    async fn collect(&mut self, spec: Value) {
        self.source = self.stage.source_to_file("lake", spec).await;
    }

    /// A case that has delivered `rows` rows of each report, of the last `hours`.
    async fn collected(rows: u64, hours: i64) -> Self {
        let mut case = Self::begin().await;
        case.history(rows, hours);
        let start = json!({"start_from": case.midnight(2).to_string()});
        case.collect(start).await;
        case.settle().await;
        case
    }

    fn sim(&self) -> &Sim {
        &self.stage.sim
    }

    fn engine(&self) -> &Engine {
        &self.stage.engine
    }

    fn now(&self) -> Timestamp {
        self.sim().clock().now()
    }

    fn ago(&self, length: SignedDuration) -> Timestamp {
        self.now() - length
    }

    /// The first instant of the day that was so many days ago.
    fn midnight(&self, days_ago: i32) -> Timestamp {
        let day = self.now().to_zoned(TimeZone::UTC).date();
        at(day.checked_sub(days_ago.days()).unwrap(), 0)
    }

    /// The first instant from which Zoom's rows can be had.
    fn oldest(&self) -> Timestamp {
        at(SourceSpec::oldest_day(self.now()), 0)
    }

    /// Shows `rows` rows in each report, over the last `hours`.
    fn history(&self, rows: u64, hours: i64) {
        for report in Report::ALL {
            let span_secs = u64::try_from(hours * 3_600).unwrap();
            let mix = Mix {
                seed: 23,
                twin_percent: 2.0,
                ..Mix::default()
            };
            self.sim()
                .generate(ACCOUNT, report, Bulk { rows, span_secs, mix });
        }
    }

    /// Shows one row of either report, told apart by `name`.
    fn row(&self, report: Report, at: Timestamp, name: &str) -> Vec<u8> {
        let time = format!("{at:.0}");
        let row = match report {
            Report::Operation => json!({
                "action": "Update", "category_type": "User", "operation_detail": name,
                "operator": "admin@example.com", "time": time,
            }),
            Report::Activity => json!({
                "client_type": "Browser", "email": format!("{name}@example.com"), "ip_address": "192.0.2.1",
                "time": time, "type": "Sign in", "version": "-",
            }),
        };
        let text = row.to_string();
        self.sim().add_text(ACCOUNT, report, &text);
        text.into_bytes()
    }

    /// Shows one row in each report.
    fn rows(&self, at: Timestamp, name: &str) {
        for report in Report::ALL {
            self.row(report, at, name);
        }
    }

    /// Waits for `what`, polling meanwhile.
    async fn polling<T>(&self, what: impl Future<Output = T>) -> T {
        self.stage.while_polling(&self.source, what).await
    }

    /// Waits until the file holds exactly what Zoom owes, and returns its events.
    async fn settle(&self) -> Vec<Event> {
        let done = delivered::exactly(self.sim(), ACCOUNT, &self.lake, LATE);
        self.polling(done).await
    }

    /// Waits until each report was asked for so many times more.
    async fn reads(&self, times: u64) {
        let asked = || Report::ALL.map(|report| self.sim().counters().to(report.path()));
        let before = asked();
        let read = wait::until_now(LATE, "further reads", || {
            let now = asked();
            let all = now
                .iter()
                .zip(&before)
                .all(|(now, before)| *now >= before + times);
            if all {
                Ok(())
            } else {
                Err(format!("{before:?} to {now:?}"))
            }
        });
        self.polling(read).await;
    }

    /// Settles, lets the engine read everything some times more, and holds that nothing came of it.
    async fn settle_for_good(&self) -> Vec<Event> {
        self.settle().await;
        self.reads(6).await;
        let events = delivered::read_file(&self.lake);
        let owed = delivered::owed(self.sim(), ACCOUNT);
        let difference = Difference::between(&owed, &delivered::multiset(&events));
        assert!(difference.is_none(), "after further reads: {difference}");
        events
    }

    /// As [`Case::settle`], for a file that may hold doubles at first, which a restart has yet to remove.
    async fn settle_after_doubles(&self) {
        let owed = delivered::owed(self.sim(), ACCOUNT);
        let settled = wait::until_now(LATE, "the file to be put right", || {
            let text = std::fs::read(&self.lake).unwrap_or_default();
            // A line that a crash cut short is no event yet.
            let lines = text
                .split(|byte| *byte == b'\n')
                .filter(|line| line.ends_with(b"}"));
            let events: Vec<Event> = lines.map(Event::parse).collect();
            let difference = Difference::between(&owed, &delivered::multiset(&events));
            if difference.is_none() {
                Ok(())
            } else {
                Err(difference.to_string())
            }
        });
        self.polling(settled).await;
    }

    /// Waits until every injected fault has struck.
    async fn struck(&self) {
        let struck = wait::until_now(LATE, "the faults to strike", || match self.sim().faults_left() {
            0 => Ok(()),
            left => Err(format!("{left} faults left")),
        });
        self.polling(struck).await;
    }

    /// Waits until the source's status satisfies `good`, polling meanwhile.
    async fn status(&self, good: impl Fn(&Value) -> bool) -> Value {
        self.polling(self.engine().source_status(&self.source, LATE, good))
            .await
    }

    /// Stops the engine, lets `length` pass for it and for Zoom, and starts it again.
    async fn pass(&mut self, length: SignedDuration) {
        self.stage.engine.stop().await;
        self.pass_stopped(length);
        self.stage.engine.start_again().await;
    }

    /// Lets `length` pass for Zoom and for an engine that does not run; the next start sees it.
    fn pass_stopped(&mut self, length: SignedDuration) {
        self.ahead += length;
        self.stage.engine.set("clock.ahead", &seconds(self.ahead));
        self.sim().clock().advance(length);
    }

    /// Stops the engine, lets the time pass up to `instant`, and starts it again.
    async fn pass_to(&mut self, instant: Timestamp) {
        let left = instant.duration_since(self.now());
        assert!(left.is_positive(), "{instant} has passed");
        self.pass(SignedDuration::from_secs(left.as_secs())).await;
    }
}

/// The occurrence numbers under which a row was delivered, in the order of delivery.
fn occurrences(events: &[Event], row: &[u8]) -> Vec<u64> {
    let equal = events.iter().filter(|event| event.row == row);
    equal
        .map(|event| event.zoom_log["occurrence"].as_u64().unwrap())
        .collect()
}

/// The health of a source's feed.
fn health(status: &Value, report: Report) -> &str {
    feed(status, report)["health"].as_str().unwrap()
}

/// The part of a source's status that speaks of one report.
fn feed(status: &Value, report: Report) -> &Value {
    let feeds = status["feeds"].as_array().unwrap();
    let found = feeds.iter().find(|feed| feed["log_type"] == report.word());
    found.unwrap_or_else(|| panic!("no {report:?} feed in {status:#}"))
}

fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// The instant at which an hour of a day begins.
fn at(day: Date, hour: i8) -> Timestamp {
    let zoned = day.at(hour, 0, 0, 0).to_zoned(TimeZone::UTC);
    zoned.unwrap().timestamp()
}

fn seconds(length: SignedDuration) -> String {
    format!("{}s", length.as_secs())
}
