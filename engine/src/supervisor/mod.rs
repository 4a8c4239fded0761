//! The supervisor: the only place that spawns.
//!
//! It runs each worker in as many copies as it was told, activates it when it is due, woken, or on the idle beat, and
//! ends all of them within a deadline. It knows no domain noun: a worker is a name, an activation and an instant.
//!
//! A worker that panics is started again after a pause; the process goes on. Waking tells workers to look, never what
//! to do: a wake that is lost costs one beat.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, warn};

use crate::{
    clock::Clock,
    retry::later,
    telemetry::{Telemetry, WorkerLabels},
    worker::{Next, Turn, Wakes, Worker},
};

/// However idle, each worker looks this often: what it waits for may have been done by another process.
const IDLE_BEAT: Duration = Duration::from_secs(5);
/// The pause after a panic.
const PANIC_PAUSE: Duration = Duration::from_secs(1);

/// A worker of which no copy has begun an activation for so long is stuck.
const STALLED_AFTER: Duration = Duration::from_mins(5);

/// When each worker was last activated; cheap to clone.
#[derive(Debug, Clone)]
pub struct Beats {
    clock: Clock,
    last: Arc<Mutex<BTreeMap<&'static str, Duration>>>,
}

impl Beats {
    fn note(&self, worker: &'static str) {
        let now = self.clock.monotonic();
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(worker, now);
    }

    /// The workers that are stuck, in words; `None` while all of them look regularly.
    pub fn stalled(&self) -> Option<String> {
        let now = self.clock.monotonic();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck: Vec<&str> = last
            .iter()
            .filter(|(_, at)| now.saturating_sub(**at) > STALLED_AFTER)
            .map(|(worker, _)| *worker)
            .collect();
        (!stuck.is_empty()).then(|| format!("no activation for {STALLED_AFTER:?} of {}", stuck.join(", ")))
    }
}

/// Runs workers until it is told to stop.
#[derive(Debug)]
pub struct Supervisor {
    beats: Beats,
    clock: Clock,
    telemetry: Telemetry,
    wakes: Wakes,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Supervisor {
    /// A supervisor with nothing to run yet. Cancelling `stop` ends everything it runs.
    pub fn new(clock: Clock, telemetry: Telemetry, wakes: Wakes, stop: CancellationToken) -> Self {
        Self {
            beats: Beats {
                clock: clock.clone(),
                last: Arc::default(),
            },
            clock,
            telemetry,
            wakes,
            stop,
            tasks: TaskTracker::new(),
        }
    }

    /// Tells whether the workers work.
    pub fn beats(&self) -> Beats {
        self.beats.clone()
    }

    /// Runs so many copies of a worker.
    pub fn run(&self, worker: &Arc<dyn Worker>, copies: usize) {
        let turns = Arc::default();
        for _ in 0..copies {
            let runner = Runner {
                turns: Arc::clone(&turns),
                worker: Arc::clone(worker),
                beats: self.beats.clone(),
                clock: self.clock.clone(),
                telemetry: self.telemetry.clone(),
                wakes: self.wakes.clone(),
                stop: self.stop.clone(),
            };
            self.spawn(runner.run());
        }
    }

    /// Runs something else that ends by itself once the stop token is cancelled.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Spawns on the supervisor's behalf: a short piece of work that must not be broken off. The drain waits for it.
    pub fn spawner(&self) -> Spawner {
        Spawner {
            tasks: self.tasks.clone(),
        }
    }

    /// Waits until everything has ended, for at most so long; `false` when something had to be left behind.
    pub async fn drain(self, deadline: Duration) -> bool {
        self.tasks.close();
        let drained = self.clock.timeout(deadline, self.tasks.wait()).await.is_ok();
        if !drained {
            warn!(
                left = self.tasks.len(),
                "workers did not end within the deadline; what they claimed lapses"
            );
        }
        drained
    }
}

/// Spawns on the supervisor's behalf; cheap to clone.
#[derive(Debug, Clone)]
pub struct Spawner {
    tasks: TaskTracker,
}

impl Spawner {
    /// Runs a piece of work that ends by itself, whoever stops waiting for it.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }
}

struct Runner {
    worker: Arc<dyn Worker>,
    /// Shared by all copies of the worker.
    turns: Arc<tokio::sync::Mutex<()>>,
    beats: Beats,
    clock: Clock,
    telemetry: Telemetry,
    wakes: Wakes,
    stop: CancellationToken,
}

impl Runner {
    async fn run(self) {
        let wakes = self.wakes.of(self.worker.name());
        let mut turn = Turn::default();
        while !self.stop.is_cancelled() {
            if turn.is_passed() {
                turn = tokio::select! {
                    turn = Turn::take(&self.turns) => turn,
                    () = self.stop.cancelled() => break,
                };
            }
            // Registered before the worker looks, so that a wake which comes while it looks is not lost.
            let woken = wakes.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let next = self.activate(&mut turn).await;
            if turn.is_passed() {
                // Another copy has the turn and waits, for something that this one's work may have changed.
                wakes.notify_waiters();
            }
            let due = match next {
                Next::Again => continue,
                Next::At(due) => due,
                Next::Idle => Timestamp::MAX,
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = &mut woken => {}
                () = self.clock.sleep_until(due) => {}
                // By the monotonic clock: a wall clock that was put back must not silence anybody.
                () = self.clock.sleep(IDLE_BEAT) => {}
            }
        }
        debug!(worker = self.worker.name(), "ended");
    }

    async fn activate(&self, turn: &mut Turn) -> Next {
        self.beats.note(self.worker.name());
        let activation = std::panic::AssertUnwindSafe(self.worker.activate(&self.stop, turn));
        if let Ok(next) = activation.catch_unwind().await {
            return next;
        }
        // The panic's own text is logged by the hook.
        error!(
            worker = self.worker.name(),
            "a worker panicked and is started again"
        );
        self.telemetry.worker_restarts.add(
            &WorkerLabels {
                worker: self.worker.name(),
            },
            1,
        );
        Next::At(later(self.clock.now(), PANIC_PAUSE))
    }
}

#[cfg(test)]
mod tests;
