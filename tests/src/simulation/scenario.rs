//! Seeds whose worlds are not drawn but written: one question each, answered by numbers.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, civil::Date};

use super::{
    Failure, Outcome, Template,
    answer::{Fate, Limited},
    plan::{AccountPlan, Arrival, Event, Plan},
    run::play,
    zoom::Manners,
};
use crate::{rng::Rng, sim::Report};

/// A world of one account and one source, over which the engine runs.
#[derive(Debug)]
pub struct Scenario {
    plan: Plan,
}

fn secs(secs: i64) -> SignedDuration {
    SignedDuration::from_secs(secs)
}

impl Scenario {
    /// So many whole days from a midnight on, polled each minute and swept each hour, with the engine's defaults, and
    /// without a row or a fault.
    pub fn quiet(days: i64) -> Self {
        let start: Timestamp = "2026-03-10T00:00:00Z".parse().expect("an instant");
        let manners = Manners {
            newest_first: true,
            snapshot_tokens: false,
            page_divisor: 1,
            null_end_token: false,
            refuses_tomorrow: false,
            single_token: false,
            limited: Limited::Iso,
            range_status: 400,
            says_time: true,
        };
        Self {
            plan: Plan {
                start,
                trouble: secs(days * 86_400),
                poll_interval: secs(60),
                sweep_interval: secs(3_600),
                late_window: secs(48 * 3_600),
                start_from: start - secs(86_400),
                daily_budget: 10_000,
                accounts: vec![AccountPlan {
                    manners,
                    daily_limit: 60_000,
                    consent: false,
                    late_reach: secs(48 * 3_600),
                    history: Vec::new(),
                }],
                sources: vec![0],
                file: false,
                only_fault: None,
                most_steps: 10_000_000,
                alarm_after: None,
                engines: vec![SignedDuration::ZERO],
                pause_percent: 0.0,
                herd: 64,
                intake_copies: 2,
                delivery_copies: 1,
                zoom_faults: 0.0,
                receiver_faults: 0.0,
                crash_percent: 0.0,
                kill_percent: 0.0,
                shift_percent: 0.0,
                script: Vec::new(),
                way: 1,
            },
        }
    }

    /// Adds so many rows a day to each report, at times as people work; one in twenty appears up to a day late, and
    /// one in fifty is the twin of another.
    #[must_use]
    pub fn busy(mut self, rows_a_day: u64) -> Self {
        let rng = &mut Rng::new(7);
        let days = self.plan.trouble.as_secs() / 86_400;
        let mut key = 0;
        for day in 0..days {
            for report in Report::ALL {
                let mut before: Option<Arrival> = None;
                for _ in 0..rows_a_day {
                    // Three in four within ten hours of the day.
                    let second = if rng.percent(75.0) {
                        7 * 3_600 + below(rng, 36_000)
                    } else {
                        below(rng, 86_400)
                    };
                    let at = self.plan.start + secs(day * 86_400 + second);
                    let late = if rng.percent(5.0) {
                        below(rng, 86_400)
                    } else {
                        below(rng, 60)
                    };
                    key += 1;
                    let new = Arrival {
                        report,
                        at,
                        key,
                        timed: true,
                    };
                    let row = before.filter(|_| rng.percent(2.0)).unwrap_or(new);
                    before = Some(new);
                    self.plan.script.push((row.at + secs(late), Event::Row(0, row)));
                }
            }
        }
        let ends = self.plan.start + self.plan.trouble;
        self.plan.script.retain(|(at, _)| *at < ends);
        self.plan.script.sort_by_key(|(at, _)| *at);
        self
    }

    /// Makes requests scarce, and lets Zoom void the access token at every second of them.
    #[must_use]
    pub fn superseded(mut self, daily_budget: u64, poll_interval: i64) -> Self {
        self.plan.daily_budget = daily_budget;
        self.plan.poll_interval = secs(poll_interval);
        self.plan.sweep_interval = secs(poll_interval * 3);
        self.plan.zoom_faults = 50.0;
        self.plan.only_fault = Some(Fate::TokenVoid);
        self
    }

    /// So many engines over the one store, of which those that are at something are paused now and then, mostly beyond
    /// their lease.
    #[must_use]
    pub fn engines(mut self, count: usize, pause_percent: f64) -> Self {
        self.plan.engines = vec![SignedDuration::ZERO; count];
        self.plan.pause_percent = pause_percent;
        self
    }

    /// Shows twin after twin of a row of the first day while that leaves the late window, so that no two reads of it agree,
    /// and lets Zoom fail at that day by itself for half a day from then on.
    #[must_use]
    pub fn unreadable(mut self) -> Self {
        let left = self.plan.start + secs(3 * 86_400);
        let twin = Arrival {
            report: Report::Operation,
            at: self.plan.start + secs(86_400 - 60),
            key: 1,
            timed: true,
        };
        let shown = (-3_600..4_200)
            .step_by(60)
            .map(|second| (left + secs(second), Event::Row(0, twin)));
        self.plan.script.extend(shown);
        self.plan.poll_interval = secs(300);
        // What one page shows is certain at once.
        self.plan.accounts[0].manners.page_divisor = 25;
        let day = super::rows::day(self.plan.start);
        self.plan.script.extend([
            (left, Event::Unreadable(Some(day))),
            (left + secs(12 * 3_600), Event::Unreadable(None)),
        ]);
        self.plan.script.sort_by_key(|(at, _)| *at);
        self
    }

    /// Lets the destination take nothing between these hours.
    #[must_use]
    pub fn down(mut self, from_hour: i64, to_hour: i64) -> Self {
        for (hour, down) in [(from_hour, true), (to_hour, false)] {
            let at = self.plan.start + secs(hour * 3_600);
            self.plan.script.push((at, Event::Down(down)));
        }
        self.plan.script.sort_by_key(|(at, _)| *at);
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    ///
    /// The first law that it broke.
    pub fn run(self, template: &Template) -> Result<Outcome, Failure> {
        play(0, self.plan, template, false)
    }

    /// The day after so many others.
    pub fn day(&self, number: i64) -> Date {
        super::rows::day(self.plan.start + secs(number * 86_400))
    }
}

fn below(rng: &mut Rng, bound: u64) -> i64 {
    i64::try_from(rng.below(bound)).unwrap_or_default()
}

impl Outcome {
    /// The report requests of a day, by report.
    pub fn requests_on(&self, day: Date) -> BTreeMap<Report, u64> {
        let of_day = self.requests.iter().filter(|((_, _, of), _)| *of == day);
        of_day
            .map(|((_, report, _), requests)| (*report, *requests))
            .collect()
    }
}
