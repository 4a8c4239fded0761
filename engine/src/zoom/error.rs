//! What Zoom's answers mean, named by the reaction they ask for.
//!
//! The HTTP status decides first, then the code in the body, then words in the message: the same number means different
//! things at different endpoints, and the body may not be JSON at all.

use std::time::Duration;

use engine_api::{Code, LogType};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::{
    http::{self, Response, StatusCode},
    model::DailyLimit,
    retry::later,
};

/// Why Zoom did not give what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Somebody must act: the credential, a scope, a permission, the plan.
    #[error("{detail}")]
    Refused {
        /// Which of them.
        code: Code,
        /// What happened and what to do.
        detail: String,
    },
    /// Zoom asks to wait a moment: ask the same again then.
    #[error("Zoom asks to wait a moment")]
    Throttled {
        /// Until when; a guess where Zoom does not say.
        until: Option<Timestamp>,
    },
    /// The account's requests of the day are used up: nothing more before then.
    #[error("the Zoom account's requests of the day are used up until {until}")]
    DayUsedUp {
        /// Until when.
        until: Timestamp,
    },
    /// Zoom no longer goes on with this read (a page token that expired, a range that has become too old): begin it
    /// anew.
    #[error("{detail}")]
    Restart {
        /// What Zoom said.
        detail: String,
    },
    /// What was wrong with the question (a superseded access token, a day that has not begun at Zoom) is put right: the same asked
    /// once more gets another answer.
    #[error("{0}")]
    Again(
        /// What it is when it comes again.
        Box<Error>,
    ),
    /// Zoom cannot be reached, or has a fault: try again later.
    #[error("{detail}")]
    Unavailable {
        /// What happened.
        detail: String,
    },
    /// What keeps the tokens cannot be used, and Zoom was not asked: try again later.
    #[error("{detail}")]
    Store {
        /// What happened.
        detail: String,
    },
    /// The answer cannot be read: try again later, and look.
    #[error("{detail}")]
    Malformed {
        /// What is wrong with it.
        detail: String,
    },
}

/// What a token was asked for with: the same words mean different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Being a Server-to-Server app of an account.
    Account,
    /// The code that a browser brought back.
    Code,
    /// A refresh token.
    Refresh,
}

/// Codes at the report endpoints; the same numbers mean other things in answers to token requests.
const MISSING_SCOPE: [i64; 3] = [4711, 4700, 104];

/// Zoom's error bodies, of all the forms that have been seen.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    code: Option<i64>,
    #[serde(rename = "errorCode")]
    error_code: Option<i64>,
    message: Option<String>,
    reason: Option<String>,
    error: Option<String>,
}

impl Body {
    fn of(answer: &Response) -> Self {
        answer.json().unwrap_or_else(|_| {
            // Some bodies are broken JSON; their words still help, and their code can be found.
            let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(2_000)]).into_owned();
            let code = text.split("\"code\":").nth(1).and_then(|rest| {
                rest.trim_start()
                    .split(|letter: char| !letter.is_ascii_digit())
                    .next()?
                    .parse()
                    .ok()
            });
            Self {
                code,
                message: Some(text),
                ..Self::default()
            }
        })
    }

    fn code(&self) -> Option<i64> {
        self.code.or(self.error_code)
    }

    /// What Zoom says, on one line and not for ever.
    fn words(&self) -> String {
        let words = self
            .message
            .as_deref()
            .or(self.reason.as_deref())
            .or(self.error.as_deref())
            .unwrap_or_default();
        let words: String = words
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .take(300)
            .collect();
        words.trim().to_owned()
    }
}

/// Whether an answer says that the access token is no longer honoured.
pub(super) fn says_token_is_stale(answer: &Response) -> bool {
    let code = || Body::of(answer).code();
    match answer.status {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::BAD_REQUEST => code() == Some(124),
        _ => false,
    }
}

