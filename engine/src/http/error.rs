//! Why a request got no usable answer, named by what the caller must do.
//!
//! No error text holds a path, a query, a header or a body: webhook URLs carry their credentials in any of these.
//! A target is named by its origin (`https://host:port`) alone.

use std::{error::Error as _, io, time::Duration};

use url::Url;

use super::egress;

/// Why a request got no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request cannot be made at all: a URL or a header that is not one. The spec or the configuration must be
    /// corrected.
    #[error("{what}")]
    Invalid {
        /// What is wrong, as a sentence fragment.
        what: String,
    },
    /// The address is not one that the engine may connect to. The spec or the engine's egress rule must be changed.
    #[error("{0}")]
    EgressRefused(egress::Refused),
    /// The server could not be reached, broke off, or answered with something that is no HTTP. Try again later.
    #[error("{origin} is not available: {cause}")]
    Unavailable {
        /// Whom the request was for.
        origin: String,
        /// What happened, from the outside in.
        cause: String,
    },
    /// The server's certificate was not accepted. Somebody must look: at the server, or at the engine's list of
    /// authorities.
    #[error(
        "{origin} shows a certificate that is not trusted: {cause}; a private authority is added with `egress.ca_file`"
    )]
    Untrusted {
        /// Whom the request was for.
        origin: String,
        /// Why the certificate was refused.
        cause: String,
    },
    /// No complete answer in time. Try again later; the server may have done what it was asked.
    #[error("{origin} did not answer in time: given up after {after:?}")]
    TimedOut {
        /// Whom the request was for.
        origin: String,
        /// How long was waited.
        after: Duration,
    },
    /// The answer is larger than the caller is ready to read. Ask for less.
    #[error("the answer of {origin} is larger than {limit} bytes")]
    TooLarge {
        /// Whom the request was for.
        origin: String,
        /// The most bytes that are read, after decompression.
        limit: usize,
    },
    /// The server sent the engine elsewhere, and redirects are not followed. The spec must name the right URL.
    #[error("{origin} redirects ({status}) to {location}, and redirects are not followed: use the final URL")]
    Redirected {
        /// Whom the request was for.
        origin: String,
        /// The status of the answer.
        status: u16,
        /// The origin of the place to which it points.
        location: String,
    },
}

impl Error {
    /// Whether the same request may succeed later, with nothing changed by anybody.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::TimedOut { .. } => true,
            Self::Invalid { .. }
            | Self::EgressRefused(_)
            | Self::Untrusted { .. }
            | Self::TooLarge { .. }
            | Self::Redirected { .. } => false,
        }
    }

    /// One word for metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid",
            Self::EgressRefused(_) => "egress_refused",
            Self::Unavailable { .. } => "unavailable",
            Self::Untrusted { .. } => "untrusted",
            Self::TimedOut { .. } => "timed_out",
            Self::TooLarge { .. } => "too_large",
            Self::Redirected { .. } => "redirected",
        }
    }

    pub(super) fn from_transport(error: reqwest::Error, origin: String, after: Duration) -> Self {
        let error = error.without_url();
        if error.is_timeout() {
            return Self::TimedOut {
                origin,
                after: Duration::from_millis(millis(after)),
            };
        }
        if error.is_builder() {
            return Self::Invalid { what: chain(&error) };
        }
        let mut link = error.source();
        while let Some(inner) = link {
            if let Some(refused) = inner.downcast_ref::<egress::Refused>() {
                return Self::EgressRefused(refused.clone());
            }
            if let Some(rustls::Error::InvalidCertificate(cause)) = inner.downcast_ref() {
                return Self::Untrusted {
                    origin,
                    cause: cause.to_string(),
                };
            }
            link = cause_of(inner);
        }
        Self::Unavailable {
            origin,
            cause: chain(&error),
        }
    }
}

/// The next error down. An io error's `source` skips the very error that it holds.
fn cause_of<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a (dyn std::error::Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => Some(held),
        None => error.source(),
    }
}

/// The texts of an error and its causes, outermost first, without repeating what a text already says.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut link = error.source();
    while let Some(inner) = link {
        let next = inner.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        link = inner.source();
    }
    text
}

/// Whole milliseconds: what is finer says nothing about a network.
fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// The scheme, host and port of a URL: all of it that may be shown.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}
