//! What intake writes: new events with their identities and the checkpoint, in one transaction (law L3).

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Error, Fenced, Store, alarms, delivery, feeds::damaged, segment, time::instant};
use crate::model::{Checkpoint, Day, Event, Fence, RowHash, encode_frame};

/// The events of one commit, in the order in which they are appended.
#[derive(Debug, Default)]
pub struct NewEvents {
    block: Vec<u8>,
    hashes: BTreeMap<Day, Vec<u8>>,
    count: u32,
    newest: Option<Timestamp>,
}

impl NewEvents {
    /// Adds an event.
    pub fn push(&mut self, event: &Event<'_>) {
        encode_frame(event, &mut self.block);
        self.hashes.entry(event.day).or_default().extend(event.hash.0);
        self.count += 1;
        self.newest = self.newest.max(event.time);
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The bytes that they take before compression.
    pub fn bytes(&self) -> usize {
        self.block.len()
    }
}

impl Store {
    /// What the log holds of a feed's day: one hash for each event.
    pub async fn known(&self, feed: i64, day: Day) -> Result<Vec<RowHash>, Error> {
        let blobs: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT hashes FROM segment_day WHERE feed_id = ?1 AND day = ?2 ORDER BY seq")
                .bind(feed)
                .bind(day.number())
                .fetch_all(self.read())
                .await?;
        let mut known = Vec::with_capacity(blobs.iter().map(Vec::len).sum::<usize>() / 16);
        for blob in &blobs {
            let (hashes, rest) = blob.as_chunks::<16>();
            if !rest.is_empty() {
                return Err(Error::Damaged("a list of hashes is cut short".to_owned()));
            }
            known.extend(hashes.iter().copied().map(RowHash));
        }
        Ok(known)
    }

    /// Appends events and moves the checkpoint: both or neither, and neither when the lease was lost.
    pub async fn commit_intake(
        &self,
        feed: i64,
        fence: Fence,
        events: NewEvents,
        checkpoint: &Checkpoint,
    ) -> Result<Result<(), Fenced>, Error> {
        let now = self.now();
        let payload = if events.count == 0 {
            None
        } else {
            Some(segment::compress(&events.block)?)
        };
        // A checkpoint that moves over nothing new may be lost with the power: the same read is made again.
        let mut write = if payload.is_some() {
            self.durable().await?
        } else {
            self.soft().await?
        };
        let moved = sqlx::query(
            "UPDATE feed SET
                 checkpoint = ?3, watermark = ?4, last_seq = last_seq + ?5, events = events + ?6,
                 last_collected_at = CASE WHEN ?6 > 0 THEN ?7 ELSE last_collected_at END,
                 last_event_at = CASE WHEN ?8 IS NULL THEN last_event_at
                                      ELSE max(coalesce(last_event_at, ?8), ?8) END
             WHERE id = ?1 AND fence = ?2 AND lease_owner IS NOT NULL
             RETURNING last_seq",
        )
        .bind(feed)
        .bind(fence.0)
        .bind(serde_json::to_string(checkpoint).map_err(damaged("a checkpoint"))?)
        .bind(checkpoint.watermark.as_millisecond())
        .bind(i64::from(payload.is_some()))
        .bind(i64::from(events.count))
        .bind(now)
        .bind(events.newest.map(Timestamp::as_millisecond))
        .fetch_optional(&mut *write)
        .await?;
        let Some(moved) = moved else {
            write.rollback().await?;
            return Ok(Err(Fenced));
        };
        if let Some(payload) = payload {
            let seq: i64 = moved.try_get("last_seq")?;
            sqlx::query(
                "INSERT INTO segment (feed_id, seq, events, payload, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )
            .bind(feed)
            .bind(seq)
            .bind(i64::from(events.count))
            .bind(payload)
            .bind(now)
            .execute(&mut *write)
            .await?;
            for (day, hashes) in events.hashes {
                sqlx::query("INSERT INTO segment_day (feed_id, day, seq, hashes) VALUES (?1, ?2, ?3, ?4)")
                    .bind(feed)
                    .bind(day.number())
                    .bind(seq)
                    .bind(hashes)
                    .execute(&mut *write)
                    .await?;
            }
            delivery::wake_lanes(&mut write, feed, instant(now)?).await?;
            alarms::wake(&mut write, feed, false, instant(now)?).await?;
        }
        write.commit().await?;
        Ok(Ok(()))
    }
}
