//! How long it takes until others have what an engine had: after it was killed, and after it was told to stop.

use std::time::{Duration, Instant};

use private_postgres::Server;
use serde_json::json;

use super::{Series, Table, stores::start_one};
use crate::{
    engine::Engine,
    sim::{Fault, FaultRule, Sim},
    wait,
};

/// How long a lease may still be held after its time, and a look may take.
const LATE: Duration = Duration::from_mins(2);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub sources: u32,
    pub repetitions: u32,
    /// Seconds that a silent engine keeps what it has; the engine's default is measured.
    pub lease: u32,
}

struct Pair {
    sim: Sim,
    server: Server,
    engines: Vec<Engine>,
    _shared: tempfile::TempDir,
}

/// Takes what an engine holds in the middle of its polls away from it, each way as often as told.
///
/// # Panics
///
/// When nobody takes over.
pub async fn measure(options: Options) -> Table {
    let mut pair = Pair::start(options).await;
    let (mut killed, mut told, mut held) = (Series::default(), Series::default(), Series::default());
    for _ in 0..options.repetitions {
        let (feeds, took) = pair.lose(true).await;
        killed.push(took.as_secs_f64());
        held.push(f64::from(feeds));
        let (feeds, took) = pair.lose(false).await;
        told.push_millis(took);
        held.push(f64::from(feeds));
    }
    let mut table = Table::new(format!(
        "h. Two engines on one PostgreSQL, {} sources, each feed in the middle of a poll, a lease of {} s",
        options.sources, options.lease
    ));
    table.line(
        "killed: until the other polls the last of its feeds",
        &killed,
        "s",
    );
    table.line("told to stop: the same", &told, "ms");
    table.line("feeds that it held", &held, "");
    for engine in &mut pair.engines {
        engine.stop().await;
    }
    table
}

impl Pair {
    async fn start(options: Options) -> Self {
        let sim = Sim::start().await;
        let server = Server::start().expect("a PostgreSQL");
        let shared = tempfile::Builder::new().prefix("zle-failover-").tempdir();
        let shared = shared.expect("a temporary directory");
        let lease = format!("{}s", options.lease);
        let parallel = (4 * options.sources).to_string();
        let settings = [
            ("store.lease", lease.as_str()),
            // All feeds are polled at once, so that all are held when an engine goes.
            ("zoom.max_parallel_polls", parallel.as_str()),
            ("zoom.request_timeout", "2m"),
        ];
        let mut engines = Vec::new();
        for _ in 0..2 {
            engines.push(start_one(&sim.url(), Some(&server), shared.path(), &settings).await);
        }
        for number in 0..options.sources {
            let (account, client) = (format!("account-{number}"), format!("app-{number}"));
            sim.simple_account(&account, &client, "s3cret");
            let source = json!({
                "name": format!("source {number}"), "account_id": account, "client_id": client,
                "client_secret": "s3cret", "poll_interval": "15s", "verify": false,
            });
            engines[0].create("sources", source).await;
        }
        Self {
            sim,
            server,
            engines,
            _shared: shared,
        }
    }

    fn ask(&self, query: &str) -> String {
        self.server.sql(query).expect("the database answers")
    }

    /// Waits until a count is `0`.
    async fn none(&self, what: &str, query: &str) {
        wait::until_now(LATE, what, || match &*self.ask(query) {
            "0" => Ok(()),
            left => Err(format!("{left} are not")),
        })
        .await;
    }

    /// Lets all polls hang, takes one engine away, and waits until the other has all that it held; answers how many feeds
    /// that were, and how long it took. Both are there again afterwards.
    async fn lose(&mut self, kill: bool) -> (u32, Duration) {
        // The one that is started last goes; the store knows it by another name at each start.
        self.engines[1].stop().await;
        let other = self.ask("SELECT id FROM engine");
        self.engines[1].start_again().await;
        self.sim
            .inject(FaultRule::times("/v2/report", u64::MAX, Fault::Hang));
        self.none(
            "each feed to be in the middle of a poll, of either engine",
            &format!(
                "SELECT count(*) + (SELECT 1 - least(1, count(*)) FROM feed WHERE lease_owner <> '{other}')
                     FROM feed WHERE lease_owner IS NULL"
            ),
        )
        .await;
        let held = format!("SELECT string_agg(id::text, ',') FROM feed WHERE lease_owner <> '{other}'");
        let held = self.ask(&held);
        let began = Instant::now();
        if kill {
            self.engines[1].kill();
        } else {
            self.engines[1].signal("TERM");
        }
        self.none(
            "the other engine to poll all feeds",
            &format!(
                "SELECT count(*) FROM feed WHERE id IN ({held}) AND lease_owner IS DISTINCT FROM '{other}'"
            ),
        )
        .await;
        let took = began.elapsed();
        if !kill {
            self.engines[1].stop().await;
        }
        // What hangs ends with who waits for it.
        self.sim.clear_faults();
        self.engines[0].restart().await;
        self.engines[1].start_again().await;
        let feeds = held.split(',').count();
        (u32::try_from(feeds).unwrap_or(u32::MAX), took)
    }
}
