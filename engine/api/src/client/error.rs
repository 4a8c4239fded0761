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
    #[error("the engine cannot be reached: {0}")]
    Unreachable(String, #[source] reqwest::Error),
    /// Something answered that is not the engine, or a proxy before it.
    #[error("the server answered with status {0} and no error body of the engine: is this the engine's URL?")]
    Status(u16),
    /// The answer cannot be read.
    #[error("the engine's answer cannot be read: {0}")]
    Malformed(String),
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
            Self::Unreachable(_, error) => !error.is_builder(),
            Self::Status(status) => matches!(status, 502..=504),
            Self::Problem(problem) => matches!(
                problem.code(),
                Some(Code::StoreUnavailable | Code::IssuerUnavailable)
            ),
            Self::Address(_) | Self::Malformed(_) => false,
        }
    }

    /// Whether the request certainly did not reach the engine.
    pub(super) fn never_sent(&self) -> bool {
        matches!(self, Self::Unreachable(_, error) if error.is_connect())
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        // The chain without the URL: the innermost text is the one that helps ("connection refused").
        let error = error.without_url();
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = inner.to_string();
            cause = inner.source();
        }
        Self::Unreachable(text, error)
    }
}
