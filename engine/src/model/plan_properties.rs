//! The decisions over simulated weeks.

use proptest::prelude::*;

use super::*;

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
            reads.extend(next_sweep(&checkpoint, None, &CADENCE, Turn { frugal, ..turn(now) }));
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
            match (next_sweep(&checkpoint, running, &cadence, Turn { frugal: outcome == 0, ..turn(now) }), outcome) {
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
            let read = next_sweep(&checkpoint, running, &cadence, turn(now)).unwrap();
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
