//! An event: a row with identity, labels and times.

use std::fmt;

use engine_api::LogType;
use jiff::Timestamp;

use super::{Day, FeedKey, RowHash};

/// An event's id: the same for the same row, however often it is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

/// Names the events of one feed.
#[derive(Clone, Copy)]
pub struct EventIds([u8; 32]);

impl EventIds {
    /// Those of a feed.
    pub fn of(feed: &FeedKey) -> Self {
        let mut named = Vec::with_capacity(64);
        named.extend(b"zoom-log-event/2\0");
        named.extend(feed.source.as_str().as_bytes());
        named.extend([
            0,
            match feed.log_type {
                LogType::Operation => b'o',
                LogType::Activity => b'a',
            },
        ]);
        Self(*blake3::hash(&named).as_bytes())
    }

    /// The id of an occurrence of a row (law L2): source, log type, day, canonical hash, occurrence number. What all
    /// events of a feed share is the key of a hash over the rest.
    pub fn id(&self, day: Day, hash: RowHash, occurrence: u32) -> EventId {
        let mut named = [0; 20];
        named[..4].copy_from_slice(&day.number().to_le_bytes());
        named[4..16].copy_from_slice(&hash.0);
        named[16..].copy_from_slice(&occurrence.to_le_bytes());
        let digest = blake3::keyed_hash(&self.0, &named);
        let mut id = [0; 16];
        id.copy_from_slice(&digest.as_bytes()[..16]);
        EventId(id)
    }
}

impl fmt::Debug for EventIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventIds").finish_non_exhaustive()
    }
}

impl EventId {
    /// Appends it as it is shown.
    pub fn write(&self, out: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = *b"evt_00000000000000000000000000000000";
        let (pairs, _) = text[4..].as_chunks_mut::<2>();
        for (byte, pair) in self.0.iter().zip(pairs) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        // All of it is ASCII.
        out.push_str(std::str::from_utf8(&text).unwrap_or_default());
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
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
    /// It appeared at Zoom after everything up to its time was believed to be there.
    pub late: bool,
    /// Labels, comma-separated, never empty.
    pub labels: &'a str,
    /// The row exactly as Zoom sent it: one JSON value.
    pub row: &'a str,
    /// Where the value of `operation_detail` begins in the row, where it has one.
    pub detail_at: Option<u32>,
}
