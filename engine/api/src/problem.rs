//! The error body: RFC 9457 `application/problem+json`, with a code and field paths.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $status:literal, $title:literal;)*) => {
        /// What went wrong, as a stable word that programs can branch on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in the error body.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The HTTP status it is answered with.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// A short title, the same for every occurrence.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    /// The body is not JSON, or not of the wanted shape.
    MalformedBody = "malformed_body", 400, "The request body cannot be read";
    /// A query parameter or header cannot be read.
    MalformedRequest = "malformed_request", 400, "The request cannot be read";
    /// The spec breaks a rule.
    InvalidSpec = "invalid_spec", 422, "The spec breaks a rule";
    /// An object that the spec names does not exist.
    UnknownReference = "unknown_reference", 422, "The spec names an object that does not exist";
    /// A secret that the object cannot work without is neither given nor stored.
    MissingSecret = "missing_secret", 422, "A secret is missing";
    /// The address changed, and a secret that was stored for the old one was not sent again.
    SecretNotResent = "secret_not_resent", 422, "A new address needs its secrets again";
    /// A secret reference names a place that the engine's configuration does not allow.
    SecretRefRefused = "secret_ref_refused", 422, "The secret reference is not allowed";
    /// A secret reference names a place that cannot be read.
    SecretRefUnreadable = "secret_ref_unreadable", 422, "The secret reference cannot be read";
    /// A file path outside the engine's file roots.
    PathRefused = "path_refused", 422, "The path is not allowed";
    /// A URL whose address the engine may not connect to.
    AddressRefused = "address_refused", 422, "The address is not allowed";
    /// The bearer token is missing or wrong.
    Unauthorized = "unauthorized", 401, "The token is missing or wrong";
    /// The token may not do this.
    InsufficientScope = "insufficient_scope", 403, "The token's scope is not enough";
    /// The workload's identity is not one that the engine trusts.
    IdentityRefused = "identity_refused", 401, "The workload's identity is not trusted";
    /// The keys of a trusted issuer cannot be had.
    IssuerUnavailable = "issuer_unavailable", 503, "The issuer of the identity cannot be asked";
    /// Too many wrong tokens came from one address.
    TooManyFailures = "too_many_failures", 429, "Too many wrong tokens came from this address";
    /// No such object or route.
    NotFound = "not_found", 404, "Not found";
    /// The route does not know the method.
    MethodNotAllowed = "method_not_allowed", 405, "The method is not allowed here";
    /// Another object of the kind has this name.
    NameTaken = "name_taken", 409, "The name is taken";
    /// Others still need this object.
    InUse = "in_use", 409, "The object is still used";
    /// The idempotency key was used for another request.
    IdempotencyConflict = "idempotency_conflict", 409, "The idempotency key was used for another request";
    /// The object changed since it was read.
    GenerationConflict = "generation_conflict", 412, "The object has changed";
    /// The body is larger than the engine reads.
    BodyTooLarge = "body_too_large", 413, "The request body is too large";
    /// Zoom refuses the client id or secret.
    ZoomInvalidCredentials = "zoom_invalid_credentials", 422, "Zoom refuses the client id or secret";
    /// Zoom does not know the account, or the app does not belong to it.
    ZoomUnknownAccount = "zoom_unknown_account", 422, "Zoom does not know the account";
    /// The app is deactivated.
    ZoomAppDisabled = "zoom_app_disabled", 422, "The Zoom app is deactivated";
    /// The user in whose name the app works is gone.
    ZoomOwnerGone = "zoom_owner_gone", 422, "The Zoom user behind the app is gone";
    /// Zoom refuses an access token that it has just issued.
    ZoomTokenRefused = "zoom_token_refused", 422, "Zoom refuses its own access token";
    /// The app is not of the kind that `authorization` says.
    ZoomWrongAppType = "zoom_wrong_app_type", 422, "The Zoom app is of the wrong kind";
    /// The app lacks a scope.
    ZoomMissingScope = "zoom_missing_scope", 422, "The Zoom app lacks a scope";
    /// The role of the user in whose name the app works lacks a permission.
    ZoomMissingPermission = "zoom_missing_permission", 422, "The Zoom role lacks a permission";
    /// The account's plan has no reports.
    ZoomPlanTooLow = "zoom_plan_too_low", 422, "The Zoom plan has no reports";
    /// Nobody has consented yet.
    PendingAuthorization = "pending_authorization", 409, "The source waits for somebody's consent";
    /// What Zoom gave at the last consent is void.
    ReauthorizationRequired = "reauthorization_required", 409, "Somebody has to consent again";
    /// The person declined at Zoom.
    ConsentDenied = "consent_denied", 403, "The consent was declined";
    /// The browser that came back is not the one that was sent, or nobody was sent.
    ConsentMismatch = "consent_mismatch", 400, "The consent was not begun in this browser";
    /// Too long between begin and end.
    ConsentExpired = "consent_expired", 400, "The consent took too long";
    /// The same answer of Zoom's came twice.
    ConsentUsed = "consent_used", 409, "The consent was used already";
    /// Zoom no longer takes the code with which it sent the browser back.
    ZoomCodeRefused = "zoom_code_refused", 422, "Zoom refuses the authorization code";
    /// The app does not know the engine's redirect URL.
    ZoomRedirectMismatch = "zoom_redirect_mismatch", 422, "The Zoom app has another redirect URL";
    /// Another account than the source's has consented.
    ZoomOtherAccount = "zoom_other_account", 422, "Another Zoom account has consented";
    /// Zoom no longer goes on with a read that had begun.
    ZoomReadRestarted = "zoom_read_restarted", 503, "Zoom did not go on with a read";
    /// Zoom refuses for a reason that is not known to the engine.
    ZoomRefused = "zoom_refused", 422, "Zoom refuses the request";
    /// Zoom's answer cannot be read.
    ZoomMalformed = "zoom_malformed", 502, "Zoom's answer cannot be read";
    /// Zoom asks to wait.
    ZoomRateLimited = "zoom_rate_limited", 503, "Zoom asks to wait";
    /// The Zoom requests of the day are used up.
    BudgetExhausted = "budget_exhausted", 503, "The Zoom requests of the day are used up";
    /// Zoom cannot be reached.
    ZoomUnavailable = "zoom_unavailable", 503, "Zoom cannot be reached";
    /// A destination or alarm channel cannot be reached.
    DestinationUnavailable = "destination_unavailable", 503, "The destination cannot be reached";
    /// A destination or alarm channel refuses the credentials or the address.
    DestinationRefused = "destination_refused", 422, "The destination refuses the request";
    /// The store cannot be used.
    StoreUnavailable = "store_unavailable", 503, "The store cannot be used";
    /// The engine did not finish within the time that a request may take.
    TimedOut = "timed_out", 504, "The engine did not finish in time";
    /// A mistake of the engine.
    Internal = "internal", 500, "The engine has a fault";
}

