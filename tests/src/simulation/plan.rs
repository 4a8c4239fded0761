//! What a seed says: the world, its troubles, and when they come. Everything is drawn before anything runs.

use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

use super::{
    answer::{Fate, Limited},
    rows::Form,
    zoom::Manners,
};
use crate::{rng::Rng, sim::Report};

/// Everything that a seed decides in advance; what it decides on the way is drawn from a generator of its own.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) start: Timestamp,
    /// How long things go wrong.
    pub(super) trouble: SignedDuration,
    pub(super) poll_interval: SignedDuration,
    pub(super) sweep_interval: SignedDuration,
    pub(super) late_window: SignedDuration,
    pub(super) start_from: Timestamp,
    pub(super) daily_budget: u64,
    pub(super) accounts: Vec<AccountPlan>,
    /// The account of each source.
    pub(super) sources: Vec<usize>,
    pub(super) file: bool,
    /// All faults of requests to Zoom are this one.
    pub(super) only_fault: Option<Fate>,
    /// Steps before the seed is taken for one that never ends.
    pub(super) most_steps: u64,
    pub(super) alarm_after: Option<SignedDuration>,
    /// The engines over the one store: how far the clock of each is off.
    pub(super) engines: Vec<SignedDuration>,
    /// Steps of time in a hundred at which an engine that is at something is paused, where there are several.
    pub(super) pause_percent: f64,
    /// So many feeds that have all missed their turn wait for their next one.
    pub(super) herd: u32,
    pub(super) intake_copies: usize,
    pub(super) delivery_copies: usize,
    /// Requests to Zoom in ten thousand that go wrong.
    pub(super) zoom_faults: f64,
    pub(super) receiver_faults: f64,
    /// Passes of crash points in a hundred at which the engine dies.
    pub(super) crash_percent: f64,
    /// Steps of time in a hundred at which the engine dies wherever it is.
    pub(super) kill_percent: f64,
    /// Pages in a hundred that are followed by new rows before the next one.
    pub(super) shift_percent: f64,
    /// What happens by itself, in order of time.
    pub(super) script: Vec<(Timestamp, Event)>,
    /// Seeds everything that is drawn on the way.
    pub(super) way: u64,
}

/// One Zoom account.
#[derive(Debug)]
pub(super) struct AccountPlan {
    pub(super) manners: Manners,
    pub(super) daily_limit: u64,
    /// Its sources are let in by somebody's consent.
    pub(super) consent: bool,
    /// How late after their own time its rows come at most.
    pub(super) late_reach: SignedDuration,
    /// Rows that are there from the start.
    pub(super) history: Vec<Arrival>,
}

/// A row that comes to be shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) report: Report,
    pub(super) at: Timestamp,
    pub(super) key: u64,
    pub(super) timed: bool,
}

/// What happens by itself.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    Row(usize, Arrival),
    /// The engine's wall clock is off by so much from now on.
    ClockOff(SignedDuration),
    /// Zoom writes rows of an account differently.
    Form(usize, Form),
    /// The secret of an account is replaced at Zoom.
    Revoke(usize),
    /// It is what it was again.
    Restore(usize),
    /// A user writes the new one into the sources of the account.
    Rotate(usize),
    /// An engine is told to stop, and started again.
    Restart(usize),
    /// The receiver takes nothing, or takes events again.
    Down(bool),
    /// Zoom fails at reads of this one day by itself, or at none any more.
    Unreadable(Option<Date>),
}

/// Steps of one seed before it is taken for one that never ends.
const MOST_STEPS: u64 = 100_000;
/// How far an engine's clock may be off, in milliseconds: it follows the database's, by answers that take a second at most.
const MOST_OFF: i64 = 500;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn secs(secs: i64) -> SignedDuration {
    SignedDuration::from_secs(secs)
}

