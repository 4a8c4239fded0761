//! Where Zoom sends the browser back to: the answer is proved, taken, checked, and told.

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use engine_api::{Code, LogType, Secret, SourceSpec};
use tracing::info;

use super::super::{Answered, Api, CheckFault, secrets, trial::ask};
use super::{Stop, cookie::Pending, forget_cookie, page::Page, source, stop};
use crate::credential::Accepted;

/// What Zoom sends along. Texts that are given twice are given by nobody.
#[derive(Debug, Default)]
pub(in super::super) struct Query {
    state: Option<Secret>,
    code: Option<Secret>,
    error: Option<String>,
    description: Option<String>,
}

impl Query {
    pub(in super::super) fn parse(query: &str) -> Self {
        let one = |wanted: &str| {
            let mut found = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == wanted);
            let value = found.next()?.1.into_owned();
            (found.next().is_none() && !value.is_empty()).then_some(value)
        };
        Self {
            state: one("state").map(Secret::from),
            code: one("code").map(Secret::from),
            error: one("error"),
            description: one("error_description"),
        }
    }
}

/// The page on which a consent ends.
pub(in super::super) async fn callback(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = Query::parse(&query.unwrap_or_default());
    let pending = match proved(&api, &query, &headers) {
        Ok(pending) => pending,
        Err(stop) => return stop.page(&api),
    };
    let mut response = match take(&api, &pending, query).await {
        Ok(page) => page.into_response(),
        Err(stop) => stop.page(&api),
    };
    // Whatever came of it, the answer is used.
    forget_cookie(&api, &mut response);
    response
}

/// The consent that this browser began, if the answer is one to it.
fn proved(api: &Api, query: &Query, headers: &HeaderMap) -> Result<Pending, Stop> {
    let pending = Pending::open(api, headers).ok_or_else(|| {
        stop(
            Code::ConsentMismatch,
            "this browser has begun no consent, or too long ago: open the source's `authorization_url`, and stay in the \
             same browser; cookies must be allowed for this address",
            None,
        )
    })?;
    let same = query
        .state
        .as_ref()
        .is_some_and(|state| api.vault.equal(state, &pending.state));
    if !same {
        return Err(stop(
            Code::ConsentMismatch,
            "the answer belongs to another consent than the one that this browser began last: begin again, in one \
             window only",
            Some(&pending.source),
        ));
    }
    if pending.expires_at <= api.clock.now() {
        return Err(stop(
            Code::ConsentExpired,
            "the consent was begun too long ago: begin again",
            Some(&pending.source),
        ));
    }
    Ok(pending)
}

async fn take(api: &Api, pending: &Pending, query: Query) -> Result<Page, Stop> {
    let id = pending.source.as_str();
    let again = |code, detail: &str| stop(code, detail, Some(id));
    // A digest, so that the store holds nothing that a consent could be answered with.
    let digest = blake3::hash(pending.state.expose().as_bytes());
    if !api
        .store
        .use_answer(digest.as_bytes(), pending.expires_at)
        .await?
    {
        return Err(again(
            Code::ConsentUsed,
            "this answer of Zoom's was used before, by a page that was loaded again for example: see the source's \
             status, and begin again where it still waits",
        ));
    }
    let (spec, sealed) = source(api, id).await?;
    if spec.client_id != pending.client_id {
        return Err(again(
            Code::ConsentMismatch,
            "the source was given another app while you were at Zoom: begin again",
        ));
    }
    if let Some(error) = &query.error {
        return Err(again_after(error, query.description.as_deref(), id));
    }
    let Some(code) = query.code else {
        return Err(again(
            Code::ConsentMismatch,
            "Zoom sent neither a code nor an error: begin again",
        ));
    };
    let merged = secrets::merge(api, id, &spec, None, &sealed).await?;
    let Some(secret) = merged.secret("client_secret") else {
        return Err(again(
            Code::MissingSecret,
            "the source has no `client_secret`: set it, then begin again",
        ));
    };
    let answered = Answered {
        id,
        spec: &spec,
        secret: secret.clone(),
        code,
        verifier: pending.verifier.clone(),
    };
    let accepted = api.consents.accept(answered).await.map_err(|fault| Stop::Fault {
        fault,
        source: Some(id.to_owned()),
    })?;
    (api.wake)();
    let found = ask(api, id, &spec, secret).await;
    info!(source = id, "a consent was taken");
    Ok(outcome(&spec, &accepted, &found, &super::link(api, id)))
}

