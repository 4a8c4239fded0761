//! One read of a feed: page after page into the log of events.

use std::{collections::BTreeMap, time::Duration};

use engine_api::label::{LabelSet, Labeller};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{Intake, gate::Gate, poll::Stopped};
use crate::{
    model::{
        Checkpoint, Day, Event, Row,
        counting::{Tally, Verdict},
        plan::{self, End, Read},
    },
    store::{ClaimedFeed, NewEvents},
    telemetry::{LabelLabels, LogTypeLabels},
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

/// Reads a feed's pages and counts the requests that it takes.
pub(super) struct Reader<'a> {
    intake: &'a Intake,
    credential: &'a Credential,
    gate: Gate,
    stop: &'a CancellationToken,
    labeller: Labeller,
    /// Events by their labels, until they are committed.
    labelled: BTreeMap<LabelSet, u64>,
    requests: u64,
    remaining_today: Option<u64>,
    appended: bool,
}

/// How far a read came.
enum Progress {
    /// To the last page.
    Complete(Tally),
    /// To a page whose rows are all known, which is enough for a tail.
    Known {
        /// Rows were seen more often than is certain.
        surplus: bool,
    },
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        intake: &'a Intake,
        credential: &'a Credential,
        gate: Gate,
        stop: &'a CancellationToken,
    ) -> Self {
        Self {
            intake,
            credential,
            gate,
            stop,
            labeller: intake.labeller.clone(),
            labelled: BTreeMap::new(),
            requests: 0,
            remaining_today: None,
            appended: false,
        }
    }

    /// Requests made so far, answered or not.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// Whether there are new events.
    pub(super) fn appended(&self) -> bool {
        self.appended
    }

    /// What Zoom said last about the requests that are left today.
    pub(super) fn remaining_today(&self) -> Option<u64> {
        self.remaining_today
    }

    /// Reads, appends what has become certain, and moves the checkpoint.
    pub(super) async fn read(&mut self, feed: &mut ClaimedFeed, read: Read) -> Result<(), Stopped> {
        let began = self.intake.clock.now();
        let wanted_sweep = feed.checkpoint.wants_sweep;
        let mut restarts = 0;
        let mut pages = 0;
        let progress = loop {
            match self.pages(feed, read, &mut pages).await {
                Ok(progress) => break progress,
                Err(Stopped::Zoom(zoom::Error::Restart { detail })) if restarts < RESTARTS => {
                    info!(feed = %feed.key, read = read.name(), detail, "Zoom does not go on with a read; it begins anew");
                    restarts += 1;
                }
                Err(stopped) => return Err(stopped),
            }
        };
        let mut checkpoint = feed.checkpoint.clone();
        // The read is over, so what it had noted for the case of a crash is no longer so.
        checkpoint.wants_sweep = wanted_sweep;
        let mut events = NewEvents::default();
        match progress {
            Progress::Known { surplus } => {
                // What was appended before a restart is known by now, and hides what lay behind it.
                let unsettled = surplus || restarts > 0;
                plan::advance(&mut checkpoint, read, began, pages, End::TailKnown { unsettled });
            }
            Progress::Complete(mut tally) => {
                for day in tally.missing_for_verdict() {
                    tally.load(day, self.intake.store.known(feed.id, day).await?);
                }
                let previous = plan::open_read(&checkpoint, read);
                let verdict = tally.finish(previous);
                plan::advance(&mut checkpoint, read, began, pages, End::from(&verdict));
                if let Verdict::Confirmed(rows) = verdict {
                    for row in &rows {
                        let parsed = Row::parse(feed.key.log_type, &row.text);
                        self.push(feed, &mut events, &parsed, row.occurrence);
                    }
                }
            }
        }
        debug!(feed = %feed.key, read = read.name(), window = %read.window(), pages, "read");
        if checkpoint != feed.checkpoint || events.count() > 0 {
            self.commit(feed, events, checkpoint).await?;
        }
        Ok(())
    }

    /// Reads pages until there are no more, or a tail has seen enough; each is committed before the next is asked
    /// for.
    async fn pages(
        &mut self,
        feed: &mut ClaimedFeed,
        read: Read,
        pages: &mut u64,
    ) -> Result<Progress, Stopped> {
        let page_size = plan::page_size(&feed.checkpoint, read);
        let mut tally = Tally::new(read.window(), page_size);
        let mut page_token: Option<String> = None;
        let mut seen_tokens = std::collections::HashSet::new();
        loop {
            if self.stop.is_cancelled() {
                return Err(Stopped::Stopping);
            }
            let request = PageRequest {
                log_type: feed.key.log_type,
                window: read.window(),
                page_size,
                page_token: page_token.as_deref(),
            };
            let page = self.page(feed, request).await?;
            *pages += 1;
            let rows = page.rows().map_err(Stopped::Zoom)?;
            for day in tally.missing_days(&rows) {
                tally.load(day, self.intake.store.known(feed.id, day).await?);
            }
            let certain = tally.page(&rows);
            let all_known = certain.is_empty();
            self.count(feed, rows.len(), certain.len());
            if !all_known {
                let mut events = NewEvents::default();
                // Oldest first, so that the log follows the events' own order as far as a page can.
                for certain in in_order_of_time(
                    &rows,
                    certain.iter().map(|certain| (certain.index, certain.occurrence)),
                ) {
                    self.push(feed, &mut events, &rows[certain.0], certain.1);
                }
                let mut checkpoint = feed.checkpoint.clone();
                if page.next_page_token.is_some() {
                    plan::underway(&mut checkpoint, read);
                }
                self.commit(feed, events, checkpoint).await?;
            }
            match page.next_page_token {
                None => return Ok(Progress::Complete(tally)),
                Some(_) if all_known && matches!(read, Read::Tail(_)) && newest_first(&rows) => {
                    return Ok(Progress::Known {
                        surplus: tally.has_surplus(),
                    });
                }
                // A token that comes again, or a page without rows that promises more, would go on for ever.
                Some(token) if rows.is_empty() || !seen_tokens.insert(token.clone()) => {
                    let detail = "Zoom repeated a page token, or sent an empty page with one".to_owned();
                    return Err(Stopped::Zoom(zoom::Error::Restart { detail }));
                }
                Some(token) => page_token = Some(token),
            }
        }
    }

    /// One page, asked for again where Zoom asks to wait a moment or fails in passing.
    async fn page(&mut self, feed: &mut ClaimedFeed, request: PageRequest<'_>) -> Result<Page, Stopped> {
        let clock = &self.intake.clock;
        let mut tries = 0;
        let mut held = None;
        loop {
            if held.is_none() {
                self.gate.pass().await;
            }
            self.renew(feed).await?;
            self.requests += 1;
            tries += 1;
            let error = match self.intake.zoom.page(self.credential, request).await {
                Ok(page) => {
                    self.remaining_today = page.remaining_today.or(self.remaining_today);
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
            let renewed = self.intake.store.renew_feed(feed.id, feed.fence, until).await?;
            renewed.map_err(|_| Stopped::Fenced)?;
            feed.lease_until = until;
        }
        Ok(())
    }

    fn push(&mut self, feed: &ClaimedFeed, events: &mut NewEvents, row: &Row<'_>, occurrence: u32) {
        let labels = row.labelled(|labelled| self.labeller.labels(feed.key.log_type, labelled));
        *self.labelled.entry(labels).or_default() += 1;
        let telemetry = &self.intake.telemetry;
        let collected_at = self.intake.clock.now();
        let log_type = LogTypeLabels::of(feed.key.log_type);
        if let Some(time) = row.time {
            let lateness = collected_at.duration_since(time).as_secs_f64().max(0.0);
            telemetry.event_lateness_seconds.observe(&log_type, lateness);
            if feed.checkpoint.swept_at.is_some()
                && time < feed.checkpoint.watermark
                && row.day >= recent(feed)
            {
                telemetry.late_events.add(&log_type, 1);
            }
        }
        events.push(&Event {
            hash: row.hash,
            day: row.day,
            occurrence,
            time: row.time,
            collected_at,
            labels: self.labeller.joined(labels),
            row: row.text,
        });
    }

    fn count(&self, feed: &ClaimedFeed, rows: usize, certain: usize) {
        let labels = LogTypeLabels::of(feed.key.log_type);
        let telemetry = &self.intake.telemetry;
        telemetry.rows_read.add(&labels, rows as u64);
        telemetry.duplicate_rows.add(&labels, (rows - certain) as u64);
        telemetry.events_appended.add(&labels, certain as u64);
    }

    async fn commit(
        &mut self,
        feed: &mut ClaimedFeed,
        events: NewEvents,
        checkpoint: Checkpoint,
    ) -> Result<(), Stopped> {
        let any = events.count() > 0;
        let committed = self
            .intake
            .store
            .commit_intake(feed.id, feed.fence, events, &checkpoint)
            .await?;
        committed.map_err(|_| Stopped::Fenced)?;
        self.appended |= any;
        for (labels, count) in std::mem::take(&mut self.labelled) {
            for label in self.labeller.names(labels) {
                let label = label.to_owned();
                self.intake
                    .telemetry
                    .events_labelled
                    .add(&LabelLabels { label }, count);
            }
        }
        feed.checkpoint = checkpoint;
        Ok(())
    }
}

/// The first day that is not a backfill's: what a backfill brings is old, not late.
fn recent(feed: &ClaimedFeed) -> Day {
    feed.checkpoint
        .backfill
        .as_ref()
        .map_or(feed.checkpoint.start, |backfill| backfill.until.plus(1))
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

fn in_order_of_time(rows: &[Row<'_>], certain: impl Iterator<Item = (usize, u32)>) -> Vec<(usize, u32)> {
    let mut ordered: Vec<(usize, u32)> = certain.collect();
    // Stable, and equal rows keep their order: the k-th of them stays before the next.
    ordered.sort_by_key(|(index, _)| rows[*index].time);
    ordered
}

fn wait_for(until: Timestamp, now: Timestamp) -> Duration {
    // An instant that has passed asks for no wait.
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}
