//! One feed's turn: batch after batch, in order.

use engine_api::DeadLetterId;
use tracing::{info, warn};

use super::{
    batch::{self, Cut, cut},
    lane::{Ended, Run},
    read::Log,
};
use crate::{
    crash,
    destination::{Batch, Limits, WriteError},
    model::{EventIds, Position, encode_alone},
    store::{
        Error,
        delivery::{Moved, Pending, Refusal, Settlement},
    },
    telemetry::{DestinationFault, DestinationLabels},
};

/// What became of one batch.
enum Step {
    /// The feed goes on.
    Onward,
    /// Its turn is over.
    Over(Ended),
}

/// The most events that a batch of this feed may have for now.
struct Pace {
    now: usize,
    ceiling: usize,
}

impl Pace {
    /// The batch was taken: the next may be twice as long again.
    fn taken(&mut self) {
        self.now = self.now.saturating_mul(2).min(self.ceiling);
    }

    /// One event was refused for good. Where one is, more may be: the next batches begin small, or each further one
    /// would cost the whole way down.
    fn refused(&mut self) {
        self.now = 1;
    }

    /// A batch of so many was refused.
    fn halve(&mut self, count: usize) {
        self.now = (count / 2).max(1);
    }

    /// A batch of so many was too large, and every further one would be.
    fn shrink(&mut self, count: usize) {
        self.halve(count);
        self.ceiling = self.now;
    }
}

