//! One signed `POST`: what the `http` destination and the alarm channels share.
//!
//! Sends a body once and says what the answer means. It never tries again by itself.

use std::{collections::BTreeMap, fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use engine_api::{AlarmWebhook, Code, HttpDestination, Secret};

use super::{Secrets, WriteError, sign::SigningKey};
use crate::{
    clock::Clock,
    http::{Http, Request, Response},
};

/// How long an alarm channel may take to answer.
const CHANNEL_TIMEOUT: Duration = Duration::from_secs(30);
/// More than that of an answer is nobody's error message; the limit spares memory and still reads generous servers.
const MAX_ANSWER: usize = 1 << 20;
/// How much of an answer is shown as the reason of a refusal.
const EXCERPT: usize = 300;

/// Where and how to send, with the secrets that it takes.
pub(super) struct Endpoint {
    base: Request,
    signing: Option<SigningKey>,
    /// What must not be shown where an answer repeats it.
    hidden: Vec<Secret>,
}

/// What is sent.
pub(super) struct Body {
    /// The same whenever the same content is sent again.
    pub(super) id: String,
    pub(super) content_type: &'static str,
    pub(super) gzip: bool,
    pub(super) bytes: Bytes,
}

impl Endpoint {
    /// An `http` destination.
    pub(super) fn of_destination(spec: &HttpDestination, secrets: &Secrets) -> Result<Self, WriteError> {
        let mut base = base(&spec.url, &spec.headers, spec.timeout.get())?;
        let mut hidden: Vec<_> = secrets.all().cloned().collect();
        if let Some(token) = secrets.get("http.bearer_token") {
            base = base.bearer(token)?;
        }
        if let Some(basic) = &spec.basic {
            let password = secrets.wanted("http.basic.password")?;
            base = base.basic(&basic.username, password)?;
            let pair = zeroize::Zeroizing::new(format!("{}:{}", basic.username, password.expose()));
            hidden.push(STANDARD.encode(pair.as_bytes()).into());
        }
        if let Some(header) = &spec.secret_header {
            base = base.secret_header(&header.name, secrets.wanted("http.secret_header.value")?)?;
        }
        Self::new(base, secrets.get("http.signing_secret"), hidden)
    }

    /// An alarm channel.
    pub(super) fn of_channel(spec: &AlarmWebhook, secrets: &Secrets) -> Result<Self, WriteError> {
        let mut base = base(&spec.url, &spec.headers, CHANNEL_TIMEOUT)?;
        if let Some(token) = secrets.get("webhook.bearer_token") {
            base = base.bearer(token)?;
        }
        Self::new(
            base,
            secrets.get("webhook.signing_secret"),
            secrets.all().cloned().collect(),
        )
    }

    fn new(base: Request, signing: Option<&Secret>, hidden: Vec<Secret>) -> Result<Self, WriteError> {
        let signing = signing
            .map(SigningKey::new)
            .transpose()
            .map_err(|malformed| WriteError::blocked(Code::InvalidSpec, malformed.to_string()))?;
        Ok(Self {
            base,
            signing,
            hidden,
        })
    }

    /// Sends once; `Ok` is an acknowledgement.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks the request off; the receiver may have taken it. The id lets it find the repeat.
    pub(super) async fn post(&self, http: &Http, clock: &Clock, body: Body) -> Result<(), WriteError> {
        let mut request = self
            .base
            .clone()
            .body(body.content_type, body.bytes.clone())
            .header("webhook-id", &body.id)?
            .header("idempotency-key", &body.id)?;
        if body.gzip {
            request = request.header("content-encoding", "gzip")?;
        }
        let now = clock.now();
        request = request.header("webhook-timestamp", &now.as_second().to_string())?;
        if let Some(key) = &self.signing {
            request = request.header("webhook-signature", &key.sign(&body.id, now, &body.bytes))?;
        }
        let answer = http.send(&request).await?;
        self.judge(&answer, clock)
    }

    fn judge(&self, answer: &Response, clock: &Clock) -> Result<(), WriteError> {
        let status = answer.status;
        if status.is_success() {
            return Ok(());
        }
        let retry_after = answer.retry_after().map(|wish| wish.instant(clock.now()));
        let said = self.excerpt(&answer.body);
        let text = |what: &str| format!("{what}: it answered {}{said}", status.as_u16());
        Err(match status.as_u16() {
            429 => WriteError::Throttled {
                retry_after,
                detail: text("the receiver asks to wait"),
            },
            408 | 425 | 500..=599 if retry_after.is_some() => WriteError::Throttled {
                retry_after,
                detail: text("the receiver asks to wait"),
            },
            408 | 425 | 500..=599 => WriteError::Unavailable {
                detail: text("the receiver is not available"),
            },
            400 | 422 => WriteError::Refused {
                reason: text("the receiver refuses what was sent"),
            },
            413 => WriteError::TooLarge {
                reason: text("the receiver refuses the size of what was sent"),
            },
            401 | 403 | 407 => WriteError::blocked(
                Code::DestinationRefused,
                text("the receiver refuses the credentials, so nothing is sent until they are corrected"),
            ),
            404 | 405 | 410 => WriteError::blocked(
                Code::DestinationRefused,
                text("the receiver takes nothing at this URL, so nothing is sent until it is corrected"),
            ),
            _ => WriteError::blocked(
                Code::DestinationRefused,
                text("the receiver refuses the request, so nothing is sent until it is corrected"),
            ),
        })
    }

    /// The beginning of an answer, as one line, without our own secrets: a receiver may repeat what it was sent.
    fn excerpt(&self, body: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(body).into_owned();
        for secret in self.hidden.iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret.expose(), "(secret)");
        }
        let words: Vec<_> = text
            .split(|letter: char| letter.is_whitespace() || letter.is_control())
            .collect();
        let line: String = words
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        let cut: String = line.chars().take(EXCERPT).collect();
        match (cut.is_empty(), cut.len() < line.len()) {
            (true, _) => String::new(),
            (false, false) => format!(", `{cut}`"),
            (false, true) => format!(", `{cut}…`"),
        }
    }
}

fn base(url: &str, headers: &BTreeMap<String, String>, timeout: Duration) -> Result<Request, WriteError> {
    let url = url.parse().map_err(|error| {
        WriteError::blocked(
            Code::InvalidSpec,
            format!("the URL cannot be read ({error}): correct it"),
        )
    })?;
    let mut request = Request::post(url)?
        .total_timeout(timeout)
        .max_response_bytes(MAX_ANSWER);
    for (name, value) in headers {
        request = request.header(name, value)?;
    }
    Ok(request)
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("id", &self.id)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}
