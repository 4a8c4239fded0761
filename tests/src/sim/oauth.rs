//! `POST /oauth/token` and `POST /oauth/revoke` as Zoom answers them, for apps of either kind.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State as Shared},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{account::App, consent, world::World};

/// The parameters of a request.
pub(super) type Form = BTreeMap<String, String>;

pub(super) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/oauth/token", post(token))
        .route("/oauth/revoke", post(revoke))
        .route("/oauth/authorize", get(consent::authorize))
        .route("/oauth/decide", get(consent::decide))
        .route("/v2/users/me", get(consent::me))
}

async fn token(
    Shared(world): Shared<Arc<World>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    // Zoom takes the parameters of Server-to-Server apps from either place; the body wins. Codes and tokens in the query
    // have been refused since 2023.
    let in_body: Form = url::form_urlencoded::parse(&body).into_owned().collect();
    let mut form: Form = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    form.extend(in_body.clone());

    let now = world.clock.now();
    let mut state = world.state();
    let app = match known(&state.apps, &headers) {
        Ok(app) => app,
        Err(refusal) => return *refusal,
    };
    let grant = form.get("grant_type").map(String::as_str).unwrap_or_default();
    match (app.server_to_server, grant) {
        (false, "authorization_code") => return consent::by_code(&world, &mut state, &app, &in_body),
        (false, "refresh_token") => return consent::by_refresh_token(&world, &mut state, &app, &in_body),
        (true, "account_credentials") => {}
        _ => return refusal("unsupported grant type", "unsupported_grant_type"),
    }
    let account = form.get("account_id").cloned().unwrap_or_default();
    if account != app.account_id || !state.accounts.contains_key(&account) {
        return refusal("Bad Request", "invalid_request");
    }
    let text = state.mint(&app, &account, now);
    let answer = answer(&world, &app, &text);
    drop(state);
    axum::Json(answer).into_response()
}

async fn revoke(Shared(world): Shared<Arc<World>>, headers: HeaderMap, body: Bytes) -> Response {
    let form: Form = url::form_urlencoded::parse(&body).into_owned().collect();
    let mut state = world.state();
    match known(&state.apps, &headers) {
        Ok(app) => consent::revoke(&mut state, &app, &form),
        Err(refusal) => *refusal,
    }
}

/// The app that a request is authenticated as.
fn known(apps: &BTreeMap<String, App>, headers: &HeaderMap) -> Result<App, Box<Response>> {
    let app = basic(headers).and_then(|(client_id, secret)| {
        let app = apps.get(&client_id)?;
        (app.client_secret == secret).then(|| app.clone())
    });
    let Some(app) = app else {
        return Err(refusal("Invalid client_id or client_secret", "invalid_client").into());
    };
    if app.disabled {
        // The table of codes has this text for 4717; the shape of the body is by analogy.
        return Err(refusal("The app has been disabled", "access_denied").into());
    }
    Ok(app)
}

/// A token answer, without a refresh token.
pub(super) fn answer(world: &World, app: &App, access_token: &str) -> Value {
    json!({
        "access_token": access_token,
        "token_type": "bearer",
        "expires_in": app.token_life_secs.saturating_sub(1),
        "scope": app.scopes.join(" "),
        "api_url": app.api_url.as_ref().unwrap_or(&world.base_url),
    })
}

pub(super) fn refusal(reason: &str, error: &str) -> Response {
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
