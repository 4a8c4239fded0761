//! Which master key seals, and the wrapping of all that is sealed under another one.
//!
//! A sealed secret begins with five bytes that say how and under which master key it is sealed; that is all that the
//! store knows of its form.
//!
//! What holds: once [`Store::switch_key`] has said so, no secret is stored any more that needs the former key. Whoever
//! stores one looks up in the same transaction whether its key may still seal, and takes a lock on the answer by writing
//! it; the switch writes it, too, and counts only then.

use serde_json::json;

use super::{
    Error, Store,
    access::give_up_sealed_otherwise,
    audit::Deed,
    meta::KEY_CHECK,
    sealing::{NEXT, hex},
    sql::{self, Connection, Row},
    time::count,
};

/// The check values of the keys that were in use before, a line each.
const RETIRED: &str = "vault_keys_retired";
/// The sealed fingerprint key.
const FINGERPRINT: &str = "vault_fingerprint_key";

/// The master keys that the stored secrets need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// The check value of the one in use.
    pub active: String,
    /// The one that is taking its place.
    pub next: Option<String>,
    /// Those that were in use before.
    pub retired: Vec<String>,
    /// The sealed fingerprint key, once there was a rotation.
    pub fingerprint: Option<Vec<u8>>,
}

/// A secret as it is stored, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// The object that it belongs to.
    pub owner: String,
    /// The field of the object's spec; `None` for the refresh token of a consent.
    pub field: Option<String>,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

impl Store {
    /// The master keys that the stored secrets need; `None` before the first start.
    pub async fn key_state(&self) -> Result<Option<KeyState>, Error> {
        let rows = sql::query("SELECT key, value FROM meta WHERE key IN ($1, $2, $3, $4)")
            .bind(KEY_CHECK)
            .bind(NEXT)
            .bind(RETIRED)
            .bind(FINGERPRINT)
            .fetch_all(self.read())
            .await?;
        let mut state = KeyState {
            active: String::new(),
            next: None,
            retired: Vec::new(),
            fingerprint: None,
        };
        for row in rows {
            let (key, value): (String, Vec<u8>) = (row.try_get("key")?, row.try_get("value")?);
            let text = || String::from_utf8_lossy(&value).into_owned();
            match key.as_str() {
                KEY_CHECK => state.active = text(),
                NEXT => state.next = Some(text()),
                RETIRED => state.retired = text().lines().map(str::to_owned).collect(),
                _ => state.fingerprint = Some(value),
            }
        }
        Ok((!state.active.is_empty()).then_some(state))
    }

    /// Begins a rotation: from now on secrets are sealed under `next`, and those under the active key are still taken.
    /// Answers the key that is taking the active one's place: another one, where somebody was quicker.
    pub async fn announce_key(&self, next: &str, fingerprint: &[u8]) -> Result<String, Error> {
        let mut write = self.durable().await?;
        let begun = sql::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING")
            .bind(NEXT)
            .bind(next.as_bytes())
            .execute(&mut *write)
            .await?
            .rows_affected();
        if begun == 1 {
            put(&mut write, FINGERPRINT, fingerprint).await?;
        }
        let kept: Vec<u8> = sql::query_scalar("SELECT value FROM meta WHERE key = $1")
            .bind(NEXT)
            .fetch_one(&mut *write)
            .await?;
        write.commit().await?;
        Ok(String::from_utf8_lossy(&kept).into_owned())
    }

    /// Secrets that do not begin with `header`, by owner and field, from behind `after` on.
    pub async fn sealed_otherwise(
        &self,
        header: &[u8],
        after: (&str, &str),
        limit: u32,
    ) -> Result<Vec<SealedRow>, Error> {
        let rows = sql::query(
            "SELECT object_id AS owner, field, sealed FROM object_secret
             WHERE substr(sealed, 1, 5) <> $1 AND (object_id > $2 OR (object_id = $2 AND field > $3))
             ORDER BY object_id, field LIMIT $4",
        )
        .bind(header)
        .bind(after.0)
        .bind(after.1)
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(sealed_row).collect()
    }

