//! The sealed secrets of what users declared.

use super::{
    Error, Store,
    sealing::may_seal,
    sql::{self, Connection},
};

/// A secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// The field, dotted from the root of the spec.
    pub field: String,
    /// What the vault made of it.
    pub sealed: Vec<u8>,
}

impl SealedSecret {
    /// Field and sealed bytes, as the vault takes them.
    pub fn as_pair(&self) -> (&str, &[u8]) {
        (&self.field, &self.sealed)
    }
}

impl Store {
    /// The sealed secrets of an object.
    pub async fn sealed_secrets(&self, id: &str) -> Result<Vec<SealedSecret>, Error> {
        of(&mut self.read().acquire().await?, id).await
    }
}

/// The secrets of an object, in the order of their fields.
pub(super) async fn of(connection: &mut Connection, id: &str) -> Result<Vec<SealedSecret>, Error> {
    let rows = sql::query("SELECT field, sealed FROM object_secret WHERE object_id = $1 ORDER BY field")
        .bind(id)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(SealedSecret {
                field: row.try_get("field")?,
                sealed: row.try_get("sealed")?,
            })
        })
        .collect()
}

/// Forgets those of an object that are not among `kept`.
pub(super) async fn forget_others(
    write: &mut Connection,
    id: &str,
    kept: &[SealedSecret],
) -> Result<(), Error> {
    for stored in of(write, id).await? {
        if !kept.iter().any(|secret| secret.field == stored.field) {
            sql::query("DELETE FROM object_secret WHERE object_id = $1 AND field = $2")
                .bind(id)
                .bind(&stored.field)
                .execute(&mut *write)
                .await?;
        }
    }
    Ok(())
}

/// Stores secrets of an object; one that did not change keeps its time.
pub(super) async fn put(
    write: &mut Connection,
    id: &str,
    secrets: &[SealedSecret],
    now: i64,
) -> Result<(), Error> {
    for secret in secrets {
        may_seal(&mut *write, &secret.sealed).await?;
        sql::query(
            "INSERT INTO object_secret (object_id, field, sealed, updated_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (object_id, field) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at
             WHERE object_secret.sealed <> excluded.sealed",
        )
        .bind(id)
        .bind(&secret.field)
        .bind(&secret.sealed)
        .bind(now)
        .execute(&mut *write)
        .await?;
    }
    Ok(())
}
