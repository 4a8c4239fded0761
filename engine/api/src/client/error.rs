//! What can go wrong between a client and the engine, named by what the caller can do.

use crate::{Code, Problem};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine answered with an error of its own: show it, at its field.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The engine's URL is wrong.
    #[error("{0}")]
    Address(String),
    /// The engine cannot be reached, or did not answer in time: try again later, or check the URL.
    #[error("the engine cannot be reached: {cause} (request id `{request_id}`)")]
    Unreachable {
        /// What went wrong, without the URL.
        cause: String,
        /// The id that the request was sent with, by which a proxy or the engine may have logged it.
        request_id: String,
        /// The same, for who looks closer.
        source: reqwest::Error,
    },
    /// Something answered that is not the engine, or a proxy before it.
    #[error(
        "the server answered with status {status} and no error body of the engine (request id `{request_id}`): is this \
         the engine's URL?"
    )]
    Status {
        /// The status.
        status: u16,
        /// The id that the request was sent with.
        request_id: String,
    },
    /// The answer cannot be read.
    #[error("the engine's answer cannot be read: {cause} (request id `{request_id}`)")]
    Malformed {
        /// What is wrong with it.
        cause: String,
        /// The id that the request was sent with.
        request_id: String,
    },
}

impl Error {
    /// The engine's error, where the engine answered with one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether the same call may succeed in a moment.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => !source.is_builder(),
            Self::Status { status, .. } => matches!(status, 429 | 502..=504),
            Self::Problem(problem) => matches!(
                problem.code(),
                Some(Code::StoreUnavailable | Code::IssuerUnavailable)
            ),
            Self::Address(_) | Self::Malformed { .. } => false,
        }
    }

    /// Whether the request certainly did nothing: it did not reach the engine, or was turned away unread.
    pub(super) fn did_nothing(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_connect(),
            Self::Status { status, .. } => *status == 429,
            Self::Problem(_) | Self::Address(_) | Self::Malformed { .. } => false,
        }
    }

    pub(super) fn unreachable(error: reqwest::Error, request_id: &str) -> Self {
        // The chain without the URL: the innermost text is the one that helps ("connection refused").
        let source = error.without_url();
        let mut cause = source.to_string();
        let mut inner = std::error::Error::source(&source);
        while let Some(error) = inner {
            cause = error.to_string();
            inner = error.source();
        }
        Self::Unreachable {
            cause,
            request_id: request_id.to_owned(),
            source,
        }
    }

    pub(super) fn malformed(cause: &impl ToString, request_id: &str) -> Self {
        Self::Malformed {
            cause: cause.to_string(),
            request_id: request_id.to_owned(),
        }
    }
}
