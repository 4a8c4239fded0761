//! `POST /oauth/token` as Zoom answers it, for Server-to-Server apps.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State as Shared},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::world::World;

pub(super) fn router() -> Router<Arc<World>> {
    Router::new().route("/oauth/token", post(token))
}

async fn token(
    Shared(world): Shared<Arc<World>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    // Zoom takes the parameters from either place; the body wins.
    let mut form: BTreeMap<String, String> = BTreeMap::new();
    form.extend(url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned());
    form.extend(url::form_urlencoded::parse(&body).into_owned());

    let now = world.clock.now();
    let mut state = world.state();
    let known = basic(&headers).and_then(|(client_id, secret)| {
        let app = state.apps.get(&client_id)?;
        (app.client_secret == secret).then(|| app.clone())
    });
    let Some(app) = known else {
        return refusal("Invalid client_id or client_secret", "invalid_client");
    };
    if app.disabled {
        // The table of codes has this text for 4717; the shape of the body is by analogy.
        return refusal("The app has been disabled", "access_denied");
    }
    if !app.server_to_server || form.get("grant_type").map(String::as_str) != Some("account_credentials") {
        return refusal("unsupported grant type", "unsupported_grant_type");
    }
    let account = form.get("account_id").cloned().unwrap_or_default();
    if account != app.account_id || !state.accounts.contains_key(&account) {
        return refusal("Bad Request", "invalid_request");
    }
    let text = state.mint(&app, now);
    let answer = json!({
        "access_token": text,
        "token_type": "bearer",
        "expires_in": app.token_life_secs.saturating_sub(1),
        "scope": app.scopes.join(" "),
        "api_url": app.api_url.unwrap_or_else(|| world.base_url.clone()),
    });
    drop(state);
    axum::Json(answer).into_response()
}

fn refusal(reason: &str, error: &str) -> Response {
    (
        StatusCode::BAD_REQUEST,
        axum::Json(json!({ "reason": reason, "error": error })),
    )
        .into_response()
}

/// Reads the client id and secret from basic authentication.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let decoded = STANDARD.decode(value.strip_prefix("Basic ")?.trim()).ok()?;
    let (client_id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((client_id.to_owned(), secret.to_owned()))
}