/// Whether an answer says that the access token lacks a scope.
pub(super) fn says_scope_is_missing(answer: &Response) -> bool {
    answer.status == StatusCode::BAD_REQUEST
        && MISSING_SCOPE.contains(&Body::of(answer).code().unwrap_or_default())
}

/// What the headers say of the account's requests, where they speak of the day.
pub(super) fn daily_limit(answer: &Response) -> DailyLimit {
    let daily = |kind: &str| kind.to_ascii_lowercase().contains("daily");
    if !answer.header("x-ratelimit-type").is_some_and(daily) {
        return DailyLimit::default();
    }
    let number = |name| answer.header(name)?.trim().parse().ok();
    DailyLimit {
        // A day without a single request is no limit that anybody could have.
        limit: number("x-ratelimit-limit").filter(|limit| *limit > 0),
        remaining: number("x-ratelimit-remaining"),
    }
}

impl Error {
    /// Whether it may be this very read that fails, rather than every one of the account, or the store.
    pub fn is_of_the_read(&self) -> bool {
        !matches!(self, Self::DayUsedUp { .. } | Self::Store { .. })
    }

    /// The code under which the error is shown.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Throttled { .. } => Code::ZoomRateLimited,
            Self::DayUsedUp { .. } => Code::BudgetExhausted,
            Self::Restart { .. } => Code::ZoomReadRestarted,
            Self::Again(then) => then.code(),
            Self::Unavailable { .. } => Code::ZoomUnavailable,
            Self::Store { .. } => Code::StoreUnavailable,
            Self::Malformed { .. } => Code::ZoomMalformed,
        }
    }

    /// Something that somebody must do something about.
    fn refused(code: Code, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some(step) = code.guide_step() {
            detail = format!("{detail} (step {step} of the guide `docs/guides/zoom-app.md`)");
        }
        Self::Refused { code, detail }
    }

    /// A token that was issued a moment ago is refused.
    pub(super) fn token_refused(answer: &Response) -> Self {
        let words = Body::of(answer).words();
        Self::refused(
            Code::ZoomTokenRefused,
            format!(
                "Zoom refuses an access token that it has just issued (\"{words}\"): check that the app is activated, \
                 and that no other program shares its credentials"
            ),
        )
    }

    /// A token that another engine asked for is refused before it was ever of use here: it may have ended since.
    pub(super) fn shared_token_refused() -> Self {
        Self::Unavailable {
            detail:
                "Zoom no longer honours the access token that the engines share; another one is asked for"
                    .to_owned(),
        }
    }

    /// What a failed token request means.
    pub(super) fn of_token(answer: &Response, asked: Asked, asked_at: Timestamp) -> Self {
        if let Some(error) = Self::of_status(answer, asked_at) {
            return error;
        }
        let body = Body::of(answer);
        let words = body.words();
        let code = body
            .code()
            .and_then(|number| by_number(number, asked))
            .unwrap_or_else(|| by_words(body.error.as_deref().unwrap_or_default(), &words, asked));
        let what = match asked {
            Asked::Account => "Zoom refuses to issue an access token",
            Asked::Code => "Zoom refuses to exchange the authorization code",
            Asked::Refresh => "Zoom refuses to renew the access token",
        };
        Self::refused(code, format!("{what} (\"{words}\"): {}", advice(code, asked)))
    }

    /// What a failed report request means.
    pub(super) fn of_report(answer: &Response, log_type: LogType, asked_at: Timestamp) -> Self {
        if let Some(error) = Self::of_status(answer, asked_at) {
            return error;
        }
        let body = Body::of(answer);
        let words = body.words();
        let restart = || Self::Restart {
            detail: format!("Zoom does not go on with this read: {words}"),
        };
        let (code, detail) = match body.code() {
            Some(code) if MISSING_SCOPE.contains(&code) => (
                Code::ZoomMissingScope,
                format!(
                    "the Zoom app lacks the scope {} for the {log_type} report: add it to the app",
                    missing_scopes(&words).unwrap_or_else(|| scopes(log_type))
                ),
            ),
            Some(200) if words.to_ascii_lowercase().contains("paid account") => (
                Code::ZoomPlanTooLow,
                format!("Zoom offers its reports from the Pro plan on (\"{words}\")"),
            ),
            Some(200) => (
                Code::ZoomMissingPermission,
                format!(
                    "the role of the Zoom user in whose name the app works may not read the {log_type} report \
                     (\"{words}\"): grant {}",
                    permissions(log_type)
                ),
            ),
            Some(124) if answer.status == StatusCode::NOT_FOUND => (
                Code::ZoomUnknownAccount,
                format!("Zoom does not know the account whose {log_type} report is asked for (\"{words}\")"),
            ),
            Some(300) => return restart(),
            _ if answer.status == StatusCode::MULTIPLE_CHOICES => return restart(),
            Some(number) => (
                Code::ZoomRefused,
                format!("Zoom refuses the {log_type} report with code {number}: {words}"),
            ),
            None => {
                return Self::Malformed {
                    detail: format!(
                        "Zoom answers the {log_type} report with status {} and no code",
                        answer.status
                    ),
                };
            }
        };
        Self::refused(code, detail)
    }

    /// What the status alone, or a rate limit, says.
    fn of_status(answer: &Response, asked_at: Timestamp) -> Option<Self> {
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            return Some(Self::of_limit(answer, asked_at));
        }
        let passing = answer.status.is_server_error() || answer.status == StatusCode::REQUEST_TIMEOUT;
        passing.then(|| Self::Unavailable {
            detail: format!("Zoom answers with status {}", answer.status.as_u16()),
        })
    }

    /// A 429 speaks of the second or of the day: by its header, else its words, else how long it asks to wait.
    fn of_limit(answer: &Response, asked_at: Timestamp) -> Self {
        const LONG: SignedDuration = SignedDuration::from_mins(5);
        const SLACK: Duration = Duration::from_mins(1);
        let until = answer.retry_after().map(|after| after.instant(asked_at));
        let header = answer.header("x-ratelimit-type").map(str::to_ascii_lowercase);
        let daily = match header.as_deref() {
            Some(kind) if kind.contains("daily") => true,
            Some(kind) if kind.contains("qps") => false,
            _ => {
                Body::of(answer).words().to_ascii_lowercase().contains("daily")
                    || until.is_some_and(|until| until.duration_since(asked_at) > LONG)
            }
        };
        if !daily {
            return Self::Throttled { until };
        }
        // The day ends at midnight UTC. What is later than that is a mistake, and what has passed already is the clock
        // of a Zoom that is a moment behind ours.
        let midnight = crate::model::Day::of(asked_at).plus(1).start();
        let until = match until {
            None => midnight,
            Some(until) if until > asked_at => until.min(later(midnight, SLACK)),
            Some(_) => later(asked_at, SLACK),
        };
        Self::DayUsedUp { until }
    }
}

