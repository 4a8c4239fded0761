//! Access tokens: one for each credential, shared by its feeds and by all engines.
//!
//! Zoom may let a new token void the one before, so two feeds must never ask for themselves: whoever comes first asks
//! while the others wait for the same token. Within the process they wait here; among engines, in the [`TokenStore`],
//! which is asked when memory has no good token.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use engine_api::Secret;
use jiff::{SignedDuration, Timestamp};
use oauth2::{ExtraTokenFields, StandardTokenResponse, TokenResponse as _, basic::BasicTokenType};
use serde::{Deserialize, Serialize};
use tracing::warn;
use url::Url;

use super::{App, Credential, Error, Grant, Zoom, error::Asked};
use crate::http::{Request, Response};

/// Renewed this long before it ends, so that no request of a read meets its end.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_secs(120);
/// Where Zoom does not say how long a token lives; it documents an hour.
const DEFAULT_LIFE: Duration = Duration::from_mins(55);
const MAX_TOKEN_BYTES: usize = 64 << 10;
/// Slots before any is thrown away; from there on it is looked whenever their number has doubled.
const WORTH_SWEEPING: usize = 1024;

/// What Zoom's token answers hold beside what the standard names.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Extra {
    #[serde(default)]
    api_url: Option<String>,
}

impl ExtraTokenFields for Extra {}

type Answer = StandardTokenResponse<Extra, BasicTokenType>;

/// An access token: where it is good, and until when it is used.
#[derive(Debug, Clone)]
pub struct AccessToken {
    secret: Secret,
    pub(super) api: Url,
    /// The API's host as Zoom's answer named it.
    told_api: Option<String>,
    renew_at: Timestamp,
    /// Whether this engine got it from Zoom, or has seen that Zoom honours it.
    proven: Arc<AtomicBool>,
}

/// An access token as it is kept for other engines.
#[derive(Deserialize)]
struct Packed {
    token: Secret,
    api_url: Option<String>,
}

impl AccessToken {
    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// When another one is to be asked for.
    pub fn renew_at(&self) -> Timestamp {
        self.renew_at
    }

    /// All of it but its end, to be sealed.
    pub fn pack(&self) -> Secret {
        let packed = serde_json::json!({ "token": self.secret.expose(), "api_url": self.told_api });
        packed.to_string().into()
    }

    pub(super) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }
}

/// Keeps the access token of one credential where all engines find it.
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync {
    /// What tells the credential from every other, and nothing of its secret.
    fn name(&self) -> &str;

    /// The token that all engines use; where there is none, or only one that is unfit, one engine asks Zoom, and the
    /// others get what it was given.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    ///
    /// # Cancel safety
    ///
    /// A question to Zoom that has begun goes on when the future is dropped, and its answer is kept.
    async fn fetch(&self, credential: &Credential, unfit: Unfit) -> Result<AccessToken, Error>;

    /// Keeps a token that came with a consent, unless a newer one is there. Where that fails, another one will be asked for.
    async fn put(&self, token: &AccessToken);
}

/// Which tokens will not do.
#[derive(Debug, Clone)]
pub enum Unfit {
    /// Any that has not ended will do.
    Ended,
    /// Zoom refuses this one.
    Refused(AccessToken),
    /// Whatever is there: another one is to be asked for.
    All,
}

impl Unfit {
    /// Whether a token is among them.
    pub fn includes(&self, token: &AccessToken) -> bool {
        match self {
            Self::Ended => false,
            Self::Refused(refused) => refused.secret == token.secret,
            Self::All => true,
        }
    }
}

/// What Zoom gives for a code or a refresh token.
#[derive(Debug, Clone)]
pub struct Given {
    /// The access token. Not to be used before `refresh` is stored: that voids the one before.
    pub access: AccessToken,
    /// The refresh token, good for one use.
    pub refresh: Secret,
    /// The scopes that the app was granted, where Zoom names them.
    pub scopes: Vec<String>,
}

/// A place for one credential's token; held locked while it is looked for.
type Slot = Arc<tokio::sync::Mutex<Option<Held>>>;

/// A token in memory.
#[derive(Debug)]
struct Held {
    token: AccessToken,
    refused: bool,
}

impl Held {
    fn good(token: AccessToken) -> Self {
        Self {
            token,
            refused: false,
        }
    }

    /// The token, while it is good.
    fn at(&self, now: Timestamp) -> Option<&AccessToken> {
        (!self.refused && self.token.renew_at > now).then_some(&self.token)
    }
}

/// The tokens in the memory of this process, by the names of their credentials.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    slots: Mutex<HashMap<String, Slot>>,
}

