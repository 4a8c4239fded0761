//! What a worker has claimed, given back to a store that was just seen to fail.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Error, Store};
use crate::retry::{Backoff, chance};

/// The pauses before each offer.
const PAUSES: Backoff = Backoff {
    first: Duration::from_secs(2),
    longest: Duration::from_secs(8),
};

impl Store {
    /// Gives back what a worker has claimed and the store, which failed, did not take: after a pause, and again until it
    /// does or all stops. A fault of the store, however long, is not to hold a claim for as long as its lease lasts.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the claim to lapse with its lease.
    pub async fn insist<G: Future<Output = Result<(), Error>>>(
        &self,
        what: &str,
        stop: &CancellationToken,
        mut give: impl FnMut() -> G,
    ) {
        for tries in 1.. {
            let pause = PAUSES.pause(tries, chance(&[what.as_bytes()]));
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.shared.clock.sleep(pause) => {}
            }
            let Err(error) = give().await else {
                return;
            };
            debug!(what, tries, error = error.chain(), "it cannot be given back yet");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::store::testing::Fixture;

    fn no() -> Error {
        Error::Unavailable(sqlx::Error::PoolClosed)
    }

    #[tokio::test]
    async fn what_the_store_does_not_take_is_offered_at_growing_pauses_until_it_does() {
        let fixture = Fixture::new().await;
        let (stop, offers) = (CancellationToken::new(), Cell::new(0));
        let mut giving = Box::pin(fixture.store.insist("corp/operation", &stop, async || {
            offers.set(offers.get() + 1);
            if offers.get() < 6 { Err(no()) } else { Ok(()) }
        }));
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
        let mut giving = Box::pin(fixture.store.insist("dst_1", &stop, async || Err(no())));
        assert!(giving.as_mut().now_or_never().is_none());
        stop.cancel();
        assert!(giving.as_mut().now_or_never().is_some());
    }
}
