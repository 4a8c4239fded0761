//! Changing the catalog: each change is one durable transaction, with all the rows that follow from it.

use engine_api::{DestinationId, DestinationSpec, Kind, SourceId, SourceSpec};
use serde_json::{Value, json};

use super::{Content, Created, Idempotency, Needs, Object, Reference, Refusal, read, word};
use crate::store::{
    Error, Store, alarms,
    audit::Deed,
    consents, delivery,
    error::damaged,
    feeds::sync_feeds,
    secrets::{self, SealedSecret},
    sql::{self, Connection},
    time::instant,
    wake,
};

/// The form in which specs are stored now.
const SPEC_VERSION: i64 = 1;
/// How many of the objects that need another one are named.
const NEEDS_NAMED: i64 = 10;

impl Store {
    /// Creates an object under a new id.
    pub async fn create_object(
        &self,
        kind: Kind,
        id: &str,
        content: &Content,
        idempotency: Option<&Idempotency>,
    ) -> Result<Result<Created, Refusal>, Error> {
        let mut write = self.change().await?;
        if let Some(idempotency) = idempotency
            && let Some(before) = read::by_key(&mut write, kind, idempotency).await?
        {
            write.rollback().await?;
            return Ok(before.map(Created::Before));
        }
        if let Some(refusal) = refused(&mut write, kind, None, content).await? {
            return Ok(Err(refusal));
        }
        let now = self.now();
        sql::query(
            "INSERT INTO object (id, kind, name, generation, spec, spec_version, fingerprint, created_at, updated_at,
                                 idempotency_key, idempotency_digest)
             VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $7, $8, $9)",
        )
        .bind(id)
        .bind(word(kind))
        .bind(&content.name)
        .bind(&content.spec)
        .bind(SPEC_VERSION)
        .bind(content.fingerprint.as_deref())
        .bind(now)
        .bind(idempotency.map(|idempotency| idempotency.key.as_str()))
        .bind(idempotency.map(|idempotency| idempotency.digest.as_slice()))
        .execute(&mut *write)
        .await?;
        write_parts(&mut write, id, content, now).await?;
        bring_in_line(&mut write, kind, id, content, now).await?;
        let created = written(&mut write, kind, id).await?;
        self.note_change(&mut write, kind, "create", id, (None, Some(&created)))
            .await?;
        write.commit().await?;
        Ok(Ok(Created::New(created)))
    }

    /// Replaces what an object holds, if it still has the generation that the new content is based on. Content that
    /// is the same changes nothing, not even the generation.
    pub async fn replace_object(
        &self,
        kind: Kind,
        id: &str,
        based_on: u64,
        content: &Content,
    ) -> Result<Result<Object, Refusal>, Error> {
        let mut write = self.change().await?;
        let Some(before) = read::find(&mut write, kind, id).await? else {
            return Ok(Err(Refusal::Absent));
        };
        if before.generation != based_on {
            return Ok(Err(Refusal::Changed {
                generation: before.generation,
            }));
        }
        if before.spec == content.spec && secrets::of(&mut write, id).await? == sorted(content) {
            write.rollback().await?;
            return Ok(Ok(before));
        }
        if let Some(refusal) = refused(&mut write, kind, Some(id), content).await? {
            return Ok(Err(refusal));
        }
        let now = self.now();
        sql::query(
            "UPDATE object SET name = $2, generation = generation + 1, spec = $3, spec_version = $4, fingerprint = $5,
                 updated_at = $6
             WHERE id = $1",
        )
        .bind(id)
        .bind(&content.name)
        .bind(&content.spec)
        .bind(SPEC_VERSION)
        .bind(content.fingerprint.as_deref())
        .bind(now)
        .execute(&mut *write)
        .await?;
        sql::query("DELETE FROM object_reference WHERE from_id = $1")
            .bind(id)
            .execute(&mut *write)
            .await?;
        secrets::forget_others(&mut write, id, &content.secrets).await?;
        write_parts(&mut write, id, content, now).await?;
        bring_in_line(&mut write, kind, id, content, now).await?;
        let replaced = written(&mut write, kind, id).await?;
        self.note_change(&mut write, kind, "update", id, (Some(&before), Some(&replaced)))
            .await?;
        write.commit().await?;
        Ok(Ok(replaced))
    }

    /// Removes an object and all that belongs to it, if nothing needs it and, where a generation is given, it still
    /// has that one.
    pub async fn remove_object(
        &self,
        kind: Kind,
        id: &str,
        expected: Option<u64>,
    ) -> Result<Result<(), Refusal>, Error> {
        let mut write = self.change().await?;
        let Some(object) = read::find(&mut write, kind, id).await? else {
            return Ok(Err(Refusal::Absent));
        };
        if expected.is_some_and(|expected| expected != object.generation) {
            return Ok(Err(Refusal::Changed {
                generation: object.generation,
            }));
        }
        if let Some(refusal) = needed(&mut write, id).await? {
            return Ok(Err(refusal));
        }
        sql::query("DELETE FROM object WHERE id = $1")
            .bind(id)
            .execute(&mut *write)
            .await?;
        self.note_change(&mut write, kind, "delete", id, (Some(&object), None))
            .await?;
        write.commit().await?;
        Ok(Ok(()))
    }

    async fn note_change(
        &self,
        write: &mut Connection,
        kind: Kind,
        verb: &str,
        id: &str,
        (before, after): (Option<&Object>, Option<&Object>),
    ) -> Result<(), Error> {
        let deed = Deed {
            action: &format!("{}.{verb}", word(kind)),
            target: Some(id),
            before: before.map(noted),
            after: after.map(noted),
        };
        self.note(write, deed).await
    }
}

