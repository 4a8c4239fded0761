//! What every request passes through.
//!
//! [`finish`] stands around everything: it names the request, and writes the log line, the metrics and, for errors,
//! the body. [`enter`] stands before each handler of the table: the token, a turn, the time limit, and the net under
//! panics.

use std::{panic::AssertUnwindSafe, time::Duration};

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use engine_api::{Code, Problem};
use futures_util::FutureExt as _;
use tracing::{Instrument as _, debug, error, info, info_span};

use super::{
    Api,
    access::{self, Certified, Peer},
    acting::RequestId,
    body,
    failure::Failure,
    route::Route,
};
use crate::telemetry::{ApiLabels, RouteLabels};

/// Shorter than the minute that the client waits, so that it sees the answer.
const LONGEST_REQUEST: Duration = Duration::from_secs(55);
const REQUEST_ID: &str = "x-request-id";
const LONGEST_REQUEST_ID: usize = 128;

/// Which route answered.
#[derive(Clone, Copy)]
struct Answered(&'static Route);

/// Marks an answer whose body is a page for people, and stays as it is.
#[derive(Clone, Copy)]
pub(super) struct AsPage;

/// Admits a request to its handler.
pub(super) async fn enter(
    State((api, route)): State<(Api, &'static Route)>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match admitted(&api, route, request, next).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    };
    response.extensions_mut().insert(Answered(route));
    response
}

async fn admitted(
    api: &Api,
    route: &'static Route,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let extensions = request.extensions();
    if !route.open || route.body.is_some() {
        access::certified(api, extensions.get::<Certified>().copied())?;
    }
    if !route.open {
        let peer = request.extensions().get::<Peer>().copied();
        let caller = access::authorize(api, route, request.headers(), peer).await?;
        request.extensions_mut().insert(caller);
    }
    // Read before a turn is taken: whoever sends slowly holds up nobody else.
    if route.body.is_some() {
        request = body::gather(api, request, route.open).await?;
    }
    let work = async {
        // Probes must be answered while everything else waits.
        let _turn = if route.probe {
            None
        } else {
            let turn = api.inner.turns.acquire().await;
            Some(turn.map_err(|error| Failure::internal(error.to_string()))?)
        };
        let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        answer.map_err(|_| Failure::internal("the handler panicked"))
    };
    api.clock
        .timeout(LONGEST_REQUEST, work)
        .await
        .unwrap_or_else(|_| {
            let detail = format!(
                "the request was given up after {} seconds",
                LONGEST_REQUEST.as_secs()
            );
            Err(Failure::new(Code::TimedOut, detail))
        })
}

/// Finishes every answer, whoever gave it.
pub(super) async fn finish(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let started = api.clock.monotonic();
    let id = request_id(request.headers());
    let method = request.method().clone();
    request.extensions_mut().insert(RequestId(id.as_str().into()));
    let span = info_span!("request", request_id = id);

    let mut response = next.run(request).instrument(span.clone()).await;

    let is_page = response.extensions_mut().remove::<AsPage>().is_some();
    let failure = response
        .extensions_mut()
        .remove::<Failure>()
        .or_else(|| unnamed(response.status()));
    if let Some(failure) = failure.as_ref().filter(|_| !is_page) {
        write_problem(&mut response, failure, &id);
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    let route = response
        .extensions()
        .get::<Answered>()
        .map_or("none", |answered| answered.0.path.as_str());
    let elapsed = api.clock.monotonic().saturating_sub(started);
    let labels = ApiLabels {
        method: word(&method),
        route,
        status: response.status().as_u16(),
    };
    span.in_scope(|| log(&labels, elapsed, failure.as_ref()));
    api.telemetry
        .api_request_seconds
        .observe(&RouteLabels { route }, elapsed.as_secs_f64());
    api.telemetry.api_requests.add(&labels, 1);
    response
}

fn log(labels: &ApiLabels, elapsed: Duration, failure: Option<&Failure>) {
    let ApiLabels {
        method,
        route,
        status,
    } = *labels;
    let elapsed_ms = elapsed.as_millis();
    let code = failure.map(|failure| failure.problem.code.as_str());
    match failure {
        Some(Failure {
            cause: Some(cause), ..
        }) => {
            error!(
                method,
                route,
                status,
                elapsed_ms,
                code,
                cause = &**cause,
                "request failed"
            );
        }
        Some(_) => info!(method, route, status, elapsed_ms, code, "request refused"),
        None if method == "GET" => debug!(method, route, status, elapsed_ms, "request answered"),
        None => info!(method, route, status, elapsed_ms, "request answered"),
    }
}

/// The problem of an error answer that none of our handlers gave.
fn unnamed(status: StatusCode) -> Option<Failure> {
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => (
            Code::NotFound,
            "this engine has no such route: `/openapi.json` lists them all",
        ),
        StatusCode::METHOD_NOT_ALLOWED => (
            Code::MethodNotAllowed,
            "the route does not know this method: the header `Allow` lists those it knows",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (Code::BodyTooLarge, "the request body is too large"),
        status if status.is_client_error() => (Code::MalformedRequest, "the request cannot be read"),
        status if status.is_server_error() => {
            return Some(Failure::internal(format!("an answer of status {status}")));
        }
        _ => return None,
    };
    Some(Failure::new(code, detail))
}

fn write_problem(response: &mut Response, failure: &Failure, id: &str) {
    let mut problem: Problem = (*failure.problem).clone();
    id.clone_into(&mut problem.request_id);
    let unauthorized = problem.code() == Some(Code::Unauthorized);
    let (parts, body) = (response.status(), Json(problem).into_response().into_body());
    *response.body_mut() = body;
    *response.status_mut() = parts;
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if let Some(wait) = failure.retry_after {
        // Rounded up: whoever comes back a moment too early has to wait again.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if unauthorized {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
}

/// The caller's id for the request, where it is one that can stand in a log line, or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        (1..=LONGEST_REQUEST_ID).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte))
    };
    let given = headers
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(sane);
    given.map_or_else(new_request_id, ToOwned::to_owned)
}

fn new_request_id() -> String {
    let mut bytes = [0; 16];
    // Without random numbers all requests are named alike, which is no reason to refuse them.
    let _ = getrandom::fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// A bounded set, since callers choose the method.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        _ => "other",
    }
}
