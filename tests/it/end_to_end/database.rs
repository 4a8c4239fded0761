//! PostgreSQL that is slow, locked, full, read-only, or behind a network that swallows what is sent.

use e2e::{
    engine::Engine,
    proxy::{Mode, Proxy},
};
use private_postgres::Server;

use super::trouble::{FEW, GROWTH, Served};

/// An engine on a PostgreSQL behind a proxy, with one source whose rows are all delivered.
struct Troubled {
    served: Served,
    server: Server,
    proxy: Proxy,
}

impl Troubled {
    async fn start() -> Self {
        let server = Server::start().unwrap();
        let proxy = Proxy::before(server.port()).await;
        let url = server.url(Some(proxy.port()));
        let served = Served::start(async |zoom: &str, settings: &[(&str, &str)]| {
            let store = [
                ("store.url", url.as_str()),
                ("store.connect_timeout", "2s"),
                ("store.statement_timeout", "2s"),
                ("store.lock_timeout", "1s"),
            ];
            Engine::start_with(zoom, &[settings, &store].concat()).await
        })
        .await;
        Self {
            served,
            server,
            proxy,
        }
    }

    fn sql(&self, statement: &str) {
        self.server.sql(statement).unwrap();
    }

    /// The database takes nothing, and the engine says why.
    async fn waits(&mut self, reason: &str) {
        self.served.waits(FEW, reason).await;
    }

    async fn goes_on(&self) {
        self.served.goes_on().await;
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
    let mut troubled = Troubled::start().await;
    troubled.sql(&on_each_write(
        "RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'could not extend file: No space left on device';",
    ));
    troubled.waits("No space left on device").await;
    troubled.sql(NO_TROUBLE);
    troubled.goes_on().await;
}

#[tokio::test]
async fn a_read_only_postgresql_makes_polls_wait_and_loses_nothing() {
    let mut troubled = Troubled::start().await;
    let set = |to: &str| format!("ALTER SYSTEM {to}");
    troubled.sql(&set("SET default_transaction_read_only = on"));
    troubled.sql("SELECT pg_reload_conf()");
    troubled.waits("read-only transaction").await;
    troubled.sql(&set("RESET default_transaction_read_only"));
    troubled.sql("SELECT pg_reload_conf()");
    troubled.goes_on().await;
}

#[tokio::test]
async fn a_slow_postgresql_delivers_all_in_its_time_and_one_that_is_too_slow_is_not_ready() {
    let mut troubled = Troubled::start().await;
    let before = troubled.served.resident();
    troubled.sql(&on_each_write("PERFORM pg_sleep(0.1);"));
    troubled.served.new_rows(FEW);
    troubled.served.all_is_delivered().await;
    troubled.served.is_ready().await;
    troubled.sql(NO_TROUBLE);

    // Slower than a statement may be.
    troubled.sql(&on_each_write("PERFORM pg_sleep(3);"));
    troubled.waits("statement timeout").await;
    troubled.sql(NO_TROUBLE);
    troubled.goes_on().await;
    let after = troubled.served.resident();
    assert!(after < before + GROWTH, "{before} KiB became {after} KiB");
}

#[tokio::test]
async fn tables_that_somebody_locks_make_polls_wait() {
    let mut troubled = Troubled::start().await;
    let server = troubled.server.url(None);
    let mut locker = std::process::Command::new("psql");
    locker.args(["-X", "-q", &server, "-c"]);
    locker.arg("BEGIN; LOCK TABLE meta, feed, lane IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)");
    let mut locker = locker.spawn().unwrap();
    troubled.waits("lock timeout").await;
    troubled.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()");
    locker.wait().unwrap();
    troubled.goes_on().await;
}

#[tokio::test]
async fn a_network_that_swallows_what_is_sent_is_given_up_long_before_tcp_does() {
    let mut troubled = Troubled::start().await;
    troubled.proxy.set(Mode::Swallow);
    troubled.waits("the store cannot be written to").await;
    troubled.proxy.set(Mode::Pass);
    // What was swallowed never arrives: the connections are left behind, and there are enough others.
    troubled.goes_on().await;
}
