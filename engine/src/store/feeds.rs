//! Feeds: which there are, who polls them, and how they are doing.

use engine_api::{Code, LogType, SourceId, SourceSpec};
use jiff::Timestamp;

use super::{
    Error, Fenced, Store, alarms,
    audit::Deed,
    backfills::{self, RunningBackfill},
    engines,
    error::damaged,
    secrets::{self, SealedSecret},
    sql::{self, Connection, Row},
    time::{instant, maybe_instant},
};
use crate::model::{Checkpoint, Day, FeedKey, Fence};

/// A poll that lies so far in the future, in milliseconds, was made by a clock that has been put back since; what it
/// said about the next one is worth nothing.
const CLOCK_SLACK: i64 = 300_000;

/// What the store knows of a feed's health.
#[derive(Debug, Clone)]
pub struct FeedRow {
    /// The feed's number in the store.
    pub id: i64,
    /// Its log type.
    pub log_type: LogType,
    /// Whether it is polled.
    pub active: bool,
    /// When Zoom was last asked.
    pub last_poll_at: Option<Timestamp>,
    /// When Zoom was last asked with success.
    pub last_success_at: Option<Timestamp>,
    /// When the last new event was collected.
    pub last_collected_at: Option<Timestamp>,
    /// The newest event's own time.
    pub last_event_at: Option<Timestamp>,
    /// Everything published with a time below this instant is in the log.
    pub watermark: Timestamp,
    /// Events in the log since the source was created.
    pub events: u64,
    /// Code, detail and since when, while polls fail.
    pub trouble: Option<(String, String, Timestamp)>,
}

/// A feed that this process may poll until its lease ends.
#[derive(Debug)]
pub struct ClaimedFeed {
    /// The feed's number in the store.
    pub id: i64,
    /// Its key.
    pub key: FeedKey,
    /// The claim's number.
    pub fence: Fence,
    /// When the claim ends.
    pub lease_until: Timestamp,
    /// What its user wrote.
    pub spec: SourceSpec,
    /// The source's sealed secrets by their field.
    pub sealed: Vec<SealedSecret>,
    /// How far it is.
    pub checkpoint: Checkpoint,
    /// Older days that are to be collected.
    pub backfill: Option<RunningBackfill>,
    /// Polls that failed in a row.
    pub failures: u32,
    /// When it wanted to be polled.
    pub due_at: Timestamp,
    /// When its last poll began.
    pub last_poll_at: Option<Timestamp>,
}

/// How a poll went, for the feed's health.
#[derive(Debug, Clone)]
pub enum PollEnd {
    /// Zoom answered.
    Succeeded,
    /// Nothing was asked, for a reason that is no failure of the collection: neither a success nor a failure.
    Waiting {
        /// The reason's code.
        code: Code,
        /// Why, in a sentence.
        detail: String,
    },
    /// It failed.
    Failed {
        /// The error's code.
        code: Code,
        /// What happened and what to do.
        detail: String,
    },
}

