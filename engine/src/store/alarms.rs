//! Drop-off alarms: one row for each feed that is collected and whose source has the alarm configured.
//!
//! An alarm is read, judged and changed in one transaction, so that no event can be appended between the look and the
//! verdict. A change of state writes its notices in that same transaction, guarded by the old state: each transition
//! is noted exactly once (law L7), however many engines judge.

use engine_api::{AlarmState, AlarmStatus, DropOffAlarm, LogType, SourceId, SourceSpec, Trouble};
use jiff::Timestamp;

use super::{
    Error, Store,
    delivery::trouble,
    notices::{self, NewNotice},
    sql::{self, Connection, Row},
    time::{count, instant, maybe_instant, millis, word},
};
use crate::model::FeedKey;

/// How long an alarm whose source cannot be read is left alone.
const UNREADABLE_PAUSE_MS: i64 = 3_600_000;

/// An alarm that is due, with all that it is judged by.
#[derive(Debug, Clone)]
pub struct Alarmed {
    /// The feed.
    pub feed: FeedKey,
    /// The source's name.
    pub source_name: String,
    /// The alarm as its source declares it.
    pub spec: DropOffAlarm,
    /// Its state until now.
    pub state: AlarmState,
    /// Since when.
    pub since: Timestamp,
    /// Its cause until now.
    pub cause: String,
    /// Since when the feed is watched.
    pub began_at: Timestamp,
    /// When Zoom was last asked with success.
    pub last_success_at: Option<Timestamp>,
    /// When the last new event was appended.
    pub last_collected_at: Option<Timestamp>,
    /// The newest event's own time.
    pub last_event_at: Option<Timestamp>,
    /// What is wrong with the feed.
    pub trouble: Option<Trouble>,
    /// The destination that has been waited for longest, where one has not taken the feed's events.
    pub undelivered: Option<Undelivered>,
}

/// Events that a destination has not taken yet.
#[derive(Debug, Clone)]
pub struct Undelivered {
    /// The destination's name.
    pub destination: String,
    /// Since when it is waited for: it has taken nothing since, and what it is to take next has been there since.
    pub since: Timestamp,
    /// What is wrong with it.
    pub trouble: Option<Trouble>,
}

/// What an alarm is from now on.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Its state.
    pub state: AlarmState,
    /// Why, in words.
    pub cause: String,
    /// When it is to be judged next.
    pub due_at: Timestamp,
    /// What is sent because of it; only where the state changes.
    pub notices: Vec<NewNotice>,
}

/// What an activation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Alarms that were judged.
    pub judged: usize,
    /// Notices that were written.
    pub notices: usize,
}

