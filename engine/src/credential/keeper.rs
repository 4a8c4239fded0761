//! The refresh token of one source: claimed, exchanged, and its successor stored before anything else happens.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use engine_api::Code;
use tracing::{info, warn};

use super::{Parts, Patience, TOKEN_FIELD, authorization_url, idle, pending, refused, stored, unavailable};
use crate::{
    crash,
    retry::{chance, later},
    rotation,
    store::{
        self,
        consents::{Claim, ClaimedConsent},
    },
    vault,
    zoom::{AccessToken, App, Error, Keeper},
};

/// Keeps one source's refresh token in the store.
#[derive(Clone)]
pub(super) struct SourceKeeper {
    pub(super) parts: Arc<Parts>,
    pub(super) source: Arc<str>,
}

impl fmt::Debug for SourceKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceKeeper")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Keeper for SourceKeeper {
    fn source(&self) -> &str {
        &self.source
    }

    async fn refresh(&self, app: &App) -> Result<AccessToken, Error> {
        let (this, app) = (self.clone(), app.clone());
        // Whoever asked may go away, a caller of the API for one; what Zoom has given must be stored all the same.
        self.parts.finish(async move { this.exchange(&app).await }).await
    }
}

impl SourceKeeper {
    async fn exchange(&self, app: &App) -> Result<AccessToken, Error> {
        let mut read_again = false;
        loop {
            let claimed = self.claim(app).await?;
            if claimed.row.is_void() {
                // Nothing was asked of Zoom, so the claim ends as it began.
                let detail = claimed
                    .row
                    .trouble
                    .map(|(_, detail, _)| detail)
                    .unwrap_or_default();
                let due = idle::retry(self.parts.clock.now(), claimed.row.failures, u32::MAX);
                self.give_back(&claimed.fence, due, Code::ReauthorizationRequired, &detail)
                    .await?;
                return Err(refused(Code::ReauthorizationRequired, detail));
            }
            match self.use_token(app, &claimed).await {
                // Another engine's claim was newer than ours: its token is the one that is good.
                Err(Error::Refused {
                    code: Code::ReauthorizationRequired,
                    ..
                }) if !read_again && self.has_moved_on(app, &claimed).await? => read_again = true,
                done => return done,
            }
        }
    }

    /// Whether somebody else has stored a newer token since the claim.
    async fn has_moved_on(&self, app: &App, claimed: &ClaimedConsent) -> Result<bool, Error> {
        let row = self.parts.store.consent(&self.source, &app.client_id).await;
        let row = row.map_err(|error| stored(&error))?;
        Ok(row.is_some_and(|row| !row.is_void() && row.number > claimed.row.number))
    }

    async fn claim(&self, app: &App) -> Result<ClaimedConsent, Error> {
        let Parts {
            store,
            clock,
            owner,
            lease,
            public_url,
            ..
        } = &*self.parts;
        let patience = Patience::new(&self.parts);
        loop {
            let until = later(clock.now(), *lease);
            let claim = store
                .claim_consent(&self.source, &app.client_id, owner, until)
                .await;
            match claim.map_err(|error| stored(&error))? {
                Claim::Claimed(claimed) => return Ok(*claimed),
                Claim::Absent => {
                    let pending = pending(public_url, &self.source);
                    return Err(refused(pending.code, pending.detail));
                }
                Claim::Busy => patience.wait().await?,
            }
        }
    }

    /// Exchanges the claimed token and stores its successor.
    async fn use_token(&self, app: &App, claimed: &ClaimedConsent) -> Result<AccessToken, Error> {
        let Parts {
            store,
            vault,
            zoom,
            clock,
            ..
        } = &*self.parts;
        let dice = chance(&[self.source.as_bytes(), &claimed.fence.0.to_le_bytes()]);
        // Asked before Zoom is: what it gives must be sealed, and the old token is void from then on.
        let ready = rotation::follow(store, vault).await;
        let opened = vault.open(&self.source, TOKEN_FIELD, &claimed.token);
        let given = match (ready, opened) {
            (Ok(()), Ok(token)) => {
                crash::point("token.before_refresh").await;
                zoom.refresh(app, &token).await
            }
            (Err(error), _) => Err(unavailable(&error)),
            (Ok(()), Err(error @ vault::Error::KeyNotHeld { .. })) => Err(unavailable(&error)),
            // It opens for nobody any more, so it is as good as void.
            (Ok(()), Err(error)) => Err(refused(Code::ReauthorizationRequired, error.to_string())),
        };
        let given = match given {
            Ok(given) => given,
            Err(error) => {
                let error = self.with_link(error);
                let due = idle::retry(clock.now(), claimed.row.failures.saturating_add(1), dice);
                self.give_back(&claimed.fence, due, error.code(), &error.to_string())
                    .await?;
                return Err(error);
            }
        };
        let due = idle::due(clock.now(), dice);
        crash::point("token.before_store").await;
        let kept = self
            .parts
            .keep_sealed((&self.source, TOKEN_FIELD), &given.refresh, |sealed| async move {
                let stored = store.store_token(&self.source, claimed.fence, &sealed, due);
                stored.await
            })
            .await?;
        crash::point("token.stored").await;
        // Somebody consented again meanwhile, or the source is gone; what we were given is void or nobody's.
        if kept.is_err() {
            self.end_if_nobodys(app, &given.access).await?;
            return Err(Error::Unavailable {
                detail: "the consent was replaced or ended while its token was renewed".to_owned(),
            });
        }
        Ok(given.access)
    }

    /// Ends the consent behind a token that found no place in the store because its source does without it by now:
    /// who removed it knows only the refresh token that this one has replaced. Where somebody has consented again, Zoom
    /// itself has voided it, and to end it would end the new one.
    async fn end_if_nobodys(&self, app: &App, access: &AccessToken) -> Result<(), Error> {
        let row = self.parts.store.consent(&self.source, &app.client_id).await;
        if row.map_err(|error| stored(&error))?.is_none()
            && let Err(error) = self.parts.zoom.revoke(app, access).await
        {
            warn!(source = &*self.source, %error, "a consent that no source has any more was not revoked at Zoom");
        }
        Ok(())
    }

    async fn give_back(
        &self,
        fence: &crate::model::Fence,
        due: jiff::Timestamp,
        code: Code,
        detail: &str,
    ) -> Result<(), Error> {
        let given = self
            .parts
            .store
            .give_back_consent(&self.source, *fence, due, code, detail)
            .await
            .map_err(|error| stored(&error))?;
        match given {
            Ok(()) if code == Code::ReauthorizationRequired => {
                warn!(source = &*self.source, detail, "somebody has to consent again");
            }
            Ok(()) => info!(
                source = &*self.source,
                code = code.as_str(),
                "a token was not renewed"
            ),
            Err(store::Fenced) => {}
        }
        Ok(())
    }

    /// Only another consent helps, so the error says where.
    fn with_link(&self, error: Error) -> Error {
        match error {
            Error::Refused { code, detail }
                if matches!(code, Code::ReauthorizationRequired | Code::ZoomOwnerGone) =>
            {
                let link = authorization_url(&self.parts.public_url, &self.source);
                refused(code, format!("{detail}: {link}"))
            }
            error => error,
        }
    }
}
