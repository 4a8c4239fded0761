//! Intake: from Zoom's pages to the log of events.
//!
//! Who takes part: the store hands out a feed under a lease; the pure [`plan`](crate::model::plan) says which read it needs; the
//! [`zoom`](crate::zoom) adapter answers page by page; the [`counting`](crate::model::counting) rule says which rows
//! have become certain; they are labelled and appended, and the checkpoint moves with them in one transaction.
//!
//! What each may assume:
//! * The worker keeps nothing between two activations. Whatever a poll has to know is in the checkpoint.
//! * What is certain is committed after a second, a megabyte, or the end of the read, whichever comes first. What is
//!   committed is known from then on, so a read that breaks off anywhere is begun anew without doubling anything, and
//!   the rows it did not reach are still to come: a tail that broke off asks for a sweep.
//! * New events come first: a long read of other days is held while they are asked for.
//! * A request is set aside in the account's budget before it is made.
//! * Where nobody takes the events for long, none is collected: Zoom keeps its rows for months, and the store is not
//!   made to grow without end. The polls go on when a destination takes events again.
//! * Every commit names the lease's fence. When the lease was lost, or the source changed or went away, the commit is
//!   refused and the poll ends without a word.
//!
//! What survives a crash: everything that was committed. What is deliberately not guaranteed: that a row is collected
//! at the first read that shows it. A twin that a page edge cuts apart waits until it is certain.

mod append;
mod ask;
mod finish;
mod gate;
mod poll;
mod purse;
mod read;
mod stopped;

pub use self::gate::Gates;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use engine_api::{HumanDuration, SourceSpec, label::Labeller};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    clock::Clock,
    crash,
    credential::Credentials,
    model::plan::Cadence,
    store::Store,
    telemetry::Telemetry,
    worker::{Next, Turn, Wakes, Worker},
    zoom::Zoom,
};

/// How long the worker waits after the store failed before it looks again.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What intake works with.
#[derive(Debug, Clone)]
pub struct Intake {
    /// The store.
    pub store: Store,
    /// What sources show to Zoom.
    pub credentials: Credentials,
    /// Zoom.
    pub zoom: Zoom,
    /// Finds the labels of new events; each read works with a clone.
    pub labeller: Labeller,
    /// The time.
    pub clock: Clock,
    /// Counts.
    pub telemetry: Telemetry,
    /// Keeps the feeds of an account in turn while Zoom asks it to wait.
    pub gates: Gates,
    /// Told when there is something to deliver.
    pub wakes: Wakes,
    /// This process, in leases.
    pub owner: Arc<str>,
    /// How long a claim holds without being renewed; longer than one question to Zoom can take.
    pub lease: Duration,
    /// How far back a sweep reads.
    pub late_window: Duration,
    /// How often there is a sweep.
    pub sweep_interval: Duration,
    /// How long all destinations of a feed may take nothing before it is not polled any more: the store would grow
    /// without end, and Zoom keeps its rows for six months.
    pub blocked_after: Duration,
    /// Requests a day and Zoom account.
    pub daily_request_budget: u64,
    /// So many feeds that have all missed their turn are spread over their intervals again.
    pub herd: u32,
    /// How many feeds may read older days at the same time; fewer than there are workers, so that new events never
    /// wait for old ones.
    pub backfills: Arc<Semaphore>,
}

impl Intake {
    fn cadence(&self, spec: &SourceSpec) -> Cadence {
        let or = |own: &Option<HumanDuration>, default| own.as_ref().map_or(default, HumanDuration::get);
        Cadence {
            poll_interval: spec.poll_interval.get(),
            late_window: or(&spec.late_window, self.late_window),
            sweep_interval: or(&spec.sweep_interval, self.sweep_interval),
        }
    }

    fn daily(&self, spec: &SourceSpec) -> u64 {
        spec.daily_request_budget
            .map_or(self.daily_request_budget, u64::from)
    }

    fn lease_until(&self) -> Timestamp {
        crate::retry::later(self.clock.now(), self.lease)
    }
}

#[async_trait]
impl Worker for Intake {
    fn name(&self) -> &'static str {
        crate::worker::INTAKE
    }

    async fn activate(&self, stop: &CancellationToken, turn: &mut Turn) -> Next {
        let claimed = match self.store.claim_feed(&self.owner, self.lease_until()).await {
            Ok(claimed) => claimed,
            Err(error) => {
                error!(error = error.chain(), "cannot claim a feed");
                return Next::At(crate::retry::later(self.clock.now(), STORE_PAUSE));
            }
        };
        if let Some(feed) = claimed {
            turn.pass();
            crash::point("intake.claimed").await;
            if !self.waits_its_turn(&feed).await {
                self.poll(feed, stop).await;
            }
            return Next::Again;
        }
        match self.store.next_feed_due().await {
            Ok(Some(due)) => Next::At(due),
            Ok(None) => Next::Idle,
            Err(error) => {
                info!(error = error.chain(), "cannot tell when the next feed is due");
                Next::At(crate::retry::later(self.clock.now(), STORE_PAUSE))
            }
        }
    }
}
