//! Delivery: lanes, positions and the reading of segments.
//!
//! A **lane** is a destination's delivery. It is leased as a whole, so that one writer appends to a file; its fence
//! grows with each claim, and every write here names it (law L6). A **position** is how far the destination has
//! acknowledged one feed's log. The order of a batch's life, each step on disk before the next begins:
//!
//! 1. [`Store::claim_lane`](super::Store::claim_lane): a lease, for a while.
//! 2. [`Store::stage`](super::Store::stage): the bounds of the batch, and what the adapter must find again.
//! 3. The write, outside any transaction.
//! 4. [`Store::settle`](super::Store::settle): the position moves, dead letters are kept, the bounds are forgotten, in one transaction.
//!
//! A crash after 2 leaves the bounds: the next claim writes the same batch again.
//!
//! When a lane is due is told in `wake`.

mod audit;
mod lane;
mod links;
mod log;
mod position;
mod status;

use engine_api::{Code, DestinationId};

pub use self::{
    audit::PendingAudit,
    lane::Lane,
    log::StoredSegment,
    position::{Moved, Pending, Refusal, Settlement},
};
pub(super) use self::{
    audit::sync_audit,
    links::sync_positions,
    position::answered,
    status::{health, trouble},
};
use crate::model::Fence;

/// The claim that a worker's writes name.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The lane's destination.
    pub destination: DestinationId,
    /// The claim's number.
    pub fence: Fence,
}

/// What is wrong, as it is told to users; since when, the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The code.
    pub code: Code,
    /// What happened and what to do, in a sentence.
    pub detail: String,
}