/// Draws a whole number from both ends.
fn between(rng: &mut Rng, low: i64, high: i64) -> i64 {
    low + i64::try_from(rng.below(u64::try_from(high - low + 1).unwrap_or(1))).unwrap_or(0)
}

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let rng = &mut Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
        let start = start(rng);
        let trouble = match rng.below(10) {
            0..6 => between(rng, 6 * HOUR, 2 * DAY),
            6..9 => between(rng, 2 * DAY, 6 * DAY),
            _ => between(rng, 10 * DAY, 30 * DAY),
        };
        let late_window = [DAY, 2 * DAY, 2 * DAY, 3 * DAY, 7 * DAY][rng.index(5)];
        // So many polls a seed that it ends within milliseconds, however many days it takes.
        let poll_interval = (trouble / between(rng, 8, 20)).clamp(15, late_window / 6);
        let sweep_interval = (poll_interval * between(rng, 1, 5)).clamp(HOUR, late_window / 3);
        // A budget that allows less than some complete reads a day promises nothing.
        let daily_budget = if rng.percent(60.0) {
            10_000
        } else {
            rng.below(300) + 150
        };
        let daily_limit = if rng.percent(80.0) {
            60_000
        } else {
            rng.below(300) + 150
        };
        let limited = daily_budget < 10_000 || daily_limit < 60_000;
        let start_from = start_from(rng, start);
        let intense = rng.percent(70.0);
        let of = |rng: &mut Rng, choices: &[f64]| choices[rng.index(choices.len())];
        let accounts = if rng.percent(25.0) { 2 } else { 1 };
        let jumps = rng.percent(30.0);
        let mut keys = 0;
        let mut script = Vec::new();
        let accounts: Vec<AccountPlan> = (0..accounts)
            .map(|number| {
                let says_time = rng.percent(70.0);
                // Where the clock is wrong and nobody says so, a sweep believes to have begun later than it did.
                let unsure = if jumps && !says_time {
                    DAY + sweep_interval + 2 * poll_interval
                } else {
                    0
                };
                let writer = Writer {
                    account: number,
                    start,
                    trouble,
                    says_time,
                    late_reach: (late_window - unsure).max(0),
                    start_from,
                    daily_limit,
                    limited,
                };
                writer.account(rng, &mut keys, &mut script)
            })
            .collect();
        let mut sources: Vec<usize> = (0..accounts.len()).collect();
        if rng.percent(15.0) {
            // Another source over an account that has one: they share its budget.
            sources.push(0);
        }
        let ends = start + secs(trouble);
        upheavals(rng, start, trouble, (accounts.len(), jumps), &mut script);
        script.retain(|(at, _)| *at < ends);
        script.sort_by_key(|(at, _)| *at);
        // Drawn apart, so that a seed has the same world whatever this becomes.
        let fleet = &mut Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xf1ee7);
        let engines = engines(fleet, &mut script);
        Self {
            start,
            trouble: secs(trouble),
            poll_interval: secs(poll_interval),
            sweep_interval: secs(sweep_interval),
            late_window: secs(late_window),
            start_from,
            daily_budget,
            accounts,
            sources,
            file: rng.percent(35.0),
            only_fault: None,
            most_steps: MOST_STEPS,
            alarm_after: rng
                .percent(60.0)
                .then(|| secs((poll_interval * 2).clamp(900, 30 * DAY))),
            pause_percent: [0.0, 1.0, 4.0][fleet.index(3)],
            herd: [2, 64][fleet.index(2)],
            engines,
            intake_copies: rng.index(2) + 2,
            delivery_copies: rng.index(2) + 1,
            zoom_faults: if intense {
                of(rng, &[2.0, 10.0, 25.0, 40.0])
            } else {
                0.0
            },
            receiver_faults: if intense { of(rng, &[0.0, 5.0, 25.0]) } else { 0.0 },
            crash_percent: of(rng, &[0.0, 0.3, 1.0, 3.0]),
            kill_percent: of(rng, &[0.0, 0.0, 0.5, 2.0]),
            shift_percent: of(rng, &[0.0, 10.0, 40.0]),
            script,
            way: rng.next_u64(),
        }
    }
}

