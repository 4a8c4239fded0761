//! Access tokens: one for each credential, held in memory only and shared by its feeds.
//!
//! Zoom may let a new token void the one before, so two feeds must never ask for themselves: whoever comes first asks
//! while the others wait for the same token.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use engine_api::Secret;
use jiff::{SignedDuration, Timestamp};
use oauth2::{ExtraTokenFields, StandardTokenResponse, TokenResponse as _, basic::BasicTokenType};
use serde::{Deserialize, Serialize};
use tracing::warn;
use url::Url;

use super::{App, Credential, Error, Grant, Zoom, error::Asked};
use crate::{
    crash,
    http::{Request, Response},
};

/// Renewed this long before it ends, so that no request of a read meets its end.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_secs(120);
/// Where Zoom does not say how long a token lives; it documents an hour.
const DEFAULT_LIFE: Duration = Duration::from_mins(55);
const MAX_TOKEN_BYTES: usize = 64 << 10;

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
    renew_at: Timestamp,
}

impl AccessToken {
    pub(super) fn secret(&self) -> &Secret {
        &self.secret
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

/// A place for one credential's token; held locked while it is asked for.
type Slot = Arc<tokio::sync::Mutex<Option<AccessToken>>>;

/// The tokens of this process; none is stored.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    slots: Mutex<HashMap<[u8; 32], Slot>>,
}

impl Tokens {
    fn slot(&self, credential: &Credential) -> Slot {
        let mut hasher = blake3::Hasher::new();
        let Credential { app, grant } = credential;
        let kind = match grant {
            Grant::Account(_) => "account",
            Grant::Consent(_) => "consent",
        };
        for part in [
            kind,
            credential.whose(),
            &app.client_id,
            app.client_secret.expose(),
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.update(&[u8::from(app.cloud == engine_api::Cloud::Government)]);
        let key = *hasher.finalize().as_bytes();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        // Rotated secrets leave slots behind; whoever waits for one of them keeps it alive.
        if slots.len() > 1024 && !slots.contains_key(&key) {
            slots.retain(|_, slot| {
                Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|token| token.is_some())
            });
        }
        Arc::clone(slots.entry(key).or_default())
    }

    /// Drops a token that Zoom no longer honours, unless another one has taken its place.
    pub(super) async fn forget(&self, credential: &Credential, stale: &AccessToken) {
        let slot = self.slot(credential);
        let mut held = slot.lock().await;
        if held.as_ref().is_some_and(|token| token.secret == stale.secret) {
            *held = None;
        }
    }
}

impl Zoom {
    /// Gets a token in place of the one that is held: it proves the credential as it is now, and carries the scopes
    /// that the app has now.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn renew(&self, credential: &Credential) -> Result<(), Error> {
        let slot = self.shared.tokens.slot(credential);
        let mut held = slot.lock().await;
        let token = self.ask(credential).await?;
        crash::point("token.minted").await;
        *held = Some(token);
        crash::point("token.kept").await;
        Ok(())
    }

    /// Uses a token that came with a consent from now on.
    pub async fn hold(&self, credential: &Credential, token: AccessToken) {
        *self.shared.tokens.slot(credential).lock().await = Some(token);
    }

    /// The token that is held, if it is still good.
    pub async fn held(&self, credential: &Credential) -> Option<AccessToken> {
        let slot = self.shared.tokens.slot(credential);
        let held = slot.lock().await;
        held.as_ref().filter(|token| token.renew_at > self.now()).cloned()
    }

    /// A token that is good for a while.
    pub(super) async fn token(&self, credential: &Credential) -> Result<AccessToken, Error> {
        let slot = self.shared.tokens.slot(credential);
        let mut held = slot.lock().await;
        if let Some(token) = held.as_ref().filter(|token| token.renew_at > self.now()) {
            return Ok(token.clone());
        }
        let token = self.ask(credential).await?;
        crash::point("token.minted").await;
        let kept = held.insert(token).clone();
        crash::point("token.kept").await;
        Ok(kept)
    }

    async fn ask(&self, credential: &Credential) -> Result<AccessToken, Error> {
        match &credential.grant {
            Grant::Account(account) => {
                let form = [("grant_type", "account_credentials"), ("account_id", account)];
                let answer = self.ask_for_token(&credential.app, Asked::Account, form).await?;
                Ok(answer.access)
            }
            Grant::Consent(keeper) => keeper.refresh(&credential.app).await,
        }
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
        let place = self.shared.places.of(app.cloud);
        let api = place
            .api_for(answer.extra_fields().api_url.as_deref())
            .unwrap_or_else(|refused| {
                warn!(
                    host = refused.0,
                    "Zoom's token answer names an API host that is not followed; the configured one is used"
                );
                place.api.clone()
            });
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
                api,
                renew_at: asked_at.saturating_add(life).unwrap_or(Timestamp::MAX),
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