impl Code {
    /// The step of the guide `docs/guides/zoom-app.md` at which whoever meets this error has to look again, where it
    /// is one that the set-up of the Zoom app decides.
    pub fn guide_step(self) -> Option<u8> {
        Some(match self {
            Self::ZoomPlanTooLow => 1,
            Self::ZoomMissingPermission | Self::ZoomOwnerGone => 2,
            Self::ZoomWrongAppType => 3,
            Self::ZoomRedirectMismatch => 4,
            Self::ZoomMissingScope => 5,
            Self::ZoomAppDisabled => 6,
            Self::ZoomInvalidCredentials | Self::ZoomUnknownAccount | Self::ZoomTokenRefused => 7,
            Self::PendingAuthorization
            | Self::ReauthorizationRequired
            | Self::ConsentDenied
            | Self::ConsentMismatch
            | Self::ConsentExpired
            | Self::ConsentUsed
            | Self::ZoomCodeRefused
            | Self::ZoomOtherAccount => 8,
            _ => return None,
        })
    }

    /// Reads the word that [`Code::as_str`] writes.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One broken field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// The field, dotted from the root of the spec; empty for the spec as a whole.
    pub field: String,
    /// The stable word to branch on, which may be another one for each field.
    pub code: String,
    /// What is wrong and what a good value is.
    pub detail: String,
}

/// The error body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every occurrence of the code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable word to branch on.
    pub code: String,
    /// What happened here, and what to do.
    pub detail: String,
    /// The field at fault, dotted from the root of the spec, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// All that is wrong, where it is several things.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Names this request in the engine's log.
    #[serde(default)]
    pub request_id: String,
}

impl Problem {
    /// A problem with this code; its status and title follow from it.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:zoom-log-engine:error:{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            code: code.as_str().to_owned(),
            detail: detail.into(),
            field: None,
            errors: Vec::new(),
            request_id: String::new(),
        }
    }

    /// The same problem, at this field.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The code, unless it comes from an engine that knows more codes than this build.
    pub fn code(&self) -> Option<Code> {
        Code::from_word(&self.code)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_words_that_are_read_back() {
        for code in Code::ALL {
            assert_eq!(Code::from_word(code.as_str()), Some(*code));
            assert!((400..600).contains(&code.status()), "{code}");
        }
    }
}
