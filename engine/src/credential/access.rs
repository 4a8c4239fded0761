//! The access token of one credential, in the store: one engine asks Zoom for it, and all use it.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use tracing::{debug, warn};

use super::{Parts, Patience, stored, unavailable};
use crate::{
    crash,
    model::Fence,
    retry::later,
    rotation,
    store::{
        Fenced,
        access::{ACCESS_FIELD, AccessRow, NO_ROW},
    },
    zoom::{AccessToken, App, Credential, Error, TokenStore, Unfit},
};

/// Keeps one credential's access token in the store.
#[derive(Clone)]
pub(super) struct SharedToken {
    parts: Arc<Parts>,
    /// The row's name.
    credential: Arc<str>,
}

impl fmt::Debug for SharedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedToken")
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}

impl SharedToken {
    /// The place of the token of this app, let in by what `grant` says. It has another name as soon as anything of that
    /// changes, the secret included, so what is kept for the former credential is never used for the new one.
    pub(super) fn of(parts: &Arc<Parts>, app: &App, grant: &[&str]) -> Self {
        let place = parts.zoom.token_place(app.cloud).as_str();
        let identity = serde_json::json!([place, app.client_id, grant]).to_string();
        let secrets = [("client_secret", &app.client_secret)];
        Self {
            credential: parts.vault.fingerprint(&identity, &secrets).into(),
            parts: Arc::clone(parts),
        }
    }

    /// The token of a row, where it has one that opens.
    fn open(&self, app: &App, row: &AccessRow) -> Option<AccessToken> {
        let (sealed, renew_at) = row.token.as_ref()?;
        match self.parts.vault.open(&self.credential, ACCESS_FIELD, sealed) {
            Ok(packed) => self.parts.zoom.unpack(app, &packed, *renew_at),
            Err(error) => {
                debug!(%error, "an access token is asked for again");
                None
            }
        }
    }

    /// Asks Zoom for the next token and stores it; `None` where somebody else was quicker.
    async fn ask(&self, credential: &Credential, seen: Fence) -> Result<Option<AccessToken>, Error> {
        let Parts {
            store,
            vault,
            zoom,
            clock,
            owner,
            lease,
            ..
        } = &*self.parts;
        // Asked first: what Zoom gives must be sealed, and who cannot seal must not take the others' token away.
        rotation::follow(store, vault)
            .await
            .map_err(|error| unavailable(&error))?;
        let until = later(clock.now(), *lease);
        let claimed = store.claim_access(&self.credential, seen, owner, until).await;
        let Some(fence) = claimed.map_err(|error| stored(&error))? else {
            return Ok(None);
        };
        let claim = (fence, &**owner);
        crash::point("token.claimed").await;
        let token = match zoom.mint(credential).await {
            Ok(token) => token,
            Err(error) => return Err(self.give_up(claim, error).await),
        };
        crash::point("token.minted").await;
        let (packed, renew_at) = (token.pack(), token.renew_at());
        let kept = self
            .parts
            .keep_sealed((&self.credential, ACCESS_FIELD), &packed, |sealed| async move {
                let stored = store.keep_access(&self.credential, claim, &sealed, renew_at);
                stored.await
            })
            .await;
        crash::point("token.kept").await;
        match kept {
            Ok(Ok(())) => Ok(Some(token)),
            // It took too long: somebody else has asked meanwhile, and theirs may have voided ours.
            Ok(Err(Fenced)) => Ok(None),
            Err(error) => Err(self.give_up(claim, error).await),
        }
    }

    /// Ends a claim that came to nothing, so that others need not wait for the end of its lease.
    async fn give_up(&self, claim: (Fence, &str), because: Error) -> Error {
        if let Err(error) = self.parts.store.give_back_access(&self.credential, claim).await {
            warn!(
                error = error.chain(),
                "the right to ask for an access token is kept until its lease ends"
            );
        }
        because
    }
}

#[async_trait]
impl TokenStore for SharedToken {
    fn name(&self) -> &str {
        &self.credential
    }

    async fn fetch(&self, credential: &Credential, mut unfit: Unfit) -> Result<AccessToken, Error> {
        let Parts { store, clock, .. } = &*self.parts;
        let patience = Patience::new(&self.parts);
        loop {
            let row = store.access(&self.credential).await;
            let row = row.map_err(|error| stored(&error))?;
            let there = row.as_ref().and_then(|row| self.open(&credential.app, row));
            if let Some(token) = &there
                && token.renew_at() > clock.now()
                && !unfit.includes(token)
            {
                return Ok(token.clone());
            }
            // What others store from here on is another one.
            if matches!(unfit, Unfit::All) {
                unfit = there.map_or(Unfit::Ended, Unfit::Refused);
            }
            let seen = row.as_ref().map_or(NO_ROW, |row| row.fence);
            let busy = row.and_then(|row| row.lease_until);
            if busy.is_none_or(|until| until <= clock.now()) {
                let (this, credential) = (self.clone(), credential.clone());
                // Whoever asked may go away; what Zoom has given is stored all the same.
                let asked = self
                    .parts
                    .finish(async move { this.ask(&credential, seen).await })
                    .await;
                match asked? {
                    Some(token) => return Ok(token),
                    // Somebody else has changed the row since it was read.
                    None => continue,
                }
            }
            patience.wait().await?;
        }
    }

    async fn put(&self, token: &AccessToken) {
        let (store, renew_at) = (&self.parts.store, token.renew_at());
        let kept = self
            .parts
            .keep_sealed(
                (&self.credential, ACCESS_FIELD),
                &token.pack(),
                |sealed| async move { store.put_access(&self.credential, &sealed, renew_at).await },
            )
            .await;
        if let Err(error) = kept {
            warn!(%error, "the access token of a consent is not kept for the other engines");
        }
    }
}
