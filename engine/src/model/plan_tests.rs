//! The decisions, checked one by one; `plan_properties.rs` checks them over simulated weeks.

use super::*;
use crate::model::progress::{Done, End, TOKEN_LIFE, advance, advance_backfill, shorten, underway};

#[path = "plan_properties.rs"]
mod properties;

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

/// A poll after one that went well, with budget.
fn turn(now: Timestamp) -> Turn {
    Turn {
        now,
        frugal: false,
        left_behind: false,
    }
}

/// The complete read of recent days that is due; there has to be one.
fn sweep(checkpoint: &Checkpoint, now: Timestamp) -> Read {
    next_sweep(checkpoint, None, &CADENCE, turn(now)).expect("a sweep is due")
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
    assert_eq!(next_sweep(&checkpoint, None, &CADENCE, turn(now)), None);

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
    let frugal = Turn {
        frugal: true,
        ..turn(now)
    };
    let read = next_sweep(&checkpoint, None, &CADENCE, frugal).unwrap();
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
            let read = next_sweep(&checkpoint, None, &cadence, turn(now)).unwrap();
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
    assert_eq!(next_sweep(&checkpoint, None, &CADENCE, turn(now)), None);
}

#[test]
fn what_was_left_open_is_confirmed_though_the_sweeps_have_gone_on_to_other_days() {
    let mut checkpoint = new("2024-05-07", at("2024-05-09T12:00:00Z"));
    let whole = days("2024-05-07", "2024-05-09");
    // A twin of the 7th came late, and no page has shown it beside the other.
    let left = open(whole, "2024-05-07", "2024-05-07", 2);
    checkpoint.watermark = at("2024-05-09T12:00:00Z");
    let now = at("2024-05-09T12:00:00Z");
    advance(
        &mut checkpoint,
        done(Read::Sweep(whole), now),
        End::Complete(Some(left)),
    );
    checkpoint.recent = day("2024-05-07");
    checkpoint.start = checkpoint.recent;
    let now = at("2024-05-10T13:00:00Z");
    certain(&mut checkpoint, Read::Tail(days("2024-05-09", "2024-05-10")), now);
    checkpoint.swept_at = Some(at("2024-05-10T12:00:00Z"));
    certain(
        &mut checkpoint,
        Read::Sweep(days("2024-05-08", "2024-05-10")),
        now,
    );
    let rest = days("2024-05-07", "2024-05-07");
    let later = at("2024-05-10T14:30:00Z");
    assert_eq!(
        sweep(&checkpoint, later),
        Read::Confirm(rest),
        "before the sweep that is due"
    );
    let read = open(rest, "2024-05-07", "2024-05-07", 1);
    advance(
        &mut checkpoint,
        done(Read::Confirm(rest), later),
        End::Complete(Some(read)),
    );
    assert_eq!(
        sweep(&checkpoint, later),
        Read::Confirm(rest),
        "until two reads agree"
    );
    certain(&mut checkpoint, Read::Confirm(rest), later);
    assert_eq!(
        sweep(&checkpoint, later),
        Read::Sweep(days("2024-05-08", "2024-05-10"))
    );

    // Two days that take too long for one read are two reads.
    checkpoint.open = vec![open(
        days("2024-05-06", "2024-05-07"),
        "2024-05-07",
        "2024-05-07",
        1,
    )];
    let two = sweep(&checkpoint, later);
    assert!(shorten(&mut checkpoint, two));
    let windows: Vec<_> = checkpoint
        .open
        .iter()
        .map(|open| open.window.to_string())
        .collect();
    assert_eq!(windows, ["2024-05-06..2024-05-06", "2024-05-07..2024-05-07"]);
}

#[test]
fn a_day_whose_confirming_read_breaks_off_is_still_to_be_confirmed() {
    let now = at("2024-05-20T12:00:00Z");
    let mut checkpoint = new("2024-05-01", now);
    checkpoint.watermark = now;
    let old = days("2024-05-08", "2024-05-08");
    checkpoint.open = vec![open(old, "2024-05-08", "2024-05-08", 1)];
    let before = checkpoint.open.clone();
    let read = next_sweep(&checkpoint, None, &CADENCE, turn(now)).unwrap();
    assert_eq!(read, Read::Confirm(old));
    assert!(!shorten(&mut checkpoint, read));
    assert_eq!(checkpoint.open, before, "with what the first read saw");
    assert_eq!(next_sweep(&checkpoint, None, &CADENCE, turn(now)), Some(read));
}

#[test]
fn a_day_that_cannot_be_read_to_its_end_is_tried_before_each_sweep_and_holds_none_up() {
    let mut now = at("2024-05-20T12:00:00Z");
    let mut checkpoint = new("2024-05-01", now);
    checkpoint.watermark = now;
    checkpoint.span = Window::MAX_DAYS;
    let old = days("2024-05-08", "2024-05-08");
    checkpoint.open = vec![open(old, "2024-05-08", "2024-05-08", 1)];
    for _ in 0..5 {
        let first = next_sweep(&checkpoint, None, &CADENCE, turn(now));
        assert_eq!(first, Some(Read::Confirm(old)));
        assert!(!shorten(&mut checkpoint, Read::Confirm(old)));
        let then = Turn {
            left_behind: true,
            ..turn(now)
        };
        let then = next_sweep(&checkpoint, None, &CADENCE, then).unwrap();
        assert!(matches!(then, Read::Sweep(_)));
        certain(&mut checkpoint, then, now);
        assert_eq!(checkpoint.swept_at, Some(now), "in one read of all its days");
        let idle = next_sweep(&checkpoint, None, &CADENCE, turn(now));
        assert_eq!(idle, None, "until the next one is due");
        now += SignedDuration::from_hours(1);
    }
    assert_eq!(checkpoint.open.len(), 1, "still to be confirmed");
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
    let next = |checkpoint: &Checkpoint| next_sweep(checkpoint, None, &cadence, turn(now));
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
    let next = |checkpoint: &Checkpoint, older| next_sweep(checkpoint, older, &CADENCE, turn(later));
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

#[test]
fn feeds_that_were_polled_at_once_are_spread_over_the_interval_from_then_on() {
    let (began, minute) = (at("2026-05-04T10:11:12.345Z"), Duration::from_mins(1));
    let mut by_second = [0_u32; 60];
    for feed in 0_u32..6_000 {
        let chance = crate::retry::chance(&[&feed.to_le_bytes()]);
        let due = next_poll(began, minute, chance);
        let pause = due.duration_since(began).as_millis();
        assert!((1..=60_000).contains(&pause), "{pause}");
        // From there on it comes each minute, also where a poll begins late.
        for late in [0, 20, 1_500, 40_000] {
            let late = SignedDuration::from_millis(late);
            assert_eq!(next_poll(due + late, minute, chance), due + minute);
        }
        by_second[usize::try_from(due.as_second().rem_euclid(60)).unwrap()] += 1;
    }
    let (least, most) = (by_second.iter().min().unwrap(), by_second.iter().max().unwrap());
    assert!(*least > 60 && *most < 150, "100 a second are owed: {by_second:?}");
}

#[test]
fn the_next_poll_is_an_instant_whatever_the_interval() {
    for chance in [0, 1, u32::MAX] {
        for interval in [Duration::ZERO, Duration::from_secs(15), Duration::MAX] {
            assert!(next_poll(Timestamp::UNIX_EPOCH, interval, chance) > Timestamp::UNIX_EPOCH);
        }
    }
}