/// What a number of Zoom's table of OAuth errors means; the same numbers mean other things at the report endpoints.
fn by_number(number: i64, asked: Asked) -> Option<Code> {
    let void = match asked {
        Asked::Account => Code::ZoomRefused,
        Asked::Code => Code::ZoomCodeRefused,
        Asked::Refresh => Code::ReauthorizationRequired,
    };
    Some(match number {
        4702 | 4704 | 4706 => Code::ZoomInvalidCredentials,
        4705 | 4724 => Code::ZoomWrongAppType,
        4709 => Code::ZoomRedirectMismatch,
        4711 | 4737 | 4740 | 4741 => void,
        4717 | 4738 => Code::ZoomAppDisabled,
        4732..=4734 => Code::ZoomCodeRefused,
        4735 => Code::ZoomOwnerGone,
        // Also 4700, the catch-all: its words say more.
        _ => return None,
    })
}

/// What the words of an OAuth error mean, where no number decides.
fn by_words(kind: &str, words: &str, asked: Asked) -> Code {
    let lower = words.to_ascii_lowercase();
    let says = |word: &str| lower.contains(word);
    if says("disabled") || says("deactivated") || says("not activated") {
        return Code::ZoomAppDisabled;
    }
    match (kind, asked) {
        ("unsupported_grant_type", _) => Code::ZoomWrongAppType,
        ("invalid_client", _) => Code::ZoomInvalidCredentials,
        (_, Asked::Code) if says("redirect") => Code::ZoomRedirectMismatch,
        // Older answers call a code that is used or too old an invalid request.
        ("invalid_grant" | "invalid_request", Asked::Code) => Code::ZoomCodeRefused,
        ("invalid_grant", Asked::Refresh) => Code::ReauthorizationRequired,
        (_, Asked::Account) if says("account") || says("bad request") || kind == "invalid_request" => {
            Code::ZoomUnknownAccount
        }
        _ => Code::ZoomRefused,
    }
}

