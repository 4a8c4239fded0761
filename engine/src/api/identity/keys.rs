//! An issuer's keys: found through its discovery document, kept, and fetched again when they change.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use tokio::sync::Mutex;
use tracing::{info, warn};
use url::Url;

use super::jwt::{self, Key, Unverified};
use crate::{
    clock::Clock,
    config::{Issuer, safe_for_credentials},
    http::{Http, Request},
};

/// After so long keys are fetched anew, though the ones at hand fit.
const FRESH: Duration = Duration::from_hours(1);
/// For so long keys are used where no newer ones can be had.
const USABLE: Duration = Duration::from_hours(24);
/// So long after a fetch there is no other one, whatever is asked: anybody can name a key that nobody has.
const PAUSE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);
const LARGEST_ANSWER: usize = 512 << 10;

/// The keys of all trusted issuers.
#[derive(Debug)]
pub(super) struct KeyRing {
    http: Http,
    clock: Clock,
    slots: BTreeMap<String, Mutex<Slot>>,
}

/// What is known of one issuer's keys.
#[derive(Debug, Default)]
struct Slot {
    keys: Vec<Key>,
    /// When they came, by the monotonic clock.
    fetched: Option<Duration>,
    /// When they were asked for last, and why they did not come.
    tried: Option<(Duration, Option<String>)>,
}

/// What came of a token and its issuer's keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// One of the keys signed it.
    Signed,
    /// None did.
    NotSigned,
    /// There are no keys to hold it against.
    NoKeys(String),
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: Url,
}

impl KeyRing {
    /// No keys yet; they are fetched when the first token comes.
    pub(super) fn new(issuers: &[Issuer], http: Http, clock: Clock) -> Self {
        let slots = issuers
            .iter()
            .map(|trusted| (trusted.issuer.clone(), Mutex::default()));
        Self {
            http,
            clock,
            slots: slots.collect(),
        }
    }

    /// Holds a token against the keys of a trusted issuer. Who asks at the same time waits for the same fetch.
    ///
    /// # Cancel safety
    ///
    /// A fetch that was begun is begun anew by the next caller.
    pub(super) async fn judge(&self, issuer: &str, token: &Unverified<'_>) -> Verdict {
        let Some(slot) = self.slots.get(issuer) else {
            return Verdict::NoKeys("it is not trusted".to_owned());
        };
        let mut slot = slot.lock().await;
        let now = self.clock.monotonic();
        let age = slot.fetched.map(|fetched| now.saturating_sub(fetched));
        let stale = age.is_none_or(|age| age >= FRESH) || !token.names_one_of(&slot.keys);
        let pausing = slot
            .tried
            .as_ref()
            .is_some_and(|(tried, _)| now.saturating_sub(*tried) < PAUSE);
        if stale && !pausing {
            let came = self.fetch(issuer).await;
            slot.tried = Some((self.clock.monotonic(), came.as_ref().err().cloned()));
            match came {
                Ok(keys) => {
                    info!(
                        issuer,
                        keys = keys.len(),
                        "fetched the keys of an issuer of identities"
                    );
                    slot.keys = keys;
                    slot.fetched = Some(self.clock.monotonic());
                }
                Err(error) => warn!(issuer, error, "cannot fetch the keys of an issuer of identities"),
            }
        }
        let named = token.names_one_of(&slot.keys);
        if !named && pausing {
            let why =
                "it did not publish the key that the token names a moment ago: try again in a few seconds";
            return Verdict::NoKeys(why.to_owned());
        }
        let now = self.clock.monotonic();
        let usable = slot
            .fetched
            .is_some_and(|fetched| now.saturating_sub(fetched) < USABLE);
        let why_none = slot.tried.as_ref().and_then(|(_, why)| why.clone());
        match (usable, why_none) {
            (true, _) if token.signed_by(&slot.keys) => Verdict::Signed,
            // It may be signed with a key that is newer than those at hand.
            (true, Some(why)) if !named => Verdict::NoKeys(why),
            (true, _) => Verdict::NotSigned,
            (false, why) => Verdict::NoKeys(why.unwrap_or_else(|| "its keys are too old".to_owned())),
        }
    }

    async fn fetch(&self, issuer: &str) -> Result<Vec<Key>, String> {
        let document = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let url = document.parse().map_err(|_| "its name is not a URL".to_owned())?;
        let discovery: Discovery = serde_json::from_slice(&self.get(url).await?)
            .map_err(|_| "its discovery document has no `issuer` and `jwks_uri`".to_owned())?;
        if discovery.issuer != issuer {
            return Err("its discovery document is the one of another issuer".to_owned());
        }
        if let Err(why) = safe_for_credentials(&discovery.jwks_uri) {
            return Err(format!("the `jwks_uri` of its discovery document {why}"));
        }
        let body = self.get(discovery.jwks_uri).await?;
        jwt::keys(&body).map_err(ToOwned::to_owned)
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>, String> {
        let request = Request::get(url).map_err(|error| error.to_string())?;
        let request = request.total_timeout(PATIENCE).max_response_bytes(LARGEST_ANSWER);
        let answer = self
            .http
            .send(&request)
            .await
            .map_err(|error| error.to_string())?;
        if !answer.status.is_success() {
            return Err(format!("it answers with the status {}", answer.status.as_u16()));
        }
        Ok(answer.body.into())
    }
}
