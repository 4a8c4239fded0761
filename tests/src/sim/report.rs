//! `GET /v2/report/operationlogs` and `GET /v2/report/activities` as Zoom answers them.
//!
//! A request passes its gates one after another: token, plan, rate limits, scope, role permission,
//! parameters. Each gate refuses in the form that the account's [`Behaviour`] asks for.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::{RawQuery, State as Shared},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::json;

use super::{
    account::{Behaviour, EndToken, PageTokens, Plan, RetryAfter, ScopeRefusal, TokenLifeFrom, TokenRefusal},
    fault::{Note, PageFault, gzip},
    feed::{Start, View},
    limits::{Limits, Verdict},
    page_token::PageToken,
    rows::{Report, category_code},
    wording::Wording,
    world::World,
};

type Struck = Option<Extension<PageFault>>;

const DEFAULT_PAGE: u64 = 30;
const LARGEST_PAGE: u64 = 300;

pub(super) fn router() -> Router<Arc<World>> {
    let mut router = Router::new();
    for report in Report::ALL {
        let handler =
            async move |world: Shared<Arc<World>>, headers: HeaderMap, query: RawQuery, fault: Struck| {
                let query = query.0.unwrap_or_default();
                let query = url::form_urlencoded::parse(query.as_bytes())
                    .into_owned()
                    .collect();
                answer(
                    report,
                    &world,
                    &headers,
                    &query,
                    fault.map(|Extension(fault)| fault),
                )
            };
        router = router.route(report.path(), get(handler));
    }
    router
}

fn answer(
    report: Report,
    world: &World,
    headers: &HeaderMap,
    query: &BTreeMap<String, String>,
    fault: Option<PageFault>,
) -> Response {
    let now = world.clock.now();
    let mut state = world.state();
    state.requests += 1;
    let (tie_seed, epoch) = (state.requests, state.page_epoch);

    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = bearer
        .and_then(|value| value.strip_prefix("Bearer "))
        .and_then(|text| state.access_tokens.get(text));
    let Some(token) = token.cloned() else {
        return token_refusal(TokenRefusal::Usual, "Invalid access token.");
    };
    let Some(account) = state.accounts.get_mut(&token.account_id) else {
        return token_refusal(TokenRefusal::Usual, "Invalid access token.");
    };
    let behaviour = account.behaviour.clone();
    let note = Note {
        account: Some(token.account_id.clone()),
        page_rows: 0,
        latency: Duration::from_millis(behaviour.latency_millis),
    };
    if token.expires <= now {
        return noted(
            token_refusal(behaviour.token_refusal, "Access token is expired."),
            note,
        );
    }
    if behaviour.plan == Plan::Free {
        let message = format!(
            "This is only available for the paid account: {}",
            token.account_id
        );
        return noted(refusal(400, 200, &message), note);
    }
    let limits = behaviour.limits();
    let remaining = match account.usage.spend(now, limits) {
        Verdict::Allowed { remaining } => remaining,
        Verdict::TooManyThisSecond => return noted(too_many_this_second(&behaviour, limits, now), note),
        Verdict::TooManyToday { reset } => {
            return noted(too_many_today(&behaviour, limits, now, reset), note);
        }
    };
    if !report.allowed_by(&token.scopes) {
        return noted(scope_refusal(behaviour.scope_refusal, report), note);
    }
    let permissions = behaviour.permissions;
    let own = match report {
        Report::Operation => permissions.admin_activity_logs,
        Report::Activity => permissions.sign_in_sign_out,
    };
    if !(permissions.usage_reports && own) {
        return noted(refusal(400, 200, "No permission."), note);
    }
    let ask = match Ask::parse(report, query, &behaviour, now) {
        Ok(ask) => ask,
        Err(message) => return noted(refusal(behaviour.range_status, 300, message), note),
    };

    let bound = ask.hash(&token.account_id, report);
    let continued = match ask.page_token.as_deref().map(|text| world.seal.open(text)) {
        None => None,
        Some(Some(page)) if page.is_good(bound, now, epoch, behaviour.page_token_life_secs) => Some(page),
        Some(_) => {
            let message = "The next page token is invalid or expired.";
            return noted(refusal(behaviour.range_status, 300, message), note);
        }
    };
    let feed_state = account.feed(report);
    let before_seq = match (behaviour.page_tokens, &continued) {
        (PageTokens::Live, _) => None,
        (PageTokens::Snapshot, Some(page)) => page.before_seq,
        (PageTokens::Snapshot, None) => Some(feed_state.feed.next_seq()),
    };
    let start = continued.map_or(Start::Offset(0), |page| page.start());
    let view = ask.view(
        &behaviour,
        before_seq,
        behaviour.unstable_ties.then_some(tie_seed),
    );
    let size = if fault == Some(PageFault::Empty) {
        0
    } else {
        ask.page_size
    };
    let cut = feed_state
        .feed
        .cut(&view, start, behaviour.page_cap.map_or(size, |cap| size.min(cap)));

    let follow = match (behaviour.page_tokens, cut.last, start) {
        (PageTokens::Snapshot, Some(place), _) => Start::After(place),
        (_, _, Start::Offset(offset)) => Start::Offset(offset + cut.rows),
        (_, _, after) => after,
    };
    let next = match fault {
        Some(PageFault::RepeatToken) => Some(start),
        Some(PageFault::Empty) => Some(follow),
        None => cut.more.then_some(follow),
    };
    let issued = match (behaviour.page_token_life_from, &continued) {
        (TokenLifeFrom::FirstPage, Some(page)) => page.issued(),
        _ => now,
    };
    let next_token = next.map(|start| {
        world
            .seal
            .seal(&PageToken::new(bound, issued, epoch, start, before_seq))
    });
    let next_token = match (fault, &ask.page_token) {
        (Some(PageFault::RepeatToken), Some(asked)) => Some(asked.clone()),
        _ => next_token,
    };
    if cut.more
        && let Some(drip) = &mut feed_state.drip
    {
        for _ in 0..drip.rows_per_page.min(drip.rows) {
            let row = feed_state.maker.arrival(now, &drip.mix);
            feed_state.feed.extend([row]);
            drip.rows -= 1;
        }
    }
    drop(state);

    let note = Note {
        page_rows: cut.rows,
        ..note
    };
    let body = ask.body(report, &behaviour, next_token.as_deref(), &cut.joined);
    let mut response = page(&behaviour, headers, body);
    if behaviour.rate_headers {
        rate_headers(&mut response, "Daily-limit", limits.per_day, remaining);
    }
    noted(response, note)
}

