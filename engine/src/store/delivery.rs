//! Lanes and positions.

use sqlx::{Sqlite, Transaction};

use super::Error;

/// New events concern the feed's destinations.
pub(super) async fn wake_lanes(
    write: &mut Transaction<'_, Sqlite>,
    feed: i64,
    now: i64,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE lane SET due_at = min(coalesce(due_at, ?2), ?2)
         WHERE destination_id IN (SELECT destination_id FROM position WHERE feed_id = ?1)",
    )
    .bind(feed)
    .bind(now)
    .execute(&mut **write)
    .await?;
    Ok(())
}
