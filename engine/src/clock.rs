//! Time: the one place that asks what time it is, and the one that waits for it.
//!
//! Everything that needs the time is handed a [`Clock`]. In tests and simulations it is a simulated one, whose time
//! moves only when its [`Simulation`] says so; whoever waits on it wakes exactly then.
//!
//! Two times are kept apart. [`Clock::now`] is the wall clock, which an operator or NTP may step in either
//! direction; due times that are stored are instants of it. [`Clock::monotonic`] never goes back; lengths of time
//! (limits, back-off) are measured on it.

use std::{
    collections::BTreeMap,
    future::{Future, pending},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// The longest that a real clock sleeps without looking at the wall clock again, so that a wall clock which is
/// stepped forward wakes its waiters soon.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// The clock that everything in the engine reads; cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Real {
        started: Instant,
        /// How far it runs ahead of the machine's, in milliseconds.
        ahead: Arc<AtomicI64>,
    },
    Simulated {
        time: watch::Receiver<SimulatedTime>,
        sleepers: Arc<Sleepers>,
    },
}

#[derive(Debug, Clone, Copy)]
struct SimulatedTime {
    now: Timestamp,
    monotonic: Duration,
}

/// What was waited for did not happen in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {0:?}")]
pub struct Elapsed(pub Duration);

impl Clock {
    /// The machine's clock.
    pub fn real() -> Self {
        Self::ahead(Duration::ZERO)
    }

    /// A clock that runs so far ahead of the machine's.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn ahead(ahead: Duration) -> Self {
        Self {
            source: Source::Real {
                started: Instant::now(),
                ahead: Arc::new(AtomicI64::new(
                    i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX),
                )),
            },
        }
    }

    /// A clock that shows `start` until its [`Simulation`] moves it.
    pub fn simulated(start: Timestamp) -> (Self, Simulation) {
        let (sender, time) = watch::channel(SimulatedTime {
            now: start,
            monotonic: Duration::ZERO,
        });
        let sleepers = Arc::new(Sleepers::default());
        let simulation = Simulation {
            time: Arc::new(sender),
            sleepers: Arc::clone(&sleepers),
        };
        (
            Self {
                source: Source::Simulated { time, sleepers },
            },
            simulation,
        )
    }

    /// The wall clock's instant. It may be stepped back between two calls.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn now(&self) -> Timestamp {
        match &self.source {
            Source::Real { ahead, .. } => {
                let ahead = SignedDuration::from_millis(ahead.load(Ordering::Relaxed));
                Timestamp::now().saturating_add(ahead).unwrap_or(Timestamp::MAX)
            }
            Source::Simulated { time, .. } => time.borrow().now,
        }
    }

    /// Makes this clock, and all clones of it, show `now` from here on: engines that share a database go by its clock,
    /// not each by its own. A simulated one is moved by its simulation alone.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn follow(&self, now: Timestamp) {
        if let Source::Real { ahead, .. } = &self.source {
            let millis = now.duration_since(Timestamp::now()).as_millis();
            ahead.store(i64::try_from(millis).unwrap_or_default(), Ordering::Relaxed);
        }
    }

    /// The time since this clock (or the one it was cloned from) was made. It never goes back.
    pub fn monotonic(&self) -> Duration {
        match &self.source {
            Source::Real { started, .. } => started.elapsed(),
            Source::Simulated { time, .. } => time.borrow().monotonic,
        }
    }

    /// Waits until the wall clock shows `due` or later; at once where it already does.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind when the future is dropped.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub async fn sleep_until(&self, due: Timestamp) {
        match &self.source {
            Source::Real { .. } => loop {
                let left = due.duration_since(self.now());
                match Duration::try_from(left) {
                    Ok(left) if !left.is_zero() => tokio::time::sleep(left.min(LONGEST_NAP)).await,
                    _ => return,
                }
            },
            Source::Simulated { time, sleepers } => {
                let _asleep = sleepers.enter(Due::Wall(due));
                reach(time, |time| time.now >= due).await;
            }
        }
    }

    /// Waits for a length of time, however the wall clock is stepped meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind when the future is dropped.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub async fn sleep(&self, length: Duration) {
        match &self.source {
            Source::Real { .. } => tokio::time::sleep(length).await,
            Source::Simulated { time, sleepers } => {
                let due = self.monotonic().saturating_add(length);
                let _asleep = sleepers.enter(Due::Monotonic(due));
                reach(time, |time| time.monotonic >= due).await;
            }
        }
    }

    /// Runs `work` for at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] where the limit passed first; `work` has then been dropped where it stood.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as `work` itself.
    pub async fn timeout<F: Future>(&self, limit: Duration, work: F) -> Result<F::Output, Elapsed> {
        match select(pin!(work), pin!(self.sleep(limit))).await {
            Either::Left((output, _)) => Ok(output),
            Either::Right(((), _)) => Err(Elapsed(limit)),
        }
    }
}

async fn reach(time: &watch::Receiver<SimulatedTime>, reached: impl FnMut(&SimulatedTime) -> bool) {
    // Dropping the simulation stops its time for ever: who waits then never wakes, as on a stopped clock.
    if time.clone().wait_for(reached).await.is_err() {
        pending::<()>().await;
    }
}