/// A report request's parameters, understood.
struct Ask {
    from: Date,
    to: Date,
    page_size: u64,
    page_token: Option<String>,
    category: String,
}

impl Ask {
    fn parse(
        report: Report,
        query: &BTreeMap<String, String>,
        behaviour: &Behaviour,
        now: Timestamp,
    ) -> Result<Self, &'static str> {
        let today = (now + zone(behaviour)).to_zoned(TimeZone::UTC).date();
        let day = |name: &str| match query.get(name) {
            // A time of day is cut off: the report knows whole days only.
            Some(text) => text
                .get(..10)
                .and_then(|day| day.parse().ok())
                .ok_or("Invalid date format."),
            None if report == Report::Activity => Ok(today),
            None => Err("The from and to fields are required."),
        };
        let (from, to) = (day("from")?, day("to")?);
        if from > to {
            return Err("The start date can not be after the end date.");
        }
        if from.checked_add(1.month()).is_ok_and(|month_end| to > month_end) {
            return Err("The date range of the report can not be more than one month.");
        }
        if today.checked_sub(6.months()).is_ok_and(|floor| from < floor) {
            return Err("Only provide report in recent 6 months.");
        }
        if behaviour.refuse_future_to && to > today {
            return Err("The end date can not be in the future.");
        }
        let page_size = match query.get("page_size").map(|text| text.parse::<u64>()) {
            None => DEFAULT_PAGE,
            Some(Ok(size)) if (1..=LARGEST_PAGE).contains(&size) => size,
            Some(_) => return Err("The page_size must be between 1 and 300."),
        };
        let page_token = query
            .get("next_page_token")
            .filter(|token| !token.is_empty())
            .cloned();
        let category = match report {
            Report::Operation => query.get("category_type").cloned().unwrap_or_default(),
            Report::Activity => String::new(),
        };
        Ok(Self {
            from,
            to,
            page_size,
            page_token,
            category,
        })
    }

    /// Hashes all that a page token is bound to.
    fn hash(&self, account: &str, report: Report) -> u64 {
        let Self {
            from,
            to,
            page_size,
            page_token: _,
            category,
        } = self;
        let text = format!("{account}\n{report:?}\n{from}\n{to}\n{page_size}\n{category}");
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
    }

    fn view<'a>(&self, behaviour: &'a Behaviour, before_seq: Option<u32>, tie_seed: Option<u64>) -> View<'a> {
        let filtered = !self.category.is_empty() && self.category != "all";
        View {
            start_millis: midnight(self.from, behaviour),
            end_millis: midnight(self.to.tomorrow().unwrap_or(Date::MAX), behaviour),
            order: behaviour.order,
            category: filtered.then(|| category_code(&self.category)),
            before_seq,
            tie_seed,
            wording: Some(&behaviour.wording).filter(|wording| **wording != Wording::default()),
        }
    }

    /// Writes the answer around rows that are text already.
    fn body(&self, report: Report, behaviour: &Behaviour, next_token: Option<&str>, rows: &[u8]) -> Vec<u8> {
        let instant = if behaviour.echo_instants && report == Report::Activity {
            "T00:00:00Z"
        } else {
            ""
        };
        let token = match (next_token, behaviour.end_token) {
            (Some(token), _) => format!("\"next_page_token\":\"{token}\","),
            (None, EndToken::Empty) => "\"next_page_token\":\"\",".to_owned(),
            (None, EndToken::Null) => "\"next_page_token\":null,".to_owned(),
            (None, EndToken::Missing) => String::new(),
        };
        let Self {
            from, to, page_size, ..
        } = self;
        let list = report.list();
        let head = format!(
            "{{\"from\":\"{from}{instant}\",\"to\":\"{to}{instant}\",{token}\"page_size\":{page_size},\"{list}\":["
        );
        [head.as_bytes(), rows, b"]}"].concat()
    }
}

