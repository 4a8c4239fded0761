//! Rows, events, days, windows, checkpoints and positions, and the pure decisions over them.
//!
//! **Invariant:** nothing here awaits, asks the time, logs, or knows SQL or HTTP.

mod budget;
mod checkpoint;
pub mod counting;
mod day;
mod event;
mod feed;
pub mod plan;
mod row;

pub use budget::{Allowance, Budget};
pub use checkpoint::{Backfill, Checkpoint, ReadSummary};
pub use day::{Day, Window};
pub use event::{Event, EventId, FrameError, decode_frames, encode_frame};
pub use feed::{FeedKey, Fence, Lease, Position};
pub use row::{Row, RowHash};
