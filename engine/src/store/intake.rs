//! What intake writes: new events with their identities and the checkpoint, in one transaction (law L3).

use jiff::Timestamp;

use super::{
    Error, Store, alarms,
    backfills::Step,
    delivery::StoredSegment,
    error::damaged,
    segment,
    sql::{self, Connection},
    time::instant,
    wake,
};
use crate::model::{BlockWriter, Checkpoint, Day, Event, FeedKey, Fence, Mark, Print, Prints};

/// The events of one commit, in the order in which they are appended.
#[derive(Debug, Default)]
pub struct NewEvents {
    block: BlockWriter,
    prints: Prints,
    count: u32,
    newest: Option<Timestamp>,
}

impl NewEvents {
    /// None yet, with room for about so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            block: BlockWriter::with_capacity(bytes),
            ..Self::default()
        }
    }

    /// Adds an event, with the mark of its exact text.
    pub fn push(&mut self, event: &Event<'_>, mark: Mark) {
        self.block.push(event);
        let hash = event.hash;
        self.prints.push(event.day, Print { hash, mark });
        self.count += 1;
        self.newest = self.newest.max(event.time);
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The bytes that they take before compression.
    pub fn bytes(&self) -> usize {
        self.block.bytes()
    }
}

/// What one transaction of intake changes.
#[derive(Debug)]
pub struct Commit<'a> {
    /// Appended to the feed's log.
    pub events: NewEvents,
    /// The feed's checkpoint from now on.
    pub checkpoint: &'a Checkpoint,
    /// The backfill that was read, and its progress.
    pub backfill: Option<Step<'a>>,
}

/// Whether a commit went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Committed {
    /// All of it.
    Done,
    /// Nothing: the lease was lost, or the source changed or went away.
    Fenced,
    /// Nothing: the backfill was cancelled. The lease still holds.
    Cancelled,
}

impl Store {
    /// What the log holds of a feed's day: one print for each event, in the order of the log.
    pub async fn known(&self, feed: i64, day: Day) -> Result<Vec<Print>, Error> {
        let blobs: Vec<Vec<u8>> =
            sql::query_scalar("SELECT prints FROM segment_day WHERE feed_id = $1 AND day = $2 ORDER BY seq")
                .bind(feed)
                .bind(day.number())
                .fetch_all(self.read())
                .await?;
        let mut known = Vec::with_capacity(blobs.iter().map(Vec::len).sum::<usize>() / Print::BYTES);
        for blob in &blobs {
            let (prints, rest) = blob.as_chunks();
            if !rest.is_empty() {
                return Err(Error::Damaged("a list of prints is cut short".to_owned()));
            }
            known.extend(prints.iter().copied().map(Print::from_bytes));
        }
        Ok(known)
    }

    /// Appends events and moves the checkpoint: all or nothing, and nothing when the lease was lost.
    pub async fn commit_intake(
        &self,
        (feed, key): (i64, &FeedKey),
        fence: Fence,
        commit: Commit<'_>,
    ) -> Result<Committed, Error> {
        let Commit {
            events,
            checkpoint,
            backfill,
        } = commit;
        let now = self.now();
        let NewEvents {
            block,
            prints,
            count,
            newest,
        } = events;
        let packed = if count == 0 {
            None
        } else {
            let mut block = block.finish();
            let payload = block.pack(|rows, behind| segment::compress(&[rows, behind]))?;
            Some((payload, block))
        };
        // A checkpoint that moves over nothing new may be lost with the power: the same read is made again.
        let mut write = if packed.is_some() {
            self.durable().await?
        } else {
            self.soft().await?
        };
        let moved = sql::query(
            "UPDATE feed SET
                 checkpoint = $3, watermark = $4, last_seq = last_seq + $5, events = events + $6,
                 last_collected_at = CASE WHEN $6 > 0 THEN $7 ELSE last_collected_at END,
                 last_event_at = CASE WHEN $8 IS NULL THEN last_event_at
                                      ELSE max(coalesce(last_event_at, $8), $8) END
             WHERE id = $1 AND fence = $2 AND lease_owner IS NOT NULL
             RETURNING last_seq",
        )
        .bind(feed)
        .bind(fence.0)
        .bind(serde_json::to_string(checkpoint).map_err(damaged("a checkpoint"))?)
        .bind(checkpoint.watermark.as_millisecond())
        .bind(i64::from(packed.is_some()))
        .bind(i64::from(count))
        .bind(now)
        .bind(newest.map(Timestamp::as_millisecond))
        .fetch_optional(&mut *write)
        .await?;
        let Some(moved) = moved else {
            write.rollback().await?;
            return Ok(Committed::Fenced);
        };
        if let Some(step) = backfill
            && !step.write(&mut write, feed, count, now).await?
        {
            write.rollback().await?;
            return Ok(Committed::Cancelled);
        }
        let Some((payload, block)) = packed else {
            write.commit().await?;
            return Ok(Committed::Done);
        };
        let seq = moved.try_get("last_seq")?;
        append(&mut write, (feed, seq), (count, payload), &prints, now).await?;
        wake::lanes(&mut write, feed, now).await?;
        alarms::wake(&mut write, feed, false, instant(now)?).await?;
        write.commit().await?;
        // Not before: what is delivered from memory is on disk (law L3).
        self.shared
            .recent
            .keep(key, StoredSegment::new(seq, count, block, prints));
        Ok(Committed::Done)
    }
}

async fn append(
    write: &mut Connection,
    (feed, seq): (i64, i64),
    (events, payload): (u32, Vec<u8>),
    prints: &Prints,
    now: i64,
) -> Result<(), Error> {
    sql::query("INSERT INTO segment (feed_id, seq, events, payload, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(feed)
        .bind(seq)
        .bind(i64::from(events))
        .bind(payload)
        .bind(now)
        .execute(&mut *write)
        .await?;
    for (day, bytes) in prints.days() {
        sql::query("INSERT INTO segment_day (feed_id, day, seq, prints) VALUES ($1, $2, $3, $4)")
            .bind(feed)
            .bind(day.number())
            .bind(seq)
            .bind(bytes)
            .execute(&mut *write)
            .await?;
    }
    Ok(())
}
