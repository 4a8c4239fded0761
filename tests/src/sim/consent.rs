//! The authorization-code grant as Zoom plays it: a page that asks, a code that lives for five minutes and works once,
//! and refresh tokens of which each voids the one before.
//!
//! Who consents is a user of any account of the simulator: the page has a link for each.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Query, State as Shared},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::{digest, rand::SecureRandom};
use serde_json::json;

use super::{
    account::App,
    oauth::{Form, answer, refusal},
    world::{State, World},
};

const CODE_LIFE: SignedDuration = SignedDuration::from_mins(5);

/// What people have consented to.
#[derive(Debug, Default)]
pub(super) struct Consents {
    codes: BTreeMap<String, Code>,
    refresh_tokens: BTreeMap<String, Granted>,
    /// Every code, state and refresh token ever seen or given out, for tests that search for leaks.
    pub(super) given: Vec<String>,
}

#[derive(Debug, Clone)]
struct Code {
    granted: Granted,
    redirect: String,
    /// Method and challenge.
    challenge: Option<(String, String)>,
    expires: Timestamp,
}

/// One account's consent to one app.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Granted {
    client_id: String,
    account_id: String,
}

impl Consents {
    /// How many refresh tokens are good.
    pub(super) fn good(&self) -> usize {
        self.refresh_tokens.len()
    }

    /// Voids the refresh tokens of an app; of one account only, where one is named.
    pub(super) fn void(&mut self, client_id: &str, account: Option<&str>) -> usize {
        let before = self.refresh_tokens.len();
        self.refresh_tokens.retain(|_, granted| {
            granted.client_id != client_id || account.is_some_and(|account| account != granted.account_id)
        });
        before - self.refresh_tokens.len()
    }
}

fn random() -> String {
    let mut random = [0; 32];
    ring::rand::SystemRandom::new()
        .fill(&mut random)
        .expect("the system's random generator");
    URL_SAFE_NO_PAD.encode(random)
}

/// What Zoom shows instead of going back, where it does not trust the address to go back to.
fn error_page(words: &str) -> Response {
    (
        StatusCode::BAD_REQUEST,
        Html(format!("<h1>Error</h1><p id=\"error\">{words}</p>")),
    )
        .into_response()
}

/// `GET /oauth/authorize`: the page that asks.
pub(super) async fn authorize(
    Shared(world): Shared<Arc<World>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let get = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let mut state = world.state();
    state.consents.given.push(get("state").to_owned());
    let Some(app) = state.apps.get(get("client_id")) else {
        return error_page("Invalid client_id: (4,702)");
    };
    if !app.redirect_urls.iter().any(|url| url == get("redirect_uri")) {
        return error_page("Invalid redirect: it is not on the app's list (4,700)");
    }
    if query.contains_key("scope") {
        return error_page("Invalid scope (4,700)");
    }
    if get("response_type") != "code" {
        return error_page("Invalid response type (4,700)");
    }
    let link = |id: &str, more: &[(&str, &str)], words: &str| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&query)
            .extend_pairs(more)
            .finish()
            .replace('&', "&amp;");
        format!("<p><a id=\"{id}\" href=\"/oauth/decide?{query}\">{words}</a></p>")
    };
    let mut page = "<!doctype html><title>Zoom</title><h1>An app would like to read reports</h1>".to_owned();
    for account in state.accounts.keys() {
        let id = format!("allow-{account}");
        page += &link(
            &id,
            &[("account", account)],
            &format!("Allow, as an admin of {account}"),
        );
    }
    page += &link("decline", &[], "Decline");
    Html(page).into_response()
}