/// Makes the alarms of a source what its spec says. To be called whenever the source's spec is written, after its
/// feeds are. A feed that is not collected has no alarm; one that is collected anew is watched from now on.
pub(super) async fn sync(
    tx: &mut Connection,
    source: &SourceId,
    alarm: Option<&DropOffAlarm>,
    now: Timestamp,
) -> Result<(), Error> {
    sql::query(
        "DELETE FROM alarm WHERE feed_id IN (SELECT id FROM feed WHERE source_id = $1 AND ($2 = 0 OR active = 0))",
    )
    .bind(source.as_str())
    .bind(alarm.is_some())
    .execute(&mut *tx)
    .await?;
    if alarm.is_some() {
        sql::query(
            "INSERT INTO alarm (feed_id, state, since, began_at, cause, due_at)
             SELECT id, 'insufficient_data', $2, $2, 'it is too early to tell', $2 FROM feed
             WHERE source_id = $1 AND active = 1
             ON CONFLICT (feed_id) DO UPDATE SET due_at = MIN(alarm.due_at, $2)",
        )
        .bind(source.as_str())
        .bind(millis(now))
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Says that a poll of a feed ended. To be called in the transaction that stores its outcome; `changed` says that its
/// trouble began, ended or became another. An alarm that is `ok` needs no look for a poll that went well: what
/// arrives only puts off the instant at which it is due.
pub(super) async fn wake(
    tx: &mut Connection,
    feed_id: i64,
    changed: bool,
    now: Timestamp,
) -> Result<(), Error> {
    sql::query(
        "UPDATE alarm SET due_at = $3 WHERE feed_id = $1 AND due_at > $3 AND ($2 = 1 OR state <> 'ok')",
    )
    .bind(feed_id)
    .bind(changed)
    .bind(millis(now))
    .execute(tx)
    .await?;
    Ok(())
}

impl Store {
    /// Judges the alarms that are due, at most `limit`, and stores the verdicts.
    ///
    /// # Cancel safety
    ///
    /// Either all of the round happened or nothing.
    pub async fn judge_alarms(
        &self,
        limit: u32,
        judge: impl Fn(&Alarmed) -> Judged + Send,
    ) -> Result<Round, Error> {
        // Nearly always there is nothing to do, and then there is no reason to wait for the writing connection.
        if self.alarm_due().await?.is_none_or(|due| due > self.now()) {
            return Ok(Round::default());
        }
        let mut write = self.durable().await?;
        let now = self.now();
        let mut round = Round::default();
        for (feed_id, alarm) in due(&mut write, now, limit).await? {
            round.judged += 1;
            match alarm {
                Ok(alarm) => round.notices += apply(&mut write, feed_id, &alarm, judge(&alarm), now).await?,
                Err(error) => {
                    tracing::error!(feed_id, error = error.chain(), "alarm cannot be judged");
                    sql::query("UPDATE alarm SET due_at = $2 WHERE feed_id = $1")
                        .bind(feed_id)
                        .bind(now + UNREADABLE_PAUSE_MS)
                        .execute(&mut *write)
                        .await?;
                }
            }
        }
        write.commit().await?;
        Ok(round)
    }

    /// When the next alarm is to be judged; `None` where there is none.
    pub async fn next_alarm_due(&self) -> Result<Option<Timestamp>, Error> {
        let due = self.alarm_due().await?;
        self.look_again(due)
    }

    async fn alarm_due(&self) -> Result<Option<i64>, Error> {
        Ok(sql::query_scalar("SELECT MIN(due_at) FROM alarm")
            .fetch_one(self.read())
            .await?)
    }

    /// The alarms of a source's feeds.
    pub async fn alarm_statuses(&self, source: &SourceId) -> Result<Vec<(LogType, AlarmStatus)>, Error> {
        let rows: Vec<(String, String, i64, String)> = sql::query_as(
            "SELECT f.log_type, a.state, a.since, a.cause FROM alarm a JOIN feed f ON f.id = a.feed_id
             WHERE f.source_id = $1 ORDER BY f.log_type",
        )
        .bind(source.as_str())
        .fetch_all(self.read())
        .await?;
        rows.into_iter()
            .map(|(log_type, state, since, cause)| {
                let state = word(&state, AlarmState::from_word)?;
                Ok((
                    word(&log_type, LogType::from_word)?,
                    AlarmStatus {
                        state,
                        since: instant(since)?,
                        cause,
                    },
                ))
            })
            .collect()
    }

    /// How many alarms are in each state.
    pub async fn alarm_counts(&self) -> Result<Vec<(AlarmState, u64)>, Error> {
        let rows: Vec<(String, i64)> = sql::query_as("SELECT state, COUNT(*) FROM alarm GROUP BY state")
            .fetch_all(self.read())
            .await?;
        let states = [AlarmState::Ok, AlarmState::Alarm, AlarmState::InsufficientData];
        let of = |state: AlarmState| rows.iter().find(|(word, _)| word == state.as_str());
        Ok(states
            .map(|state| (state, of(state).map_or(0, |(_, number)| count(*number))))
            .into())
    }
}

async fn due(
    write: &mut Connection,
    now: i64,
    limit: u32,
) -> Result<Vec<(i64, Result<Alarmed, Error>)>, Error> {
    // The feed is locked too: no event may be appended between the look and the verdict. What somebody else is at, a
    // commit of the feed or another engine's look, is judged at the next look.
    let rows = sql::query(sql::skip_locked!(
        "SELECT a.feed_id, a.state, a.since, a.began_at, a.cause, f.source_id, f.log_type, o.name, o.spec,
             f.last_success_at, f.last_collected_at, f.last_event_at,
             f.trouble_code, f.trouble_detail, f.trouble_since
         FROM alarm a JOIN feed f ON f.id = a.feed_id JOIN object o ON o.id = f.source_id
         WHERE a.due_at <= $1 ORDER BY a.due_at LIMIT $2"
            { " FOR UPDATE OF a, f SKIP LOCKED" }
    ))
    .bind(now)
    .bind(limit)
    .fetch_all(&mut *write)
    .await?;
    let mut alarms = Vec::with_capacity(rows.len());
    for row in &rows {
        let feed_id = row.try_get("feed_id")?;
        let undelivered = undelivered(write, feed_id).await?;
        let alarm = read(row).map(|alarm| Alarmed { undelivered, ..alarm });
        alarms.push((feed_id, alarm));
    }
    Ok(alarms)
}

/// The destination of a feed that has been waited for longest.
async fn undelivered(write: &mut Connection, feed_id: i64) -> Result<Option<Undelivered>, Error> {
    type Found = (String, i64, Option<String>, Option<String>, Option<i64>);
    let found: Option<Found> = sql::query_as(
        "SELECT o.name, MAX(s.created_at, COALESCE(p.last_delivered_at, s.created_at)) AS since,
             l.trouble_code, l.trouble_detail, l.trouble_since
         FROM position p
             JOIN segment s ON s.feed_id = p.feed_id AND s.seq = p.seq
             JOIN object o ON o.id = p.destination_id
             JOIN lane l ON l.destination_id = p.destination_id
         WHERE p.feed_id = $1 ORDER BY since LIMIT 1",
    )
    .bind(feed_id)
    .fetch_optional(write)
    .await?;
    found
        .map(|(destination, since, code, detail, trouble_since)| {
            Ok(Undelivered {
                destination,
                since: instant(since)?,
                trouble: trouble(code, detail, trouble_since)?,
            })
        })
        .transpose()
}

fn read(row: &Row) -> Result<Alarmed, Error> {
    let source: String = row.try_get("source_id")?;
    let spec: SourceSpec = serde_json::from_str(&row.try_get::<String>("spec")?)
        .map_err(|error| Error::Damaged(format!("the spec of {source} cannot be read: {error}")))?;
    Ok(Alarmed {
        feed: FeedKey {
            source: word(&source, |text| text.parse().ok())?,
            log_type: word(&row.try_get::<String>("log_type")?, LogType::from_word)?,
        },
        source_name: row.try_get("name")?,
        spec: spec
            .drop_off_alarm
            .ok_or_else(|| Error::Damaged(format!("{source} has an alarm that its spec does not name")))?,
        state: word(&row.try_get::<String>("state")?, AlarmState::from_word)?,
        since: instant(row.try_get("since")?)?,
        cause: row.try_get("cause")?,
        began_at: instant(row.try_get("began_at")?)?,
        last_success_at: maybe_instant(row.try_get("last_success_at")?)?,
        last_collected_at: maybe_instant(row.try_get("last_collected_at")?)?,
        last_event_at: maybe_instant(row.try_get("last_event_at")?)?,
        trouble: trouble(
            row.try_get("trouble_code")?,
            row.try_get("trouble_detail")?,
            row.try_get("trouble_since")?,
        )?,
        undelivered: None,
    })
}

async fn apply(
    write: &mut Connection,
    feed_id: i64,
    old: &Alarmed,
    new: Judged,
    now: i64,
) -> Result<usize, Error> {
    let changed = sql::query(
        "UPDATE alarm SET state = $3, since = CASE WHEN state = $3 THEN since ELSE $4 END, cause = $5, due_at = $6
         WHERE feed_id = $1 AND state = $2",
    )
    .bind(feed_id)
    .bind(old.state.as_str())
    .bind(new.state.as_str())
    .bind(now)
    .bind(&new.cause)
    .bind(millis(new.due_at))
    .execute(&mut *write)
    .await?
    .rows_affected();
    if changed == 0 || old.state == new.state {
        return Ok(0);
    }
    for notice in &new.notices {
        notices::insert(write, notice, &old.feed, now).await?;
    }
    Ok(new.notices.len())
}
