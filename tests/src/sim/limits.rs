//! Zoom's rate limits: so many requests a second, so many a day, shared by all apps of an account.

use std::time::{Duration, Instant};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::account::Plan;

/// Limits of the Heavy class, to which both reports belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub per_second: u64,
    pub per_day: u64,
}

impl Limits {
    pub(super) fn of(plan: Plan) -> Self {
        match plan {
            Plan::Free => Self {
                per_second: 1,
                per_day: 1_000,
            },
            Plan::Pro => Self {
                per_second: 10,
                per_day: 30_000,
            },
            Plan::Business => Self {
                per_second: 40,
                per_day: 60_000,
            },
        }
    }

    /// Lifts both limits out of the way, for benchmarks.
    pub fn none() -> Self {
        Self {
            per_second: u64::MAX,
            per_day: u64::MAX,
        }
    }
}

/// What an account has used of its limits.
#[derive(Debug, Default)]
pub(super) struct Usage {
    day: Option<Date>,
    used_today: u64,
    second: Option<Instant>,
    used_this_second: u64,
}

/// The answer to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed { remaining: u64 },
    TooManyThisSecond,
    TooManyToday { reset: Timestamp },
}

impl Usage {
    /// Counts one request at Zoom's time `now`, or refuses it.
    ///
    /// Seconds are real ones even when Zoom's clock stands still: a limit that never ends would only hang tests.
    pub(super) fn spend(&mut self, now: Timestamp, limits: Limits) -> Verdict {
        self.turn_day(now);
        if self.used_today >= limits.per_day {
            return Verdict::TooManyToday {
                reset: next_midnight(now),
            };
        }
        let instant = Instant::now();
        if self
            .second
            .is_none_or(|start| instant - start >= Duration::from_secs(1))
        {
            self.second = Some(instant);
            self.used_this_second = 0;
        }
        if self.used_this_second >= limits.per_second {
            return Verdict::TooManyThisSecond;
        }
        self.used_this_second += 1;
        self.used_today += 1;
        Verdict::Allowed {
            remaining: limits.per_day - self.used_today,
        }
    }

    /// Takes from the day's budget as another app of the account would.
    pub(super) fn spend_elsewhere(&mut self, now: Timestamp, requests: u64) {
        self.turn_day(now);
        self.used_today = self.used_today.saturating_add(requests);
    }

    pub(super) fn used_today(&mut self, now: Timestamp) -> u64 {
        self.turn_day(now);
        self.used_today
    }

    fn turn_day(&mut self, now: Timestamp) {
        let today = now.to_zoned(TimeZone::UTC).date();
        if self.day != Some(today) {
            self.day = Some(today);
            self.used_today = 0;
        }
    }
}

fn next_midnight(now: Timestamp) -> Timestamp {
    let tomorrow = now
        .to_zoned(TimeZone::UTC)
        .date()
        .tomorrow()
        .expect("a day after today");
    tomorrow
        .to_zoned(TimeZone::UTC)
        .expect("midnight in UTC")
        .timestamp()
}

#[cfg(test)]
mod tests {
    use super::{Limits, Usage, Verdict};

    #[test]
    fn the_day_ends_at_midnight_utc() {
        let mut usage = Usage::default();
        let limits = Limits {
            per_second: 100,
            per_day: 2,
        };
        let evening = "2026-02-28T23:59:59Z".parse().unwrap();
        assert_eq!(usage.spend(evening, limits), Verdict::Allowed { remaining: 1 });
        usage.spend_elsewhere(evening, 1);
        let reset = "2026-03-01T00:00:00Z".parse().unwrap();
        assert_eq!(usage.spend(evening, limits), Verdict::TooManyToday { reset });
        assert_eq!(usage.spend(reset, limits), Verdict::Allowed { remaining: 1 });
    }

    #[test]
    fn a_second_holds_so_many() {
        let mut usage = Usage::default();
        let limits = Limits {
            per_second: 2,
            per_day: 100,
        };
        let now = "2026-02-28T12:00:00Z".parse().unwrap();
        let verdicts: Vec<Verdict> = (0..3).map(|_| usage.spend(now, limits)).collect();
        assert_eq!(verdicts[2], Verdict::TooManyThisSecond);
        assert_eq!(usage.used_today(now), 2);
    }
}
