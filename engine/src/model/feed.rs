//! A feed's key, leases and positions.

use std::fmt;

use engine_api::{LogType, SourceId};
use serde::{Deserialize, Serialize};

/// One log type of one source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FeedKey {
    /// The source.
    pub source: SourceId,
    /// The log type.
    pub log_type: LogType,
}

impl fmt::Display for FeedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.log_type)
    }
}

/// A lease's growing number (law L6): a commit that names an older one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub i64);

/// A time-limited claim on `T`.
#[derive(Debug, Clone)]
pub struct Lease<T> {
    /// What is claimed.
    pub of: T,
    /// The claim's number.
    pub fence: Fence,
}

/// How far a log of events is read: all segments before `seq`, and `index` events of `seq`.
///
/// The first segment is 1, so the beginning of a log is `(1, 0)`. The end of segment `n` may be written `(n, events)`
/// or `(n + 1, 0)`; both mean the same to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The segment.
    pub seq: i64,
    /// Events of that segment that are behind us.
    pub index: u32,
}

impl Position {
    /// The beginning of every log.
    pub const START: Self = Self { seq: 1, index: 0 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.index)
    }
}
