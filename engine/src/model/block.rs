//! The form of events inside a segment.
//!
//! A block is `rows length (u32) | rows | heads`: all rows in front, what is short and alike behind them, so that both
//! compress well. Times are differences from the event before, labels are numbers in a table that grows as they are
//! met. A block does not hold the rows' hashes: 16 bytes that no compression makes smaller, which the log of events
//! keeps once, by day, in the same order ([`Prints`]).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Day, Event, Mark, Print};

/// A stored block that cannot be read: the store is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {index} of a segment cannot be read")]
pub struct BlockError {
    index: u32,
}

/// The prints of a block's events, by day, each day's in the order of the events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prints(Vec<(Day, Vec<u8>)>);

impl Prints {
    /// Adds one at the end of its day.
    pub fn push(&mut self, day: Day, print: Print) {
        // Nearly always the last one: events come in order of their time, and a block holds few days.
        match self.0.iter_mut().rev().find(|(known, _)| *known == day) {
            Some((_, bytes)) => bytes.extend_from_slice(&print.to_bytes()),
            None => self.0.push((day, print.to_bytes().into())),
        }
    }

    /// Takes the stored prints of a day.
    pub fn insert(&mut self, day: Day, bytes: Vec<u8>) {
        self.0.push((day, bytes));
    }

    /// Each day with the bytes to store.
    pub fn days(&self) -> impl Iterator<Item = (Day, &[u8])> {
        self.0.iter().map(|(day, bytes)| (*day, bytes.as_slice()))
    }
}

/// The bytes that the length of the rows takes.
const LENGTH: usize = size_of::<u32>();

const HAS_TIME: u8 = 1;
const LATE: u8 = 2;

/// Writes a block.
#[derive(Debug, Default)]
pub struct BlockWriter {
    heads: Vec<u8>,
    rows: Vec<u8>,
    labels: Vec<Box<str>>,
    last: Last,
}

/// The event before, which the next is written against.
#[derive(Debug, Default)]
struct Last {
    day: i64,
    time: i64,
    collected_at: i64,
}

impl BlockWriter {
    /// Begins a block of about so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            rows: Vec::with_capacity(bytes),
            ..Self::default()
        }
    }

    /// Appends an event.
    pub fn push(&mut self, event: &Event<'_>) {
        let heads = &mut self.heads;
        heads.push(u8::from(event.time.is_some()) * HAS_TIME + u8::from(event.late) * LATE);
        write_difference(heads, i64::from(event.day.number()), &mut self.last.day);
        write_number(heads, u64::from(event.occurrence));
        if let Some(time) = event.time {
            write_difference(heads, time.as_millisecond(), &mut self.last.time);
        }
        write_difference(
            heads,
            event.collected_at.as_millisecond(),
            &mut self.last.collected_at,
        );
        let known = self.labels.iter().position(|labels| **labels == *event.labels);
        write_number(heads, known.unwrap_or(self.labels.len()) as u64);
        if known.is_none() {
            write_number(heads, event.labels.len() as u64);
            heads.extend_from_slice(event.labels.as_bytes());
            self.labels.push(event.labels.into());
        }
        write_number(heads, event.row.len() as u64);
        write_number(heads, event.detail_at.map_or(0, |at| u64::from(at) + 1));
        if self.rows.is_empty() {
            // Where their length will stand, so that they need not be moved for it.
            self.rows.extend_from_slice(&[0; LENGTH]);
        }
        self.rows.extend_from_slice(event.row.as_bytes());
    }

    /// The bytes that the block takes so far.
    pub fn bytes(&self) -> usize {
        self.heads.len() + self.rows.len()
    }

    /// The block.
    pub fn finish(self) -> Vec<u8> {
        let Self { heads, mut rows, .. } = self;
        if let Some((length, rows)) = rows.split_first_chunk_mut() {
            *length = u32::try_from(rows.len()).unwrap_or(u32::MAX).to_le_bytes();
        }
        rows.extend_from_slice(&heads);
        rows
    }
}

