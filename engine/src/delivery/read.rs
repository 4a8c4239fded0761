//! Reads what waits in a feed's log, encoded, and never more than a batch needs.

use crate::{
    delivery::batch::Waiting,
    destination::{Limits, Lines, Origin},
    model::{Event, Position},
    store::{Error, Store, delivery::Pending},
};

/// The front of what waits.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) lines: Lines,
    pub(super) waiting: Vec<Waiting>,
    /// Further events wait behind these.
    pub(super) more: bool,
}

/// So many bytes of frames are unpacked at once.
const STEP: usize = 1 << 20;

/// Reads from the position on: at least the staged batch where there is one, otherwise as much as the limits allow
/// and one event more, which shows that a batch is full.
pub(super) async fn front(
    store: &Store,
    pending: &Pending,
    limits: &Limits,
    metadata: bool,
) -> Result<Front, Error> {
    let origin = Origin {
        feed: &pending.feed,
        source_name: &pending.source_name,
    };
    let mut front = Front {
        lines: Lines::default(),
        waiting: Vec::new(),
        more: false,
    };
    let mut at = pending.position;
    loop {
        let segments = store.segments(pending.feed_id, at.seq, STEP).await?;
        if segments.is_empty() {
            return Ok(front);
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
                    return Ok(front);
                }
                let end = behind(segment.seq, index, segment.events);
                let bytes = front.lines.push(&event, origin, metadata);
                front.waiting.push(Waiting {
                    bytes,
                    collected_at: event.collected_at,
                    end,
                });
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

impl Front {
    fn is_enough(&self, staged: Option<Position>, limits: &Limits) -> bool {
        match (self.waiting.last(), staged) {
            (Some(last), Some(end)) => last.end >= end,
            (Some(_), None) => {
                self.waiting.len() > limits.max_events || self.lines.bytes() > limits.max_bytes
            }
            (None, _) => false,
        }
    }
}

/// Hands the first event behind the position to `with`.
pub(super) async fn first<T>(
    store: &Store,
    pending: &Pending,
    with: impl FnOnce(&Event<'_>) -> T,
) -> Result<T, Error> {
    let mut at = pending.position;
    loop {
        let Some(segment) = store
            .segments(pending.feed_id, at.seq, 1)
            .await?
            .into_iter()
            .next()
        else {
            return Err(damaged(pending, at.seq, "it is not there"));
        };
        let skip = usize::try_from(at.index).unwrap_or(usize::MAX);
        if let Some(event) = segment.read().nth(skip) {
            let event = event.map_err(|error| damaged(pending, at.seq, &error.to_string()))?;
            return Ok(with(&event));
        }
        at = Position {
            seq: at.seq + 1,
            index: 0,
        };
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
