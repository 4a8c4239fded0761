//! One life of the engine: its real workers over the simulated world, driven one at a time.
//!
//! The supervisor's loop is played here: a worker is activated when it is due, woken, or on its beat. Only one
//! activation moves at any time, and it moves until it waits for the network, for the clock, or for another one.
//! Since nothing else runs meanwhile, the threads behind SQLite cannot change what happens.

use std::{
    collections::BTreeMap,
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use zoom_log_engine::{
    alarm::{AlarmWorker, NoticeOptions, NoticeWorker},
    clock::Clock,
    credential::{self, Credentials, RenewalWorker},
    delivery::{self, DeliveryWorker, RetentionWorker},
    destination::{Kinds, Webhooks},
    http::Http,
    intake::{Gates, Intake},
    retry::Backoff,
    store::Store,
    telemetry::Telemetry,
    vault::Vault,
    worker::{Next, Turn, Wakes, Worker},
    zoom::{self, Place, Places, Zoom},
};

use super::{
    network::{Shared, ZOOM},
    one_by_one::OneByOne,
    plan::Plan,
};

/// How long a worker that has nothing to do waits before it looks again by itself, as the supervisor has it.
const IDLE_BEAT: Duration = Duration::from_secs(5);
const HOUSEKEEPING: Duration = Duration::from_hours(7);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long destinations may take nothing before nothing is collected for them; in the real engine a day at least.
const BLOCKED_AFTER: Duration = Duration::from_hours(24);

/// A life of the engine.
pub(super) struct Engine {
    pub(super) store: Store,
    pub(super) wakes: Wakes,
    /// Who it is, in leases.
    pub(super) owner: String,
    telemetry: Telemetry,
    stop: CancellationToken,
    runners: Vec<Runner>,
    blocking: Arc<AtomicUsize>,
    clock: Clock,
    /// What must not be broken off, until it has a runner.
    whole: Arc<Mutex<Vec<BoxFuture<'static, ()>>>>,
}

/// What stands for a worker where a future runs to its end by itself.
#[derive(Debug)]
struct Whole;

#[async_trait]
impl Worker for Whole {
    fn name(&self) -> &'static str {
        "whole"
    }

    async fn activate(&self, _stop: &CancellationToken, _turn: &mut Turn) -> Next {
        Next::Idle
    }
}

/// One copy of a worker.
struct Runner {
    worker: Arc<dyn Worker>,
    activation: Option<Pin<Box<dyn Future<Output = Next>>>>,
    flag: Arc<Flag>,
    due: Timestamp,
    /// By the clock that never jumps.
    looked: Duration,
}

#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The activation waits, or is over.
    Waits,
    /// A crash point was struck.
    Struck,
}

impl Engine {
    /// Starts an engine on a database, as `serve` does: whoever held a lease is gone, unless others share it.
    pub(super) async fn start(
        plan: &Plan,
        database: &Path,
        vault: &Vault,
        (clock, network): (&Clock, &Shared),
        owner: String,
    ) -> Self {
        let store = Store::open(database, clock.clone())
            .await
            .expect("open the store");
        if plan.engines.len() == 1 {
            store.break_leases().await.expect("break the leases");
        }
        let blocking = Arc::new(AtomicUsize::new(0));
        let wakes = Wakes::default();
        let mut engine = Self {
            store,
            wakes,
            owner,
            telemetry: Telemetry::new(),
            stop: CancellationToken::new(),
            runners: Vec::new(),
            blocking,
            clock: clock.clone(),
            whole: Arc::default(),
        };
        engine.workers(plan, database, vault, network);
        engine
    }

    /// Ends it wherever it stands, as a kill does; what it had begun in the store is rolled back.
    pub(super) async fn kill(self) {
        let store = self.store.clone();
        drop(self);
        settled(&store).await;
        store.close().await;
    }

