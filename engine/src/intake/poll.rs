//! One poll of a feed: credential, budget, the reads that are wanted, and how it went.

use std::time::Duration;

use engine_api::Code;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{Intake, read::Reader};
use crate::{
    model::{Allowance, Day, plan},
    retry::{Backoff, chance, later},
    store::{ClaimedFeed, PollEnd},
    telemetry::{FeedLabels, PollLabels, PollOutcome, SourceLabels},
    zoom::{self, Credential},
};

/// Pauses after failed polls. Refused feeds are asked again too: a scope that is granted later heals them.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(5),
    longest: Duration::from_mins(10),
};

/// How a poll ended that was not stopped.
enum Came {
    /// Its reads are done; `hurry` when there are further windows to read.
    Through { hurry: bool },
    /// The budget allows nothing before that instant.
    ToWait { until: Timestamp },
}

/// Why a poll ended before its time.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The lease was lost, or the source changed or went away: somebody else goes on.
    Fenced,
    /// The engine is stopping.
    Stopping,
    /// Zoom's answer.
    Zoom(zoom::Error),
    /// The client secret, or the consent, cannot be had.
    Secret(Code, String),
    /// The store failed.
    Store(crate::store::Error),
}

impl From<crate::store::Error> for Stopped {
    fn from(error: crate::store::Error) -> Self {
        Self::Store(error)
    }
}

impl Intake {
    /// Polls a claimed feed and gives it back.
    pub(super) async fn poll(&self, mut feed: ClaimedFeed, stop: &CancellationToken) {
        let began = self.clock.now();
        let result = self.reads(&mut feed, began, stop).await;
        let now = self.clock.now();
        let interval = feed.spec.poll_interval.get();
        let (outcome, end, due) = match result {
            Ok(Came::Through { hurry }) => {
                let due = if hurry {
                    now
                } else {
                    later(began, interval).max(now)
                };
                (PollOutcome::Succeeded, PollEnd::Succeeded, due)
            }
            Ok(Came::ToWait { until }) => {
                let detail = format!("the Zoom requests of the day are used up; polling goes on at {until}");
                (PollOutcome::RateLimited, PollEnd::Waiting { detail }, until)
            }
            Err(Stopped::Fenced) => {
                debug!(feed = %feed.key, "the feed was taken over or has changed");
                self.telemetry
                    .polls
                    .add(&PollLabels::of(feed.key.log_type, PollOutcome::Fenced), 1);
                return;
            }
            Err(Stopped::Stopping) => {
                // Neither a success nor a failure: whoever polls next begins where this poll broke off.
                if let Err(error) = self.store.hand_back_feed(feed.id, feed.fence).await {
                    warn!(feed = %feed.key, error = error.chain(), "cannot give the feed back");
                }
                return;
            }
            Err(Stopped::Store(error)) => {
                // Nothing can be noted where nothing can be written; the lease lapses and the feed is polled again.
                warn!(feed = %feed.key, error = error.chain(), "the store failed during a poll");
                return;
            }
            Err(Stopped::Zoom(zoom::Error::DayUsedUp { until })) => {
                self.pause(&feed, until).await;
                let detail = format!("Zoom's daily limit is reached; polling goes on at {until}");
                (PollOutcome::RateLimited, PollEnd::Waiting { detail }, until)
            }
            Err(stopped) => {
                let (outcome, code, detail) = failure(stopped);
                warn!(feed = %feed.key, code = code.as_str(), detail, failures = feed.failures + 1, "the poll failed");
                let dice = chance(&[feed.key.to_string().as_bytes(), &feed.failures.to_le_bytes()]);
                let due = BACKOFF
                    .next(now, feed.failures + 1, dice, None)
                    .max(later(began, interval.min(BACKOFF.first)));
                (outcome, PollEnd::Failed { code, detail }, due)
            }
        };
        if feed.failures > 0 && matches!(end, PollEnd::Succeeded) {
            info!(feed = %feed.key, failures = feed.failures, "the feed is polled again with success");
        }
        self.telemetry
            .polls
            .add(&PollLabels::of(feed.key.log_type, outcome), 1);
        self.show(&feed, began, &end);
        match self
            .store
            .release_feed(feed.id, feed.fence, began, due, &end)
            .await
        {
            Ok(Ok(()) | Err(_)) => {}
            Err(error) => warn!(feed = %feed.key, error = error.chain(), "cannot give the feed back"),
        }
    }

