//! PostgreSQL that is slow, locked, full, read-only, or behind a network that swallows what is sent: the engine says so and
//! waits, needs no more memory, and goes on where it stopped.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use e2e::{
    delivered::{self, Difference},
    engine::Engine,
    proxy::{Mode, Proxy},
    sim::{Bulk, Mix, Report, Sim},
    wait,
};
use private_postgres::Server;
use reqwest::Method;
use serde_json::json;

use super::{ACCOUNT, CLIENT, SECRET};

/// What an engine may need beyond what it needed before, in KiB.
const GROWTH: u64 = 64 << 10;
/// How soon an engine notices, and how soon it is well again; TCP by itself takes a quarter of an hour.
const SOON: Duration = Duration::from_secs(40);

/// How long it is watched for asking Zoom for what could not be kept: several statements' time.
const WATCHED: Duration = Duration::from_secs(6);
/// How soon all is delivered: a feed whose poll ended in the trouble must not wait for the end of its lease, two minutes.
const AGAIN: Duration = Duration::from_mins(1);

/// An engine on a PostgreSQL behind a proxy, with one source whose rows are all delivered.
struct Served {
    sim: Sim,
    server: Server,
    proxy: Proxy,
    engine: Engine,
    source: String,
    seed: u64,
}

impl Served {
    async fn start() -> Self {
        let sim = Sim::start().await;
        sim.simple_account(ACCOUNT, CLIENT, SECRET);
        let server = Server::start().unwrap();
        let proxy = Proxy::before(server.port()).await;
        let url = server.url(Some(proxy.port()));
        let settings = [
            ("store.url", url.as_str()),
            ("store.connect_timeout", "2s"),
            ("store.statement_timeout", "2s"),
            ("store.lock_timeout", "1s"),
            ("zoom.sweep_interval", "5s"),
            ("delivery.retry_first", "100ms"),
            ("log.level", "info"),
        ];
        let engine = Engine::start_with(&sim.url(), &settings).await;
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
            server,
            proxy,
            engine,
            source,
            seed: 0,
        };
        served.new_rows();
        served.all_is_delivered().await;
        served
    }

    /// Zoom has more rows from now on.
    fn new_rows(&mut self) {
        self.seed += 1;
        let mix = Mix {
            seed: self.seed,
            twin_percent: 5.0,
            late_percent: 0.0,
            late_secs: 0,
        };
        let (rows, span_secs) = (40, 3_600);
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

    async fn all_is_delivered(&self) {
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

    fn resident(&self) -> u64 {
        let pid = self.engine.pid().unwrap();
        let status =
            std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn sql(&self, statement: &str) {
        self.server.sql(statement).unwrap();
    }

    /// Waits until the engine says that it is not ready, and why.
    async fn is_not_ready(&self, reason: &str) {
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

    async fn is_ready(&self) {
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
    async fn waits(&mut self, reason: &str) {
        self.new_rows();
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

    async fn goes_on(&self) {
        self.is_ready().await;
        self.all_is_delivered().await;
    }
}

/// A trigger on all that is written to while events are collected and delivered.
fn on_each_write(body: &str) -> String {
    let tables = ["meta", "feed", "segment", "segment_day", "lane", "position"];
    let triggers = tables.map(|table| {
        format!("CREATE TRIGGER trouble BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION trouble();")
    });
    format!(
        "CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$; {}",
        triggers.concat()
    )
}

const NO_TROUBLE: &str = "DROP FUNCTION trouble() CASCADE";

#[tokio::test]
async fn a_full_postgresql_makes_polls_wait_and_loses_nothing() {
    let mut served = Served::start().await;
    served.sql(&on_each_write(
        "RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'could not extend file: No space left on device';",
    ));
    served.waits("No space left on device").await;
    served.sql(NO_TROUBLE);
    served.goes_on().await;
}

#[tokio::test]
async fn a_read_only_postgresql_makes_polls_wait_and_loses_nothing() {
    let mut served = Served::start().await;
    let set = |to: &str| format!("ALTER SYSTEM {to}");
    served.sql(&set("SET default_transaction_read_only = on"));
    served.sql("SELECT pg_reload_conf()");
    served.waits("read-only transaction").await;
    served.sql(&set("RESET default_transaction_read_only"));
    served.sql("SELECT pg_reload_conf()");
    served.goes_on().await;
}

#[tokio::test]
async fn a_slow_postgresql_delivers_all_in_its_time_and_one_that_is_too_slow_is_not_ready() {
    let mut served = Served::start().await;
    let before = served.resident();
    served.sql(&on_each_write("PERFORM pg_sleep(0.1);"));
    served.new_rows();
    served.all_is_delivered().await;
    served.is_ready().await;
    served.sql(NO_TROUBLE);

    // Slower than a statement may be.
    served.sql(&on_each_write("PERFORM pg_sleep(3);"));
    served.waits("statement timeout").await;
    served.sql(NO_TROUBLE);
    served.goes_on().await;
    let after = served.resident();
    assert!(after < before + GROWTH, "{before} KiB became {after} KiB");
}

#[tokio::test]
async fn tables_that_somebody_locks_make_polls_wait() {
    let mut served = Served::start().await;
    let server = served.server.url(None);
    let mut locker = std::process::Command::new("psql");
    locker.args(["-X", "-q", &server, "-c"]);
    locker.arg("BEGIN; LOCK TABLE meta, feed, lane IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)");
    let mut locker = locker.spawn().unwrap();
    served.waits("lock timeout").await;
    served.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()");
    locker.wait().unwrap();
    served.goes_on().await;
}

#[tokio::test]
async fn a_network_that_swallows_what_is_sent_is_given_up_long_before_tcp_does() {
    let mut served = Served::start().await;
    served.proxy.set(Mode::Swallow);
    served.waits("the store cannot be written to").await;
    served.proxy.set(Mode::Pass);
    // What was swallowed never arrives: the connections are left behind, and there are enough others.
    served.goes_on().await;
}