    /// Refresh tokens that do not begin with `header`, by source, from behind `after` on.
    pub async fn tokens_otherwise(
        &self,
        header: &[u8],
        after: &str,
        limit: u32,
    ) -> Result<Vec<SealedRow>, Error> {
        let rows = sql::query(
            "SELECT source_id AS owner, CAST(NULL AS TEXT) AS field, token AS sealed FROM consent
             WHERE substr(token, 1, 5) <> $1 AND source_id > $2
             ORDER BY source_id LIMIT $3",
        )
        .bind(header)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(sealed_row).collect()
    }

    /// Puts the same secrets in other wrapping, each only if it is still the one that was read. What an object holds,
    /// its generation and the fence of a consent stay as they are.
    pub async fn rewrap(&self, rows: &[(SealedRow, Vec<u8>)]) -> Result<(), Error> {
        let mut write = self.durable().await?;
        for (row, sealed) in rows {
            let statement = match &row.field {
                Some(field) => {
                    sql::query("UPDATE object_secret SET sealed = $1 WHERE object_id = $2 AND sealed = $3 AND field = $4")
                        .bind(sealed)
                        .bind(&row.owner)
                        .bind(&row.sealed)
                        .bind(field)
                }
                None => sql::query("UPDATE consent SET token = $1 WHERE source_id = $2 AND token = $3")
                    .bind(sealed)
                    .bind(&row.owner)
                    .bind(&row.sealed),
            };
            statement.execute(&mut *write).await?;
        }
        Ok(write.commit().await?)
    }

    /// Ends a rotation, if every secret begins with the next key's `header` by now; else answers how many do not.
    pub async fn switch_key(
        &self,
        state: &KeyState,
        next: &str,
        header: &[u8],
    ) -> Result<Result<(), u64>, Error> {
        let mut write = self.change().await?;
        // Written first: whoever stores a secret now waits, and whoever did so before has committed.
        put(&mut write, KEY_CHECK, next.as_bytes()).await?;
        let left: i64 = sql::query_scalar(
            "SELECT (SELECT count(*) FROM object_secret WHERE substr(sealed, 1, 5) <> $1)
                  + (SELECT count(*) FROM consent WHERE substr(token, 1, 5) <> $1)",
        )
        .bind(header)
        .fetch_one(&mut *write)
        .await?;
        if left > 0 {
            write.rollback().await?;
            return Ok(Err(count(left)));
        }
        give_up_sealed_otherwise(&mut write, header).await?;
        let mut retired = state.retired.clone();
        retired.push(state.active.clone());
        put(&mut write, RETIRED, retired.join("\n").as_bytes()).await?;
        sql::query("DELETE FROM meta WHERE key = $1")
            .bind(NEXT)
            .execute(&mut *write)
            .await?;
        let deed = Deed {
            action: "vault.rotate",
            before: Some(json!({ "key": named(&state.active) })),
            after: Some(json!({ "key": named(next) })),
            ..Deed::default()
        };
        self.note(&mut write, deed).await?;
        write.commit().await?;
        Ok(Ok(()))
    }

    /// How many secrets need each master key, by the key's name.
    pub async fn secrets_by_key(&self) -> Result<Vec<(String, u64)>, Error> {
        let rows = sql::query(
            "SELECT name, count(*) AS secrets FROM (
                 SELECT substr(sealed, 2, 4) AS name FROM object_secret
                 UNION ALL SELECT substr(token, 2, 4) AS name FROM consent) AS every
             GROUP BY name ORDER BY name",
        )
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                let name: Vec<u8> = row.try_get("name")?;
                let name = hex(&name);
                Ok((name, count(row.try_get("secrets")?)))
            })
            .collect()
    }
}

fn sealed_row(row: &Row) -> Result<SealedRow, Error> {
    Ok(SealedRow {
        owner: row.try_get("owner")?,
        field: row.try_get("field")?,
        sealed: row.try_get("sealed")?,
    })
}

async fn put(write: &mut Connection, key: &str, value: &[u8]) -> Result<(), Error> {
    sql::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
        .bind(key)
        .bind(value)
        .execute(write)
        .await?;
    Ok(())
}

fn named(check: &str) -> &str {
    check.get(..8).unwrap_or(check)
}
