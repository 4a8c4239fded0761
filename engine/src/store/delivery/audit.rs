//! The audit log on its way to destinations that are to have it: positions as those of feeds, over the entries' numbers.

use std::time::Duration;

use engine_api::{AuditEntry, DestinationId};

use super::{Claim, Moved, answered};
use crate::store::{
    Error, Store,
    audit::entry,
    sql::{self, Connection},
};

/// Entries that a destination has not acknowledged.
#[derive(Debug, Clone)]
pub struct PendingAudit {
    /// The last entry that it has.
    pub number: i64,
    /// The end of the batch that was being written when the last attempt ended.
    pub staged: Option<i64>,
    /// What comes next, in order.
    pub entries: Vec<AuditEntry>,
}

impl Store {
    /// Entries that the destination of a claim has not acknowledged, at most `limit`; `None` where it is to have none.
    pub async fn pending_audit(&self, claim: &Claim, limit: u32) -> Result<Option<PendingAudit>, Error> {
        let position = sql::query("SELECT number, staged FROM audit_position WHERE destination_id = $1")
            .bind(claim.destination.as_str())
            .fetch_optional(self.read())
            .await?;
        let Some(position) = position else { return Ok(None) };
        let number: i64 = position.try_get("number")?;
        let rows = sql::query("SELECT * FROM audit WHERE number > $1 ORDER BY number LIMIT $2")
            .bind(number)
            .bind(i64::from(limit))
            .fetch_all(self.read())
            .await?;
        Ok(Some(PendingAudit {
            number,
            staged: position.try_get("staged")?,
            entries: rows.iter().map(entry).collect::<Result<_, _>>()?,
        }))
    }

    /// As [`Store::stage`], for entries up to `to`.
    ///
    /// # Cancel safety
    ///
    /// The bound may have been stored: the next claim then writes that batch first.
    pub async fn stage_audit(
        &self,
        claim: &Claim,
        lease: Duration,
        (from, to): (i64, i64),
        settled: Option<&str>,
    ) -> Result<Moved, Error> {
        let mut write = self.durable().await?;
        if !self.touch(&mut write, claim, lease, settled).await? {
            return Ok(Moved::Fenced);
        }
        let staged =
            sql::query("UPDATE audit_position SET staged = $1 WHERE destination_id = $2 AND number = $3")
                .bind(to)
                .bind(claim.destination.as_str())
                .bind(from)
                .execute(&mut *write)
                .await?
                .rows_affected();
        if staged == 0 {
            return Ok(Moved::Gone);
        }
        write.commit().await?;
        Ok(Moved::Done)
    }

    /// Moves the position over entries that were acknowledged, or over one that was refused for good.
    ///
    /// # Cancel safety
    ///
    /// Either all of it happened or nothing; where nothing did, the batch is written again.
    pub async fn settle_audit(
        &self,
        claim: &Claim,
        (from, to): (i64, i64),
        settled: Option<&str>,
        delivered: bool,
    ) -> Result<Moved, Error> {
        let mut write = self.durable().await?;
        let delivered_at = delivered.then(|| self.now());
        if !answered(&mut write, claim, settled, delivered_at).await? {
            return Ok(Moved::Fenced);
        }
        let moved = sql::query(
            "UPDATE audit_position SET number = $1, staged = NULL WHERE destination_id = $2 AND number = $3",
        )
        .bind(to)
        .bind(claim.destination.as_str())
        .bind(from)
        .execute(&mut *write)
        .await?
        .rows_affected();
        // Where the position is gone, the lane's part still counts: a file is as long as it is.
        write.commit().await?;
        Ok(if moved == 1 { Moved::Done } else { Moved::Gone })
    }
}

/// Makes a destination one that gets the audit log, from its end on, or one that does not. To be called whenever its
/// spec is written, once it has a lane.
pub(in crate::store) async fn sync_audit(
    tx: &mut Connection,
    destination: &DestinationId,
    wanted: bool,
) -> Result<(), Error> {
    let statement = if wanted {
        "INSERT INTO audit_position (destination_id, number)
         SELECT $1, COALESCE(MAX(number), 0) FROM audit WHERE true ON CONFLICT (destination_id) DO NOTHING"
    } else {
        "DELETE FROM audit_position WHERE destination_id = $1"
    };
    sql::query(statement)
        .bind(destination.as_str())
        .execute(tx)
        .await?;
    Ok(())
}