/// What Zoom's `error` means; its words are shown, but not for ever.
fn again_after(error: &str, description: Option<&str>, source: &str) -> Stop {
    let words: String = description.unwrap_or(error).chars().take(300).collect();
    let (code, detail) = match error {
        "access_denied" => (
            Code::ConsentDenied,
            "the consent was declined at Zoom, so nothing has changed: begin again to let the engine in"
                .to_owned(),
        ),
        error if error.contains("redirect") => (
            Code::ZoomRedirectMismatch,
            format!("Zoom does not accept the engine's redirect URL (\"{words}\")"),
        ),
        "unauthorized_client" | "unsupported_response_type" => (
            Code::ZoomWrongAppType,
            format!(
                "Zoom lets nobody consent to this app (\"{words}\"): it must be a general app that is admin-managed"
            ),
        ),
        "invalid_scope" => (
            Code::ZoomMissingScope,
            format!("Zoom refuses the app's scopes (\"{words}\")"),
        ),
        "temporarily_unavailable" | "server_error" => (
            Code::ZoomUnavailable,
            format!("Zoom cannot ask for consent now (\"{words}\"): try again later"),
        ),
        _ => (Code::ZoomRefused, format!("Zoom ended the consent (\"{words}\")")),
    };
    stop(code, detail, Some(source))
}

fn outcome(
    spec: &SourceSpec,
    accepted: &Accepted,
    found: &[(LogType, Option<CheckFault>)],
    again: &str,
) -> Page {
    let whole = found.iter().all(|(_, fault)| fault.is_none());
    let title = if whole {
        "The engine is let in to Zoom"
    } else {
        "The engine is let in to Zoom, and something is missing"
    };
    let mut page = Page::new(StatusCode::OK, title);
    page.text(&format!(
        "The consent for the source `{}` is stored. What Zoom answered to one request for each log type:",
        spec.name
    ));
    page.list(
        found
            .iter()
            .map(|(log_type, fault)| verdict(*log_type, fault.as_ref())),
    );
    match &accepted.account_id {
        Some(account) => page.text(&format!(
            "The Zoom account is `{account}`. A later consent by another account is {}.",
            if spec.allow_account_change {
                "taken, too: the source says `allow_account_change = true`"
            } else {
                "refused"
            }
        )),
        None => page.text(
            "Zoom does not tell which account this is, so a later consent by another account cannot be told apart and \
             would be taken. An app with the scope `user:read:user:admin` tells it.",
        ),
    }
    if !accepted.scopes.is_empty() {
        page.text(&format!(
            "Scopes that Zoom granted: `{}`.",
            accepted.scopes.join("`, `")
        ));
    }
    page.heading("What to do next");
    if whole {
        page.text("Nothing: collection begins at once, and this window can be closed.");
    } else {
        page.text(
            "Do what is said above. A role permission that is granted later is noticed by itself, within ten minutes or \
             so. After a scope was added to the app, consent again, since a consent covers the scopes that the app had. \
             What works already is collected meanwhile.",
        );
        page.button(again, "Consent again", "again");
    }
    page
}

fn verdict(log_type: LogType, fault: Option<&CheckFault>) -> super::page::Html {
    let report = match log_type {
        LogType::Operation => "Admin activity logs",
        LogType::Activity => "Sign-ins and sign-outs",
    };
    match fault {
        None => Page::verdict(
            true,
            &format!("**{report}** (`{log_type}`): the app's scope and the role's permissions are enough"),
        ),
        Some(fault) => Page::verdict(
            false,
            &format!("**{report}** (`{log_type}`): {} (`{}`)", fault.detail, fault.code),
        ),
    }
}
