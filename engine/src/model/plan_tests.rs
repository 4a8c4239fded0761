//! The decisions, checked one by one and over simulated weeks.

use proptest::prelude::*;

use super::*;
use crate::model::progress::{Done, End, TOKEN_LIFE, advance, advance_backfill, shorten, underway};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const CADENCE: Cadence = Cadence {
    poll_interval: Duration::from_mins(1),
    late_window: Duration::from_hours(48),
    sweep_interval: Duration::from_hours(1),
};

fn day(text: &str) -> Day {
    Day::from_date(text.parse().unwrap())
}

fn days(from: &str, to: &str) -> Window {
    Window::new(day(from), day(to))
}

fn new(start: &str, now: Timestamp) -> Checkpoint {
    Checkpoint::new(day(start), now).0
}

fn done(read: Read, began: Timestamp) -> Done {
    Done {
        read,
        began,
        took: Duration::from_secs(1),
        pages: 1,
    }
}

/// The complete read of recent days that is due; there has to be one.
fn sweep(checkpoint: &Checkpoint, now: Timestamp) -> Read {
    next_sweep(checkpoint, &CADENCE, now, false).expect("a sweep is due")
}

fn certain(checkpoint: &mut Checkpoint, read: Read, began: Timestamp) {
    advance(checkpoint, done(read, began), End::Complete(None));
}

fn open(window: Window, oldest: &str, newest: &str, tries: u32) -> ReadSummary {
    ReadSummary {
        window,
        page_size: 300,
        rows: 5,
        digest: 0,
        oldest_surplus: day(oldest),
        newest_surplus: day(newest),
        tries,
    }
}

#[test]
fn a_new_feed_sweeps_recent_days_at_once_and_backfills_older_ones() {
    let now = at("2024-05-10T12:00:00Z");
    let (mut checkpoint, older) = Checkpoint::new(day("2024-05-01"), now);
    let recent = days("2024-05-09", "2024-05-10");
    assert_eq!(sweep(&checkpoint, now), Read::Sweep(recent));
    let mut backfill = Backfill::new(older.unwrap());

    certain(&mut checkpoint, Read::Sweep(recent), now);
    assert_eq!(checkpoint.watermark, now);
    assert_eq!(next_sweep(&checkpoint, &CADENCE, now, false), None);

    let mut windows = Vec::new();
    while let Some(read) = next_backfill(&backfill, now) {
        windows.push(read.window().to_string());
        advance_backfill(&mut checkpoint, &mut backfill, done(read, now), None);
    }
    assert_eq!(
        windows,
        [
            "2024-05-01..2024-05-01",
            "2024-05-02..2024-05-03",
            "2024-05-04..2024-05-07",
            "2024-05-08..2024-05-08"
        ]
    );
    checkpoint.backfilled(older.unwrap());
    assert_eq!(checkpoint.recent, day("2024-05-01"));
    assert_eq!(
        tail(&checkpoint, now),
        Read::Tail(days("2024-05-10", "2024-05-10"))
    );
}

#[test]
fn after_an_outage_the_sweep_reaches_back_to_the_watermark() {
    let mut checkpoint = new("2024-01-01", at("2024-01-01T12:00:00Z"));
    let began = at("2024-01-01T13:00:00Z");
    let read = sweep(&checkpoint, began);
    certain(&mut checkpoint, read, began);
    let now = at("2024-02-20T00:30:00Z");
    let read = next_sweep(&checkpoint, &CADENCE, now, true).unwrap();
    assert_eq!(read, Read::Sweep(days("2024-01-01", "2024-01-28")));
    certain(&mut checkpoint, read, now);
    assert_eq!(
        checkpoint.watermark,
        at("2024-01-29T00:00:00Z"),
        "the claim ends with the window"
    );
    assert_eq!(checkpoint.swept_at, Some(began), "not swept up to today yet");
    let read = sweep(&checkpoint, now);
    assert_eq!(read, Read::Sweep(days("2024-01-29", "2024-02-20")));
    certain(&mut checkpoint, read, now);
    assert_eq!((checkpoint.watermark, checkpoint.swept_at), (now, Some(now)));
}

#[test]
fn a_tail_that_broke_off_asks_for_a_sweep() {
    let now = at("2024-05-10T12:00:00Z");
    let mut checkpoint = new("2024-05-10", now);
    let first = sweep(&checkpoint, now);
    certain(&mut checkpoint, first, now);
    let tail = tail(&checkpoint, now);
    underway(&mut checkpoint, tail);
    assert!(matches!(sweep(&checkpoint, now), Read::Sweep(_)));
}

