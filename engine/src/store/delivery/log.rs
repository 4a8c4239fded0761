//! Reading the log of events for delivery.

use std::sync::Arc;

use futures_util::TryStreamExt as _;

use super::Pending;
use crate::{
    model::{Block, BlockReader, Day, Prints},
    store::{
        Error, Store,
        segment::{MAX_BLOCK, decompress},
        sql,
    },
};

/// So many segments are read at once at most, and so many bytes of them as they are packed: what a batch needs.
const AT_ONCE: i64 = 64;
const PACKED: i64 = 128 << 10;

/// A segment of a feed's log.
#[derive(Debug)]
pub struct StoredSegment {
    /// Its number.
    pub seq: i64,
    /// How many events it holds.
    pub events: u32,
    block: Block,
    prints: Prints,
}

impl StoredSegment {
    pub(in crate::store) fn new(seq: i64, events: u32, block: Block, prints: Prints) -> Self {
        Self {
            seq,
            events,
            block,
            prints,
        }
    }

    /// The bytes that it takes in memory, nearly.
    pub(in crate::store) fn bytes(&self) -> usize {
        self.block.bytes() + self.prints.bytes()
    }

    /// Its events.
    pub fn read(&self) -> BlockReader<'_> {
        self.block.read(&self.prints)
    }
}

impl Store {
    /// What [`Store::stored_segments`] reads, and without asking the database where it was appended here just now.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn segments(
        &self,
        pending: &Pending,
        from: i64,
        enough: usize,
    ) -> Result<Vec<Arc<StoredSegment>>, Error> {
        if let Some(segment) = self.shared.recent.find(&pending.feed, from) {
            return Ok(vec![segment]);
        }
        let stored = self.stored_segments(pending.feed_id, from, enough).await?;
        Ok(stored.into_iter().map(Arc::new).collect())
    }

    /// Segments of a feed from `from` on, in order and without a gap: until they hold `enough` bytes, or as many as
    /// are read at once; none at the end of the log.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] where a segment that should be there is not, or cannot be read.
    pub async fn stored_segments(
        &self,
        feed_id: i64,
        from: i64,
        enough: usize,
    ) -> Result<Vec<StoredSegment>, Error> {
        let mut read = self.read().acquire().await?;
        // The driver reads ahead of whoever takes rows; without a bound it would read megabytes that nobody wants.
        let mut rows = sql::query_as::<(i64, u32, Vec<u8>)>(
            "SELECT s.seq, s.events, s.payload FROM segment s JOIN (
                 SELECT seq, sum(length(payload)) OVER (ORDER BY seq) - length(payload) AS before
                 FROM segment WHERE feed_id = $1 AND seq >= $2 ORDER BY seq LIMIT $3) near ON near.seq = s.seq
             WHERE s.feed_id = $1 AND near.before < $4 ORDER BY s.seq",
        )
        .bind(feed_id)
        .bind(from)
        .bind(AT_ONCE)
        .bind(PACKED)
        .fetch(&mut read)?;
        let mut segments = Vec::new();
        let (mut next, mut bytes) = (from, 0);
        while bytes < enough
            && let Some((seq, events, payload)) = rows.try_next().await?
        {
            if seq != next {
                return Err(Error::Damaged(format!(
                    "segment {next} of feed {feed_id} is not there, and was not delivered"
                )));
            }
            let block = Block::unpack(decompress(&payload, MAX_BLOCK)?).ok_or_else(|| {
                Error::Damaged(format!("segment {seq} of feed {feed_id} is no block of events"))
            })?;
            bytes += block.bytes();
            next = seq + 1;
            segments.push(StoredSegment::new(seq, events, block, Prints::default()));
        }
        drop(rows);
        drop(read);
        for segment in &mut segments {
            segment.prints = self.prints(feed_id, segment.seq).await?;
        }
        Ok(segments)
    }

    async fn prints(&self, feed_id: i64, seq: i64) -> Result<Prints, Error> {
        let days: Vec<(i32, Vec<u8>)> =
            sql::query_as("SELECT day, prints FROM segment_day WHERE feed_id = $1 AND seq = $2")
                .bind(feed_id)
                .bind(seq)
                .fetch_all(self.read())
                .await?;
        let mut prints = Prints::default();
        for (day, bytes) in days {
            prints.insert(Day::from_number(day), bytes);
        }
        Ok(prints)
    }
}
