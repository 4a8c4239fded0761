//! Notices to alarm channels: written with the alarm's change, sent later, each until it is accepted or given up.
//!
//! A channel gets the notices of one feed in their order: a recovery never arrives before the alarm that it ends.

use std::time::Duration;

use engine_api::{AlarmChannelId, ChannelStatus};
use jiff::Timestamp;

use super::{
    Error, Fenced, Store,
    delivery::{Trouble, health, trouble},
    sql::{self, Connection},
    time::{count, instant, maybe_instant, millis, word},
};
use crate::model::{FeedKey, Fence};

/// A notice to one channel.
#[derive(Debug, Clone)]
pub struct NewNotice {
    /// Its id.
    pub id: String,
    /// The channel.
    pub channel: AlarmChannelId,
    /// The JSON that is sent.
    pub body: String,
}

/// A notice that was claimed.
#[derive(Debug, Clone)]
pub struct Notice {
    /// Its id.
    pub id: String,
    /// The claim's number.
    pub fence: Fence,
    /// The channel.
    pub channel: AlarmChannelId,
    /// The JSON that is sent.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// Attempts that failed.
    pub attempts: u32,
}

/// How an attempt to send a notice ended.
#[derive(Debug, Clone)]
pub enum Attempt {
    /// The channel accepted it.
    Sent,
    /// It failed, and is tried again at this instant.
    Failed(Trouble, Timestamp),
    /// It failed for the last time.
    GivenUp(Trouble),
}

