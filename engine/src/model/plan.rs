//! Which read a feed needs next: pure decisions over its checkpoint and the time. What a read changes is in
//! [`progress`](super::progress).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Backfill, Checkpoint, Day, Purpose, ReadSummary, Window};

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
    /// Quick and shallow: newest first, stops after a page whose last rows are known.
    Tail(Window),
    /// Complete: all pages of the late window and of what is not yet complete before it, or a part of these days.
    Sweep(Window),
    /// Complete: once more what a complete read has left open.
    Confirm(Window),
    /// Complete, of older days.
    Backfill(Window),
}

impl Read {
    /// The days it reads.
    pub fn window(self) -> Window {
        match self {
            Self::Tail(window) | Self::Sweep(window) | Self::Confirm(window) | Self::Backfill(window) => {
                window
            }
        }
    }

    /// The word in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tail(_) => "tail",
            Self::Sweep(_) => "sweep",
            Self::Confirm(_) => "confirm",
            Self::Backfill(_) => "backfill",
        }
    }

    /// What its requests are for.
    pub fn purpose(self) -> Purpose {
        match self {
            Self::Tail(_) => Purpose::Tail,
            Self::Sweep(_) | Self::Confirm(_) => Purpose::Sweep,
            Self::Backfill(_) => Purpose::Backfill,
        }
    }
}

/// When a feed that was polled at `began` is polled next. Each has a phase of its own within the interval, drawn by `chance`:
/// however many feeds were polled at once, from the next poll on they are spread evenly, and none later than an interval
/// after the poll before it.
pub fn next_poll(began: Timestamp, interval: Duration, chance: u32) -> Timestamp {
    let length = i128::try_from(interval.as_millis()).unwrap_or(i128::MAX).max(1);
    let phase = length * i128::from(chance) / (i128::from(u32::MAX) + 1);
    let earliest = i128::from(began.as_millisecond()) + 1;
    let due = earliest + (phase - earliest).rem_euclid(length);
    let due = i64::try_from(due)
        .ok()
        .and_then(|due| Timestamp::from_millisecond(due).ok());
    due.unwrap_or(Timestamp::MAX)
}

/// Shortly after midnight the tail still looks at yesterday, whose last rows may just be appearing.
const MIDNIGHT_REACH: SignedDuration = SignedDuration::from_hours(1);

/// Complete reads that may disagree in a row before they wait for the next sweep's turn: a busy day agrees when it is
/// over, and asking again at each poll would only spend the budget.
pub(super) const PATIENCE: u32 = 6;

/// Rows a page of a complete read; they alternate so that page edges move between reads.
const PAGE_SIZES: [u32; 2] = [300, 293];

/// The page size of a read that may have to confirm `open`: another one than that read had, else they alternate.
pub fn page_size(checkpoint: &Checkpoint, open: Option<&ReadSummary>) -> u32 {
    let [one, other] = PAGE_SIZES;
    match open {
        Some(open) if open.page_size == one => other,
        Some(_) => one,
        None if checkpoint.reads.is_multiple_of(2) => one,
        None => other,
    }
}

/// The complete read whose counts this one may confirm: the last one of the very same window.
pub fn open_read<'a>(
    checkpoint: &'a Checkpoint,
    backfill: Option<&'a Backfill>,
    read: Read,
) -> Option<&'a ReadSummary> {
    let same = |open: &&ReadSummary| open.window == read.window();
    match read {
        Read::Tail(_) => None,
        Read::Sweep(_) | Read::Confirm(_) => checkpoint.open.iter().find(same),
        Read::Backfill(_) => backfill?.open.as_ref().filter(same),
    }
}

/// The read for new events.
pub fn tail(checkpoint: &Checkpoint, now: Timestamp) -> Read {
    let recent = Day::of(now.saturating_sub(MIDNIGHT_REACH).unwrap_or(now));
    let from = recent.max(checkpoint.start).min(Day::of(now));
    Read::Tail(Window::new(from, Day::of(now)))
}

/// What a poll finds when it begins.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// The time.
    pub now: Timestamp,
    /// Whether the request budget runs low, so that sweeps wait.
    pub frugal: bool,
    /// Whether this poll has failed already to read what a sweep does not wait for.
    pub left_behind: bool,
}

