//! The request budgets of Zoom accounts.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Error, Store, time::instant};
use crate::model::{Budget, Day};

impl Store {
    /// What an account has spent today.
    pub async fn budget(&self, account: &str, today: Day) -> Result<Budget, Error> {
        let row = sqlx::query("SELECT day, used, remaining, paused_until FROM budget WHERE account = ?1")
            .bind(account)
            .fetch_optional(self.read())
            .await?;
        let Some(row) = row else {
            return Ok(Budget::default());
        };
        let paused_until = row
            .try_get::<Option<i64>, _>("paused_until")?
            .map(instant)
            .transpose()?;
        if row.try_get::<i32, _>("day")? != today.number() {
            // A pause may reach into the next day, where Zoom says so; the counts begin anew.
            return Ok(Budget {
                paused_until,
                ..Budget::default()
            });
        }
        Ok(Budget {
            used: u64::try_from(row.try_get::<i64, _>("used")?).unwrap_or_default(),
            remaining: row
                .try_get::<Option<i64>, _>("remaining")?
                .and_then(|left| u64::try_from(left).ok()),
            paused_until,
        })
    }

    /// Counts requests of an account; those of a poll that crossed midnight do not undo the new day's. `remaining` is
    /// what Zoom's own header said last.
    pub async fn spend(
        &self,
        account: &str,
        today: Day,
        requests: u64,
        remaining: Option<u64>,
        paused_until: Option<Timestamp>,
    ) -> Result<(), Error> {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut write = self.soft().await?;
        sqlx::query(
            "INSERT INTO budget (account, day, used, remaining, paused_until) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (account) DO UPDATE SET
                 used = CASE WHEN day = ?2 THEN used + ?3 WHEN day > ?2 THEN used ELSE ?3 END,
                 remaining = CASE WHEN day > ?2 THEN remaining
                                  WHEN ?4 IS NOT NULL OR day < ?2 THEN ?4 ELSE remaining END,
                 paused_until = CASE WHEN ?5 IS NULL THEN paused_until ELSE ?5 END,
                 day = max(day, ?2)",
        )
        .bind(account)
        .bind(today.number())
        .bind(signed(requests))
        .bind(remaining.map(signed))
        .bind(paused_until.map(Timestamp::as_millisecond))
        .execute(&mut *write)
        .await?;
        Ok(write.commit().await?)
    }
}
