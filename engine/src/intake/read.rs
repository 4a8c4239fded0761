//! One read of a feed: page after page into the log of events.

use std::{collections::HashSet, time::Duration};

use jiff::Timestamp;
use tracing::info;

use super::{
    Intake,
    append::{Appender, Seen},
    ask::Asker,
    stopped::Stopped,
};
use crate::{
    crash,
    model::{
        Row,
        counting::Tally,
        plan::{self, Read},
        progress::{self, End, TOKEN_LIFE},
    },
    store::ClaimedFeed,
    telemetry::LogTypeLabels,
    zoom::{self, PageRequest},
};

/// How often a read is begun anew when Zoom does not go on with it.
const RESTARTS: u32 = 2;

/// Reads a feed's pages.
pub(super) struct Reader<'a> {
    pub(super) intake: &'a Intake,
    asker: Asker<'a>,
    pub(super) appender: Appender<'a>,
    /// How often new events are asked for, also while a long read goes on.
    poll_interval: Duration,
    /// When they were asked for last, by the monotonic clock.
    tail_at: Duration,
}

/// A read under way.
pub(super) struct Reading {
    pub(super) read: Read,
    pub(super) page_size: u32,
    pub(super) tally: Tally,
    page_token: Option<String>,
    seen_tokens: HashSet<String>,
    pub(super) pages: u64,
    /// Pages that no commit has noted yet.
    pub(super) unnoted: u64,
    /// When it began, by our clock or Zoom's, whichever is behind.
    pub(super) began: Timestamp,
    /// When it began, by the monotonic clock.
    pub(super) started: Duration,
}

/// What one more page led to.
enum Progress {
    /// There are more.
    Goes,
    /// It was the last one.
    Complete,
    /// Its oldest rows are known, which is enough for a tail.
    Known,
}

/// How a complete read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// With its last page.
    Complete,
    /// Its page tokens expired on the way: the next read takes fewer days.
    Shortened,
}

impl<'a> Reader<'a> {
    pub(super) fn new(intake: &'a Intake, feed: &ClaimedFeed, asker: Asker<'a>) -> Self {
        Self {
            intake,
            asker,
            appender: Appender::new(intake, feed.key.log_type),
            poll_interval: feed.spec.poll_interval.get(),
            tail_at: intake.clock.monotonic(),
        }
    }

    /// Gives back what is left of the budget.
    pub(super) async fn close(self) {
        self.asker.close().await;
    }

    /// Reads new events: until the last rows of a page are known, or to the end. Answers whether only a complete read can
    /// settle what it saw. `wants_sweep` is what the checkpoint wants beside that.
    pub(super) async fn tail(&mut self, feed: &mut ClaimedFeed, wants_sweep: bool) -> Result<bool, Stopped> {
        self.tail_at = self.intake.clock.monotonic();
        let read = plan::tail(&feed.checkpoint, self.intake.clock.now());
        let mut restarts = 0;
        let mut reading = self.begin(feed, read);
        let known = loop {
            match self.page(feed, &mut reading).await {
                Ok(Progress::Goes) => {}
                Ok(Progress::Known) => break true,
                Ok(Progress::Complete) => break false,
                Err(stopped) => {
                    self.restart(feed, &mut reading, stopped, &mut restarts).await?;
                }
            }
        };
        if known {
            // What was appended before a restart is known by now, and hides what lay behind it.
            let unsettled = reading.tally.has_surplus() || restarts > 0;
            let mut checkpoint = feed.checkpoint.clone();
            checkpoint.wants_sweep = wants_sweep;
            progress::advance(&mut checkpoint, self.done(&reading), End::TailKnown { unsettled });
            self.save(feed, checkpoint, None).await?;
            return Ok(unsettled);
        }
        self.finish(feed, reading, wants_sweep, false).await
    }

    /// Reads all pages of a window, and new events whenever they are due meanwhile.
    pub(super) async fn complete(&mut self, feed: &mut ClaimedFeed, read: Read) -> Result<Ended, Stopped> {
        let wants_sweep = feed.checkpoint.wants_sweep;
        let mut unsettled = false;
        let mut restarts = 0;
        let mut reading = self.begin(feed, read);
        loop {
            match self.page(feed, &mut reading).await {
                Ok(Progress::Complete) => break,
                Ok(Progress::Goes | Progress::Known) => {}
                Err(Stopped::Zoom(zoom::Error::Restart { detail }))
                    if reading.pages > 0 && (self.is_old(&reading) || restarts >= RESTARTS) =>
                {
                    return self.shorten(feed, reading, detail).await;
                }
                Err(stopped) => {
                    self.restart(feed, &mut reading, stopped, &mut restarts).await?;
                }
            }
            let waited = self.intake.clock.monotonic().saturating_sub(self.tail_at);
            if waited >= self.poll_interval {
                self.note(feed, &mut reading).await?;
                unsettled |= self.tail(feed, wants_sweep).await?;
                // What the tail appended is known by now, and must not be appended again.
                for day in reading.tally.loaded_days() {
                    let known = self.intake.store.known(feed.id, day).await?;
                    reading.tally.load(day, known);
                }
            }
        }
        self.finish(feed, reading, wants_sweep, unsettled).await?;
        Ok(Ended::Complete)
    }

