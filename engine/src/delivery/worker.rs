//! The delivery worker: one lane an activation.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use engine_api::{Code, DestinationSpec, Kind};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, error, info_span, warn};

use super::{
    lane::{Ended, Run},
    means::{Means, Options},
    read::Wanted,
};
use crate::{
    clock::Clock,
    crash,
    destination::{Destination, Open, Secrets, WriteError},
    retry::{chance, later},
    store::{
        Error, Store,
        delivery::{Claim, Lane, Trouble},
        secrets::SealedSecret,
    },
    telemetry::{DestinationFault, DestinationLabels, Telemetry},
    vault::Vault,
    worker::{Next, Turn, Worker},
};

/// How long the store is left alone after it could not be used.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Delivers events. Several may run at once; each claims another lane.
#[derive(Debug)]
pub struct DeliveryWorker {
    pub(super) means: Means,
    vault: Vault,
    destinations: Arc<dyn Open>,
}

#[async_trait]
impl Worker for DeliveryWorker {
    fn name(&self) -> &'static str {
        crate::worker::DELIVERY
    }

    async fn activate(&self, stop: &CancellationToken, turn: &mut Turn) -> Next {
        self.turn(stop, turn).await.unwrap_or_else(|cause| {
            error!(error = cause.chain(), "delivery cannot use the store");
            Next::At(later(self.means.clock.now(), STORE_PAUSE))
        })
    }
}

impl DeliveryWorker {
    /// A worker over these doors.
    pub fn new(
        store: Store,
        vault: Vault,
        clock: Clock,
        telemetry: Telemetry,
        destinations: Arc<dyn Open>,
        options: Options,
    ) -> Self {
        Self {
            means: Means {
                store,
                clock,
                telemetry,
                options,
            },
            vault,
            destinations,
        }
    }

    async fn turn(&self, stop: &CancellationToken, turn: &mut Turn) -> Result<Next, Error> {
        let Some(lane) = self
            .means
            .store
            .claim_lane(&self.means.options.owner, self.means.options.lease)
            .await?
        else {
            return Ok(self
                .means
                .store
                .next_lane_due()
                .await?
                .map_or(Next::Idle, Next::At));
        };
        turn.pass();
        crash::point("delivery.claimed").await;
        let span = info_span!("lane", destination.id = %lane.claim.destination);
        let claim = lane.claim.clone();
        if let Err(error) = self.deliver(lane, stop).instrument(span).await {
            self.give_back(&claim, stop).await;
            return Err(error);
        }
        Ok(Next::Again)
    }

    /// Gives a lane back after a fault of the store, as soon as it takes it.
    async fn give_back(&self, claim: &Claim, stop: &CancellationToken) {
        let give = async || {
            let again = later(self.means.clock.now(), STORE_PAUSE);
            self.means.store.release_lane(claim, Some(again)).await.map(drop)
        };
        // It may take this although it did not take what went before.
        if give().await.is_err() {
            let until = later(self.means.clock.now(), self.means.options.lease);
            self.means
                .store
                .insist(claim.destination.as_str(), until, stop, give)
                .await;
        }
    }

