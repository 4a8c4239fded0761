//! Why a destination did not take a batch, named by what follows.

use engine_api::Code;
use jiff::Timestamp;

use crate::http;

/// Why a write was not acknowledged. The texts are for people, and hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// It asks to wait. The same batch is written again later, not before it wishes.
    #[error("{detail}")]
    Throttled {
        /// When it wants to be asked again, where it says so.
        retry_after: Option<Timestamp>,
        /// What happened.
        detail: String,
    },
    /// It cannot be reached, or is broken for now. The same batch is written again later; it may have been taken.
    #[error("{detail}")]
    Unavailable {
        /// What happened.
        detail: String,
    },
    /// It refuses something in this batch for good. The batch is split until the event at fault is alone.
    #[error("{reason}")]
    Refused {
        /// Its own words.
        reason: String,
    },
    /// The batch is too large for it. The batch is split; an event that is too large by itself is refused.
    #[error("{reason}")]
    TooLarge {
        /// Its own words.
        reason: String,
    },
    /// It takes nothing until somebody does something: credentials, address, path. Everything is kept.
    #[error("{detail}")]
    Blocked {
        /// The code of the trouble.
        code: Code,
        /// What happened and what to do.
        detail: String,
    },
}

impl WriteError {
    /// The code under which users see it.
    pub fn code(&self) -> Code {
        match self {
            Self::Throttled { .. } | Self::Unavailable { .. } => Code::DestinationUnavailable,
            Self::Refused { .. } | Self::TooLarge { .. } => Code::DestinationRefused,
            Self::Blocked { code, .. } => *code,
        }
    }

    /// One word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "throttled",
            Self::Unavailable { .. } => "unavailable",
            Self::Refused { .. } => "refused",
            Self::TooLarge { .. } => "too_large",
            Self::Blocked {
                code: Code::DestinationRefused,
                ..
            } => "unauthorized",
            Self::Blocked { .. } => "invalid",
        }
    }

    pub(super) fn blocked(code: Code, detail: impl Into<String>) -> Self {
        Self::Blocked {
            code,
            detail: detail.into(),
        }
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable {
            detail: detail.into(),
        }
    }
}

impl From<http::Error> for WriteError {
    fn from(error: http::Error) -> Self {
        let detail = error.to_string();
        match error {
            error if error.is_temporary() => Self::Unavailable { detail },
            http::Error::EgressRefused(_) => Self::blocked(Code::AddressRefused, detail),
            http::Error::Invalid { .. } => Self::blocked(Code::InvalidSpec, detail),
            _ => Self::blocked(Code::DestinationRefused, detail),
        }
    }
}