impl Plan {
    /// The plan in a line.
    pub(super) fn summary(&self) -> String {
        format!(
            "{} engines, trouble for {:#}, polls every {:#}, sweeps every {:#}, late window {:#}, from {}, budget {}, {} accounts, \
             sources {:?}, file {}, faults {}%/{}%, crashes {}%, kills {}%, pauses {}%, shifts {}%, manners {:?}",
            self.engines.len(),
            self.trouble,
            self.poll_interval,
            self.sweep_interval,
            self.late_window,
            self.start_from,
            self.daily_budget,
            self.accounts.len(),
            self.sources,
            self.file,
            self.zoom_faults,
            self.receiver_faults,
            self.crash_percent,
            self.kill_percent,
            self.pause_percent,
            self.shift_percent,
            self.accounts
                .iter()
                .map(|account| account.manners)
                .collect::<Vec<_>>(),
        )
    }
}

/// The engines over the one store, and which of them each restart is for.
fn engines(rng: &mut Rng, script: &mut [(Timestamp, Event)]) -> Vec<SignedDuration> {
    let count = [1, 1, 1, 1, 2, 2, 2, 3, 3, 3][rng.index(10)];
    for (_, event) in script {
        if let Event::Restart(engine) = event {
            *engine = rng.index(count);
        }
    }
    let mut off = || match count {
        1 => SignedDuration::ZERO,
        _ => SignedDuration::from_millis(between(rng, -MOST_OFF, MOST_OFF)),
    };
    (0..count).map(|_| off()).collect()
}

/// Ordinary days, and those on which calendars go wrong.
fn start(rng: &mut Rng) -> Timestamp {
    let edges = [
        "2026-01-31T22:00:00Z",
        "2026-02-28T12:00:00Z",
        "2028-02-28T20:00:00Z",
        "2026-08-31T09:00:00Z",
        "2026-12-31T23:30:00Z",
        "2026-03-01T00:00:01Z",
    ];
    let base: Timestamp = rng.pick(&edges).parse().expect("an instant");
    if rng.percent(50.0) {
        base + secs(between(rng, 0, 300 * DAY))
    } else {
        base + secs(between(rng, 0, 3 * HOUR))
    }
}

fn start_from(rng: &mut Rng, start: Timestamp) -> Timestamp {
    match rng.below(20) {
        0..12 => start - secs(DAY),
        12..18 => start - secs(between(rng, 2 * DAY, 12 * DAY)),
        18 => start - secs(between(rng, 20 * DAY, 150 * DAY)),
        _ => {
            // The oldest day that may be asked for when the source is made.
            let day = start.to_zoned(TimeZone::UTC).date();
            let edge = day.checked_sub(6.months()).and_then(jiff::civil::Date::tomorrow);
            edge.and_then(|day| day.to_zoned(TimeZone::UTC))
                .map_or(start, |zoned| zoned.timestamp())
        }
    }
}

/// Writes the story of one account.
struct Writer {
    account: usize,
    start: Timestamp,
    trouble: i64,
    /// Its answers say what time it is.
    says_time: bool,
    late_reach: i64,
    start_from: Timestamp,
    daily_limit: u64,
    /// Requests are scarce.
    limited: bool,
}

impl Writer {
    fn account(&self, rng: &mut Rng, keys: &mut u64, script: &mut Vec<(Timestamp, Event)>) -> AccountPlan {
        let manners = Manners {
            newest_first: rng.percent(70.0),
            snapshot_tokens: rng.percent(30.0),
            page_divisor: if self.limited {
                25
            } else {
                [10, 25, 50, 100][rng.index(4)]
            },
            null_end_token: rng.percent(20.0),
            refuses_tomorrow: rng.percent(30.0),
            single_token: rng.percent(20.0),
            limited: Limited::ALL[rng.index(Limited::ALL.len())],
            range_status: if rng.percent(30.0) { 300 } else { 400 },
            says_time: self.says_time,
        };
        let mut history = Vec::new();
        for report in Report::ALL {
            self.story(report, rng, keys, &mut history, script);
        }
        AccountPlan {
            manners,
            daily_limit: self.daily_limit,
            consent: rng.percent(30.0),
            late_reach: secs(self.late_reach),
            history,
        }
    }