impl Store {
    /// Claims the feed that has been due for the longest, until `until`. A lease that has ended may be taken over.
    pub async fn claim_feed(&self, owner: &str, until: Timestamp) -> Result<Option<ClaimedFeed>, Error> {
        let now = self.now();
        // Most looks find nothing; only one that may find something waits for the writer's turn. Each half goes by an
        // index of its own, however many feeds there are.
        let due: bool = sql::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM feed
                 WHERE active = 1 AND due_at <= $1 AND (lease_until IS NULL OR lease_until <= $1))
             OR EXISTS (SELECT 1 FROM feed
                 WHERE active = 1 AND last_poll_at > $2 AND (lease_until IS NULL OR lease_until <= $1))",
        )
        .bind(now)
        .bind(now + CLOCK_SLACK)
        .fetch_one(self.read())
        .await?;
        if !due {
            return Ok(None);
        }
        let mut write = self.soft().await?;
        let row = sql::query(sql::skip_locked!(
            "UPDATE feed SET lease_owner = $1, lease_until = $2, fence = fence + 1 WHERE id = coalesce(
                 (SELECT id FROM feed
                  WHERE active = 1 AND due_at <= $3 AND (lease_until IS NULL OR lease_until <= $3)"
                { " AND (get_bit($5, slot(source_id)) = 1 OR due_at <= $3 - $6)" }
            " ORDER BY due_at LIMIT 1"
                { " FOR UPDATE SKIP LOCKED" }
            "),
                 (SELECT id FROM feed
                  WHERE active = 1 AND last_poll_at > $4 AND (lease_until IS NULL OR lease_until <= $3) LIMIT 1"
                { " FOR UPDATE SKIP LOCKED" }
            "))
             RETURNING id, source_id, log_type, fence, checkpoint, failures, due_at, last_poll_at"
        ))
        .bind(owner)
        .bind(until.as_millisecond())
        .bind(now)
        .bind(now + CLOCK_SLACK)
        .bind(self.shared.homes.get())
        .bind(engines::GRACE)
        .fetch_optional(&mut *write)
        .await?;
        let Some(row) = row else {
            write.rollback().await?;
            return Ok(None);
        };
        let source: String = row.try_get("source_id")?;
        let spec: String = sql::query_scalar("SELECT spec FROM object WHERE id = $1")
            .bind(&source)
            .fetch_one(&mut *write)
            .await?;
        let sealed = secrets::of(&mut write, &source).await?;
        let backfill = backfills::running(&mut write, row.try_get("id")?).await?;
        write.commit().await?;
        Ok(Some(ClaimedFeed {
            id: row.try_get("id")?,
            key: FeedKey {
                source: source_id(&source)?,
                log_type: log_type(&row)?,
            },
            fence: Fence(row.try_get("fence")?),
            lease_until: until,
            spec: serde_json::from_str(&spec).map_err(damaged("a source's spec"))?,
            sealed,
            checkpoint: checkpoint(&row)?,
            backfill,
            failures: row.try_get("failures")?,
            due_at: instant(row.try_get("due_at")?)?,
            last_poll_at: maybe_instant(row.try_get("last_poll_at")?)?,
        }))
    }

    /// Whether at least so many feeds have been due since before `since`.
    pub async fn are_waiting(&self, since: Timestamp, feeds: u32) -> Result<bool, Error> {
        let waiting: i64 = sql::query_scalar(
            "SELECT count(*) FROM (SELECT 1 FROM feed WHERE active = 1 AND due_at < $1 LIMIT $2) AS waiting",
        )
        .bind(since.as_millisecond())
        .bind(feeds)
        .fetch_one(self.read())
        .await?;
        Ok(waiting >= i64::from(feeds))
    }

    /// When the next feed wants to be polled; `None` when there is none.
    pub async fn next_feed_due(&self) -> Result<Option<Timestamp>, Error> {
        // A leased feed is looked at again when its lease ends: its holder may have died. There are as many as are polled
        // at once. Of the others the first in the index are enough, also where these have their home elsewhere.
        let due: Option<i64> = sql::query_scalar(sql::skip_locked!(
            "SELECT min(due) FROM (
                 SELECT due_at" { " + (1 - get_bit($1, slot(source_id))) * $2" }
            " AS due FROM (SELECT due_at, source_id FROM feed WHERE active = 1 AND lease_until IS NULL
                     ORDER BY due_at LIMIT 64) AS free
                 UNION ALL SELECT max(due_at, lease_until) FROM feed WHERE active = 1 AND lease_until IS NOT NULL) AS next"
        ))
        .bind(self.shared.homes.get())
        .bind(engines::GRACE)
        .fetch_one(self.read())
        .await?;
        self.look_again(due)
    }

    /// Keeps a claim for longer.
    pub async fn renew_feed(
        &self,
        id: i64,
        fence: Fence,
        until: Timestamp,
    ) -> Result<Result<(), Fenced>, Error> {
        let mut write = self.soft().await?;
        let renewed = sql::query(
            "UPDATE feed SET lease_until = $3 WHERE id = $1 AND fence = $2 AND lease_owner IS NOT NULL",
        )
        .bind(id)
        .bind(fence.0)
        .bind(until.as_millisecond())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(if renewed.rows_affected() == 1 {
            Ok(())
        } else {
            Err(Fenced)
        })
    }

    /// Ends a claim: notes how the poll went and when the next one is wanted.
    ///
    /// A wish to be polled now that came in meanwhile has set `due_at` to after the poll began; it is kept.
    pub async fn release_feed(
        &self,
        id: i64,
        fence: Fence,
        began: Timestamp,
        due_at: Timestamp,
        end: &PollEnd,
    ) -> Result<Result<(), Fenced>, Error> {
        let (code, detail) = match end {
            PollEnd::Succeeded => (None, None),
            PollEnd::Waiting { code, detail } | PollEnd::Failed { code, detail } => {
                (Some(code.as_str()), Some(detail.as_str()))
            }
        };
        let mut write = self.soft().await?;
        let before: Option<Option<String>> = sql::query_scalar("SELECT trouble_code FROM feed WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *write)
            .await?;
        let released = sql::query(
            "UPDATE feed SET
                 lease_owner = NULL, lease_until = NULL, last_poll_at = $3,
                 due_at = CASE WHEN due_at > $3 THEN due_at ELSE $4 END,
                 last_success_at = CASE WHEN $5 = 1 THEN $3 ELSE last_success_at END,
                 failures = CASE WHEN $5 = 1 THEN 0 WHEN $6 = 1 THEN failures + 1 ELSE failures END,
                 trouble_since = CASE WHEN $7 IS NULL THEN NULL
                                      WHEN trouble_code = $7 THEN trouble_since ELSE $3 END,
                 trouble_code = $7, trouble_detail = $8
             WHERE id = $1 AND fence = $2 AND lease_owner IS NOT NULL",
        )
        .bind(id)
        .bind(fence.0)
        .bind(began.as_millisecond())
        .bind(due_at.as_millisecond())
        .bind(matches!(end, PollEnd::Succeeded))
        .bind(matches!(end, PollEnd::Failed { .. }))
        .bind(code)
        .bind(detail)
        .execute(&mut *write)
        .await?;
        let changed = before.flatten().as_deref() != code;
        alarms::wake(&mut write, id, changed, instant(self.now())?).await?;
        write.commit().await?;
        Ok(if released.rows_affected() == 1 {
            Ok(())
        } else {
            Err(Fenced)
        })
    }

    /// Ends a claim without a word about how the poll went: it was broken off, and the feed is still due, or it is not
    /// before `due_at`.
    pub async fn hand_back_feed(
        &self,
        id: i64,
        fence: Fence,
        due_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let mut write = self.soft().await?;
        sql::query(
            "UPDATE feed SET lease_owner = NULL, lease_until = NULL, due_at = coalesce($3, due_at)
             WHERE id = $1 AND fence = $2",
        )
        .bind(id)
        .bind(fence.0)
        .bind(due_at.map(Timestamp::as_millisecond))
        .execute(&mut *write)
        .await?;
        Ok(write.commit().await?)
    }

    /// Makes all feeds of a source due now; `false` when it has none that are polled.
    pub async fn poll_now(&self, source: &str) -> Result<bool, Error> {
        let mut write = self.change().await?;
        let due = sql::query("UPDATE feed SET due_at = $2 WHERE source_id = $1 AND active = 1")
            .bind(source)
            .bind(self.now() + 1)
            .execute(&mut *write)
            .await?;
        if due.rows_affected() > 0 {
            let deed = Deed {
                action: "source.poll",
                target: Some(source),
                ..Deed::default()
            };
            self.note(&mut write, deed).await?;
        }
        write.commit().await?;
        Ok(due.rows_affected() > 0)
    }

    /// The feeds of a source, by log type.
    pub async fn feed_rows(&self, source: &str) -> Result<Vec<FeedRow>, Error> {
        let rows = sql::query(
            "SELECT id, log_type, active, last_poll_at, last_success_at, last_collected_at, last_event_at,
                    watermark, events, trouble_code, trouble_detail, trouble_since
             FROM feed WHERE source_id = $1 ORDER BY log_type DESC",
        )
        .bind(source)
        .fetch_all(self.read())
        .await?;
        rows.iter().map(feed_row).collect()
    }

    /// The polled feeds whose polls fail, of up to `sources` sources whose ids come after `after`, by source.
    pub async fn troubled_feeds(
        &self,
        after: Option<&str>,
        sources: u32,
    ) -> Result<Vec<(String, FeedRow)>, Error> {
        let rows = sql::query(
            "SELECT source_id, id, log_type, active, last_poll_at, last_success_at, last_collected_at, last_event_at,
                    watermark, events, trouble_code, trouble_detail, trouble_since
             FROM feed WHERE active = 1 AND trouble_code IS NOT NULL AND source_id IN (
                 SELECT DISTINCT source_id FROM feed
                 WHERE active = 1 AND trouble_code IS NOT NULL AND source_id > $1 ORDER BY source_id LIMIT $2)
             ORDER BY source_id, log_type DESC",
        )
        .bind(after.unwrap_or_default())
        .bind(sources)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get("source_id")?, feed_row(row)?)))
            .collect()
    }
}

