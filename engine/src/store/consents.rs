//! Consents: the refresh token that somebody's consent gave for a source, and who may use it.
//!
//! Zoom replaces a refresh token at every use and voids the one before. So whoever uses one claims it first, and
//! whatever Zoom gives in its place is on disk before the claim ends.
//!
//! What holds:
//! * **One writer**: a claim is a lease with a fence, and a new token is stored under that fence or not at all.
//! * A consent belongs to the app that it was given to; a source that turns to another app has none.

use engine_api::{Code, SourceSpec};
use jiff::Timestamp;
use serde_json::json;

use super::{
    Error, Fenced, Store,
    audit::{self, Deed},
    error::damaged,
    sealing::may_seal,
    sql::{self, Connection, Row},
    time::{instant, millis},
};
use crate::model::Fence;

/// The field that the seal of a refresh token is bound to, beside its source.
pub const TOKEN_FIELD: &str = "refresh_token";

/// What is known of a source's consent, its token apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentRow {
    /// Grows with each token that is stored.
    pub number: i64,
    /// The Zoom account, where Zoom tells it.
    pub account_id: Option<String>,
    /// When somebody consented.
    pub given_at: Timestamp,
    /// When Zoom gave the newest token.
    pub refreshed_at: Timestamp,
    /// Renewals that failed in a row.
    pub failures: u32,
    /// Code, detail and since when, while renewals fail.
    pub trouble: Option<(String, String, Timestamp)>,
}

impl ConsentRow {
    /// Whether the token is known to be void, so that only another consent helps.
    pub fn is_void(&self) -> bool {
        self.trouble
            .as_ref()
            .is_some_and(|(code, ..)| code == Code::ReauthorizationRequired.as_str())
    }
}

/// A refresh token that this process may use until its lease ends.
#[derive(Debug)]
pub struct ClaimedConsent {
    /// The claim's number.
    pub fence: Fence,
    /// The token, sealed.
    pub token: Vec<u8>,
    /// What else is known.
    pub row: ConsentRow,
}

/// What came of a claim.
#[derive(Debug)]
pub enum Claim {
    /// It is ours.
    Claimed(Box<ClaimedConsent>),
    /// Somebody else has it.
    Busy,
    /// Nobody has consented, or to another app.
    Absent,
}

/// A consent as it was just given.
#[derive(Debug)]
pub struct NewConsent<'a> {
    /// The app that it was given to.
    pub client_id: &'a str,
    /// The Zoom account, where Zoom tells it.
    pub account_id: Option<&'a str>,
    /// The refresh token, sealed.
    pub token: &'a [u8],
    /// When the token is to be renewed, should nobody need it before.
    pub due_at: Timestamp,
}

/// Why a consent is not taken. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsentRefusal {
    /// The source is gone, or works through another app by now.
    SourceChanged,
    /// The source is another Zoom account's.
    OtherAccount {
        /// The account that the source is of.
        expected: String,
    },
}

impl Store {
    /// What is known of the consent of a source that works through this app.
    pub async fn consent(&self, source: &str, client_id: &str) -> Result<Option<ConsentRow>, Error> {
        let found = sql::query("SELECT * FROM consent WHERE source_id = $1 AND client_id = $2")
            .bind(source)
            .bind(client_id)
            .fetch_optional(self.read())
            .await?;
        found.as_ref().map(consent_row).transpose()
    }

    /// The sealed refresh token of a source, for whoever ends the consent.
    pub async fn consent_token(&self, source: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(
            sql::query_scalar("SELECT token FROM consent WHERE source_id = $1")
                .bind(source)
                .fetch_optional(self.read())
                .await?,
        )
    }

    /// Claims a source's refresh token until `until`. A lease that has ended may be taken over.
    pub async fn claim_consent(
        &self,
        source: &str,
        client_id: &str,
        owner: &str,
        until: Timestamp,
    ) -> Result<Claim, Error> {
        let mut write = self.soft().await?;
        let claimed = sql::query(
            "UPDATE consent SET lease_owner = $3, lease_until = $4, fence = fence + 1
             WHERE source_id = $1 AND client_id = $2 AND (lease_until IS NULL OR lease_until <= $5)
             RETURNING *",
        )
        .bind(source)
        .bind(client_id)
        .bind(owner)
        .bind(millis(until))
        .bind(self.now())
        .fetch_optional(&mut *write)
        .await?;
        let claim = match claimed {
            Some(row) => Claim::Claimed(Box::new(ClaimedConsent {
                fence: Fence(row.try_get("fence")?),
                token: row.try_get("token")?,
                row: consent_row(&row)?,
            })),
            None if app_of(&mut write, source).await?.as_deref() == Some(client_id) => Claim::Busy,
            None => Claim::Absent,
        };
        write.commit().await?;
        Ok(claim)
    }

