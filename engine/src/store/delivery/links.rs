//! Which source goes where.

use std::collections::BTreeSet;

use engine_api::{DestinationId, SourceId};

use crate::store::{
    Error,
    sql::{self, Connection},
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