#[test]
fn a_confirming_read_never_has_the_size_of_the_read_it_confirms() {
    let now = at("2024-05-10T12:00:00Z");
    let (mut checkpoint, older) = Checkpoint::new(day("2024-05-01"), now);
    let mut backfill = Backfill::new(older.unwrap());
    let read = next_backfill(&backfill, now).unwrap();
    let first = page_size(&checkpoint, open_read(&checkpoint, Some(&backfill), read));
    let summary = ReadSummary {
        page_size: first,
        ..open(read.window(), "2024-05-01", "2024-05-01", 1)
    };
    advance_backfill(&mut checkpoint, &mut backfill, done(read, now), Some(summary));
    // A quiet account's tail is a complete read too, and must not shift the sizes.
    for _ in 0..3 {
        assert_eq!(next_backfill(&backfill, now), Some(read));
        assert_ne!(
            page_size(&checkpoint, open_read(&checkpoint, Some(&backfill), read)),
            first
        );
        let tail = tail(&checkpoint, now);
        certain(&mut checkpoint, tail, now);
    }
}

#[test]
fn days_that_zoom_has_dropped_are_no_gap_of_ours() {
    let mut checkpoint = new("2024-01-01", at("2024-01-01T12:00:00Z"));
    let mut now = at("2024-08-20T00:30:00Z");
    let mut sweeps = 0;
    while Day::of(checkpoint.watermark) < Day::of(now) {
        let read = sweep(&checkpoint, now);
        certain(&mut checkpoint, read, now);
        now = now.checked_add(SignedDuration::from_secs(1)).unwrap();
        sweeps += 1;
        assert!(sweeps < 20, "{:?}", checkpoint.watermark);
    }
    let forgotten = Backfill::new(days("2024-01-01", "2024-01-05"));
    assert_eq!(next_backfill(&forgotten, now), None);
}

#[test]
fn a_late_window_as_long_as_a_request_does_not_stop_the_watermark() {
    let cadence = Cadence {
        late_window: Duration::from_hours(24 * 30),
        ..CADENCE
    };
    let mut now = at("2024-03-01T00:30:00Z");
    let mut checkpoint = new("2024-01-01", now);
    for _ in 0..5 {
        let read = next_sweep(&checkpoint, &cadence, now, false).unwrap();
        certain(&mut checkpoint, read, now);
        assert_eq!(checkpoint.watermark, now);
        now = now.checked_add(SignedDuration::from_hours(20)).unwrap();
    }
}

#[test]
fn the_claim_ends_before_a_day_whose_counts_are_open() {
    let now = at("2024-05-10T12:00:00Z");
    let mut checkpoint = new("2024-05-08", now);
    checkpoint.watermark = at("2024-05-08T00:00:00Z");
    let window = days("2024-05-08", "2024-05-10");
    let open = open(window, "2024-05-09", "2024-05-10", 1);
    advance(
        &mut checkpoint,
        done(Read::Sweep(window), now),
        End::Complete(Some(open)),
    );
    assert_eq!(checkpoint.watermark, at("2024-05-09T00:00:00Z"));
}

#[test]
fn closed_days_are_confirmed_by_themselves_when_today_is_busy() {
    let now = at("2024-05-10T12:00:00Z");
    let mut checkpoint = new("2024-05-09", now);
    let whole = days("2024-05-09", "2024-05-10");
    let uncertain = |checkpoint: &mut Checkpoint, read: Read, tries| {
        let open = open(read.window(), "2024-05-09", "2024-05-09", tries);
        advance(checkpoint, done(read, now), End::Complete(Some(open)));
    };
    uncertain(&mut checkpoint, Read::Sweep(whole), 1);
    assert_eq!(
        sweep(&checkpoint, now),
        Read::Sweep(whole),
        "the whole window again first"
    );
    uncertain(&mut checkpoint, Read::Sweep(whole), 2);
    let closed = Read::Confirm(days("2024-05-09", "2024-05-09"));
    assert_eq!(sweep(&checkpoint, now), closed);
    uncertain(&mut checkpoint, closed, 1);
    assert_eq!(sweep(&checkpoint, now), closed);
    certain(&mut checkpoint, closed, now);
    assert_eq!(next_sweep(&checkpoint, &CADENCE, now, false), None);
}

