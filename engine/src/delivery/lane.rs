//! One lane under one claim: queued dead letters first, then audit entries, then its feeds, several at once where the destination allows.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use engine_api::Code;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{means::Means, read::Wanted};
use crate::{
    destination::{Destination, WriteError},
    store::{
        Error, Store,
        delivery::{Claim, Lane},
    },
};

/// So many feeds of a lane have their turn in one activation; the longest waiting first.
const FEEDS: u32 = 256;

/// How a feed's turn, or a lane's, ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Everything was delivered.
    Drained,
    /// Something waits for company, until this instant.
    Waits(Timestamp),
    /// There is more, for the next turn.
    More,
    /// The destination takes nothing for now.
    Paused(WriteError),
    /// The lane is another's now.
    Fenced,
}

impl Ended {
    /// What two ends come to: the one that decides more.
    fn and(self, other: Self) -> Self {
        let weight = |ended: &Self| match ended {
            Self::Drained => 0,
            Self::Waits(_) => 1,
            Self::More => 2,
            Self::Paused(WriteError::Unavailable { .. }) => 3,
            Self::Paused(WriteError::Throttled { .. }) => 4,
            Self::Paused(_) => 5,
            Self::Fenced => 6,
        };
        match (self, other) {
            (Self::Waits(first), Self::Waits(second)) => Self::Waits(first.min(second)),
            (first, second) if weight(&first) >= weight(&second) => first,
            (_, second) => second,
        }
    }
}

/// A claimed lane and its destination.
pub(super) struct Run<'a> {
    pub(super) means: &'a Means,
    pub(super) claim: Claim,
    pub(super) destination: &'a dyn Destination,
    pub(super) wanted: Wanted<'a>,
    stop: &'a CancellationToken,
    began: Duration,
    /// What the adapter has to find again, as it is stored.
    settled: Mutex<Option<String>>,
    interrupted: AtomicBool,
    failures: AtomicU32,
    /// The destination takes nothing for now, or the lane is lost: nothing new is begun.
    halted: AtomicBool,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        means: &'a Means,
        lane: Lane,
        destination: &'a dyn Destination,
        wanted: Wanted<'a>,
        stop: &'a CancellationToken,
    ) -> Self {
        Self {
            means,
            claim: lane.claim,
            destination,
            wanted,
            stop,
            began: means.clock.monotonic(),
            settled: Mutex::new(lane.settled),
            interrupted: AtomicBool::new(lane.interrupted),
            failures: AtomicU32::new(lane.failures),
            halted: AtomicBool::new(false),
        }
    }

    pub(super) fn store(&self) -> &Store {
        &self.means.store
    }

    /// Attempts failed in a row, as the store has them.
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) async fn deliver(&self) -> Result<Ended, Error> {
        let replayed = self.replay().await?;
        if !matches!(replayed, Ended::Drained) {
            return Ok(replayed);
        }
        let audited = self.deliver_audit().await?;
        if !matches!(audited, Ended::Drained) {
            return Ok(audited);
        }
        let feeds = self.store().pending_feeds(&self.claim, FEEDS).await?;
        let mut ended = if feeds.len() == FEEDS as usize {
            Ended::More
        } else {
            Ended::Drained
        };
        let mut turns = stream::iter(feeds)
            .map(|feed| async move {
                let name = feed.feed.clone();
                (name, self.deliver_feed(feed).await)
            })
            .buffer_unordered(self.destination.parallel());
        while let Some((feed, turn)) = turns.next().await {
            let turn = match turn {
                // One feed's log cannot be read; the others must not wait for that.
                Err(Error::Damaged(detail)) => {
                    error!(feed = %feed, detail, "events cannot be read from the store, and are not delivered");
                    let detail = format!("events of {feed} cannot be read from the engine's store: {detail}");
                    Ended::Paused(WriteError::Blocked {
                        code: Code::Internal,
                        detail,
                    })
                }
                turn => turn?,
            };
            ended = ended.and(turn);
        }
        Ok(ended)
    }

    /// Whether a further batch may be begun.
    pub(super) fn goes_on(&self) -> bool {
        let used = self.means.clock.monotonic().saturating_sub(self.began);
        !self.halted.load(Ordering::Relaxed) && !self.stop.is_cancelled() && used < self.means.options.turn
    }

    /// The destination takes nothing for now.
    pub(super) fn pause(&self, failure: WriteError) -> Ended {
        self.halted.store(true, Ordering::Relaxed);
        Ended::Paused(failure)
    }

    /// The lane is another's now.
    pub(super) fn fenced(&self) -> Ended {
        self.halted.store(true, Ordering::Relaxed);
        Ended::Fenced
    }

    /// Makes the destination ready; answers what to store before the write.
    pub(super) async fn prepare(&self) -> Result<Option<String>, WriteError> {
        let settled = self
            .settled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let interrupted = self.interrupted.load(Ordering::Relaxed);
        let prepared = self.destination.prepare(settled.as_deref(), interrupted).await?;
        self.interrupted.store(false, Ordering::Relaxed);
        Ok(prepared)
    }

    /// Remembers what was stored for the adapter.
    pub(super) fn remember(&self, settled: Option<String>) {
        if settled.is_some() {
            *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = settled;
        }
    }

    /// The destination answered, so that its failures in a row are over.
    pub(super) fn answered(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }
}
