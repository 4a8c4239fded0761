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

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasherDefault, Hasher},
};

use super::{Day, Mark, Print, ReadSummary, Row, RowHash, Window};

/// The most bytes of rows that are held back because their exact text is new though their fields are known.
const MAX_UNSEEN_BYTES: usize = 1 << 20;

/// What one read has seen so far, and what was known before.
#[derive(Debug)]
pub struct Tally {
    window: Window,
    page_size: u32,
    days: BTreeMap<Day, Counts>,
    surplus: BTreeMap<(Day, RowHash), Vec<Box<str>>>,
    /// Rows whose fields are known and whose exact text is not in the log: of a surplus, they go first.
    unseen: HashMap<(Day, RowHash), Vec<Box<str>>>,
    unseen_bytes: usize,
    rows: u64,
    digest: u128,
    pages: u32,
}

/// A table by hashes, which are spread evenly as they are.
type ByHash<T> = HashMap<RowHash, T, BuildHasherDefault<Even>>;

/// Takes a hash's own first bytes. Nobody can choose them without trying out hashes.
#[derive(Debug, Default)]
struct Even(u64);

impl Hasher for Even {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 ^= number;
    }
}

#[derive(Debug, Default)]
struct Counts {
    by_hash: ByHash<Count>,
    /// The marks of the second and further events of one hash.
    further: ByHash<Vec<Mark>>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    known: u32,
    seen: u32,
    /// The page that showed it last, by its number in the read from 1.
    page: u32,
    /// The mark of the first event in the log.
    first: Mark,
}

const UNKNOWN: Count = Count {
    known: 0,
    seen: 0,
    page: 0,
    first: Mark([0; 4]),
};

impl Counts {
    /// Counts an event of the log.
    fn add(&mut self, print: Print) {
        let count = self.by_hash.entry(print.hash).or_insert(UNKNOWN);
        count.known += 1;
        if count.known == 1 {
            count.first = print.mark;
        } else {
            self.further.entry(print.hash).or_default().push(print.mark);
        }
    }

    /// The marks of what the log holds of a hash.
    fn marks(&self, hash: RowHash) -> Vec<Mark> {
        let Some(count) = self.by_hash.get(&hash).filter(|count| count.known > 0) else {
            return Vec::new();
        };
        let further = self.further.get(&hash).into_iter().flatten();
        std::iter::once(&count.first).chain(further).copied().collect()
    }

    /// Whether the log holds an event with this hash and this very text.
    fn holds(&self, print: Print) -> bool {
        let further = || self.further.get(&print.hash);
        self.by_hash.get(&print.hash).is_some_and(|count| {
            count.known > 0
                && (count.first == print.mark
                    || count.known > 1 && further().is_some_and(|further| further.contains(&print.mark)))
        })
    }
}

