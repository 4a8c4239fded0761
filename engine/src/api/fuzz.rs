//! The parsers of what callers of the API send, as functions of bytes that a fuzzer chooses.

use std::{fmt::Debug, str};

use axum::http::{HeaderMap, HeaderValue, header};
use engine_api::{
    AlarmChannelSpec, BackfillRequest, CompareRequest, DestinationSpec, ExchangeRequest, Problem,
    ReplayRequest, SourceSpec, Spec, TokenRequest,
};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    body::{self, if_match},
    consent::callback::Query,
    identity::jwt,
};

/// A body of each kind that the API takes.
pub fn body(bytes: &[u8]) {
    spec::<SourceSpec>(bytes);
    spec::<DestinationSpec>(bytes);
    spec::<AlarmChannelSpec>(bytes);
    plain::<CompareRequest>(bytes);
    plain::<BackfillRequest>(bytes);
    plain::<TokenRequest>(bytes);
    plain::<ExchangeRequest>(bytes);
    plain::<ReplayRequest>(bytes);
    // What an engine answers is read by clients, the provider among them.
    let _ = serde_json::from_slice::<Problem>(bytes);
}

fn plain<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match body::parse::<T>(bytes) {
        Ok(value) => Some(value),
        Err(failure) => {
            assert!(failure.problem.detail.len() > 10, "an error without words");
            None
        }
    }
}

fn spec<S: Spec + Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    let Some(spec) = plain::<S>(bytes) else { return };
    let broken = spec.validate(Timestamp::UNIX_EPOCH);
    // What is stored is what was meant: a spec that is written and read again breaks the same rules and is written so.
    let Ok(text) = serde_json::to_string(&spec) else {
        return;
    };
    match serde_json::from_str::<S>(&text) {
        Ok(again) => {
            let again_text = serde_json::to_string(&again).unwrap_or_default();
            assert_eq!(again_text, text, "a spec changes when it is stored");
        }
        Err(error) => assert!(
            !broken.is_empty(),
            "a valid spec is not read again: {error}: {text}"
        ),
    }
}

/// The query with which Zoom sends a browser back.
pub fn callback(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = Query::parse(text);
    }
}

/// A workload's token, and an issuer's keys.
pub fn jwt(bytes: &[u8]) {
    let keys = jwt::keys(bytes).unwrap_or_default();
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(token) = jwt::read(text)
    {
        assert!(
            !token.signed_by(&keys),
            "a text is signed by a key that it is itself"
        );
        assert!(
            !token.signed_by(&[]) && !token.names_one_of(&[]),
            "signed by nobody"
        );
    }
}

/// The headers that a caller chooses.
pub fn headers(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let headers = HeaderMap::from_iter([(header::IF_MATCH, value.clone())]);
    let _ = if_match(&headers);
    let headers = HeaderMap::from_iter([(header::HeaderName::from_static("idempotency-key"), value)]);
    let _ = body::idempotency_key(&headers);
}
