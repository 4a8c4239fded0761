//! Forgets what all have: segments that every destination acknowledged and that are too old to be sent again.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    clock::Clock,
    crash,
    retry::later,
    store::{Error, Store},
    worker::{Next, Turn, Worker},
};

/// So many segments are looked at in one transaction.
const STEP: u32 = 500;
/// How often it is looked whether there is something to forget.
const BEAT: Duration = Duration::from_mins(10);
/// How long the audit log is kept where nothing else is said.
const AUDIT_RETENTION: Duration = Duration::from_hours(24 * 400);

/// Drops segments and days that Zoom has forgotten, removes notices that are done, tokens that ended, access tokens
/// of credentials that are gone and old entries of the audit log, and gives free pages back, all in small steps.
#[derive(Debug)]
pub struct RetentionWorker {
    store: Store,
    clock: Clock,
    replay_retention: Duration,
    audit_retention: Duration,
}

impl RetentionWorker {
    /// Segments are kept for `replay_retention` at least.
    pub fn new(store: Store, clock: Clock, replay_retention: Duration) -> Self {
        Self {
            store,
            clock,
            replay_retention,
            audit_retention: AUDIT_RETENTION,
        }
    }

    /// Keeps entries of the audit log for so long.
    #[must_use]
    pub fn with_audit_retention(mut self, length: Duration) -> Self {
        self.audit_retention = length;
        self
    }

    async fn step(&self) -> Result<Next, Error> {
        let now = self.clock.now();
        let before = earlier(now, self.replay_retention);
        crash::point("retention.before_drop").await;
        let dropped = self.store.drop_segments(before, STEP).await?;
        crash::point("retention.dropped").await;
        if dropped > 0 {
            info!(segments = dropped, "dropped segments that all destinations have");
        }
        self.store.forget_old_days(now).await?;
        self.store.forget_old_access(now).await?;
        let notices = self.store.drop_finished_notices(now).await?;
        let tokens = self.store.forget_ended_tokens(now).await?;
        let audit = self
            .store
            .forget_audit(earlier(now, self.audit_retention))
            .await?;
        let more_pages = self.store.vacuum().await?;
        let more = dropped == STEP as usize || notices > 0 || tokens > 0 || audit > 0 || more_pages;
        Ok(if more {
            Next::Again
        } else {
            Next::At(later(now, BEAT))
        })
    }
}

fn earlier(now: Timestamp, length: Duration) -> Timestamp {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    now.saturating_sub(length).unwrap_or(Timestamp::MIN)
}

#[async_trait]
impl Worker for RetentionWorker {
    fn name(&self) -> &'static str {
        "retention"
    }

    async fn activate(&self, _stop: &CancellationToken, _turn: &mut Turn) -> Next {
        self.step().await.unwrap_or_else(|cause| {
            error!(error = cause.chain(), "retention cannot use the store");
            Next::At(later(self.clock.now(), BEAT))
        })
    }
}
