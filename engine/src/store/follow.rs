//! The rows of delivery and alarms that follow from a spec.

use std::collections::BTreeSet;

use engine_api::{DestinationId, SourceSpec};
use sqlx::{Sqlite, Transaction};

use super::Error;

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