    /// What a report holds at the start, and what comes later.
    fn story(
        &self,
        report: Report,
        rng: &mut Rng,
        keys: &mut u64,
        history: &mut Vec<Arrival>,
        script: &mut Vec<(Timestamp, Event)>,
    ) {
        let twins = [0.0, 5.0, 30.0][rng.index(3)];
        let late = [0.0, 10.0, 40.0][rng.index(3)];
        let undated = [0.0, 0.0, 5.0][rng.index(3)];
        let mut known: Vec<Arrival> = Vec::new();
        // Some rows lie before the first day that is collected: nobody may deliver them.
        let first = self.start_from - secs(2 * DAY);
        let reach = self.start.duration_since(first).as_secs();
        for _ in 0..rng.below(60) {
            let at = if rng.percent(50.0) {
                self.start - secs(between(rng, 0, reach.min(DAY)))
            } else {
                self.start - secs(between(rng, 0, reach))
            };
            let row = self.row(report, at, rng, keys, &known, twins, undated, None);
            known.push(row);
            history.push(row);
        }
        // Bursts, as people work, rather than one row at a time.
        let mut left = rng.below(60);
        while left > 0 {
            let arrives = self.start + secs(between(rng, 1, self.trouble));
            for _ in 0..=rng.below(left.min(12)) {
                let at = if rng.percent(late) {
                    arrives - secs(between(rng, 0, self.late_reach))
                } else {
                    arrives - secs(between(rng, 0, 30))
                };
                let row = self.row(report, at, rng, keys, &known, twins, undated, Some(arrives));
                known.push(row);
                script.push((arrives, Event::Row(self.account, row)));
                left = left.saturating_sub(1);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a row is drawn from all of them")]
    fn row(
        &self,
        report: Report,
        at: Timestamp,
        rng: &mut Rng,
        keys: &mut u64,
        known: &[Arrival],
        twins: f64,
        undated: f64,
        arrives: Option<Timestamp>,
    ) -> Arrival {
        // A twin of an old row is a late row too, and nobody promises what is later than the late window.
        let oldest = arrives.map_or(Timestamp::MIN, |arrives| arrives - secs(self.late_reach));
        if rng.percent(twins)
            && let Some(twin) = known.get(rng.index(known.len()))
            && twin.at >= oldest
        {
            return *twin;
        }
        *keys += 1;
        Arrival {
            report,
            at: Timestamp::from_second(at.as_second()).expect("a whole second"),
            key: *keys,
            timed: !rng.percent(undated),
        }
    }
}

/// Clocks that jump, forms that change, secrets that are replaced, restarts.
fn upheavals(
    rng: &mut Rng,
    start: Timestamp,
    trouble: i64,
    (accounts, jumps): (usize, bool),
    script: &mut Vec<(Timestamp, Event)>,
) {
    let moment = |rng: &mut Rng| start + secs(between(rng, 0, trouble));
    if jumps {
        for _ in 0..=rng.below(2) {
            let off = match rng.below(4) {
                0 => between(rng, -DAY, DAY),
                1 => between(rng, -3 * HOUR, 0),
                2 => between(rng, 0, 3 * HOUR),
                _ => 0,
            };
            script.push((moment(rng), Event::ClockOff(secs(off))));
        }
    }
    for account in 0..accounts {
        if rng.percent(30.0) {
            script.push((
                moment(rng),
                Event::Form(account, Form::ALL[rng.index(Form::ALL.len())]),
            ));
        }
        if rng.percent(15.0) {
            let at = moment(rng);
            let fixed = at + secs(between(rng, 60, DAY));
            let fix = if rng.percent(50.0) {
                Event::Restore(account)
            } else {
                Event::Rotate(account)
            };
            script.extend([(at, Event::Revoke(account)), (fixed, fix)]);
        }
    }
    for _ in 0..rng.below(3) {
        script.push((moment(rng), Event::Restart(0)));
    }
    if rng.percent(20.0) {
        let down = moment(rng);
        let up = down + secs(between(rng, HOUR, 4 * DAY));
        script.extend([(down, Event::Down(true)), (up, Event::Down(false))]);
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn a_seed_says_the_same_each_time_and_another_something_else() {
        assert_eq!(format!("{:?}", Plan::of(7)), format!("{:?}", Plan::of(7)));
        assert_ne!(format!("{:?}", Plan::of(7)), format!("{:?}", Plan::of(8)));
    }
}
