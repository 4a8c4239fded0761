//! Several engines on one PostgreSQL, while everything that can fail does; nothing may be lost or doubled.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, Instant},
};

use private_postgres::Server;
use serde_json::json;

use crate::{
    delivered::{self, Difference, Event, Multiset},
    engine::Engine,
    proxy::{Mode, Proxy},
    receiver::{Received, Receiver, Reply},
    rng::Rng,
    sim::{App, Behaviour, Bulk, Drip, Mix, Report, Sim},
    wait,
};

/// How much is done to how many.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub engines: usize,
    pub sources: usize,
    /// Rows of each feed that are there from the start.
    pub rows: u64,
    /// How long things fail, at least.
    pub trouble: Duration,
    /// How long a silent engine keeps what it has.
    pub lease: Duration,
    /// Draws what fails when.
    pub seed: u64,
}

/// What became of it.
#[derive(Debug)]
pub struct Survived {
    pub options: Options,
    pub events: usize,
    /// What failed, and how often.
    pub faults: BTreeMap<&'static str, u32>,
    /// Requests to the HTTP destination that carried an event again.
    pub repeats: usize,
    pub took: Duration,
}

impl fmt::Display for Survived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options {
            engines,
            sources,
            seed,
            ..
        } = self.options;
        write!(
            f,
            "{engines} engines over {sources} sources (seed {seed}), {:?}: {} events, each once in the log, {} sent again \
             with the same ids, in {:.0} s",
            self.faults,
            self.events,
            self.repeats,
            self.took.as_secs_f64()
        )
    }
}

/// An account whose budget is soon used up; its feeds need not be complete.
const POOR: &str = "poor";
/// Requests a day of that account.
const ALLOWED: u64 = 100;
/// Of so many requests to the HTTP destination, the answer to one is lost, and it must come again under the same ids.
const LOST_ANSWER: u64 = 20;
/// How many kinds of failure there are; each comes at least once.
const FAULTS: u64 = 7;
/// Sources of which an alarm is told.
const ALARMED: usize = 3;

struct Fleet {
    sim: Sim,
    server: Server,
    proxies: Vec<Proxy>,
    engines: Vec<Engine>,
    sources: Vec<String>,
    rng: Rng,
    options: Options,
    faults: BTreeMap<&'static str, u32>,
}

/// Runs engines over one PostgreSQL, and kills, pauses, cuts off and stops engines and the database meanwhile.
///
/// # Panics
///
/// When a row is lost or doubled, an event changes its id, none had to be sent again, an alarm is told twice, or a budget is overdrawn.
pub async fn run(options: Options) -> Survived {
    let began = Instant::now();
    let shared = tempfile::Builder::new()
        .prefix("zle-fleet-")
        .tempdir()
        .expect("a temporary directory");
    let (hook, pager) = (Receiver::start().await, Receiver::start().await);
    // Some of what is sent is refused for the moment, and some is taken without the sender's hearing so.
    hook.script([503; 5].map(Reply::status));
    hook.script([200; 3].map(Reply::Lose));
    hook.lose_every(LOST_ANSWER);
    let mut fleet = Fleet::start(options, shared.path()).await;
    let first = &fleet.engines[0];
    let lake = shared.path().join("lake");
    let destinations = [
        first
            .create("destinations", json!({"name": "lake", "file": {"path": lake}}))
            .await,
        first
            .create(
                "destinations",
                json!({"name": "hook", "http": {"url": hook.url()}}),
            )
            .await,
    ];
    let channel = json!({"name": "pager", "webhook": {"url": pager.url()}});
    let channel = first.create("alarm-channels", channel).await;
    for number in 0..options.sources {
        let mut source = json!({
            "name": format!("source {number}"), "account_id": account(number), "client_id": client(number),
            "client_secret": "s3cret", "destination_ids": destinations, "poll_interval": "15s",
        });
        if number < ALARMED {
            source["drop_off_alarm"] = json!({"after": "30m", "channel_ids": [channel]});
            source["log_types"] = json!(["operation"]);
        }
        let source = fleet.engines[number % options.engines]
            .create("sources", source)
            .await;
        fleet.sources.push(source);
    }
    let poor = json!({
        "name": "poor", "account_id": POOR, "client_id": "poor-app", "client_secret": "s3cret",
        "poll_interval": "15s", "daily_request_budget": ALLOWED,
    });
    let poor = fleet.engines[0].create("sources", poor).await;
    fleet.sources.push(poor);

    fleet.trouble().await;
    let events = fleet.peace(&lake).await;
    fleet.told(&events, &hook).await;
    fleet.alarmed(&pager).await;
    let used = fleet.sim.used_today(POOR).expect("the account is there");
    assert!(used <= ALLOWED, "{used} requests of {ALLOWED} a day");
    let sent: usize = hook.accepted().iter().map(|request| request.rows().len()).sum();
    assert!(sent > events.len(), "no answer was lost");
    let Fleet {
        mut engines, faults, ..
    } = fleet;
    for engine in &mut engines {
        engine.stop().await;
    }
    Survived {
        options,
        events: events.len(),
        faults,
        repeats: sent - events.len(),
        took: began.elapsed(),
    }
}

