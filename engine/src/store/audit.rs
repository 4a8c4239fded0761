//! The audit log: what was changed by whom, written in the transaction of the change.
//!
//! A [`Store::acting`] handle knows on whose behalf it writes, and its changes of what users declared, and of tokens, leave
//! an entry. A plain handle is the engine's own: what workers do is not a change of configuration.

use std::sync::Arc;

use engine_api::{Actor, ActorKind, AuditEntry, AuditQuery, TokenId};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Error, Store,
    sql::{self, Connection, Row},
    time::{count, instant, millis},
    wake,
};

/// So many entries are forgotten in one transaction.
const STEP: i64 = 1_000;

/// On whose behalf a store is written to.
#[derive(Debug, Clone)]
pub struct By {
    /// Who acts.
    pub actor: Actor,
    /// The request that they act by, where it is one.
    pub request_id: Option<Arc<str>>,
}

/// Somebody whom Zoom sent back after a consent: more than that nobody told.
pub(super) fn browser() -> By {
    By {
        actor: Actor {
            kind: ActorKind::Browser,
            token_id: None,
            name: "somebody who consented at Zoom".to_owned(),
            identity: None,
            address: None,
        },
        request_id: None,
    }
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Deed<'a> {
    pub(super) action: &'a str,
    pub(super) target: Option<&'a str>,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

impl Store {
    /// The same store, whose changes are noted as somebody's.
    #[must_use]
    pub fn acting(&self, by: By) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            by: Some(Arc::new(by)),
        }
    }

    /// Notes what is done in a transaction, where it is done on somebody's behalf.
    pub(super) async fn note(&self, write: &mut Connection, deed: Deed<'_>) -> Result<(), Error> {
        match &self.by {
            Some(by) => self.note_by(write, by, deed).await,
            None => Ok(()),
        }
    }

    /// Notes what somebody does in a transaction.
    pub(super) async fn note_by(&self, write: &mut Connection, by: &By, deed: Deed<'_>) -> Result<(), Error> {
        let actor = serde_json::to_string(&by.actor)
            .map_err(|error| Error::Damaged(format!("an actor has no JSON form: {error}")))?;
        sql::query(
            "INSERT INTO audit (at, action, target, token_id, actor, request_id, before, after)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(self.now())
        .bind(deed.action)
        .bind(deed.target)
        .bind(by.actor.token_id.as_ref().map(TokenId::as_str))
        .bind(actor)
        .bind(by.request_id.as_deref())
        .bind(deed.before.map(|value| value.to_string()))
        .bind(deed.after.map(|value| value.to_string()))
        .execute(&mut *write)
        .await?;
        wake::audit_lanes(write, self.now()).await
    }

    /// Entries that fit, newest first; at most `limit`.
    pub async fn audit(&self, query: &AuditQuery, limit: u32) -> Result<Vec<AuditEntry>, Error> {
        let oldest_first = query.after.and_then(|number| i64::try_from(number).ok());
        let rows = sql::query(
            "SELECT * FROM audit
             WHERE ($1 IS NULL OR number < $1) AND ($2 IS NULL OR target = $2) AND ($3 IS NULL OR token_id = $3)
               AND ($4 IS NULL OR action = $4 OR substr(action, 1, length($4) + 1) = $4 || '.')
               AND ($5 IS NULL OR at >= $5) AND ($6 IS NULL OR at < $6)
             ORDER BY number DESC LIMIT $7",
        )
        .bind(oldest_first)
        .bind(query.target.as_deref())
        .bind(query.token_id.as_ref().map(TokenId::as_str))
        .bind(query.action.as_deref())
        .bind(query.since.map(millis))
        .bind(query.until.map(millis))
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.iter().map(entry).collect()
    }

    /// Forgets entries that are older than an instant and that every destination has that is to have them; answers how
    /// many.
    pub async fn forget_audit(&self, before: Timestamp) -> Result<u64, Error> {
        let mut write = self.soft().await?;
        let forgotten = sql::query(
            "DELETE FROM audit WHERE number IN (SELECT number FROM audit
                 WHERE at < $1 AND NOT EXISTS (SELECT 1 FROM audit_position p WHERE p.number < audit.number)
                 ORDER BY at LIMIT $2)",
        )
        .bind(millis(before))
        .bind(STEP)
        .execute(&mut *write)
        .await?
        .rows_affected();
        write.commit().await?;
        Ok(forgotten)
    }
}

