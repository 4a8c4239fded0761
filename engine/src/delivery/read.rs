//! Reads what waits in a feed's log, encoded, and never more than a batch needs.

use std::sync::Arc;

use engine_api::Only;

use crate::{
    delivery::batch::Waiting,
    destination::{Limits, Lines, Origin},
    model::{Event, Position},
    store::{
        Error, Store,
        delivery::{Pending, StoredSegment},
    },
};

/// The front of what waits.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) lines: Lines,
    pub(super) waiting: Vec<Waiting>,
    /// Further events wait behind these.
    pub(super) more: bool,
    /// How far was read.
    pub(super) reached: Position,
    /// How many events are left out before the first that waits, or in all where none does.
    pub(super) left_out: u64,
}

/// How a destination wants its events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// With the object `zoom_log`.
    pub(super) metadata: bool,
    /// A subset only.
    pub(super) only: Option<&'a Only>,
}

impl Wanted<'_> {
    fn admits(&self, pending: &Pending, event: &Event<'_>) -> bool {
        self.only
            .is_none_or(|only| only.admits(pending.feed.log_type, event.labels))
    }
}

/// After so many events that are left out in a row, the position is moved over them before more are read.
const LEFT_OUT_STEP: u64 = if cfg!(test) { 6 } else { 100_000 };

/// So many bytes of frames are unpacked at once.
const STEP: usize = 1 << 20;

/// A feed's log, read by one destination in order.
#[derive(Debug)]
pub(super) struct Log<'a> {
    store: &'a Store,
    wanted: Wanted<'a>,
    /// What was read last. A batch mostly ends inside a segment, and the next one goes on there.
    read: Vec<Arc<StoredSegment>>,
    /// The bytes and the events that the last batch took: the next one takes about as many.
    room: (usize, usize),
}

impl<'a> Log<'a> {
    pub(super) fn new(store: &'a Store, wanted: Wanted<'a>) -> Self {
        Self {
            store,
            wanted,
            read: Vec::new(),
            room: (0, 0),
        }
    }

    /// Segments from `seq` on; none at the end of the log.
    async fn segments(&mut self, pending: &Pending, seq: i64) -> Result<&[Arc<StoredSegment>], Error> {
        match self.read.iter().position(|segment| segment.seq == seq) {
            Some(before) => _ = self.read.drain(..before),
            None => self.read = self.store.segments(pending, seq, STEP).await?,
        }
        Ok(&self.read)
    }

    /// Reads from the position on: at least the staged batch where there is one, otherwise as much as the limits
    /// allow and one event more, which shows that a batch is full.
    pub(super) async fn front(&mut self, pending: &Pending, limits: &Limits) -> Result<Front, Error> {
        let mut front = Front {
            lines: Lines::with_capacity(self.room.0, self.room.1),
            waiting: Vec::with_capacity(self.room.1),
            more: false,
            reached: pending.position,
            left_out: 0,
        };
        self.fill(&mut front, pending, limits).await?;
        self.room = (front.lines.bytes(), front.lines.len());
        Ok(front)
    }

    async fn fill(&mut self, front: &mut Front, pending: &Pending, limits: &Limits) -> Result<(), Error> {
        let wanted = self.wanted;
        let origin = Origin::new(&pending.feed, &pending.source_name);
        let mut at = pending.position;
        loop {
            let segments = self.segments(pending, at.seq).await?;
            if segments.is_empty() {
                return Ok(());
            }
            for segment in segments {
                let mut index = 0;
                for event in segment.read() {
                    let event = event.map_err(|error| damaged(pending, segment.seq, &error.to_string()))?;
                    index += 1;
                    if segment.seq == at.seq && index <= at.index {
                        continue;
                    }
                    if front.is_enough(pending.staged, limits) {
                        front.more = true;
                        return Ok(());
                    }
                    front.reached = behind(segment.seq, index, segment.events);
                    if wanted.admits(pending, &event) {
                        let bytes = front.lines.push(&event, &origin, wanted.metadata);
                        front.waiting.push(Waiting {
                            bytes,
                            collected_at: event.collected_at,
                            end: front.reached,
                            left_out: std::mem::take(&mut front.left_out),
                        });
                    } else {
                        front.leave_out();
                    }
                }
                if index != segment.events {
                    return Err(damaged(
                        pending,
                        segment.seq,
                        "it does not hold as many events as it should",
                    ));
                }
                at = Position {
                    seq: segment.seq + 1,
                    index: 0,
                };
            }
        }
    }

    /// Hands the first event behind the position that the destination wants to `with`.
    pub(super) async fn first<T>(
        &mut self,
        pending: &Pending,
        with: impl FnOnce(&Event<'_>) -> T,
    ) -> Result<T, Error> {
        let wanted = self.wanted;
        let mut at = pending.position;
        loop {
            let Some(segment) = self.segments(pending, at.seq).await?.first() else {
                return Err(damaged(pending, at.seq, "it is not there"));
            };
            let skip = usize::try_from(at.index).unwrap_or(usize::MAX);
            for event in segment.read().skip(skip) {
                let event = event.map_err(|error| damaged(pending, at.seq, &error.to_string()))?;
                if wanted.admits(pending, &event) {
                    return Ok(with(&event));
                }
            }
            at = Position {
                seq: at.seq + 1,
                index: 0,
            };
        }
    }
}

impl Front {
    /// Whether what was read is a batch. A staged one ends where it was staged, even where what is left out goes on:
    /// written again, it must be the same.
    fn is_enough(&self, staged: Option<Position>, limits: &Limits) -> bool {
        let left_out = self.waiting.last().map_or(self.left_out, |last| last.left_out);
        staged.map_or(
            self.waiting.len() > limits.max_events
                || self.lines.bytes() > limits.max_bytes
                || left_out >= LEFT_OUT_STEP,
            |end| self.reached >= end,
        )
    }

    /// Notes that the event at `reached` is left out: the one before it takes it along.
    fn leave_out(&mut self) {
        match self.waiting.last_mut() {
            Some(last) => {
                last.end = self.reached;
                last.left_out += 1;
            }
            None => self.left_out += 1,
        }
    }
}

/// The position behind an event. The end of a segment is always written as the beginning of the next, so that a
/// position which has everything lies behind the last segment.
fn behind(seq: i64, index: u32, events: u32) -> Position {
    if index >= events {
        Position {
            seq: seq + 1,
            index: 0,
        }
    } else {
        Position { seq, index }
    }
}

fn damaged(pending: &Pending, seq: i64, why: &str) -> Error {
    Error::Damaged(format!("segment {seq} of {}: {why}", pending.feed))
}
