//! Faults on demand: which requests they strike, and what they do to them.

use std::{collections::BTreeMap, convert::Infallible, io::Write as _, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request, State as Shared},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::{counters::Seen, world::World};
use crate::{rng::Rng, wire::Conn};

/// One thing that may go wrong with a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Answers this instead of asking the simulator.
    Respond {
        status: u16,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        #[serde(default)]
        body: String,
    },
    /// Answers as usual, later.
    Delay { millis: u64 },
    /// Never answers.
    Hang,
    /// Sends the head and so much of the body, then nothing.
    HangBody { after_bytes: usize },
    /// Resets the connection; the request was never worked on.
    Reset,
    /// Works on the request and resets the connection instead of answering.
    LoseAnswer,
    /// Sends so much of the body and resets the connection.
    ResetBody { after_bytes: usize },
    /// Sends so much of the body and closes in order, short of the announced length.
    CutBody { after_bytes: usize },
    /// Sends a complete answer whose JSON ends after so many bytes.
    CutJson { after_bytes: usize },
    /// Sends the answer with so much white space after its JSON.
    Pad { bytes: usize },
    /// Compresses the answer, asked for or not.
    Gzip,
    /// Serves a page with a token and no rows.
    EmptyPage,
    /// Serves a page whose token is the one that asked for it, or the first page's again.
    RepeatToken,
}

/// A fault and the requests that it strikes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// A part of `METHOD /path?query`; empty strikes every request of Zoom's two doors.
    #[serde(default)]
    pub on: String,
    /// How many matching requests pass before the first strike.
    #[serde(default)]
    pub skip: u64,
    #[serde(default = "FaultRule::once")]
    pub times: u64,
    /// How many in a hundred of the matching requests are struck.
    #[serde(default = "FaultRule::always")]
    pub percent: f64,
    pub fault: Fault,
}

impl FaultRule {
    /// Strikes the next request that matches.
    pub fn next(on: &str, fault: Fault) -> Self {
        Self {
            on: on.to_owned(),
            skip: 0,
            times: Self::once(),
            percent: Self::always(),
            fault,
        }
    }

    /// Strikes so many matching requests.
    pub fn times(on: &str, times: u64, fault: Fault) -> Self {
        Self {
            times,
            ..Self::next(on, fault)
        }
    }

    fn once() -> u64 {
        1
    }

    fn always() -> f64 {
        100.0
    }
}

/// The rules in force; the first that matches strikes.
#[derive(Debug)]
pub(super) struct Faults {
    rules: Vec<FaultRule>,
    rng: Rng,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            rng: Rng::new(1),
        }
    }
}

impl Faults {
    pub(super) fn add(&mut self, rule: FaultRule) {
        self.rules.push(rule);
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn left(&self) -> u64 {
        self.rules
            .iter()
            .fold(0, |sum, rule| sum.saturating_add(rule.times))
    }

    pub(super) fn rules(&self) -> &[FaultRule] {
        &self.rules
    }

    fn strike(&mut self, request: &str) -> Option<Fault> {
        let Self { rules, rng } = self;
        let mut struck = None;
        for rule in rules.iter_mut().filter(|rule| request.contains(&rule.on)) {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if rng.percent(rule.percent) {
                rule.times -= 1;
                struck = Some(rule.fault.clone());
                break;
            }
        }
        rules.retain(|rule| rule.times > 0);
        struck
    }
}

/// What a handler tells the layer around it, for the record.
#[derive(Debug, Clone, Default)]
pub(super) struct Note {
    pub(super) account: Option<String>,
    pub(super) page_rows: u64,
    /// How long the answer is held back.
    pub(super) latency: Duration,
}

/// A fault of paging, which only the report itself can commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageFault {
    Empty,
    RepeatToken,
}

/// Puts faults and the record of requests around Zoom's doors.
pub(super) fn layer(router: Router<Arc<World>>, world: &Arc<World>) -> Router<Arc<World>> {
    router
        .layer(middleware::from_fn_with_state(Arc::clone(world), around))
        .layer(middleware::from_fn_with_state(Arc::clone(world), dated))
}

/// Dates an answer by Zoom's clock, as the server itself would by the machine's.
async fn dated(Shared(world): Shared<Arc<World>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let now = world
        .clock
        .now()
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    if let Ok(now) = HeaderValue::try_from(now) {
        response.headers_mut().insert(header::DATE, now);
    }
    response
}