#[test]
fn a_window_that_outlives_its_page_tokens_is_read_in_parts() {
    let now = at("2024-05-10T12:00:00Z");
    let mut checkpoint = new("2024-05-01", now);
    certain(
        &mut checkpoint,
        Read::Sweep(days("2024-05-09", "2024-05-10")),
        at("2024-05-08T00:00:00Z"),
    );
    checkpoint.recent = day("2024-05-01");
    let cadence = Cadence {
        late_window: Duration::from_hours(72),
        ..CADENCE
    };
    let next = |checkpoint: &Checkpoint| next_sweep(checkpoint, &cadence, now, false);
    let whole = days("2024-05-07", "2024-05-10");
    checkpoint.watermark = now;
    assert_eq!(next(&checkpoint), Some(Read::Sweep(whole)));
    assert!(shorten(&mut checkpoint, Read::Sweep(whole)));
    let parts = [days("2024-05-07", "2024-05-08"), days("2024-05-09", "2024-05-10")];
    for part in parts {
        assert_eq!(next(&checkpoint), Some(Read::Sweep(part)));
        let slow = Done {
            took: TOKEN_LIFE / 2,
            ..done(Read::Sweep(part), now)
        };
        advance(&mut checkpoint, slow, End::Complete(None));
    }
    assert_eq!(next(&checkpoint), None, "both parts together are one sweep");
    assert_eq!(checkpoint.span, 2);
    let day = Read::Sweep(days("2024-05-10", "2024-05-10"));
    assert!(!shorten(&mut checkpoint, day), "nothing is shorter than a day");
    // A sweep that was quick lets the next one take more.
    certain(&mut checkpoint, day, now);
    assert_eq!(checkpoint.span, 2);
}

#[test]
fn the_start_may_move_back_and_what_joins_is_swept() {
    let now = at("2024-05-10T12:00:00Z");
    let mut checkpoint = new("2024-05-09", now);
    assert_eq!(checkpoint.start_moved(day("2024-05-10")), None);
    let older = checkpoint.start_moved(day("2024-05-01")).unwrap();
    assert_eq!(older, days("2024-05-01", "2024-05-08"));
    checkpoint.backfilled(days("2024-04-01", "2024-04-20"));
    assert_eq!(checkpoint.recent, day("2024-05-09"));
    checkpoint.backfilled(older);
    assert_eq!(checkpoint.recent, day("2024-05-01"));
}

proptest! {
    /// L4: whatever happens, the watermark never moves back and never passes the time at which a read began; windows
    /// are never longer than Zoom allows; and every day from the start on is read completely in the end.
    #[test]
    fn the_watermark_is_a_claim(
        steps in proptest::collection::vec((0_i64..200_000, 0_u8..6, any::<bool>()), 1..80),
        start_back in 0_i32..60,
    ) {
        let mut now = at("2024-02-25T00:00:00Z");
        let start = Day::of(now).plus(-start_back);
        let (mut checkpoint, older) = Checkpoint::new(start, now);
        let mut backfill = older.map(Backfill::new);
        let mut complete: std::collections::BTreeMap<Day, Timestamp> = std::collections::BTreeMap::new();
        for (seconds, outcome, frugal) in steps {
            now = now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
            let mut reads = vec![tail(&checkpoint, now)];
            reads.extend(next_sweep(&checkpoint, &CADENCE, now, frugal));
            for read in reads {
                let window = read.window();
                prop_assert!(window.days() <= Window::MAX_DAYS && window.to <= Day::of(now));
                let before = checkpoint.watermark;
                let read_days = || (0..window.days()).map(|offset| (window.from.plus(offset), now));
                match outcome {
                    0 => underway(&mut checkpoint, read),
                    1 if matches!(read, Read::Tail(_)) => advance(&mut checkpoint, done(read, now), End::TailKnown { unsettled: false }),
                    2 if !matches!(read, Read::Tail(_)) => {
                        shorten(&mut checkpoint, read);
                    }
                    3 => {
                        // A day counts as complete only before the oldest that is open.
                        let surplus = window.from.plus(window.days() / 2);
                        complete.extend(read_days().filter(|(day, _)| *day < surplus));
                        let open = ReadSummary {
                            oldest_surplus: surplus,
                            newest_surplus: window.to,
                            ..open(window, "2024-01-01", "2024-01-01", 1)
                        };
                        advance(&mut checkpoint, done(read, now), End::Complete(Some(open)));
                    }
                    _ => {
                        complete.extend(read_days());
                        certain(&mut checkpoint, read, now);
                    }
                }
                prop_assert!(checkpoint.watermark >= before);
                prop_assert!(checkpoint.watermark <= now);
                // The claim: each day from the recent start to the watermark was read completely after it ended, or
                // up to the watermark itself.
                let mut day = start.max(checkpoint.recent);
                while day < Day::of(checkpoint.watermark) {
                    prop_assert!(complete.get(&day).is_some_and(|read| *read >= day.plus(1).start()), "{day}");
                    day = day.plus(1);
                }
            }
            if let Some(open) = &mut backfill && let Some(read) = next_backfill(open, now) {
                prop_assert!(read.window().days() <= Window::MAX_DAYS && read.window().to < Day::of(now));
                let before = open.next;
                advance_backfill(&mut checkpoint, open, done(read, now), None);
                prop_assert!(open.next > before);
            }
        }
    }
}
