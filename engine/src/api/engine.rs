//! The engine itself: what it is, whether it works, what it counts.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use engine_api::{Code, EngineView};

use super::{Api, failure::Failure};
use crate::telemetry::Telemetry;

pub(super) async fn view(State(api): State<Api>) -> Json<EngineView> {
    Json(api.engine.clone())
}

/// Whether the process answers: a reason to restart it, where it does not.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the engine can do its work: no reason to restart it, but one to look.
pub(super) async fn readyz(State(api): State<Api>) -> Result<&'static str, Failure> {
    api.store.ready().await.map_err(|error| {
        let why = format!("the store cannot be written to: {}", error.chain());
        Failure::new(Code::StoreUnavailable, why).caused_by(error.chain())
    })?;
    match (api.stalled)() {
        None => Ok("ok\n"),
        Some(why) => Err(Failure::new(
            Code::StoreUnavailable,
            format!("the workers do not work: {why}"),
        )),
    }
}

pub(super) async fn metrics(State(api): State<Api>) -> Response {
    (
        [(header::CONTENT_TYPE, Telemetry::CONTENT_TYPE)],
        api.telemetry.render(),
    )
        .into_response()
}
