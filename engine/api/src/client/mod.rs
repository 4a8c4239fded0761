//! The client of the engine's API, for the provider and the tests.
//!
//! Every call is bounded in time. Calls that may be repeated without harm (reads, `PUT` with a generation, `DELETE`,
//! and `POST` with an idempotency key) are tried again with growing, jittered pauses, no sooner than a `Retry-After`
//! allows, when the engine cannot be reached or is restarting. Every request has an id, which every error names.
//!
//! ```no_run
//! # async fn example() -> Result<(), engine_api::client::Error> {
//! use engine_api::{SourceSpec, client::Client};
//!
//! let client = Client::new("http://127.0.0.1:8420", "token".into(), "my-tool/1.0")?;
//! let sources = client.list::<SourceSpec>(Some("My Zoom logs"), None).await?;
//! # Ok(())
//! # }
//! ```

mod audit;
mod error;
mod identity;
mod retry;
mod tokens;

use std::{fmt, time::Duration};

use reqwest::{Certificate, Identity, Method, RequestBuilder, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::error::Error;
use crate::{
    BackfillId, BackfillRequest, BackfillView, ChannelStatus, CheckReport, Code, CompareAllResult,
    CompareResult, ComparedItem, DeadLetterView, DestinationStatus, EngineView, FeedTrouble, Items, Kind,
    Problem, ReplayRequest, ReplayResult, Secret, SourceStatus, Spec, View,
};

/// How long one try may take. Creating a source waits for Zoom's own answers, so it is generous.
const TRY_TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Whom a client trusts, and who it says that it is.
#[derive(Clone, Default)]
pub struct Trust {
    /// Further certificate authorities, in PEM; empty for none.
    pub authorities: Vec<u8>,
    /// A certificate and its key, in PEM, for an engine that asks for one; empty for none.
    pub identity: Vec<u8>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").finish_non_exhaustive()
    }
}

/// A connection to one engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Secret,
}

impl Client {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When `base` is not an `http` or `https` URL, or the user agent cannot be a header.
    pub fn new(base: &str, token: Secret, user_agent: &str) -> Result<Self, Error> {
        Self::with_trust(base, token, user_agent, &Trust::default())
    }

