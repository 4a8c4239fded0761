//! What a read changes in a checkpoint: pure.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Backfill, Checkpoint, Day, ReadSummary, Window,
    counting::Verdict,
    plan::{PATIENCE, Read, oldest},
};

/// How long Zoom goes on with a page token.
pub const TOKEN_LIFE: Duration = Duration::from_mins(15);

/// A read that was begun, and how far it came.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// What was read.
    pub read: Read,
    /// When it began, by our clock or Zoom's, whichever is behind.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How many pages it read.
    pub pages: u64,
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

/// Moves the checkpoint over a tail, sweep or confirming read (law L4: by complete reads only, never back).
pub fn advance(checkpoint: &mut Checkpoint, done: Done, end: End) {
    let open = match end {
        End::TailKnown { unsettled } => {
            checkpoint.wants_sweep |= unsettled;
            return;
        }
        End::Complete(open) => open,
    };
    checkpoint.reads += 1;
    let window = done.read.window();
    claim(checkpoint, window, done.began, open.as_ref());
    if matches!(done.read, Read::Tail(_)) {
        checkpoint.wants_sweep |= open.is_some();
        return;
    }
    // This read says more about its days than any before it. What an earlier one left open before them, as the days go
    // on and the sweeps with them, is still to be confirmed; for days that Zoom has dropped it never will.
    let rest: Vec<_> = checkpoint
        .open
        .iter()
        .filter_map(|open| open.before(window.from))
        .collect();
    checkpoint.open.retain(|open| {
        let apart = open.window.to < window.from || window.to < open.window.from;
        apart && open.window.from >= oldest(done.began)
    });
    checkpoint.open.extend(rest);
    checkpoint.open.extend(open);
    if matches!(done.read, Read::Sweep(_)) {
        let goes_on = checkpoint.sweeping == Some(window.from);
        let began = checkpoint.sweep_began.filter(|_| goes_on).unwrap_or(done.began);
        let whole = window.to >= Day::of(done.began);
        checkpoint.sweeping = (!whole).then(|| window.to.plus(1));
        checkpoint.sweep_began = (!whole).then_some(began);
        if whole {
            checkpoint.swept_at = Some(began);
            checkpoint.wants_sweep = false;
            if done.took < TOKEN_LIFE / 3 {
                checkpoint.span = checkpoint.span.saturating_mul(2).min(Window::MAX_DAYS);
            }
        }
    }
}

/// Moves a backfill over a read of its next window; `true` when nothing is left of it.
pub fn advance_backfill(
    checkpoint: &mut Checkpoint,
    backfill: &mut Backfill,
    done: Done,
    open: Option<ReadSummary>,
) -> bool {
    checkpoint.reads += 1;
    // Days that are long over do not go on changing; where they seem to, rows have vanished at Zoom, and no further
    // read would agree either.
    let settled = open.as_ref().is_none_or(|open| open.tries >= PATIENCE);
    backfill.open = open.filter(|_| !settled);
    if !settled {
        return false;
    }
    backfill.next = done.read.window().to.plus(1);
    // Long enough that requests are not wasted on empty days, short enough that little is lost when one breaks off.
    backfill.span = match done.pages {
        0..=50 => (backfill.span * 2).min(Window::MAX_DAYS),
        51..=200 => backfill.span,
        _ => (backfill.span / 2).max(1),
    };
    backfill.next > backfill.until
}

/// Makes the next read of recent days shorter than this one, whose page tokens expired on the way; `false` where it
/// was a single day already.
pub fn shorten(checkpoint: &mut Checkpoint, read: Read) -> bool {
    let window = read.window();
    let confirms = matches!(read, Read::Confirm(_));
    // A single day says nothing about sweeps, and is still to be confirmed.
    if confirms && window.days() == 1 && checkpoint.open.iter().any(|open| open.window == window) {
        return false;
    }
    checkpoint.span = half(window);
    // A sweep comes back to its days; what is read to be confirmed nobody else would settle.
    let (this, others): (Vec<_>, _) = std::mem::take(&mut checkpoint.open)
        .into_iter()
        .partition(|open| open.window == window);
    checkpoint.open = others;
    if confirms {
        checkpoint
            .open
            .extend(this.into_iter().flat_map(ReadSummary::halves));
    }
    checkpoint.wants_sweep = true;
    window.days() > 1
}

/// As [`shorten`], for older days.
pub fn shorten_backfill(backfill: &mut Backfill, read: Read) -> bool {
    backfill.span = half(read.window());
    backfill.open = None;
    read.window().days() > 1
}

fn half(window: Window) -> i32 {
    (window.days() / 2).max(1)
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