    /// Polls that ended because another engine had taken over the feed.
    pub(super) fn fenced(&self) -> u64 {
        let text = self.telemetry.render();
        let polls = text
            .lines()
            .filter(|line| line.contains("polls_total{") && line.contains("\"fenced\""));
        polls
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// Whether it waits for somebody's answer, or for the time in the middle of something.
    pub(super) fn is_at_something(&self) -> bool {
        self.runners.iter().any(|runner| runner.activation.is_some())
    }

    /// The same parts as in `lib.rs`, with each number of copies as the seed says.
    fn workers(&mut self, plan: &Plan, database: &Path, vault: &Vault, network: &Shared) {
        let (store, clock, wakes) = (self.store.clone(), self.clock.clone(), self.wakes.clone());
        let (telemetry, owner) = (self.telemetry.clone(), self.owner.clone());
        let http = Http::simulated(Arc::new(network.clone()), clock.clone());
        let length = |length: jiff::SignedDuration| Duration::try_from(length).unwrap_or_default();
        let place = Place {
            api: ZOOM.parse().expect("a URL"),
            oauth: ZOOM.parse().expect("a URL"),
        };
        let zoom = Zoom::new(
            zoom::Options {
                places: Places {
                    commercial: place.clone(),
                    government: place,
                },
                request_timeout: REQUEST_TIMEOUT,
                day_zone: jiff::tz::TimeZone::UTC,
            },
            http.clone(),
            clock.clone(),
            telemetry.clone(),
        );
        let whole = Arc::clone(&self.whole);
        let credentials = Credentials::new(credential::Parts {
            store: store.clone(),
            vault: vault.clone(),
            zoom: zoom.clone(),
            clock: clock.clone(),
            owner: owner.as_str().into(),
            lease: REQUEST_TIMEOUT + Duration::from_secs(10),
            public_url: "http://127.0.0.1:8420".into(),
            whole: Arc::new(move |work| whole.lock().unwrap_or_else(PoisonError::into_inner).push(work)),
        });
        let intake = Intake {
            store: store.clone(),
            credentials: credentials.clone(),
            zoom,
            labeller: engine_api::label::Labeller::default(),
            clock: clock.clone(),
            telemetry: telemetry.clone(),
            gates: Gates::default(),
            wakes: wakes.clone(),
            owner: owner.as_str().into(),
            lease: REQUEST_TIMEOUT * 4 + Duration::from_secs(30),
            late_window: length(plan.late_window),
            sweep_interval: length(plan.sweep_interval),
            blocked_after: BLOCKED_AFTER,
            daily_request_budget: plan.daily_budget,
            herd: plan.herd,
            backfills: Arc::new(Semaphore::new(1)),
        };
        let backoff = Backoff {
            first: Duration::from_secs(5),
            longest: Duration::from_mins(30),
        };
        let root = database
            .parent()
            .expect("a folder around the database")
            .join("out");
        let kinds = Kinds {
            http: http.clone(),
            clock: clock.clone(),
            file_roots: [root].into(),
        };
        let delivery = DeliveryWorker::new(
            store.clone(),
            vault.clone(),
            clock.clone(),
            telemetry.clone(),
            Arc::new(OneByOne {
                kinds,
                blocking: Arc::clone(&self.blocking),
            }),
            delivery::Options::new(owner.clone(), backoff),
        );
        let view = engine_api::EngineView {
            engine_id: "eng_simulated".to_owned(),
            version: "0.0.0".to_owned(),
            public_url: "http://127.0.0.1:8420".to_owned(),
            redirect_url: credential::redirect_url("http://127.0.0.1:8420"),
        };
        let noticed = wakes.clone();
        let alarm = AlarmWorker::new(store.clone(), clock.clone(), telemetry.clone(), view, move || {
            noticed.wake();
        });
        let notices = NoticeWorker::new(
            store.clone(),
            vault.clone(),
            Webhooks {
                http,
                clock: clock.clone(),
            },
            clock.clone(),
            telemetry,
            NoticeOptions {
                parallel: 1,
                ..NoticeOptions::new(owner, backoff)
            },
        );
        let retention = RetentionWorker::new(store, clock, Duration::from_hours(24));
        let workers: [(Arc<dyn Worker>, usize); 6] = [
            (Arc::new(intake), plan.intake_copies),
            (Arc::new(delivery), plan.delivery_copies),
            (Arc::new(alarm), 1),
            (Arc::new(notices), 1),
            (Arc::new(retention), 1),
            (Arc::new(RenewalWorker::new(credentials)), 1),
        ];
        for (worker, copies) in workers {
            for _ in 0..copies {
                self.runners.push(Runner {
                    worker: Arc::clone(&worker),
                    activation: None,
                    flag: Arc::default(),
                    due: Timestamp::MIN,
                    looked: self.clock.monotonic(),
                });
            }
        }
    }

    /// The runners that can move now.
    pub(super) fn ready(&self) -> Vec<usize> {
        let (now, stopping) = (self.clock.now(), self.stop.is_cancelled());
        let ready = |runner: &Runner| match runner.activation {
            Some(_) => runner.flag.0.load(Ordering::SeqCst),
            None => !stopping && runner.due <= now,
        };
        (0..self.runners.len())
            .filter(|index| ready(&self.runners[*index]))
            .collect()
    }

    /// How long until a runner that waits for nothing else is due; `None` where none is.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let now = self.clock.now();
        let idle = self.runners.iter().filter(|runner| runner.activation.is_none());
        idle.filter(|runner| runner.due < Timestamp::MAX)
            .map(|runner| Duration::try_from(runner.due.duration_since(now)).unwrap_or_default())
            .min()
    }

