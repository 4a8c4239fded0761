//! The decisions, checked one by one and over simulated weeks.

use proptest::prelude::*;

use super::*;

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

#[test]
fn a_new_feed_sweeps_recent_days_at_once_and_backfills_older_ones() {
    let now = at("2024-05-10T12:00:00Z");
    let mut checkpoint = Checkpoint::new(day("2024-05-01"), now);
    let recent = Window::new(day("2024-05-09"), day("2024-05-10"));
    assert_eq!(
        next_current(&checkpoint, &CADENCE, now, false),
        Read::Sweep(recent)
    );
    let first = Window::new(day("2024-05-01"), day("2024-05-01"));
    assert_eq!(next_backfill(&checkpoint, now), Some(Read::Backfill(first)));

    advance(&mut checkpoint, Read::Sweep(recent), now, 1, End::Complete(None));
    assert_eq!(checkpoint.watermark, now);
    assert!(matches!(
        next_current(&checkpoint, &CADENCE, now, false),
        Read::Tail(_)
    ));

    let mut windows = Vec::new();
    while let Some(read) = next_backfill(&checkpoint, now) {
        windows.push(read.window().to_string());
        advance(&mut checkpoint, read, now, 1, End::Complete(None));
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
}

#[test]
fn after_an_outage_the_sweep_reaches_back_to_the_watermark() {
    let mut checkpoint = Checkpoint::new(day("2024-01-01"), at("2024-01-01T12:00:00Z"));
    let began = at("2024-01-01T13:00:00Z");
    let read = next_current(&checkpoint, &CADENCE, began, false);
    advance(&mut checkpoint, read, began, 1, End::Complete(None));
    let now = at("2024-02-20T00:30:00Z");
    let read = next_current(&checkpoint, &CADENCE, now, true);
    assert_eq!(
        read,
        Read::Sweep(Window::new(day("2024-01-01"), day("2024-01-28")))
    );
    advance(&mut checkpoint, read, now, 9, End::Complete(None));
    assert_eq!(
        checkpoint.watermark,
        at("2024-01-29T00:00:00Z"),
        "the claim ends with the window"
    );
    assert_eq!(checkpoint.swept_at, Some(began), "not swept up to today yet");
}

#[test]
fn a_tail_that_broke_off_asks_for_a_sweep() {
    let now = at("2024-05-10T12:00:00Z");
    let mut checkpoint = Checkpoint::new(day("2024-05-10"), now);
    let sweep = next_current(&checkpoint, &CADENCE, now, false);
    advance(&mut checkpoint, sweep, now, 1, End::Complete(None));
    let tail = next_current(&checkpoint, &CADENCE, now, false);
    assert!(matches!(tail, Read::Tail(_)));
    underway(&mut checkpoint, tail);
    assert!(matches!(
        next_current(&checkpoint, &CADENCE, now, false),
        Read::Sweep(_)
    ));
}

#[test]
fn a_confirming_read_never_has_the_size_of_the_read_it_confirms() {
    let now = at("2024-05-10T12:00:00Z");
    let mut checkpoint = Checkpoint::new(day("2024-05-01"), now);
    let backfill = next_backfill(&checkpoint, now).unwrap();
    let first = page_size(&checkpoint, backfill);
    let summary = ReadSummary {
        window: backfill.window(),
        page_size: first,
        rows: 5,
        digest: 0,
        oldest_surplus: day("2024-05-01"),
        newest_surplus: day("2024-05-01"),
        tries: 1,
    };
    advance(&mut checkpoint, backfill, now, 1, End::Complete(Some(summary)));
    // A quiet account's tail is a complete read too, and must not shift the sizes.
    for _ in 0..3 {
        assert_eq!(next_backfill(&checkpoint, now), Some(backfill));
        assert_ne!(page_size(&checkpoint, backfill), first);
        let tail = tail(&checkpoint, now);
        advance(&mut checkpoint, tail, now, 1, End::Complete(None));
    }
}

#[test]
fn days_that_zoom_has_dropped_are_no_gap_of_ours() {
    let mut checkpoint = Checkpoint::new(day("2024-01-01"), at("2024-01-01T12:00:00Z"));
    let mut now = at("2024-08-20T00:30:00Z");
    let mut sweeps = 0;
    while Day::of(checkpoint.watermark) < Day::of(now) {
        let read = next_current(&checkpoint, &CADENCE, now, false);
        advance(&mut checkpoint, read, now, 9, End::Complete(None));
        now = now.checked_add(SignedDuration::from_secs(1)).unwrap();
        sweeps += 1;
        assert!(sweeps < 20, "{:?}", checkpoint.watermark);
    }
}

#[test]
fn the_longest_late_window_does_not_stop_the_watermark() {
    let cadence = Cadence {
        late_window: Duration::from_hours(24 * 30),
        ..CADENCE
    };
    let mut now = at("2024-03-01T00:30:00Z");
    let mut checkpoint = Checkpoint::new(day("2024-01-01"), now);
    checkpoint.backfill = None;
    for _ in 0..5 {
        let read = next_current(&checkpoint, &cadence, now, false);
        advance(&mut checkpoint, read, now, 9, End::Complete(None));
        assert_eq!(checkpoint.watermark, now);
        now = now.checked_add(SignedDuration::from_hours(20)).unwrap();
    }
}

#[test]
fn the_claim_ends_before_a_day_whose_counts_are_open() {
    let now = at("2024-05-10T12:00:00Z");
    let mut checkpoint = Checkpoint::new(day("2024-05-08"), now);
    checkpoint.backfill = None;
    checkpoint.watermark = at("2024-05-08T00:00:00Z");
    let window = Window::new(day("2024-05-08"), day("2024-05-10"));
    let (rows, digest, tries) = (5, 0, 1);
    let (oldest_surplus, newest_surplus) = (day("2024-05-09"), day("2024-05-10"));
    let open = ReadSummary {
        window,
        page_size: 300,
        rows,
        digest,
        oldest_surplus,
        newest_surplus,
        tries,
    };
    advance(
        &mut checkpoint,
        Read::Sweep(window),
        now,
        1,
        End::Complete(Some(open)),
    );
    assert_eq!(checkpoint.watermark, at("2024-05-09T00:00:00Z"));
}

#[test]
fn closed_days_are_confirmed_by_themselves_when_today_is_busy() {
    let now = at("2024-05-10T12:00:00Z");
    let mut checkpoint = Checkpoint::new(day("2024-05-09"), now);
    let window = Window::new(day("2024-05-09"), day("2024-05-10"));
    let open = |tries, window| ReadSummary {
        window,
        page_size: 300,
        rows: 5,
        digest: 0,
        oldest_surplus: day("2024-05-09"),
        newest_surplus: day("2024-05-09"),
        tries,
    };
    advance(
        &mut checkpoint,
        Read::Sweep(window),
        now,
        1,
        End::Complete(Some(open(1, window))),
    );
    assert_eq!(
        next_current(&checkpoint, &CADENCE, now, false),
        Read::Sweep(window),
        "the whole window again first"
    );
    advance(
        &mut checkpoint,
        Read::Sweep(window),
        now,
        1,
        End::Complete(Some(open(2, window))),
    );
    let closed = Window::new(day("2024-05-09"), day("2024-05-09"));
    assert_eq!(
        next_current(&checkpoint, &CADENCE, now, false),
        Read::Closed(closed)
    );
    advance(
        &mut checkpoint,
        Read::Closed(closed),
        now,
        1,
        End::Complete(Some(open(1, closed))),
    );
    assert_eq!(
        next_current(&checkpoint, &CADENCE, now, false),
        Read::Closed(closed)
    );
    advance(&mut checkpoint, Read::Closed(closed), now, 1, End::Complete(None));
    assert!(matches!(
        next_current(&checkpoint, &CADENCE, now, false),
        Read::Tail(_)
    ));
}

proptest! {
    /// L4: whatever happens, the watermark never moves back and never passes the time at which a read began; windows
    /// are never longer than Zoom allows; and every day from the start on is read completely in the end.
    #[test]
    fn the_watermark_is_a_claim(
        steps in proptest::collection::vec((0_i64..200_000, 0_u8..4, any::<bool>()), 1..80),
        start_back in 0_i32..60,
    ) {
        let mut now = at("2024-02-25T00:00:00Z");
        let start = Day::of(now).plus(-start_back);
        let mut checkpoint = Checkpoint::new(start, now);
        let mut complete: std::collections::BTreeMap<Day, Timestamp> = std::collections::BTreeMap::new();
        for (seconds, outcome, frugal) in steps {
            now = now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
            let mut reads = vec![next_current(&checkpoint, &CADENCE, now, frugal)];
            reads.extend(next_backfill(&checkpoint, now));
            for read in reads {
                let window = read.window();
                prop_assert!(window.days() <= Window::MAX_DAYS && window.to <= Day::of(now));
                let before = checkpoint.watermark;
                match outcome {
                    0 => underway(&mut checkpoint, read),
                    1 if matches!(read, Read::Tail(_)) => advance(&mut checkpoint, read, now, 3, End::TailKnown { unsettled: false }),
                    _ => {
                        complete.extend((0..window.days()).map(|offset| (window.from.plus(offset), now)));
                        advance(&mut checkpoint, read, now, 3, End::Complete(None));
                    }
                }
                prop_assert!(checkpoint.watermark >= before);
                // The claim: each day from the recent start to the watermark was read completely after it ended, or
                // up to the watermark itself.
                let first = checkpoint.backfill.as_ref().map_or(start, |backfill| backfill.until.plus(1));
                let mut day = first;
                while day < Day::of(checkpoint.watermark) {
                    prop_assert!(complete.get(&day).is_some_and(|read| *read >= day.plus(1).start()), "{day}");
                    day = day.plus(1);
                }
                prop_assert!(checkpoint.watermark <= now);
            }
        }
    }
}