/// Reads a block, event by event.
#[derive(Debug)]
pub struct BlockReader<'a> {
    heads: &'a [u8],
    rows: &'a str,
    prints: BTreeMap<Day, &'a [u8]>,
    labels: Vec<&'a str>,
    last: Last,
    index: u32,
}

impl<'a> BlockReader<'a> {
    /// Reads `block`, whose events' hashes are in `prints`.
    pub fn new(block: &'a [u8], prints: &'a Prints) -> Self {
        let (rows, heads) = split(block)
            .and_then(|(rows, heads)| Some((std::str::from_utf8(rows).ok()?, heads)))
            // A single byte is no head, so the first event is refused.
            .unwrap_or(("", &block[..block.len().min(1)]));
        Self {
            heads,
            rows,
            prints: prints.days().collect(),
            labels: Vec::new(),
            last: Last::default(),
            index: 0,
        }
    }

    fn event(&mut self) -> Option<Event<'a>> {
        let (flags, rest) = self.heads.split_first()?;
        self.heads = rest;
        let day =
            Day::from_number(i32::try_from(read_difference(&mut self.heads, &mut self.last.day)?).ok()?);
        let occurrence = u32::try_from(read_number(&mut self.heads)?).ok()?;
        let time = if flags & HAS_TIME == 0 {
            None
        } else {
            Some(read_difference(&mut self.heads, &mut self.last.time)?)
        };
        let collected_at = read_difference(&mut self.heads, &mut self.last.collected_at)?;
        let label = usize::try_from(read_number(&mut self.heads)?).ok()?;
        if label == self.labels.len() {
            let labels = read_text(&mut self.heads)?;
            self.labels.push(labels);
        }
        let labels = self.labels.get(label).copied()?;
        let length = usize::try_from(read_number(&mut self.heads)?).ok()?;
        let detail_at = match read_number(&mut self.heads)? {
            0 => None,
            at => Some(u32::try_from(at - 1).ok()?),
        };
        let (row, rest) = self.rows.split_at_checked(length)?;
        self.rows = rest;
        let prints = self.prints.get_mut(&day)?;
        let (print, rest) = prints.split_first_chunk()?;
        *prints = rest;
        Some(Event {
            hash: Print::from_bytes(*print).hash,
            day,
            occurrence,
            time: match time {
                Some(time) => Some(Timestamp::from_millisecond(time).ok()?),
                None => None,
            },
            collected_at: Timestamp::from_millisecond(collected_at).ok()?,
            late: flags & LATE != 0,
            labels,
            row,
            detail_at,
        })
    }
}

impl<'a> Iterator for BlockReader<'a> {
    type Item = Result<Event<'a>, BlockError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.heads.is_empty() {
            return None;
        }
        let index = self.index;
        self.index += 1;
        let event = self.event().ok_or(BlockError { index });
        if event.is_err() {
            self.heads = &[];
        }
        Some(event)
    }
}