/// An occurrence that has become certain: the row with this index in the page is the `occurrence`-th of its equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certain {
    /// The row's index in its page.
    pub index: usize,
    /// Its number among equal rows, from 1.
    pub occurrence: u32,
    /// The mark of its exact text.
    pub mark: Mark,
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
        Self {
            window,
            page_size,
            days: BTreeMap::new(),
            surplus: BTreeMap::new(),
            unseen: HashMap::new(),
            unseen_bytes: 0,
            rows: 0,
            digest: 0,
            pages: 0,
        }
    }

    /// The days of these rows whose known counts must be [loaded](Self::load) first.
    pub fn missing_days(&self, rows: &[Row<'_>]) -> Vec<Day> {
        let mut days = Vec::new();
        for row in rows {
            if days.last() != Some(&row.day) && !self.days.contains_key(&row.day) {
                days.push(row.day);
            }
        }
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

    /// The days whose known counts are loaded: another read that appended to them makes them stale.
    pub fn loaded_days(&self) -> Vec<Day> {
        self.days.keys().copied().collect()
    }

    /// Tells what the log holds of a day, in its order. What was told before of that day is forgotten; what the read
    /// has seen is not.
    pub fn load(&mut self, day: Day, prints: impl IntoIterator<Item = Print>) {
        let counts = self.days.entry(day).or_default();
        counts.further.clear();
        counts.by_hash.values_mut().for_each(|count| count.known = 0);
        for print in prints {
            counts.add(print);
        }
        // What is in the log by now is no surplus any more.
        self.surplus.retain(|(surplus_day, hash), texts| {
            if *surplus_day != day {
                return true;
            }
            let count = counts.by_hash.get(hash).copied().unwrap_or(UNKNOWN);
            let open = count.seen.saturating_sub(count.known) as usize;
            let marks = counts.marks(*hash);
            texts.sort_by_key(|text| marks.contains(&Mark::of(text)));
            texts.truncate(open);
            open > 0
        });
    }

    /// Counts a page and answers which of its rows have become certain (rule 1), in the page's order.
    ///
    /// The days of the rows must have been loaded.
    pub fn page(&mut self, rows: &[Row<'_>]) -> Vec<Certain> {
        let (mut certain, mut twins, mut beyond) = (Vec::new(), Vec::new(), Vec::new());
        self.pages = self.pages.saturating_add(1);
        for (index, row) in rows.iter().enumerate() {
            debug_assert!(
                self.days.contains_key(&row.day),
                "counts of {} were not loaded",
                row.day
            );
            self.rows += 1;
            self.digest = self.digest.wrapping_add(row.hash.number());
            let counts = self.days.entry(row.day).or_default();
            let count = counts.by_hash.entry(row.hash).or_insert(UNKNOWN);
            count.seen += 1;
            // Equal rows have equal times, so a hash is met under one day only.
            let here_before = count.page == self.pages;
            count.page = self.pages;
            if count.known == 0 {
                let mark = row.mark();
                count.known = 1;
                count.first = mark;
                certain.push(Certain {
                    index,
                    occurrence: 1,
                    mark,
                });
                continue;
            }
            // Each of them once.
            if here_before && !twins.iter().any(|twin: &usize| rows[*twin].hash == row.hash) {
                twins.push(index);
            }
            if count.seen > count.known {
                beyond.push(index);
            }
            self.note_unseen(row);
        }
        for index in twins {
            self.rise(index, rows, &mut certain);
        }
        for index in beyond {
            self.note_surplus(&rows[index]);
        }
        certain.sort_unstable_by_key(|certain| certain.index);
        certain
    }

    /// Rule 1 for the rows of a page that equal one of them: those whose exact text is not in the log go first.
    fn rise(&mut self, like: usize, rows: &[Row<'_>], certain: &mut Vec<Certain>) {
        let Row { day, hash, .. } = rows[like];
        let Some(counts) = self.days.get_mut(&day) else {
            return;
        };
        let here = || rows.iter().enumerate().filter(|(_, row)| row.hash == hash);
        let known = counts.by_hash.get(&hash).map_or(0, |count| count.known);
        let missing = here().count().saturating_sub(known as usize);
        let mut delivered = counts.marks(hash);
        let (mut new, mut same) = (Vec::new(), Vec::new());
        for (index, row) in here() {
            let mark = row.mark();
            let held = delivered.iter().position(|delivered| *delivered == mark);
            // What this very page has made certain is not made certain again.
            let taken = certain.iter().any(|certain| certain.index == index);
            match held.map(|at| delivered.swap_remove(at)) {
                _ if taken => {}
                Some(_) => same.push((index, mark)),
                None => new.push((index, mark)),
            }
        }
        for (index, mark) in new.into_iter().chain(same).take(missing) {
            counts.add(Print { hash, mark });
            let occurrence = counts.by_hash.get(&hash).map_or(1, |count| count.known);
            certain.push(Certain {
                index,
                occurrence,
                mark,
            });
        }
    }

    /// Keeps one text for each row beyond what is known.
    fn note_surplus(&mut self, row: &Row<'_>) {
        let counts = self.days.get(&row.day);
        let count = counts.and_then(|counts| counts.by_hash.get(&row.hash)).copied();
        let count = count.unwrap_or(UNKNOWN);
        let open = count.seen.saturating_sub(count.known) as usize;
        let key = (row.day, row.hash);
        if open == 0 {
            self.surplus.remove(&key);
            return;
        }
        let texts = self.surplus.entry(key).or_default();
        texts.truncate(open);
        while texts.len() < open {
            texts.push(row.text.into());
        }
    }

    /// Keeps a row whose fields are known and whose text is not, within bounds. Beyond them any of the equal rows goes
    /// first, which loses no row, but may deliver one text twice and another never.
    fn note_unseen(&mut self, row: &Row<'_>) {
        let print = row.print();
        if self.unseen_bytes < MAX_UNSEEN_BYTES
            && self.days.get(&row.day).is_some_and(|counts| !counts.holds(print))
        {
            self.unseen_bytes += row.text.len();
            self.unseen
                .entry((row.day, row.hash))
                .or_default()
                .push(row.text.into());
        }
    }

    /// Whether more rows were seen than are certain.
    pub fn has_surplus(&self) -> bool {
        !self.surplus.is_empty()
    }

    /// Ends a complete read. `previous` is the last complete read that was left open, if it was of the same window.
    ///
    /// The days of [`Self::missing_for_verdict`] must have been loaded.
    pub fn finish(mut self, previous: Option<&ReadSummary>) -> Verdict {
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
            return Verdict::Open(ReadSummary {
                window: self.window,
                page_size: self.page_size,
                rows: self.rows,
                digest: self.digest,
                oldest_surplus,
                newest_surplus,
                tries,
            });
        }
        let mut certain = Vec::new();
        for ((day, hash), texts) in std::mem::take(&mut self.surplus) {
            let Some(counts) = self.days.get(&day) else {
                continue;
            };
            let count = counts.by_hash.get(&hash).copied().unwrap_or(UNKNOWN);
            let mut held = counts.marks(hash);
            let mut unseen = self.unseen.remove(&(day, hash)).unwrap_or_default();
            // Some have become certain since, and a page shift shows one row twice.
            unseen.retain(|text| {
                let mark = Mark::of(text);
                let new = !held.contains(&mark);
                held.push(mark);
                new
            });
            certain.extend(
                (count.known + 1..=count.seen)
                    .zip(unseen.into_iter().chain(texts))
                    .map(|(occurrence, text)| LateCertain { text, occurrence }),
            );
        }
        Verdict::Confirmed(certain)
    }

    fn holds_all_known(&self) -> bool {
        let inside = self.days.iter().filter(|(day, _)| self.window.contains(**day));
        inside
            .flat_map(|(_, counts)| counts.by_hash.values())
            .all(|count| count.seen >= count.known)
    }
}

#[cfg(test)]
#[path = "counting_tests.rs"]
mod tests;