    fn begin(&self, feed: &ClaimedFeed, read: Read) -> Reading {
        let backfill = feed.backfill.as_ref().map(|backfill| &backfill.progress);
        let open = plan::open_read(&feed.checkpoint, backfill, read);
        let page_size = plan::page_size(&feed.checkpoint, open);
        Reading {
            read,
            page_size,
            tally: Tally::new(read.window(), page_size),
            page_token: None,
            seen_tokens: HashSet::new(),
            pages: 0,
            unnoted: 0,
            began: self.intake.clock.now(),
            started: self.intake.clock.monotonic(),
        }
    }

    /// Reads one page and takes what is certain of it.
    async fn page(&mut self, feed: &mut ClaimedFeed, reading: &mut Reading) -> Result<Progress, Stopped> {
        if self.asker.is_stopping() {
            self.note(feed, reading).await?;
            return Err(Stopped::Stopping);
        }
        let request = PageRequest {
            log_type: feed.key.log_type,
            window: reading.read.window(),
            page_size: reading.page_size,
            page_token: reading.page_token.as_deref(),
        };
        let page = match self.asker.page(feed, request, reading.read.purpose()).await {
            Ok(page) => page,
            Err(stopped) => {
                // What is certain is delivered, whatever becomes of the read.
                if !matches!(stopped, Stopped::Fenced | Stopped::Store(_)) {
                    self.note(feed, reading).await?;
                }
                return Err(stopped);
            }
        };
        crash::point("intake.page_read").await;
        if reading.pages == 0 {
            // A clock that is ahead of Zoom's must not claim what Zoom has not lived through.
            reading.began = page
                .zoom_time
                .map_or(reading.began, |time| time.min(reading.began));
        }
        reading.pages += 1;
        reading.unnoted += 1;
        let rows = page.rows();
        for day in reading.tally.missing_days(&rows) {
            let known = self.intake.store.known(feed.id, day).await?;
            reading.tally.load(day, known);
        }
        let ends_known = self.append(feed, reading, &rows);
        let newest_first = newest_first(&rows);
        if self.appender.is_full(self.intake.clock.monotonic()) && page.next_page_token.is_some() {
            self.note(feed, reading).await?;
        }
        match page.next_page_token {
            None => Ok(Progress::Complete),
            Some(_) if ends_known && matches!(reading.read, Read::Tail(_)) && newest_first => {
                Ok(Progress::Known)
            }
            // A token that comes again, or a page without rows that promises more, would go on for ever.
            Some(token) if rows.is_empty() || !reading.seen_tokens.insert(token.clone()) => {
                let detail = "Zoom repeated a page token, or sent an empty page with one".to_owned();
                Err(Stopped::Zoom(zoom::Error::Restart { detail }))
            }
            Some(token) => {
                reading.page_token = Some(token);
                Ok(Progress::Goes)
            }
        }
    }

    /// Makes events of a page's rows that are certain; answers whether none of its last rows became one.
    fn append(&mut self, feed: &ClaimedFeed, reading: &mut Reading, rows: &[Row<'_>]) -> bool {
        let mut certain = reading.tally.page(rows);
        let labels = LogTypeLabels::of(feed.key.log_type);
        let telemetry = &self.intake.telemetry;
        telemetry.rows_read.add(&labels, rows.len() as u64);
        telemetry
            .duplicate_rows
            .add(&labels, (rows.len() - certain.len()) as u64);
        telemetry.events_appended.add(&labels, certain.len() as u64);
        // Oldest first, so that the log follows the events' own order as far as a page can. Stable, and equal rows
        // keep their order: the k-th of them stays before the next.
        certain.sort_by_key(|certain| rows[certain.index].time);
        let (at, now) = (self.intake.clock.now(), self.intake.clock.monotonic());
        let seen = Seen {
            read: reading.read,
            checkpoint: &feed.checkpoint,
            at,
        };
        for certain in &certain {
            self.appender
                .push(&rows[certain.index], certain.mark, certain.occurrence, seen, now);
        }
        certain
            .iter()
            .all(|certain| certain.index < rows.len() - known_end(rows.len()))
    }

    /// Begins a read anew that Zoom did not go on with; any other end is the read's.
    async fn restart(
        &mut self,
        feed: &mut ClaimedFeed,
        reading: &mut Reading,
        stopped: Stopped,
        restarts: &mut u32,
    ) -> Result<(), Stopped> {
        let Stopped::Zoom(zoom::Error::Restart { detail }) = &stopped else {
            return Err(stopped);
        };
        // Where Zoom refuses the first page, it refuses the range, and would again.
        if reading.pages == 0 || *restarts >= RESTARTS {
            return Err(stopped);
        }
        *restarts += 1;
        info!(feed = %feed.key, read = reading.read.name(), detail, "Zoom does not go on with a read; it begins anew");
        self.note(feed, reading).await?;
        *reading = self.begin(feed, reading.read);
        Ok(())
    }

    fn is_old(&self, reading: &Reading) -> bool {
        let took = self.intake.clock.monotonic().saturating_sub(reading.started);
        took >= TOKEN_LIFE * 9 / 10
    }
}

/// So many rows at the end of a page have to be known before a tail believes that those behind them are: what is new
/// stands at the top, up to how late Zoom is with each.
fn known_end(rows: usize) -> usize {
    rows.div_ceil(3)
}

/// Whether a page shows the newest rows first, as far as one can see. Where one cannot, a tail reads on.
fn newest_first(rows: &[Row<'_>]) -> bool {
    match (
        rows.first().and_then(|row| row.time),
        rows.last().and_then(|row| row.time),
    ) {
        (Some(first), Some(last)) => first > last,
        _ => false,
    }
}
