//! What others tell delivery, inside their own transactions: which source goes where, that events were appended,
//! that a spec changed.

use std::collections::BTreeSet;

use engine_api::{DestinationId, SourceId};
use jiff::Timestamp;

use crate::store::{
    Error,
    sql::{self, Connection},
    time::millis,
};

/// Makes the positions of a source's feeds those of its destinations. To be called whenever the source's spec is
/// written, after its feeds are.
///
/// A destination that is new to the source begins at the end of what was collected: it gets what is collected from
/// now on. One that was removed loses its positions, and what was still pending for it is no longer delivered to it.
pub(in crate::store) async fn sync_positions(
    tx: &mut Connection,
    source: &SourceId,
    destinations: &BTreeSet<DestinationId>,
) -> Result<(), Error> {
    let listed = serde_json::to_string(destinations).unwrap_or_default();
    sql::query(
        "DELETE FROM position
         WHERE feed_id IN (SELECT id FROM feed WHERE source_id = $1)
           AND destination_id NOT IN (SELECT value FROM json_each($2))",
    )
    .bind(source.as_str())
    .bind(&listed)
    .execute(&mut *tx)
    .await?;
    sql::query(
        "INSERT INTO lane (destination_id) SELECT value FROM json_each($1) WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(&listed)
    .execute(&mut *tx)
    .await?;
    sql::query(
        "INSERT INTO position (feed_id, destination_id, seq, idx)
         SELECT feed.id, listed.value, feed.last_seq + 1, 0 FROM feed, json_each($2) AS listed
         WHERE feed.source_id = $1 ON CONFLICT DO NOTHING",
    )
    .bind(source.as_str())
    .bind(&listed)
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Makes lanes due. Several writers take them in one order, or two of them could wait for each other for ever.
macro_rules! wake {
    ($which:literal) => {
        wake!(
            $which,
            "UPDATE lane SET woken = MAX(woken, 1),
                 due_at = CASE WHEN failures = 0 OR due_at IS NULL THEN MIN(COALESCE(due_at, $2), $2)
                               ELSE due_at END"
        )
    };
    ($which:literal, $update:literal) => {
        sql::Text {
            sqlite: concat!($update, " WHERE ", $which),
            postgres: concat!(
                "WITH woken AS (SELECT destination_id FROM lane WHERE ",
                $which,
                " ORDER BY destination_id FOR UPDATE) ",
                $update,
                " FROM woken WHERE lane.destination_id = woken.destination_id"
            ),
        }
    };
}

/// Says that events were appended to a feed: its lanes are due now. To be called in the transaction that appends.
pub(in crate::store) async fn wake_lanes(
    tx: &mut Connection,
    feed_id: i64,
    now: Timestamp,
) -> Result<(), Error> {
    sql::query(wake!(
        "destination_id IN (SELECT destination_id FROM position WHERE feed_id = $1)"
    ))
    .bind(feed_id)
    .bind(millis(now))
    .execute(tx)
    .await?;
    Ok(())
}

/// Makes the lanes due that have dead letters to send again, one or all. A pause after failures is kept: the destination
/// would not take them now either.
pub(in crate::store) async fn wake_queued(
    write: &mut Connection,
    destination: Option<&str>,
    now: i64,
) -> Result<(), Error> {
    sql::query(wake!(
        "($1 IS NULL OR destination_id = $1)
             AND EXISTS (SELECT 1 FROM dead_letter d WHERE d.destination_id = lane.destination_id AND d.queued = 1)"
    ))
    .bind(destination)
    .bind(now)
    .execute(write)
    .await?;
    Ok(())
}

/// Says that a destination was made or changed: what failed before may work now, so its lane is due at once, whatever
/// pause it was in. To be called whenever a destination's spec or a secret is written.
pub(in crate::store) async fn kick_lane(
    tx: &mut Connection,
    destination: &DestinationId,
    now: Timestamp,
) -> Result<(), Error> {
    sql::query(
        "INSERT INTO lane (destination_id, due_at, woken) VALUES ($1, $2, 2)
         ON CONFLICT (destination_id) DO UPDATE SET woken = 2, due_at = MIN(COALESCE(lane.due_at, $2), $2)",
    )
    .bind(destination.as_str())
    .bind(millis(now))
    .execute(tx)
    .await?;
    Ok(())
}
