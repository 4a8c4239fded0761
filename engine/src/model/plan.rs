//! Which read a feed needs next: pure decisions over its checkpoint and the time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Backfill, Checkpoint, Day, ReadSummary, Window, counting::Verdict};

/// The rhythm of a feed.
#[derive(Debug, Clone, Copy)]
pub struct Cadence {
    /// How often new events are asked for.
    pub poll_interval: Duration,
    /// How far back a sweep reads, for rows that appear late.
    pub late_window: Duration,
    /// How often the late window is swept.
    pub sweep_interval: Duration,
}

/// One read of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Quick and shallow: newest first, stops after a page whose rows are all known.
    Tail(Window),
    /// Complete: all pages of the late window and of what is not yet complete before it.
    Sweep(Window),
    /// Complete, of closed days only: their counts could not be confirmed while today is busy.
    Closed(Window),
    /// Complete, of older days.
    Backfill(Window),
}

impl Read {
    /// The days it reads.
    pub fn window(self) -> Window {
        match self {
            Self::Tail(window) | Self::Sweep(window) | Self::Closed(window) | Self::Backfill(window) => {
                window
            }
        }
    }

    /// The word in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tail(_) => "tail",
            Self::Sweep(_) => "sweep",
            Self::Closed(_) => "closed",
            Self::Backfill(_) => "backfill",
        }
    }
}

/// Shortly after midnight the tail still looks at yesterday, whose last rows may just be appearing.
const MIDNIGHT_REACH: SignedDuration = SignedDuration::from_hours(1);

/// Complete reads that may disagree in a row before they wait for the next sweep's turn: a busy day agrees when it is
/// over, and asking again at each poll would only spend the budget.
const PATIENCE: u32 = 6;

/// Rows a page of a complete read; they alternate so that page edges move between reads.
const PAGE_SIZES: [u32; 2] = [300, 293];

/// The page size of a read: another one than that of the read it is to confirm, else they alternate.
pub fn page_size(checkpoint: &Checkpoint, read: Read) -> u32 {
    let [one, other] = PAGE_SIZES;
    match open_read(checkpoint, read).filter(|open| open.window == read.window()) {
        Some(open) if open.page_size == one => other,
        Some(_) => one,
        None if checkpoint.reads.is_multiple_of(2) => one,
        None => other,
    }
}

/// The complete read whose counts this one may confirm.
pub fn open_read(checkpoint: &Checkpoint, read: Read) -> Option<&ReadSummary> {
    match read {
        Read::Tail(_) => None,
        Read::Sweep(_) | Read::Closed(_) => checkpoint.unconfirmed.as_ref(),
        Read::Backfill(_) => checkpoint.backfill.as_ref()?.unconfirmed.as_ref(),
    }
}

/// The read that keeps a feed current: a sweep where one is due, else the tail. `frugal` is set when the request
/// budget runs low, so that sweeps wait first.
pub fn next_current(checkpoint: &Checkpoint, cadence: &Cadence, now: Timestamp, frugal: bool) -> Read {
    let today = Day::of(now);
    let due = checkpoint
        .swept_at
        .is_none_or(|swept_at| elapsed(swept_at, now) >= cadence.sweep_interval);
    let behind = Day::of(checkpoint.watermark) < today.plus(-1);
    let confirm = checkpoint
        .unconfirmed
        .as_ref()
        .is_some_and(|open| open.tries < PATIENCE);
    let wait = frugal && !behind && checkpoint.swept_at.is_some();
    if wait || !(due || confirm || checkpoint.wants_sweep) {
        return tail(checkpoint, now);
    }
    let window = sweep_window(checkpoint, cadence, now);
    match closed_window(checkpoint, today) {
        Some(closed) if !due && !checkpoint.wants_sweep => Read::Closed(closed),
        _ => Read::Sweep(window),
    }
}

/// The next read of older days, if any are open.
pub fn next_backfill(checkpoint: &Checkpoint, now: Timestamp) -> Option<Read> {
    let backfill = checkpoint.backfill.as_ref()?;
    // Days that Zoom has dropped meanwhile cannot be read any more.
    let from = backfill.next.max(oldest(now));
    let window = match &backfill.unconfirmed {
        Some(open) if open.window.from >= from => open.window,
        _ => Window::new(
            from,
            from.plus(backfill.span.clamp(1, Window::MAX_DAYS) - 1)
                .min(backfill.until.max(from)),
        ),
    };
    Some(Read::Backfill(window))
}

fn tail(checkpoint: &Checkpoint, now: Timestamp) -> Read {
    let recent = Day::of(now.saturating_sub(MIDNIGHT_REACH).unwrap_or(now));
    Read::Tail(Window::new(
        recent.max(checkpoint.start).min(Day::of(now)),
        Day::of(now),
    ))
}

