//! The certificate of the API, read again while the engine runs.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::ServerConfig;
use tracing::{error, info};

use crate::{
    clock::Clock,
    config::{Stamp, Tls, TlsError},
};

/// How often one looks whether the files have changed.
const LOOK: Duration = Duration::from_secs(2);

/// What new connections are accepted with.
#[derive(Debug)]
pub(super) struct Certificate {
    tls: Tls,
    first: Stamp,
    now: RwLock<Arc<ServerConfig>>,
}

impl Certificate {
    pub(super) fn load(tls: Tls) -> Result<Self, TlsError> {
        // The state before the files are read: what changes meanwhile is read again.
        let first = tls.stamp();
        let now = RwLock::new(tls.load()?);
        Ok(Self { tls, first, now })
    }

    pub(super) fn acceptor(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again whenever they have changed, for ever. What cannot be used is said once, and what was read
    /// before stays; a certificate and its key that are replaced one after the other are taken once both are there.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the watch.
    pub(super) async fn watch(&self, clock: &Clock) {
        let mut seen = self.first.clone();
        loop {
            clock.sleep(LOOK).await;
            let stamp = self.tls.stamp();
            if stamp == seen {
                continue;
            }
            seen = stamp;
            match self.tls.load() {
                Ok(config) => {
                    *self.now.write().unwrap_or_else(PoisonError::into_inner) = config;
                    info!(file = %self.tls.cert_file.display(), "the API's certificate was read again");
                }
                Err(why) => error!(
                    %why,
                    "the API's new certificate cannot be used, and the one before stays"
                ),
            }
        }
    }
}
