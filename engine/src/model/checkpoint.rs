//! What is durable about a feed's progress.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Day, Window};

/// How far a feed is known to be complete, and what its reads have left open.
///
/// It moves only in the transaction that appends events (law L3), and holds no page token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The form of this value; old forms stay readable.
    pub version: u8,
    /// The first day to collect.
    pub start: Day,
    /// The first day of the claim that [`Self::watermark`] is; of older ones, backfills say how far they are.
    pub recent: Day,
    /// Everything that Zoom had published with a time from [`Self::recent`] on and below this instant is in the log
    /// (law L4).
    pub watermark: Timestamp,
    /// When the last complete sweep up to today began, with its first part where it was read in parts.
    pub swept_at: Option<Timestamp>,
    /// Where a sweep that is read in parts goes on.
    pub sweeping: Option<Day>,
    /// When that sweep began.
    #[serde(default)]
    pub sweep_began: Option<Timestamp>,
    /// A sweep is due whatever the clock says: a tail was cut off, or saw what only a complete read can settle.
    pub wants_sweep: bool,
    /// The most days that a sweep reads at once; fewer once its page tokens expired on the way.
    pub span: i32,
    /// Complete reads whose counts are not certain yet; their windows do not overlap.
    pub open: Vec<ReadSummary>,
    /// How many complete reads there were; their page sizes alternate.
    pub reads: u64,
}

/// What a complete read saw, in a form that two reads can be compared by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadSummary {
    /// The days that were read.
    pub window: Window,
    /// Rows a page.
    pub page_size: u32,
    /// Rows in all.
    pub rows: u64,
    /// The sum of the rows' hashes: equal multisets have equal sums, in whatever order they were read.
    pub digest: u128,
    /// The oldest day of which more rows were seen than are certain; [`Day::UNDATED`] where only undated rows were.
    pub oldest_surplus: Day,
    /// The newest such day.
    pub newest_surplus: Day,
    /// How many reads in a row have left the counts uncertain.
    pub tries: u32,
}

impl ReadSummary {
    /// What is left to confirm before `day` once later days have been read again: days of which nothing is known but
    /// that a read left something open in them.
    pub fn before(&self, day: Day) -> Option<Self> {
        (self.window.from < day && day <= self.window.to).then(|| self.part(self.window.from, day.plus(-1)))
    }

    /// The same as two, since one read of it takes too long; of several days.
    pub fn halves(self) -> [Self; 2] {
        let Window { from, to } = self.window;
        let middle = from.plus(self.window.days() / 2);
        [self.part(from, middle.plus(-1)), self.part(middle, to)]
    }

    fn part(&self, from: Day, to: Day) -> Self {
        Self {
            window: Window::new(from, to),
            page_size: self.page_size,
            rows: 0,
            digest: 0,
            oldest_surplus: self.oldest_surplus.min(to),
            newest_surplus: self.newest_surplus.min(to),
            tries: 0,
        }
    }
}

/// Closed days that are read behind the tail, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// The first day that is not complete.
    pub next: Day,
    /// The last day to read.
    pub until: Day,
    /// How many days the next read takes; follows how long the reads are.
    pub span: i32,
    /// The last complete read of the next window whose counts are not certain yet.
    pub open: Option<ReadSummary>,
}

impl Backfill {
    /// A backfill of these days, none of which has been read.
    pub fn new(days: Window) -> Self {
        Self {
            next: days.from,
            until: days.to,
            span: 1,
            open: None,
        }
    }
}

impl Checkpoint {
    /// The form that this version writes.
    pub const VERSION: u8 = 2;

    /// A new feed's checkpoint, and the older days that want a backfill: the recent days are swept at once.
    pub fn new(start: Day, now: Timestamp) -> (Self, Option<Window>) {
        // Yesterday and today: what arrives is delivered at once, however far back the start is.
        let recent = start.max(Day::of(now).plus(-1));
        let checkpoint = Self {
            version: Self::VERSION,
            start,
            recent,
            watermark: recent.start(),
            swept_at: None,
            sweeping: None,
            sweep_began: None,
            wants_sweep: true,
            span: Window::MAX_DAYS,
            open: Vec::new(),
            reads: 0,
        };
        let older = (start < recent).then(|| Window::new(start, recent.plus(-1)));
        (checkpoint, older)
    }

    /// The start was moved: answers the days before the old one, which want a backfill. Nothing is forgotten when it
    /// moves forward.
    pub fn start_moved(&mut self, start: Day) -> Option<Window> {
        let older = (start < self.start).then(|| Window::new(start, self.start.plus(-1)));
        self.start = self.start.min(start);
        older
    }

    /// A backfill is done: where its days join those of the claim, they belong to it too.
    pub fn backfilled(&mut self, days: Window) {
        if days.to.plus(1) >= self.recent {
            self.recent = self.recent.min(days.from);
        }
    }

    /// The first day that sweeps look after. Days that a backfill has passed, `older` being what it is about, change
    /// as others do, and it may be long until it ends; so all its days are looked after from the first sweep on.
    pub fn looked_after(&self, older: Option<Window>) -> Day {
        if self.swept_at.is_none() {
            // What arrives is delivered at once, however far back the start is.
            return self.recent;
        }
        let first = self.recent.min(self.start);
        let joined = older.filter(|days| days.to.plus(1) >= first);
        joined.map_or(first, |days| first.min(days.from))
    }
}
