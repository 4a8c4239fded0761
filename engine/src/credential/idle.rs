//! When a refresh token is renewed that nobody needs. Pure: the times and the chance are arguments.
//!
//! Sources of a source's life disagree whether an unused refresh token lives ninety days or fifteen years, so none is
//! left unused for a day. One that failed to renew is tried again with growing pauses.

use std::time::Duration;

use jiff::Timestamp;

use crate::retry::{Backoff, later};

/// The longest that a token is left alone: less than a day, with time to try again within it.
const LONGEST: Duration = Duration::from_hours(22);
/// The spread, so that the tokens of many sources that were given together are not renewed together.
const SPREAD: Duration = Duration::from_hours(4);

const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(30),
    longest: Duration::from_hours(1),
};

/// When a token that Zoom gave at `given` is renewed, should nobody need it before.
pub(super) fn due(given: Timestamp, chance: u32) -> Timestamp {
    let earlier = SPREAD.mul_f64(f64::from(chance) / f64::from(u32::MAX));
    later(given, LONGEST.saturating_sub(earlier))
}

/// When to try again after so many renewals in a row that failed.
pub(super) fn retry(now: Timestamp, failures: u32, chance: u32) -> Timestamp {
    BACKOFF.next(now, failures, chance, None)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_token_is_renewed_within_a_day_and_not_at_once(given in 0_i64..4_000_000_000, chance: u32) {
            let given = Timestamp::from_second(given).unwrap();
            let idle = due(given, chance).duration_since(given);
            prop_assert!(idle <= SignedDuration::from_hours(22) && idle >= SignedDuration::from_hours(18));
        }

        #[test]
        fn a_failed_renewal_is_tried_again_within_the_hour(failures in 1_u32.., chance: u32) {
            let now = Timestamp::UNIX_EPOCH;
            let pause = retry(now, failures, chance).duration_since(now);
            prop_assert!(pause >= SignedDuration::from_secs(15) && pause <= SignedDuration::from_hours(1));
        }
    }
}
