//! The request budget of a Zoom account: pure decisions.

use std::time::Duration;

use jiff::Timestamp;

use super::Day;

/// What an account has spent today, and what Zoom said of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Requests of ours, today: made, or set aside for a read that goes on.
    pub used: u64,
    /// What Zoom's own headers said last, today: other apps of the account spend too.
    pub told: DailyLimit,
    /// Zoom's daily limit was hit; nothing is asked before.
    pub paused_until: Option<Timestamp>,
}

/// What the headers of an answer say of the account's day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DailyLimit {
    /// Requests that Zoom allows all apps of the account together a day.
    pub limit: Option<u64>,
    /// Those of them that are left.
    pub remaining: Option<u64>,
}

impl DailyLimit {
    /// This, and what an earlier answer said where it is silent.
    #[must_use]
    pub fn or(self, earlier: Self) -> Self {
        Self {
            limit: self.limit.or(earlier.limit),
            remaining: self.remaining.or(earlier.remaining),
        }
    }
}

/// What a request is for: near the budget's end, the less urgent waits first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// New events.
    Tail,
    /// Late ones, and certainty.
    Sweep,
    /// Old ones.
    Backfill,
}

impl Purpose {
    /// How many of the day's requests are kept for what is more urgent.
    fn reserve(self, daily: u64) -> u64 {
        match self {
            Self::Tail => 0,
            Self::Sweep => daily / 5,
            Self::Backfill => daily / 10 * 3,
        }
    }
}

/// What a budget allows now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// So many requests, one at least.
    Requests(u64),
    /// Nothing before this instant.
    Nothing(Timestamp),
}

impl Budget {
    /// Requests left today, by our own budget and by Zoom's word.
    pub fn left(&self, daily: u64) -> u64 {
        match self.told.remaining {
            // Zoom's count is the truth of its limit; ours may be too high after a crash.
            Some(remaining) => daily.saturating_sub(self.used).min(remaining),
            None => self.bound(daily).saturating_sub(self.used),
        }
    }

    /// The requests of a whole day. Were more counted on than Zoom ever gives, a reserve could be as much as that, and what
    /// it is kept from would wait for ever.
    fn bound(&self, daily: u64) -> u64 {
        self.told.limit.map_or(daily, |limit| daily.min(limit))
    }

    /// What may be asked of Zoom at `now`, for this purpose.
    pub fn allowance(&self, daily: u64, purpose: Purpose, now: Timestamp) -> Allowance {
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Allowance::Nothing(until);
        }
        match self
            .left(daily)
            .saturating_sub(purpose.reserve(self.bound(daily)))
        {
            0 => Allowance::Nothing(Day::of(now).plus(1).start()),
            requests => Allowance::Requests(requests),
        }
    }

    /// Whether less than a tenth of the day's requests is left.
    pub fn runs_low(&self, daily: u64) -> bool {
        self.left(daily) < self.bound(daily) / 10
    }

    /// How long a feed waits between two polls where the budget runs low: long enough that it lasts until midnight for all
    /// `feeds` of the account; `None` where its own interval is as long as that.
    pub fn pace(&self, daily: u64, feeds: u64, interval: Duration, now: Timestamp) -> Option<Duration> {
        if !self.runs_low(daily) {
            return None;
        }
        let left = self.left(daily);
        let midnight = Day::of(now).plus(1).start();
        let rest = Duration::try_from(midnight.duration_since(now)).unwrap_or_default();
        let share = u32::try_from(left / feeds.max(1)).unwrap_or(u32::MAX);
        let pace = rest.checked_div(share).unwrap_or(rest);
        (pace > interval).then_some(pace)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn used(used: u64) -> Budget {
        Budget {
            used,
            ..Budget::default()
        }
    }

    #[test]
    fn backfills_wait_first_then_sweeps_and_the_tail_last() {
        let now: Timestamp = "2024-05-10T12:00:00Z".parse().unwrap();
        let midnight: Timestamp = "2024-05-11T00:00:00Z".parse().unwrap();
        let nothing = Allowance::Nothing(midnight);
        for (spent, tail, sweep, backfill) in [
            (0, 100, Some(80), Some(70)),
            (70, 30, Some(10), None),
            (80, 20, None, None),
            (99, 1, None, None),
        ] {
            let allowance = |purpose| used(spent).allowance(100, purpose, now);
            let wanted = |requests: Option<u64>| requests.map_or(nothing, Allowance::Requests);
            assert_eq!(allowance(Purpose::Tail), Allowance::Requests(tail));
            assert_eq!(allowance(Purpose::Sweep), wanted(sweep));
            assert_eq!(allowance(Purpose::Backfill), wanted(backfill));
        }
        assert_eq!(used(100).allowance(100, Purpose::Tail, now), nothing);
        let told = Budget {
            told: DailyLimit {
                limit: None,
                remaining: Some(0),
            },
            ..used(5)
        };
        assert_eq!(told.allowance(100, Purpose::Tail, now), nothing);
        let paused = Budget {
            paused_until: Some(midnight),
            ..used(0)
        };
        assert_eq!(paused.allowance(100, Purpose::Tail, now), nothing);
        assert_eq!(
            paused.allowance(100, Purpose::Tail, midnight),
            Allowance::Requests(100)
        );
    }

    #[test]
    fn a_budget_above_what_zoom_gives_keeps_no_more_in_reserve_than_a_part_of_that() {
        let now: Timestamp = "2024-05-10T12:00:00Z".parse().unwrap();
        let zoom_gives = |remaining| Budget {
            told: DailyLimit {
                limit: Some(100),
                remaining: Some(remaining),
            },
            ..used(5)
        };
        for (remaining, sweep, low) in [
            (90, Some(70), false),
            (21, Some(1), false),
            (20, None, false),
            (9, None, true),
        ] {
            let budget = zoom_gives(remaining);
            let wanted = sweep.map_or(
                Allowance::Nothing(Day::of(now).plus(1).start()),
                Allowance::Requests,
            );
            assert_eq!(
                budget.allowance(1_000_000, Purpose::Sweep, now),
                wanted,
                "{remaining}"
            );
            assert_eq!(budget.runs_low(1_000_000), low, "{remaining}");
        }
        assert_eq!(
            zoom_gives(90).left(50),
            45,
            "a lower budget of our own holds as before"
        );
        let counted_too_much = Budget {
            used: 100,
            ..zoom_gives(40)
        };
        assert_eq!(counted_too_much.left(1_000_000), 40);
    }

    proptest! {
        /// Polling at the pace that is asked for never meets the end of the budget before midnight.
        #[test]
        fn the_tail_slows_down_instead_of_running_dry(
            spent in 0_u64..10_000, feeds in 1_u64..20, second in 0_i64..86_400, interval in 15_u64..3_600,
        ) {
            let now = Timestamp::from_second(1_715_299_200 + second).unwrap();
            let interval = Duration::from_secs(interval);
            let budget = used(spent);
            let pace = budget.pace(10_000, feeds, interval, now);
            prop_assert!(pace.is_none_or(|pace| pace > interval));
            let pace = pace.unwrap_or(interval);
            if budget.left(10_000) < 1_000 && budget.left(10_000) >= feeds {
                let polls = (86_400 - second).unsigned_abs() / pace.as_secs().max(1);
                prop_assert!(polls * feeds <= budget.left(10_000) + feeds);
            }
        }
    }
}
