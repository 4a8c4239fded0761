//! The one door for outbound HTTP.
//!
//! Every request of the engine (to Zoom, to destinations, to alarm channels) goes through one [`Http`]. It promises:
//! an answer or an error within the limits; no more than a capped body in memory, compressed or not; no connection
//! to an address that the egress rule forbids, checked after the name was resolved; no redirect followed; and no
//! credential, path, query, header or body in an error, a log line or a `Debug` text.
//!
//! It never tries again by itself: who asked knows whether that is safe. It takes no proxy from the environment,
//! because a proxy would resolve names where the egress rule cannot see it.

mod body;
mod egress;
mod error;
mod message;
mod retry_after;
mod simulated;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

pub use egress::{Refused, Rule};
pub use error::Error;
pub use message::{Request, Response};
pub use reqwest::{Method, StatusCode, header};
pub use retry_after::RetryAfter;
pub use simulated::{Answered, Broken, Network, Sent};

use reqwest::{
    Client,
    header::{ACCEPT_ENCODING, HeaderMap, HeaderValue},
    redirect::Policy,
};
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider, pki_types::CertificateDer};
use rustls_platform_verifier::Verifier;
use tracing::{debug, warn};
use url::Url;

use self::{
    body::{Body, Fault},
    egress::{Names, Resolver, System},
    error::origin,
    message::{announced, refuse_redirect},
    simulated::Wire,
};
use crate::clock::Clock;

/// Limits and rules of an [`Http`].
#[derive(Debug, Clone)]
pub struct Options {
    /// The longest that resolving, connecting and the TLS handshake may take together.
    pub connect_timeout: Duration,
    /// The longest silence of a server that is sending.
    pub read_timeout: Duration,
    /// The longest that a whole exchange may take, where the request sets no other limit.
    pub total_timeout: Duration,
    /// The most bytes of a body that are read, where the request sets no other limit.
    pub max_response_bytes: usize,
    /// Which addresses outside the public internet may be connected to.
    pub egress: Rule,
    /// Certificate authorities to trust beside those of the system, in DER.
    pub authorities: Vec<CertificateDer<'static>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_mins(1),
            max_response_bytes: 32 << 20,
            egress: Rule::default(),
            authorities: Vec::new(),
        }
    }
}

/// The client; cheap to clone, and clones share their connections.
#[derive(Clone)]
pub struct Http {
    transport: Transport,
    rule: Arc<Rule>,
    total_timeout: Duration,
    max_response_bytes: usize,
    clock: Clock,
}

/// What carries the requests.
#[derive(Clone)]
enum Transport {
    Sockets(Client),
    Simulated(Wire),
}

impl Http {
    /// Builds the client, and reads the system's certificate authorities for it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where one of the additional authorities is not a certificate.
    pub fn new(options: Options, clock: Clock) -> Result<Self, Error> {
        Self::with_names(options, clock, Arc::new(System))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn with_names(options: Options, clock: Clock, names: Arc<dyn Names>) -> Result<Self, Error> {
        let rule = Arc::new(options.egress);
        let client = Client::builder()
            .tls_backend_preconfigured(tls(options.authorities)?)
            .user_agent(concat!("zoom-log-engine/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Resolver {
                rule: Arc::clone(&rule),
                names,
            })
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.read_timeout)
            // Shorter than the minute after which load balancers drop idle connections without a word.
            .pool_idle_timeout(Duration::from_secs(45))
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            // `Body` unpacks, because the client would do so without a limit.
            .no_gzip()
            .build()
            .map_err(|error| Error::from_transport(error, String::new(), Duration::ZERO))?;
        let Options {
            total_timeout,
            max_response_bytes,
            ..
        } = options;
        Ok(Self {
            transport: Transport::Sockets(client),
            rule,
            total_timeout,
            max_response_bytes,
            clock,
        })
    }

    /// Whether a URL may be sent to, as far as it tells by itself: a name is judged when it is resolved.
    ///
    /// # Errors
    ///
    /// [`Refused`] where the URL holds an address that the egress rule forbids.
    pub fn check_literal(&self, url: &Url) -> Result<(), Refused> {
        self.rule.check_literal(url)
    }

