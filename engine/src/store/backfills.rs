//! Backfills: older days that are collected behind the tail.

use engine_api::{BackfillFeed, BackfillId, BackfillState, BackfillView, LogType, SourceId};
use jiff::Timestamp;
use serde_json::json;

use super::{
    Error, Store,
    audit::Deed,
    error::damaged,
    sql::{self, Connection, Row},
    time::{instant, word},
};
use crate::model::{Backfill, Day, Window};

/// The backfill of a feed that is to go on.
#[derive(Debug, Clone)]
pub struct RunningBackfill {
    /// Its id.
    pub id: BackfillId,
    /// All its days.
    pub days: Window,
    /// How far it is.
    pub progress: Backfill,
}

/// What a read changes in a backfill.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Which.
    pub backfill: &'a RunningBackfill,
    /// Pages that were read since the last step.
    pub pages: u64,
    /// Nothing is left of it.
    pub done: bool,
}

impl Step<'_> {
    /// Writes the step; `false` where the backfill was cancelled.
    pub(super) async fn write(
        &self,
        write: &mut Connection,
        feed: i64,
        events: u32,
        now: i64,
    ) -> Result<bool, Error> {
        let progress = &self.backfill.progress;
        let written = sql::query(
            "UPDATE backfill SET progress = $3, next_day = $4, events = events + $5, pages = pages + $6,
                 trouble = NULL,
                 state = CASE WHEN $7 = 1 THEN 'done' ELSE state END, finished_at = CASE WHEN $7 = 1 THEN $8 END
             WHERE id = $1 AND feed_id = $2 AND state = 'running'",
        )
        .bind(self.backfill.id.as_str())
        .bind(feed)
        .bind(serde_json::to_string(progress).map_err(damaged("a backfill"))?)
        .bind(progress.next.number())
        .bind(i64::from(events))
        .bind(i64::try_from(self.pages).unwrap_or(i64::MAX))
        .bind(self.done)
        .bind(now)
        .execute(write)
        .await?;
        Ok(written.rows_affected() == 1)
    }
}

/// What became of a wish to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It goes no further; what it collected stays.
    Now,
    /// It had ended before.
    Before,
    /// The source has no such backfill.
    Unknown,
}

impl Store {
    /// Asks for these days of a source's feeds, and makes the feeds due; `false` where it has none of these log types
    /// that is polled.
    pub async fn add_backfill(
        &self,
        id: &BackfillId,
        source: &SourceId,
        log_types: &[LogType],
        days: Window,
    ) -> Result<bool, Error> {
        let now = self.now();
        let mut write = self.change().await?;
        let mut any = false;
        for log_type in log_types {
            let feed: Option<i64> = sql::query_scalar(
                "UPDATE feed SET due_at = min(due_at, $3) WHERE source_id = $1 AND log_type = $2 AND active = 1
                 RETURNING id",
            )
            .bind(source.as_str())
            .bind(log_type.as_str())
            .bind(now)
            .fetch_optional(&mut *write)
            .await?;
            if let Some(feed) = feed {
                any = true;
                insert(&mut write, id, feed, days, now).await?;
            }
        }
        if any {
            let deed = Deed {
                action: "backfill.create",
                target: Some(id.as_str()),
                after: Some(json!({
                    "source_id": source, "log_types": log_types,
                    "from": days.from.date().to_string(), "to": days.to.date().to_string(),
                })),
                ..Deed::default()
            };
            self.note(&mut write, deed).await?;
            write.commit().await?;
        }
        Ok(any)
    }

    /// Ends a backfill where it stands.
    pub async fn cancel_backfill(&self, source: &SourceId, id: &BackfillId) -> Result<Cancelled, Error> {
        let mut write = self.change().await?;
        let cancelled = sql::query(
            "UPDATE backfill SET state = 'cancelled', finished_at = $3 WHERE id = $1 AND state = 'running'
                 AND feed_id IN (SELECT id FROM feed WHERE source_id = $2)",
        )
        .bind(id.as_str())
        .bind(source.as_str())
        .bind(self.now())
        .execute(&mut *write)
        .await?
        .rows_affected();
        if cancelled > 0 {
            let deed = Deed {
                action: "backfill.cancel",
                target: Some(id.as_str()),
                after: Some(json!({ "source_id": source })),
                ..Deed::default()
            };
            self.note(&mut write, deed).await?;
        }
        write.commit().await?;
        if cancelled > 0 {
            return Ok(Cancelled::Now);
        }
        let found = self.backfill(source, id).await?;
        Ok(found.map_or(Cancelled::Unknown, |_| Cancelled::Before))
    }

    /// One backfill of a source.
    pub async fn backfill(&self, source: &SourceId, id: &BackfillId) -> Result<Option<BackfillView>, Error> {
        let rows = sql::query(
            "SELECT b.*, f.log_type FROM backfill b JOIN feed f ON f.id = b.feed_id
             WHERE f.source_id = $1 AND b.id = $2 ORDER BY f.log_type DESC",
        )
        .bind(source.as_str())
        .bind(id.as_str())
        .fetch_all(self.read())
        .await?;
        Ok(views(source, &rows)?.pop())
    }

