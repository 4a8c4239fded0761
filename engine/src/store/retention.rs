//! What the store forgets: payloads that everybody has, and notices that are done.

use jiff::{SignedDuration, Timestamp};

use super::{Error, Store, time::millis};

/// Notices that were sent or given up are kept so long, for whoever asks what was told when.
const FINISHED_NOTICES: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Store {
    /// Drops the payload of at most `limit` segments that are older than `before` and that every position of their
    /// feed has passed; answers how many. The identities of their events stay.
    pub async fn drop_payloads(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let mut write = self.soft().await?;
        let dropped = sqlx::query(
            "UPDATE segment SET payload = NULL WHERE rowid IN (
                 SELECT s.rowid FROM segment s
                 WHERE s.payload IS NOT NULL AND s.created_at < ?1
                   AND NOT EXISTS (SELECT 1 FROM position p WHERE p.feed_id = s.feed_id AND p.seq <= s.seq)
                 ORDER BY s.created_at LIMIT ?2)",
        )
        .bind(millis(before))
        .bind(limit)
        .execute(&mut *write)
        .await?
        .rows_affected();
        write.commit().await?;
        Ok(dropped)
    }

    /// Removes notices that were sent or given up long ago.
    pub async fn drop_finished_notices(&self, now: Timestamp) -> Result<u64, Error> {
        let edge = millis(now.saturating_sub(FINISHED_NOTICES).unwrap_or(Timestamp::MIN));
        let mut write = self.soft().await?;
        let dropped = sqlx::query("DELETE FROM notice WHERE COALESCE(sent_at, given_up_at) < ?1")
            .bind(edge)
            .execute(&mut *write)
            .await?
            .rows_affected();
        write.commit().await?;
        Ok(dropped)
    }

    /// Gives some free pages back to the file system; answers whether there are more. A small step, because nobody
    /// else can write meanwhile.
    pub async fn vacuum(&self) -> Result<bool, Error> {
        let mut connection = self.shared.soft.acquire().await?;
        sqlx::query("PRAGMA incremental_vacuum(1000)")
            .execute(&mut *connection)
            .await?;
        let free: i64 = sqlx::query_scalar("PRAGMA freelist_count")
            .fetch_one(&mut *connection)
            .await?;
        Ok(free > 0)
    }
}
