//! A network that is simulated: requests end at a function in this process.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_LENGTH, HeaderMap, HeaderValue},
};
use url::Url;

use super::{
    Error, Http, Options, Request, Response,
    egress::Rule,
    error::origin,
    message::{announced, refuse_redirect},
};
use crate::clock::Clock;

/// What is on the other side: it takes a request and answers it, or breaks off, or never ends.
pub trait Network: Send + Sync {
    /// One exchange. The limits, the cap on the body and the rule about redirects are the door's own.
    fn exchange(&self, request: Sent) -> BoxFuture<'static, Result<Answered, Broken>>;
}

/// A request as it goes over the wire.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: Url,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// An answer as it comes over the wire.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, compressed where a header says so; shorter than its `Content-Length` where it was cut.
    pub body: Bytes,
}

/// The connection broke; the text says how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken(pub &'static str);

/// Keeps the network out of `Debug` texts.
#[derive(Clone)]
pub(super) struct Wire(Arc<dyn Network>);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl Http {
    /// A door to a simulated network. Whatever does not concern sockets and TLS is as it is outside of simulations.
    pub fn simulated(network: Arc<dyn Network>, clock: Clock) -> Self {
        let Options {
            total_timeout,
            max_response_bytes,
            ..
        } = Options::default();
        Self {
            transport: super::Transport::Simulated(Wire(network)),
            rule: Arc::new(Rule {
                private: true,
                ..Rule::default()
            }),
            total_timeout,
            max_response_bytes,
            clock,
        }
    }

    pub(super) async fn exchange_simulated(
        &self,
        wire: &Wire,
        request: &Request,
        headers: HeaderMap,
    ) -> Result<Response, Error> {
        let limit = request.total_timeout.unwrap_or(self.total_timeout);
        let sent = Sent {
            method: request.method.clone(),
            url: request.url.clone(),
            headers,
            body: request.body.clone(),
        };
        let unavailable = |cause: &str| Error::Unavailable {
            origin: origin(&request.url),
            cause: cause.to_owned(),
        };
        let answer = match self.clock.timeout(limit, wire.0.exchange(sent)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(Broken(cause))) => return Err(unavailable(cause)),
            Err(_) => {
                return Err(Error::TimedOut {
                    origin: origin(&request.url),
                    after: limit,
                });
            }
        };
        refuse_redirect(request, answer.status, &answer.headers)?;
        let mut body = self.body(request, &answer.headers)?;
        body.push(&answer.body)
            .map_err(|fault| self.faulty(request, fault))?;
        if announced(&answer.headers).is_some_and(|length| length != answer.body.len() as u64) {
            return Err(unavailable("the body ended before its announced length"));
        }
        Ok(Response {
            status: answer.status,
            headers: answer.headers,
            body: body.finish().map_err(|fault| self.faulty(request, fault))?,
        })
    }
}

impl Answered {
    /// An answer with its length announced.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let length = HeaderValue::from(body.len());
        Self {
            status,
            headers: HeaderMap::from_iter([(CONTENT_LENGTH, length)]),
            body,
        }
    }
}
