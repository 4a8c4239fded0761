//! The notice worker: sends what alarms have to say.

use std::time::Duration;

use async_trait::async_trait;
use engine_api::{AlarmChannelSpec, Code, Kind};
use futures_util::{StreamExt as _, stream};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    clock::Clock,
    crash,
    destination::{Secrets, Webhooks, WriteError},
    retry::{Backoff, chance, later},
    store::{
        Error, Store,
        delivery::Trouble,
        notices::{Attempt, Notice},
        secrets::SealedSecret,
    },
    telemetry::{NoticeLabels, Telemetry},
    vault::Vault,
    worker::{Next, Turn, Worker},
};

/// So many notices are under way at once: one silent channel must not hold up the others.
const PARALLEL: usize = 8;
/// Longer than a request may take.
const LEASE: Duration = Duration::from_mins(2);
/// A notice that was not accepted for so long is given up.
const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(24);
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// How notices are sent.
#[derive(Debug, Clone)]
pub struct NoticeOptions {
    /// Who holds the leases: another text at each start of an engine.
    pub owner: String,
    /// The pauses after failures.
    pub backoff: Backoff,
    /// So many notices are under way at once.
    pub parallel: usize,
}

impl NoticeOptions {
    /// Options with the usual number of notices at once.
    pub fn new(owner: String, backoff: Backoff) -> Self {
        Self {
            owner,
            backoff,
            parallel: PARALLEL,
        }
    }
}

/// Sends notices to alarm channels, each until it is accepted or given up.
#[derive(Debug)]
pub struct NoticeWorker {
    store: Store,
    vault: Vault,
    webhooks: Webhooks,
    clock: Clock,
    telemetry: Telemetry,
    options: NoticeOptions,
}

impl NoticeWorker {
    /// A worker over these doors.
    pub fn new(
        store: Store,
        vault: Vault,
        webhooks: Webhooks,
        clock: Clock,
        telemetry: Telemetry,
        options: NoticeOptions,
    ) -> Self {
        Self {
            store,
            vault,
            webhooks,
            clock,
            telemetry,
            options,
        }
    }

    async fn round(&self, stop: &CancellationToken) -> Result<Next, Error> {
        let mut claimed = Vec::new();
        while claimed.len() < self.options.parallel
            && !stop.is_cancelled()
            && let Some(notice) = self.store.claim_notice(&self.options.owner, LEASE).await?
        {
            claimed.push(notice);
        }
        if claimed.is_empty() {
            return Ok(self.store.next_notice_due().await?.map_or(Next::Idle, Next::At));
        }
        crash::point("notice.claimed").await;
        let mut sending = stream::iter(claimed)
            .map(|notice| self.send(notice))
            .buffer_unordered(self.options.parallel);
        while let Some(sent) = sending.next().await {
            sent?;
        }
        Ok(Next::Again)
    }

    async fn send(&self, notice: Notice) -> Result<(), Error> {
        let attempt = match self.try_send(&notice).await? {
            Ok(()) => Attempt::Sent,
            Err(failure) => self.failed(&notice, &failure),
        };
        let (id, channel) = (notice.id.as_str(), notice.channel.as_str());
        let outcome = match &attempt {
            Attempt::Sent => {
                info!(notice.id = id, channel.id = channel, "notice sent");
                "sent"
            }
            Attempt::Failed(trouble, until) => {
                warn!(notice.id = id, channel.id = channel, error = trouble.detail, %until, "notice not accepted, trying again");
                "failed"
            }
            Attempt::GivenUp(trouble) => {
                error!(
                    notice.id = id,
                    channel.id = channel,
                    error = trouble.detail,
                    "notice given up"
                );
                "failed"
            }
        };
        self.telemetry.alarm_notices.add(&NoticeLabels { outcome }, 1);
        crash::point("notice.before_settle").await;
        if self.store.settle_notice(&notice, &attempt).await?.is_err() {
            debug!(notice.id = id, "notice was claimed by another");
        }
        crash::point("notice.settled").await;
        Ok(())
    }

    fn failed(&self, notice: &Notice, failure: &WriteError) -> Attempt {
        let now = self.clock.now();
        let trouble = Trouble {
            code: failure.code(),
            detail: failure.to_string(),
        };
        if now.duration_since(notice.created_at) >= GIVE_UP_AFTER {
            return Attempt::GivenUp(trouble);
        }
        let wish = match failure {
            WriteError::Throttled { retry_after, .. } => *retry_after,
            WriteError::Unavailable { .. }
            | WriteError::Refused { .. }
            | WriteError::TooLarge { .. }
            | WriteError::Blocked { .. } => None,
        };
        let dice = chance(&[notice.id.as_bytes(), &notice.attempts.to_le_bytes()]);
        let next = self
            .options
            .backoff
            .next(now, notice.attempts.saturating_add(1), dice, wish);
        Attempt::Failed(trouble, next)
    }

    async fn try_send(&self, notice: &Notice) -> Result<Result<(), WriteError>, Error> {
        // A channel that is gone took its notices with it.
        let Some((object, sealed)) = self
            .store
            .object_with_secrets(Kind::AlarmChannel, notice.channel.as_str())
            .await?
        else {
            return Ok(Ok(()));
        };
        let blocked = |code, detail| Ok(Err(WriteError::Blocked { code, detail }));
        let spec: AlarmChannelSpec = match serde_json::from_str(&object.spec) {
            Ok(spec) => spec,
            Err(error) => {
                return blocked(
                    Code::Internal,
                    format!("the stored spec cannot be read ({error}): write it again"),
                );
            }
        };
        let secrets = match self
            .vault
            .secrets_of(
                notice.channel.as_str(),
                &spec,
                sealed.iter().map(SealedSecret::as_pair),
            )
            .await
        {
            Ok(opened) => Secrets::from(opened),
            Err(error) => return blocked(error.code(), error.to_string()),
        };
        Ok(self
            .webhooks
            .send(&spec, &secrets, &notice.id, notice.body.clone())
            .await)
    }
}

#[async_trait]
impl Worker for NoticeWorker {
    fn name(&self) -> &'static str {
        "notices"
    }

    async fn activate(&self, stop: &CancellationToken, _turn: &mut Turn) -> Next {
        self.round(stop).await.unwrap_or_else(|cause| {
            error!(error = cause.chain(), "notices cannot use the store");
            Next::At(later(self.clock.now(), STORE_PAUSE))
        })
    }
}
