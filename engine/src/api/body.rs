//! Reading requests: bodies, queries, conditions and keys.

use std::{fmt::Display, time::Duration};

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use engine_api::Code;
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;

use super::{Api, failure::Failure, strict::Strict};

/// A body that is too large is read on and dropped up to so many times the limit, so that the caller, who reads only
/// when all is sent, gets to see the answer.
const DRAINED: usize = 8;
const LONGEST_KEY: usize = 200;
/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest body that is read of somebody who shows no token.
const LARGEST_OPEN: usize = 64 << 10;

/// A JSON body: what it says, and its bytes.
pub(super) struct Json<T> {
    pub(super) value: T,
    pub(super) bytes: Vec<u8>,
}

impl<T: DeserializeOwned> FromRequest<Api> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Failure> {
        let bytes = read(request, api.limits.max_request_bytes).await?;
        Ok(Self {
            value: parse(&bytes)?,
            bytes,
        })
    }
}

/// A query string; parameters that are not known are errors.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failure> {
        match axum::extract::Query::from_request_parts(parts, api).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Failure::new(Code::MalformedRequest, rejection.body_text())),
        }
    }
}

/// Reads the body of a request into memory, so that whoever works on it later does not wait for its sender.
pub(super) async fn gather(api: &Api, request: Request, open: bool) -> Result<Request, Failure> {
    let (parts, body) = request.into_parts();
    let most = api.limits.max_request_bytes;
    // Who shows no token may fill less memory.
    let limit = if open { most.min(LARGEST_OPEN) } else { most };
    let reading = read(Request::new(body), limit);
    let bytes = api.clock.timeout(PATIENCE, reading).await.unwrap_or_else(|_| {
        let detail = format!(
            "the request body did not come within {} seconds",
            PATIENCE.as_secs()
        );
        Err(Failure::new(Code::TimedOut, detail))
    })?;
    Ok(Request::from_parts(parts, bytes.into()))
}

async fn read(request: Request, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut chunks = request.into_body().into_data_stream();
    let (mut bytes, mut length) = (Vec::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        // The cause is the connection's: nobody is left to read a detailed answer.
        let chunk = chunk.map_err(|_| Failure::new(Code::MalformedRequest, "the request broke off"))?;
        length = length.saturating_add(chunk.len());
        if length <= limit {
            bytes.extend_from_slice(&chunk);
        } else if length > limit.saturating_mul(DRAINED) {
            break;
        }
    }
    if length > limit {
        let detail = format!("the request body is larger than {limit} bytes (`server.max_request_bytes`)");
        return Err(Failure::new(Code::BodyTooLarge, detail));
    }
    Ok(bytes)
}

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Strict(&mut reader)).map_err(|error| {
        let path = error.path().to_string();
        malformed(&path, error.inner())
    })?;
    reader.end().map_err(|error| malformed("", &error))?;
    Ok(value)
}

fn malformed(path: &str, error: &impl Display) -> Failure {
    let what = without_values(&error.to_string());
    match path {
        "" | "." | "?" => Failure::new(
            Code::MalformedBody,
            format!("the request body cannot be read: {what}"),
        ),
        _ => Failure::at(
            Code::MalformedBody,
            path,
            format!("`{path}` cannot be read: {what}"),
        ),
    }
}

/// The parser's text without the value that it met there, which may be a secret.
fn without_values(text: &str) -> String {
    let met_a_value = ["invalid type: ", "invalid value: ", "unknown variant "];
    if !met_a_value.iter().any(|start| text.starts_with(start)) {
        return text.to_owned();
    }
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => "it is of the wrong type".to_owned(),
    }
}

