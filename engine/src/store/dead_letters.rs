//! Dead letters: events that a destination refused for good, kept with the reason until they are accepted.
//!
//! They are made by [`Store::settle`], in the transaction that moves the position past them.

use engine_api::{DeadLetterId, DeadLetterView, DestinationId, LogType, ReplayRequest, SourceId};
use serde_json::json;

use super::{
    Error, Store,
    audit::Deed,
    delivery::{self, Claim, Moved},
    sql,
    time::{count, instant, word},
    wake,
};
use crate::model::FeedKey;

/// A dead letter that is to be sent again.
#[derive(Debug, Clone)]
pub struct Queued {
    /// Its id.
    pub id: DeadLetterId,
    /// The event's own id.
    pub event_id: String,
    /// The event, as it can be read again without the log.
    pub event: Vec<u8>,
    /// The feed it was collected from.
    pub feed: FeedKey,
    /// The source's name.
    pub source_name: String,
}

/// How a replay was refused.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// The destination's words.
    pub reason: &'a str,
    /// The event as it was sent.
    pub sent: &'a str,
}

impl Store {
    /// Dead letters in the order of their ids, beginning behind `after`; at most `limit`.
    pub async fn dead_letters(
        &self,
        of: &ReplayRequest,
        after: Option<&DeadLetterId>,
        limit: u32,
    ) -> Result<Vec<DeadLetterView>, Error> {
        type Found = (String, String, String, String, String, String, String, i64, u32);
        let rows: Vec<Found> = sql::query_as(
            "SELECT d.id, d.destination_id, f.source_id, f.log_type, d.event_id, d.sent, d.reason, d.refused_at, d.replays
             FROM dead_letter d JOIN feed f ON f.id = d.feed_id
             WHERE d.id > $1 AND ($2 IS NULL OR d.destination_id = $2) AND ($3 IS NULL OR f.source_id = $3)
             ORDER BY d.id LIMIT $4",
        )
        .bind(after.map_or("", DeadLetterId::as_str))
        .bind(of.destination_id.as_ref().map(DestinationId::as_str))
        .bind(of.source_id.as_ref().map(SourceId::as_str))
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.into_iter()
            .map(
                |(id, destination, source, log_type, event_id, sent, reason, at, replays)| {
                    let feed = feed(&source, &log_type)?;
                    Ok(DeadLetterView {
                        id: word(&id, |text| text.parse().ok())?,
                        destination_id: word(&destination, |text| text.parse().ok())?,
                        source_id: feed.source,
                        log_type: feed.log_type,
                        event_id,
                        reason,
                        refused_at: instant(at)?,
                        replays,
                        // A number that is beyond what a value can hold makes the whole a text.
                        event: serde_json::from_str(&sent).unwrap_or(serde_json::Value::String(sent)),
                    })
                },
            )
            .collect()
    }

    /// Marks dead letters to be sent again, and makes their lanes due; answers how many wait now.
    pub async fn queue_replay(&self, of: &ReplayRequest) -> Result<u64, Error> {
        let mut write = self.change().await?;
        let destination = of.destination_id.as_ref().map(DestinationId::as_str);
        let source = of.source_id.as_ref().map(SourceId::as_str);
        wake::take_for_replay(&mut write, destination).await?;
        let queued = sql::query(
            "UPDATE dead_letter SET queued = 1
             WHERE ($1 IS NULL OR destination_id = $1)
               AND ($2 IS NULL OR feed_id IN (SELECT id FROM feed WHERE source_id = $2))",
        )
        .bind(destination)
        .bind(source)
        .execute(&mut *write)
        .await?
        .rows_affected();
        wake::queued(&mut write, destination, self.now()).await?;
        let deed = Deed {
            action: "dead_letter.replay",
            after: Some(json!({ "destination_id": destination, "source_id": source, "queued": queued })),
            ..Deed::default()
        };
        self.note(&mut write, deed).await?;
        write.commit().await?;
        Ok(queued)
    }

