//! The form of events inside a segment.
//!
//! Packed, a block is `rows | heads | rows length (u32)`: all rows in front, what is short and alike behind them, so that
//! both compress well. Times are differences from the event before, labels are numbers in a table that grows as they are
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

    /// The bytes that they take.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(_, bytes)| bytes.len()).sum()
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
    block: Block,
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
            block: Block {
                rows: String::with_capacity(bytes),
                heads: Vec::new(),
            },
            ..Self::default()
        }
    }

    /// Appends an event.
    pub fn push(&mut self, event: &Event<'_>) {
        let Block { rows, heads } = &mut self.block;
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
        rows.push_str(event.row);
    }

    /// The bytes that the block takes so far.
    pub fn bytes(&self) -> usize {
        self.block.bytes()
    }

    /// The block.
    pub fn finish(self) -> Block {
        self.block
    }
}

/// A block of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    rows: String,
    heads: Vec<u8>,
}

impl Block {
    /// The bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.rows.len() + self.heads.len()
    }

    /// What its bytes are, one part after the other: `with` gets the rows, and what stands behind them.
    pub fn pack<T>(&mut self, with: impl FnOnce(&[u8], &[u8]) -> T) -> T {
        let length = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let heads = self.heads.len();
        self.heads.extend_from_slice(&length.to_le_bytes());
        let answer = with(self.rows.as_bytes(), &self.heads);
        self.heads.truncate(heads);
        answer
    }

    /// Reads the parts of [`Block::pack`] as one; `None` where they are not what was packed. Nothing of the rows is copied.
    pub fn unpack(mut packed: Vec<u8>) -> Option<Self> {
        let (rest, length) = packed.split_last_chunk::<LENGTH>()?;
        let (length, end) = (usize::try_from(u32::from_le_bytes(*length)).ok()?, rest.len());
        let heads = packed.get(length..end)?.to_vec();
        packed.truncate(length);
        let rows = String::from_utf8(packed).ok()?;
        Some(Self { rows, heads })
    }

    /// Its events, whose hashes are in `prints`.
    pub fn read<'a>(&'a self, prints: &'a Prints) -> BlockReader<'a> {
        BlockReader {
            heads: &self.heads,
            rows: &self.rows,
            prints: prints.days().collect(),
            labels: Vec::new(),
            last: Last::default(),
            index: 0,
        }
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
    block.finish().pack(|rows, behind| {
        alone.extend_from_slice(rows);
        alone.extend_from_slice(behind);
    });
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
    let block = Block::unpack(block.to_vec()).ok_or_else(|| damaged.clone())?;
    // The day stands behind the flags; an event has one print, whatever its day.
    let mut heads = block.heads.get(1..).unwrap_or_default();
    let day = read_difference(&mut heads, &mut 0).and_then(|day| i32::try_from(day).ok());
    let mut prints = Prints::default();
    prints.insert(
        Day::from_number(day.ok_or_else(|| damaged.clone())?),
        print.to_vec(),
    );
    let event = block.read(&prints).next().ok_or(damaged)??;
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

    fn packed(block: BlockWriter) -> Vec<u8> {
        block.finish().pack(|rows, behind| [rows, behind].concat())
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
            let block = Block::unpack(packed(block)).unwrap();
            prop_assert_eq!(block.read(&prints).collect::<Result<Vec<_>, _>>(), Ok(events));
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
            let _ = decode_alone(&block, |_| ());
            if let Some(block) = Block::unpack(block) {
                block.read(&prints).for_each(drop);
            }
        }

        #[test]
        fn a_block_that_was_cut_short_is_refused(written in written(), cut in 1_usize..20) {
            let events = events(&written);
            let (mut block, mut prints) = (BlockWriter::default(), Prints::default());
            for event in &events {
                block.push(event);
                prints.push(event.day, Print { hash: event.hash, mark: Mark([7; 4]) });
            }
            let mut block = packed(block);
            block.truncate(block.len().saturating_sub(cut));
            let Some(block) = Block::unpack(block) else { return Ok(()) };
            let read: Result<Vec<_>, _> = block.read(&prints).collect();
            // Only empty rows can be missing without a trace; the segment's own count tells.
            prop_assert!(read.is_err() || read.is_ok_and(|read| read.len() < events.len() || events.is_empty()));
        }
    }
}