    /// Prepares a client that trusts further certificate authorities, beside those of the system, and shows a certificate
    /// where it is asked for one. Proxies are those of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`).
    ///
    /// # Errors
    ///
    /// As [`Client::new`], and when a part of `trust` is not PEM, or a certificate is there without its key.
    pub fn with_trust(base: &str, token: Secret, user_agent: &str, trust: &Trust) -> Result<Self, Error> {
        let url = url::Url::parse(base)
            .map_err(|error| Error::Address(format!("`{base}` is not a URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(Error::Address(format!(
                "`{base}` is not an `http` or `https` URL"
            )));
        }
        // Two installations of the same provider are harmless, the second is refused and dropped.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let trusted = Certificate::from_pem_bundle(&trust.authorities).map_err(|error| {
            Error::Address(format!("the certificate authorities cannot be read: {error}"))
        })?;
        let mut http = reqwest::Client::builder();
        if !trust.identity.is_empty() {
            let identity = Identity::from_pem(&trust.identity).map_err(|error| {
                Error::Address(format!(
                    "the client certificate and its key cannot be read: {error}"
                ))
            })?;
            http = http.identity(identity);
        }
        let http = http
            .tls_certs_merge(trusted)
            .user_agent(user_agent)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TRY_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::Address(error.to_string()))?;
        Ok(Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            token,
        })
    }

    /// The engine itself.
    pub async fn engine(&self) -> Result<EngineView, Error> {
        self.json(Method::GET, "/v1/engine", &[], None, Tries::Several)
            .await
    }

    /// Creates an object. The same `idempotency_key` and body give the same object, however often they are sent.
    ///
    /// `spec` is JSON and not a typed spec, because typed specs do not write their secrets.
    pub async fn create<S: Spec>(&self, spec: &Value, idempotency_key: &str) -> Result<View<S>, Error> {
        let headers = [("idempotency-key", idempotency_key.to_owned())];
        self.json(
            Method::POST,
            &format!("/v1/{}", S::KIND.path()),
            &headers,
            Some(spec),
            Tries::Several,
        )
        .await
    }

    /// Reads an object; `None` when it does not exist.
    pub async fn get<S: Spec>(&self, id: &str) -> Result<Option<View<S>>, Error> {
        absent_is_none(
            self.json(Method::GET, &object(S::KIND, id), &[], None, Tries::Several)
                .await,
        )
    }

    /// One page of the objects of a kind, of those with this name where one is given.
    pub async fn list<S: Spec>(
        &self,
        name: Option<&str>,
        after: Option<&str>,
    ) -> Result<Items<View<S>>, Error> {
        let path = with_query(
            &format!("/v1/{}", S::KIND.path()),
            [("name", name), ("after", after)],
        );
        self.json(Method::GET, &path, &[], None, Tries::Several).await
    }

    /// Up to `limit` objects of a kind, 500 at most, whose ids come after `after`.
    pub async fn page<S: Spec>(&self, after: Option<&str>, limit: u32) -> Result<Items<View<S>>, Error> {
        let limit = limit.to_string();
        let path = with_query(
            &format!("/v1/{}", S::KIND.path()),
            [("after", after), ("limit", Some(&limit))],
        );
        self.json(Method::GET, &path, &[], None, Tries::Several).await
    }

    /// Asks whether the engine would accept a source's credentials: `trial` is a [`SourceTrial`](crate::SourceTrial) as
    /// JSON, because typed specs do not write their secrets. Nothing is stored.
    pub async fn try_source(&self, trial: &Value) -> Result<(), Error> {
        self.answer(Method::POST, "/v1/sources:try", &[], Some(trial), Tries::One)
            .await
            .map(drop)
    }

    /// One page of what keeps sources from being collected, in the order of their ids.
    pub async fn troubles(&self, after: Option<&str>) -> Result<Items<FeedTrouble>, Error> {
        let path = with_query("/v1/sources:troubles", [("after", after)]);
        self.json(Method::GET, &path, &[], None, Tries::Several).await
    }

    /// Replaces an object's spec, if it still has this generation. Stored secrets that `spec` leaves out are kept.
    pub async fn update<S: Spec>(&self, id: &str, generation: u64, spec: &Value) -> Result<View<S>, Error> {
        let headers = [("if-match", format!("\"{generation}\""))];
        self.json(
            Method::PUT,
            &object(S::KIND, id),
            &headers,
            Some(spec),
            Tries::One,
        )
        .await
    }

    /// Deletes an object; `false` when it did not exist.
    pub async fn delete(&self, kind: Kind, id: &str) -> Result<bool, Error> {
        let deleted = self
            .answer(Method::DELETE, &object(kind, id), &[], None, Tries::Several)
            .await;
        Ok(absent_is_none(deleted)?.is_some())
    }

    /// Asks whether candidates, given as an object of field to secret, equal the stored secrets.
    pub async fn compare(&self, kind: Kind, id: &str, secrets: &Value) -> Result<CompareResult, Error> {
        let body = serde_json::json!({ "secrets": secrets });
        self.json(
            Method::POST,
            &format!("{}/compare", object(kind, id)),
            &[],
            Some(&body),
            Tries::Several,
        )
        .await
    }

    /// Asks the same of up to [`MOST_COMPARED`](crate::MOST_COMPARED) objects of a kind: `items` are
    /// [`CompareItem`](crate::CompareItem)s as JSON. The answers are in the same order. An engine that is older than this
    /// request answers with [`Code::NotFound`].
    pub async fn compare_all(&self, kind: Kind, items: &Value) -> Result<Vec<ComparedItem>, Error> {
        let body = serde_json::json!({ "items": items });
        let path = format!("/v1/{}:compare", kind.path());
        let answer: CompareAllResult = self
            .json(Method::POST, &path, &[], Some(&body), Tries::Several)
            .await?;
        Ok(answer.items)
    }

    /// Asks Zoom now whether every feed of a source can be read.
    pub async fn check_source(&self, id: &str) -> Result<CheckReport, Error> {
        self.json(
            Method::POST,
            &format!("{}/check", object(Kind::Source, id)),
            &[],
            None,
            Tries::One,
        )
        .await
    }

    /// Polls a source now instead of at its next turn.
    pub async fn poll_source(&self, id: &str) -> Result<(), Error> {
        let path = format!("{}/poll", object(Kind::Source, id));
        self.answer(Method::POST, &path, &[], None, Tries::Several)
            .await
            .map(drop)
    }

    /// Asks for older days of a source to be collected.
    pub async fn create_backfill(
        &self,
        source: &str,
        request: &BackfillRequest,
    ) -> Result<BackfillView, Error> {
        let body = serde_json::to_value(request).unwrap_or_default();
        // Not several times: each would be a backfill of its own.
        self.json(Method::POST, &backfills(source), &[], Some(&body), Tries::One)
            .await
    }

    /// One page of a source's backfills.
    pub async fn backfills(&self, source: &str, after: Option<&str>) -> Result<Items<BackfillView>, Error> {
        let path = with_query(&backfills(source), [("after", after)]);
        self.json(Method::GET, &path, &[], None, Tries::Several).await
    }

    /// A backfill of a source; `None` when it does not exist.
    pub async fn backfill(&self, source: &str, id: &BackfillId) -> Result<Option<BackfillView>, Error> {
        let path = format!("{}/{id}", backfills(source));
        absent_is_none(self.json(Method::GET, &path, &[], None, Tries::Several).await)
    }

    /// Ends a backfill where it stands.
    pub async fn cancel_backfill(&self, source: &str, id: &BackfillId) -> Result<BackfillView, Error> {
        let path = format!("{}/{id}/cancel", backfills(source));
        self.json(Method::POST, &path, &[], None, Tries::Several).await
    }

    /// A source's status; `None` when it does not exist.
    pub async fn source_status(&self, id: &str) -> Result<Option<SourceStatus>, Error> {
        self.status(Kind::Source, id).await
    }

    /// A destination's status; `None` when it does not exist.
    pub async fn destination_status(&self, id: &str) -> Result<Option<DestinationStatus>, Error> {
        self.status(Kind::Destination, id).await
    }

    /// An alarm channel's status; `None` when it does not exist.
    pub async fn channel_status(&self, id: &str) -> Result<Option<ChannelStatus>, Error> {
        self.status(Kind::AlarmChannel, id).await
    }

    /// One page of the dead letters, of this destination where one is given.
    pub async fn dead_letters(
        &self,
        destination_id: Option<&str>,
        after: Option<&str>,
    ) -> Result<Items<DeadLetterView>, Error> {
        let path = with_query(
            "/v1/dead-letters",
            [("destination_id", destination_id), ("after", after)],
        );
        self.json(Method::GET, &path, &[], None, Tries::Several).await
    }

    /// Sends dead letters again.
    pub async fn replay(&self, request: &ReplayRequest) -> Result<ReplayResult, Error> {
        let body = serde_json::to_value(request).unwrap_or_default();
        self.json(
            Method::POST,
            "/v1/dead-letters/replay",
            &[],
            Some(&body),
            Tries::Several,
        )
        .await
    }

    async fn status<T: DeserializeOwned>(&self, kind: Kind, id: &str) -> Result<Option<T>, Error> {
        let path = format!("{}/status", object(kind, id));
        absent_is_none(self.json(Method::GET, &path, &[], None, Tries::Several).await)
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: Option<&Value>,
        tries: Tries,
    ) -> Result<T, Error> {
        let request_id = retry::request_id();
        let bytes = self
            .answer_to(&request_id, method, path, headers, body, tries)
            .await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::malformed(&error, &request_id))
    }

    /// The body of a good answer.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: Option<&Value>,
        tries: Tries,
    ) -> Result<Vec<u8>, Error> {
        let request_id = retry::request_id();
        self.answer_to(&request_id, method, path, headers, body, tries)
            .await
    }

    async fn answer_to(
        &self,
        request_id: &str,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: Option<&Value>,
        tries: Tries,
    ) -> Result<Vec<u8>, Error> {
        let mut pauses = retry::pauses();
        loop {
            let mut request = self
                .http
                .request(method.clone(), format!("{}{path}", self.base))
                .header(REQUEST_ID, request_id);
            // A workload that is about to get its token has none yet.
            if !self.token.is_empty() {
                request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token.expose()));
            }
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            let Refused { error, wait } = match send(request, request_id).await {
                Ok(bytes) => return Ok(bytes),
                Err(refused) => refused,
            };
            // What has done nothing may be tried again even where the call counts.
            let again = error.did_nothing() || (tries == Tries::Several && error.may_pass());
            match pauses.next() {
                Some(pause) if again && wait.is_none_or(|wait| wait <= retry::LONGEST_WAIT) => {
                    tokio::time::sleep(pause.max(wait.unwrap_or_default())).await;
                }
                _ => return Err(error),
            }
        }
    }
}

