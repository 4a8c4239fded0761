//! The log drop-off alarm: tells when logs stop, and whether Zoom is quiet or the collection is broken.
//!
//! # Who takes part
//!
//! Each feed of a source with `drop_off_alarm` has one alarm row. [`AlarmWorker`] judges the rows that are due by the
//! pure rules of [`rules`], and stores each verdict in the transaction that read the facts. A change of state writes
//! its notices, one for each channel, in that same transaction. [`NoticeWorker`] sends them.
//!
//! # Two clocks
//!
//! *No successful poll for `after`*: the collector is broken, and the feed's trouble says how. *Polls succeed, and
//! nothing new for `after`*: Zoom is quiet, or has stopped logging. Each clock runs from the last such fact, and not
//! from before the alarm began. A used-up request budget stops both: it is a pause that ends by itself.
//!
//! # When an alarm is judged
//!
//! At its `due_at`, which is computed exactly: the next instant at which the verdict could change if nothing happens.
//! What arrives can only put that off while the state is `ok`; in every other case `store::alarms::wake` brings it
//! forward. Judging early or twice does no harm.
//!
//! # What survives
//!
//! State, cause and notices are durable. Each transition is noted exactly once, since the change is guarded by the old
//! state (law L7). A notice is sent at least once: an engine that dies after sending sends it again under the same
//! `webhook-id`. A notice that its channel does not accept for a day is given up, with the reason kept.
//!
//! # What is not guaranteed
//!
//! A wall clock that jumps forward can raise an alarm, which the next successful poll ends. One that jumps back never
//! raises one.

mod notices;
pub mod rules;
#[cfg(test)]
mod tests;
mod worker;

pub use self::{
    notices::{NoticeOptions, NoticeWorker},
    worker::AlarmWorker,
};