impl Tokens {
    fn slot(&self, credential: &Credential, now: Timestamp) -> Slot {
        let name = credential.tokens.name();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(name) {
            return Arc::clone(slot);
        }
        // Rotated secrets leave slots behind; whoever waits for one of them keeps it alive.
        if slots.len() >= WORTH_SWEEPING && slots.len().is_power_of_two() {
            slots.retain(|_, slot| {
                let is_good = |held: &Option<Held>| held.as_ref().is_some_and(|held| held.at(now).is_some());
                Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|held| is_good(&held))
            });
        }
        Arc::clone(slots.entry(name.to_owned()).or_default())
    }
}

impl Zoom {
    /// Gets a token in place of the one that is there: it proves the credential as it is now, and carries the scopes
    /// that the app has now.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn renew(&self, credential: &Credential) -> Result<(), Error> {
        let slot = self.slot(credential);
        let mut held = slot.lock().await;
        *held = Some(Held::good(credential.tokens.fetch(credential, Unfit::All).await?));
        Ok(())
    }

    /// Uses a token that came with a consent from now on, here and in the other engines.
    pub async fn hold(&self, credential: &Credential, token: AccessToken) {
        let slot = self.slot(credential);
        let mut held = slot.lock().await;
        credential.tokens.put(&token).await;
        *held = Some(Held::good(token));
    }

    /// The token that is in memory, if it is still good.
    pub async fn held(&self, credential: &Credential) -> Option<AccessToken> {
        let slot = self.slot(credential);
        let held = slot.lock().await;
        held.as_ref()?.at(self.now()).cloned()
    }

    /// A token that is good for a while. The store is asked only where the one in memory is not.
    pub(super) async fn token(&self, credential: &Credential) -> Result<AccessToken, Error> {
        let slot = self.slot(credential);
        let mut held = slot.lock().await;
        let unfit = match &*held {
            None => Unfit::Ended,
            Some(there) => match there.at(self.now()) {
                Some(token) => return Ok(token.clone()),
                None => Unfit::Refused(there.token.clone()),
            },
        };
        let token = credential.tokens.fetch(credential, unfit).await?;
        Ok(held.insert(Held::good(token)).token.clone())
    }

    /// Gives up a token that Zoom no longer honours, unless another one has taken its place.
    pub(super) async fn forget(&self, credential: &Credential, stale: &AccessToken) {
        let slot = self.slot(credential);
        if let Some(held) = &mut *slot.lock().await
            && held.token.secret == stale.secret
        {
            held.refused = true;
        }
    }

    fn slot(&self, credential: &Credential) -> Slot {
        self.shared.tokens.slot(credential, self.now())
    }

    /// Asks Zoom for a token. Only for whoever keeps it for all engines.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    ///
    /// # Cancel safety
    ///
    /// What Zoom has given may be lost.
    pub async fn mint(&self, credential: &Credential) -> Result<AccessToken, Error> {
        match &credential.grant {
            Grant::Account(account) => {
                let form = [("grant_type", "account_credentials"), ("account_id", account)];
                let answer = self.ask_for_token(&credential.app, Asked::Account, form).await?;
                Ok(answer.access)
            }
            Grant::Consent(keeper) => keeper.refresh(&credential.app).await,
        }
    }

    /// A token that another engine asked for; `None` where it is not what [`AccessToken::pack`] made. Where it may be
    /// sent is judged here anew, as if Zoom had answered us.
    pub fn unpack(&self, app: &App, packed: &Secret, renew_at: Timestamp) -> Option<AccessToken> {
        let Packed { token, api_url } = serde_json::from_str(packed.expose()).ok()?;
        Some(AccessToken {
            secret: token,
            api: self.api_of(app, api_url.as_deref()),
            told_api: api_url,
            renew_at,
            proven: Arc::default(),
        })
    }

    /// Where the API is, for an app whose token answer names a host.
    fn api_of(&self, app: &App, told: Option<&str>) -> Url {
        let place = self.shared.places.of(app.cloud);
        place.api_for(told).unwrap_or_else(|refused| {
            warn!(
                host = refused.0,
                "Zoom's token answer names an API host that is not followed; the configured one is used"
            );
            place.api.clone()
        })
    }

    /// Asks the token endpoint. The values go into the body, not the query: queries end up in the logs of proxies.
    pub(super) async fn ask_for_token<'a>(
        &self,
        app: &App,
        asked: Asked,
        form: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<TokenAnswer, Error> {
        let request = self
            .oauth_request(app, "token")?
            .form(form)
            .max_response_bytes(MAX_TOKEN_BYTES);
        let asked_at = self.now();
        let answer = self.send("token", &request).await?;
        if answer.status.is_success() {
            self.read(app, &answer, asked_at)
        } else {
            Err(Error::of_token(&answer, asked, asked_at))
        }
    }

    /// A request to one of the app's own endpoints, authenticated as the app.
    pub(super) fn oauth_request(&self, app: &App, endpoint: &str) -> Result<Request, Error> {
        let url = self.oauth_url(app.cloud, endpoint);
        Ok(Request::post(url)?
            .basic(&app.client_id, &app.client_secret)?
            .total_timeout(self.shared.timeout))
    }

    pub(super) fn read(
        &self,
        app: &App,
        answer: &Response,
        asked_at: Timestamp,
    ) -> Result<TokenAnswer, Error> {
        let answer: Answer = answer.json().map_err(|_| {
            // The reader's own words may quote the body, and the body holds a token.
            Error::Malformed {
                detail: "the answer to the token request is not the JSON that was expected".to_owned(),
            }
        })?;
        let told_api = answer.extra_fields().api_url.clone();
        let life = answer.expires_in().unwrap_or(DEFAULT_LIFE);
        let life = SignedDuration::try_from(life).unwrap_or(SignedDuration::MAX);
        // A token that lives shorter than the margin is used for half its life.
        let life = if life > RENEW_BEFORE * 2 {
            life - RENEW_BEFORE
        } else {
            life / 2
        };
        Ok(TokenAnswer {
            access: AccessToken {
                secret: answer.access_token().secret().as_str().into(),
                api: self.api_of(app, told_api.as_deref()),
                told_api,
                renew_at: asked_at.saturating_add(life).unwrap_or(Timestamp::MAX),
                proven: Arc::new(true.into()),
            },
            refresh: answer.refresh_token().map(|token| token.secret().as_str().into()),
            scopes: answer
                .scopes()
                .into_iter()
                .flatten()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
        })
    }
}