fn sweep_window(checkpoint: &Checkpoint, cadence: &Cadence, now: Timestamp) -> Window {
    let today = Day::of(now);
    let reach = Day::of(checkpoint.watermark).min(today).back(cadence.late_window);
    // The days of an open backfill are its own; a sweep that reached into them would read them twice.
    let first = checkpoint
        .backfill
        .as_ref()
        .map_or(checkpoint.start, |backfill| backfill.until.plus(1));
    // However far it reaches back, a window must end behind the watermark, or nothing would ever move.
    let reach = reach.max(
        Day::of(checkpoint.watermark)
            .min(today)
            .plus(2 - Window::MAX_DAYS),
    );
    let from = reach.max(first).max(oldest(now)).min(today);
    Window::new(from, from.plus(Window::MAX_DAYS - 1).min(today))
}

/// The closed days to confirm by themselves, where some are uncertain: a read that held today disagreed, or such a read
/// has begun.
fn closed_window(checkpoint: &Checkpoint, today: Day) -> Option<Window> {
    let open = checkpoint.unconfirmed.as_ref()?;
    let begun = open.window.to < today;
    let closed = open.oldest_surplus < today && open.oldest_surplus != Day::UNDATED;
    let disagreed = open.tries >= 2;
    (closed && (begun || disagreed) && open.window.from < today)
        .then(|| Window::new(open.window.from, open.window.to.min(today.plus(-1))))
}

fn oldest(now: Timestamp) -> Day {
    Day::from_date(engine_api::SourceSpec::oldest_day(now))
}

fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    // A clock that was put back must not stop the sweeps until it has caught up.
    Duration::try_from(now.duration_since(since)).unwrap_or(Duration::MAX)
}

/// How a read ended, for the checkpoint.
#[derive(Debug)]
pub enum End {
    /// The tail reached rows that are all known.
    TailKnown {
        /// Only a complete read can settle what it saw on the way.
        unsettled: bool,
    },
    /// All pages were read.
    Complete(Option<ReadSummary>),
}

impl From<&Verdict> for End {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Certain | Verdict::Confirmed(_) => Self::Complete(None),
            Verdict::Open(summary) => Self::Complete(Some(summary.clone())),
        }
    }
}

/// Notes, with a page's rows, that the read has not seen what lies behind them: if it breaks off here, the next tail
/// would stop at rows that are known by now, so a sweep is due.
pub fn underway(checkpoint: &mut Checkpoint, read: Read) {
    checkpoint.wants_sweep |= !matches!(read, Read::Backfill(_));
}

/// Moves the checkpoint over a read that began at `began` (law L4: by complete reads only, never back).
pub fn advance(checkpoint: &mut Checkpoint, read: Read, began: Timestamp, pages: u64, end: End) {
    let open = match end {
        End::TailKnown { unsettled } => {
            checkpoint.wants_sweep |= unsettled;
            return;
        }
        End::Complete(open) => open,
    };
    checkpoint.reads += 1;
    let window = read.window();
    if !matches!(read, Read::Backfill(_)) {
        claim(checkpoint, window, began, open.as_ref());
    }
    match read {
        Read::Tail(_) => checkpoint.wants_sweep |= open.is_some(),
        Read::Sweep(_) => {
            if window.to >= Day::of(began) {
                checkpoint.swept_at = Some(began);
                checkpoint.wants_sweep = false;
            }
            checkpoint.unconfirmed = open;
        }
        // What is still open of today is looked at by the next sweep that is due: asking at each poll of a busy day
        // would only spend the budget.
        Read::Closed(_) => checkpoint.unconfirmed = open,
        Read::Backfill(_) => {
            if let Some(backfill) = &mut checkpoint.backfill {
                // Days that are long over do not go on changing; where they seem to, rows have vanished at Zoom, and
                // no further read would agree either.
                let settled = open.as_ref().is_none_or(|open| open.tries >= PATIENCE);
                backfill.unconfirmed = open.filter(|_| !settled);
                if settled && step(backfill, window, pages) {
                    checkpoint.backfill = None;
                }
            }
        }
    }
}

/// Moves the watermark as far as a complete read allows.
fn claim(checkpoint: &mut Checkpoint, window: Window, began: Timestamp, open: Option<&ReadSummary>) {
    // No unread day may lie before the window, but for days that Zoom itself has dropped.
    if window.from > Day::of(checkpoint.watermark).max(oldest(began)) {
        return;
    }
    let end = if window.to >= Day::of(began) {
        began
    } else {
        window.to.plus(1).start()
    };
    // Nor may a day be claimed of which rows were seen that are not in the log yet.
    let certain = match open {
        Some(open) if open.oldest_surplus != Day::UNDATED => open.oldest_surplus.start(),
        _ => began,
    };
    checkpoint.watermark = checkpoint.watermark.max(end.min(certain).min(began));
}

/// Moves a backfill behind a window that is complete; `true` when nothing is left of it.
fn step(backfill: &mut Backfill, window: Window, pages: u64) -> bool {
    backfill.next = window.to.plus(1);
    // Long enough that requests are not wasted on empty days, short enough that the tail never waits for long.
    backfill.span = match pages {
        0..=50 => (backfill.span * 2).min(Window::MAX_DAYS),
        51..=200 => backfill.span,
        _ => (backfill.span / 2).max(1),
    };
    backfill.next > backfill.until
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
