//! What the supervisor runs: workers.
//!
//! **Invariant:** a worker keeps nothing in memory that its next activation needs; whatever it must know is in the
//! store, so that any engine can go on where another stopped.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Notify, futures::Notified};
use tokio_util::sync::CancellationToken;

/// An idempotent activation without input: it looks what is to be done, does one piece of it, and says when to look
/// again. A wake tells it to look earlier, and never what to do.
#[async_trait]
pub trait Worker: Send + Sync {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Does one piece of work. A `stop` is honoured between two steps, never in the middle of one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is a crash at that point: what was claimed lapses, and the next activation goes on.
    async fn activate(&self, stop: &CancellationToken) -> Next;
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

/// Wakes all workers; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Wakes {
    notify: Arc<Notify>,
}

impl Wakes {
    /// Makes every waiting worker look now.
    pub fn wake(&self) {
        self.notify.notify_waiters();
    }

    /// Ends with the next wake; counts from the moment it is enabled or polled.
    pub fn woken(&self) -> Notified<'_> {
        self.notify.notified()
    }
}