/// A token answer, with the refresh token where there is one.
#[derive(Debug)]
pub(super) struct TokenAnswer {
    pub(super) access: AccessToken,
    refresh: Option<Secret>,
    scopes: Vec<String>,
}

impl TokenAnswer {
    /// What a code or a refresh token must have given.
    pub(super) fn given(self) -> Result<Given, Error> {
        let Self {
            access,
            refresh,
            scopes,
        } = self;
        let refresh = refresh.ok_or_else(|| Error::Malformed {
            detail: "the answer to the token request holds no refresh token".to_owned(),
        })?;
        Ok(Given {
            access,
            refresh,
            scopes,
        })
    }
}

#[cfg(test)]
mod tests {
    use engine_api::Cloud;

    use super::super::{Options, Place, Places};
    use super::*;
    use crate::{clock::Clock, http::Http, telemetry::Telemetry};

    fn zoom() -> Zoom {
        let place = Place {
            api: "https://api.zoom.us".parse().unwrap(),
            oauth: "https://zoom.us".parse().unwrap(),
        };
        let options = Options {
            places: Places {
                commercial: place.clone(),
                government: place,
            },
            request_timeout: Duration::from_secs(20),
            day_zone: jiff::tz::TimeZone::UTC,
        };
        let clock = Clock::real();
        let http = Http::new(crate::http::Options::default(), clock.clone()).unwrap();
        Zoom::new(options, http, clock, Telemetry::new())
    }

    #[test]
    fn what_another_engine_packed_is_good_at_the_same_host_if_that_is_zooms_own() {
        let zoom = zoom();
        let app = App {
            cloud: Cloud::Commercial,
            client_id: "cid".to_owned(),
            client_secret: Secret::from("secret"),
        };
        let end = Timestamp::UNIX_EPOCH;
        for (told, api) in [
            (r#""https://api-eu.zoom.us""#, "https://api-eu.zoom.us/"),
            ("null", "https://api.zoom.us/"),
            (r#""https://zoom.us.evil.example""#, "https://api.zoom.us/"),
        ] {
            let packed = Secret::from(format!(r#"{{"token":"t\"1","api_url":{told}}}"#));
            let token = zoom.unpack(&app, &packed, end).unwrap();
            let again = zoom.unpack(&app, &token.pack(), end).unwrap();
            assert_eq!((token.api.as_str(), again.api.as_str()), (api, api));
            assert_eq!((token.secret.expose(), again.renew_at()), ("t\"1", end));
            assert!(Unfit::Refused(again.clone()).includes(&token) && !again.is_proven());
        }
        assert!(zoom.unpack(&app, &Secret::from("access-1"), end).is_none());
    }
}
