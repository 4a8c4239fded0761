//! What delivery looks like from outside.

use engine_api::{DestinationId, DestinationStatus, FeedDelivery, Health, LogType, SourceId, Trouble};
use jiff::Timestamp;

use crate::store::{
    Error, Store, sql,
    time::{count, instant, maybe_instant, word},
};

impl Store {
    /// Delivery of a source's feeds, for each of its destinations.
    pub async fn feed_deliveries(&self, source: &SourceId) -> Result<Vec<(LogType, FeedDelivery)>, Error> {
        type Found = (
            String,
            String,
            i64,
            Option<i64>,
            i64,
            Option<String>,
            Option<String>,
            Option<i64>,
        );
        let rows: Vec<Found> = sql::query_as(
            "SELECT f.log_type, p.destination_id,
                 (SELECT CAST(COALESCE(SUM(s.events), 0) AS BIGINT) FROM segment s
                  WHERE s.feed_id = p.feed_id AND s.seq >= p.seq) - p.idx,
                 p.last_delivered_at,
                 (SELECT COUNT(*) FROM dead_letter d
                  WHERE d.destination_id = p.destination_id AND d.feed_id = p.feed_id),
                 l.trouble_code, l.trouble_detail, l.trouble_since
             FROM feed f JOIN position p ON p.feed_id = f.id JOIN lane l ON l.destination_id = p.destination_id
             WHERE f.source_id = $1 ORDER BY f.log_type, p.destination_id",
        )
        .bind(source.as_str())
        .fetch_all(self.read())
        .await?;
        rows.into_iter()
            .map(
                |(log_type, destination, pending, delivered, dead, code, detail, since)| {
                    let delivery = FeedDelivery {
                        destination_id: word(&destination, |text| text.parse().ok())?,
                        pending_events: count(pending),
                        last_delivered_at: maybe_instant(delivered)?,
                        dead_letters: count(dead),
                        trouble: trouble(code, detail, since)?,
                    };
                    Ok((word(&log_type, LogType::from_word)?, delivery))
                },
            )
            .collect()
    }

    /// A destination's status; `None` where it does not exist.
    pub async fn destination_status(&self, id: &DestinationId) -> Result<Option<DestinationStatus>, Error> {
        type Found = (Option<String>, Option<String>, Option<i64>, Option<i64>, i64, i64);
        let row: Option<Found> = sql::query_as(
            "SELECT l.trouble_code, l.trouble_detail, l.trouble_since, l.last_delivered_at,
                 (SELECT COUNT(*) FROM dead_letter d WHERE d.destination_id = o.id),
                 (SELECT CAST(COALESCE(SUM(
                      (SELECT COALESCE(SUM(s.events), 0) FROM segment s
                       WHERE s.feed_id = p.feed_id AND s.seq >= p.seq) - p.idx), 0) AS BIGINT)
                  FROM position p WHERE p.destination_id = o.id)
             FROM object o LEFT JOIN lane l ON l.destination_id = o.id
             WHERE o.id = $1 AND o.kind = 'destination'",
        )
        .bind(id.as_str())
        .fetch_optional(self.read())
        .await?;
        row.map(|(code, detail, since, delivered, dead, pending)| {
            let trouble = trouble(code, detail, since)?;
            Ok(DestinationStatus {
                destination_id: id.to_string(),
                health: health(trouble.as_ref(), delivered.is_some()),
                trouble,
                pending_events: count(pending),
                dead_letters: count(dead),
                last_delivered_at: maybe_instant(delivered)?,
            })
        })
        .transpose()
    }

    /// Since when all of a feed's destinations have been in trouble, with the name of the one that was the last to fail;
    /// `None` while one of them takes events, or where there is none.
    pub async fn blocked_since(&self, feed: i64) -> Result<Option<(Timestamp, String)>, Error> {
        let last: Option<(Option<i64>, String)> = sql::query_as(
            "SELECT l.trouble_since, o.name
             FROM position p JOIN lane l ON l.destination_id = p.destination_id JOIN object o ON o.id = l.destination_id
             WHERE p.feed_id = $1 ORDER BY l.trouble_since DESC NULLS FIRST LIMIT 1",
        )
        .bind(feed)
        .fetch_optional(self.read())
        .await?;
        let since = last.and_then(|(since, name)| Some((since?, name)));
        since.map(|(since, name)| Ok((instant(since)?, name))).transpose()
    }

    /// How long the oldest event that a destination has not acknowledged has been waiting, in seconds.
    pub async fn oldest_pending_seconds(&self, id: &DestinationId) -> Result<u64, Error> {
        let oldest: Option<i64> = sql::query_scalar(
            "SELECT MIN(s.created_at) FROM position p JOIN segment s ON s.feed_id = p.feed_id AND s.seq = p.seq
             WHERE p.destination_id = $1",
        )
        .bind(id.as_str())
        .fetch_one(self.read())
        .await?;
        Ok(oldest.map_or(0, |oldest| count((self.now() - oldest) / 1_000)))
    }
}

/// Trouble as users see it.
pub(in crate::store) fn trouble(
    code: Option<String>,
    detail: Option<String>,
    since: Option<i64>,
) -> Result<Option<Trouble>, Error> {
    match (code, detail, since) {
        (Some(code), Some(detail), Some(since)) => Ok(Some(Trouble {
            code,
            detail,
            since: instant(since)?,
        })),
        _ => Ok(None),
    }
}

/// How something that is sent to is doing.
pub(in crate::store) fn health(trouble: Option<&Trouble>, worked_before: bool) -> Health {
    match trouble {
        // May pass by itself; everything else waits for somebody.
        Some(trouble) if trouble.code == engine_api::Code::DestinationUnavailable.as_str() => {
            Health::Degraded
        }
        Some(_) => Health::Failing,
        None if worked_before => Health::Ok,
        None => Health::Pending,
    }
}