impl Run<'_> {
    pub(super) async fn deliver_feed(&self, mut pending: Pending) -> Result<Ended, Error> {
        let limits = self.destination.limits();
        let mut pace = Pace {
            now: limits.max_events,
            ceiling: limits.max_events,
        };
        let mut log = Log::new(self.store(), self.wanted);
        while self.goes_on() {
            match self
                .deliver_batch(&mut log, &mut pending, &limits, &mut pace)
                .await?
            {
                Step::Onward => {}
                Step::Over(ended) => return Ok(ended),
            }
        }
        Ok(Ended::More)
    }

    async fn deliver_batch(
        &self,
        log: &mut Log<'_>,
        pending: &mut Pending,
        limits: &Limits,
        pace: &mut Pace,
    ) -> Result<Step, Error> {
        let limits = Limits {
            max_events: pace.now,
            ..*limits
        };
        let front = log.front(pending, &limits).await?;
        if front.waiting.is_empty() && front.left_out > 0 {
            return self.pass(pending, front.reached, front.left_out).await;
        }
        let now = self.means.clock.now();
        let count = match cut(&front.waiting, pending.staged, front.more, &limits, now) {
            Cut::Send(count) => count,
            Cut::Wait(due) => return Ok(Step::Over(Ended::Waits(due))),
            Cut::Nothing => return Ok(Step::Over(Ended::Drained)),
        };
        let Some(end) = front.waiting.get(count - 1).map(|last| last.end) else {
            return Ok(Step::Over(Ended::Drained));
        };
        let left_out = front.waiting[..count].iter().map(|event| event.left_out).sum();
        let id = batch::id(
            &self.claim.destination,
            &pending.feed,
            pending.position,
            end,
            self.wanted.only,
        );
        let batch = Batch::new(id, front.lines, count);

        let prepared = match self.prepare().await {
            Ok(prepared) => prepared,
            Err(failure) => return Ok(Step::Over(self.pause(failure))),
        };
        crash::point("delivery.before_stage").await;
        let lease = self.means.options.lease;
        match self
            .store()
            .stage(&self.claim, lease, pending, end, prepared.as_deref())
            .await?
        {
            Moved::Done => {}
            Moved::Gone => return Ok(Step::Over(Ended::Drained)),
            Moved::Fenced => return Ok(Step::Over(self.fenced())),
        }
        self.remember(prepared);
        pending.staged = Some(end);
        crash::point("delivery.staged").await;

        let written = self.destination.write(&batch).await;
        crash::point("delivery.written").await;
        match written {
            Ok(settled) => {
                let step = self.move_on(pending, end, settled, None).await?;
                pace.taken();
                let labels = DestinationLabels {
                    destination: self.claim.destination.to_string(),
                };
                self.means
                    .telemetry
                    .destination_events_sent
                    .add(&labels, count as u64);
                self.count_left_out(left_out);
                Ok(step)
            }
            Err(WriteError::Refused { reason } | WriteError::TooLarge { reason }) if count == 1 => {
                let step = self.bury(log, pending, end, batch.first(), reason).await?;
                self.count_left_out(left_out);
                pace.refused();
                Ok(step)
            }
            Err(WriteError::Refused { .. }) => {
                info!(feed = %pending.feed, count, "batch refused, halving it");
                pace.halve(count);
                self.answered();
                pending.staged = None;
                Ok(Step::Onward)
            }
            Err(WriteError::TooLarge { .. }) => {
                info!(feed = %pending.feed, count, "batch too large, halving it");
                pace.shrink(count);
                self.answered();
                pending.staged = None;
                Ok(Step::Onward)
            }
            Err(
                failure @ (WriteError::Throttled { .. }
                | WriteError::Unavailable { .. }
                | WriteError::Blocked { .. }),
            ) => Ok(Step::Over(self.pause(failure))),
        }
    }

    /// Moves the position over events that are left out, up to the next that is wanted. Nothing is written for them.
    async fn pass(&self, pending: &mut Pending, to: Position, left_out: u64) -> Result<Step, Error> {
        let lease = self.means.options.lease;
        match self.store().pass(&self.claim, lease, pending, to).await? {
            Moved::Done => {}
            Moved::Gone => return Ok(Step::Over(Ended::Drained)),
            Moved::Fenced => return Ok(Step::Over(self.fenced())),
        }
        self.count_left_out(left_out);
        pending.position = to;
        pending.staged = None;
        Ok(Step::Onward)
    }

    fn count_left_out(&self, count: u64) {
        if count > 0 {
            let labels = DestinationLabels {
                destination: self.claim.destination.to_string(),
            };
            self.means
                .telemetry
                .destination_events_left_out
                .add(&labels, count);
        }
    }

    /// Moves the position past a refused event, and keeps the event as a dead letter.
    async fn bury(
        &self,
        log: &mut Log<'_>,
        pending: &mut Pending,
        end: Position,
        sent: String,
        reason: String,
    ) -> Result<Step, Error> {
        let destination = &self.claim.destination;
        let ids = EventIds::of(&pending.feed);
        let (event_id, event) = log
            .first(pending, |event| {
                let id = ids.id(event.day, event.hash, event.occurrence).to_string();
                (id, encode_alone(event))
            })
            .await?;
        warn!(feed = %pending.feed, event.id = event_id, "event refused for good, kept as a dead letter");
        let refusal = Refusal {
            id: dead_letter_id(destination.as_str(), &event_id),
            event_id,
            event,
            sent,
            reason,
        };
        let labels = DestinationFault {
            destination: destination.to_string(),
            reason: "refused",
        };
        let step = self.move_on(pending, end, None, Some(&refusal)).await?;
        self.means.telemetry.destination_events_refused.add(&labels, 1);
        Ok(step)
    }

    async fn move_on(
        &self,
        pending: &mut Pending,
        end: Position,
        settled: Option<String>,
        refused: Option<&Refusal>,
    ) -> Result<Step, Error> {
        let settlement = Settlement {
            feed_id: pending.feed_id,
            from: pending.position,
            to: end,
            settled: settled.as_deref(),
            refused,
        };
        let moved = self.store().settle(&self.claim, &settlement).await?;
        crash::point("delivery.settled").await;
        match moved {
            Moved::Fenced => return Ok(Step::Over(self.fenced())),
            Moved::Gone | Moved::Done => {
                self.remember(settled);
                self.answered();
            }
        }
        pending.position = end;
        pending.staged = None;
        // The feed is no longer delivered here: there is nothing more to do for it.
        Ok(if moved == Moved::Gone {
            Step::Over(Ended::Drained)
        } else {
            Step::Onward
        })
    }
}

/// A dead letter's id: one for each event and destination.
fn dead_letter_id(destination: &str, event_id: &str) -> DeadLetterId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"zoom-log-dead-letter/1\0");
    hasher.update(destination.as_bytes());
    hasher.update(event_id.as_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    DeadLetterId::from_bytes(bytes)
}