    /// Marks one dead letter to be sent again; `false` where there is none with this id.
    pub async fn queue_replay_of(&self, id: &DeadLetterId) -> Result<bool, Error> {
        let mut write = self.change().await?;
        let destination: Option<String> =
            sql::query_scalar("SELECT destination_id FROM dead_letter WHERE id = $1")
                .bind(id.as_str())
                .fetch_optional(&mut *write)
                .await?;
        let Some(destination) = destination else {
            return Ok(false);
        };
        wake::take_for_replay(&mut write, Some(&destination)).await?;
        let queued = sql::query("UPDATE dead_letter SET queued = 1 WHERE id = $1")
            .bind(id.as_str())
            .execute(&mut *write)
            .await?
            .rows_affected();
        if queued == 0 {
            // It was delivered meanwhile.
            return Ok(false);
        }
        wake::queued(&mut write, Some(&destination), self.now()).await?;
        let deed = Deed {
            action: "dead_letter.replay",
            target: Some(id.as_str()),
            after: Some(json!({ "destination_id": destination, "queued": 1 })),
            ..Deed::default()
        };
        self.note(&mut write, deed).await?;
        write.commit().await?;
        Ok(true)
    }

    /// Dead letters of a lane that are to be sent again, in the order in which they were refused; at most `limit`.
    pub async fn queued_dead_letters(&self, claim: &Claim, limit: u32) -> Result<Vec<Queued>, Error> {
        let rows: Vec<(String, String, Vec<u8>, String, String, String)> = sql::query_as(
            "SELECT d.id, d.event_id, d.event, f.source_id, f.log_type, o.name
             FROM dead_letter d JOIN feed f ON f.id = d.feed_id JOIN object o ON o.id = f.source_id
             WHERE d.destination_id = $1 AND d.queued = 1 ORDER BY d.refused_at, d.rowid LIMIT $2",
        )
        .bind(claim.destination.as_str())
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.into_iter()
            .map(|(id, event_id, event, source, log_type, source_name)| {
                let (id, feed) = (word(&id, |text| text.parse().ok())?, feed(&source, &log_type)?);
                Ok(Queued {
                    id,
                    event_id,
                    event,
                    feed,
                    source_name,
                })
            })
            .collect()
    }

    /// Ends a replay: an event that was taken is a dead letter no more; one that was refused again waits for the next
    /// replay with the new reason.
    ///
    /// # Cancel safety
    ///
    /// Where nothing was stored, the event is sent again.
    pub async fn settle_replay(
        &self,
        claim: &Claim,
        letter: &Queued,
        settled: Option<&str>,
        refused: Option<Refused<'_>>,
    ) -> Result<Moved, Error> {
        let now = self.now();
        let mut write = self.durable().await?;
        let delivered = refused.is_none().then_some(now);
        if !delivery::answered(&mut write, claim, settled, delivered).await? {
            return Ok(Moved::Fenced);
        }
        let changed = match refused {
            None => sql::query("DELETE FROM dead_letter WHERE id = $1").bind(letter.id.as_str()),
            Some(Refused { reason, sent }) => sql::query(
                "UPDATE dead_letter SET queued = 0, replays = replays + 1, refused_at = $2, reason = $3, sent = $4
                 WHERE id = $1",
            )
            .bind(letter.id.as_str())
            .bind(now)
            .bind(reason)
            .bind(sent),
        };
        let changed = changed.execute(&mut *write).await?.rows_affected();
        write.commit().await?;
        Ok(if changed == 1 { Moved::Done } else { Moved::Gone })
    }

    /// How many dead letters there are in all.
    pub async fn dead_letter_count(&self) -> Result<u64, Error> {
        Ok(count(
            sql::query_scalar("SELECT COUNT(*) FROM dead_letter")
                .fetch_one(self.read())
                .await?,
        ))
    }
}

fn feed(source: &str, log_type: &str) -> Result<FeedKey, Error> {
    Ok(FeedKey {
        source: word(source, |text| text.parse().ok())?,
        log_type: word(log_type, LogType::from_word)?,
    })
}