/// `GET /oauth/decide`: the way back, with a code or without.
pub(super) async fn decide(
    Shared(world): Shared<Arc<World>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let get = |name: &str| query.get(name).cloned().unwrap_or_default();
    let Ok(mut back) = url::Url::parse(&get("redirect_uri")) else {
        return error_page("Invalid redirect (4,700)");
    };
    match query.get("account") {
        None => {
            back.query_pairs_mut().append_pair("error", "access_denied");
        }
        Some(account) => {
            let code = random();
            back.query_pairs_mut().append_pair("code", &code);
            let challenge = query.get("code_challenge").map(|challenge| {
                let method = query.get("code_challenge_method").map_or("plain", String::as_str);
                (method.to_owned(), challenge.clone())
            });
            let granted = Granted {
                client_id: get("client_id"),
                account_id: account.clone(),
            };
            let mut state = world.state();
            state.consents.given.push(code.clone());
            state.consents.codes.insert(
                code,
                Code {
                    granted,
                    redirect: get("redirect_uri"),
                    challenge,
                    expires: world.clock.now() + CODE_LIFE,
                },
            );
        }
    }
    if let Some(state) = query.get("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    Redirect::to(back.as_str()).into_response()
}

/// The `authorization_code` grant.
pub(super) fn by_code(world: &World, state: &mut State, app: &App, form: &Form) -> Response {
    let now = world.clock.now();
    let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    // A code works once, also where it does not work.
    let Some(code) = state.consents.codes.remove(get("code")) else {
        return refusal("Invalid authorization code", "invalid_grant");
    };
    if code.expires <= now || code.granted.client_id != app.client_id {
        return refusal("Invalid authorization code", "invalid_grant");
    }
    if code.redirect != get("redirect_uri") {
        // The table of codes has this number; the shape of the body is by analogy.
        let body = json!({ "reason": "Redirect URI mismatch", "error": "invalid_request", "code": 4709 });
        return (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
    }
    let proved = code.challenge.is_none_or(|(method, challenge)| {
        let verifier = get("code_verifier");
        match method.as_str() {
            "S256" => {
                let digest = digest::digest(&digest::SHA256, verifier.as_bytes());
                URL_SAFE_NO_PAD.encode(digest) == challenge
            }
            _ => verifier == challenge,
        }
    });
    if !proved {
        return refusal("Invalid code verifier", "invalid_grant");
    }
    state.consents.given.push(get("code_verifier").to_owned());
    // The latest consent wins; what the earlier ones gave is void.
    let Granted {
        client_id,
        account_id,
    } = &code.granted;
    state.consents.void(client_id, Some(account_id));
    state
        .access_tokens
        .retain(|_, token| (&token.client_id, &token.account_id) != (client_id, account_id));
    give(world, state, app, code.granted, now)
}

/// The `refresh_token` grant.
pub(super) fn by_refresh_token(world: &World, state: &mut State, app: &App, form: &Form) -> Response {
    let token = form.get("refresh_token").map(String::as_str).unwrap_or_default();
    let granted = state.consents.refresh_tokens.get(token).cloned();
    let Some(granted) = granted.filter(|granted| granted.client_id == app.client_id) else {
        return refusal("Invalid Token!", "invalid_grant");
    };
    state.consents.refresh_tokens.remove(token);
    state.record.counters.refresh_tokens_used += 1;
    give(world, state, app, granted, world.clock.now())
}

fn give(world: &World, state: &mut State, app: &App, granted: Granted, now: Timestamp) -> Response {
    let access = state.mint(app, &granted.account_id, now);
    let refresh = format!("eyJzdiI6IjAwMDAwMiJ9.{}", random());
    state.consents.given.push(refresh.clone());
    state.consents.refresh_tokens.insert(refresh.clone(), granted);
    let mut body = answer(world, app, &access);
    body["refresh_token"] = json!(refresh);
    axum::Json(body).into_response()
}

/// `POST /oauth/revoke`, for an app that has shown its secret: kills the access token and the consent behind it.
pub(super) fn revoke(state: &mut State, app: &App, form: &Form) -> Response {
    let token = form.get("token").map(String::as_str).unwrap_or_default();
    let Some(token) = state
        .access_tokens
        .remove(token)
        .filter(|token| token.client_id == app.client_id)
    else {
        return refusal("Invalid Token!", "invalid_grant");
    };
    state.consents.void(&token.client_id, Some(&token.account_id));
    axum::Json(json!({ "status": "success" })).into_response()
}

/// `GET /v2/users/me`: the account of the user who consented, for an app with a scope that allows it.
pub(super) async fn me(Shared(world): Shared<Arc<World>>, headers: HeaderMap) -> Response {
    let state = world.state();
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let refused = |status, code, message: &str| {
        let body = json!({ "code": code, "message": message });
        (status, axum::Json(body)).into_response()
    };
    let Some(token) = bearer.and_then(|token| state.access_tokens.get(token)) else {
        return refused(StatusCode::UNAUTHORIZED, 124, "Invalid access token.");
    };
    if !token.scopes.iter().any(|scope| scope.starts_with("user:read")) {
        let message = "Invalid access token, does not contain scopes:[user:read:user:admin].";
        return refused(StatusCode::BAD_REQUEST, 4711, message);
    }
    axum::Json(json!({ "id": "user-1", "account_id": token.account_id })).into_response()
}
