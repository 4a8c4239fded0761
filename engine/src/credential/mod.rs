//! What a source shows to Zoom: its app's secret, and, where somebody had to consent, the refresh token.
//!
//! Who takes part: [`Credentials`] makes a [`Credential`] of a source, for polls and for checks alike; `keeper` holds
//! the refresh token on behalf of the adapter, and `access` the access token, for all engines; `consent` takes what a
//! browser brings back; the [`RenewalWorker`] renews tokens that nobody has needed for most of a day, so that none dies
//! of idleness.
//!
//! What holds:
//! * **One writer.** Zoom voids a refresh token when it gives the next one. Whoever uses one has claimed it in the
//!   store, so two feeds, or two engines, never use the same one.
//! * **Stored before it is used.** The next refresh token is sealed and on disk before the access token that came with
//!   it is handed out. What must not be broken off between Zoom's answer and the store runs as a task of its own.
//! * **One access token a credential.** It is in the store, sealed, and in the memory of each engine that uses it. Who
//!   finds none that is good claims the right to ask, stores what Zoom gives, and the others take that.
//!
//! What survives a crash: the newest refresh token that was stored. What is deliberately not guaranteed: when the
//! process dies, or an answer is lost, after Zoom has replaced a token and before it was stored, nobody has it; the
//! next use finds that out, and the source says `reauthorization_required`. An access token that is lost in the same way
//! is only asked for again.

mod access;
mod consent;
mod idle;
mod keeper;
#[cfg(test)]
mod tests;
mod worker;

use std::{fmt, future::Future, sync::Arc, time::Duration};

use engine_api::{Code, Secret, SourceSpec};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::oneshot;

use self::{access::SharedToken, keeper::SourceKeeper};
pub use self::{
    consent::{Accepted, Departure},
    worker::RenewalWorker,
};
use crate::{
    clock::Clock,
    rotation,
    store::{self, Store, consents::TOKEN_FIELD, secrets::SealedSecret},
    vault::Vault,
    zoom::{self, App, Credential, Grant, Zoom},
};

/// The path that Zoom sends browsers back to.
pub const CALLBACK_PATH: &str = "/oauth/callback";

/// Runs a future to its end, whoever stops waiting for it.
pub type Whole = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

/// What credentials are made with.
#[derive(Clone)]
pub struct Parts {
    /// The store.
    pub store: Store,
    /// Opens and seals.
    pub vault: Vault,
    /// Zoom.
    pub zoom: Zoom,
    /// The time.
    pub clock: Clock,
    /// This process, in leases.
    pub owner: Arc<str>,
    /// How long a claim on a refresh token holds; longer than one question to Zoom can take.
    pub lease: Duration,
    /// The URL under which users reach the engine, without a slash at its end.
    pub public_url: Arc<str>,
    /// Runs what must not be broken off.
    pub whole: Whole,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// How often one looks whether somebody else has finished with a token.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// A claim outlives one question to Zoom; who waits longer than two of them waits for nothing.
const CLAIMS_WAITED_FOR: u32 = 2;

impl Parts {
    /// Runs work to its end, whoever stops waiting for it. Only an engine that stops breaks it off.
    async fn finish<T, E>(&self, work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Stopping> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        (self.whole)(Box::pin(async move {
            let _ = tell.send(work.await);
        }));
        told.await.unwrap_or_else(|_| Err(Stopping.into()))
    }

    /// Seals a secret for an owner's field and stores it, sealed anew where the master key was replaced meanwhile.
    async fn keep_sealed<T, F>(
        &self,
        (owner, field): (&str, &str),
        secret: &Secret,
        keep: impl Fn(Vec<u8>) -> F,
    ) -> Result<T, zoom::Error>
    where
        F: Future<Output = Result<T, store::Error>>,
    {
        loop {
            let sealed = self.vault.seal(owner, field, secret);
            let sealed = sealed.map_err(|error| refused(error.code(), error.to_string()))?;
            match keep(sealed).await {
                // Without the new key this ends as an error.
                Err(store::Error::KeyRetired) => {
                    rotation::follow(&self.store, &self.vault)
                        .await
                        .map_err(|error| unavailable(&error))?;
                }
                kept => return kept.map_err(|error| stored(&error)),
            }
        }
    }
}

/// The engine is stopping, and its work with it.
struct Stopping;

impl From<Stopping> for zoom::Error {
    fn from(_: Stopping) -> Self {
        Self::Unavailable {
            detail: "the engine is stopping".to_owned(),
        }
    }
}

/// Waits for somebody else who has a token in hand, but not for ever.
struct Patience<'a> {
    parts: &'a Parts,
    began: Duration,
}

impl<'a> Patience<'a> {
    fn new(parts: &'a Parts) -> Self {
        Self {
            parts,
            began: parts.clock.monotonic(),
        }
    }

    /// Waits a moment before one looks again.
    async fn wait(&self) -> Result<(), zoom::Error> {
        let Parts { clock, lease, .. } = self.parts;
        if clock.monotonic().saturating_sub(self.began) > *lease * CLAIMS_WAITED_FOR {
            return Err(zoom::Error::Unavailable {
                detail: "somebody else has been asking for the source's token for too long".to_owned(),
            });
        }
        clock.sleep(LOOK_AGAIN).await;
        Ok(())
    }
}