    /// Stores the token that Zoom gave in place of the claimed one, and ends the claim. It is on disk when this
    /// returns.
    pub async fn store_token(
        &self,
        source: &str,
        fence: Fence,
        token: &[u8],
        due_at: Timestamp,
    ) -> Result<Result<(), Fenced>, Error> {
        let mut write = self.durable().await?;
        may_seal(&mut write, token).await?;
        let stored = sql::query(
            "UPDATE consent SET token = $3, number = number + 1, refreshed_at = $4, due_at = $5, failures = 0,
                 lease_owner = NULL, lease_until = NULL,
                 trouble_code = NULL, trouble_detail = NULL, trouble_since = NULL
             WHERE source_id = $1 AND fence = $2 AND lease_owner IS NOT NULL",
        )
        .bind(source)
        .bind(fence.0)
        .bind(token)
        .bind(self.now())
        .bind(millis(due_at))
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(if stored.rows_affected() == 1 {
            Ok(())
        } else {
            Err(Fenced)
        })
    }

    /// Ends a claim whose token Zoom did not replace, and notes why.
    pub async fn give_back_consent(
        &self,
        source: &str,
        fence: Fence,
        due_at: Timestamp,
        code: Code,
        detail: &str,
    ) -> Result<Result<(), Fenced>, Error> {
        let mut write = self.durable().await?;
        let given = sql::query(
            "UPDATE consent SET lease_owner = NULL, lease_until = NULL, due_at = $3, failures = failures + 1,
                 trouble_since = CASE WHEN trouble_code = $4 THEN trouble_since ELSE $6 END,
                 trouble_code = $4, trouble_detail = $5
             WHERE source_id = $1 AND fence = $2 AND lease_owner IS NOT NULL",
        )
        .bind(source)
        .bind(fence.0)
        .bind(millis(due_at))
        .bind(code.as_str())
        .bind(detail)
        .bind(self.now())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(if given.rows_affected() == 1 {
            Ok(())
        } else {
            Err(Fenced)
        })
    }

    /// Takes a consent in place of any before, and makes the source's feeds due; whoever uses the old one is fenced.
    ///
    /// The account is judged here, in the transaction that writes, so that no two consents pass each other. Answers when
    /// it was taken, which tells it from the source's other consents.
    pub async fn take_consent(
        &self,
        source: &str,
        new: &NewConsent<'_>,
    ) -> Result<Result<Timestamp, ConsentRefusal>, Error> {
        let mut write = self.change().await?;
        may_seal(&mut write, new.token).await?;
        let spec: Option<String> =
            sql::query_scalar("SELECT spec FROM object WHERE id = $1 AND kind = 'source'")
                .bind(source)
                .fetch_optional(&mut *write)
                .await?;
        let Some(spec) = spec else {
            return Ok(Err(ConsentRefusal::SourceChanged));
        };
        let spec: SourceSpec = serde_json::from_str(&spec).map_err(damaged("a source's spec"))?;
        if !spec.needs_consent() || spec.client_id != new.client_id {
            return Ok(Err(ConsentRefusal::SourceChanged));
        }
        let pinned: Option<Option<String>> =
            sql::query_scalar("SELECT account_id FROM consent WHERE source_id = $1")
                .bind(source)
                .fetch_optional(&mut *write)
                .await?;
        let pinned = pinned.flatten();
        if let Some(expected) = other_account(&spec, pinned.as_deref(), new.account_id) {
            return Ok(Err(ConsentRefusal::OtherAccount { expected }));
        }
        let now = self.now();
        sql::query(
            "INSERT INTO consent (source_id, client_id, account_id, token, number, given_at, refreshed_at, due_at)
             VALUES ($1, $2, $3, $4, 1, $5, $5, $6)
             ON CONFLICT (source_id) DO UPDATE SET
                 client_id = excluded.client_id, account_id = excluded.account_id, token = excluded.token,
                 number = consent.number + 1, given_at = excluded.given_at, refreshed_at = excluded.refreshed_at,
                 due_at = excluded.due_at, failures = 0, fence = consent.fence + 1, lease_owner = NULL, lease_until = NULL,
                 trouble_code = NULL, trouble_detail = NULL, trouble_since = NULL",
        )
        .bind(source)
        .bind(new.client_id)
        // A consent that does not tell its account does not make the source forget whose it is.
        .bind(new.account_id.or(pinned.as_deref()))
        .bind(new.token)
        .bind(now)
        .bind(millis(new.due_at))
        .execute(&mut *write)
        .await?;
        sql::query("UPDATE feed SET due_at = $2 WHERE source_id = $1 AND active = 1")
            .bind(source)
            .bind(now + 1)
            .execute(&mut *write)
            .await?;
        let deed = Deed {
            action: "source.consent",
            target: Some(source),
            after: Some(json!({ "client_id": new.client_id, "account_id": new.account_id })),
            ..Deed::default()
        };
        self.note_by(&mut write, &audit::browser(), deed).await?;
        write.commit().await?;
        Ok(Ok(instant(now)?))
    }

