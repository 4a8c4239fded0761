//! Taking a consent, and giving it back.

use std::{sync::Arc, time::Duration};

use engine_api::{Code, Secret, SourceSpec};
use tracing::{debug, info, warn};

use super::{Credentials, Parts, Stopping, TOKEN_FIELD, Unusable, app_of, idle, redirect_url};
use crate::{
    retry::chance,
    rotation,
    store::{
        consents::{ConsentRefusal, NewConsent},
        secrets::SealedSecret,
    },
    zoom::{self, AccessToken, App, Begun, Credential, Given},
};

/// The longest that a deletion waits for Zoom to end a consent.
const FAREWELL: Duration = Duration::from_secs(10);

/// A consent that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The Zoom account that consented, where Zoom tells it.
    pub account_id: Option<String>,
    /// The scopes that were granted, where Zoom names them.
    pub scopes: Vec<String>,
}

/// What it takes to end a consent at Zoom, once its source is gone.
#[derive(Debug)]
pub struct Departure {
    credential: Credential,
    token: Secret,
}

impl From<zoom::Error> for Unusable {
    fn from(error: zoom::Error) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<Stopping> for Unusable {
    fn from(_: Stopping) -> Self {
        Self::new(Code::Internal, "the engine is stopping: begin again")
    }
}

impl Credentials {
    /// Begins a consent for a source: where to send the browser, and what it must bring back.
    ///
    /// # Errors
    ///
    /// [`Unusable`] where the engine's URL is none to come back to.
    pub fn begin(&self, spec: &SourceSpec) -> Result<Begun, Unusable> {
        let redirect = redirect_url(&self.parts.public_url);
        Ok(self
            .parts
            .zoom
            .begin_consent(spec.cloud, &spec.client_id, &redirect)?)
    }

    /// Exchanges the code that a browser brought back, and stores what Zoom gives for it.
    ///
    /// # Errors
    ///
    /// [`Unusable`], with what Zoom or the source's own rules refuse.
    ///
    /// # Cancel safety
    ///
    /// An exchange that has begun goes on when the future is dropped.
    pub async fn accept(
        &self,
        source: &str,
        spec: &SourceSpec,
        secret: Secret,
        code: Secret,
        verifier: Secret,
    ) -> Result<Accepted, Unusable> {
        let work = Acceptance {
            parts: Arc::clone(&self.parts),
            source: source.to_owned(),
            spec: spec.clone(),
            app: app_of(spec, secret),
        };
        let this = self.clone();
        let work = async move { work.run(&this, &code, &verifier).await };
        self.parts.finish(work).await
    }

    /// What it will take to end the consent of a source that is about to be removed, or to do without it; nothing where
    /// it has none.
    pub async fn departure(
        &self,
        source: &str,
        spec: &SourceSpec,
        sealed: &[SealedSecret],
    ) -> Option<Departure> {
        let credential = self.of(source, spec, sealed).await.ok()?;
        if !spec.needs_consent() {
            return None;
        }
        let token = self.parts.store.consent_token(source).await.ok()??;
        let token = self.parts.vault.open(source, TOKEN_FIELD, &token).ok()?;
        Some(Departure { credential, token })
    }