    /// A source's backfills in the order of their ids, beginning behind `after`; at most `limit`.
    pub async fn backfills(
        &self,
        source: &SourceId,
        after: Option<&BackfillId>,
        limit: u32,
    ) -> Result<Vec<BackfillView>, Error> {
        let rows = sql::query(
            "SELECT b.*, f.log_type FROM backfill b JOIN feed f ON f.id = b.feed_id
             WHERE f.source_id = $1 AND b.id IN (
                 SELECT DISTINCT b.id FROM backfill b JOIN feed f ON f.id = b.feed_id
                 WHERE f.source_id = $1 AND b.id > $2 ORDER BY b.id LIMIT $3)
             ORDER BY b.id, f.log_type DESC",
        )
        .bind(source.as_str())
        .bind(after.map_or("", BackfillId::as_str))
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        views(source, &rows)
    }

    /// Notes why a feed's backfill does not go on; the next read that succeeds takes it away.
    pub async fn note_backfill_trouble(
        &self,
        feed: i64,
        id: &BackfillId,
        trouble: &str,
    ) -> Result<(), Error> {
        let mut write = self.soft().await?;
        sql::query("UPDATE backfill SET trouble = $3 WHERE id = $1 AND feed_id = $2 AND state = 'running'")
            .bind(id.as_str())
            .bind(feed)
            .bind(trouble)
            .execute(&mut *write)
            .await?;
        Ok(write.commit().await?)
    }
}

/// Asks for the days before a feed's start, in the transaction that writes the start.
pub(super) async fn add_older_days(
    write: &mut Connection,
    (source, feed): (&str, i64),
    days: Window,
    now: Timestamp,
) -> Result<(), Error> {
    // The feeds of a source that are changed together share one id.
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"zoom-log-backfill/1\0");
    hasher.update(source.as_bytes());
    hasher.update(&days.from.number().to_le_bytes());
    hasher.update(&now.as_millisecond().to_le_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    let id = BackfillId::from_bytes(bytes);
    insert(write, &id, feed, days, now.as_millisecond()).await
}

/// The backfill of a feed that was asked for first and is not over.
pub(super) async fn running(read: &mut Connection, feed: i64) -> Result<Option<RunningBackfill>, Error> {
    let row = sql::query(
        "SELECT id, from_day, until_day, progress FROM backfill
         WHERE feed_id = $1 AND state = 'running' ORDER BY created_at, id LIMIT 1",
    )
    .bind(feed)
    .fetch_optional(read)
    .await?;
    row.map(|row| {
        let progress: String = row.try_get("progress")?;
        Ok(RunningBackfill {
            id: id(&row)?,
            days: days(&row)?,
            progress: serde_json::from_str(&progress).map_err(damaged("a backfill"))?,
        })
    })
    .transpose()
}

async fn insert(
    write: &mut Connection,
    id: &BackfillId,
    feed: i64,
    days: Window,
    now: i64,
) -> Result<(), Error> {
    let progress = Backfill::new(days);
    sql::query(
        "INSERT INTO backfill (id, feed_id, from_day, until_day, next_day, progress, created_at)
         VALUES ($1, $2, $3, $4, $3, $5, $6)",
    )
    .bind(id.as_str())
    .bind(feed)
    .bind(days.from.number())
    .bind(days.to.number())
    .bind(serde_json::to_string(&progress).map_err(damaged("a backfill"))?)
    .bind(now)
    .execute(write)
    .await?;
    Ok(())
}

/// Puts together the rows of each backfill, which stand beside each other.
fn views(source: &SourceId, rows: &[Row]) -> Result<Vec<BackfillView>, Error> {
    let mut views: Vec<BackfillView> = Vec::new();
    for row in rows {
        let (id, days) = (id(row)?, days(row)?);
        let feed = feed(row, days)?;
        match views.last_mut().filter(|view| view.id == id) {
            Some(view) => {
                view.state = view.state.max(feed.state);
                view.feeds.push(feed);
            }
            None => views.push(BackfillView {
                id,
                source_id: source.clone(),
                from: days.from.date(),
                to: days.to.date(),
                state: feed.state,
                created_at: instant(row.try_get("created_at")?)?,
                feeds: vec![feed],
            }),
        }
    }
    Ok(views)
}

fn feed(row: &Row, days: Window) -> Result<BackfillFeed, Error> {
    let next = Day::from_number(row.try_get("next_day")?);
    let left = days.to.number().saturating_add(1).saturating_sub(next.number());
    let left = u32::try_from(left).unwrap_or_default();
    let total = u32::try_from(days.days()).unwrap_or_default();
    let count = |column| {
        row.try_get::<i64>(column)
            .map(|count| u64::try_from(count).unwrap_or_default())
    };
    Ok(BackfillFeed {
        log_type: word(&row.try_get::<String>("log_type")?, LogType::from_word)?,
        state: word(&row.try_get::<String>("state")?, BackfillState::from_word)?,
        days: total,
        days_done: total.saturating_sub(left),
        events: count("events")?,
        pages: count("pages")?,
        trouble: row.try_get("trouble")?,
        finished_at: row
            .try_get::<Option<i64>>("finished_at")?
            .map(instant)
            .transpose()?,
    })
}

fn id(row: &Row) -> Result<BackfillId, Error> {
    word(&row.try_get::<String>("id")?, |text| text.parse().ok())
}

fn days(row: &Row) -> Result<Window, Error> {
    Ok(Window::new(
        Day::from_number(row.try_get("from_day")?),
        Day::from_number(row.try_get("until_day")?),
    ))
}
