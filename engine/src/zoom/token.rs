//! Access tokens by the `account_credentials` grant: one for each credential, shared by its feeds.
//!
//! Zoom may let a new token void the one before, so two feeds must never mint for themselves: whoever comes first
//! mints while the others wait for the same token.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use oauth2::{EmptyExtraTokenFields, StandardTokenResponse, TokenResponse as _, basic::BasicTokenType};

use super::{Credential, Error, Zoom};
use crate::{
    crash,
    http::{Request, Response},
};

/// Renewed this long before it ends, so that no request of a read meets its end.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_secs(120);
/// Where Zoom does not say how long a token lives; it documents an hour.
const DEFAULT_LIFE: Duration = Duration::from_mins(55);
const MAX_TOKEN_BYTES: usize = 64 << 10;

type Answer = StandardTokenResponse<EmptyExtraTokenFields, BasicTokenType>;

/// An access token and when it is to be renewed.
#[derive(Debug, Clone)]
pub(super) struct Token {
    secret: engine_api::Secret,
    renew_at: Timestamp,
}

impl Token {
    pub(super) fn secret(&self) -> &engine_api::Secret {
        &self.secret
    }
}

/// A place for one credential's token; held locked while it is minted.
type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// The tokens of this process. They are cheap to mint, so none is stored.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    slots: Mutex<HashMap<[u8; 32], Slot>>,
}

impl Tokens {
    fn slot(&self, credential: &Credential) -> Slot {
        let mut hasher = blake3::Hasher::new();
        for part in [
            &credential.account_id,
            &credential.client_id,
            credential.client_secret.expose(),
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
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
    pub(super) async fn forget(&self, credential: &Credential, stale: &Token) {
        let slot = self.slot(credential);
        let mut held = slot.lock().await;
        if held.as_ref().is_some_and(|token| token.secret == stale.secret) {
            *held = None;
        }
    }
}

impl Zoom {
    /// Mints a token in place of the one that is held: it proves the credential as it is now, and carries the scopes
    /// that the app has now.
    pub(super) async fn renew(&self, credential: &Credential) -> Result<(), Error> {
        let slot = self.shared.tokens.slot(credential);
        let mut held = slot.lock().await;
        let token = self.mint(credential).await?;
        crash::point("token.minted").await;
        *held = Some(token);
        crash::point("token.kept").await;
        Ok(())
    }

    /// A token that is good for a while.
    pub(super) async fn token(&self, credential: &Credential) -> Result<Token, Error> {
        let slot = self.shared.tokens.slot(credential);
        let mut held = slot.lock().await;
        if let Some(token) = held.as_ref().filter(|token| token.renew_at > self.now()) {
            return Ok(token.clone());
        }
        let token = self.mint(credential).await?;
        crash::point("token.minted").await;
        let kept = held.insert(token).clone();
        crash::point("token.kept").await;
        Ok(kept)
    }

    async fn mint(&self, credential: &Credential) -> Result<Token, Error> {
        let mut url = self.shared.oauth.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["oauth", "token"]);
        }
        // In the body, not the query: queries end up in the logs of proxies.
        let form = [
            ("grant_type", "account_credentials"),
            ("account_id", credential.account_id.as_str()),
        ];
        let request = Request::post(url)?
            .basic(&credential.client_id, &credential.client_secret)?
            .form(form)
            .total_timeout(self.shared.timeout)
            .max_response_bytes(MAX_TOKEN_BYTES);
        let asked_at = self.now();
        let answer = self.send("token", &request).await?;
        if answer.status.is_success() {
            read(&answer, asked_at)
        } else {
            Err(Error::of_token(&answer, asked_at))
        }
    }
}

fn read(answer: &Response, asked_at: Timestamp) -> Result<Token, Error> {
    let answer: Answer = answer.json().map_err(|_| {
        // The reader's own words may quote the body, and the body holds a token.
        Error::Malformed {
            detail: "the answer to the token request is not the JSON that was expected".to_owned(),
        }
    })?;
    let life = answer.expires_in().unwrap_or(DEFAULT_LIFE);
    let life = SignedDuration::try_from(life).unwrap_or(SignedDuration::MAX);
    // A token that lives shorter than the margin is used for half its life.
    let life = if life > RENEW_BEFORE * 2 {
        life - RENEW_BEFORE
    } else {
        life / 2
    };
    Ok(Token {
        secret: answer.access_token().secret().as_str().into(),
        renew_at: asked_at.saturating_add(life).unwrap_or(Timestamp::MAX),
    })
}