    /// Does the reads that are wanted.
    async fn reads(
        &self,
        feed: &mut ClaimedFeed,
        began: Timestamp,
        stop: &CancellationToken,
    ) -> Result<Came, Stopped> {
        let today = Day::of(began);
        let account = self.zoom.budget_key(feed.spec.cloud, feed.spec.account_key());
        let budget = self.store.budget(&account, today).await?;
        let left = budget.left(self.daily_request_budget);
        #[expect(clippy::cast_precision_loss, reason = "a day's requests are far below 2^52")]
        self.telemetry
            .budget_remaining
            .set(&SourceLabels::of(feed.key.source.as_str()), left as f64);
        let frugal = match budget.allowance(self.daily_request_budget, began) {
            Allowance::Nothing(until) => return Ok(Came::ToWait { until }),
            Allowance::Frugal => true,
            Allowance::Free => false,
        };
        let credential = self.credential(feed).await?;
        let cadence = self.cadence(feed.spec.poll_interval.get());
        let mut reader = Reader::new(self, &credential, self.gates.of(&account), stop);
        let mut result = reader
            .read(
                feed,
                plan::next_current(&feed.checkpoint, &cadence, began, frugal),
            )
            .await;
        // Older days only behind the tail, and only while there is enough budget for the days to come.
        let mut hurry = false;
        if let (Ok(()), false, Some(older)) = (&result, frugal, plan::next_backfill(&feed.checkpoint, began))
        {
            match reader.read(feed, older).await {
                Ok(()) => hurry = plan::next_backfill(&feed.checkpoint, began) != Some(older),
                // The feed itself is current; its older days are tried again at the next poll.
                Err(Stopped::Zoom(error)) if !matches!(error, zoom::Error::DayUsedUp { .. }) => {
                    warn!(feed = %feed.key, %error, "older days cannot be read");
                }
                Err(stopped) => result = Err(stopped),
            }
        }
        if reader.appended() {
            self.wakes.wake();
        }
        let (requests, remaining) = (reader.requests(), reader.remaining_today());
        if let Err(error) = self.store.spend(&account, today, requests, remaining, None).await {
            warn!(feed = %feed.key, error = error.chain(), "cannot count the requests of a poll");
        }
        result?;
        let next = plan::next_current(&feed.checkpoint, &cadence, self.clock.now(), true);
        let behind = matches!(next, plan::Read::Sweep(window) if window.to < today);
        Ok(Came::Through {
            hurry: hurry || behind,
        })
    }

    /// What the feed's source shows to Zoom; a secret that is referred to is read at each poll.
    async fn credential(&self, feed: &ClaimedFeed) -> Result<Credential, Stopped> {
        let source = feed.key.source.as_str();
        let credential = self.credentials.of(source, &feed.spec, &feed.sealed).await;
        credential.map_err(|unusable| Stopped::Secret(unusable.code, unusable.detail))
    }

    /// Zoom's daily limit is reached: the whole account waits.
    async fn pause(&self, feed: &ClaimedFeed, until: Timestamp) {
        let account = self.zoom.budget_key(feed.spec.cloud, feed.spec.account_key());
        info!(feed = %feed.key, %until, "the Zoom requests of the day are used up");
        let today = Day::of(self.clock.now());
        if let Err(error) = self.store.spend(&account, today, 0, None, Some(until)).await {
            warn!(feed = %feed.key, error = error.chain(), "cannot note the pause of an account");
        }
    }

    fn show(&self, feed: &ClaimedFeed, began: Timestamp, end: &PollEnd) {
        let labels = FeedLabels::of(feed.key.source.as_str(), feed.key.log_type);
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^52")]
        let seconds = |instant: Timestamp| instant.as_second() as f64;
        self.telemetry
            .feed_watermark_timestamp_seconds
            .set(&labels, seconds(feed.checkpoint.watermark));
        if matches!(end, PollEnd::Succeeded) {
            self.telemetry
                .feed_last_success_timestamp_seconds
                .set(&labels, seconds(began));
        }
    }
}

fn failure(stopped: Stopped) -> (PollOutcome, Code, String) {
    match stopped {
        Stopped::Zoom(error) => {
            let outcome = match error {
                zoom::Error::Refused { .. } => PollOutcome::Refused,
                zoom::Error::Throttled { .. } | zoom::Error::DayUsedUp { .. } => PollOutcome::RateLimited,
                zoom::Error::Restart { .. } | zoom::Error::Unavailable { .. } => PollOutcome::Unavailable,
                zoom::Error::Malformed { .. } => PollOutcome::Malformed,
            };
            (outcome, error.code(), error.to_string())
        }
        Stopped::Secret(code, detail) => (PollOutcome::Refused, code, detail),
        Stopped::Store(error) => (
            PollOutcome::Unavailable,
            Code::StoreUnavailable,
            error.to_string(),
        ),
        Stopped::Fenced => (
            PollOutcome::Fenced,
            Code::Internal,
            "the lease was lost".to_owned(),
        ),
        Stopped::Stopping => (
            PollOutcome::Unavailable,
            Code::Internal,
            "the engine is stopping".to_owned(),
        ),
    }
}