    /// Makes idle runners look: all of them, or those whom `chosen` chooses among those that have not looked lately.
    pub(super) fn look(&mut self, mut chosen: impl FnMut() -> bool) {
        let now = self.clock.monotonic();
        for runner in self
            .runners
            .iter_mut()
            .filter(|runner| runner.activation.is_none())
        {
            if now.saturating_sub(runner.looked) >= IDLE_BEAT && chosen() {
                runner.due = Timestamp::MIN;
            }
        }
    }

    /// Makes all idle runners look.
    pub(super) fn rouse(&mut self) {
        for runner in &mut self.runners {
            runner.due = Timestamp::MIN;
        }
    }

    /// Makes the idle runners of one name look, as a wake does.
    pub(super) fn wake(&mut self, name: &str) {
        for runner in self
            .runners
            .iter_mut()
            .filter(|runner| runner.worker.name() == name)
        {
            runner.due = Timestamp::MIN;
        }
    }

    /// Another engine has told whom to wake.
    pub(super) fn hear(&mut self, name: &str) {
        if name == "*" {
            self.rouse();
        } else {
            self.wake(name);
        }
    }

    /// What wakes the workers of each name.
    pub(super) fn wakers(&self) -> BTreeMap<&'static str, Arc<Notify>> {
        let names = self.runners.iter().map(|runner| runner.worker.name());
        names.map(|name| (name, self.wakes.of(name))).collect()
    }

    /// Tells the engine to stop: what is under way ends, nothing begins.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled() && self.runners.iter().all(|runner| runner.activation.is_none())
    }

    pub(super) fn name(&self, runner: usize) -> &'static str {
        self.runners[runner].worker.name()
    }

    /// Lets a runner move until it waits. `struck` tells whether a crash point was struck meanwhile.
    pub(super) async fn drive(&mut self, index: usize, struck: impl Fn() -> bool) -> Step {
        let step = self.drive_one(index, struck).await;
        self.runners
            .retain(|runner| runner.activation.is_some() || runner.worker.name() != Whole.name());
        let begun = std::mem::take(&mut *self.whole.lock().unwrap_or_else(PoisonError::into_inner));
        for work in begun {
            let flag = Arc::<Flag>::default();
            flag.0.store(true, Ordering::SeqCst);
            self.runners.push(Runner {
                worker: Arc::new(Whole),
                activation: Some(Box::pin(async move {
                    work.await;
                    Next::Idle
                })),
                flag,
                due: Timestamp::MAX,
                looked: self.clock.monotonic(),
            });
        }
        step
    }

    async fn drive_one(&mut self, index: usize, struck: impl Fn() -> bool) -> Step {
        let runner = &mut self.runners[index];
        let waker = Waker::from(Arc::clone(&runner.flag));
        let activation = runner.activation.get_or_insert_with(|| {
            let (worker, stop) = (Arc::clone(&runner.worker), self.stop.clone());
            runner.looked = self.clock.monotonic();
            Box::pin(async move { worker.activate(&stop, &mut Turn::default()).await })
        });
        loop {
            runner.flag.0.store(false, Ordering::SeqCst);
            let polled = activation.as_mut().poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(next) = polled {
                runner.activation = None;
                runner.due = match next {
                    Next::Again => Timestamp::MIN,
                    // Housekeeping every ten minutes of many days would be most of what a seed does.
                    Next::At(due) if runner.worker.name() == "retention" => due + HOUSEKEEPING,
                    Next::At(due) => due,
                    Next::Idle => Timestamp::MAX,
                };
                settled(&self.store).await;
                return Step::Waits;
            }
            if struck() {
                return Step::Struck;
            }
            // It waits for the database, whose answer comes by itself, or for what only the simulation gives.
            let woken = loop {
                tokio::task::yield_now().await;
                if runner.flag.0.load(Ordering::SeqCst) {
                    break true;
                }
                if self.store.is_idle() && self.blocking.load(Ordering::SeqCst) == 0 {
                    // What came between the two looks.
                    break runner.flag.0.load(Ordering::SeqCst);
                }
                std::thread::yield_now();
            };
            if !woken {
                return Step::Waits;
            }
        }
    }
}

/// Waits until all connections are back where they belong.
async fn settled(store: &Store) {
    while !store.is_idle() {
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
}
