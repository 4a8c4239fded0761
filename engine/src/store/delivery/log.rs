//! Reading the log of events for delivery.

use futures_util::TryStreamExt as _;

use crate::store::{
    Error, Store,
    segment::{MAX_BLOCK, decompress},
};

/// A segment of a feed's log.
#[derive(Debug, Clone)]
pub struct StoredSegment {
    /// Its number.
    pub seq: i64,
    /// How many events it holds.
    pub events: u32,
    /// Their frames.
    pub frames: Vec<u8>,
}

impl Store {
    /// Segments of a feed from `from` on, in order and without a gap, until their frames hold `enough` bytes; none at
    /// the end of the log.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] where a segment that should be there is not, or cannot be read.
    pub async fn segments(
        &self,
        feed_id: i64,
        from: i64,
        enough: usize,
    ) -> Result<Vec<StoredSegment>, Error> {
        let mut rows = sqlx::query_as::<_, (i64, u32, Option<Vec<u8>>)>(
            "SELECT seq, events, payload FROM segment WHERE feed_id = ?1 AND seq >= ?2 ORDER BY seq",
        )
        .bind(feed_id)
        .bind(from)
        .fetch(self.read());
        let mut segments = Vec::new();
        let (mut next, mut bytes) = (from, 0);
        while bytes < enough
            && let Some((seq, events, payload)) = rows.try_next().await?
        {
            let payload = payload.filter(|_| seq == next).ok_or_else(|| {
                Error::Damaged(format!(
                    "segment {next} of feed {feed_id} is not there, and was not delivered"
                ))
            })?;
            let frames = decompress(&payload, MAX_BLOCK)?;
            bytes += frames.len();
            next = seq + 1;
            segments.push(StoredSegment { seq, events, frames });
        }
        Ok(segments)
    }
}
