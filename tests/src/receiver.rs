//! A place that events or alarms are sent to: it records every request, and answers as it is told.

use std::{
    collections::VecDeque,
    io::{self, Read as _},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, State as Shared},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use flate2::read::GzDecoder;
use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    wait,
    wire::{Conn, WireListener},
};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub at: Timestamp,
    pub method: String,
    /// Path and query.
    pub path: String,
    pub headers: HeaderMap,
    /// As it was on the wire.
    pub raw: Bytes,
    /// Decompressed where the sender compressed it.
    pub body: Vec<u8>,
    /// What it was answered; 0 where it was left hanging or reset.
    pub status: u16,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Returns the body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// Returns the rows of an NDJSON body, or the elements of a JSON array, as text.
    pub fn rows(&self) -> Vec<Vec<u8>> {
        if let Ok(list) = serde_json::from_slice::<Vec<&serde_json::value::RawValue>>(&self.body) {
            return list.iter().map(|row| row.get().as_bytes().to_vec()).collect();
        }
        let lines = self
            .body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        lines.map(<[u8]>::to_vec).collect()
    }
}

/// What the receiver does with one request.
#[derive(Debug, Clone)]
pub enum Reply {
    Status {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    Delay(Duration, u16),
    Hang,
    Reset,
    /// Takes what was sent, as with this status, and resets the connection in place of an answer.
    Lose(u16),
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// A refusal that says when to come back.
    pub fn retry_after(status: u16, value: &str) -> Self {
        Self::Status {
            status,
            headers: vec![("retry-after".into(), value.into())],
            body: String::new(),
        }
    }
}

/// A running receiver; dropping it cuts every connection and frees the port.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Inner>,
    url: String,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Inner {
    script: Mutex<Script>,
    received: Mutex<Vec<Received>>,
}

#[derive(Debug)]
struct Script {
    next: VecDeque<Reply>,
    /// Once the script is through.
    then: Reply,
    /// Of so many replies that no script covers, one is lost on its way.
    lose_every: Option<u64>,
    unscripted: u64,
}

impl Script {
    fn reply(&mut self) -> Reply {
        if let Some(reply) = self.next.pop_front() {
            return reply;
        }
        self.unscripted += 1;
        match (&self.then, self.lose_every) {
            (Reply::Status { status, .. }, Some(every)) if self.unscripted.is_multiple_of(every) => {
                Reply::Lose(*status)
            }
            (then, _) => then.clone(),
        }
    }
}

impl Receiver {
    /// Starts a receiver on a free port; it answers 200 until it is told otherwise.
    pub async fn start() -> Self {
        let stop = CancellationToken::new();
        let addr = "127.0.0.1:0".parse().expect("a literal address");
        let listener = WireListener::bind(addr, stop.clone())
            .await
            .expect("start a receiver");
        let url = format!("http://{}", listener.addr());
        let script = Mutex::new(Script {
            next: VecDeque::new(),
            then: Reply::status(200),
            lose_every: None,
            unscripted: 0,
        });
        let shared = Arc::new(Inner {
            script,
            received: Mutex::default(),
        });
        let service = Router::new()
            .fallback(receive)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared))
            .into_make_service_with_connect_info::<Conn>();
        let served = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move { served.await });
        Self { shared, url, stop }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Queues replies for the requests that come next; after them the standing reply holds again.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.script.lock().unwrap().next.extend(replies);
    }

    /// Sets the reply to every request that no script covers.
    pub fn always(&self, reply: Reply) {
        self.shared.script.lock().unwrap().then = reply;
    }

    /// Loses one of so many answers from now on, after it has taken what was sent.
    pub fn lose_every(&self, requests: u64) {
        self.shared.script.lock().unwrap().lose_every = Some(requests);
    }

    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Returns the requests that were answered with success.
    pub fn accepted(&self) -> Vec<Received> {
        let mut received = self.received();
        received.retain(|request| (200..300).contains(&request.status));
        received
    }

    /// Waits until so many requests have arrived, and returns all that have.
    pub async fn wait_for(&self, requests: usize) -> Vec<Received> {
        wait::until_now(wait::LATE, "requests at the receiver", || {
            let received = self.received();
            if received.len() >= requests {
                Ok(received)
            } else {
                Err(format!("{} requests", received.len()))
            }
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn receive(
    Shared(shared): Shared<Arc<Inner>>,
    ConnectInfo(conn): ConnectInfo<Conn>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    let reply = shared.script.lock().unwrap().reply();
    let status = match &reply {
        Reply::Status { status, .. } | Reply::Delay(_, status) | Reply::Lose(status) => *status,
        Reply::Hang | Reply::Reset => 0,
    };
    let compressed = headers
        .get("content-encoding")
        .is_some_and(|value| value == "gzip");
    let body = if compressed {
        gunzip(&raw).unwrap_or_default()
    } else {
        raw.to_vec()
    };
    let path = uri
        .path_and_query()
        .map_or_else(|| uri.path().to_owned(), ToString::to_string);
    let received = Received {
        at: Timestamp::now(),
        method: method.to_string(),
        path,
        headers,
        raw,
        body,
        status,
    };
    shared.received.lock().unwrap().push(received);
    match reply {
        Reply::Status {
            status,
            headers,
            body,
        } => answer(status, &headers, body),
        Reply::Delay(delay, status) => {
            tokio::time::sleep(delay).await;
            answer(status, &[], String::new())
        }
        Reply::Hang => std::future::pending().await,
        Reply::Reset | Reply::Lose(_) => {
            conn.reset();
            std::future::pending().await
        }
    }
}

fn answer(status: u16, headers: &[(String, String)], body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, body).into_response();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn gunzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain)?;
    Ok(plain)
}
