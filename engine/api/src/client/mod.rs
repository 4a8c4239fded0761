//! The client of the engine's API, for the provider and the tests.
//!
//! Every call is bounded in time. Calls that may be repeated without harm (reads, `PUT` with a generation, `DELETE`,
//! and `POST` with an idempotency key) are tried again with growing, jittered pauses when the engine cannot be reached
//! or is restarting.
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
mod tokens;

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::error::Error;
use crate::{
    BackfillId, BackfillRequest, BackfillView, ChannelStatus, CheckReport, Code, CompareResult,
    DeadLetterView, DestinationStatus, EngineView, Items, Kind, Problem, ReplayRequest, ReplayResult, Secret,
    SourceStatus, Spec, View,
};

/// How long one try may take. Creating a source waits for Zoom's own answers, so it is generous.
const TRY_TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses between tries; about eight seconds in all, enough for a restart of the engine.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

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
        let url = url::Url::parse(base)
            .map_err(|error| Error::Address(format!("`{base}` is not a URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(Error::Address(format!(
                "`{base}` is not an `http` or `https` URL"
            )));
        }
        // Two installations of the same provider are harmless, the second is refused and dropped.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
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
        let path = with_query(&backfills(source), [("after", after), ("limit", None)]);
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
        let body = serde_json::to_value(request).map_err(|error| Error::Malformed(error.to_string()))?;
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
        let bytes = self.answer(method, path, headers, body, tries).await?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Malformed(error.to_string()))
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
        let mut pauses = PAUSES.iter();
        loop {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
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
            let error = match send(request).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            // A connection that was never made has done nothing, so even a call that counts may be tried again.
            let again = error.never_sent() || (tries == Tries::Several && error.may_pass());
            match pauses.next() {
                Some(&pause) if again => tokio::time::sleep(jittered(pause)).await,
                _ => return Err(error),
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tries {
    One,
    Several,
}

async fn send(request: RequestBuilder) -> Result<Vec<u8>, Error> {
    let answer = request.send().await?;
    let status = answer.status();
    let bytes = answer.bytes().await?;
    if status.is_success() {
        return Ok(bytes.into());
    }
    Err(match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => Error::Problem(Box::new(problem)),
        Err(_) => Error::Status(status.as_u16()),
    })
}

fn object(kind: Kind, id: &str) -> String {
    // An id comes from a user (import), so it must not be able to name another route.
    let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("/v1/{}/{id}", kind.path())
}

fn backfills(source: &str) -> String {
    format!("{}/backfills", object(Kind::Source, source))
}

fn with_query(path: &str, pairs: [(&str, Option<&str>); 2]) -> String {
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
        Err(Error::Status(status)) if status == StatusCode::NOT_FOUND.as_u16() => Err(Error::Malformed(
            "404 without a problem body: is this the engine's URL?".to_owned(),
        )),
        Err(error) => Err(error),
    }
}

/// Between half and all of the pause, so that a thousand resources do not come back in step.
fn jittered(pause: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};

    let chance = (RandomState::new().hash_one(0) % 512) as u32;
    pause / 2 + pause * chance / 1024
}
