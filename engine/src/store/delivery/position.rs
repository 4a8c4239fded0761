//! Positions: staged before a write, moved after it.

use std::time::Duration;

use engine_api::{DeadLetterId, LogType};

use super::Claim;
use crate::{
    model::{FeedKey, Position},
    store::{
        Error, Store,
        sql::{self, Connection},
        time::word,
    },
};

/// A feed with events that a destination has not acknowledged.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The feed's number in the store.
    pub feed_id: i64,
    /// The feed.
    pub feed: FeedKey,
    /// The source's name.
    pub source_name: String,
    /// How far the destination has it.
    pub position: Position,
    /// The end of the batch that was being written when the last attempt ended.
    pub staged: Option<Position>,
}

/// What became of a write that names a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Moved {
    /// It is done.
    Done,
    /// The feed is no longer delivered here, or its position is another: nothing was changed.
    Gone,
    /// The lane was claimed by another: nothing was changed, and nothing more may be written.
    Fenced,
}

/// An event that the destination refused for good.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The dead letter's id.
    pub id: DeadLetterId,
    /// The event's own id.
    pub event_id: String,
    /// The event, as it can be read again without the log.
    pub event: Vec<u8>,
    /// The event as it was sent.
    pub sent: String,
    /// The destination's words.
    pub reason: String,
}

/// A step of a position.
#[derive(Debug)]
pub struct Settlement<'a> {
    /// The feed's number in the store.
    pub feed_id: i64,
    /// Where the batch began.
    pub from: Position,
    /// Where it ended.
    pub to: Position,
    /// What the adapter must find again from now on.
    pub settled: Option<&'a str>,
    /// The one event of the batch, where it was refused. Otherwise all of them were acknowledged.
    pub refused: Option<&'a Refusal>,
}

impl Store {
    /// Feeds with events that a destination has not acknowledged, the longest waiting first.
    pub async fn pending_feeds(&self, claim: &Claim, limit: u32) -> Result<Vec<Pending>, Error> {
        type Found = (i64, String, String, String, i64, u32, Option<i64>, Option<u32>);
        let rows: Vec<Found> = sql::query_as(
            "SELECT p.feed_id, f.source_id, f.log_type, o.name, p.seq, p.idx, p.staged_seq, p.staged_idx
             FROM position p JOIN feed f ON f.id = p.feed_id JOIN object o ON o.id = f.source_id
             WHERE p.destination_id = $1 AND p.seq <= f.last_seq
             ORDER BY COALESCE(p.last_delivered_at, 0), p.feed_id LIMIT $2",
        )
        .bind(claim.destination.as_str())
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.into_iter()
            .map(
                |(feed_id, source, log_type, source_name, seq, index, staged_seq, staged_index)| {
                    Ok(Pending {
                        feed_id,
                        feed: FeedKey {
                            source: word(&source, |text| text.parse().ok())?,
                            log_type: word(&log_type, LogType::from_word)?,
                        },
                        source_name,
                        position: Position { seq, index },
                        staged: staged_seq
                            .zip(staged_index)
                            .map(|(seq, index)| Position { seq, index }),
                    })
                },
            )
            .collect()
    }

    /// Puts on disk which batch is going to be written (law L5) and what the adapter must find again, and renews the
    /// lease.
    ///
    /// # Cancel safety
    ///
    /// The bounds may have been stored: the next claim then writes that batch first.
    pub async fn stage(
        &self,
        claim: &Claim,
        lease: Duration,
        pending: &Pending,
        end: Position,
        settled: Option<&str>,
    ) -> Result<Moved, Error> {
        debug_assert!(end > pending.position, "a batch ends after it begins");
        let mut write = self.durable().await?;
        if !self.touch(&mut write, claim, lease, settled).await? {
            return Ok(Moved::Fenced);
        }
        let staged = sql::query(
            "UPDATE position SET staged_seq = $5, staged_idx = $6
             WHERE destination_id = $1 AND feed_id = $2 AND seq = $3 AND idx = $4",
        )
        .bind(claim.destination.as_str())
        .bind(pending.feed_id)
        .bind(pending.position.seq)
        .bind(pending.position.index)
        .bind(end.seq)
        .bind(end.index)
        .execute(&mut *write)
        .await?
        .rows_affected();
        if staged == 0 {
            write.rollback().await?;
            return Ok(Moved::Gone);
        }
        write.commit().await?;
        Ok(Moved::Done)
    }

    /// As [`Store::stage`], for a dead letter that is sent again: it has no bounds in a log.
    pub async fn stage_replay(
        &self,
        claim: &Claim,
        lease: Duration,
        settled: Option<&str>,
    ) -> Result<Moved, Error> {
        let mut write = self.durable().await?;
        if !self.touch(&mut write, claim, lease, settled).await? {
            return Ok(Moved::Fenced);
        }
        write.commit().await?;
        Ok(Moved::Done)
    }