async fn around(
    Shared(world): Shared<Arc<World>>,
    ConnectInfo(conn): ConnectInfo<Conn>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let fault = world
        .state()
        .faults
        .strike(&format!("{} {path}?{query}", request.method()));
    let note = |status: u16, note: Note| {
        let seen = Seen {
            at: world.clock.now(),
            path: path.clone(),
            query: query.clone(),
            account: note.account,
            status,
            page_rows: note.page_rows,
        };
        world.state().record.note(seen);
    };
    match &fault {
        Some(Fault::Respond {
            status,
            headers,
            body,
        }) => {
            note(*status, Note::default());
            return scripted(*status, headers, body);
        }
        Some(Fault::Hang) => {
            note(0, Note::default());
            return std::future::pending().await;
        }
        Some(Fault::Reset) => {
            note(0, Note::default());
            conn.reset();
            return std::future::pending().await;
        }
        Some(Fault::Delay { millis }) => tokio::time::sleep(Duration::from_millis(*millis)).await,
        Some(Fault::EmptyPage) => {
            request.extensions_mut().insert(PageFault::Empty);
        }
        Some(Fault::RepeatToken) => {
            request.extensions_mut().insert(PageFault::RepeatToken);
        }
        _ => {}
    }
    let mut response = next.run(request).await;
    let told = response.extensions_mut().remove::<Note>().unwrap_or_default();
    let status = if matches!(fault, Some(Fault::LoseAnswer)) {
        0
    } else {
        response.status().as_u16()
    };
    let latency = told.latency;
    note(status, told);
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match fault {
        Some(Fault::LoseAnswer) => {
            conn.reset();
            std::future::pending().await
        }
        Some(fault) => spoil(response, fault, conn).await,
        None => response,
    }
}

fn scripted(status: u16, headers: &BTreeMap<String, String>, body: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, body.to_owned()).into_response();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Breaks the body of a finished answer.
async fn spoil(response: Response, fault: Fault, conn: Conn) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let first = |bytes: usize| whole.slice(..bytes.min(whole.len()));
    parts.headers.remove(header::CONTENT_LENGTH);
    if matches!(
        fault,
        Fault::HangBody { .. } | Fault::ResetBody { .. } | Fault::CutBody { .. }
    ) {
        // The whole length is announced, so that the other side can know that the rest is missing.
        parts
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    }
    let body = match fault {
        Fault::HangBody { after_bytes } => part(first(after_bytes), std::future::pending()),
        Fault::ResetBody { after_bytes } => part(first(after_bytes), async move {
            conn.reset();
            std::future::pending().await
        }),
        Fault::CutBody { after_bytes } => {
            part(first(after_bytes), async { Err(std::io::Error::other("cut")) })
        }
        Fault::CutJson { after_bytes } => Body::from(first(after_bytes)),
        Fault::Pad { bytes } => {
            let mut padded = whole.to_vec();
            padded.resize(whole.len() + bytes, b' ');
            Body::from(padded)
        }
        Fault::Gzip => {
            parts
                .headers
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Body::from(gzip(&whole))
        }
        _ => Body::from(whole.clone()),
    };
    Response::from_parts(parts, body)
}

/// A body that sends `head` and then does what `end` does.
fn part(head: Bytes, end: impl Future<Output = Result<Bytes, std::io::Error>> + Send + 'static) -> Body {
    // A pause lets the head leave before the connection breaks, so that the other side has seen a part.
    let end = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        end.await
    };
    let head = stream::once(async { Ok::<_, Infallible>(head) }).map(|head| Ok(head.unwrap_or_default()));
    Body::from_stream(head.chain(stream::once(end)))
}

pub(super) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("write to memory");
    encoder.finish().expect("write to memory")
}

#[cfg(test)]
mod tests {
    use super::{Fault, FaultRule, Faults};

    #[test]
    fn a_rule_skips_strikes_and_ends() {
        let mut faults = Faults::default();
        faults.add(FaultRule {
            skip: 1,
            ..FaultRule::times("next_page_token=", 2, Fault::Hang)
        });
        let paged = "GET /v2/report/activities?next_page_token=x";
        let struck: Vec<bool> = (0..4).map(|_| faults.strike(paged).is_some()).collect();
        assert_eq!(struck, [false, true, true, false]);
        assert_eq!(faults.left(), 0);
        faults.add(FaultRule::next("operationlogs", Fault::Reset));
        assert!(faults.strike(paged).is_none());
        assert!(faults.strike("GET /v2/report/operationlogs?").is_some());
    }
}
