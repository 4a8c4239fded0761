//! Lanes: claimed, released, paused.

use std::time::Duration;

use jiff::Timestamp;

use super::{Claim, Trouble};
use crate::{
    model::Fence,
    retry::later,
    store::{
        Error, Fenced, Store, engines, sql,
        time::{millis, word},
    },
};

/// A lane that was claimed.
#[derive(Debug, Clone)]
pub struct Lane {
    /// What the worker's writes name.
    pub claim: Claim,
    /// What the adapter had to remember.
    pub settled: Option<String>,
    /// A write may have begun that was not settled.
    pub interrupted: bool,
    /// Attempts failed in a row.
    pub failures: u32,
}

impl Store {
    /// Claims the lane that is due longest, for `lease`; `None` where none is due and free.
    ///
    /// # Cancel safety
    ///
    /// A dropped claim may have been made: it lapses.
    pub async fn claim_lane(&self, owner: &str, lease: Duration) -> Result<Option<Lane>, Error> {
        let now = self.now();
        // Each commit wakes all who deliver, and one of them is enough: the others do not wait for the writer's turn.
        let due: bool = sql::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM lane WHERE due_at <= $1 AND (lease_until IS NULL OR lease_until <= $1))",
        )
        .bind(now)
        .fetch_one(self.read())
        .await?;
        if !due {
            return Ok(None);
        }
        let until = self.lease_end(lease);
        let mut write = self.soft().await?;
        let claimed: Option<(String, i64, Option<String>, bool, i64)> = sql::query_as(sql::skip_locked!(
            "UPDATE lane SET lease_owner = $1, lease_until = $2, fence = fence + 1, woken = 0
             WHERE destination_id = (
                 SELECT destination_id FROM lane
                 WHERE due_at <= $3 AND (lease_until IS NULL OR lease_until <= $3)"
                { " AND (get_bit($4, slot(destination_id)) = 1 OR due_at <= $3 - $5)" }
            " ORDER BY due_at LIMIT 1"
                { " FOR UPDATE SKIP LOCKED" }
            ")
             RETURNING destination_id, fence, settled, writing, failures"
        ))
        .bind(owner)
        .bind(until)
        .bind(now)
        .bind(self.shared.homes.get())
        .bind(engines::GRACE)
        .fetch_optional(&mut *write)
        .await?;
        write.commit().await?;
        claimed
            .map(|(destination, fence, settled, interrupted, failures)| {
                let destination = word(&destination, |text| text.parse().ok())?;
                let claim = Claim {
                    destination,
                    fence: Fence(fence),
                };
                Ok(Lane {
                    claim,
                    settled,
                    interrupted,
                    failures: u32::try_from(failures).unwrap_or(u32::MAX),
                })
            })
            .transpose()
    }

    /// When the next lane can be claimed; `None` while nothing is to come.
    pub async fn next_lane_due(&self) -> Result<Option<Timestamp>, Error> {
        let due = sql::query_scalar(sql::skip_locked!(
            "SELECT MIN(MAX(due_at" { " + (1 - get_bit($1, slot(destination_id))) * $2" }
            ", COALESCE(lease_until, due_at))) FROM lane WHERE due_at IS NOT NULL"
        ))
        .bind(self.shared.homes.get())
        .bind(engines::GRACE)
        .fetch_one(self.read())
        .await?;
        self.look_again(due)
    }

    /// Gives a lane back. It is due at `next`, or at once where it was woken since it was claimed.
    pub async fn release_lane(
        &self,
        claim: &Claim,
        next: Option<Timestamp>,
    ) -> Result<Result<(), Fenced>, Error> {
        let mut write = self.soft().await?;
        let released = sql::query(
            "UPDATE lane SET lease_owner = NULL, lease_until = NULL,
                 due_at = CASE WHEN woken > 0 THEN MIN($4, COALESCE($3, $4)) ELSE $3 END
             WHERE destination_id = $1 AND fence = $2 AND lease_owner IS NOT NULL",
        )
        .bind(claim.destination.as_str())
        .bind(claim.fence.0)
        .bind(next.map(millis))
        .bind(self.now())
        .execute(&mut *write)
        .await?
        .rows_affected();
        write.commit().await?;
        Ok(if released == 1 { Ok(()) } else { Err(Fenced) })
    }

    /// Gives a lane back after a failure: it is not due before `next`, whatever is appended meanwhile, unless its
    /// spec was changed. The trouble is shown until the next success.
    pub async fn pause_lane(
        &self,
        claim: &Claim,
        trouble: &Trouble,
        next: Timestamp,
    ) -> Result<Result<(), Fenced>, Error> {
        let mut write = self.soft().await?;
        let paused = sql::query(
            "UPDATE lane SET lease_owner = NULL, lease_until = NULL, failures = failures + 1,
                 due_at = CASE WHEN woken = 2 THEN $3 ELSE $4 END,
                 trouble_code = $5, trouble_detail = $6, trouble_since = COALESCE(trouble_since, $3)
             WHERE destination_id = $1 AND fence = $2 AND lease_owner IS NOT NULL",
        )
        .bind(claim.destination.as_str())
        .bind(claim.fence.0)
        .bind(self.now())
        .bind(millis(next))
        .bind(trouble.code.as_str())
        .bind(&trouble.detail)
        .execute(&mut *write)
        .await?
        .rows_affected();
        write.commit().await?;
        Ok(if paused == 1 { Ok(()) } else { Err(Fenced) })
    }

    /// Ends the leases of feeds, lanes, notices and tokens that an engine left behind when it was killed. Only for the
    /// start of the one engine of an embedded store: there is then nobody who could still hold them.
    pub async fn break_leases(&self) -> Result<(), Error> {
        self.end_leases(None).await
    }

    /// Ends the leases of one owner, as engines that share a store do with one that is silent. Of the simulation, whose
    /// engines share a SQLite store.
    #[cfg(feature = "crash-points")]
    pub async fn bury(&self, owner: &str) -> Result<(), Error> {
        self.end_leases(Some(owner)).await
    }

    async fn end_leases(&self, owner: Option<&str>) -> Result<(), Error> {
        let mut write = self.soft().await?;
        for statement in [
            "UPDATE feed SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = coalesce($1, lease_owner)",
            "UPDATE lane SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = coalesce($1, lease_owner)",
            "UPDATE notice SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = coalesce($1, lease_owner)",
            "UPDATE consent SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = coalesce($1, lease_owner)",
            "UPDATE access_token SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = coalesce($1, lease_owner)",
        ] {
            sql::query(statement).bind(owner).execute(&mut *write).await?;
        }
        Ok(write.commit().await?)
    }

    pub(in crate::store) fn lease_end(&self, lease: Duration) -> i64 {
        millis(later(self.shared.clock.now(), lease))
    }
}