    /// The source whose token has been due for renewal for the longest, and since when; void ones are left alone.
    pub async fn next_consent_due(&self) -> Result<Option<(String, Timestamp)>, Error> {
        let found = sql::query(
            "SELECT source_id, due_at FROM consent
             WHERE trouble_code IS NULL OR trouble_code <> $1 ORDER BY due_at LIMIT 1",
        )
        .bind(Code::ReauthorizationRequired.as_str())
        .fetch_optional(self.read())
        .await?;
        let Some(row) = found else { return Ok(None) };
        Ok(Some((
            row.try_get("source_id")?,
            instant(row.try_get("due_at")?)?,
        )))
    }

    /// Puts the renewal of a token off: what it takes beside the token cannot be had now.
    pub async fn postpone_consent(&self, source: &str, due_at: Timestamp) -> Result<(), Error> {
        let mut write = self.soft().await?;
        sql::query("UPDATE consent SET due_at = $2 WHERE source_id = $1")
            .bind(source)
            .bind(millis(due_at))
            .execute(&mut *write)
            .await?;
        Ok(write.commit().await?)
    }

    /// Notes whose account a consent is, where that was learned only afterwards.
    pub async fn note_account(&self, source: &str, client_id: &str, account: &str) -> Result<(), Error> {
        let mut write = self.durable().await?;
        sql::query("UPDATE consent SET account_id = $3 WHERE source_id = $1 AND client_id = $2")
            .bind(source)
            .bind(client_id)
            .bind(account)
            .execute(&mut *write)
            .await?;
        Ok(write.commit().await?)
    }

    /// Notes that an answer of Zoom's is used; `false` where it was used before.
    pub async fn use_answer(&self, digest: &[u8], expires_at: Timestamp) -> Result<bool, Error> {
        let mut write = self.durable().await?;
        sql::query("DELETE FROM consent_answer WHERE expires_at < $1")
            .bind(self.now())
            .execute(&mut *write)
            .await?;
        let used = sql::query(
            "INSERT INTO consent_answer (digest, expires_at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING",
        )
        .bind(digest)
        .bind(millis(expires_at))
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(used.rows_affected() == 1)
    }
}

/// The account that a source is of, where it is another than the one that consented. What Zoom does not tell cannot
/// be judged.
fn other_account(spec: &SourceSpec, pinned: Option<&str>, told: Option<&str>) -> Option<String> {
    let pinned = pinned.filter(|_| !spec.allow_account_change);
    let expected = spec.account_id.as_deref().or(pinned)?;
    told.is_some_and(|told| told != expected)
        .then(|| expected.to_owned())
}

/// A source that turns to another app, or needs no consent any more, forgets the one it has; in the transaction that
/// writes its spec.
pub(super) async fn sync(write: &mut Connection, source: &str, spec: &SourceSpec) -> Result<(), Error> {
    sql::query("DELETE FROM consent WHERE source_id = $1 AND ($2 = 0 OR client_id <> $3)")
        .bind(source)
        .bind(spec.needs_consent())
        .bind(&spec.client_id)
        .execute(&mut *write)
        .await?;
    Ok(())
}

async fn app_of(write: &mut Connection, source: &str) -> Result<Option<String>, Error> {
    Ok(
        sql::query_scalar("SELECT client_id FROM consent WHERE source_id = $1")
            .bind(source)
            .fetch_optional(write)
            .await?,
    )
}

fn consent_row(row: &Row) -> Result<ConsentRow, Error> {
    let since: Option<i64> = row.try_get("trouble_since")?;
    let trouble = match (
        row.try_get("trouble_code")?,
        row.try_get("trouble_detail")?,
        since,
    ) {
        (Some(code), Some(detail), Some(since)) => Some((code, detail, instant(since)?)),
        _ => None,
    };
    Ok(ConsentRow {
        number: row.try_get("number")?,
        account_id: row.try_get("account_id")?,
        given_at: instant(row.try_get("given_at")?)?,
        refreshed_at: instant(row.try_get("refreshed_at")?)?,
        failures: row.try_get("failures")?,
        trouble,
    })
}

#[cfg(test)]
#[path = "consents_tests.rs"]
mod tests;