/// The generations of which the object must have one; `None` where any will do.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Vec<u64>>, Failure> {
    let malformed = || {
        let detail = "`If-Match` must hold an `ETag` as the engine wrote it, such as `\"3\"`";
        Failure::new(Code::MalformedRequest, detail)
    };
    let mut generations = Vec::new();
    let mut present = false;
    for value in headers.get_all(header::IF_MATCH) {
        present = true;
        for tag in value.to_str().map_err(|_| malformed())?.split(',') {
            let tag = tag.trim();
            if tag == "*" {
                return Ok(None);
            }
            let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            generations.push(digits.ok_or_else(malformed)?.parse().map_err(|_| malformed())?);
        }
    }
    Ok(present.then_some(generations))
}

/// The idempotency key, where there is one.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=LONGEST_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => {
            let detail = format!("`Idempotency-Key` must be 1 to {LONGEST_KEY} printable ASCII characters");
            Err(Failure::new(Code::MalformedRequest, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use engine_api::{DestinationSpec, ReplayRequest, SourceSpec};

    use super::*;

    fn problem<T: DeserializeOwned>(body: &str) -> (Option<String>, String) {
        match parse::<T>(body.as_bytes()) {
            Ok(_) => panic!("{body} was read"),
            Err(failure) => (failure.problem.field, failure.problem.detail),
        }
    }

    #[test]
    fn a_malformed_body_is_an_error_at_its_field_that_shows_no_value() {
        for (body, field) in [
            (
                r#"{"name": "n", "account_id": "a", "client_id": "c", "client_secret": 31415926}"#,
                Some("client_secret"),
            ),
            (
                r#"{"name": "n", "account_id": "a", "client_id": "c", "client_secret": {"x": "31415926"}}"#,
                Some("client_secret"),
            ),
            (
                r#"{"name": "n", "account_id": "a", "client_id": "c", "log_types": ["31415926"]}"#,
                Some("log_types[0]"),
            ),
            (r#"{"name": 31415926}"#, Some("name")),
            (r#""31415926""#, None),
            (
                r#"{"name": "n", "account_id": "a", "client_id": "c"} 31415926"#,
                None,
            ),
            (r#"{"name": "n""#, None),
            ("", None),
            (r#"{"name": "n"}"#, None),
        ] {
            let (at, detail) = problem::<SourceSpec>(body);
            assert_eq!(at.as_deref(), field, "{body}: {detail}");
            assert!(!detail.contains("31415926"), "{detail}");
        }
    }

    #[test]
    fn an_unknown_field_is_named_where_it_stands() {
        let (field, detail) = problem::<DestinationSpec>(
            r#"{"name": "n", "http": {"url": "https://e.example", "retries": 3}}"#,
        );
        assert_eq!(field.as_deref(), Some("http.retries"), "{detail}");
        assert!(detail.contains("unknown field `retries`"), "{detail}");
    }

    #[test]
    fn an_array_is_not_read_as_an_object_at_any_depth() {
        let (field, detail) = problem::<ReplayRequest>("[null, null]");
        assert_eq!(field, None, "{detail}");
        assert!(detail.contains("expected struct ReplayRequest"), "{detail}");
        for (body, at) in [
            (r#"{"name": "n", "file": ["/lake"]}"#, "file"),
            (
                r#"{"name": "n", "http": {"url": "https://e.example", "secret_header": ["X-Key", "k", null]}}"#,
                "http.secret_header",
            ),
        ] {
            let (field, detail) = problem::<DestinationSpec>(body);
            assert_eq!(field.as_deref(), Some(at), "{detail}");
        }
    }

    #[test]
    fn a_condition_is_an_etag_as_we_write_it() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, HeaderValue::from_str(text).unwrap());
            if_match(&headers)
        };
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), None);
        assert_eq!(read("\"3\"").unwrap(), Some(vec![3]));
        assert_eq!(read("\"3\", \"4\"").unwrap(), Some(vec![3, 4]));
        assert_eq!(read("*").unwrap(), None);
        for text in ["3", "W/\"3\"", "\"x\"", "", "\"3"] {
            assert_eq!(
                read(text).unwrap_err().problem.code(),
                Some(Code::MalformedRequest),
                "{text}"
            );
        }
    }
}
