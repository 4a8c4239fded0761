//! An event: a row with identity, labels and times, and its form inside a segment.

use std::fmt;

use engine_api::LogType;
use jiff::Timestamp;

use super::{Day, FeedKey, RowHash};

/// An event's id: the same for the same row, however often it is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// The id of an occurrence of a row (law L2): source, log type, day, canonical hash, occurrence number.
    pub fn new(feed: &FeedKey, day: Day, hash: RowHash, occurrence: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"zoom-log-event/1\0");
        hasher.update(feed.source.as_str().as_bytes());
        hasher.update(&[
            0,
            match feed.log_type {
                LogType::Operation => b'o',
                LogType::Activity => b'a',
            },
        ]);
        hasher.update(&day.number().to_le_bytes());
        hasher.update(&hash.0);
        hasher.update(&occurrence.to_le_bytes());
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        Self(id)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("evt_")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One event, as the log of events keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// The row's canonical hash.
    pub hash: RowHash,
    /// The day it counts under.
    pub day: Day,
    /// Its number among equal rows of that day, from 1.
    pub occurrence: u32,
    /// The row's own time; `None` when it has none that can be read.
    pub time: Option<Timestamp>,
    /// When it was collected.
    pub collected_at: Timestamp,
    /// Labels, comma-separated, never empty.
    pub labels: &'a str,
    /// The row exactly as Zoom sent it: one JSON value.
    pub row: &'a str,
}

/// A stored block that cannot be read: the store is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event at byte {at} of a segment cannot be read")]
pub struct FrameError {
    at: usize,
}

const NO_TIME: i64 = i64::MIN;

/// Appends one event to a block.
pub fn encode_frame(event: &Event<'_>, block: &mut Vec<u8>) {
    block.extend(event.hash.0);
    block.extend(event.day.number().to_le_bytes());
    block.extend(event.occurrence.to_le_bytes());
    block.extend(
        event
            .time
            .map_or(NO_TIME, Timestamp::as_millisecond)
            .to_le_bytes(),
    );
    block.extend(event.collected_at.as_millisecond().to_le_bytes());
    for text in [event.labels, event.row] {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        block.extend(length.to_le_bytes());
        block.extend(text.as_bytes());
    }
}

/// Reads a block, event by event.
pub fn decode_frames(block: &[u8]) -> impl Iterator<Item = Result<Event<'_>, FrameError>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= block.len() {
            return None;
        }
        let start = at;
        let event = decode_frame(block, &mut at).ok_or(FrameError { at: start });
        if event.is_err() {
            at = block.len();
        }
        Some(event)
    })
}

fn decode_frame<'a>(block: &'a [u8], at: &mut usize) -> Option<Event<'a>> {
    let hash = RowHash(take(block, at, 16)?.try_into().ok()?);
    let day = Day::from_number(i32::from_le_bytes(take(block, at, 4)?.try_into().ok()?));
    let occurrence = u32::from_le_bytes(take(block, at, 4)?.try_into().ok()?);
    let time = i64::from_le_bytes(take(block, at, 8)?.try_into().ok()?);
    let collected_at = i64::from_le_bytes(take(block, at, 8)?.try_into().ok()?);
    let labels = take_text(block, at)?;
    let row = take_text(block, at)?;
    Some(Event {
        hash,
        day,
        occurrence,
        time: (time != NO_TIME)
            .then(|| Timestamp::from_millisecond(time).ok())
            .flatten(),
        collected_at: Timestamp::from_millisecond(collected_at).ok()?,
        labels,
        row,
    })
}

fn take<'a>(block: &'a [u8], at: &mut usize, length: usize) -> Option<&'a [u8]> {
    let end = at.checked_add(length)?;
    let bytes = block.get(*at..end)?;
    *at = end;
    Some(bytes)
}

fn take_text<'a>(block: &'a [u8], at: &mut usize) -> Option<&'a str> {
    let length = u32::from_le_bytes(take(block, at, 4)?.try_into().ok()?);
    std::str::from_utf8(take(block, at, usize::try_from(length).ok()?)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_are_read_back_as_written(
            events in proptest::collection::vec(
                (any::<[u8; 16]>(), any::<i32>(), any::<u32>(), proptest::option::of(0_i64..1 << 42), "[a-z,]{1,20}", ".{0,50}"),
                0..5,
            ),
        ) {
            let events: Vec<Event<'_>> = events
                .iter()
                .map(|(hash, day, occurrence, time, labels, row)| Event {
                    hash: RowHash(*hash),
                    day: Day::from_number(*day),
                    occurrence: *occurrence,
                    time: time.and_then(|time| Timestamp::from_millisecond(time).ok()),
                    collected_at: Timestamp::UNIX_EPOCH,
                    labels,
                    row,
                })
                .collect();
            let mut block = Vec::new();
            for event in &events {
                encode_frame(event, &mut block);
            }
            prop_assert_eq!(decode_frames(&block).collect::<Result<Vec<_>, _>>(), Ok(events));
        }

        #[test]
        fn any_bytes_are_read_or_refused(block: Vec<u8>) {
            for event in decode_frames(&block) {
                let _ = event;
            }
        }
    }
}
