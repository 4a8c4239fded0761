//! When a lane is due: what others tell it, inside their own transactions.
//!
//! `due_at` says when there is something to do. What is new brings it forward in the transaction that makes it; while a
//! lane is failing it does not, since the pause is there for the destination's sake. A wake during a lease is remembered
//! in `woken`, and [`Store::release_lane`](super::Store::release_lane) obeys it, so none is lost between the last look and
//! the release.

use engine_api::DestinationId;

use super::{
    Error,
    sql::{self, Connection},
};

/// Makes lanes due. Several writers take them in one order, or two of them could wait for each other for ever.
macro_rules! wake {
    ($which:literal) => {
        wake!(
            $which,
            "UPDATE lane SET woken = MAX(woken, 1),
                 due_at = CASE WHEN failures = 0 OR due_at IS NULL THEN MIN(COALESCE(due_at, $1), $1)
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
pub(super) async fn lanes(write: &mut Connection, feed_id: i64, now: i64) -> Result<(), Error> {
    sql::query(wake!(
        "destination_id IN (SELECT destination_id FROM position WHERE feed_id = $2)"
    ))
    .bind(now)
    .bind(feed_id)
    .execute(write)
    .await?;
    Ok(())
}

/// Makes the lanes due that have dead letters to send again, one or all. A pause after failures is kept: the destination
/// would not take them now either.
pub(super) async fn queued(write: &mut Connection, destination: Option<&str>, now: i64) -> Result<(), Error> {
    sql::query(wake!(
        "($2 IS NULL OR destination_id = $2)
             AND EXISTS (SELECT 1 FROM dead_letter d WHERE d.destination_id = lane.destination_id AND d.queued = 1)"
    ))
    .bind(now)
    .bind(destination)
    .execute(write)
    .await?;
    Ok(())
}

/// Says that the audit log has a new entry: the lanes that are to have it are due now. To be called in its transaction.
pub(super) async fn audit_lanes(write: &mut Connection, now: i64) -> Result<(), Error> {
    sql::query(wake!(
        "destination_id IN (SELECT destination_id FROM audit_position)"
    ))
    .bind(now)
    .execute(write)
    .await?;
    Ok(())
}

/// Says that a destination was made or changed: what failed before may work now, so its lane is due at once, whatever
/// pause it was in. To be called whenever a destination's spec or a secret is written.
pub(super) async fn kick(write: &mut Connection, destination: &DestinationId, now: i64) -> Result<(), Error> {
    sql::query(
        "INSERT INTO lane (destination_id, due_at, woken) VALUES ($1, $2, 2)
         ON CONFLICT (destination_id) DO UPDATE SET woken = 2, due_at = MIN(COALESCE(lane.due_at, $2), $2)",
    )
    .bind(destination.as_str())
    .bind(now)
    .execute(write)
    .await?;
    Ok(())
}