/// Makes a source's feeds follow its spec, in the transaction that writes the spec.
///
/// A log type that is no longer named keeps its feed, switched off: when it is named again it goes on from its
/// checkpoint, and nothing between is lost.
pub(super) async fn sync_feeds(
    write: &mut Connection,
    source: &str,
    spec: &SourceSpec,
    now: Timestamp,
) -> Result<(), Error> {
    for log_type in LogType::ALL {
        let active = spec.enabled && spec.log_types.contains(&log_type);
        let found =
            sql::query("SELECT id, checkpoint, created_at FROM feed WHERE source_id = $1 AND log_type = $2")
                .bind(source)
                .bind(log_type.as_str())
                .fetch_optional(&mut *write)
                .await?;
        let (feed, older) = match found {
            None if spec.log_types.contains(&log_type) => {
                let (checkpoint, older) = Checkpoint::new(Day::from_date(spec.start_day(now)), now);
                let feed = sql::query_scalar(
                    "INSERT INTO feed (source_id, log_type, active, due_at, checkpoint, watermark, created_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $4) RETURNING id",
                )
                .bind(source)
                .bind(log_type.as_str())
                .bind(active)
                .bind(now.as_millisecond())
                .bind(serde_json::to_string(&checkpoint).map_err(damaged("a checkpoint"))?)
                .bind(checkpoint.watermark.as_millisecond())
                .fetch_one(&mut *write)
                .await?;
                (feed, older)
            }
            None => continue,
            Some(row) => {
                let mut checkpoint = checkpoint(&row)?;
                let created = instant(row.try_get("created_at")?)?;
                let older = checkpoint.start_moved(Day::from_date(spec.start_day(created)));
                let feed: i64 = row.try_get("id")?;
                // Whoever polls with the old spec and its credentials is fenced, and the feed is due at once.
                sql::query(
                    "UPDATE feed SET active = $2, due_at = $3, checkpoint = $4,
                         fence = fence + 1, lease_owner = NULL, lease_until = NULL
                     WHERE id = $1",
                )
                .bind(feed)
                .bind(active)
                .bind(now.as_millisecond())
                .bind(serde_json::to_string(&checkpoint).map_err(damaged("a checkpoint"))?)
                .execute(&mut *write)
                .await?;
                (feed, older)
            }
        };
        if let Some(days) = older {
            backfills::add_older_days(write, (source, feed), days, now).await?;
        }
    }
    Ok(())
}

