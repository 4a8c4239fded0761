//! The cookie that binds a consent to the browser in which it was begun.
//!
//! It holds what must be known again when Zoom sends the browser back. It is sealed by the vault, so the browser, and
//! whoever reads it there, learns nothing from it and can make none.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use engine_api::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::{Api, failure::Failure};
use crate::{credential::CALLBACK_PATH, retry::later, zoom::Begun};

const NAME: &str = "zoom_log_consent";
/// How long somebody may take at Zoom; with a password, a second factor and a doubt.
pub(super) const LIFE: Duration = Duration::from_mins(15);
/// So many cookies of our name are looked at.
const MOST_COOKIES: usize = 4;
/// What the vault binds the cookie to: it opens as nothing else.
const OWNER: &str = "consent";

/// A consent that was begun.
#[derive(Clone)]
pub(super) struct Pending {
    pub(super) source: String,
    pub(super) client_id: String,
    pub(super) state: Secret,
    pub(super) verifier: Secret,
    pub(super) expires_at: Timestamp,
}

/// [`Pending`] as it is sealed.
#[derive(Serialize, Deserialize)]
struct Form<'a> {
    source: &'a str,
    client_id: &'a str,
    state: &'a str,
    verifier: &'a str,
    expires_at: Timestamp,
}

impl Pending {
    pub(super) fn new(source: &str, client_id: &str, begun: &Begun, now: Timestamp) -> Self {
        Self {
            source: source.to_owned(),
            client_id: client_id.to_owned(),
            state: begun.state.clone(),
            verifier: begun.verifier.clone(),
            expires_at: later(now, LIFE),
        }
    }

    /// The `Set-Cookie` value.
    pub(super) fn seal(&self, api: &Api) -> Result<HeaderValue, Failure> {
        let internal = |error: String| Failure::internal(error);
        let form = Form {
            source: &self.source,
            client_id: &self.client_id,
            state: self.state.expose(),
            verifier: self.verifier.expose(),
            expires_at: self.expires_at,
        };
        let text = serde_json::to_string(&form).map_err(|error| internal(error.to_string()))?;
        let sealed = api
            .vault
            .seal(OWNER, NAME, &Secret::from(text))
            .map_err(|error| internal(error.to_string()))?;
        let value = set(api, &URL_SAFE_NO_PAD.encode(sealed), LIFE);
        HeaderValue::from_str(&value).map_err(|error| internal(error.to_string()))
    }

    /// The consent that this browser began, if it began one.
    pub(super) fn open(api: &Api, headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(header::COOKIE).into_iter();
        let pairs = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'));
        let mut values = pairs.filter_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='));
        // A browser sends one; each further one would cost a look for its key.
        values
            .by_ref()
            .take(MOST_COOKIES)
            .find_map(|value| Self::unseal(api, value))
    }

    fn unseal(api: &Api, value: &str) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
        let text = api.vault.open(OWNER, NAME, &sealed).ok()?;
        // The texts are ids and URL-safe words, so none has an escape that would keep it from being borrowed.
        let form: Form<'_> = serde_json::from_str(text.expose()).ok()?;
        Some(Self {
            source: form.source.to_owned(),
            client_id: form.client_id.to_owned(),
            state: form.state.into(),
            verifier: form.verifier.into(),
            expires_at: form.expires_at,
        })
    }
}

/// The `Set-Cookie` value that makes the browser forget.
pub(super) fn forgotten(api: &Api) -> String {
    set(api, "", Duration::ZERO)
}

/// `Lax`, since Zoom sends the browser back by a link of its own; never shown to scripts, and to no other path.
fn set(api: &Api, value: &str, life: Duration) -> String {
    let url = &api.engine.redirect_url;
    let path = url::Url::parse(url).map_or_else(|_| CALLBACK_PATH.to_owned(), |url| url.path().to_owned());
    let secure = if url.starts_with("https://") {
        "; Secure"
    } else {
        ""
    };
    format!(
        "{NAME}={value}; Path={path}; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
        life.as_secs()
    )
}
