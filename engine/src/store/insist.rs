//! What a worker has claimed, given back to a store that was just seen to fail.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::{Error, Store};
use crate::retry::{Backoff, chance};

/// The pauses before each offer.
const PAUSES: Backoff = Backoff {
    first: Duration::from_secs(2),
    longest: Duration::from_secs(8),
};

impl Store {
    /// Gives back what a worker has claimed and the store, which failed, did not take: after a pause, and again until it
    /// does, the claim ends by itself at `until`, or all stops. A fault of the store is not to hold a claim for as long as
    /// its lease lasts, nor one that does not pass the worker for any longer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the claim to lapse with its lease.
    pub async fn insist<G: Future<Output = Result<(), Error>>>(
        &self,
        what: &str,
        until: Timestamp,
        stop: &CancellationToken,
        mut give: impl FnMut() -> G,
    ) {
        for tries in 1.. {
            let pause = PAUSES.pause(tries, chance(&[what.as_bytes()]));
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.shared.clock.sleep(pause) => {}
            }
            match give().await {
                Ok(()) => return,
                Err(error @ Error::Unavailable(_)) if self.shared.clock.now() < until => {
                    debug!(what, tries, error = error.chain(), "it cannot be given back yet");
                }
                Err(error) => {
                    error!(
                        what,
                        tries,
                        error = error.chain(),
                        "it is not given back, and its lease lapses"
                    );
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::{retry::later, store::testing::Fixture};

    fn no() -> Error {
        Error::Unavailable(sqlx::Error::PoolClosed)
    }

    #[tokio::test]
    async fn what_the_store_does_not_take_is_offered_at_growing_pauses_until_it_does() {
        let fixture = Fixture::new().await;
        let (stop, offers) = (CancellationToken::new(), Cell::new(0));
        let mut giving = Box::pin(fixture.store.insist(
            "corp/operation",
            Timestamp::MAX,
            &stop,
            async || {
                offers.set(offers.get() + 1);
                if offers.get() < 6 { Err(no()) } else { Ok(()) }
            },
        ));
        let mut pauses = Vec::new();
        while giving.as_mut().now_or_never().is_none() {
            assert_eq!(
                offers.get(),
                pauses.len(),
                "each waits for its time, the first too"
            );
            let pause = fixture.time.next_wake().unwrap();
            fixture.time.advance(pause);
            pauses.push(pause);
        }
        assert_eq!(offers.get(), 6);
        assert!(pauses.is_sorted() && pauses[0] < pauses[5], "{pauses:?}");
        assert!(
            pauses[0] >= PAUSES.first / 2 && pauses[5] <= PAUSES.longest,
            "{pauses:?}"
        );
    }

    #[tokio::test]
    async fn whoever_gives_back_ends_when_all_stops() {
        let fixture = Fixture::new().await;
        let stop = CancellationToken::new();
        let mut giving = Box::pin(
            fixture
                .store
                .insist("dst_1", Timestamp::MAX, &stop, async || Err(no())),
        );
        assert!(giving.as_mut().now_or_never().is_none());
        stop.cancel();
        assert!(giving.as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_is_refused_for_good_or_has_lapsed_is_let_go() {
        let fixture = Fixture::new().await;
        let stop = CancellationToken::new();
        let end = later(fixture.now(), Duration::from_secs(20));
        for (refusal, most) in [(true, 1), (false, 10)] {
            let offers = Cell::new(0);
            let mut giving = Box::pin(fixture.store.insist("corp/operation", end, &stop, async || {
                offers.set(offers.get() + 1);
                Err(if refusal {
                    Error::Refused("a_rule".to_owned())
                } else {
                    no()
                })
            }));
            while giving.as_mut().now_or_never().is_none() {
                fixture.time.advance(fixture.time.next_wake().unwrap());
            }
            assert!((1..=most).contains(&offers.get()), "{}", offers.get());
            assert!(refusal || offers.get() > 1 && fixture.now() >= end);
        }
    }
}