    async fn deliver(&self, lane: Lane, stop: &CancellationToken) -> Result<(), Error> {
        let claim = lane.claim.clone();
        let mut failures = lane.failures;
        let ended = match self.open(&lane).await? {
            // The destination was deleted, and its lane with it.
            None => return Ok(()),
            Some(Err(refusal)) => Ended::Paused(refusal),
            Some(Ok((spec, destination))) => {
                let wanted = Wanted {
                    metadata: spec.metadata,
                    only: spec.only.as_ref(),
                };
                let run = Run::new(&self.means, lane, destination.as_ref(), wanted, stop);
                let ended = run.deliver().await?;
                failures = run.failures();
                ended
            }
        };
        crash::point("delivery.before_release").await;
        let left = match ended {
            Ended::Fenced => {
                debug!("lane was claimed by another");
                return Ok(());
            }
            Ended::Drained => self.means.store.release_lane(&claim, None).await?,
            Ended::More => {
                self.means
                    .store
                    .release_lane(&claim, Some(self.means.clock.now()))
                    .await?
            }
            Ended::Waits(due) => self.means.store.release_lane(&claim, Some(due)).await?,
            Ended::Paused(failure) => {
                let failures = failures.saturating_add(1);
                let next = self.next_try(&failure, failures, claim.destination.as_str());
                warn!(error = %failure, kind = failure.kind(), failures, until = %next, "destination failed, delivery pauses");
                let labels = DestinationFault {
                    destination: claim.destination.to_string(),
                    reason: failure.kind(),
                };
                self.means.telemetry.destination_retries.add(&labels, 1);
                let trouble = Trouble {
                    code: failure.code(),
                    detail: failure.to_string(),
                };
                self.means.store.pause_lane(&claim, &trouble, next).await?
            }
        };
        crash::point("delivery.released").await;
        if left.is_err() {
            debug!("lane was claimed by another");
        }
        self.show(&claim.destination).await
    }

    fn next_try(&self, failure: &WriteError, failures: u32, destination: &str) -> Timestamp {
        let (now, backoff) = (self.means.clock.now(), self.means.options.backoff);
        let dice = chance(&[
            destination.as_bytes(),
            &failures.to_le_bytes(),
            self.means.options.owner.as_bytes(),
        ]);
        match failure {
            WriteError::Throttled { retry_after, .. } => backoff.next(now, failures, dice, *retry_after),
            WriteError::Unavailable { .. } => backoff.next(now, failures, dice, None),
            WriteError::Blocked { .. } | WriteError::Refused { .. } | WriteError::TooLarge { .. } => {
                backoff.next_slow(now, failures, dice)
            }
        }
    }

    /// Reads the destination's spec and opens its secrets; `None` where it no longer exists.
    async fn open(
        &self,
        lane: &Lane,
    ) -> Result<Option<Result<(DestinationSpec, Box<dyn Destination>), WriteError>>, Error> {
        let id = &lane.claim.destination;
        let Some((object, sealed)) = self
            .means
            .store
            .object_with_secrets(Kind::Destination, id.as_str())
            .await?
        else {
            return Ok(None);
        };
        let spec: DestinationSpec = match serde_json::from_str(&object.spec) {
            Ok(spec) => spec,
            Err(error) => {
                let detail = format!("the stored spec cannot be read ({error}): write it again");
                return Ok(Some(Err(WriteError::Blocked {
                    code: Code::Internal,
                    detail,
                })));
            }
        };
        let secrets = match self
            .vault
            .secrets_of(id.as_str(), &spec, sealed.iter().map(SealedSecret::as_pair))
            .await
        {
            Ok(opened) => Secrets::from(opened),
            Err(error) => {
                return Ok(Some(Err(WriteError::Blocked {
                    code: error.code(),
                    detail: error.to_string(),
                })));
            }
        };
        Ok(Some(
            self.destinations
                .open(&spec, &secrets)
                .map(|destination| (spec, destination)),
        ))
    }

    /// Brings the gauges of a destination up to date.
    async fn show(&self, id: &engine_api::DestinationId) -> Result<(), Error> {
        let Some(status) = self.means.store.destination_status(id).await? else {
            self.means.telemetry.forget_destination(id.as_str());
            return Ok(());
        };
        let labels = DestinationLabels {
            destination: id.to_string(),
        };
        let oldest = self.means.store.oldest_pending_seconds(id).await?;
        for (gauge, value) in [
            (
                &self.means.telemetry.destination_pending_events,
                status.pending_events,
            ),
            (&self.means.telemetry.destination_oldest_pending_seconds, oldest),
            (&self.means.telemetry.dead_letters, status.dead_letters),
        ] {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a gauge beyond 2^53 events is exact enough"
            )]
            gauge.set(&labels, value as f64);
        }
        Ok(())
    }
}
