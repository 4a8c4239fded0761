//! What the store forgets: segments that everybody has, days that Zoom has forgotten, notices that are done.

use std::collections::BTreeSet;

use engine_api::SourceSpec;
use jiff::{SignedDuration, Timestamp};

use super::{
    Error, Store,
    sql::{self, Connection, Pool, Transaction, Turn},
    time::millis,
};
use crate::model::Day;

/// Notices that were sent or given up are kept so long, for whoever asks what was told when.
const FINISHED_NOTICES: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Backfills that ended are shown so long.
const FINISHED_BACKFILLS: SignedDuration = SignedDuration::from_hours(90 * 24);

/// So many days beyond what a read can still ask for are remembered: a clock may be wrong, and a row may be dated
/// into the day before.
const SLACK_DAYS: i32 = 3;

/// So many rows of one day are joined while further ones are to come.
const WORTH_JOINING: usize = 64;

impl Store {
    /// Drops at most `limit` segments that are older than `before` and that every position of their feed has passed;
    /// answers how many. The prints of their events stay.
    pub async fn drop_segments(&self, before: Timestamp, limit: u32) -> Result<usize, Error> {
        let mut write = self.forget().await?;
        let dropped: Vec<(i64, i64)> = sql::query_as(
            "DELETE FROM segment WHERE (feed_id, seq) IN (
                 SELECT s.feed_id, s.seq FROM segment s
                 WHERE s.created_at < $1
                   AND NOT EXISTS (SELECT 1 FROM position p WHERE p.feed_id = s.feed_id AND p.seq <= s.seq)
                 ORDER BY s.created_at LIMIT $2)
             RETURNING feed_id, seq",
        )
        .bind(millis(before))
        .bind(limit)
        .fetch_all(&mut *write)
        .await?;
        let mut touched = BTreeSet::new();
        for (feed, seq) in &dropped {
            let days: Vec<i32> =
                sql::query_scalar("SELECT day FROM segment_day WHERE feed_id = $1 AND seq = $2")
                    .bind(feed)
                    .bind(seq)
                    .fetch_all(&mut *write)
                    .await?;
            touched.extend(days.into_iter().map(|day| (*feed, day)));
        }
        for (feed, day) in touched {
            join_day(&mut write, feed, day).await?;
        }
        write.commit().await?;
        Ok(dropped.len())
    }

    /// Forgets the prints of days that Zoom has forgotten, and backfills that ended long ago; answers how many rows
    /// went. Prints of rows without a time stay: nobody can tell how old those are.
    pub async fn forget_old_days(&self, now: Timestamp) -> Result<u64, Error> {
        let oldest = Day::from_date(SourceSpec::oldest_day(now)).plus(-SLACK_DAYS);
        let ended = now.saturating_sub(FINISHED_BACKFILLS).unwrap_or(Timestamp::MIN);
        let mut write = self.forget().await?;
        let prints = sql::query(
            "DELETE FROM segment_day WHERE day < $1 AND day <> $2
                 AND NOT EXISTS (SELECT 1 FROM segment s
                                 WHERE s.feed_id = segment_day.feed_id AND s.seq = segment_day.seq)",
        )
        .bind(oldest.number())
        .bind(Day::UNDATED.number())
        .execute(&mut *write)
        .await?
        .rows_affected();
        let backfills = sql::query("DELETE FROM backfill WHERE finished_at < $1")
            .bind(millis(ended))
            .execute(&mut *write)
            .await?
            .rows_affected();
        write.commit().await?;
        Ok(prints + backfills)
    }

    /// Removes notices that were sent or given up long ago.
    pub async fn drop_finished_notices(&self, now: Timestamp) -> Result<u64, Error> {
        let edge = millis(now.saturating_sub(FINISHED_NOTICES).unwrap_or(Timestamp::MIN));
        let mut write = self.forget().await?;
        let dropped = sql::query("DELETE FROM notice WHERE COALESCE(sent_at, given_up_at) < $1")
            .bind(edge)
            .execute(&mut *write)
            .await?
            .rows_affected();
        write.commit().await?;
        Ok(dropped)
    }

    /// Begins to forget: one engine at a time, so that none joins what another has joined.
    async fn forget(&self) -> Result<Transaction, Error> {
        let mut write = self.soft().await?;
        write.lock(Turn::Forget).await?;
        Ok(write)
    }

    /// Gives some free pages back to the file system; answers whether there are more. A small step, because nobody
    /// else can write meanwhile.
    pub async fn vacuum(&self) -> Result<bool, Error> {
        let mut connection = match &self.shared.soft {
            // It reuses and gives back by itself.
            Pool::Postgres(_) => return Ok(false),
            sqlite @ Pool::Sqlite(_) => sqlite.acquire().await?,
        };
        sql::query("PRAGMA incremental_vacuum(1000)")
            .execute(&mut connection)
            .await?;
        let free: i64 = sql::query_scalar("PRAGMA freelist_count")
            .fetch_one(&mut connection)
            .await?;
        Ok(free > 0)
    }
}

/// Joins a day's prints whose segments are gone, in the order of the log, under the last of their numbers: a row for
/// each of them would cost several times the 16 bytes that a print takes. Only where that is worth it, or nothing more
/// of the day is to come.
async fn join_day(write: &mut Connection, feed: i64, day: i32) -> Result<(), Error> {
    let rows: Vec<(i64, bool)> = sql::query_as(
        "SELECT seq, seq < (SELECT coalesce(min(s.seq), 9223372036854775807) FROM segment s WHERE s.feed_id = $1)
         FROM segment_day WHERE feed_id = $1 AND day = $2 ORDER BY seq",
    )
    .bind(feed)
    .bind(day)
    .fetch_all(&mut *write)
    .await?;
    let gone = rows.iter().take_while(|(_, gone)| *gone).count();
    let Some((last, _)) = gone.checked_sub(1).and_then(|last| rows.get(last)) else {
        return Ok(());
    };
    if gone < 2 || (gone < WORTH_JOINING && gone < rows.len()) {
        return Ok(());
    }
    let parts: Vec<Vec<u8>> = sql::query_scalar(
        "SELECT prints FROM segment_day WHERE feed_id = $1 AND day = $2 AND seq <= $3 ORDER BY seq",
    )
    .bind(feed)
    .bind(day)
    .bind(last)
    .fetch_all(&mut *write)
    .await?;
    sql::query("DELETE FROM segment_day WHERE feed_id = $1 AND day = $2 AND seq <= $3")
        .bind(feed)
        .bind(day)
        .bind(last)
        .execute(&mut *write)
        .await?;
    sql::query("INSERT INTO segment_day (feed_id, day, seq, prints) VALUES ($1, $2, $3, $4)")
        .bind(feed)
        .bind(day)
        .bind(last)
        .bind(parts.concat())
        .execute(write)
        .await?;
    Ok(())
}
