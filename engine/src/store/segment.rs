//! How a segment's block is compressed.

use super::Error;

/// Fast, and already most of what slower levels would gain on rows that resemble each other.
const LEVEL: i32 = 3;

/// Compresses a block of frames.
pub(super) fn compress(block: &[u8]) -> Result<Vec<u8>, Error> {
    zstd::bulk::compress(block, LEVEL).map_err(|error| Error::Damaged(format!("a segment: {error}")))
}
