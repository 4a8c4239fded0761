//! The request budget of a Zoom account: pure decisions.

use jiff::Timestamp;

use super::Day;

/// What an account has spent today, and what Zoom said of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Requests of ours, today.
    pub used: u64,
    /// What Zoom's own header said last, today: other apps of the account spend too.
    pub remaining: Option<u64>,
    /// Zoom's daily limit was hit; nothing is asked before.
    pub paused_until: Option<Timestamp>,
}

/// What a budget allows now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// Every read.
    Free,
    /// Only the tail: sweeps and backfills wait first.
    Frugal,
    /// Nothing before this instant.
    Nothing(Timestamp),
}

impl Budget {
    /// Requests left today, by our own bound and by Zoom's word.
    pub fn left(&self, daily: u64) -> u64 {
        let own = daily.saturating_sub(self.used);
        self.remaining.map_or(own, |remaining| own.min(remaining))
    }

    /// What may be asked of Zoom at `now`.
    pub fn allowance(&self, daily: u64, now: Timestamp) -> Allowance {
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Allowance::Nothing(until);
        }
        match self.left(daily) {
            0 => Allowance::Nothing(Day::of(now).plus(1).start()),
            left if left < daily / 5 => Allowance::Frugal,
            _ => Allowance::Free,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_wait_first_and_the_tail_last() {
        let now: Timestamp = "2024-05-10T12:00:00Z".parse().unwrap();
        let midnight: Timestamp = "2024-05-11T00:00:00Z".parse().unwrap();
        let used = |used| Budget {
            used,
            ..Budget::default()
        };
        assert_eq!(used(0).allowance(100, now), Allowance::Free);
        assert_eq!(used(81).allowance(100, now), Allowance::Frugal);
        assert_eq!(used(100).allowance(100, now), Allowance::Nothing(midnight));
        let told = Budget {
            remaining: Some(0),
            ..used(5)
        };
        assert_eq!(told.allowance(100, now), Allowance::Nothing(midnight));
        let paused = Budget {
            paused_until: Some(midnight),
            ..used(0)
        };
        assert_eq!(paused.allowance(100, now), Allowance::Nothing(midnight));
        assert_eq!(paused.allowance(100, midnight), Allowance::Free);
    }
}