pub(super) fn entry(row: &Row) -> Result<AuditEntry, Error> {
    let damaged = |error: serde_json::Error| Error::Damaged(format!("an audit entry: {error}"));
    let json = |name: &str| -> Result<Option<Value>, Error> {
        let text: Option<String> = row.try_get(name)?;
        text.map(|text| serde_json::from_str(&text).map_err(damaged))
            .transpose()
    };
    let actor: String = row.try_get("actor")?;
    Ok(AuditEntry {
        number: count(row.try_get("number")?),
        at: instant(row.try_get("at")?)?,
        action: row.try_get("action")?,
        target: row.try_get("target")?,
        actor: serde_json::from_str(&actor).map_err(damaged)?,
        request_id: row.try_get("request_id")?,
        before: json("before")?,
        after: json("after")?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine_api::Kind;

    use super::*;
    use crate::store::{
        catalog::Content,
        testing::{Fixture, on_both},
    };

    fn by(name: &str) -> By {
        By {
            actor: Actor {
                kind: ActorKind::AdminToken,
                token_id: None,
                name: name.to_owned(),
                identity: None,
                address: None,
            },
            request_id: Some("request-1".into()),
        }
    }

    fn content(name: &str) -> Content {
        Content {
            name: name.to_owned(),
            spec: format!(r#"{{"name":"{name}","file":{{"path":"p"}}}}"#),
            fingerprint: None,
            secrets: Vec::new(),
            references: Vec::new(),
        }
    }

    async fn an_entry_stands_and_falls_with_its_change_and_is_never_altered() {
        let fixture = Fixture::new().await;
        let store = fixture.store.acting(by("ci"));
        let id = "dst_00000000000000000000000001";
        store
            .create_object(Kind::Destination, id, &content("a"), None)
            .await
            .unwrap()
            .unwrap();
        // The same again changes nothing and is not noted; what is refused neither; the engine's own doing neither.
        store
            .replace_object(Kind::Destination, id, 1, &content("a"))
            .await
            .unwrap()
            .unwrap();
        let taken = store
            .create_object(Kind::Destination, "dst_2", &content("a"), None)
            .await;
        assert!(taken.unwrap().is_err());
        fixture
            .store
            .replace_object(Kind::Destination, id, 1, &content("b"))
            .await
            .unwrap()
            .unwrap();
        store
            .replace_object(Kind::Destination, id, 2, &content("c"))
            .await
            .unwrap()
            .unwrap();
        let entries = store.audit(&AuditQuery::default(), 10).await.unwrap();
        let actions: Vec<_> = entries.iter().map(|entry| &*entry.action).collect();
        assert_eq!(actions, ["destination.update", "destination.create"]);
        assert_eq!(entries[0].before.as_ref().unwrap()["spec"]["name"], "b");
        assert_eq!(entries[0].after.as_ref().unwrap()["spec"]["name"], "c");
        assert_eq!(entries[0].request_id.as_deref(), Some("request-1"));
        let refused = fixture.try_sql("UPDATE audit SET action = 'x.y'").await;
        assert!(refused.unwrap_err().contains("an_audit_entry_is_never_altered"));
    }

    async fn entries_are_found_by_what_they_tell_and_forgotten_by_age() {
        let fixture = Fixture::new().await;
        let store = fixture.store.acting(by("ci"));
        for (number, name) in [(1, "a"), (2, "b"), (3, "c")] {
            let id = format!("dst_0000000000000000000000000{number}");
            store
                .create_object(Kind::Destination, &id, &content(name), None)
                .await
                .unwrap()
                .unwrap();
            fixture.time.advance(Duration::from_hours(1));
        }
        let found = async |query: AuditQuery| {
            let entries = store.audit(&query, 2).await.unwrap();
            entries.iter().map(|entry| entry.number).collect::<Vec<_>>()
        };
        let all = AuditQuery::default;
        assert_eq!(found(all()).await, [3, 2]);
        assert_eq!(
            found(AuditQuery {
                after: Some(2),
                ..all()
            })
            .await,
            [1]
        );
        let action = |action: &str| AuditQuery {
            action: Some(action.to_owned()),
            ..all()
        };
        assert_eq!(found(action("destination")).await, [3, 2]);
        assert_eq!(found(action("destination.create")).await, [3, 2]);
        assert!(found(action("destination.delete")).await.is_empty());
        assert!(found(action("dest")).await.is_empty());
        let target = Some("dst_00000000000000000000000002".to_owned());
        assert_eq!(found(AuditQuery { target, ..all() }).await, [2]);
        let then = |hours: i64| Some(fixture.now() - jiff::SignedDuration::from_hours(hours));
        let since = AuditQuery {
            since: then(2),
            until: then(1),
            ..all()
        };
        assert_eq!(found(since).await, [2]);
        assert_eq!(store.forget_audit(then(1).unwrap()).await.unwrap(), 2);
        assert_eq!(found(all()).await, [3]);
    }

    on_both!(
        an_entry_stands_and_falls_with_its_change_and_is_never_altered,
        entries_are_found_by_what_they_tell_and_forgotten_by_age,
    );
}
