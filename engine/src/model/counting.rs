//! The counting rule: how many equal rows are certain.
//!
//! Rows have no id, so an event is "the k-th of the equal rows of that day", and a `k` that a page shift made up must
//! never be believed. For each row value we keep `known`, the number of occurrences that are certain (and in the log);
//! it rises in two ways only:
//!
//! 1. *Within one page.* A page is one answer, so equal rows inside it are real: `known` is at least their count in
//!    any single page.
//! 2. *By two equal complete reads.* If two consecutive complete reads of the same window, cut into pages of different
//!    sizes, give the same multiset, and it contains all that is known, that multiset is exact.
//!
//! Why the second holds: rows are only ever added, and pages cut the current list at fixed offsets, so a complete read
//! returns exactly as many rows as the list held at its last page (a row pushed over a page edge is read twice, and
//! the row that pushed it is not seen: one for one). Equal totals therefore mean that nothing was added between the
//! two last pages, so the second read saw a list that stood still.
//!
//! Rows without a readable time are counted together under [`Day::UNDATED`], whichever window they came in; they rise
//! by the same two ways, and are left out of the containment test, since a window holds only some of them.

use std::collections::{BTreeMap, HashMap};

use super::{Day, ReadSummary, Row, RowHash, Window};

/// What one read has seen so far, and what was known before.
#[derive(Debug)]
pub struct Tally {
    window: Window,
    page_size: u32,
    days: BTreeMap<Day, HashMap<RowHash, Count>>,
    surplus: BTreeMap<(Day, RowHash), Vec<Box<str>>>,
    rows: u64,
    digest: u128,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    known: u32,
    seen: u32,
}

/// An occurrence that has become certain: the row with this index in the page is the `occurrence`-th of its equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certain {
    /// The row's index in its page.
    pub index: usize,
    /// Its number among equal rows, from 1.
    pub occurrence: u32,
}

/// A row that became certain only when the read was complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateCertain {
    /// The row as Zoom sent it.
    pub text: Box<str>,
    /// Its number among equal rows, from 1.
    pub occurrence: u32,
}

/// What a complete read amounts to.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every row that was seen is in the log.
    Certain,
    /// The counts of the previous read were repeated: these rows are certain too.
    Confirmed(Vec<LateCertain>),
    /// More rows were seen than are certain; the next complete read may settle it.
    Open(ReadSummary),
}

impl Tally {
    /// Begins a read.
    pub fn new(window: Window, page_size: u32) -> Self {
        let (days, surplus) = (BTreeMap::new(), BTreeMap::new());
        Self {
            window,
            page_size,
            days,
            surplus,
            rows: 0,
            digest: 0,
        }
    }

    /// The days of these rows whose known counts must be [loaded](Self::load) first.
    pub fn missing_days(&self, rows: &[Row<'_>]) -> Vec<Day> {
        let mut days: Vec<Day> = rows
            .iter()
            .map(|row| row.day)
            .filter(|day| !self.days.contains_key(day))
            .collect();
        days.sort_unstable();
        days.dedup();
        days
    }

    /// The days whose known counts must be loaded before [`Self::finish`] can compare.
    pub fn missing_for_verdict(&self) -> Vec<Day> {
        if self.surplus.is_empty() {
            return Vec::new();
        }
        let days = (0..self.window.days()).map(|offset| self.window.from.plus(offset));
        days.filter(|day| !self.days.contains_key(day)).collect()
    }

    /// Tells what the log holds of a day: one hash for each event.
    pub fn load(&mut self, day: Day, hashes: impl IntoIterator<Item = RowHash>) {
        let counts = self.days.entry(day).or_default();
        for hash in hashes {
            counts.entry(hash).or_default().known += 1;
        }
    }

    /// Counts a page and answers which of its rows have become certain (rule 1), in the page's order.
    ///
    /// The days of the rows must have been loaded.
    pub fn page(&mut self, rows: &[Row<'_>]) -> Vec<Certain> {
        let mut certain = Vec::new();
        let mut in_page: HashMap<(Day, RowHash), u32> = HashMap::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            debug_assert!(
                self.days.contains_key(&row.day),
                "counts of {} were not loaded",
                row.day
            );
            let count = self.days.entry(row.day).or_default().entry(row.hash).or_default();
            let here = in_page.entry((row.day, row.hash)).or_default();
            *here += 1;
            count.seen += 1;
            self.rows += 1;
            self.digest = self.digest.wrapping_add(u128::from_le_bytes(row.hash.0));
            if *here > count.known {
                count.known = *here;
                certain.push(Certain {
                    index,
                    occurrence: *here,
                });
            } else if count.seen > count.known {
                // One text for each row beyond what is known; both numbers rise together from here on.
                self.surplus
                    .entry((row.day, row.hash))
                    .or_default()
                    .push(row.text.into());
            }
        }
        certain
    }

    /// Whether more rows were seen than are certain.
    pub fn has_surplus(&self) -> bool {
        !self.surplus.is_empty()
    }

    /// Ends a complete read. `previous` is the last complete read that was left open, if it was of the same window.
    ///
    /// The days of [`Self::missing_for_verdict`] must have been loaded.
    pub fn finish(self, previous: Option<&ReadSummary>) -> Verdict {
        if self.surplus.is_empty() {
            return Verdict::Certain;
        }
        let dated = || {
            self.surplus
                .keys()
                .map(|(day, _)| *day)
                .filter(|day| *day != Day::UNDATED)
        };
        let oldest_surplus = dated().min().unwrap_or(Day::UNDATED);
        let newest_surplus = dated().max().unwrap_or(Day::UNDATED);
        let previous = previous.filter(|previous| previous.window == self.window);
        let repeated = previous.is_some_and(|previous| {
            previous.page_size != self.page_size
                && previous.rows == self.rows
                && previous.digest == self.digest
        });
        if !(repeated && self.holds_all_known()) {
            let tries = previous.map_or(1, |previous| previous.tries.saturating_add(1));
            let Self {
                window,
                page_size,
                rows,
                digest,
                ..
            } = self;
            return Verdict::Open(ReadSummary {
                window,
                page_size,
                rows,
                digest,
                oldest_surplus,
                newest_surplus,
                tries,
            });
        }
        let mut certain = Vec::new();
        for ((day, hash), texts) in self.surplus {
            let Some(count) = self.days.get(&day).and_then(|counts| counts.get(&hash)) else {
                continue;
            };
            certain.extend(
                (count.known + 1..=count.seen)
                    .zip(texts)
                    .map(|(occurrence, text)| LateCertain { text, occurrence }),
            );
        }
        Verdict::Confirmed(certain)
    }

    fn holds_all_known(&self) -> bool {
        let inside = self.days.iter().filter(|(day, _)| self.window.contains(**day));
        inside
            .flat_map(|(_, counts)| counts.values())
            .all(|count| count.seen >= count.known)
    }
}

#[cfg(test)]
#[path = "counting_tests.rs"]
mod tests;
