//! The parsers of Zoom's answers, as functions of bytes that a fuzzer chooses.
//!
//! The bytes are an answer in the form of HTTP's head: a status on the first line, headers up to an empty line, and the
//! body. What must hold beyond that nothing panics is asserted.

use std::{str, time::Duration};

use engine_api::{Cloud, LogType, Secret};
use futures_util::future::{BoxFuture, FutureExt as _};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::value::RawValue;

use super::{
    App, Error, Options, Page, Place, Places, Zoom,
    error::{Asked, says_scope_is_missing, says_token_is_stale},
};
use crate::{
    clock::Clock,
    http::{
        Answered, Broken, Http, Network, Response, RetryAfter, Sent, StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    telemetry::Telemetry,
};

/// The longest text of an error: what Zoom said is in it, but not all of it.
const LONGEST_ERROR: usize = 2_000;

/// A page of a report, or what Zoom says instead of one.
pub fn report(bytes: &[u8]) {
    let answer = answer(bytes);
    let _ = (
        says_token_is_stale(&answer),
        says_scope_is_missing(&answer),
        super::page::time_of(&answer),
    );
    for log_type in LogType::ALL {
        if !answer.status.is_success() {
            check(&Error::of_report(&answer, log_type, Timestamp::UNIX_EPOCH));
            continue;
        }
        match Page::read(log_type, self::answer(bytes)) {
            Err(error) => check(&error),
            Ok(page) => {
                for row in page.rows() {
                    let _ = (row.print(), row.mark());
                    row.labelled(|labelled| _ = labelled.detail.len());
                    // The scanner is ours; it may not take for a row what is no JSON.
                    assert!(
                        serde_json::from_str::<&RawValue>(row.text).is_ok(),
                        "a row that is no JSON: {}",
                        row.text
                    );
                }
            }
        }
    }
}

/// The answer to a request for a token.
pub fn token(bytes: &[u8]) {
    let answer = answer(bytes);
    for asked in [Asked::Account, Asked::Code, Asked::Refresh] {
        if !answer.status.is_success() {
            check(&Error::of_token(&answer, asked, Timestamp::UNIX_EPOCH));
        }
    }
    check(&Error::token_refused(&answer));
    let app = App {
        cloud: Cloud::Commercial,
        client_id: "cid".to_owned(),
        client_secret: Secret::from("secret"),
    };
    match zoom().read(&app, &answer, Timestamp::UNIX_EPOCH) {
        Err(error) => check(&error),
        Ok(read) => {
            // The host of an answer is believed only below Zoom's own names.
            let host = read.access.api.host_str().unwrap_or_default().to_owned();
            assert!(
                host == "zoom.us" || host.ends_with(".zoom.us") || host.ends_with(".zoomgov.com"),
                "{host}"
            );
            let _ = read.access.account();
            if let Err(error) = read.given() {
                check(&error);
            }
        }
    }
}

/// A `Retry-After`.
pub fn retry_after(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Some(after) = RetryAfter::parse(text) {
        for now in [Timestamp::UNIX_EPOCH, Timestamp::MAX] {
            let _ = (after.instant(now), after.as_instant());
        }
    }
}

fn check(error: &Error) {
    let text = error.to_string();
    assert!(text.len() <= LONGEST_ERROR, "an error of {} bytes", text.len());
    assert!(
        !text.chars().any(char::is_control),
        "control characters in {text:?}"
    );
    let _ = error.code();
}

fn answer(bytes: &[u8]) -> Response {
    let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (bytes, &[][..]),
    };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.trim().parse().ok())
        .unwrap_or(200);
    let mut headers = HeaderMap::new();
    for line in lines.take(20) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let (name, value) = (
            name.trim().parse::<HeaderName>(),
            HeaderValue::from_str(value.trim()),
        );
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    Response {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
        headers,
        body: body.to_vec().into(),
    }
}

/// A network that is never asked.
struct Nobody;

impl Network for Nobody {
    fn exchange(&self, _: Sent) -> BoxFuture<'static, Result<Answered, Broken>> {
        async { Err(Broken("nobody is there")) }.boxed()
    }
}

fn zoom() -> Zoom {
    let place = || Place {
        api: fixed("https://api.zoom.us"),
        oauth: fixed("https://zoom.us"),
    };
    let options = Options {
        places: Places {
            commercial: place(),
            government: place(),
        },
        request_timeout: Duration::from_secs(1),
        day_zone: TimeZone::UTC,
    };
    let (clock, _) = Clock::simulated(Timestamp::UNIX_EPOCH);
    let http = Http::simulated(std::sync::Arc::new(Nobody), clock.clone());
    Zoom::new(options, http, clock, Telemetry::new())
}

#[expect(clippy::expect_used, reason = "a text of this file")]
fn fixed(url: &str) -> url::Url {
    url.parse().expect("a URL")
}
