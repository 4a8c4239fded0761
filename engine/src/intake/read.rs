//! One read of a feed: page after page into the log of events.

use std::{collections::HashSet, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{
    Intake,
    append::{Appender, Seen},
    gate::Gate,
    poll::Stopped,
    purse::Purse,
};
use crate::{
    crash,
    model::{
        Checkpoint, Purpose, Row,
        counting::{Tally, Verdict},
        plan::{self, Read},
        progress::{self, Done, End, TOKEN_LIFE},
    },
    store::{ClaimedFeed, Commit, Committed, backfills::Step},
    telemetry::LogTypeLabels,
    worker::{ALARM, DELIVERY},
    zoom::{self, Credential, Page, PageRequest},
};

/// Tries of one page before the poll is given up; Zoom asks for short waits in the middle of a read.
const TRIES: u32 = 5;
/// Waits that are worth holding a read for. Longer ones end the poll, whose page token would expire meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// A claim that was made or renewed less than this ago is not renewed.
const RENEW_AFTER: SignedDuration = SignedDuration::from_secs(5);
/// How often a read is begun anew when Zoom does not go on with it.
const RESTARTS: u32 = 2;

/// Reads a feed's pages.
pub(super) struct Reader<'a> {
    intake: &'a Intake,
    credential: &'a Credential,
    gate: Gate,
    stop: &'a CancellationToken,
    purse: Purse<'a>,
    appender: Appender<'a>,
    /// How often new events are asked for, also while a long read goes on.
    poll_interval: Duration,
    /// When they were asked for last, by the monotonic clock.
    tail_at: Duration,
}

/// A read under way.
struct Reading {
    read: Read,
    page_size: u32,
    tally: Tally,
    page_token: Option<String>,
    seen_tokens: HashSet<String>,
    pages: u64,
    /// Pages that no commit has noted yet.
    unnoted: u64,
    /// When it began, by our clock or Zoom's, whichever is behind.
    began: Timestamp,
    /// When it began, by the monotonic clock.
    started: Duration,
}

/// What one more page led to.
enum Progress {
    /// There are more.
    Goes,
    /// It was the last one.
    Complete,
    /// All its rows are known, which is enough for a tail.
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
    pub(super) fn new(
        intake: &'a Intake,
        feed: &ClaimedFeed,
        credential: &'a Credential,
        (gate, purse): (Gate, Purse<'a>),
        stop: &'a CancellationToken,
    ) -> Self {
        Self {
            intake,
            credential,
            gate,
            stop,
            purse,
            appender: Appender::new(&intake.telemetry, intake.labeller.clone(), feed.key.log_type),
            poll_interval: feed.spec.poll_interval.get(),
            tail_at: intake.clock.monotonic(),
        }
    }

    /// Gives back what is left of the budget.
    pub(super) async fn close(mut self) {
        self.purse.close().await;
    }

    /// Reads new events: until all rows of a page are known, or to the end. Answers whether only a complete read can
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
        if self.stop.is_cancelled() {
            self.note(feed, reading).await?;
            return Err(Stopped::Stopping);
        }
        let request = PageRequest {
            log_type: feed.key.log_type,
            window: reading.read.window(),
            page_size: reading.page_size,
            page_token: reading.page_token.as_deref(),
        };
        let page = match self.ask(feed, request, reading.read.purpose()).await {
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
        let all_known = self.append(feed, reading, &rows);
        let newest_first = newest_first(&rows);
        if self.appender.is_full(self.intake.clock.monotonic()) && page.next_page_token.is_some() {
            self.note(feed, reading).await?;
        }
        match page.next_page_token {
            None => Ok(Progress::Complete),
            Some(_) if all_known && matches!(reading.read, Read::Tail(_)) && newest_first => {
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

    /// Makes events of a page's rows that are certain; answers whether there were none.
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
        certain.is_empty()
    }

    /// One page, asked for again where Zoom asks to wait a moment or fails in passing.
    async fn ask(
        &mut self,
        feed: &mut ClaimedFeed,
        request: PageRequest<'_>,
        purpose: Purpose,
    ) -> Result<Page, Stopped> {
        let clock = &self.intake.clock;
        let mut tries = 0;
        let mut held = None;
        loop {
            if held.is_none() {
                self.gate.pass().await;
            }
            self.renew(feed).await?;
            self.purse.take(purpose).await?;
            tries += 1;
            let mut asked = 0;
            let answer = self.intake.zoom.page(self.credential, request, &mut asked).await;
            self.purse.also(asked.saturating_sub(1));
            let error = match answer {
                Ok(page) => {
                    self.purse.told(page.remaining_today);
                    return Ok(page);
                }
                Err(error) => error,
            };
            let pause = Duration::from_millis(500) * 2_u32.pow(tries.min(6));
            let wait = match &error {
                zoom::Error::Throttled { until } => until.map_or(pause, |until| {
                    wait_for(until, clock.now()).max(Duration::from_millis(100))
                }),
                zoom::Error::Unavailable { .. } | zoom::Error::Malformed { .. } if tries < 3 => pause,
                _ => return Err(Stopped::Zoom(error)),
            };
            if tries >= TRIES || wait > LONGEST_WAIT {
                return Err(Stopped::Zoom(error));
            }
            if held.is_none() && matches!(error, zoom::Error::Throttled { .. }) {
                held = Some(self.gate.hold().await);
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(Stopped::Stopping),
                () = clock.sleep(wait) => {}
            }
        }
    }

    /// Keeps the claim well ahead of its end, without a write for each page.
    async fn renew(&self, feed: &mut ClaimedFeed) -> Result<(), Stopped> {
        let until = self.intake.lease_until();
        if until.duration_since(feed.lease_until) > RENEW_AFTER {
            crash::point("intake.before_renew").await;
            let renewed = self.intake.store.renew_feed(feed.id, feed.fence, until).await?;
            crash::point("intake.renewed").await;
            renewed.map_err(|_| Stopped::Fenced)?;
            feed.lease_until = until;
        }
        Ok(())
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
        took >= TOKEN_LIFE - TOKEN_LIFE / 10
    }

    /// Notes that these days cannot be paged while Zoom's tokens live.
    async fn shorten(
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

    fn done(&self, reading: &Reading) -> Done {
        Done {
            read: reading.read,
            began: reading.began,
            took: self.intake.clock.monotonic().saturating_sub(reading.started),
            pages: reading.pages,
        }
    }

    /// Ends a complete read: what two reads agree on is certain, and the checkpoint moves. Answers whether it left
    /// counts open. A sweep is wanted afterwards where a tail was `unsettled` meanwhile.
    async fn finish(
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
    async fn note(&mut self, feed: &mut ClaimedFeed, reading: &mut Reading) -> Result<(), Stopped> {
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
    async fn save(
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
        let committed = store.commit_intake(feed.id, feed.fence, commit).await?;
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

fn wait_for(until: Timestamp, now: Timestamp) -> Duration {
    // An instant that has passed asks for no wait.
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}