/// What the audit log tells of an object: all but its secrets, which are not in its spec.
fn noted(object: &Object) -> Value {
    let spec = serde_json::from_str(&object.spec).unwrap_or(Value::Null);
    let mut noted = json!({ "generation": object.generation, "spec": spec });
    if let Some(fingerprint) = &object.fingerprint {
        noted["credential_fingerprint"] = json!(fingerprint);
    }
    noted
}

/// Why this content cannot be written, if it cannot.
async fn refused(
    write: &mut Connection,
    kind: Kind,
    id: Option<&str>,
    content: &Content,
) -> Result<Option<Refusal>, Error> {
    if let Some(holder) = read::holder(write, kind, &content.name).await?
        && Some(holder.as_str()) != id
    {
        return Ok(Some(Refusal::NameTaken { holder }));
    }
    let mut missing = Vec::new();
    for reference in &content.references {
        if !exists(write, &reference.id).await? {
            missing.push(reference.clone());
        }
    }
    Ok((!missing.is_empty()).then_some(Refusal::UnknownReferences(missing)))
}

async fn exists(write: &mut Connection, id: &str) -> Result<bool, Error> {
    let found: Option<i64> = sql::query_scalar("SELECT 1 FROM object WHERE id = $1")
        .bind(id)
        .fetch_optional(write)
        .await?;
    Ok(found.is_some())
}

async fn needed(write: &mut Connection, id: &str) -> Result<Option<Refusal>, Error> {
    let count: i64 = sql::query_scalar("SELECT count(*) FROM object_reference WHERE to_id = $1")
        .bind(id)
        .fetch_one(&mut *write)
        .await?;
    if count == 0 {
        return Ok(None);
    }
    let rows = sql::query(
        "SELECT kind, name FROM object_reference JOIN object ON id = from_id WHERE to_id = $1
         ORDER BY name LIMIT $2",
    )
    .bind(id)
    .bind(NEEDS_NAMED)
    .fetch_all(write)
    .await?;
    let by = rows
        .iter()
        .map(|row| {
            let found: String = row.try_get("kind")?;
            let kind = Kind::ALL.into_iter().find(|kind| word(*kind) == found);
            Ok(Needs {
                kind: kind.ok_or_else(|| Error::Damaged(format!("`{found}` is not a kind of object")))?,
                name: row.try_get("name")?,
            })
        })
        .collect::<Result<_, Error>>()?;
    Ok(Some(Refusal::InUse {
        by,
        count: count.unsigned_abs(),
    }))
}

async fn write_parts(write: &mut Connection, id: &str, content: &Content, now: i64) -> Result<(), Error> {
    secrets::put(write, id, &content.secrets, now).await?;
    for Reference { id: needed, .. } in &content.references {
        sql::query("INSERT INTO object_reference (from_id, to_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(id)
            .bind(needed)
            .execute(&mut *write)
            .await?;
    }
    Ok(())
}

/// The rows of the workers follow the spec that has just been written.
async fn bring_in_line(
    write: &mut Connection,
    kind: Kind,
    id: &str,
    content: &Content,
    now: i64,
) -> Result<(), Error> {
    match kind {
        Kind::Source => {
            let spec: SourceSpec =
                serde_json::from_str(&content.spec).map_err(damaged("the spec to be stored"))?;
            sync_feeds(write, id, &spec, instant(now)?).await?;
            consents::sync(write, id, &spec).await?;
            let source: SourceId = id.parse().map_err(damaged("the source's id"))?;
            delivery::sync_positions(&mut *write, &source, &spec.destination_ids).await?;
            alarms::sync(&mut *write, &source, spec.drop_off_alarm.as_ref(), instant(now)?).await
        }
        Kind::Destination => {
            let destination: DestinationId = id.parse().map_err(damaged("the destination's id"))?;
            wake::kick(&mut *write, &destination, now).await?;
            let spec: DestinationSpec =
                serde_json::from_str(&content.spec).map_err(damaged("the spec to be stored"))?;
            delivery::sync_audit(&mut *write, &destination, spec.audit_log).await
        }
        Kind::AlarmChannel => Ok(()),
    }
}

async fn written(write: &mut Connection, kind: Kind, id: &str) -> Result<Object, Error> {
    read::find(write, kind, id)
        .await?
        .ok_or_else(|| Error::Damaged(format!("`{id}` is gone in the transaction that wrote it")))
}

fn sorted(content: &Content) -> Vec<SealedSecret> {
    let mut secrets = content.secrets.clone();
    secrets.sort_by(|a, b| a.field.cmp(&b.field));
    secrets
}