/// What to do about a refused token request.
fn advice(code: Code, asked: Asked) -> &'static str {
    match (code, asked) {
        (Code::ZoomAppDisabled, _) => "activate the app in the Zoom App Marketplace",
        (Code::ZoomOwnerGone, Asked::Account) => {
            "the user who owns the app is gone: make the app anew under a service account"
        }
        (Code::ZoomOwnerGone, _) => "the user who consented is gone: consent again, as a service account",
        (Code::ZoomWrongAppType, Asked::Account) => "the app must be of the kind Server-to-Server OAuth",
        (Code::ZoomWrongAppType, _) => {
            "the app must be a general app (OAuth) that is admin-managed, or `authorization` another one"
        }
        (Code::ZoomInvalidCredentials, _) => {
            "check `client_id` and `client_secret` against the app's credentials page; was the secret regenerated?"
        }
        (Code::ZoomUnknownAccount, _) => {
            "check `account_id` against the app's credentials page: the app must belong to that account"
        }
        (Code::ZoomRedirectMismatch, _) => {
            "the app's redirect URL and allow list must hold the engine's `redirect_url`, letter by letter"
        }
        (Code::ZoomCodeRefused, _) => "a code works once and for five minutes: begin the consent again",
        (Code::ReauthorizationRequired, _) => {
            "what the last consent gave is void, because it was revoked, replaced by a later one, used by another \
             program, or because the answer to the last renewal was lost: consent again"
        }
        _ => "see Zoom's words",
    }
}

/// The scopes that Zoom names in brackets.
fn missing_scopes(words: &str) -> Option<String> {
    let (_, rest) = words.split_once('[')?;
    let (scopes, _) = rest.split_once(']')?;
    (!scopes.is_empty()).then(|| format!("`{}`", scopes.replace(',', "`, `")))
}

fn scopes(log_type: LogType) -> String {
    let granular = match log_type {
        LogType::Operation => "report:read:operation_logs:admin",
        LogType::Activity => "report:read:user_activities:admin",
    };
    format!("`{granular}` (classic apps: `report:read:admin`)")
}

fn permissions(log_type: LogType) -> &'static str {
    match log_type {
        LogType::Operation => "`Usage Reports` and `Admin Activity Logs` (view) under Role Management",
        LogType::Activity => "`Usage Reports` and `Sign In/Sign Out` (view) under Role Management",
    }
}

impl From<http::Error> for Error {
    fn from(error: http::Error) -> Self {
        match error {
            error @ (http::Error::Invalid { .. } | http::Error::EgressRefused(_)) => Self::Refused {
                code: Code::AddressRefused,
                detail: error.to_string(),
            },
            error @ (http::Error::TooLarge { .. } | http::Error::Redirected { .. }) => Self::Malformed {
                detail: error.to_string(),
            },
            error => Self::Unavailable {
                detail: error.to_string(),
            },
        }
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
