//! The place of one engine among those that share the store: its clock, its handle to the network, and the life that
//! it has now, if any.

use std::time::Duration;

use jiff::Timestamp;
use zoom_log_engine::clock::{Clock, Simulation};

use super::{engine::Engine, network::Shared};

/// How long an engine may be silent until the others end its leases.
const SILENCE: Duration = Duration::from_secs(30);

/// One engine's place.
pub(super) struct Seat {
    pub(super) number: usize,
    /// None while it is down.
    pub(super) engine: Option<Engine>,
    /// Of its database, where it has one for itself.
    pub(super) life: u32,
    pub(super) clock: Clock,
    pub(super) time: Simulation,
    pub(super) network: Shared,
    /// While it is paused or down: until when, by the clock that never jumps.
    pub(super) away: Option<Duration>,
}

/// Leases that the others end, once their holder has been silent for long enough.
#[derive(Debug)]
pub(super) struct Grave {
    pub(super) due: Duration,
    /// Of one life of an engine: who begins anew is another owner.
    pub(super) owner: String,
}

impl Grave {
    /// Of the engine in a seat, silent from now on.
    pub(super) fn of(seat: &Seat) -> Option<Self> {
        let owner = seat.engine.as_ref()?.owner.clone();
        Some(Self {
            due: seat.clock.monotonic() + SILENCE,
            owner,
        })
    }
}

impl Seat {
    /// An empty place; its clock shows `now`, and then what it is told.
    pub(super) fn new(number: usize, now: Timestamp, network: &Shared) -> Self {
        let (clock, time) = Clock::simulated(now);
        Self {
            number,
            engine: None,
            life: 0,
            network: network.of(number, clock.clone()),
            clock,
            time,
            away: None,
        }
    }

    /// The engine, where it runs and is not paused.
    pub(super) fn awake(&self) -> Option<&Engine> {
        self.engine.as_ref().filter(|_| self.away.is_none())
    }

    pub(super) fn awake_mut(&mut self) -> Option<&mut Engine> {
        self.engine.as_mut().filter(|_| self.away.is_none())
    }

    /// Tells the engine to stop, where one runs: what is under way ends, nothing begins.
    pub(super) fn stop(&self) {
        if let Some(engine) = &self.engine {
            engine.stop();
        }
    }

    /// How long until something here is due by itself; `None` where nothing is.
    pub(super) fn next_due(&self) -> Option<Duration> {
        match (self.away, self.awake()) {
            (Some(until), _) => Some(until.saturating_sub(self.clock.monotonic())),
            (None, Some(engine)) => engine.next_due().into_iter().chain(self.time.next_wake()).min(),
            (None, None) => None,
        }
    }
}
