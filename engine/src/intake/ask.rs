//! One page of Zoom's, asked for within the account's budget, in its turn, and again where that helps.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{Intake, gate::Gate, purse::Purse, stopped::Stopped};
use crate::{
    crash,
    model::Purpose,
    store::ClaimedFeed,
    zoom::{self, Credential, Page, PageRequest, Repeats},
};

/// Tries of one page before the poll is given up; Zoom asks for short waits in the middle of a read.
const TRIES: u32 = 5;
/// Waits that are worth holding a read for. Longer ones end the poll, whose page token would expire meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// A claim that was made or renewed less than this ago is not renewed.
const RENEW_AFTER: SignedDuration = SignedDuration::from_secs(5);
/// What an answer may still take when the engine is told to stop: most take less, and others are to have the feed within
/// a second.
const LAST_MOMENT: Duration = Duration::from_millis(400);

/// Asks Zoom on behalf of one poll.
pub(super) struct Asker<'a> {
    pub(super) intake: &'a Intake,
    pub(super) credential: &'a Credential,
    pub(super) gate: Gate,
    pub(super) purse: Purse<'a>,
    pub(super) stop: &'a CancellationToken,
}

impl Asker<'_> {
    /// Whether the engine is stopping.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Gives back what is left of the budget.
    pub(super) async fn close(mut self) {
        self.purse.close().await;
    }

    /// One page, asked for again where Zoom asks to wait a moment or fails in passing.
    pub(super) async fn page(
        &mut self,
        feed: &mut ClaimedFeed,
        request: PageRequest<'_>,
        purpose: Purpose,
    ) -> Result<Page, Stopped> {
        let clock = &self.intake.clock;
        let mut tries = 0;
        let mut repeats = Repeats::default();
        let mut held = None;
        loop {
            if held.is_none() {
                self.gate.pass().await;
            }
            self.renew(feed).await?;
            self.purse.take(purpose).await?;
            let asked = self.intake.zoom.page(self.credential, request);
            let answer = tokio::select! {
                answer = asked => answer,
                () = self.last_moment() => return Err(Stopped::Stopping),
            };
            let error = match answer {
                Ok(page) => {
                    self.purse.told(page.daily_limit);
                    return Ok(page);
                }
                Err(error) => error,
            };
            // What was superseded a moment ago is nobody's failure, and asked again at once; out of the purse, too.
            let Some(error) = repeats.end(error) else {
                continue;
            };
            tries += 1;
            let pause = Duration::from_millis(500) * 2_u32.pow(tries.min(6));
            let wait = match &error {
                zoom::Error::Throttled { until } => until.map_or(pause, |until| {
                    wait_for(until, clock.now()).max(Duration::from_millis(100))
                }),
                zoom::Error::Unavailable { .. } | zoom::Error::Malformed { .. } if tries < 3 => pause,
                _ => return Err(Stopped::Zoom(error)),
            };
            if tries >= TRIES || wait > LONGEST_WAIT {
                return Err(Stopped::Zoom(error));
            }
            if held.is_none() && matches!(error, zoom::Error::Throttled { .. }) {
                held = Some(self.gate.hold().await);
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(Stopped::Stopping),
                () = clock.sleep(wait) => {}
            }
        }
    }

    /// Ends a moment after the engine was told to stop: who waits for Zoom any longer keeps the feed from the others.
    async fn last_moment(&self) {
        self.stop.cancelled().await;
        self.intake.clock.sleep(LAST_MOMENT).await;
    }

    /// Keeps the claim well ahead of its end, without a write for each page.
    async fn renew(&self, feed: &mut ClaimedFeed) -> Result<(), Stopped> {
        let until = self.intake.lease_until();
        if until.duration_since(feed.lease_until) > RENEW_AFTER {
            crash::point("intake.before_renew").await;
            let renewed = self.intake.store.renew_feed(feed.id, feed.fence, until).await?;
            crash::point("intake.renewed").await;
            renewed.map_err(|_| Stopped::Fenced)?;
            feed.lease_until = until;
        }
        Ok(())
    }
}

fn wait_for(until: Timestamp, now: Timestamp) -> Duration {
    // An instant that has passed asks for no wait.
    Duration::try_from(until.duration_since(now)).unwrap_or_default()
}
