//! Dead letters that are sent again, one by one, before anything new.

use tracing::info;

use super::{
    batch,
    lane::{Ended, Run},
};
use crate::{
    destination::{Batch, Lines, Origin, WriteError},
    model::decode_alone,
    store::{
        Error,
        dead_letters::{Queued, Refused},
        delivery::Moved,
    },
    telemetry::DestinationLabels,
};

/// So many are read at once.
const STEP: u32 = 50;

impl Run<'_> {
    /// Sends all that are queued. What is refused again waits for the next replay.
    pub(super) async fn replay(&self) -> Result<Ended, Error> {
        loop {
            let letters = self.store().queued_dead_letters(&self.claim, STEP).await?;
            if letters.is_empty() {
                return Ok(Ended::Drained);
            }
            for letter in &letters {
                if !self.goes_on() {
                    return Ok(Ended::More);
                }
                if let Some(ended) = self.replay_one(letter).await? {
                    return Ok(ended);
                }
            }
        }
    }

    async fn replay_one(&self, letter: &Queued) -> Result<Option<Ended>, Error> {
        let mut lines = Lines::default();
        let origin = Origin::new(&letter.feed, &letter.source_name);
        let metadata = self.wanted.metadata;
        decode_alone(&letter.event, |event| lines.push(event, &origin, metadata))
            .map_err(|_| Error::Damaged(format!("dead letter {} cannot be read", letter.id)))?;
        let id = batch::replay_id(&self.claim.destination, &letter.event_id);
        let batch = Batch::new(id, lines, 1);

        let prepared = match self.prepare().await {
            Ok(prepared) => prepared,
            Err(failure) => return Ok(Some(self.pause(failure))),
        };
        let lease = self.means.options.lease;
        if self
            .store()
            .stage_replay(&self.claim, lease, prepared.as_deref())
            .await?
            == Moved::Fenced
        {
            return Ok(Some(self.fenced()));
        }
        self.remember(prepared);

        let (settled, refused) = match self.destination.write(&batch).await {
            Ok(settled) => (settled, None),
            Err(WriteError::Refused { reason } | WriteError::TooLarge { reason }) => (None, Some(reason)),
            Err(failure) => return Ok(Some(self.pause(failure))),
        };
        let sent = batch.first();
        let refused = refused.as_deref().map(|reason| Refused { reason, sent: &sent });
        let moved = self
            .store()
            .settle_replay(&self.claim, letter, settled.as_deref(), refused)
            .await?;
        if moved == Moved::Fenced {
            return Ok(Some(self.fenced()));
        }
        self.remember(settled);
        self.answered();
        if refused.is_none() {
            info!(event.id = letter.event_id, "dead letter delivered");
            let labels = DestinationLabels {
                destination: self.claim.destination.to_string(),
            };
            self.means.telemetry.destination_events_sent.add(&labels, 1);
        }
        Ok(None)
    }
}
