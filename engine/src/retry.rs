//! When to try again. Pure: the time and the chance are arguments.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A server's wish to be left alone is followed for so long at most; asking again after that harms nobody, and a
/// mistaken `Retry-After` of a year does not stop delivery for a year.
const LONGEST_WISH: Duration = Duration::from_hours(1);

/// So many failures ahead starts whoever needs a person to act: that takes longer than a server's hiccup.
const SLOW_START: u32 = 4;

/// Pauses that double with each failure in a row, up to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after so many failures in a row, spread over its upper half by `chance`, so that many who failed
    /// together do not come back together.
    pub fn pause(&self, failures: u32, chance: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let half = full / 2;
        half.saturating_add(half.mul_f64(f64::from(chance) / f64::from(u32::MAX)))
    }

    /// When to try again after `failures` failures in a row: after the pause, and not before the instant that the
    /// server wishes, within reason.
    pub fn next(&self, now: Timestamp, failures: u32, chance: u32, wish: Option<Timestamp>) -> Timestamp {
        let own = later(now, self.pause(failures, chance));
        wish.map_or(own, |wish| {
            own.max(wish.min(later(now, LONGEST_WISH.max(self.longest))))
        })
    }

    /// The same for a failure that will not pass by itself: somebody has to do something first.
    pub fn next_slow(&self, now: Timestamp, failures: u32, chance: u32) -> Timestamp {
        self.next(now, failures.saturating_add(SLOW_START), chance, None)
    }
}

/// An instant so much later; the end of time where there is none.
pub fn later(instant: Timestamp, length: Duration) -> Timestamp {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    instant.saturating_add(length).unwrap_or(Timestamp::MAX)
}

/// A number that looks like chance and is the same for the same parts: who retries is spread out, and a simulation
/// stays repeatable.
pub fn chance(parts: &[&[u8]]) -> u32 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 4];
    hasher.finalize_xof().fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_secs(1),
        longest: Duration::from_mins(5),
    };

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = [1, 2, 3, 9, 10, u32::MAX].map(|failures| BACKOFF.pause(failures, u32::MAX).as_secs());
        assert_eq!(pauses, [1, 2, 4, 256, 300, 300]);
        assert_eq!(BACKOFF.pause(3, 0), Duration::from_secs(2));
    }

    #[test]
    fn chance_is_repeatable_and_differs() {
        assert_eq!(chance(&[b"a", b"b"]), chance(&[b"a", b"b"]));
        assert_ne!(chance(&[b"a", b"b"]), chance(&[b"ab", b""]));
    }

    proptest! {
        #[test]
        fn a_wish_is_respected_within_reason(
            failures: u32, dice: u32, wish in proptest::option::of(-100_000_i64..100_000_000),
        ) {
            let now = Timestamp::from_second(2_000_000_000).unwrap();
            let wish = wish.map(|seconds| now + SignedDuration::from_secs(seconds));
            let next = BACKOFF.next(now, failures, dice, wish);
            prop_assert!(next >= later(now, BACKOFF.pause(failures, dice)));
            prop_assert!(next <= later(now, Duration::from_hours(1)));
            if let Some(wish) = wish {
                prop_assert!(next >= wish || next == later(now, Duration::from_hours(1)));
            }
        }

        #[test]
        fn a_pause_never_leaves_its_bounds(failures: u32, dice: u32, first in 1_u64..10_000, more in 0_u64..10_000) {
            let backoff = Backoff {
                first: Duration::from_millis(first),
                longest: Duration::from_millis(first + more),
            };
            let pause = backoff.pause(failures, dice);
            prop_assert!(backoff.first / 2 <= pause && pause <= backoff.longest);
            prop_assert!(pause <= backoff.pause(failures.saturating_add(1), u32::MAX));
        }
    }
}
