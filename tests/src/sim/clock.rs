//! The simulator's clock: the real one moved by an offset, or one that stands still until it is told to move.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

/// The time at Zoom. Token lives, daily limits, the six-month floor and "today" all follow it.
#[derive(Debug)]
pub struct SimClock(Mutex<Mode>);

#[derive(Debug, Clone, Copy)]
enum Mode {
    Running { offset: SignedDuration },
    Standing { at: Timestamp },
}

impl Default for SimClock {
    fn default() -> Self {
        Self(Mutex::new(Mode::Running {
            offset: SignedDuration::ZERO,
        }))
    }
}

impl SimClock {
    pub fn now(&self) -> Timestamp {
        match *self.0.lock().unwrap() {
            Mode::Running { offset } => Timestamp::now() + offset,
            Mode::Standing { at } => at,
        }
    }

    /// Moves the clock forward, or back with a negative duration; it keeps running or standing as it was.
    pub fn advance(&self, by: SignedDuration) {
        let mut mode = self.0.lock().unwrap();
        match &mut *mode {
            Mode::Running { offset } => *offset += by,
            Mode::Standing { at } => *at += by,
        }
    }

    /// Sets the time; it keeps running or standing as it was.
    pub fn set(&self, now: Timestamp) {
        let mut mode = self.0.lock().unwrap();
        match &mut *mode {
            Mode::Running { offset } => *offset = now.duration_since(Timestamp::now()),
            Mode::Standing { at } => *at = now,
        }
    }

    pub fn freeze(&self) {
        let at = self.now();
        *self.0.lock().unwrap() = Mode::Standing { at };
    }

    /// Lets the clock run on from where it stands.
    pub fn run(&self) {
        let offset = self.now().duration_since(Timestamp::now());
        *self.0.lock().unwrap() = Mode::Running { offset };
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::SimClock;

    #[test]
    fn a_standing_clock_moves_only_when_told() {
        let clock = SimClock::default();
        clock.set("2026-03-01T00:00:00Z".parse().unwrap());
        clock.freeze();
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock.advance(SignedDuration::from_mins(16));
        assert_eq!(clock.now().duration_since(before), SignedDuration::from_mins(16));
        clock.run();
        assert!(clock.now() >= before + SignedDuration::from_mins(16));
    }
}
