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
                " ORDER BY destination_id FOR NO KEY UPDATE) ",
                $update,
                " FROM woken WHERE lane.destination_id = woken.destination_id"
            ),
        }
    };
}

/// Takes the lanes that a user's change wakes, and those that are to have its note in the audit log, before it wakes any:
/// one after the other, it could hold the last while it waits for the first. With SQLite a transaction that writes is the
/// only one anyway.
macro_rules! take {
    ($write:ident, $which:literal $(, $bound:expr)?) => {
        if let Connection::Postgres(_) = $write {
            sql::query(concat!(
                "SELECT 1 FROM lane WHERE ",
                $which,
                " OR destination_id IN (SELECT destination_id FROM audit_position)
                 ORDER BY destination_id FOR NO KEY UPDATE"
            ))
            $(.bind($bound))?
            .execute(&mut *$write)
            .await?;
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

/// Takes the lanes, one or all, whose dead letters are about to be marked to be sent again. To be called before they are:
/// a delivery takes its lane before it settles with a dead letter.
pub(super) async fn take_for_replay(write: &mut Connection, destination: Option<&str>) -> Result<(), Error> {
    take!(
        write,
        "($1 IS NULL OR destination_id = $1)
             AND EXISTS (SELECT 1 FROM dead_letter d WHERE d.destination_id = lane.destination_id)",
        destination
    );
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
    take!(write, "destination_id = $1", destination.as_str());
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::*;
    use crate::store::{
        delivery::sync_audit,
        testing::{Backend, Fixture},
    };

    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'";

    /// So that rows come in the order in which the table has them, as they may in a large one.
    const AS_THEY_LIE: &str = "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off;
         SET LOCAL enable_bitmapscan = off; SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off";

    /// Two that wake the same lanes, and take them in another order each, would wait for each other.
    #[tokio::test]
    async fn all_take_lanes_in_one_order() {
        Backend::Postgres.choose();
        let fixture = Fixture::new().await;
        // The first in the order is the last that each table has.
        let mut destinations = Vec::new();
        for number in (1..=8).rev() {
            destinations.insert(0, fixture.destination(number, json!({})).await);
        }
        let (_, [feed, _]) = fixture
            .source(1, json!({ "destination_ids": destinations }))
            .await;
        let mut write = fixture.store.durable().await.unwrap();
        for destination in destinations.iter().rev() {
            sync_audit(&mut write, destination, true).await.unwrap();
            sql::query(
                "INSERT INTO dead_letter (id, destination_id, feed_id, event_id, event, sent, reason, refused_at, queued)
                 VALUES ($1, $1, $2, 'event', $3, '{}', 'refused', 0, 1)",
            )
            .bind(destination.as_str())
            .bind(feed)
            .bind(Vec::new())
            .execute(&mut *write)
            .await
            .unwrap();
        }
        sql::query("UPDATE position SET idx = idx WHERE destination_id = $1")
            .bind(destinations[0].as_str())
            .execute(&mut *write)
            .await
            .unwrap();
        write.commit().await.unwrap();
        for which in ["events", "dead letters", "a destination", "audit"] {
            let mut holder = fixture.store.durable().await.unwrap();
            hold(&mut holder, &destinations[0]).await.unwrap();
            let woken = Cell::new(false);
            let waking = async {
                let mut write = fixture.store.durable().await?;
                sql::script(&mut write, AS_THEY_LIE).await?;
                match which {
                    "events" => lanes(&mut write, feed, 1).await?,
                    "dead letters" => {
                        let last = Some(destinations[7].as_str());
                        take_for_replay(&mut write, last).await?;
                        queued(&mut write, last, 1).await?;
                    }
                    "a destination" => kick(&mut write, &destinations[7], 1).await?,
                    _ => {}
                }
                // As each change of a user ends.
                if which != "events" {
                    audit_lanes(&mut write, 1).await?;
                }
                woken.set(true);
                Ok::<_, Error>(write.commit().await?)
            };
            let looking = async {
                while fixture.number(WAITING).await == 0 {
                    assert!(!woken.get(), "{which}: who wakes passes the lane that is held");
                }
                for other in &destinations[1..] {
                    let free = hold(&mut holder, other).await;
                    free.unwrap_or_else(|error| panic!("{which}: {other}: {error}"));
                }
                holder.rollback().await
            };
            let (waked, looked) = tokio::join!(waking, looking);
            waked.unwrap();
            looked.unwrap();
        }
    }

    async fn hold(write: &mut Connection, lane: &DestinationId) -> Result<(), sqlx::Error> {
        sql::query("SELECT 1 FROM lane WHERE destination_id = $1 FOR NO KEY UPDATE NOWAIT")
            .bind(lane.as_str())
            .execute(write)
            .await
            .map(drop)
    }
}