/// The complete read of recent days that is due, if any is. `older` are the days of the backfill under way.
pub fn next_sweep(
    checkpoint: &Checkpoint,
    older: Option<Window>,
    cadence: &Cadence,
    turn: Turn,
) -> Option<Read> {
    let Turn {
        now,
        frugal,
        left_behind,
    } = turn;
    let behind = Day::of(checkpoint.watermark) < Day::of(now).plus(-1);
    if frugal && !behind && checkpoint.swept_at.is_some() {
        return None;
    }
    let due = checkpoint
        .swept_at
        .is_none_or(|swept_at| elapsed(swept_at, now) >= cadence.sweep_interval);
    let whole = sweep_days(checkpoint, older, cadence, now);
    // What sweeps do not reach any more nobody else would settle. It is few days, each read a few times at most, and one
    // before each sweep: so a day that Zoom never lets us read to its end costs no more than that, and the sweep follows.
    let left = |open: &&ReadSummary| open.tries < PATIENCE && open.window.from >= oldest(now);
    let before = |open: &&ReadSummary| open.window.to < whole.from;
    if due || checkpoint.wants_sweep || checkpoint.sweeping.is_some() {
        if checkpoint.sweeping.is_none()
            && !left_behind
            && let Some(open) = checkpoint.open.iter().filter(before).find(left)
        {
            return Some(Read::Confirm(open.window));
        }
        let goes_on = checkpoint.sweeping.filter(|day| whole.contains(*day));
        return Some(Read::Sweep(part(
            Window::new(goes_on.unwrap_or(whole.from), whole.to),
            checkpoint.span,
        )));
    }
    let open = checkpoint.open.iter().filter(|open| !before(open)).find(left)?;
    let window = closed_days(open, Day::of(now)).unwrap_or(open.window);
    Some(if window == whole {
        Read::Sweep(window)
    } else {
        Read::Confirm(window)
    })
}

/// The next read of older days; `None` when none are left that Zoom still has.
pub fn next_backfill(backfill: &Backfill, now: Timestamp) -> Option<Read> {
    // Days that Zoom has dropped meanwhile cannot be read any more.
    let from = backfill.next.max(oldest(now));
    let days = (from <= backfill.until).then(|| Window::new(from, backfill.until))?;
    let window = match &backfill.open {
        Some(open) if open.window.from >= from => open.window,
        _ => part(days, backfill.span),
    };
    Some(Read::Backfill(window))
}

/// The first days of a window.
fn part(days: Window, span: i32) -> Window {
    let last = days.from.plus(span.clamp(1, Window::MAX_DAYS) - 1);
    Window::new(days.from, last.min(days.to))
}

/// All days of a sweep, which may be more than one read takes.
///
/// A row that appears at most the late window after its own time is found by the first sweep that begins after it
/// appeared. The sweep before may have passed its day a moment earlier, however long ago that is; so the reach is
/// counted from when that one began. From the watermark, so that no day is left out of the claim. And from one interval
/// ago, should a clock that was ahead have noted the last sweep as later than it was.
fn sweep_days(checkpoint: &Checkpoint, older: Option<Window>, cadence: &Cadence, now: Timestamp) -> Window {
    let today = Day::of(now);
    let interval = SignedDuration::try_from(cadence.sweep_interval).unwrap_or(SignedDuration::MAX);
    let due_before = now.saturating_sub(interval).unwrap_or(Timestamp::MIN);
    let since = checkpoint.swept_at.map_or(checkpoint.watermark, |swept_at| {
        swept_at.min(checkpoint.watermark).min(due_before)
    });
    let from = Day::of(since)
        .back(cadence.late_window)
        .max(checkpoint.looked_after(older))
        .max(oldest(now));
    Window::new(from.min(today), today)
}

/// The closed days to confirm by themselves, where some are uncertain: a read that held today disagreed, so today is
/// too busy for two reads to agree.
fn closed_days(open: &ReadSummary, today: Day) -> Option<Window> {
    let closed = open.oldest_surplus < today && open.oldest_surplus != Day::UNDATED;
    (closed && open.tries >= 2 && open.window.from < today)
        .then(|| Window::new(open.window.from, open.window.to.min(today.plus(-1))))
}

pub(super) fn oldest(now: Timestamp) -> Day {
    Day::from_date(engine_api::SourceSpec::oldest_day(now))
}

fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    // A clock that was put back must not stop the sweeps until it has caught up.
    Duration::try_from(now.duration_since(since)).unwrap_or(Duration::MAX)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