fn account(number: usize) -> String {
    format!("account-{number}")
}

fn client(number: usize) -> String {
    format!("app-{number}")
}

impl Fleet {
    async fn start(options: Options, shared: &std::path::Path) -> Self {
        let sim = Sim::start().await;
        for number in 0..options.sources {
            sim.simple_account(&account(number), &client(number), "s3cret");
            let mix = Mix {
                seed: options.seed * 1_000 + number as u64,
                twin_percent: 2.0,
                late_percent: 5.0,
                late_secs: 4 * 3_600,
            };
            for report in Report::ALL {
                if number < ALARMED && report != Report::Operation {
                    continue;
                }
                let (rows, span_secs) = (options.rows, 8 * 3_600);
                sim.generate(&account(number), report, Bulk { rows, span_secs, mix });
                let mix = Mix {
                    seed: mix.seed + 500,
                    ..mix
                };
                let drip = Drip {
                    rows_per_page: 3,
                    rows,
                    mix,
                };
                sim.drip(&account(number), report, Some(drip));
            }
        }
        sim.put_account(POOR, Behaviour::default());
        sim.put_app(App::new(POOR, "poor-app", "s3cret"));
        let server = Server::start().expect("a PostgreSQL");
        let mut fleet = Self {
            sim,
            server,
            proxies: Vec::new(),
            engines: Vec::new(),
            sources: Vec::new(),
            rng: Rng::new(options.seed),
            options,
            faults: BTreeMap::new(),
        };
        for number in 0..options.engines {
            let proxy = Proxy::before(fleet.server.port()).await;
            let url = fleet.server.url(Some(proxy.port()));
            let (lease, ahead) = (
                format!("{}s", options.lease.as_secs()),
                format!("{}m", number * 7),
            );
            let (key, root) = (
                shared.join("vault.key").display().to_string(),
                shared.display().to_string(),
            );
            let settings = [
                ("store.url", url.as_str()),
                ("store.lease", lease.as_str()),
                ("store.connect_timeout", "2s"),
                ("vault.key_file", key.as_str()),
                ("egress.file_roots", root.as_str()),
                ("zoom.sweep_interval", "5s"),
                ("delivery.retry_first", "100ms"),
                // The machines' clocks are minutes apart.
                ("clock.ahead", ahead.as_str()),
                ("log.level", "info"),
            ];
            fleet
                .engines
                .push(Engine::start_with(&fleet.sim.url(), &settings).await);
            fleet.proxies.push(proxy);
        }
        fleet
    }

    /// What can fail fails, again and again.
    async fn trouble(&mut self) {
        let began = Instant::now();
        let mut round = 0;
        while began.elapsed() < self.options.trouble || round < FAULTS {
            self.poll().await;
            tokio::time::sleep(Duration::from_millis(300 + self.rng.below(1_500))).await;
            // Each kind once, in an order of its own, before any comes again.
            let fault = (round + self.options.seed) % FAULTS;
            round += 1;
            self.fail(fault).await;
        }
    }

    async fn fail(&mut self, fault: u64) {
        let number = usize::try_from(self.rng.below(self.engines.len() as u64)).unwrap();
        let lease = self.options.lease;
        let name = match fault {
            0 => {
                self.engines[number].kill();
                tokio::time::sleep(lease / 2).await;
                self.engines[number].start_again().await;
                "killed"
            }
            1 => {
                self.engines[number].signal("STOP");
                tokio::time::sleep(lease + Duration::from_secs(2)).await;
                self.engines[number].signal("CONT");
                "paused beyond the lease"
            }
            2 => {
                self.proxies[number].set(Mode::Cut);
                tokio::time::sleep(lease / 2).await;
                self.proxies[number].set(Mode::Pass);
                "cut off"
            }
            3 => {
                self.proxies[number].set(Mode::Stall);
                tokio::time::sleep(lease + Duration::from_secs(2)).await;
                self.proxies[number].set(Mode::Pass);
                "stalled beyond the lease"
            }
            4 => {
                self.server.stop().expect("PostgreSQL is told to stop");
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.server.resume().expect("PostgreSQL starts again");
                "database restarted"
            }
            5 => {
                self.server.kill().expect("PostgreSQL is killed");
                self.server.resume().expect("PostgreSQL starts again");
                "database killed"
            }
            _ => {
                self.engines[number].restart().await;
                "stopped in order"
            }
        };
        *self.faults.entry(name).or_default() += 1;
    }

