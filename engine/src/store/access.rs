//! Access tokens: one for each credential, which all engines use, and who asks Zoom for the next one.
//!
//! A row is named by its credential: a changed secret, another app or another consent is another row, and what the former
//! one holds is asked for by nobody any more. What is lost here is asked for again, so nothing waits for the disk.
//!
//! What holds:
//! * **One asks**: a claim is a lease with a fence, and is granted only to who has seen the row as it is.
//! * A claim takes the token away, so nobody takes one that is being replaced.

use jiff::{SignedDuration, Timestamp};

use super::{
    Error, Fenced, Store,
    sealing::may_seal,
    sql,
    time::{maybe_instant, millis},
};
use crate::model::Fence;

/// The field that the seal of an access token is bound to, beside its credential.
pub const ACCESS_FIELD: &str = "access_token";
/// A row that nobody has written to for so long is nobody's any more: Zoom's tokens live for an hour.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What is known of a credential's access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRow {
    /// The token, sealed, and until when it is used.
    pub token: Option<(Vec<u8>, Timestamp)>,
    /// Until when somebody may be asking for one.
    pub lease_until: Option<Timestamp>,
    /// What a claim must have seen.
    pub fence: Fence,
}

/// What a claim on a row that is not there must have seen.
pub const NO_ROW: Fence = Fence(0);

impl Store {
    /// The access token of a credential, where anybody has ever asked for one.
    pub async fn access(&self, credential: &str) -> Result<Option<AccessRow>, Error> {
        let found =
            sql::query("SELECT token, renew_at, lease_until, fence FROM access_token WHERE credential = $1")
                .bind(credential)
                .fetch_optional(self.read())
                .await?;
        let Some(row) = found else { return Ok(None) };
        let token: Option<Vec<u8>> = row.try_get("token")?;
        Ok(Some(AccessRow {
            token: token.zip(maybe_instant(row.try_get("renew_at")?)?),
            lease_until: maybe_instant(row.try_get("lease_until")?)?,
            fence: Fence(row.try_get("fence")?),
        }))
    }

    /// Claims the right to ask for a credential's next token until `until`, and gives up the one that is there; `None`
    /// where somebody asks already, or the row is not any more as it was at the fence `seen`.
    pub async fn claim_access(
        &self,
        credential: &str,
        seen: Fence,
        owner: &str,
        until: Timestamp,
    ) -> Result<Option<Fence>, Error> {
        let mut write = self.soft().await?;
        let claimed: Option<i64> = sql::query_scalar(
            "INSERT INTO access_token (credential, lease_owner, lease_until, touched_at, fence) VALUES ($1, $3, $4, $5, 1)
             ON CONFLICT (credential) DO UPDATE SET
                 token = NULL, renew_at = NULL, lease_owner = excluded.lease_owner, lease_until = excluded.lease_until,
                 touched_at = excluded.touched_at, fence = access_token.fence + 1
             WHERE access_token.fence = $2 AND (access_token.lease_until IS NULL OR access_token.lease_until <= $5)
             RETURNING fence",
        )
        .bind(credential)
        .bind(seen.0)
        .bind(owner)
        .bind(millis(until))
        .bind(self.now())
        .fetch_optional(&mut *write)
        .await?;
        write.commit().await?;
        Ok(claimed.map(Fence))
    }

    /// Stores the token that Zoom gave to a claim, and ends the claim.
    pub async fn keep_access(
        &self,
        credential: &str,
        (fence, owner): (Fence, &str),
        token: &[u8],
        renew_at: Timestamp,
    ) -> Result<Result<(), Fenced>, Error> {
        let mut write = self.soft().await?;
        may_seal(&mut write, token).await?;
        let kept = sql::query(
            "UPDATE access_token SET token = $4, renew_at = $5, touched_at = $6, lease_owner = NULL, lease_until = NULL
             WHERE credential = $1 AND fence = $2 AND lease_owner = $3",
        )
        .bind(credential)
        .bind(fence.0)
        .bind(owner)
        .bind(token)
        .bind(millis(renew_at))
        .bind(self.now())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(if kept.rows_affected() == 1 {
            Ok(())
        } else {
            Err(Fenced)
        })
    }

    /// Ends a claim to which Zoom gave nothing; one that was lost meanwhile stays as it is.
    pub async fn give_back_access(
        &self,
        credential: &str,
        (fence, owner): (Fence, &str),
    ) -> Result<(), Error> {
        let mut write = self.soft().await?;
        sql::query(
            "UPDATE access_token SET lease_owner = NULL, lease_until = NULL, touched_at = $4
             WHERE credential = $1 AND fence = $2 AND lease_owner = $3",
        )
        .bind(credential)
        .bind(fence.0)
        .bind(owner)
        .bind(self.now())
        .execute(&mut *write)
        .await?;
        Ok(write.commit().await?)
    }

    /// Stores a token that was not asked for here, but came with a consent. A row that is there already is of that same
    /// consent and newer: somebody has asked, or asks, for the next token.
    pub async fn put_access(&self, credential: &str, token: &[u8], renew_at: Timestamp) -> Result<(), Error> {
        let mut write = self.soft().await?;
        may_seal(&mut write, token).await?;
        sql::query(
            "INSERT INTO access_token (credential, token, renew_at, touched_at, fence) VALUES ($1, $2, $3, $4, 1)
             ON CONFLICT (credential) DO NOTHING",
        )
        .bind(credential)
        .bind(token)
        .bind(millis(renew_at))
        .bind(self.now())
        .execute(&mut *write)
        .await?;
        Ok(write.commit().await?)
    }

    /// Forgets the tokens of credentials that nobody has any more; answers how many.
    pub async fn forget_old_access(&self, now: Timestamp) -> Result<u64, Error> {
        let edge = millis(now.saturating_sub(FORGOTTEN_AFTER).unwrap_or(Timestamp::MIN));
        let mut write = self.soft().await?;
        let forgotten = sql::query("DELETE FROM access_token WHERE touched_at < $1")
            .bind(edge)
            .execute(&mut *write)
            .await?
            .rows_affected();
        write.commit().await?;
        Ok(forgotten)
    }
}

/// Gives up, in the transaction that ends a key's rotation, the tokens that another key sealed: they are asked for again,
/// which is simpler than to wrap anew what lives for an hour.
pub(super) async fn give_up_sealed_otherwise(
    write: &mut sql::Connection,
    header: &[u8],
) -> Result<(), Error> {
    sql::query(
        "UPDATE access_token SET token = NULL, renew_at = NULL, fence = fence + 1 WHERE substr(token, 1, 5) <> $1",
    )
    .bind(header)
    .execute(write)
    .await?;
    Ok(())
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
