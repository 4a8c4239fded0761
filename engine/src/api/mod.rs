//! The REST API: what Terraform and operators talk to.
//!
//! A request passes, from the outside in: [`serve`] (connections and their limits), `guard` (request id, log line,
//! metrics, errors as problem bodies; then for each route the token, the limit on parallel work, the time limit, and
//! the net under panics), the one `table` (from which the router, `/openapi.json` and the tests are made),
//! and a handler. Handlers of the three kinds of object are one set, generic over the spec; what differs between the
//! kinds is in `resource`. `declare` makes a stored object of a spec and its secrets.
//!
//! What holds:
//! * Every route names the scope that a token needs for it, but for the four of probes and documents, and the two pages of
//!   a consent: those are for people without a token, and take nothing that Zoom did not give to the browser that they
//!   were begun in.
//! * No body, no query and no secret is logged or echoed. What a store or a vault says inside is logged under the
//!   request's id; the caller gets the code and what to do.
//! * What a handler changes, it changes through `acting::Acting`, and so it is noted in the audit log.
//! * An object is stored after everything about it was checked, or not at all.
//!
//! **Invariant:** nothing here moves events; a change in the catalog wakes the workers, and they look for themselves.

mod access;
mod acting;
mod audit;
mod backfills;
mod body;
mod certificate;
mod connection;
mod consent;
mod dead_letters;
mod declare;
mod engine;
mod failure;
#[cfg(feature = "fuzz-targets")]
pub mod fuzz;
mod guard;
mod identity;
mod objects;
mod openapi;
mod patient;
mod places;
mod resource;
mod route;
mod router;
mod secrets;
mod serve;
mod sources;
mod status;
mod stored;
mod strict;
mod table;
mod table_access;
#[cfg(test)]
mod tests;
mod throttle;
mod tokens;
mod trial;
mod zoom_check;

use std::{fmt, net::IpAddr, ops::Deref, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use engine_api::{Code, EngineView, LogType, Secret, SourceSpec, label::Labeller};
use tokio::sync::Semaphore;

use self::{identity::Identities, throttle::Throttle};
pub use self::{
    router::router,
    serve::{Entrance, serve},
};
use crate::{
    clock::Clock,
    config::{Config, Issuer},
    credential::{Accepted, Departure},
    http::Http,
    store::{Store, audit::By, secrets::SealedSecret},
    telemetry::Telemetry,
    vault::Vault,
    zoom::Begun,
};

/// How many requests are worked on at once; others wait for their turn.
const PARALLEL_REQUESTS: usize = 64;
/// How often an address may send another wrong token, once it has sent too many.
const ONE_MORE_TOKEN: Duration = Duration::from_secs(3);
/// How often a reader may be wrong again about the secrets of one object. Rotations are seldom wrong, and guesses are
/// many: at this pace, half a million a year.
const ONE_MORE_GUESS: Duration = Duration::from_mins(1);

/// What the API works with.
pub struct Parts {
    /// The store.
    pub store: Store,
    /// The vault.
    pub vault: Vault,
    /// The clock.
    pub clock: Clock,
    /// Where requests are counted, and what `/metrics` shows.
    pub telemetry: Telemetry,
    /// Whose egress rule judges the URLs in specs.
    pub http: Http,
    /// The admin token, which may do everything.
    pub token: Secret,
    /// What `/v1/engine` shows.
    pub engine: EngineView,
    /// Limits and rules from the configuration.
    pub limits: Limits,
    /// Asks Zoom whether a source can be read.
    pub source_check: Arc<dyn SourceCheck>,
    /// Takes people's consents.
    pub consents: Arc<dyn Consents>,
    /// Tells the workers to look again; called after each change.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// What keeps the workers from working, in words; `None` while they work. Decides `/readyz` beside the store.
    pub stalled: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

/// The limits and rules of the configuration that the API keeps.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest request body, in bytes.
    pub max_request_bytes: usize,
    /// The directories under which `file` destinations may write.
    pub file_roots: Vec<PathBuf>,
    /// How long requests in hand may take to end once the engine stops.
    pub shutdown_deadline: Duration,
    /// Zoom requests a day and account, where Zoom names no limit.
    pub daily_request_budget: u32,
    /// Knows the labels that events can have.
    pub labeller: Labeller,
    /// Whether the admin token is refused while there is another token with the scope `admin`.
    pub admin_token_only_bootstraps: bool,
    /// Whether whoever sends a token must show a client certificate, too.
    pub client_certificates: bool,
    /// Whose word about a workload is taken.
    pub issuers: Vec<Issuer>,
}

impl From<&Config> for Limits {
    fn from(config: &Config) -> Self {
        Self {
            max_request_bytes: config.server.max_request_bytes,
            file_roots: config.egress.file_roots.clone(),
            shutdown_deadline: config.server.shutdown_deadline,
            daily_request_budget: config.zoom.daily_request_budget,
            labeller: config.labels.labeller.clone(),
            admin_token_only_bootstraps: config.auth.admin_token_only_bootstraps,
            client_certificates: config
                .server
                .tls
                .as_ref()
                .is_some_and(|tls| tls.client_ca_file.is_some()),
            issuers: config.auth.issuers.clone(),
        }
    }
}

/// Asks Zoom whether a source can be read.
#[async_trait]
pub trait SourceCheck: Send + Sync {
    /// Gets a token, then one row of each report that the spec names.
    async fn check(&self, id: &str, spec: &SourceSpec, secret: &Secret) -> Checked;

    /// The most report requests that a check of this spec makes.
    fn most_asked(&self, spec: &SourceSpec) -> u64;

    /// Under which name the store counts the requests of the source's Zoom account.
    fn budget_account(&self, spec: &SourceSpec) -> String;
}

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// Each log type of the spec, with what Zoom refuses where it does.
    pub answers: Vec<(LogType, Option<CheckFault>)>,
    /// The report requests that were made.
    pub asked: u64,
}

