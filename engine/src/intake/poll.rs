//! One poll of a feed: credential, budget, the reads that are wanted, and how it went.

use std::time::Duration;

use engine_api::Code;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Intake,
    ask::Asker,
    purse::Purse,
    read::{Ended, Reader},
    stopped::Stopped,
};
use crate::{
    crash,
    model::{Allowance, Budget, Day, Purpose, plan},
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

/// How often a feed that nobody takes events of looks whether somebody does again. That costs Zoom nothing.
const BLOCKED_BEAT: Duration = Duration::from_mins(5);

/// What tells a feed's turn from those of others.
fn dice(feed: &ClaimedFeed) -> u32 {
    chance(&[feed.key.to_string().as_bytes()])
}

/// How a poll ended that was not stopped.
enum Came {
    /// Its reads are done; the next poll is due at the feed's turn.
    Through,
    /// There is more to read at once.
    More,
    /// Its reads are done, and the budget must last: the next poll is due so long after this one began.
    Paced { pause: Duration },
    /// The budget allows nothing before that instant.
    ToWait { until: Timestamp },
    /// Nobody takes the feed's events.
    Blocked { detail: String },
}

impl Intake {
    /// Polls a claimed feed and gives it back.
    pub(super) async fn poll(&self, mut feed: ClaimedFeed, stop: &CancellationToken) {
        let began = self.clock.now();
        let result = self.reads(&mut feed, began, stop).await;
        if let Err(stopped) = &result
            && let Some(error) = stopped.passing_fault_of_the_store()
        {
            warn!(feed = %feed.key, error, "the store failed during a poll");
            // It is still due: given back at once it would only be claimed again, and fail again.
            let give = || self.store.hand_back_feed(feed.id, feed.fence, None);
            self.store
                .insist(&feed.key.to_string(), feed.lease_until, stop, give)
                .await;
            return;
        }
        let now = self.clock.now();
        let interval = feed.spec.poll_interval.get();
        let (outcome, end, due) = match result {
            Ok(Came::Through) => {
                let due = plan::next_poll(began, interval, dice(&feed));
                (PollOutcome::Succeeded, PollEnd::Succeeded, due.max(now))
            }
            Ok(Came::More) => (PollOutcome::Succeeded, PollEnd::Succeeded, now),
            Ok(Came::Paced { pause }) => {
                let due = later(began, pause).max(now);
                (PollOutcome::Succeeded, PollEnd::Succeeded, due)
            }
            Ok(Came::ToWait { until }) | Err(Stopped::Budget { until }) => {
                let detail = format!("the Zoom requests of the day are used up; polling goes on at {until}");
                let code = Code::BudgetExhausted;
                (PollOutcome::RateLimited, PollEnd::Waiting { code, detail }, until)
            }
            Ok(Came::Blocked { detail }) => {
                let code = Code::DestinationUnavailable;
                (
                    PollOutcome::Blocked,
                    PollEnd::Waiting { code, detail },
                    later(now, BLOCKED_BEAT),
                )
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
                if let Err(error) = self.store.hand_back_feed(feed.id, feed.fence, None).await {
                    warn!(feed = %feed.key, error = error.chain(), "cannot give the feed back");
                }
                return;
            }
            Err(Stopped::Zoom(zoom::Error::DayUsedUp { until })) => {
                self.pause(&feed, until).await;
                let detail = format!("Zoom's daily limit is reached; polling goes on at {until}");
                let code = Code::BudgetExhausted;
                (PollOutcome::RateLimited, PollEnd::Waiting { code, detail }, until)
            }
            Err(stopped) => {
                let (outcome, code, detail) = stopped.failure();
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
        crash::point("intake.before_release").await;
        let release = async || {
            let released = self.store.release_feed(feed.id, feed.fence, began, due, &end);
            // Who finds it fenced has nothing to give back, or has given it back without hearing so.
            released.await.map(drop)
        };
        let released = release().await;
        crash::point("intake.released").await;
        if let Err(error) = released {
            warn!(feed = %feed.key, error = error.chain(), "cannot give the feed back yet");
            self.store
                .insist(&feed.key.to_string(), feed.lease_until, stop, release)
                .await;
        }
    }

    /// Whether a feed is to wait for its own turn instead of being polled now: it has missed one, and so have many others,
    /// because nobody polled for a while. Polled all at once they would come back all at once, too. None waits twice.
    pub(super) async fn waits_its_turn(&self, feed: &ClaimedFeed) -> bool {
        let (now, interval) = (self.clock.now(), feed.spec.poll_interval.get());
        let missed = later(feed.due_at, interval) < now;
        // The turn after a poll comes within the interval; one that was waited for comes later.
        let follows = feed
            .last_poll_at
            .is_some_and(|last| feed.due_at <= later(last, interval));
        if !missed || !follows {
            return false;
        }
        // Where that cannot be told or noted, it is polled.
        if !self.store.are_waiting(now, self.herd).await.unwrap_or_default() {
            return false;
        }
        let due = plan::next_poll(now, interval, dice(feed));
        self.store
            .hand_back_feed(feed.id, feed.fence, Some(due))
            .await
            .is_ok()
    }

    /// Does the reads that are wanted.
    async fn reads(
        &self,
        feed: &mut ClaimedFeed,
        began: Timestamp,
        stop: &CancellationToken,
    ) -> Result<Came, Stopped> {
        if let Some(detail) = self.blocked(feed, began).await? {
            return Ok(Came::Blocked { detail });
        }
        let account = self.zoom.budget_key(feed.spec.cloud, feed.spec.account_key());
        let budget = self.store.budget(&account, Day::of(began)).await?;
        let daily = self.daily(&feed.spec);
        #[expect(clippy::cast_precision_loss, reason = "a day's requests are far below 2^52")]
        self.telemetry.budget_remaining.set(
            &SourceLabels::of(feed.key.source.as_str()),
            budget.left(daily) as f64,
        );
        if let Allowance::Nothing(until) = budget.allowance(daily, Purpose::Tail, began) {
            return Ok(Came::ToWait { until });
        }
        let credential = self.credential(feed).await?;
        let purse = Purse::new(self, &account, daily);
        let asker = Asker {
            intake: self,
            credential: &credential,
            gate: self.gates.of(&account),
            purse,
            stop,
        };
        let mut reader = Reader::new(self, feed, asker);
        let frugal = matches!(
            budget.allowance(daily, Purpose::Sweep, began),
            Allowance::Nothing(_)
        );
        let hurry = self.turn(&mut reader, feed, frugal).await;
        reader.close().await;
        if hurry? {
            return Ok(Came::More);
        }
        let pause = self.pace(feed, budget, daily).await?;
        Ok(pause.map_or(Came::Through, |pause| Came::Paced { pause }))
    }

    /// Why nothing is collected of a feed whose events nobody takes.
    async fn blocked(&self, feed: &ClaimedFeed, now: Timestamp) -> Result<Option<String>, Stopped> {
        let Some((since, destination)) = self.store.blocked_since(feed.id).await? else {
            return Ok(None);
        };
        let long = later(since, self.blocked_after) <= now;
        Ok(long.then(|| {
            format!(
                "no destination has taken an event since {since}, `{destination}` the last of them, so Zoom is not asked \
                 for more: put a destination right, and polling goes on where it stopped; Zoom keeps its rows for six months"
            )
        }))
    }

    /// One turn of a feed: new events first, then what makes the recent days certain, then older days. Answers
    /// whether there is more to do at once.
    async fn turn(
        &self,
        reader: &mut Reader<'_>,
        feed: &mut ClaimedFeed,
        frugal: bool,
    ) -> Result<bool, Stopped> {
        let now = self.clock.now();
        let older = feed.backfill.as_ref().map(|backfill| backfill.days);
        let cadence = self.cadence(&feed.spec);
        let mut turn = plan::Turn {
            now,
            frugal,
            left_behind: false,
        };
        let mut sweep = plan::next_sweep(&feed.checkpoint, older, &cadence, turn);
        // A sweep that holds today begins with what is new.
        if sweep.is_none_or(|sweep| sweep.window().to < Day::of(now)) {
            reader.tail(feed, feed.checkpoint.wants_sweep).await?;
        }
        while let Some(read) = sweep.take() {
            match reader.complete(feed, read).await {
                Ok(Ended::Complete) if feed.checkpoint.sweeping.is_none() => {}
                Ok(_) => return Ok(true),
                // Late rows and certainty wait until there is budget again.
                Err(Stopped::Budget { .. }) => {
                    reader.tail(feed, feed.checkpoint.wants_sweep).await?;
                }
                Err(Stopped::Zoom(error)) if error.is_of_the_read() && !turn.left_behind => {
                    turn.left_behind = true;
                    let next = plan::next_sweep(&feed.checkpoint, older, &cadence, turn);
                    if next.is_none_or(|next| next == read) {
                        return Err(Stopped::Zoom(error));
                    }
                    warn!(feed = %feed.key, window = %read.window(), %error, "days cannot be confirmed yet; a sweep goes on");
                    sweep = next;
                }
                Err(stopped) => return Err(stopped),
            }
        }
        self.older_days(reader, feed).await
    }

    /// Reads the next window of a backfill, where there is one and not too many are read already.
    async fn older_days(&self, reader: &mut Reader<'_>, feed: &mut ClaimedFeed) -> Result<bool, Stopped> {
        let Some(backfill) = &feed.backfill else {
            return Ok(false);
        };
        let Ok(_slot) = self.backfills.try_acquire() else {
            return Ok(false);
        };
        let id = backfill.id.clone();
        let Some(older) = plan::next_backfill(&backfill.progress, self.clock.now()) else {
            reader.end_backfill(feed).await?;
            return Ok(true);
        };
        match reader.complete(feed, older).await {
            Ok(Ended::Shortened) | Err(Stopped::Cancelled) => Ok(true),
            Ok(Ended::Complete) => {
                let next = feed
                    .backfill
                    .as_ref()
                    .and_then(|backfill| plan::next_backfill(&backfill.progress, self.clock.now()));
                // Counts that are open are looked at again by the next poll.
                Ok(next != Some(older))
            }
            Err(Stopped::Budget { .. }) => Ok(false),
            // The feed itself is current; its older days are tried again by the next poll.
            Err(Stopped::Zoom(error)) if error.is_of_the_read() => {
                warn!(feed = %feed.key, backfill = %id, %error, "older days cannot be read");
                let trouble = error.to_string();
                self.store.note_backfill_trouble(feed.id, &id, &trouble).await?;
                Ok(false)
            }
            Err(stopped) => Err(stopped),
        }
    }

    /// How long to wait until the next poll, where that is longer than the feed's own interval.
    async fn pace(
        &self,
        feed: &ClaimedFeed,
        budget: Budget,
        daily: u64,
    ) -> Result<Option<Duration>, Stopped> {
        if !budget.runs_low(daily) {
            return Ok(None);
        }
        let feeds = self.store.feeds_of_account(feed.spec.account_key()).await?;
        let interval = feed.spec.poll_interval.get();
        Ok(budget.pace(daily, feeds, interval, self.clock.now()))
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
        if let Err(error) = self.store.pause_account(&account, today, until).await {
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
