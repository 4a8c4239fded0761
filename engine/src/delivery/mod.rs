//! Delivery: from the log of events to the destinations, at least once, in order, and losing nothing.
//!
//! # Who takes part
//!
//! A **lane** is a destination's delivery, and is leased as a whole. A **position** is how far the destination has
//! acknowledged one feed's log; the feeds of a lane are independent of each other. [`DeliveryWorker`] does one lane an
//! activation: it claims the one that is due longest, opens the destination, sends queued dead letters again, then
//! entries of the audit log where the destination is to have it, then delivers each feed's events batch by batch,
//! several feeds at once where the destination allows it. [`batch`] decides, purely, which events go together.
//! [`RetentionWorker`] forgets what all have.
//!
//! # The life of a batch
//!
//! ```text
//! read segments ─▶ encode ─▶ cut ─▶ stage (on disk) ─▶ write ─▶ settle (one transaction)
//!                             ▲                          │
//!                             └── half of it ◀── refused ┘
//! ```
//!
//! The bounds of a batch are on disk before it is written (law L5), so that after a crash the same batch is written
//! again: a file is cut back to where it was, a webhook sees the same id. Only the settlement moves the position, and
//! it names the lane's fence (law L6): who was taken for dead and comes back can change nothing. No transaction is open
//! while a destination is written to.
//!
//! # When a write fails
//!
//! * It asks to wait, or is not available: the lane pauses, doubling, at least as long as the destination wishes.
//! * It is blocked (credentials, address, path): the lane pauses, longer; everything is kept; a changed spec ends the
//!   pause.
//! * It refuses the content, or the size: the batch is halved, staged again and written, until the event at fault is
//!   alone; that one becomes a dead letter in the transaction that moves past it.
//!
//! A fault of content stops only the feed's own batch; the other three kinds concern the destination, so its other
//! feeds begin nothing new. Trouble is kept with its code and shown until the next success.
//!
//! # What is not guaranteed
//!
//! A destination may get a batch twice: when the engine dies between the write and the settlement, and when an answer
//! is lost. Each event carries its id, each batch its own, so that the receiver can drop the repeat; a file repairs
//! itself. Order holds within a feed, except for what is replayed.

mod audit;
pub mod batch;
mod feed;
mod lane;
mod means;
mod read;
mod replay;
mod retention;
#[cfg(test)]
mod tests;
mod worker;

pub use self::{means::Options, retention::RetentionWorker, worker::DeliveryWorker};
