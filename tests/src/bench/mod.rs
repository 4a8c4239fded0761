//! The measures of `make bench`; `docs/benchmarks.md` says what each is and how to read it.
//!
//! Each measure runs what it compares in turns, in one run on one machine, and checks what it timed: a figure for work
//! that was not done, or done wrong, is never printed. A measure that cannot be taken panics, and what it started ends
//! with it.

mod cores;
pub mod failover;
pub mod floor;
pub mod flow;
pub mod idle;
mod machine;
pub mod phantoms;
mod pipe;
pub mod plan;
mod series;
mod simulator;
pub mod start;
pub mod stores;
mod table;
mod timed;

pub use machine::{Machine, load};
pub use series::Series;
pub use table::Table;