/// Makes credentials of sources; cheap to clone.
#[derive(Debug, Clone)]
pub struct Credentials {
    parts: Arc<Parts>,
}

/// Why a source has no credential now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// What is in the way.
    pub code: Code,
    /// What happened and what to do, in a sentence.
    pub detail: String,
}

impl Unusable {
    fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

impl From<store::Error> for Unusable {
    fn from(error: store::Error) -> Self {
        Self::new(Code::StoreUnavailable, error.to_string())
    }
}

/// Where somebody consents for a source.
pub fn authorization_url(public_url: &str, source: &str) -> String {
    format!("{public_url}/sources/{source}/authorize")
}

/// Where Zoom sends browsers back to.
pub fn redirect_url(public_url: &str) -> String {
    format!("{public_url}{CALLBACK_PATH}")
}

/// What is said of a source that nobody has consented for.
pub fn pending(public_url: &str, source: &str) -> Unusable {
    Unusable::new(
        Code::PendingAuthorization,
        format!(
            "nobody has let the engine in to Zoom yet: open {} and consent (step 8 of the guide \
             `docs/guides/zoom-app.md`)",
            authorization_url(public_url, source)
        ),
    )
}

impl Credentials {
    /// Prepares them; nothing is asked yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    /// Zoom, which takes the credentials.
    pub fn zoom(&self) -> &Zoom {
        &self.parts.zoom
    }

    /// The credential of a stored source, with its secret opened or read from where the spec says.
    ///
    /// A reference is read at each call, so that a secret that is rotated there is used at once.
    ///
    /// # Errors
    ///
    /// [`Unusable`], with the code under which it is shown.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind when the future is dropped.
    pub async fn of(
        &self,
        source: &str,
        spec: &SourceSpec,
        sealed: &[SealedSecret],
    ) -> Result<Credential, Unusable> {
        let sealed = sealed.iter().map(SealedSecret::as_pair);
        let opened = self.parts.vault.secrets_of(source, spec, sealed).await;
        let mut opened = opened.map_err(|error| Unusable::new(error.code(), error.to_string()))?;
        let secret = opened.remove("client_secret").ok_or_else(|| {
            let detail = "the source has no client secret: set `client_secret` or `client_secret_ref`";
            Unusable::new(Code::MissingSecret, detail)
        })?;
        self.with_secret(source, spec, secret).await
    }

    /// The credential of a source whose secret is known.
    ///
    /// # Errors
    ///
    /// As [`Credentials::of`].
    pub async fn with_secret(
        &self,
        source: &str,
        spec: &SourceSpec,
        secret: Secret,
    ) -> Result<Credential, Unusable> {
        let app = app_of(spec, secret);
        if !spec.needs_consent() {
            let account = spec.account_id.clone().ok_or_else(|| {
                let detail = "the source names no Zoom account: set `account_id`";
                Unusable::new(Code::ZoomUnknownAccount, detail)
            })?;
            let tokens = Arc::new(SharedToken::of(&self.parts, &app, &["account", &account]));
            let grant = Grant::Account(account);
            return Ok(Credential { app, grant, tokens });
        }
        let Parts {
            store, public_url, ..
        } = &*self.parts;
        let row = store.consent(source, &spec.client_id).await?;
        let row = row.ok_or_else(|| pending(public_url, source))?;
        match &row.trouble {
            Some((_, detail, _)) if row.is_void() => {
                Err(Unusable::new(Code::ReauthorizationRequired, detail))
            }
            _ => Ok(self.kept(source, app, row.given_at)),
        }
    }

    /// The credential of a source for which somebody consented at `given_at`. Another consent may be of another account,
    /// so it is another credential: no engine shows for it what it has of the former one.
    fn kept(&self, source: &str, app: App, given_at: Timestamp) -> Credential {
        let given_at = given_at.as_millisecond().to_string();
        let tokens = Arc::new(SharedToken::of(
            &self.parts,
            &app,
            &["consent", source, &given_at],
        ));
        let keeper = SourceKeeper {
            parts: Arc::clone(&self.parts),
            source: source.into(),
        };
        Credential {
            app,
            grant: Grant::Consent(Arc::new(keeper)),
            tokens,
        }
    }
}

fn app_of(spec: &SourceSpec, client_secret: Secret) -> App {
    App {
        cloud: spec.cloud,
        client_id: spec.client_id.clone(),
        client_secret,
    }
}

fn refused(code: Code, detail: impl Into<String>) -> zoom::Error {
    zoom::Error::Refused {
        code,
        detail: detail.into(),
    }
}

fn unavailable(error: &dyn fmt::Display) -> zoom::Error {
    zoom::Error::Unavailable {
        detail: format!("the source's token cannot be used now: {error}"),
    }
}

fn stored(error: &store::Error) -> zoom::Error {
    zoom::Error::Store {
        detail: format!(
            "the store does not keep the source's token now: {}",
            error.chain()
        ),
    }
}
