//! Why a poll is broken off.

use engine_api::Code;
use jiff::Timestamp;

use crate::{store, telemetry::PollOutcome, zoom};

/// Why a poll ended before its time.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The lease was lost, or the source changed or went away: somebody else goes on.
    Fenced,
    /// The engine is stopping.
    Stopping,
    /// The account's requests of the day are used up for what this one is for.
    Budget { until: Timestamp },
    /// The backfill was cancelled meanwhile.
    Cancelled,
    /// Zoom's answer.
    Zoom(zoom::Error),
    /// The client secret, or the consent, cannot be had.
    Secret(Code, String),
    /// The store failed.
    Store(store::Error),
}

impl Stopped {
    /// What the store failed with, where that says nothing of the feed and passes: it is then no failure of its own.
    pub(super) fn passing_fault_of_the_store(&self) -> Option<String> {
        match self {
            Self::Store(error @ store::Error::Unavailable(_)) => Some(error.chain()),
            Self::Zoom(error @ zoom::Error::Store { .. }) => Some(error.to_string()),
            _ => None,
        }
    }

    /// As the failure of the feed that it is.
    pub(super) fn failure(self) -> (PollOutcome, Code, String) {
        match self {
            Self::Zoom(error) => {
                let outcome = match error {
                    zoom::Error::Refused { .. } => PollOutcome::Refused,
                    zoom::Error::Throttled { .. } | zoom::Error::DayUsedUp { .. } => PollOutcome::RateLimited,
                    zoom::Error::Restart { .. }
                    | zoom::Error::Again(_)
                    | zoom::Error::Unavailable { .. }
                    | zoom::Error::Store { .. } => PollOutcome::Unavailable,
                    zoom::Error::Malformed { .. } => PollOutcome::Malformed,
                };
                (outcome, error.code(), error.to_string())
            }
            Self::Secret(code, detail) => (PollOutcome::Refused, code, detail),
            Self::Store(error) => (PollOutcome::Unavailable, Code::Internal, error.to_string()),
            // The poll has dealt with these by itself.
            Self::Fenced | Self::Stopping | Self::Budget { .. } | Self::Cancelled => (
                PollOutcome::Fenced,
                Code::Internal,
                "the poll was broken off".to_owned(),
            ),
        }
    }
}

impl From<store::Error> for Stopped {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}