    /// Sends a request once and reads the whole answer. An answer with an error status is an answer, not an error.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks the exchange off; the server may have acted on the request all the same.
    pub async fn send(&self, request: &Request) -> Result<Response, Error> {
        let started = self.clock.monotonic();
        let answer = self.exchange(request).await;
        let elapsed_ms = self.clock.monotonic().saturating_sub(started).as_millis();
        let (method, origin) = (request.method.as_str(), origin(&request.url));
        match &answer {
            Ok(response) => {
                let (status, bytes) = (response.status.as_u16(), response.body.len());
                debug!(method, origin, status, bytes, elapsed_ms, "request answered");
            }
            Err(error) => debug!(method, origin, error = error.kind(), elapsed_ms, "request failed"),
        }
        answer
    }

    async fn exchange(&self, request: &Request) -> Result<Response, Error> {
        self.rule
            .check_literal(&request.url)
            .map_err(Error::EgressRefused)?;
        let mut headers = request.headers.clone();
        headers
            .entry(ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("gzip"));
        let client = match &self.transport {
            Transport::Sockets(client) => client,
            Transport::Simulated(wire) => return self.exchange_simulated(wire, request, headers).await,
        };
        let limit = request.total_timeout.unwrap_or(self.total_timeout);
        let started = self.clock.monotonic();
        let failed = |error| {
            Error::from_transport(
                error,
                origin(&request.url),
                self.clock.monotonic().saturating_sub(started),
            )
        };
        let answer = client
            .request(request.method.clone(), request.url.clone())
            .headers(headers)
            .body(request.body.clone())
            .timeout(limit)
            .send()
            .await
            .map_err(failed)?;
        refuse_redirect(request, answer.status(), answer.headers())?;
        self.read(request, answer, failed).await
    }

    async fn read(
        &self,
        request: &Request,
        mut answer: reqwest::Response,
        failed: impl Fn(reqwest::Error) -> Error,
    ) -> Result<Response, Error> {
        let mut body = self.body(request, answer.headers())?;
        while let Some(chunk) = answer.chunk().await.map_err(&failed)? {
            body.push(&chunk).map_err(|fault| self.faulty(request, fault))?;
        }
        let body = body.finish().map_err(|fault| self.faulty(request, fault))?;
        Ok(Response {
            status: answer.status(),
            headers: std::mem::take(answer.headers_mut()),
            body,
        })
    }

    /// A body to be read, where what is announced of it is not too large already.
    fn body(&self, request: &Request, headers: &HeaderMap) -> Result<Body, Error> {
        let limit = self.cap(request);
        if request.method != Method::HEAD && announced(headers).is_some_and(|length| length > limit as u64) {
            return Err(self.faulty(request, Fault::TooLarge));
        }
        Body::new(headers, limit).map_err(|fault| self.faulty(request, fault))
    }

    fn faulty(&self, request: &Request, fault: Fault) -> Error {
        match fault {
            Fault::TooLarge => Error::TooLarge {
                origin: origin(&request.url),
                limit: self.cap(request),
            },
            Fault::Broken(cause) => Error::Unavailable {
                origin: origin(&request.url),
                cause,
            },
        }
    }

    fn cap(&self, request: &Request) -> usize {
        request.max_response_bytes.unwrap_or(self.max_response_bytes)
    }
}

/// TLS on ring, trusting the system's authorities and the given ones.
fn tls(authorities: Vec<CertificateDer<'static>>) -> Result<ClientConfig, Error> {
    let invalid = |error: rustls::Error| Error::Invalid {
        what: format!("TLS cannot be set up: {error}"),
    };
    let mut probe = RootCertStore::empty();
    for authority in &authorities {
        probe.add(authority.clone()).map_err(|error| Error::Invalid {
            what: format!("`egress.ca_file` holds something that is not a certificate authority: {error}"),
        })?;
    }
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(invalid)?;
    let mut config = match Verifier::new_with_extra_roots(authorities, provider) {
        Ok(verifier) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth(),
        Err(error) => {
            // Plain HTTP still works, which is all that a trial on one machine needs; HTTPS fails closed.
            warn!(%error, "no certificate authorities found, so no HTTPS server will be trusted: install the system's ca-certificates or set `egress.ca_file`");
            builder
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("rule", &self.rule)
            .finish_non_exhaustive()
    }
}
