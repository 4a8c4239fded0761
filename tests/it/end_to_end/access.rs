//! One access token a credential, over several engines on one PostgreSQL.

use e2e::{
    engine::Engine,
    leak::Hunt,
    sim::{App, Behaviour, Sim},
    wait,
};
use private_postgres::Server;
use serde_json::json;

use super::{LATE, SECRET};

const ENGINES: usize = 3;
/// Sources of one app, so that each engine polls some of them, and as many of an app of their own.
const SOURCES: usize = 12;
/// The app that those share: a new token of it voids the one before.
const SHARED: &str = "shared-app";

struct Fleet {
    sim: Sim,
    server: Server,
    engines: Vec<Engine>,
    sources: Vec<String>,
    _shared: tempfile::TempDir,
}

impl Fleet {
    /// Engines with sources that each of them has checked.
    async fn start() -> Self {
        let sim = Sim::start().await;
        sim.put_account("shared", Behaviour::default());
        sim.put_app(App::new("shared", SHARED, SECRET));
        sim.change_app(SHARED, |app| app.single_token = true);
        let server = Server::start().unwrap();
        let shared = tempfile::tempdir().unwrap();
        let key = shared.path().join("vault.key").display().to_string();
        let url = server.url(None);
        let settings = [
            ("store.url", url.as_str()),
            ("store.lease", "5s"),
            ("vault.key_file", key.as_str()),
            ("log.level", "debug"),
        ];
        let mut fleet = Self {
            sim,
            server,
            engines: Vec::new(),
            sources: Vec::new(),
            _shared: shared,
        };
        for _ in 0..ENGINES {
            let engine = Engine::start_with(&fleet.sim.url(), &settings).await;
            fleet.engines.push(engine);
        }
        for number in 0..SOURCES {
            let (account, app) = (format!("account-{number}"), format!("app-{number}"));
            fleet.sim.simple_account(&account, &app, SECRET);
            fleet.source(number, &account, &app).await;
            fleet.source(number, "shared", SHARED).await;
        }
        fleet
    }

    async fn source(&mut self, number: usize, account: &str, app: &str) {
        let spec = json!({
            "name": format!("source {number} of {app}"), "account_id": account, "client_id": app,
            "client_secret": SECRET, "log_types": ["operation"],
        });
        let source = self.engines[number % ENGINES].create("sources", spec).await;
        self.sources.push(source);
    }

    /// Has every source polled again, by whichever engines are there, and waits until each poll went well.
    async fn poll(&self, engines: &[usize]) {
        let began = self.server.sql("SELECT clock_ms()").unwrap();
        for (number, source) in self.sources.iter().enumerate() {
            let engine = &self.engines[engines[number % engines.len()]];
            engine.client().poll_source(source).await.unwrap();
        }
        let missing =
            format!("SELECT count(*) FROM feed WHERE active = 1 AND coalesce(last_success_at, 0) < {began}");
        wait::until_now(LATE, "a good poll of each source", || {
            match self.server.sql(&missing).unwrap().as_str() {
                "0" => Ok(()),
                left => Err(format!("{left} sources are left")),
            }
        })
        .await;
    }

    /// How many tokens were given since it was last asked.
    fn given(&self) -> u64 {
        let given = self.sim.counters().access_tokens_minted;
        self.sim.forget_counters();
        given
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_engines_use_one_access_token_a_credential() {
    let mut fleet = Fleet::start().await;
    // The check of each new source proves its secret with a token, and that is the one that all engines use.
    fleet.poll(&[0, 1, 2]).await;
    fleet.poll(&[2, 0, 1]).await;
    assert_eq!(fleet.given(), 2 * SOURCES as u64);

    fleet.engines[0].kill();
    fleet.poll(&[1, 2]).await;
    assert_eq!(fleet.given(), 0, "who takes over uses the dead engine's tokens");
    fleet.engines[0].start_again().await;
    fleet.poll(&[0, 1, 2]).await;
    assert_eq!(fleet.given(), 0, "and so does who has just started");

    // Zoom does not honour the shared one any more.
    assert_eq!(fleet.sim.revoke_tokens(Some(SHARED)), 1);
    fleet.poll(&[0, 1, 2]).await;
    fleet.poll(&[1, 2, 0]).await;
    assert_eq!(fleet.given(), 1, "one engine asks, and all go on");

    let tokens = fleet.sim.minted_tokens();
    assert!(tokens.len() > 2 * SOURCES);
    let hunt = Hunt::new(tokens.iter().map(|token| ("an access token", &**token)));
    let rows = "SELECT (SELECT string_agg(t::text, ' ') FROM access_token t)
                    || (SELECT string_agg(t::text, ' ') FROM object t)
                    || (SELECT string_agg(t::text, ' ') FROM feed t)
                    || (SELECT string_agg(t::text, ' ') FROM audit t)";
    let rows = fleet.server.sql(rows).unwrap();
    assert!(rows.contains("\\x"), "the sealed tokens are there");
    let mut found = hunt.in_bytes("the database", rows.as_bytes());
    for engine in &fleet.engines {
        let told = engine.get("/v1/sources").await.to_string();
        found.extend(hunt.in_bytes("the API", told.as_bytes()));
        found.extend(hunt.in_bytes("a log", engine.log().as_bytes()));
    }
    assert!(found.is_empty(), "{found:?}");
    for engine in &mut fleet.engines {
        engine.stop().await;
    }
}