    /// Wants all sources polled now, of whichever engine answers.
    async fn poll(&mut self) {
        for (number, source) in self.sources.iter().enumerate() {
            let engine = &self.engines[number % self.engines.len()];
            let ask = engine.client();
            // One that cannot answer now is asked again at the next turn.
            let _ = tokio::time::timeout(Duration::from_millis(200), ask.poll_source(source)).await;
        }
    }

    fn owed(&self) -> Multiset {
        let mut owed = Multiset::new();
        for number in 0..self.options.sources {
            for (row, times) in delivered::owed(&self.sim, &account(number)) {
                *owed.entry(row).or_default() += times;
            }
        }
        owed
    }

    /// Nothing fails any more: waits until the file holds what all accounts owe, each row once.
    async fn peace(&mut self, lake: &std::path::Path) -> Vec<Event> {
        for number in 0..self.options.sources {
            for report in Report::ALL {
                self.sim.drip(&account(number), report, None);
            }
        }
        let owed = self.owed();
        let began = Instant::now();
        loop {
            let events = delivered::read_file(lake);
            let difference = Difference::between(&owed, &delivered::multiset(&events));
            assert!(difference.doubled.is_empty(), "{difference}");
            if difference.is_none() {
                delivered::each_once(&events);
                return events;
            }
            if began.elapsed() > 4 * wait::LATE {
                let logs: String = self.engines.iter().map(Engine::log).collect();
                panic!("{difference}\n{logs}");
            }
            self.poll().await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Every event came to the HTTP destination, and each repeat under the same id.
    async fn told(&self, events: &[Event], hook: &Receiver) {
        let owed: BTreeSet<String> = events.iter().map(id_of).collect();
        wait::until_now(wait::LATE, "every event at the HTTP destination", || {
            let told: BTreeMap<String, Vec<u8>> = told_by(&hook.accepted());
            let strangers = told.keys().filter(|id| !owed.contains(*id)).count();
            assert_eq!(strangers, 0, "ids that are not in the log");
            if told.len() == owed.len() {
                Ok(())
            } else {
                Err(format!("{} of {} events", told.len(), owed.len()))
            }
        })
        .await;
    }

    /// Raises the alarms of some sources, while engines come and go, and holds that each is told once.
    async fn alarmed(&mut self, pager: &Receiver) {
        // Hours pass for these feeds alone.
        self.server
            .sql(
                "UPDATE feed SET last_collected_at = last_collected_at - 7200000, created_at = created_at - 7200000
                     WHERE id IN (SELECT feed_id FROM alarm);
                 UPDATE alarm SET began_at = began_at - 7200000, since = since - 7200000, due_at = 0",
            )
            .expect("the alarms are put back");
        wait::until_now(wait::LATE, "the alarms at the pager", || {
            let told = transitions(&pager.received());
            if told.len() >= ALARMED {
                Ok(())
            } else {
                Err(format!("{told:?}"))
            }
        })
        .await;
        for engine in &mut self.engines {
            engine.restart().await;
        }
        let told = transitions(&pager.received());
        assert_eq!(told.len(), ALARMED, "{told:?}");
        assert!(told.values().all(|times| *times == 1), "{told:?}");
    }
}

fn id_of(event: &Event) -> String {
    event.zoom_log["id"]
        .as_str()
        .expect("an event has an id")
        .to_owned()
}

/// The rows that were accepted, by the ids of their events; one id stands for one row.
fn told_by(accepted: &[Received]) -> BTreeMap<String, Vec<u8>> {
    let mut told: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for row in accepted.iter().flat_map(Received::rows) {
        let event = Event::parse(&row);
        let before = told.insert(id_of(&event), event.row.clone());
        assert!(
            before.is_none_or(|before| before == event.row),
            "one id for two rows"
        );
    }
    told
}

/// How often each notice came.
fn transitions(received: &[Received]) -> BTreeMap<String, u32> {
    let mut times = BTreeMap::new();
    for request in received {
        *times.entry(request.header("webhook-id").to_owned()).or_default() += 1;
    }
    times
}
