//! Rows, events, days, windows, checkpoints and positions, and the pure decisions over them.
//!
//! **Invariant:** nothing here awaits, asks the time, logs, or knows SQL or HTTP.

mod block;
mod budget;
mod checkpoint;
pub mod counting;
mod day;
mod event;
mod feed;
mod fields;
pub mod plan;
pub mod progress;
mod row;
pub mod scan;
mod time;

pub use block::{Block, BlockError, BlockReader, BlockWriter, Prints, decode_alone, encode_alone};
pub use budget::{Allowance, Budget, DailyLimit, Purpose};
pub use checkpoint::{Backfill, Checkpoint, ReadSummary};
pub use day::{Day, Window};
pub use event::{Event, EventId, EventIds};
pub use feed::{FeedKey, Fence, Lease, Position};
pub use fields::Fields;
pub use row::{Mark, Print, Row, RowHash};
