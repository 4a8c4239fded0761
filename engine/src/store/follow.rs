//! The rows of delivery and alarms that follow from a spec.

use std::collections::BTreeSet;

use engine_api::{
    AlarmChannelId, AlarmState, AlarmStatus, ChannelStatus, DestinationId, DestinationStatus, FeedDelivery,
    Health, Kind, LogType, SourceId, SourceSpec,
};
use sqlx::{Sqlite, Transaction};

use super::{Error, Store, feeds::instant};

/// A source's positions follow its list of destinations. A new destination gets what is collected from now on.
pub(super) async fn positions(
    write: &mut Transaction<'_, Sqlite>,
    source: &str,
    destinations: &BTreeSet<DestinationId>,
) -> Result<(), Error> {
    let wanted = serde_json::to_string(destinations).map_err(|error| Error::Damaged(error.to_string()))?;
    sqlx::query(
        "DELETE FROM position WHERE feed_id IN (SELECT id FROM feed WHERE source_id = ?1)
             AND destination_id NOT IN (SELECT value FROM json_each(?2))",
    )
    .bind(source)
    .bind(&wanted)
    .execute(&mut **write)
    .await?;
    sqlx::query(
        "INSERT INTO position (feed_id, destination_id, seq, idx)
         SELECT feed.id, wanted.value, feed.last_seq + 1, 0 FROM feed, json_each(?2) AS wanted
         WHERE feed.source_id = ?1
         ON CONFLICT DO NOTHING",
    )
    .bind(source)
    .bind(&wanted)
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// A source's alarms follow its spec.
pub(super) async fn alarms(
    write: &mut Transaction<'_, Sqlite>,
    source: &str,
    spec: &SourceSpec,
    now: i64,
) -> Result<(), Error> {
    let watched = spec.enabled && spec.drop_off_alarm.is_some();
    sqlx::query(
        "DELETE FROM alarm WHERE feed_id IN (SELECT id FROM feed WHERE source_id = ?1 AND NOT (active AND ?2))",
    )
    .bind(source)
    .bind(watched)
    .execute(&mut **write)
    .await?;
    if watched {
        sqlx::query(
            "INSERT INTO alarm (feed_id, state, since, cause, due_at)
             SELECT id, 'insufficient_data', ?2, 'the alarm is new', ?2 FROM feed
             WHERE source_id = ?1 AND active = 1
             ON CONFLICT (feed_id) DO UPDATE SET due_at = excluded.due_at",
        )
        .bind(source)
        .bind(now)
        .execute(&mut **write)
        .await?;
    }
    Ok(())
}

/// A destination's lane is looked at again with its new spec, if it has anything to deliver.
pub(super) async fn lane(
    write: &mut Transaction<'_, Sqlite>,
    destination: &str,
    now: i64,
) -> Result<(), Error> {
    sqlx::query("UPDATE lane SET due_at = ?2 WHERE destination_id = ?1 AND due_at IS NOT NULL")
        .bind(destination)
        .bind(now)
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// What delivery and alarms look like from outside, as far as it is known without their workers.
impl Store {
    /// The alarms of a source's feeds.
    pub async fn alarm_statuses(&self, source: &SourceId) -> Result<Vec<(LogType, AlarmStatus)>, Error> {
        let rows: Vec<(String, String, i64, String)> = sqlx::query_as(
            "SELECT f.log_type, a.state, a.since, a.cause FROM alarm a JOIN feed f ON f.id = a.feed_id
             WHERE f.source_id = ?1 ORDER BY f.log_type",
        )
        .bind(source.as_str())
        .fetch_all(self.read())
        .await?;
        let known = rows.into_iter().filter_map(|(log_type, state, since, cause)| {
            let (log_type, state) = (LogType::from_word(&log_type)?, AlarmState::from_word(&state)?);
            Some((log_type, state, since, cause))
        });
        known
            .map(|(log_type, state, since, cause)| {
                let since = instant(since)?;
                Ok((log_type, AlarmStatus { state, since, cause }))
            })
            .collect()
    }

    /// Delivery of a source's feeds, for each of its destinations.
    pub async fn feed_deliveries(&self, source: &SourceId) -> Result<Vec<(LogType, FeedDelivery)>, Error> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT f.log_type, p.destination_id,
                 (SELECT COALESCE(SUM(s.events), 0) FROM segment s WHERE s.feed_id = f.id AND s.seq >= p.seq) - p.idx
             FROM feed f JOIN position p ON p.feed_id = f.id WHERE f.source_id = ?1",
        )
        .bind(source.as_str())
        .fetch_all(self.read())
        .await?;
        let known = rows.into_iter().filter_map(|(log_type, destination, pending)| {
            let delivery = FeedDelivery {
                destination_id: destination.parse().ok()?,
                pending_events: u64::try_from(pending).unwrap_or_default(),
                last_delivered_at: None,
                dead_letters: 0,
                trouble: None,
            };
            Some((LogType::from_word(&log_type)?, delivery))
        });
        Ok(known.collect())
    }

    /// A destination's status; `None` where it does not exist.
    pub async fn destination_status(&self, id: &DestinationId) -> Result<Option<DestinationStatus>, Error> {
        let found = self.object(Kind::Destination, id.as_str()).await?;
        Ok(found.map(|object| DestinationStatus {
            destination_id: object.id,
            health: Health::Pending,
            trouble: None,
            pending_events: 0,
            dead_letters: 0,
            last_delivered_at: None,
        }))
    }

    /// An alarm channel's status; `None` where it does not exist.
    pub async fn channel_status(&self, id: &AlarmChannelId) -> Result<Option<ChannelStatus>, Error> {
        let found = self.object(Kind::AlarmChannel, id.as_str()).await?;
        Ok(found.map(|object| ChannelStatus {
            alarm_channel_id: object.id,
            health: Health::Pending,
            trouble: None,
            pending_notices: 0,
            last_sent_at: None,
        }))
    }
}