/// The rows of a block, and the heads behind them.
fn split(block: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = block.split_first_chunk::<LENGTH>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// One event by itself, with all that it takes to read it again.
pub fn encode_alone(event: &Event<'_>) -> Vec<u8> {
    let mut block = BlockWriter::default();
    block.push(event);
    let mark = Mark([0; 4]);
    let print = Print {
        hash: event.hash,
        mark,
    };
    let mut alone = Vec::from(print.to_bytes());
    alone.extend(block.finish());
    alone
}

/// Reads [`encode_alone`] and answers what `with` makes of the event.
///
/// # Errors
///
/// [`BlockError`] where it is not what was written.
pub fn decode_alone<T>(alone: &[u8], with: impl FnOnce(&Event<'_>) -> T) -> Result<T, BlockError> {
    let damaged = BlockError { index: 0 };
    let (print, block) = alone
        .split_first_chunk::<{ Print::BYTES }>()
        .ok_or_else(|| damaged.clone())?;
    // The day stands behind the flags; an event has one print, whatever its day.
    let mut heads = split(block)
        .and_then(|(_, heads)| heads.get(1..))
        .unwrap_or_default();
    let day = read_difference(&mut heads, &mut 0).and_then(|day| i32::try_from(day).ok());
    let mut prints = Prints::default();
    prints.insert(
        Day::from_number(day.ok_or_else(|| damaged.clone())?),
        print.to_vec(),
    );
    let event = BlockReader::new(block, &prints).next().ok_or(damaged)??;
    Ok(with(&event))
}

fn write_number(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

fn read_number(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Writes how far `value` is from the last one, small in either direction.
fn write_difference(out: &mut Vec<u8>, value: i64, last: &mut i64) {
    let difference = value.wrapping_sub(*last);
    *last = value;
    write_number(
        out,
        (difference.wrapping_shl(1) ^ (difference >> 63)).cast_unsigned(),
    );
}

fn read_difference(from: &mut &[u8], last: &mut i64) -> Option<i64> {
    let number = read_number(from)?;
    let difference = (number >> 1).cast_signed() ^ -((number & 1).cast_signed());
    *last = last.wrapping_add(difference);
    Some(*last)
}

fn read_text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(read_number(from)?).ok()?;
    let (text, rest) = from.split_at_checked(length)?;
    *from = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::RowHash;

    type Written = ([u8; 12], i32, u32, Option<i64>, bool, String, String);

    fn written() -> impl Strategy<Value = Vec<Written>> {
        let event = (
            any::<[u8; 12]>(),
            any::<i32>(),
            any::<u32>(),
            proptest::option::of(-(1_i64 << 42)..1 << 42),
            any::<bool>(),
            "[a-z,]{1,20}",
            ".{0,50}",
        );
        proptest::collection::vec(event, 0..8)
    }

    fn events(written: &[Written]) -> Vec<Event<'_>> {
        let event = |(hash, day, occurrence, time, late, labels, row): &'_ Written| Event {
            hash: RowHash(*hash),
            day: Day::from_number(*day),
            occurrence: *occurrence,
            time: time.and_then(|time| Timestamp::from_millisecond(time).ok()),
            collected_at: Timestamp::UNIX_EPOCH,
            late: *late,
            labels: String::leak(labels.clone()),
            row: String::leak(row.clone()),
            detail_at: u32::try_from(row.len()).ok().filter(|at| at % 3 > 0),
        };
        written.iter().map(event).collect()
    }

    proptest! {
        #[test]
        fn a_block_is_read_back_as_written(written in written()) {
            let events = events(&written);
            let (mut block, mut prints) = (BlockWriter::default(), Prints::default());
            for event in &events {
                block.push(event);
                prints.push(event.day, Print { hash: event.hash, mark: Mark([7; 4]) });
            }
            let block = block.finish();
            prop_assert_eq!(BlockReader::new(&block, &prints).collect::<Result<Vec<_>, _>>(), Ok(events));
        }

        #[test]
        fn an_event_alone_is_read_back(written in written()) {
            for event in events(&written) {
                let same = decode_alone(&encode_alone(&event), |read| *read == event);
                prop_assert_eq!(same, Ok(true));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(block: Vec<u8>, day: i32, bytes: Vec<u8>) {
            let mut prints = Prints::default();
            prints.insert(Day::from_number(day), bytes);
            BlockReader::new(&block, &prints).for_each(drop);
            let _ = decode_alone(&block, |_| ());
        }

        #[test]
        fn a_block_that_was_cut_short_is_refused(written in written(), cut in 1_usize..20) {
            let events = events(&written);
            let (mut block, mut prints) = (BlockWriter::default(), Prints::default());
            for event in &events {
                block.push(event);
                prints.push(event.day, Print { hash: event.hash, mark: Mark([7; 4]) });
            }
            let block = block.finish();
            let cut = &block[..block.len().saturating_sub(cut)];
            let read: Result<Vec<_>, _> = BlockReader::new(cut, &prints).collect();
            // Only empty rows can be missing without a trace; the segment's own count tells.
            prop_assert!(read.is_err() || read.is_ok_and(|read| read.len() < events.len() || events.is_empty()));
        }
    }
}