    /// Ends a consent at Zoom that no source has any more, if Zoom answers soon; the app's owner can end it too.
    pub async fn revoke(&self, departure: Departure) {
        let Departure { credential, token } = departure;
        let Parts { zoom, clock, .. } = &*self.parts;
        let work = async {
            let access = match zoom.held(&credential).await {
                Some(access) => access,
                None => zoom.refresh(&credential.app, &token).await?.access,
            };
            zoom.revoke(&credential.app, &access).await
        };
        match clock.timeout(FAREWELL, work).await {
            Ok(Ok(())) => info!("a consent that no source has any more was revoked at Zoom"),
            Ok(Err(error)) => warn!(%error, "a consent that no source has any more was not revoked at Zoom"),
            Err(_) => warn!("a consent that no source has any more was not revoked: Zoom does not answer"),
        }
    }
}

/// One consent on its way in.
struct Acceptance {
    parts: Arc<Parts>,
    source: String,
    spec: SourceSpec,
    app: App,
}

impl Acceptance {
    async fn run(
        &self,
        credentials: &Credentials,
        code: &Secret,
        verifier: &Secret,
    ) -> Result<Accepted, Unusable> {
        let Parts {
            store,
            vault,
            zoom,
            clock,
            public_url,
            ..
        } = &*self.parts;
        rotation::follow(store, vault)
            .await
            .map_err(|error| Unusable::new(Code::StoreUnavailable, error.to_string()))?;
        let given = zoom
            .exchange(&self.app, code, verifier, &redirect_url(public_url))
            .await?;
        let Given {
            access,
            refresh,
            scopes,
        } = given;
        let account = self.account_before(&access).await?;
        let sealed = vault
            .seal(&self.source, TOKEN_FIELD, &refresh)
            .map_err(|error| Unusable::new(error.code(), error.to_string()))?;
        let new = NewConsent {
            client_id: &self.spec.client_id,
            account_id: account.as_deref(),
            token: &sealed,
            due_at: idle::due(clock.now(), chance(&[self.source.as_bytes(), &sealed])),
        };
        let given_at = match store.take_consent(&self.source, &new).await? {
            Ok(given_at) => given_at,
            Err(refusal) => {
                self.hand_back(&access).await;
                return Err(refused(refusal, account.as_deref()));
            }
        };
        let credential = credentials.kept(&self.source, self.app.clone(), given_at);
        zoom.hold(&credential, access.clone()).await;
        let account = match account {
            Some(account) => Some(account),
            None => self.account_after(&access).await?,
        };
        info!(source = self.source, account, "somebody consented");
        Ok(Accepted {
            account_id: account,
            scopes,
        })
    }

    /// Whose account it is, before anything is stored.
    ///
    /// The token's own claims cost nothing. Where they are silent and the source is a certain account's, Zoom is asked:
    /// that uses the access token before its refresh token is stored, for the sake of the token that is there, which
    /// another account's must not replace.
    async fn account_before(&self, access: &AccessToken) -> Result<Option<String>, Unusable> {
        if let Some(account) = access.account() {
            return Ok(Some(account));
        }
        let row = self
            .parts
            .store
            .consent(&self.source, &self.spec.client_id)
            .await?;
        let pinned = row.is_some_and(|row| row.account_id.is_some()) && !self.spec.allow_account_change;
        if pinned || self.spec.account_id.is_some() {
            return Ok(self.by_user(access).await);
        }
        Ok(None)
    }

    /// The same for a source that is nobody's in particular yet: it is this account's from now on.
    async fn account_after(&self, access: &AccessToken) -> Result<Option<String>, Unusable> {
        let account = self.by_user(access).await;
        if let Some(account) = &account {
            let store = &self.parts.store;
            store
                .note_account(&self.source, &self.spec.client_id, account)
                .await?;
        }
        Ok(account)
    }

    async fn by_user(&self, access: &AccessToken) -> Option<String> {
        match self.parts.zoom.account_by_user(access).await {
            Ok(account) => Some(account),
            Err(error) => {
                debug!(%error, "Zoom does not tell whose account it is");
                None
            }
        }
    }

    /// Ends a consent that is not kept.
    async fn hand_back(&self, access: &AccessToken) {
        if let Err(error) = self.parts.zoom.revoke(&self.app, access).await {
            warn!(%error, "a consent that was refused could not be revoked at Zoom");
        }
    }
}

fn refused(refusal: ConsentRefusal, told: Option<&str>) -> Unusable {
    match refusal {
        ConsentRefusal::SourceChanged => Unusable::new(
            Code::ConsentMismatch,
            "the source was changed or removed while you were at Zoom: begin again",
        ),
        ConsentRefusal::OtherAccount { expected } => Unusable::new(
            Code::ZoomOtherAccount,
            format!(
                "the source collects the logs of the Zoom account `{expected}`, and this consent is of the account \
                 `{}`: sign in to Zoom with a user of the first one, or, where the source names no `account_id`, set \
                 `allow_account_change = true` on it (step 8 of the guide `docs/guides/zoom-app.md`)",
                told.unwrap_or("unknown")
            ),
        ),
    }
}