/// Moves the time of a simulated [`Clock`]; cheap to clone.
#[derive(Debug, Clone)]
pub struct Simulation {
    time: Arc<watch::Sender<SimulatedTime>>,
    sleepers: Arc<Sleepers>,
}

impl Simulation {
    /// Lets `length` pass, on the wall clock and on the monotonic one.
    pub fn advance(&self, length: Duration) {
        self.time.send_modify(|time| {
            let step = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
            time.now = time.now.saturating_add(step).unwrap_or(Timestamp::MAX);
            time.monotonic = time.monotonic.saturating_add(length);
        });
    }

    /// Lets time pass until the wall clock shows `instant`; does nothing where it already shows a later one.
    pub fn advance_to(&self, instant: Timestamp) {
        let now = self.time.borrow().now;
        self.advance(Duration::try_from(instant.duration_since(now)).unwrap_or_default());
    }

    /// Steps the wall clock, in either direction, as an operator or NTP would: no time passes.
    pub fn step_to(&self, instant: Timestamp) {
        self.time.send_modify(|time| time.now = instant);
    }

    /// How long until the next sleeper is due; `None` where nobody sleeps.
    pub fn next_wake(&self) -> Option<Duration> {
        let time = *self.time.borrow();
        self.sleepers.next(time)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Wall(Timestamp),
    Monotonic(Duration),
}

/// Who sleeps on a simulated clock, so that a simulation can jump to the next thing that happens.
#[derive(Debug, Default)]
struct Sleepers(Mutex<BTreeMap<Due, usize>>);

impl Sleepers {
    fn enter(&self, due: Due) -> Asleep<'_> {
        *self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(due)
            .or_default() += 1;
        Asleep { sleepers: self, due }
    }

    fn next(&self, time: SimulatedTime) -> Option<Duration> {
        let sleepers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sleepers
            .keys()
            .map(|due| match due {
                Due::Wall(due) => Duration::try_from(due.duration_since(time.now)).unwrap_or_default(),
                Due::Monotonic(due) => due.saturating_sub(time.monotonic),
            })
            .min()
    }
}

struct Asleep<'a> {
    sleepers: &'a Sleepers,
    due: Due,
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        let mut sleepers = self.sleepers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sleepers.get_mut(&self.due) {
            *count -= 1;
            if *count == 0 {
                sleepers.remove(&self.due);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn noon() -> Timestamp {
        "2026-01-31T12:00:00Z".parse().unwrap()
    }

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn sleepers_wake_exactly_when_their_time_has_come() {
        let (clock, simulation) = Clock::simulated(noon());
        let mut nap = Box::pin(clock.sleep(MINUTE));
        let mut until = Box::pin(clock.sleep_until(noon() + 2 * MINUTE));
        assert!(nap.as_mut().now_or_never().is_none());
        assert!(until.as_mut().now_or_never().is_none());
        assert_eq!(simulation.next_wake(), Some(MINUTE));

        simulation.advance(MINUTE);
        nap.await;
        assert!(until.as_mut().now_or_never().is_none());

        simulation.advance_to(noon() + 2 * MINUTE);
        until.await;
        assert_eq!(simulation.next_wake(), None);
        assert_eq!(clock.monotonic(), 2 * MINUTE);
    }

    #[tokio::test]
    async fn a_stepped_wall_clock_wakes_due_times_but_lets_no_time_pass() {
        let (clock, simulation) = Clock::simulated(noon());
        let mut nap = Box::pin(clock.sleep(MINUTE));
        let until = clock.sleep_until(noon() + MINUTE);
        simulation.step_to(noon() + MINUTE);
        until.await;
        assert!(nap.as_mut().now_or_never().is_none());
        simulation.step_to(noon());
        assert_eq!(clock.now(), noon());
        assert_eq!(clock.monotonic(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_limit_stops_work_that_takes_longer() {
        let (clock, simulation) = Clock::simulated(noon());
        assert_eq!(clock.timeout(MINUTE, async { 7 }).await, Ok(7));
        let mut slow = Box::pin(clock.timeout(MINUTE, pending::<()>()));
        assert!(slow.as_mut().now_or_never().is_none());
        simulation.advance(MINUTE);
        assert_eq!(slow.await, Err(Elapsed(MINUTE)));
    }

    #[test]
    fn a_clock_that_follows_another_shows_its_time_in_all_clones() {
        let clock = Clock::ahead(Duration::from_mins(7));
        let clone = clock.clone();
        let other = Clock::real().now() - Duration::from_hours(3);
        clock.follow(other);
        let shown = clone.now().duration_since(other);
        assert!(shown.as_secs().abs() < 60, "{shown}");
    }

    #[tokio::test]
    async fn the_real_clock_moves_and_returns_at_once_from_the_past() {
        let clock = Clock::real();
        let before = clock.monotonic();
        clock.sleep_until(Timestamp::UNIX_EPOCH).await;
        clock.sleep(Duration::from_millis(1)).await;
        assert!(clock.monotonic() > before);
        clock.sleep_until(clock.now() + Duration::from_millis(2)).await;
    }
}
