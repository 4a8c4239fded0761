//! Tokens for the API: kept as digests, revoked with all that they made, forgotten some time after their end.

use engine_api::{Identity, Scope, TokenId, TokenView};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    Error, Store,
    audit::Deed,
    sql::{self, Row},
    time::{instant, maybe_instant, millis, word},
};

/// How exact the last use of a token is: a write at each request would cost more than it tells.
const USE_IS_NOTED: SignedDuration = SignedDuration::from_mins(5);
/// How long a token that has ended is still listed.
const ENDED_IS_KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);
/// So many are forgotten in one transaction.
const STEP: i64 = 500;

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenRow {
    /// What is shown of it.
    pub view: TokenView,
    /// The digest of its text.
    pub digest: Vec<u8>,
}

impl TokenRow {
    /// Whether its last use is too old to stand for one at `now`.
    pub fn use_is_news(&self, now: Timestamp) -> bool {
        let noted = self.view.last_used_at;
        noted.is_none_or(|noted| now.duration_since(noted) >= USE_IS_NOTED)
    }
}

impl Store {
    /// Keeps a new token.
    pub async fn add_token(&self, view: &TokenView, digest: &[u8]) -> Result<(), Error> {
        let mut write = self.change().await?;
        sql::query(
            "INSERT INTO token (id, name, scope, digest, parent_id, created_at, expires_at, issuer, subject)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(view.id.as_str())
        .bind(&view.name)
        .bind(view.scope.as_str())
        .bind(digest)
        .bind(view.created_by.as_ref().map(TokenId::as_str))
        .bind(millis(view.created_at))
        .bind(view.expires_at.map(millis))
        .bind(view.identity.as_ref().map(|identity| &*identity.issuer))
        .bind(view.identity.as_ref().map(|identity| &*identity.subject))
        .execute(&mut *write)
        .await?;
        let deed = Deed {
            action: match view.identity {
                Some(_) => "token.exchange",
                None => "token.create",
            },
            target: Some(view.id.as_str()),
            after: Some(json!(view)),
            ..Deed::default()
        };
        self.note(&mut write, deed).await?;
        Ok(write.commit().await?)
    }

    /// A token, whether it can still be used or not.
    pub async fn token(&self, id: &TokenId) -> Result<Option<TokenRow>, Error> {
        let found = sql::query("SELECT * FROM token WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(self.read())
            .await?;
        found.as_ref().map(token_row).transpose()
    }

    /// Tokens in the order of their ids, beginning behind `after`; at most `limit`.
    pub async fn tokens(&self, after: Option<&TokenId>, limit: u32) -> Result<Vec<TokenView>, Error> {
        let rows = sql::query("SELECT * FROM token WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(after.map_or("", TokenId::as_str))
            .bind(limit)
            .fetch_all(self.read())
            .await?;
        rows.iter()
            .map(|row| token_row(row).map(|row| row.view))
            .collect()
    }

    /// Notes that a token was used. It may get lost with the machine's power.
    pub async fn note_token_use(&self, id: &TokenId) -> Result<(), Error> {
        let mut write = self.soft().await?;
        sql::query("UPDATE token SET last_used_at = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(self.now())
            .execute(&mut *write)
            .await?;
        Ok(write.commit().await?)
    }

    /// Lets a token that is not revoked end at another time.
    pub async fn renew_token(&self, id: &TokenId, expires_at: Timestamp) -> Result<Option<TokenView>, Error> {
        let mut write = self.change().await?;
        let renewed =
            sql::query("UPDATE token SET expires_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING *")
                .bind(id.as_str())
                .bind(millis(expires_at))
                .fetch_optional(&mut *write)
                .await?;
        let renewed = renewed.as_ref().map(token_row).transpose()?;
        if renewed.is_some() {
            let deed = Deed {
                action: "token.renew",
                target: Some(id.as_str()),
                after: Some(json!({ "expires_at": expires_at })),
                ..Deed::default()
            };
            self.note(&mut write, deed).await?;
        }
        write.commit().await?;
        Ok(renewed.map(|row| row.view))
    }

    /// Revokes a token and all that it made, and what those made; answers how many were not revoked before.
    pub async fn revoke_token(&self, id: &TokenId) -> Result<u64, Error> {
        let mut write = self.change().await?;
        let revoked = sql::query(
            "WITH RECURSIVE family (id) AS (
                 SELECT id FROM token WHERE id = $1 UNION SELECT token.id FROM token JOIN family ON token.parent_id = family.id)
             UPDATE token SET revoked_at = $2 WHERE revoked_at IS NULL AND id IN (SELECT id FROM family)",
        )
        .bind(id.as_str())
        .bind(self.now())
        .execute(&mut *write)
        .await?
        .rows_affected();
        if revoked > 0 {
            let deed = Deed {
                action: "token.revoke",
                target: Some(id.as_str()),
                after: Some(json!({ "tokens": revoked })),
                ..Deed::default()
            };
            self.note(&mut write, deed).await?;
        }
        write.commit().await?;
        Ok(revoked)
    }

    /// Whether there is a token with the scope `admin` that can be used.
    pub async fn has_admin_token(&self) -> Result<bool, Error> {
        let found: Option<i64> = sql::query_scalar(
            "SELECT 1 FROM token
             WHERE scope = 'admin' AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1) LIMIT 1",
        )
        .bind(self.now())
        .fetch_optional(self.read())
        .await?;
        Ok(found.is_some())
    }

    /// Forgets tokens that ended long ago, and what they made; answers how many.
    pub async fn forget_ended_tokens(&self, now: Timestamp) -> Result<u64, Error> {
        let before = now.saturating_sub(ENDED_IS_KEPT).unwrap_or(Timestamp::MIN);
        let mut write = self.soft().await?;
        let forgotten = sql::query(
            "DELETE FROM token WHERE id IN (
                 SELECT id FROM token WHERE min(coalesce(expires_at, revoked_at), coalesce(revoked_at, expires_at)) < $1
                 LIMIT $2)",
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

fn token_row(row: &Row) -> Result<TokenRow, Error> {
    let id: String = row.try_get("id")?;
    let parent: Option<String> = row.try_get("parent_id")?;
    let scope: String = row.try_get("scope")?;
    let (issuer, subject): (Option<String>, Option<String>) =
        (row.try_get("issuer")?, row.try_get("subject")?);
    let read_id = |text: &str| word(text, |text| text.parse::<TokenId>().ok());
    Ok(TokenRow {
        view: TokenView {
            id: read_id(&id)?,
            name: row.try_get("name")?,
            scope: word(&scope, Scope::from_word)?,
            created_at: instant(row.try_get("created_at")?)?,
            created_by: parent.as_deref().map(read_id).transpose()?,
            identity: issuer
                .zip(subject)
                .map(|(issuer, subject)| Identity { issuer, subject }),
            expires_at: maybe_instant(row.try_get("expires_at")?)?,
            last_used_at: maybe_instant(row.try_get("last_used_at")?)?,
            revoked_at: maybe_instant(row.try_get("revoked_at")?)?,
        },
        digest: row.try_get("digest")?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::testing::{Fixture, on_both};

    async fn add(fixture: &Fixture, number: u8, parent: Option<u8>, expires_in: Option<Duration>) -> TokenId {
        let id = TokenId::from_bytes([number; 16]);
        let view = TokenView {
            id: id.clone(),
            name: format!("token {number}"),
            scope: Scope::Write,
            created_at: fixture.now(),
            created_by: parent.map(|number| TokenId::from_bytes([number; 16])),
            identity: None,
            expires_at: expires_in.map(|life| fixture.now() + life),
            last_used_at: None,
            revoked_at: None,
        };
        fixture.store.add_token(&view, &[number; 32]).await.unwrap();
        let kept = fixture.store.token(&id).await.unwrap().unwrap();
        assert_eq!((kept.view, kept.digest), (view, vec![number; 32]));
        id
    }

    async fn a_token_is_revoked_with_all_that_it_made_and_stays_revoked() {
        let fixture = Fixture::new().await;
        for (number, parent) in [(1, None), (2, Some(1)), (3, Some(2)), (4, None)] {
            add(&fixture, number, parent, None).await;
        }
        let id = |number: u8| TokenId::from_bytes([number; 16]);
        assert_eq!(fixture.store.revoke_token(&id(1)).await.unwrap(), 3);
        assert_eq!(fixture.store.revoke_token(&id(1)).await.unwrap(), 0);
        let page = fixture.store.tokens(None, 10).await.unwrap();
        let revoked: Vec<_> = page.iter().map(|token| token.revoked_at.is_some()).collect();
        assert_eq!(revoked, [true, true, true, false]);
        assert_eq!(fixture.store.tokens(Some(&id(3)), 10).await.unwrap().len(), 1);
        assert!(
            fixture
                .store
                .renew_token(&id(2), fixture.now())
                .await
                .unwrap()
                .is_none()
        );
        let refused = fixture.try_sql("UPDATE token SET revoked_at = NULL").await;
        assert!(refused.unwrap_err().contains("a_revoked_token_stays_revoked"));
    }

    async fn a_use_is_noted_every_few_minutes_only() {
        let fixture = Fixture::new().await;
        let id = add(&fixture, 1, None, None).await;
        let row = async || fixture.store.token(&id).await.unwrap().unwrap();
        assert!(row().await.use_is_news(fixture.now()));
        fixture.store.note_token_use(&id).await.unwrap();
        assert!(!row().await.use_is_news(fixture.now()));
        fixture.time.advance(Duration::from_mins(5));
        assert!(row().await.use_is_news(fixture.now()));
    }

    async fn what_ended_is_forgotten_a_month_later() {
        let fixture = Fixture::new().await;
        let (for_ever, short, revoked) = (
            add(&fixture, 1, None, None).await,
            add(&fixture, 2, None, Some(Duration::from_mins(1))).await,
            add(&fixture, 3, None, None).await,
        );
        fixture.store.revoke_token(&revoked).await.unwrap();
        fixture.time.advance(Duration::from_hours(24 * 30 - 1));
        assert_eq!(fixture.store.forget_ended_tokens(fixture.now()).await.unwrap(), 0);
        fixture.time.advance(Duration::from_hours(2));
        assert_eq!(fixture.store.forget_ended_tokens(fixture.now()).await.unwrap(), 2);
        assert!(fixture.store.token(&for_ever).await.unwrap().is_some());
        assert!(fixture.store.token(&short).await.unwrap().is_none());
    }

    on_both!(
        a_token_is_revoked_with_all_that_it_made_and_stays_revoked,
        a_use_is_noted_every_few_minutes_only,
        what_ended_is_forgotten_a_month_later,
    );
}
