//! The actions: what to do with a source beside declaring it.

mod backfill;
mod check;
mod poll;

pub use self::{backfill::Backfill, check::Check, poll::Poll};

/// The argument that names the source.
const SOURCE_ID: &str = "source_id";
