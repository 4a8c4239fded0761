//! How a read ends: what it made certain, and where the checkpoint stands then.

use tracing::{debug, info};

use super::{
    append::Seen,
    read::{Ended, Reader, Reading},
    stopped::Stopped,
};
use crate::{
    crash,
    model::{
        Checkpoint, Row,
        counting::Verdict,
        plan::{self, Read},
        progress::{self, Done, End},
    },
    store::{ClaimedFeed, Commit, Committed, backfills::Step},
    worker::{ALARM, DELIVERY},
    zoom,
};

impl Reader<'_> {
    /// Notes that these days cannot be paged while Zoom's tokens live.
    pub(super) async fn shorten(
        &mut self,
        feed: &mut ClaimedFeed,
        mut reading: Reading,
        detail: String,
    ) -> Result<Ended, Stopped> {
        self.note(feed, &mut reading).await?;
        let (read, mut checkpoint) = (reading.read, feed.checkpoint.clone());
        let mut backfill = feed.backfill.clone();
        let shorter = match (read, &mut backfill) {
            (Read::Backfill(_), Some(backfill)) => progress::shorten_backfill(&mut backfill.progress, read),
            _ => progress::shorten(&mut checkpoint, read),
        };
        info!(feed = %feed.key, window = %read.window(), detail, "a window takes longer than Zoom goes on with it; it is halved");
        if let Some(backfill) = backfill {
            feed.backfill = Some(backfill);
        }
        self.save(
            feed,
            checkpoint,
            matches!(read, Read::Backfill(_)).then_some((0, false)),
        )
        .await?;
        if shorter {
            Ok(Ended::Shortened)
        } else {
            Err(Stopped::Zoom(zoom::Error::Restart { detail }))
        }
    }

    pub(super) fn done(&self, reading: &Reading) -> Done {
        Done {
            read: reading.read,
            began: reading.began,
            took: self.intake.clock.monotonic().saturating_sub(reading.started),
            pages: reading.pages,
        }
    }

    /// Ends a complete read: what two reads agree on is certain, and the checkpoint moves. Answers whether it left
    /// counts open. A sweep is wanted afterwards where a tail was `unsettled` meanwhile.
    pub(super) async fn finish(
        &mut self,
        feed: &mut ClaimedFeed,
        mut reading: Reading,
        wants_sweep: bool,
        unsettled: bool,
    ) -> Result<bool, Stopped> {
        for day in reading.tally.missing_for_verdict() {
            let known = self.intake.store.known(feed.id, day).await?;
            reading.tally.load(day, known);
        }
        let done = self.done(&reading);
        let mut checkpoint = feed.checkpoint.clone();
        // The read is over, so what it had noted for the case of a crash is no longer so.
        checkpoint.wants_sweep = wants_sweep;
        let backfill = feed.backfill.as_ref().map(|backfill| &backfill.progress);
        let verdict = reading
            .tally
            .finish(plan::open_read(&checkpoint, backfill, done.read));
        let open = matches!(verdict, Verdict::Open(_));
        let end = End::from(&verdict);
        if let Verdict::Confirmed(rows) = verdict {
            let (at, now) = (self.intake.clock.now(), self.intake.clock.monotonic());
            for late in &rows {
                let row = Row::parse(feed.key.log_type, &late.text);
                let seen = Seen {
                    read: done.read,
                    checkpoint: &feed.checkpoint,
                    at,
                };
                self.appender.push(&row, row.mark(), late.occurrence, seen, now);
            }
        }
        debug!(feed = %feed.key, read = done.read.name(), window = %done.read.window(), pages = done.pages, "read");
        let step = match (done.read, end, feed.backfill.as_mut()) {
            (Read::Backfill(_), End::Complete(open), Some(backfill)) => {
                let progress = &mut backfill.progress;
                let over = progress::advance_backfill(&mut checkpoint, progress, done, open);
                if over {
                    checkpoint.backfilled(backfill.days);
                }
                Some((reading.unnoted, over))
            }
            (_, end, _) => {
                progress::advance(&mut checkpoint, done, end);
                None
            }
        };
        checkpoint.wants_sweep |= unsettled;
        self.save(feed, checkpoint, step).await?;
        Ok(open)
    }

    /// Ends a backfill of which Zoom has nothing left.
    pub(super) async fn end_backfill(&mut self, feed: &mut ClaimedFeed) -> Result<(), Stopped> {
        self.save(feed, feed.checkpoint.clone(), Some((0, true))).await
    }

    /// Commits what is certain in the middle of a read.
    pub(super) async fn note(
        &mut self,
        feed: &mut ClaimedFeed,
        reading: &mut Reading,
    ) -> Result<(), Stopped> {
        if self.appender.is_empty() {
            return Ok(());
        }
        let mut checkpoint = feed.checkpoint.clone();
        progress::underway(&mut checkpoint, reading.read);
        let pages = std::mem::take(&mut reading.unnoted);
        let step = matches!(reading.read, Read::Backfill(_)).then_some((pages, false));
        self.save(feed, checkpoint, step).await
    }

    /// Commits what is certain, the checkpoint, and how far the backfill is: the pages read, and whether it is over.
    pub(super) async fn save(
        &mut self,
        feed: &mut ClaimedFeed,
        checkpoint: Checkpoint,
        step: Option<(u64, bool)>,
    ) -> Result<(), Stopped> {
        if self.appender.is_empty() && checkpoint == feed.checkpoint && step.is_none() {
            return Ok(());
        }
        let any = !self.appender.is_empty();
        let backfill = feed.backfill.as_ref().zip(step);
        let commit = Commit {
            events: self.appender.take(),
            checkpoint: &checkpoint,
            backfill: backfill.map(|(backfill, (pages, done))| Step {
                backfill,
                pages,
                done,
            }),
        };
        let store = &self.intake.store;
        crash::point("intake.before_commit").await;
        let committed = store
            .commit_intake((feed.id, &feed.key), feed.fence, commit)
            .await?;
        crash::point("intake.committed").await;
        match committed {
            Committed::Done => {}
            Committed::Fenced => return Err(Stopped::Fenced),
            Committed::Cancelled => return Err(Stopped::Cancelled),
        }
        if any {
            self.intake.wakes.wake_only(&[DELIVERY, ALARM]);
        }
        feed.checkpoint = checkpoint;
        Ok(())
    }
}
