//! Renews refresh tokens that nobody has needed for most of a day.

use std::time::Duration;

use async_trait::async_trait;
use engine_api::{Kind, SourceSpec};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Credentials, idle};
use crate::{
    retry::{chance, later},
    store,
    worker::{Next, Turn, Worker},
};

/// How long the worker waits after it could not do its work before it looks again.
const PAUSE: Duration = Duration::from_secs(5);

/// Keeps consents alive.
#[derive(Debug)]
pub struct RenewalWorker {
    credentials: Credentials,
}

impl RenewalWorker {
    /// A worker over all sources that somebody consented for.
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials }
    }

    fn now(&self) -> Timestamp {
        self.credentials.parts.clock.now()
    }

    /// Renews the token that is due, if one is.
    async fn look(&self) -> Result<Next, store::Error> {
        let store = &self.credentials.parts.store;
        let now = self.now();
        match store.next_consent_due().await? {
            None => Ok(Next::Idle),
            Some((_, due)) if due > now => Ok(Next::At(due)),
            Some((source, _)) => self.renew(&source).await,
        }
    }

    async fn renew(&self, source: &str) -> Result<Next, store::Error> {
        let store = &self.credentials.parts.store;
        let postpone =
            store.postpone_consent(source, idle::retry(self.now(), 10, chance(&[source.as_bytes()])));
        let Some((object, sealed)) = store.object_with_secrets(Kind::Source, source).await? else {
            // It was removed a moment ago, and its consent with it.
            return Ok(Next::Again);
        };
        let spec: SourceSpec = match serde_json::from_str(&object.spec) {
            Ok(spec) => spec,
            Err(error) => {
                error!(source, %error, "the source's spec cannot be read");
                postpone.await?;
                return Ok(Next::Again);
            }
        };
        let credential = match self.credentials.of(source, &spec, &sealed).await {
            Ok(credential) => credential,
            Err(unusable) => {
                warn!(
                    source,
                    code = unusable.code.as_str(),
                    detail = unusable.detail,
                    "a token is not renewed"
                );
                postpone.await?;
                return Ok(Next::Again);
            }
        };
        match self.credentials.zoom().renew(&credential).await {
            Ok(()) => {
                info!(source, "an idle token was renewed");
                Ok(Next::Again)
            }
            // The next try is noted with the token.
            Err(error) => {
                warn!(source, %error, "an idle token was not renewed");
                Ok(Next::At(later(self.now(), PAUSE)))
            }
        }
    }
}

#[async_trait]
impl Worker for RenewalWorker {
    fn name(&self) -> &'static str {
        "renewal"
    }

    async fn activate(&self, _stop: &CancellationToken, _turn: &mut Turn) -> Next {
        self.look().await.unwrap_or_else(|error| {
            error!(error = error.chain(), "cannot tell which token is due");
            Next::At(later(self.now(), PAUSE))
        })
    }
}
