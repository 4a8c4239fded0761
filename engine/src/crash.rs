//! Labelled places at which a test lets the engine die: right before and right after each step that must survive it.
//!
//! A release knows nothing of them: without the cargo feature `crash-points` a point is an empty future that the
//! compiler removes. With it, a point that was armed (`arm`) aborts the process at its n-th pass, and in a simulation the
//! seed decides at each pass (`watch`).
//!
//! No point stands inside a transaction: what is not committed is gone wherever the engine dies in it, so "before the
//! commit" is where the transaction begins.

/// Every point, with what has just happened or is about to happen there.
pub const POINTS: &[&str] = &[
    "alarm.before_judge",
    "alarm.judged",
    "budget.before_set_aside",
    "budget.given_back",
    "budget.set_aside",
    "delivery.before_release",
    "delivery.before_stage",
    "delivery.claimed",
    "delivery.released",
    "delivery.settled",
    "delivery.staged",
    "delivery.written",
    "file.half_written",
    "intake.before_commit",
    "intake.before_release",
    "intake.before_renew",
    "intake.claimed",
    "intake.committed",
    "intake.page_read",
    "intake.released",
    "intake.renewed",
    "notice.before_settle",
    "notice.claimed",
    "notice.settled",
    "retention.before_drop",
    "retention.dropped",
    "rotation.announced",
    "rotation.before_switch",
    "rotation.key_added",
    "rotation.rewrapped",
    "rotation.switched",
    "token.before_refresh",
    "token.before_store",
    "token.claimed",
    "token.kept",
    "token.minted",
    "token.stored",
];

#[cfg(feature = "crash-points")]
pub use armed::{ARM_VARIABLE, At, arm, blocking_point, point, watch};

/// A place at which a test may let the engine die.
#[cfg(not(feature = "crash-points"))]
pub fn point(_label: &'static str) -> std::future::Ready<()> {
    std::future::ready(())
}

/// The same on a thread that may block, where a simulation cannot strike.
#[cfg(not(feature = "crash-points"))]
pub fn blocking_point(_label: &'static str) {}

#[cfg(feature = "crash-points")]
mod armed {
    use std::{
        cell::RefCell,
        fmt,
        future::pending,
        str::FromStr,
        sync::{
            OnceLock,
            atomic::{AtomicU64, Ordering},
        },
    };

    use super::POINTS;

    /// The variable that arms a point of a process: `delivery.staged:3` aborts at its third pass.
    pub const ARM_VARIABLE: &str = "ZOOM_LOG_ENGINE_CRASH_AT";

    static ARMED: OnceLock<(At, AtomicU64)> = OnceLock::new();

    type Watcher = Box<dyn FnMut(&'static str) -> bool>;

    thread_local! {
        static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
    }

    /// A pass of a point.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct At {
        /// The point.
        pub label: &'static str,
        /// Which pass, from 1.
        pub pass: u64,
    }

    impl FromStr for At {
        type Err = String;

        fn from_str(text: &str) -> Result<Self, String> {
            let (label, pass) = text.split_once(':').unwrap_or((text, "1"));
            let known = POINTS.iter().find(|point| **point == label);
            let pass = pass.parse().ok().filter(|pass| *pass > 0);
            match (known, pass) {
                (Some(label), Some(pass)) => Ok(Self { label, pass }),
                _ => Err(format!(
                    "must be a crash point, a colon and a number from 1; the points are {}",
                    POINTS.join(", ")
                )),
            }
        }
    }

    impl fmt::Display for At {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}:{}", self.label, self.pass)
        }
    }

    /// Lets this process abort at that pass. Only the first call counts.
    pub fn arm(at: At) {
        let _ = ARMED.set((at, AtomicU64::new(0)));
    }

    /// Asks `strikes` at each pass of a point on this thread, until the answer is dropped; a point that is struck
    /// never ends, and whoever simulates drops everything.
    #[must_use]
    pub fn watch(strikes: impl FnMut(&'static str) -> bool + 'static) -> Watch {
        WATCHER.with_borrow_mut(|watcher| *watcher = Some(Box::new(strikes)));
        Watch(())
    }

    /// Keeps a watcher in place.
    #[derive(Debug)]
    pub struct Watch(());

    impl Drop for Watch {
        fn drop(&mut self) {
            WATCHER.with_borrow_mut(Option::take);
        }
    }

    /// A place at which a test may let the engine die.
    ///
    /// # Cancel safety
    ///
    /// Nothing is held.
    pub async fn point(label: &'static str) {
        blocking_point(label);
        let struck =
            WATCHER.with_borrow_mut(|watcher| watcher.as_mut().is_some_and(|strikes| strikes(label)));
        if struck {
            pending::<()>().await;
        }
    }

    /// The same on a thread that may block, where a simulation cannot strike.
    pub fn blocking_point(label: &'static str) {
        debug_assert!(
            POINTS.contains(&label),
            "`{label}` is not in the list of crash points"
        );
        if let Some((at, passes)) = ARMED.get()
            && at.label == label
            && passes.fetch_add(1, Ordering::SeqCst) + 1 == at.pass
        {
            std::process::abort();
        }
    }

    #[cfg(test)]
    mod tests {
        use futures_util::FutureExt as _;

        use super::*;

        #[test]
        fn a_pass_is_read_as_it_is_written() {
            let at: At = "delivery.staged:3".parse().unwrap();
            assert_eq!(at.to_string(), "delivery.staged:3");
            assert_eq!("token.kept".parse::<At>().unwrap().pass, 1);
            for wrong in ["", "delivery.staged:0", "delivery.staged:x", "nowhere:1"] {
                let said = wrong.parse::<At>().unwrap_err();
                assert!(said.contains("delivery.staged"), "{wrong}: {said}");
            }
        }

        #[test]
        fn a_watched_point_ends_unless_it_is_struck() {
            assert!(point("token.kept").now_or_never().is_some());
            let mut passes = 0;
            let watch = watch(move |label| {
                passes += 1;
                label == "token.kept" && passes == 2
            });
            assert!(point("token.kept").now_or_never().is_some());
            assert!(point("token.kept").now_or_never().is_none());
            drop(watch);
            assert!(point("token.kept").now_or_never().is_some());
        }

        #[test]
        fn points_are_sorted_and_each_is_there_once() {
            assert!(POINTS.is_sorted_by(|one, next| one < next));
        }
    }
}
