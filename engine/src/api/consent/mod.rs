//! Consents: the two pages on which an account admin lets the engine in to Zoom.
//!
//! `GET /sources/{id}/authorize` says what will be asked and has the link to Zoom; Zoom sends the browser back to
//! `GET /oauth/callback`, which takes the consent, checks each log type, and says what came of it. Both are for people
//! who have no token of the engine's; whoever has the source's link may consent for it, and Zoom decides whether they
//! may.
//!
//! What holds:
//! * What a consent must prove afterwards (`state`, the PKCE verifier, the source, the end of its life) is in a cookie
//!   that only the vault can read or write. Nothing is stored before Zoom's answer comes, so nobody fills the store by
//!   opening pages.
//! * An answer is taken once, from the browser that was sent, and in time.
//! * Every outcome is a page with its code and what to do next. Pages need no scripts, and all texts in them are
//!   escaped.

pub(super) mod callback;
mod cookie;
mod page;

use axum::{
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use engine_api::{Code, Consent, ConsentStatus, Kind, LogType, SourceSpec, Trouble};

pub(super) use self::callback::callback;
use self::{
    cookie::Pending,
    page::{Page, prose},
};
use super::{Api, CheckFault, failure::Failure, stored};
use crate::{credential, store::secrets::SealedSecret};

/// What is known of the consent that a source needs; nothing where it needs none.
pub(super) async fn status(api: &Api, id: &str, spec: &SourceSpec) -> Result<Option<ConsentStatus>, Failure> {
    if !spec.needs_consent() {
        return Ok(None);
    }
    let row = api.store.consent(id, &spec.client_id).await?;
    let state = match &row {
        None => Consent::PendingAuthorization,
        Some(row) if row.is_void() => Consent::ReauthorizationRequired,
        Some(_) => Consent::Authorized,
    };
    let trouble = row
        .as_ref()
        .and_then(|row| row.trouble.clone())
        .map(|(code, detail, since)| Trouble { code, detail, since });
    Ok(Some(ConsentStatus {
        state,
        authorization_url: link(api, id),
        account_id: row.as_ref().and_then(|row| row.account_id.clone()),
        authorized_at: row.as_ref().map(|row| row.given_at),
        refreshed_at: row.as_ref().map(|row| row.refreshed_at),
        trouble,
    }))
}

fn link(api: &Api, id: &str) -> String {
    credential::authorization_url(&api.engine.public_url, id)
}

/// Why a page shows something else than what was hoped for.
#[derive(Debug)]
enum Stop {
    /// Told on a page, with the way on.
    Fault {
        fault: CheckFault,
        /// The source to begin again for, where it is known.
        source: Option<String>,
    },
    /// A failure of the engine's own.
    Failure(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<crate::store::Error> for Stop {
    fn from(error: crate::store::Error) -> Self {
        Self::Failure(error.into())
    }
}

fn stop(code: Code, detail: impl Into<String>, source: Option<&str>) -> Stop {
    Stop::Fault {
        fault: CheckFault {
            code,
            detail: detail.into(),
            field: None,
        },
        source: source.map(str::to_owned),
    }
}

impl Stop {
    fn page(self, api: &Api) -> Response {
        match self {
            Self::Fault { fault, source } => {
                let again = source.map(|id| link(api, &id));
                Page::of_fault(fault.code, &fault.detail, again.as_deref()).into_response()
            }
            Self::Failure(failure) => Page::of_failure(failure).into_response(),
        }
    }
}

/// A source that needs a consent, as it is stored.
async fn source(api: &Api, id: &str) -> Result<(SourceSpec, Vec<SealedSecret>), Stop> {
    let found = api.store.object_with_secrets(Kind::Source, id).await?;
    let absent = || {
        let detail = "no source has this link: it was removed, or the link is not whole; ask whoever sent it to you for \
                      `authorization_url` as it is now";
        stop(Code::NotFound, detail, None)
    };
    let (object, sealed) = found.ok_or_else(absent)?;
    let spec: SourceSpec = stored::spec(&object)?;
    if spec.needs_consent() {
        Ok((spec, sealed))
    } else {
        let detail = "this source needs nobody's consent: it works through a Server-to-Server OAuth app";
        Err(stop(Code::NotFound, detail, None))
    }
}

/// The page on which a consent begins.
pub(super) async fn authorize(State(api): State<Api>, Path(id): Path<String>) -> Response {
    begin(&api, &id).await.unwrap_or_else(|stop| stop.page(&api))
}

async fn begin(api: &Api, id: &str) -> Result<Response, Stop> {
    let (spec, _) = source(api, id).await?;
    let begun = api
        .consents
        .begin(&spec)
        .map_err(|fault| Stop::Fault { fault, source: None })?;
    let consent = status(api, id, &spec).await?;
    let pending = Pending::new(id, &spec.client_id, &begun, api.clock.now());
    let cookie = pending.seal(api)?;
    let mut response = begin_page(api, &spec, consent.as_ref(), begun.url.as_str()).into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

fn begin_page(api: &Api, spec: &SourceSpec, consent: Option<&ConsentStatus>, url: &str) -> Page {
    let mut page = Page::new(StatusCode::OK, "Let the engine read Zoom's logs");
    page.text(&format!(
        "The source `{}` collects audit logs of a Zoom account. For that, somebody who may read these reports in Zoom \
         has to let its app in, once.",
        spec.name
    ));
    match consent {
        Some(ConsentStatus {
            state: Consent::Authorized,
            account_id,
            ..
        }) => {
            let account = account_id
                .as_deref()
                .unwrap_or("an account that Zoom does not name");
            page.text(&format!(
                "It is let in already (`{account}`), and works. Consent again only to put another user's consent in the \
                 place of the one that is there, or after scopes were added to the app."
            ));
        }
        Some(ConsentStatus {
            state: Consent::ReauthorizationRequired,
            trouble,
            ..
        }) => {
            let why = trouble
                .as_ref()
                .map_or("Zoom no longer honours it", |trouble| trouble.detail.as_str());
            page.text(&format!(
                "What the last consent gave is void: {why}. Consent again."
            ));
        }
        _ => {}
    }
    page.heading("What is asked for");
    let log_types = spec.log_types.iter().map(|log_type| prose(needs(*log_type)));
    page.list(log_types);
    page.text(
        "Sign in to Zoom as a service account rather than as a person: the collection ends when the account of whoever \
         consents does.",
    );
    let account = spec
        .account_id
        .as_deref()
        .or(consent.and_then(|consent| consent.account_id.as_deref()));
    if let Some(account) = account.filter(|_| !spec.allow_account_change) {
        page.text(&format!("It must be a user of the Zoom account `{account}`."));
    }
    page.button(url, "Continue to Zoom", "continue");
    page.text(&format!(
        "Zoom comes back to `{}`, which the app must have as its redirect URL and on its allow list, letter by letter. \
         Where Zoom shows an error about the redirect URL instead of asking for consent, that is step 4 of the guide \
         `docs/guides/zoom-app.md`. This page is good for {} minutes.",
        api.engine.redirect_url,
        cookie::LIFE.as_secs() / 60
    ));
    page
}

/// What a log type takes, in words.
fn needs(log_type: LogType) -> &'static str {
    match log_type {
        LogType::Operation => {
            "**Admin activity logs**: the app's scope `report:read:operation_logs:admin` (classic apps: \
             `report:read:admin`), and a role with `Usage Reports` and `Admin Activity Logs`"
        }
        LogType::Activity => {
            "**Sign-ins and sign-outs**: the app's scope `report:read:user_activities:admin` (classic apps: \
             `report:read:admin`), and a role with `Usage Reports` and `Sign In/Sign Out`"
        }
    }
}

/// Sets the cookie to nothing.
fn forget_cookie(api: &Api, response: &mut Response) {
    if let Ok(value) = HeaderValue::from_str(&cookie::forgotten(api)) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}