fn feed_row(row: &Row) -> Result<FeedRow, Error> {
    let time = |column: &str| -> Result<Option<Timestamp>, Error> {
        row.try_get::<Option<i64>>(column)?.map(instant).transpose()
    };
    let trouble = match (
        row.try_get("trouble_code")?,
        row.try_get("trouble_detail")?,
        time("trouble_since")?,
    ) {
        (Some(code), Some(detail), Some(since)) => Some((code, detail, since)),
        _ => None,
    };
    Ok(FeedRow {
        id: row.try_get("id")?,
        log_type: log_type(row)?,
        active: row.try_get("active")?,
        last_poll_at: time("last_poll_at")?,
        last_success_at: time("last_success_at")?,
        last_collected_at: time("last_collected_at")?,
        last_event_at: time("last_event_at")?,
        watermark: instant(row.try_get("watermark")?)?,
        events: u64::try_from(row.try_get::<i64>("events")?).unwrap_or_default(),
        trouble,
    })
}

fn log_type(row: &Row) -> Result<LogType, Error> {
    let word: String = row.try_get("log_type")?;
    LogType::from_word(&word).ok_or_else(|| Error::Damaged(format!("`{word}` is not a log type")))
}

fn source_id(text: &str) -> Result<SourceId, Error> {
    text.parse().map_err(damaged("a source's id"))
}

fn checkpoint(row: &Row) -> Result<Checkpoint, Error> {
    let text: String = row.try_get("checkpoint")?;
    let checkpoint: Checkpoint = serde_json::from_str(&text).map_err(damaged("a checkpoint"))?;
    if checkpoint.version != Checkpoint::VERSION {
        return Err(Error::Damaged(format!(
            "a checkpoint of form {} is not one of this engine",
            checkpoint.version
        )));
    }
    Ok(checkpoint)
}
