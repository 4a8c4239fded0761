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
    /// Everything that Zoom had published with a time below this instant is in the log (law L4).
    pub watermark: Timestamp,
    /// When the last complete sweep up to today began.
    pub swept_at: Option<Timestamp>,
    /// A sweep is due whatever the clock says: a tail was cut off, or saw what only a complete read can settle.
    pub wants_sweep: bool,
    /// The last complete read whose counts are not certain yet.
    pub unconfirmed: Option<ReadSummary>,
    /// Older days that are still to be collected.
    pub backfill: Option<Backfill>,
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
    pub unconfirmed: Option<ReadSummary>,
}

impl Checkpoint {
    /// The form that this version writes.
    pub const VERSION: u8 = 1;

    /// A new feed's checkpoint: the recent days are swept at once, older ones are a backfill.
    pub fn new(start: Day, now: Timestamp) -> Self {
        // Yesterday and today: what arrives is delivered at once, however far back the start is.
        let recent = start.max(Day::of(now).plus(-1));
        let backfill = (start < recent).then(|| Backfill {
            next: start,
            until: recent.plus(-1),
            span: 1,
            unconfirmed: None,
        });
        Self {
            version: Self::VERSION,
            start,
            watermark: recent.start(),
            swept_at: None,
            wants_sweep: true,
            unconfirmed: None,
            backfill,
            reads: 0,
        }
    }

    /// The start was moved: days before the old one are backfilled, nothing is forgotten when it moves forward.
    pub fn start_moved(&mut self, start: Day) {
        if start < self.start {
            let until = self
                .backfill
                .as_ref()
                .map_or(self.start.plus(-1), |open| open.until);
            self.backfill = Some(Backfill {
                next: start,
                until,
                span: 1,
                unconfirmed: None,
            });
            self.start = start;
        }
    }
}