fn zone(behaviour: &Behaviour) -> SignedDuration {
    SignedDuration::from_mins(i64::from(behaviour.day_zone_minutes))
}

/// Returns the instant at which a day begins for the account.
fn midnight(day: Date, behaviour: &Behaviour) -> i64 {
    let utc = day
        .to_zoned(TimeZone::UTC)
        .map_or(i64::MAX / 2, |zoned| zoned.timestamp().as_millisecond());
    utc - i64::from(behaviour.day_zone_minutes) * 60_000
}

fn noted(mut response: Response, note: Note) -> Response {
    response.extensions_mut().insert(note);
    response
}

fn page(behaviour: &Behaviour, headers: &HeaderMap, body: Vec<u8>) -> Response {
    let accepts = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    let compressed = behaviour.gzip && accepts.is_some_and(|accepts| accepts.contains("gzip"));
    let body = if compressed { gzip(&body) } else { body };
    let mut response = Response::new(Body::from(body));
    let json = HeaderValue::from_static("application/json;charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if compressed {
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn refusal(status: u16, code: u16, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, axum::Json(json!({ "code": code, "message": message }))).into_response()
}

fn token_refusal(form: TokenRefusal, message: &str) -> Response {
    match form {
        TokenRefusal::Usual => refusal(401, 124, message),
        TokenRefusal::Older => refusal(400, 124, message),
        TokenRefusal::Code201 => refusal(401, 201, message),
        TokenRefusal::ErrorCode => {
            let body = json!({ "status": false, "errorCode": 401, "errorMessage": message });
            (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response()
        }
    }
}

fn scope_refusal(form: ScopeRefusal, report: Report) -> Response {
    let scope = report.granular_scope();
    let message = format!("Invalid access token, does not contain scopes:[{scope}].");
    match form {
        ScopeRefusal::Named => refusal(400, 4711, &message),
        ScopeRefusal::Older => refusal(400, 4700, &message),
        ScopeRefusal::Malformed => {
            let body = format!(
                "{{\"code\":104,\"message\":\"Invalid access token, does not contain scopes:[\"{scope}\"]\"}}"
            );
            (
                StatusCode::BAD_REQUEST,
                [(header::CONTENT_TYPE, "application/json")],
                body,
            )
                .into_response()
        }
    }
}

fn too_many_this_second(behaviour: &Behaviour, limits: Limits, now: Timestamp) -> Response {
    let message = "You have reached the maximum per-second rate limit for this API. Try again later.";
    let mut response = refusal(429, 429, message);
    if behaviour.rate_headers {
        rate_headers(&mut response, "QPS", limits.per_second, 0);
        response
            .headers_mut()
            .insert("x-ratelimit-reset", number((now.as_second() + 1).unsigned_abs()));
    }
    response
}

fn too_many_today(behaviour: &Behaviour, limits: Limits, now: Timestamp, reset: Timestamp) -> Response {
    let message = "You have reached the maximum daily rate limit for this API. Refer to the response header for \
                   details on when you can make another request.";
    let mut response = refusal(429, behaviour.daily_429.body_code, message);
    if behaviour.rate_headers {
        rate_headers(&mut response, "Daily-limit", limits.per_day, 0);
    }
    let retry_after = match behaviour.daily_429.retry_after {
        RetryAfter::Iso => Some(reset.to_string()),
        RetryAfter::Seconds => Some(reset.duration_since(now).as_secs().max(1).to_string()),
        RetryAfter::HttpDate => Some(reset.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
        RetryAfter::Absent => None,
    };
    if let Some(value) = retry_after.and_then(|text| HeaderValue::try_from(text).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn rate_headers(response: &mut Response, kind: &'static str, limit: u64, remaining: u64) {
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-category", HeaderValue::from_static("Heavy"));
    headers.insert("x-ratelimit-type", HeaderValue::from_static(kind));
    headers.insert("x-ratelimit-limit", number(limit));
    headers.insert("x-ratelimit-remaining", number(remaining));
}

fn number(value: u64) -> HeaderValue {
    HeaderValue::from(value)
}