    /// Moves a position over a batch that was acknowledged, or over one event that was refused for good and becomes a
    /// dead letter in the same transaction.
    ///
    /// # Cancel safety
    ///
    /// Either all of it happened or nothing; where nothing did, the batch is written again.
    pub async fn settle(&self, claim: &Claim, settlement: &Settlement<'_>) -> Result<Moved, Error> {
        let Settlement {
            feed_id,
            from,
            to,
            settled,
            refused,
        } = settlement;
        debug_assert!(to > from, "a position moves forward");
        let now = self.now();
        let delivered = refused.is_none();
        let mut write = self.durable().await?;
        if !answered(&mut write, claim, *settled, delivered.then_some(now)).await? {
            return Ok(Moved::Fenced);
        }
        let moved = sql::query(
            "UPDATE position SET seq = $5, idx = $6, staged_seq = NULL, staged_idx = NULL,
                 last_delivered_at = COALESCE($7, last_delivered_at)
             WHERE destination_id = $1 AND feed_id = $2 AND seq = $3 AND idx = $4",
        )
        .bind(claim.destination.as_str())
        .bind(feed_id)
        .bind(from.seq)
        .bind(from.index)
        .bind(to.seq)
        .bind(to.index)
        .bind(delivered.then_some(now))
        .execute(&mut *write)
        .await?
        .rows_affected();
        if let Some(refusal) = refused.filter(|_| moved == 1) {
            sql::query(
                "INSERT INTO dead_letter (id, feed_id, destination_id, event_id, event, sent, reason, refused_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (destination_id, event_id) DO UPDATE SET sent = $6, reason = $7, refused_at = $8",
            )
            .bind(refusal.id.as_str())
            .bind(feed_id)
            .bind(claim.destination.as_str())
            .bind(&refusal.event_id)
            .bind(&refusal.event)
            .bind(&refusal.sent)
            .bind(&refusal.reason)
            .bind(now)
            .execute(&mut *write)
            .await?;
        }
        // Where the position is gone, the lane's part still counts: the file is as long as it is.
        write.commit().await?;
        Ok(if moved == 1 { Moved::Done } else { Moved::Gone })
    }

    /// Moves a position over events that the destination does not want, and renews the lease. That is no delivery, and
    /// no answer of the destination.
    ///
    /// # Cancel safety
    ///
    /// Either the position moved or it did not; where it did not, the same events are passed again.
    pub async fn pass(
        &self,
        claim: &Claim,
        lease: Duration,
        pending: &Pending,
        to: Position,
    ) -> Result<Moved, Error> {
        debug_assert!(to > pending.position, "a position moves forward");
        let mut write = self.soft().await?;
        let renewed = sql::query(
            "UPDATE lane SET lease_until = $3
             WHERE destination_id = $1 AND fence = $2 AND lease_owner IS NOT NULL",
        )
        .bind(claim.destination.as_str())
        .bind(claim.fence.0)
        .bind(self.lease_end(lease))
        .execute(&mut *write)
        .await?
        .rows_affected();
        if renewed == 0 {
            return Ok(Moved::Fenced);
        }
        let moved = sql::query(
            "UPDATE position SET seq = $5, idx = $6, staged_seq = NULL, staged_idx = NULL
             WHERE destination_id = $1 AND feed_id = $2 AND seq = $3 AND idx = $4",
        )
        .bind(claim.destination.as_str())
        .bind(pending.feed_id)
        .bind(pending.position.seq)
        .bind(pending.position.index)
        .bind(to.seq)
        .bind(to.index)
        .execute(&mut *write)
        .await?
        .rows_affected();
        write.commit().await?;
        Ok(if moved == 1 { Moved::Done } else { Moved::Gone })
    }

    /// Renews the lease and notes that a write begins; `false` where the lane is another's now.
    pub(super) async fn touch(
        &self,
        write: &mut Connection,
        claim: &Claim,
        lease: Duration,
        settled: Option<&str>,
    ) -> Result<bool, Error> {
        let touched = sql::query(
            "UPDATE lane SET lease_until = $3, writing = 1, settled = COALESCE($4, settled)
             WHERE destination_id = $1 AND fence = $2 AND lease_owner IS NOT NULL",
        )
        .bind(claim.destination.as_str())
        .bind(claim.fence.0)
        .bind(self.lease_end(lease))
        .bind(settled)
        .execute(write)
        .await?;
        Ok(touched.rows_affected() == 1)
    }
}

/// Notes on the lane that the destination answered, which ends its failures, and with a delivery its trouble; `false`
/// where the lane is another's now.
pub(in crate::store) async fn answered(
    write: &mut Connection,
    claim: &Claim,
    settled: Option<&str>,
    delivered_at: Option<i64>,
) -> Result<bool, Error> {
    let noted = sql::query(
        "UPDATE lane SET settled = COALESCE($3, settled), writing = 0, failures = 0,
             last_delivered_at = COALESCE($4, last_delivered_at),
             trouble_code = CASE WHEN $4 IS NULL THEN trouble_code END,
             trouble_detail = CASE WHEN $4 IS NULL THEN trouble_detail END,
             trouble_since = CASE WHEN $4 IS NULL THEN trouble_since END
         WHERE destination_id = $1 AND fence = $2 AND lease_owner IS NOT NULL",
    )
    .bind(claim.destination.as_str())
    .bind(claim.fence.0)
    .bind(settled)
    .bind(delivered_at)
    .execute(write)
    .await?;
    Ok(noted.rows_affected() == 1)
}
