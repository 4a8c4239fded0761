//! What each part of a delivery works with.

use std::time::Duration;

use crate::{clock::Clock, retry::Backoff, store::Store, telemetry::Telemetry};

/// The engine's parts that a lane's deliveries use.
#[derive(Debug)]
pub(super) struct Means {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) telemetry: Telemetry,
    pub(super) options: Options,
}

/// How delivery goes about it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who holds the leases: the engine's id, a slash, and another text at each start of an engine.
    pub owner: String,
    /// How long a lease lasts without being renewed. It is renewed before each write, so it must be longer than the
    /// longest write.
    pub lease: Duration,
    /// The pauses after failures.
    pub backoff: Backoff,
    /// After so long, an activation begins no further batch, so that other lanes have their turn.
    pub turn: Duration,
}

impl Options {
    /// Whose events these are: the owner's name begins with the engine's id.
    pub(super) fn engine_id(&self) -> &str {
        self.owner.split('/').next().unwrap_or_default()
    }

    /// The usual lengths of time: a write takes five minutes at most.
    pub fn new(owner: String, backoff: Backoff) -> Self {
        Self {
            owner,
            backoff,
            lease: Duration::from_mins(10),
            turn: Duration::from_secs(20),
        }
    }
}
