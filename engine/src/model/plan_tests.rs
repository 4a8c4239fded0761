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
    next_sweep(checkpoint, None, &CADENCE, now, false).expect("a sweep is due")
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
    assert_eq!(next_sweep(&checkpoint, None, &CADENCE, now, false), None);

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
    let read = next_sweep(&checkpoint, None, &CADENCE, now, true).unwrap();
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
    let later = at("2024-02-20T00:40:00Z");
    certain(&mut checkpoint, read, later);
    assert_eq!(checkpoint.watermark, later);
    assert_eq!(
        checkpoint.swept_at,
        Some(now),
        "what came after its first part was read is left to the next one"
    );
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
        while checkpoint.swept_at != Some(now) {
            let read = next_sweep(&checkpoint, None, &cadence, now, false).unwrap();
            assert!(read.window().days() <= Window::MAX_DAYS);
            certain(&mut checkpoint, read, now);
        }
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
    assert_eq!(next_sweep(&checkpoint, None, &CADENCE, now, false), None);
}

#[test]
fn a_window_that_outlives_its_page_tokens_is_read_in_parts() {
    let now = at("2024-05-10T12:00:00Z");
    let mut checkpoint = new("2024-05-01", now);
    certain(
        &mut checkpoint,
        Read::Sweep(days("2024-05-09", "2024-05-10")),
        at("2024-05-10T10:00:00Z"),
    );
    checkpoint.recent = day("2024-05-01");
    let cadence = Cadence {
        late_window: Duration::from_hours(72),
        ..CADENCE
    };
    let next = |checkpoint: &Checkpoint| next_sweep(checkpoint, None, &cadence, now, false);
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
fn a_sweep_reaches_back_from_the_one_before_and_not_from_what_a_tail_has_claimed_since() {
    let mut checkpoint = new("2024-05-01", at("2024-05-01T12:00:00Z"));
    checkpoint.recent = day("2024-05-01");
    checkpoint.watermark = at("2024-05-08T12:00:00Z");
    let swept = at("2024-05-08T12:00:00Z");
    certain(
        &mut checkpoint,
        Read::Sweep(days("2024-05-06", "2024-05-08")),
        swept,
    );
    // The budget put the sweep off for two days, while each quiet tail was a complete read of its day.
    for (text, day) in [
        ("2024-05-09T00:30:00Z", "2024-05-08"),
        ("2024-05-10T00:30:00Z", "2024-05-09"),
    ] {
        let window = Window::new(self::day(day), Day::of(at(text)));
        certain(&mut checkpoint, Read::Tail(window), at(text));
    }
    let now = at("2024-05-10T02:00:00Z");
    assert_eq!(checkpoint.watermark, at("2024-05-10T00:30:00Z"));
    // A row of the 6th may have come on the 8th, right after its page was read.
    assert_eq!(
        sweep(&checkpoint, now),
        Read::Sweep(days("2024-05-06", "2024-05-10"))
    );
}

#[test]
fn days_that_an_open_backfill_has_passed_are_swept() {
    let now = at("2024-05-10T12:00:00Z");
    let (mut checkpoint, older) = Checkpoint::new(day("2024-04-01"), now);
    let first = sweep(&checkpoint, now);
    assert_eq!(
        first,
        Read::Sweep(days("2024-05-09", "2024-05-10")),
        "what is new first"
    );
    certain(&mut checkpoint, first, now);
    let later = at("2024-05-10T13:00:00Z");
    let next = |checkpoint: &Checkpoint, older| next_sweep(checkpoint, older, &CADENCE, later, false);
    let reached = Some(Read::Sweep(days("2024-05-08", "2024-05-10")));
    assert_eq!(next(&checkpoint, older), reached);
    // One that was asked for, of days before the start.
    checkpoint.start = day("2024-05-09");
    let asked = days("2024-05-01", "2024-05-08");
    assert_eq!(next(&checkpoint, Some(asked)), reached);
    let apart = days("2024-05-01", "2024-05-07");
    let without = Some(Read::Sweep(days("2024-05-09", "2024-05-10")));
    assert_eq!(
        next(&checkpoint, Some(apart)),
        without,
        "nobody asked for the day between"
    );
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

/// Rows by when they appeared and when they happened, and those that a read has shown.
#[derive(Default)]
struct Truth {
    rows: Vec<(Timestamp, Timestamp)>,
    shown: std::collections::BTreeSet<usize>,
}

impl Truth {
    fn read(&mut self, window: Window, now: Timestamp) {
        let seen =
            |(appeared, time): &(Timestamp, Timestamp)| *appeared <= now && window.contains(Day::of(*time));
        let shown = self.rows.iter().enumerate().filter(|(_, row)| seen(row));
        self.shown.extend(shown.map(|(number, _)| number));
    }

    fn unseen(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let rows = self.rows.iter().enumerate();
        rows.filter(|(number, _)| !self.shown.contains(number))
            .map(|(_, row)| *row)
    }
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
            reads.extend(next_sweep(&checkpoint, None, &CADENCE, now, frugal));
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

    /// The promise of the late window: a row that appears at most so long after its own time is shown by the first
    /// sweep that begins after it appeared, whatever the sweeps before it were put off by, cut into, or broke off at,
    /// and whether a backfill has its day before it, behind it, or is at it.
    #[test]
    fn a_row_within_the_late_window_is_found_by_the_next_sweep(
        late_hours in 1_i64..7 * 24,
        start_back in 0_i32..20,
        steps in proptest::collection::vec((0_i64..150_000, 0_i64..1_000_000, 0_u8..8), 1..60),
    ) {
        let hours = |hours| SignedDuration::from_hours(hours);
        let cadence = Cadence { late_window: Duration::try_from(hours(late_hours)).unwrap(), ..CADENCE };
        let mut now = at("2024-02-25T00:00:00Z");
        let start = Day::of(now).plus(-start_back);
        let (mut checkpoint, older) = Checkpoint::new(start, now);
        let mut backfill = older.map(Backfill::new);
        let mut truth = Truth::default();
        let mut first = None;
        for (seconds, lateness, outcome) in steps {
            now += SignedDuration::from_secs(seconds);
            truth.rows.push((now - SignedDuration::from_secs(1), now - SignedDuration::from_secs(lateness % (late_hours * 3_600))));
            let running = older.filter(|_| backfill.is_some());
            match (next_sweep(&checkpoint, running, &cadence, now, outcome == 0), outcome) {
                (Some(read), 1) => {
                    shorten(&mut checkpoint, read);
                }
                (Some(read), 2) => underway(&mut checkpoint, read),
                (Some(read), _) => {
                    first = first.or(Some(now));
                    truth.read(read.window(), now);
                    certain(&mut checkpoint, read, now);
                }
                (None, _) => {
                    // A tail on a quiet day is a complete read.
                    let read = tail(&checkpoint, now);
                    truth.read(read.window(), now);
                    certain(&mut checkpoint, read, now);
                }
            }
            if outcome > 4 && checkpoint.swept_at.is_some()
                && let Some(open) = &mut backfill && let Some(read) = next_backfill(open, now) {
                truth.read(read.window(), now);
                if advance_backfill(&mut checkpoint, open, done(read, now), None) {
                    checkpoint.backfilled(older.unwrap());
                    backfill = None;
                }
            }
        }
        now += hours(2);
        let running = older.filter(|_| backfill.is_some());
        while checkpoint.swept_at != Some(now) {
            let read = next_sweep(&checkpoint, running, &cadence, now, false).unwrap();
            truth.read(read.window(), now);
            certain(&mut checkpoint, read, now);
            if checkpoint.sweeping.is_none() && checkpoint.swept_at != Some(now) {
                // A sweep that began before went to its end; the next one is it.
                checkpoint.wants_sweep = true;
            }
        }
        let first = first.unwrap_or(now);
        for (appeared, time) in truth.unseen() {
            prop_assert!(Day::of(time) < start || appeared < first, "of {time}, appeared {appeared}");
        }
        // What was there before the first sweep is the backfill's.
        while let Some(open) = &mut backfill && let Some(read) = next_backfill(open, now) {
            truth.read(read.window(), now);
            advance_backfill(&mut checkpoint, open, done(read, now), None);
        }
        for (appeared, time) in truth.unseen() {
            prop_assert!(Day::of(time) < start, "of {time}, appeared {appeared}");
        }
    }
}