/// The header by which a request is found again in the engine's log.
const REQUEST_ID: &str = "x-request-id";

/// Why a try failed, and how long the server asks to wait before the next.
struct Refused {
    error: Error,
    wait: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tries {
    One,
    Several,
}

async fn send(request: RequestBuilder, request_id: &str) -> Result<Vec<u8>, Refused> {
    let unreachable = |error| Refused {
        error: Error::unreachable(error, request_id),
        wait: None,
    };
    let answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    let wait = retry::after(answer.headers());
    let bytes = answer.bytes().await.map_err(unreachable)?;
    if status.is_success() {
        return Ok(bytes.into());
    }
    let error = match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => Error::Problem(Box::new(problem)),
        Err(_) => Error::Status {
            status: status.as_u16(),
            request_id: request_id.to_owned(),
        },
    };
    Err(Refused { error, wait })
}

fn object(kind: Kind, id: &str) -> String {
    // An id comes from a user (import), so it must not be able to name another route.
    let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("/v1/{}/{id}", kind.path())
}

fn backfills(source: &str) -> String {
    format!("{}/backfills", object(Kind::Source, source))
}

fn with_query<const N: usize>(path: &str, pairs: [(&str, Option<&str>); N]) -> String {
    let given = pairs.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(given)
        .finish();
    format!("{path}?{query}")
}

fn absent_is_none<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error::Problem(problem)) if problem.code() == Some(Code::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