impl Store {
    /// Claims the notice that is due longest, for `lease`; `None` where none is due and free.
    ///
    /// # Cancel safety
    ///
    /// A dropped claim may have been made: it lapses.
    pub async fn claim_notice(&self, owner: &str, lease: Duration) -> Result<Option<Notice>, Error> {
        let now = self.now();
        let mut write = self.soft().await?;
        let claimed: Option<(String, i64, String, String, i64, u32)> = sql::query_as(sql::skip_locked!(
            "UPDATE notice SET lease_owner = $1, lease_until = $2, fence = fence + 1
             WHERE id = (
                 SELECT n.id FROM notice n
                 WHERE n.sent_at IS NULL AND n.given_up_at IS NULL AND n.due_at <= $3
                   AND (n.lease_until IS NULL OR n.lease_until <= $3)
                   AND NOT EXISTS (
                       SELECT 1 FROM notice earlier
                       WHERE earlier.channel_id = n.channel_id AND earlier.subject = n.subject
                         AND earlier.number < n.number
                         AND earlier.sent_at IS NULL AND earlier.given_up_at IS NULL)
                 ORDER BY n.due_at LIMIT 1"
                { " FOR UPDATE SKIP LOCKED" }
            ")
             RETURNING id, fence, channel_id, body, created_at, attempts"
        ))
        .bind(owner)
        .bind(self.lease_end(lease))
        .bind(now)
        .fetch_optional(&mut *write)
        .await?;
        write.commit().await?;
        claimed
            .map(|(id, fence, channel, body, created_at, attempts)| {
                let channel = word(&channel, |text| text.parse().ok())?;
                Ok(Notice {
                    id,
                    fence: Fence(fence),
                    channel,
                    body,
                    created_at: instant(created_at)?,
                    attempts,
                })
            })
            .transpose()
    }

    /// When the next notice can be claimed; `None` while nothing is to come.
    pub async fn next_notice_due(&self) -> Result<Option<Timestamp>, Error> {
        // Those that wait for an earlier one of their feed become due with it.
        let due = sql::query_scalar(
            "SELECT MIN(MAX(n.due_at, COALESCE(n.lease_until, n.due_at))) FROM notice n
             WHERE n.sent_at IS NULL AND n.given_up_at IS NULL
               AND NOT EXISTS (
                   SELECT 1 FROM notice earlier
                   WHERE earlier.channel_id = n.channel_id AND earlier.subject = n.subject
                     AND earlier.number < n.number
                     AND earlier.sent_at IS NULL AND earlier.given_up_at IS NULL)",
        )
        .fetch_one(self.read())
        .await?;
        self.look_again(due)
    }

    /// Stores how an attempt to send a notice ended.
    ///
    /// # Cancel safety
    ///
    /// Where nothing was stored, the notice is sent again; its id lets the receiver find the repeat.
    pub async fn settle_notice(
        &self,
        notice: &Notice,
        attempt: &Attempt,
    ) -> Result<Result<(), Fenced>, Error> {
        let now = self.now();
        let (sent, given_up, trouble, due) = match attempt {
            Attempt::Sent => (Some(now), None, None, now),
            Attempt::Failed(trouble, due) => (None, None, Some(trouble), millis(*due)),
            Attempt::GivenUp(trouble) => (None, Some(now), Some(trouble), now),
        };
        let mut write = self.durable().await?;
        let settled = sql::query(
            "UPDATE notice SET lease_owner = NULL, lease_until = NULL, attempts = attempts + 1, due_at = $3,
                 sent_at = $4, given_up_at = $5, trouble_code = $6, trouble_detail = $7,
                 trouble_since = CASE WHEN $6 IS NULL THEN NULL ELSE COALESCE(trouble_since, $8) END
             WHERE id = $1 AND fence = $2 AND lease_owner IS NOT NULL",
        )
        .bind(&notice.id)
        .bind(notice.fence.0)
        .bind(due)
        .bind(sent)
        .bind(given_up)
        .bind(trouble.map(|trouble| trouble.code.as_str()))
        .bind(trouble.map(|trouble| trouble.detail.as_str()))
        .bind(now)
        .execute(&mut *write)
        .await?
        .rows_affected();
        write.commit().await?;
        Ok(if settled == 1 { Ok(()) } else { Err(Fenced) })
    }

    /// An alarm channel's status; `None` where it does not exist. Its trouble is that of the newest notice that
    /// failed, until a later one is accepted.
    pub async fn channel_status(&self, id: &AlarmChannelId) -> Result<Option<ChannelStatus>, Error> {
        let row: Option<(i64, Option<i64>)> = sql::query_as(
            "SELECT
                 (SELECT COUNT(*) FROM notice n
                  WHERE n.channel_id = o.id AND n.sent_at IS NULL AND n.given_up_at IS NULL),
                 (SELECT MAX(n.sent_at) FROM notice n WHERE n.channel_id = o.id)
             FROM object o WHERE o.id = $1 AND o.kind = 'alarm_channel'",
        )
        .bind(id.as_str())
        .fetch_optional(self.read())
        .await?;
        let Some((pending, sent)) = row else {
            return Ok(None);
        };
        let failed: Option<(Option<String>, Option<String>, Option<i64>)> = sql::query_as(
            "SELECT trouble_code, trouble_detail, trouble_since FROM notice
             WHERE channel_id = $1 AND trouble_code IS NOT NULL AND sent_at IS NULL
               AND COALESCE(given_up_at, $3) >= $2
             ORDER BY created_at DESC, number DESC LIMIT 1",
        )
        .bind(id.as_str())
        .bind(sent.unwrap_or(0))
        .bind(i64::MAX)
        .fetch_optional(self.read())
        .await?;
        let trouble = failed.map_or(Ok(None), |(code, detail, since)| trouble(code, detail, since))?;
        Ok(Some(ChannelStatus {
            alarm_channel_id: id.to_string(),
            health: health(trouble.as_ref(), sent.is_some()),
            trouble,
            pending_notices: count(pending),
            last_sent_at: maybe_instant(sent)?,
        }))
    }
}

/// Writes a notice, in the transaction that changes its alarm.
pub(super) async fn insert(
    write: &mut Connection,
    notice: &NewNotice,
    feed: &FeedKey,
    now: i64,
) -> Result<(), Error> {
    sql::query(
        "INSERT INTO notice (id, channel_id, subject, number, body, created_at, due_at)
         VALUES ($1, $2, $3,
             (SELECT COALESCE(MAX(number), 0) + 1 FROM notice WHERE channel_id = $2 AND subject = $3),
             $4, $5, $5)",
    )
    .bind(&notice.id)
    .bind(notice.channel.as_str())
    .bind(feed.to_string())
    .bind(&notice.body)
    .bind(now)
    .execute(write)
    .await?;
    Ok(())
}