/// Takes the consents that sources with `authorization_code` need.
#[async_trait]
pub trait Consents: Send + Sync {
    /// Where to send the browser, and what it must bring back.
    fn begin(&self, spec: &SourceSpec) -> Result<Begun, CheckFault>;

    /// Exchanges the code that the browser brought back, and stores what Zoom gives for it.
    async fn accept(&self, answer: Answered<'_>) -> Result<Accepted, CheckFault>;

    /// What it will take to end the consent of a source that is about to be removed.
    async fn departure(&self, id: &str, spec: &SourceSpec, sealed: &[SealedSecret]) -> Option<Departure>;

    /// Ends a consent at Zoom, as well as it goes.
    async fn revoke(&self, departure: Departure);
}

/// What a browser brought back from Zoom, for a source.
#[derive(Debug)]
pub struct Answered<'a> {
    /// The source's id.
    pub id: &'a str,
    /// Its spec.
    pub spec: &'a SourceSpec,
    /// Its app's secret.
    pub secret: Secret,
    /// The code.
    pub code: Secret,
    /// What proves that it was we who asked for it.
    pub verifier: Secret,
}

/// Why a report cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFault {
    /// What went wrong.
    pub code: Code,
    /// What happened and what to do, in a sentence.
    pub detail: String,
    /// The field of the spec at fault, where it is another than the code suggests.
    pub field: Option<String>,
}

/// The API's state; cheap to clone.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
    /// The store of the parts, and on whose behalf this handle writes to it.
    store: Store,
}

struct Inner {
    parts: Parts,
    turns: Semaphore,
    /// Wrong tokens, by the network that they come from.
    throttle: Throttle<IpAddr>,
    /// Wrong guesses of stored secrets by readers, by the object.
    guesses: Throttle<String>,
    /// Held while a `file` destination is checked against the others and written.
    files: tokio::sync::Mutex<()>,
    identities: Identities,
}

impl Api {
    /// Prepares the API; nothing is listened to yet.
    pub fn new(parts: Parts) -> Self {
        let issuers = parts.limits.issuers.clone();
        let identities = Identities::new(issuers, parts.http.clone(), parts.clock.clone());
        Self {
            store: parts.store.clone(),
            inner: Arc::new(Inner {
                parts,
                turns: Semaphore::new(PARALLEL_REQUESTS),
                throttle: Throttle::new(ONE_MORE_TOKEN),
                guesses: Throttle::new(ONE_MORE_GUESS),
                files: tokio::sync::Mutex::default(),
                identities,
            }),
        }
    }

    /// The same API, whose changes are noted as somebody's.
    fn acting(&self, by: By) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            store: self.store.acting(by),
        }
    }

    fn identities(&self) -> &Identities {
        &self.inner.identities
    }

    fn throttle(&self) -> &Throttle<IpAddr> {
        &self.inner.throttle
    }

    fn guesses(&self) -> &Throttle<String> {
        &self.inner.guesses
    }
}

impl Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.inner.parts
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
