//! What the supervisor runs: workers.
//!
//! **Invariant:** a worker keeps nothing in memory that its next activation needs; whatever it must know is in the
//! store, so that any engine can go on where another stopped.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Mutex as Turns, Notify, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

/// An idempotent activation without input: it looks what is to be done, does one piece of it, and says when to look
/// again. A wake tells it to look earlier, and never what to do.
#[async_trait]
pub trait Worker: Send + Sync {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Does one piece of work. A `stop` is honoured between two steps, never in the middle of one. Once it has claimed
    /// something, it [passes](Turn::pass) its turn to look on, if it runs in several copies.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is a crash at that point: what was claimed lapses, and the next activation goes on.
    async fn activate(&self, stop: &CancellationToken, turn: &mut Turn) -> Next;
}

/// The turn to look. Of the copies of a worker one has it: while nothing is to be done it alone waits for a wake or the
/// time, and so a wake costs one look, however many copies there are.
#[derive(Debug, Default)]
pub struct Turn(Option<OwnedMutexGuard<()>>);

impl Turn {
    /// Takes the turn that the copies of a worker share.
    pub(crate) async fn take(turns: &Arc<Turns<()>>) -> Self {
        Self(Some(Arc::clone(turns).lock_owned().await))
    }

    /// Lets another copy look: this one has something to do.
    pub fn pass(&mut self) {
        self.0 = None;
    }

    /// Whether it was passed on.
    pub(crate) fn is_passed(&self) -> bool {
        self.0.is_none()
    }
}

/// When a worker wants to be activated again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At once: there may be more to do.
    Again,
    /// At this instant, unless it is woken earlier.
    At(Timestamp),
    /// When it is woken, or on the idle beat: nothing is known to come.
    Idle,
}

/// The worker that polls feeds.
pub const INTAKE: &str = "intake";
/// The worker that delivers events.
pub const DELIVERY: &str = "delivery";
/// The worker that judges alarms.
pub const ALARM: &str = "alarm";

/// Wakes workers, all of them or by name; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Wakes {
    by_name: Arc<Mutex<BTreeMap<&'static str, Arc<Notify>>>>,
    /// What other engines are to be told, where there are any: names, or nothing but [`ALL`].
    told: Arc<Mutex<BTreeSet<&'static str>>>,
    telling: Arc<Notify>,
}

/// Stands for every worker.
const ALL: &str = "*";

impl Wakes {
    /// Makes every waiting worker look now, of all engines.
    pub fn wake(&self) {
        self.wake_here(&[ALL]);
        self.tell(&[ALL]);
    }

    /// Makes the waiting workers of these names look now, of all engines.
    pub fn wake_only(&self, names: &[&'static str]) {
        self.wake_here(names);
        self.tell(names);
    }

    /// Makes the waiting workers of this engine look now: those of these names, or all.
    pub fn wake_here(&self, names: &[&str]) {
        let by_name = self.lock();
        for (name, notify) in &*by_name {
            if names.contains(name) || names.contains(&ALL) {
                notify.notify_waiters();
            }
        }
    }

    /// Waits until other engines are to be told something, and answers what. However often they were to be told the
    /// same meanwhile, it is told once.
    ///
    /// # Cancel safety
    ///
    /// What was to be told is kept until it is answered.
    pub async fn told(&self) -> String {
        loop {
            let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
            if !told.is_empty() {
                return told.into_iter().collect::<Vec<_>>().join(",");
            }
            self.telling.notified().await;
        }
    }

    fn tell(&self, names: &[&'static str]) {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(names);
        self.telling.notify_one();
    }

    /// What wakes the workers of one name: each future of it ends with the next wake, and counts from the moment it is
    /// enabled or polled.
    pub fn of(&self, name: &'static str) -> Arc<Notify> {
        Arc::clone(self.lock().entry(name).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Arc<Notify>>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
