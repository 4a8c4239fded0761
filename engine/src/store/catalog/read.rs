//! Reading the catalog.

use engine_api::Kind;

use super::{Idempotency, Object, Refusal, word};
use crate::store::{
    Error, Store,
    secrets::{self, SealedSecret},
    sql::{self, Connection, Row},
    time::instant,
};

impl Store {
    /// One object.
    pub async fn object(&self, kind: Kind, id: &str) -> Result<Option<Object>, Error> {
        find(&mut self.read().acquire().await?, kind, id).await
    }

    /// One object and its sealed secrets, as they were at one instant.
    pub async fn object_with_secrets(
        &self,
        kind: Kind,
        id: &str,
    ) -> Result<Option<(Object, Vec<SealedSecret>)>, Error> {
        let mut read = self.snapshot().await?;
        let found = match find(&mut read, kind, id).await? {
            Some(object) => Some((object, secrets::of(&mut read, id).await?)),
            None => None,
        };
        // Dropped instead, its connection would be closed: this is asked at each delivery.
        read.rollback().await?;
        Ok(found)
    }

    /// Up to `limit` objects of a kind whose ids come after `after`, in the order of their ids; only the one with
    /// this name where a name is given.
    pub async fn objects(
        &self,
        kind: Kind,
        name: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Object>, Error> {
        let rows = sql::query(
            "SELECT id, name, generation, spec, fingerprint, created_at, updated_at FROM object
             WHERE kind = $1 AND ($2 IS NULL OR name = $2) AND id > $3 ORDER BY id LIMIT $4",
        )
        .bind(word(kind))
        .bind(name)
        .bind(after.unwrap_or_default())
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.iter().map(|row| object(kind, row)).collect()
    }

    /// What an earlier create with this key made, or that the key is taken; `None` where the key is new. Asked
    /// before anything costly is done for the create, which asks again in its own transaction.
    pub async fn created_before(
        &self,
        kind: Kind,
        idempotency: &Idempotency,
    ) -> Result<Option<Result<Object, Refusal>>, Error> {
        by_key(&mut self.read().acquire().await?, kind, idempotency).await
    }

    /// Who has a name, if anybody.
    pub async fn name_holder(&self, kind: Kind, name: &str) -> Result<Option<String>, Error> {
        holder(&mut self.read().acquire().await?, kind, name).await
    }
}

pub(super) async fn find(connection: &mut Connection, kind: Kind, id: &str) -> Result<Option<Object>, Error> {
    let row = sql::query(
        "SELECT id, name, generation, spec, fingerprint, created_at, updated_at FROM object
         WHERE id = $1 AND kind = $2",
    )
    .bind(id)
    .bind(word(kind))
    .fetch_optional(connection)
    .await?;
    row.map(|row| object(kind, &row)).transpose()
}

pub(super) async fn by_key(
    connection: &mut Connection,
    kind: Kind,
    idempotency: &Idempotency,
) -> Result<Option<Result<Object, Refusal>>, Error> {
    let row = sql::query(
        "SELECT id, name, generation, spec, fingerprint, created_at, updated_at, idempotency_digest
         FROM object WHERE kind = $1 AND idempotency_key = $2",
    )
    .bind(word(kind))
    .bind(&idempotency.key)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let digest: Vec<u8> = row.try_get("idempotency_digest")?;
    Ok(Some(if digest == idempotency.digest {
        Ok(object(kind, &row)?)
    } else {
        Err(Refusal::KeyReused)
    }))
}

pub(super) async fn holder(
    connection: &mut Connection,
    kind: Kind,
    name: &str,
) -> Result<Option<String>, Error> {
    Ok(
        sql::query_scalar("SELECT id FROM object WHERE kind = $1 AND name = $2")
            .bind(word(kind))
            .bind(name)
            .fetch_optional(connection)
            .await?,
    )
}

fn object(kind: Kind, row: &Row) -> Result<Object, Error> {
    let generation: i64 = row.try_get("generation")?;
    Ok(Object {
        id: row.try_get("id")?,
        kind,
        name: row.try_get("name")?,
        generation: u64::try_from(generation)
            .map_err(|_| Error::Damaged(format!("{generation} is not a generation")))?,
        spec: row.try_get("spec")?,
        fingerprint: row.try_get("fingerprint")?,
        created_at: instant(row.try_get("created_at")?)?,
        updated_at: instant(row.try_get("updated_at")?)?,
    })
}
