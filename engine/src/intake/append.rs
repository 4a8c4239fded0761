//! From rows that are certain to events that wait for their commit.

use std::{collections::BTreeMap, time::Duration};

use engine_api::{
    LogType,
    label::{LabelSet, Labeller},
};
use jiff::Timestamp;

use super::Intake;
use crate::{
    model::{Checkpoint, Event, Mark, Row, plan::Read},
    store::NewEvents,
    telemetry::{LabelLabels, LogTypeLabels, Telemetry},
};

/// Events are committed once they take so many bytes: one sync of the disk and one compressed block for many pages.
const ENOUGH_BYTES: usize = 2 << 20;
/// Or once the first of them has waited so long.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

/// Events that are certain and not committed yet.
pub(super) struct Appender<'a> {
    telemetry: &'a Telemetry,
    labeller: Labeller,
    log_type: LogType,
    events: NewEvents,
    since: Duration,
    /// Events by their labels, until they are taken.
    labelled: BTreeMap<LabelSet, u64>,
}

/// What a row is judged by when it becomes an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// The read that showed it.
    pub(super) read: Read,
    /// The checkpoint that the read began with.
    pub(super) checkpoint: &'a Checkpoint,
    /// When.
    pub(super) at: Timestamp,
}

impl<'a> Appender<'a> {
    pub(super) fn new(intake: &'a Intake, log_type: LogType) -> Self {
        Self {
            telemetry: &intake.telemetry,
            labeller: intake.labeller.clone(),
            log_type,
            events: NewEvents::default(),
            since: Duration::ZERO,
            labelled: BTreeMap::new(),
        }
    }

    /// Whether what waits is to be committed, at `now` of the monotonic clock.
    pub(super) fn is_full(&self, now: Duration) -> bool {
        self.events.count() > 0
            && (self.events.bytes() >= ENOUGH_BYTES || now.saturating_sub(self.since) >= LONG_ENOUGH)
    }

    /// Whether anything waits.
    pub(super) fn is_empty(&self) -> bool {
        self.events.count() == 0
    }

    /// Takes all that waits.
    pub(super) fn take(&mut self) -> NewEvents {
        for (labels, count) in std::mem::take(&mut self.labelled) {
            for label in self.labeller.names(labels) {
                let label = label.to_owned();
                self.telemetry.events_labelled.add(&LabelLabels { label }, count);
            }
        }
        // A long read goes on with as much again.
        let next = NewEvents::with_capacity(self.events.bytes());
        std::mem::replace(&mut self.events, next)
    }

    /// Makes an event of a row; `now` is that of the monotonic clock.
    pub(super) fn push(&mut self, row: &Row<'_>, mark: Mark, occurrence: u32, seen: Seen<'_>, now: Duration) {
        if self.events.count() == 0 {
            self.since = now;
        }
        let labels = row.labelled(|labelled| self.labeller.labels(self.log_type, labelled));
        *self.labelled.entry(labels).or_default() += 1;
        let late = self.is_late(row, seen);
        self.events.push(
            &Event {
                hash: row.hash,
                day: row.day,
                occurrence,
                time: row.time,
                collected_at: seen.at,
                late,
                labels: self.labeller.joined(labels),
                row: row.text,
                detail_at: row.detail_at(),
            },
            mark,
        );
    }

    /// Whether a row appeared after everything up to its time was believed to be there. What a backfill brings is
    /// old, not late.
    fn is_late(&self, row: &Row<'_>, seen: Seen<'_>) -> bool {
        let Some(time) = row.time.filter(|_| !matches!(seen.read, Read::Backfill(_))) else {
            return false;
        };
        let log_type = LogTypeLabels::of(self.log_type);
        let late = seen.checkpoint.swept_at.is_some()
            && time < seen.checkpoint.watermark
            && row.day >= seen.checkpoint.recent;
        if late {
            let lateness = seen.at.duration_since(time).as_secs_f64().max(0.0);
            self.telemetry.event_lateness_seconds.observe(&log_type, lateness);
            self.telemetry.late_events.add(&log_type, 1);
        }
        late
    }
}
