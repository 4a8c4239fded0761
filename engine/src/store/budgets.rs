//! The request budgets of Zoom accounts.
//!
//! A read sets requests aside before it makes them and gives back what it did not need. So the budget is kept by all
//! feeds of an account together, and a crash can only make it look smaller than it is.

use jiff::Timestamp;

use super::{
    Error, Store,
    sql::{self, Connection, Row},
    time::instant,
};
use crate::model::{Allowance, Budget, DailyLimit, Day, Purpose};

/// How many requests a day an account may make, and what the next ones are for.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Requests a day.
    pub daily: u64,
    /// What they are for.
    pub purpose: Purpose,
}

impl Store {
    /// What an account has spent today.
    pub async fn budget(&self, account: &str, today: Day) -> Result<Budget, Error> {
        let row = sql::query(
            "SELECT day, used, daily_limit, remaining, paused_until FROM budget WHERE account = $1",
        )
        .bind(account)
        .fetch_optional(self.read())
        .await?;
        budget_of(row.as_ref(), today)
    }

    /// Sets aside up to `want` requests of today, one at least where any are allowed; answers how many.
    pub async fn set_aside(
        &self,
        account: &str,
        now: Timestamp,
        want: u64,
        bound: Bound,
    ) -> Result<Allowance, Error> {
        let today = Day::of(now);
        let mut write = self.soft().await?;
        let budget = lock_budget(&mut write, account, today).await?;
        let requests = match budget.allowance(bound.daily, bound.purpose, now) {
            Allowance::Requests(allowed) => allowed.min(want),
            nothing @ Allowance::Nothing(_) => {
                write.rollback().await?;
                return Ok(nothing);
            }
        };
        let used = budget.used.saturating_add(requests);
        write_budget(&mut write, account, today, &Budget { used, ..budget }).await?;
        write.commit().await?;
        Ok(Allowance::Requests(requests))
    }

    /// Gives back requests of `day` that were set aside and not made, and notes what Zoom's own headers said last.
    pub async fn give_back(
        &self,
        account: &str,
        day: Day,
        unused: u64,
        told: DailyLimit,
    ) -> Result<(), Error> {
        let mut write = self.soft().await?;
        let budget = lock_budget(&mut write, account, day).await?;
        let given_back = Budget {
            used: budget.used.saturating_sub(unused),
            told: told.or(budget.told),
            ..budget
        };
        if given_back == budget {
            return Ok(write.rollback().await?);
        }
        write_budget(&mut write, account, day, &given_back).await?;
        Ok(write.commit().await?)
    }

    /// Sets aside requests that are made whatever the budget allows: a user waits for what they tell.
    pub async fn count_requests(&self, account: &str, day: Day, made: u64) -> Result<(), Error> {
        let mut write = self.soft().await?;
        let budget = lock_budget(&mut write, account, day).await?;
        let used = budget.used.saturating_add(made);
        write_budget(&mut write, account, day, &Budget { used, ..budget }).await?;
        Ok(write.commit().await?)
    }

    /// Zoom's daily limit was hit: nothing is asked of the account before `until`.
    pub async fn pause_account(&self, account: &str, day: Day, until: Timestamp) -> Result<(), Error> {
        let mut write = self.soft().await?;
        let budget = Budget {
            paused_until: Some(until),
            ..lock_budget(&mut write, account, day).await?
        };
        write_budget(&mut write, account, day, &budget).await?;
        Ok(write.commit().await?)
    }

    /// How many feeds of an account are polled, over all its sources; `account` is [`SourceSpec::account_key`].
    ///
    /// [`SourceSpec::account_key`]: engine_api::SourceSpec::account_key
    pub async fn feeds_of_account(&self, account: &str) -> Result<u64, Error> {
        let feeds: i64 = sql::query_scalar(
            "SELECT count(*) FROM feed f JOIN object o ON o.id = f.source_id
             WHERE f.active = 1 AND coalesce(json_extract(o.spec, '$.account_id'), json_extract(o.spec, '$.client_id')) = $1",
        )
        .bind(account)
        .fetch_one(self.read())
        .await?;
        Ok(u64::try_from(feeds).unwrap_or_default())
    }
}

/// Reads what is about to be written: nobody else changes it before the transaction ends.
async fn lock_budget(write: &mut Connection, account: &str, today: Day) -> Result<Budget, Error> {
    let locked = || {
        sql::query(sql::for_update!(
            "SELECT day, used, daily_limit, remaining, paused_until FROM budget WHERE account = $1"
        ))
        .bind(account)
    };
    let row = match locked().fetch_optional(&mut *write).await? {
        None => {
            // What is not there cannot be locked.
            sql::query(
                "INSERT INTO budget (account, day, used) VALUES ($1, $2, 0) ON CONFLICT (account) DO NOTHING",
            )
            .bind(account)
            .bind(today.number())
            .execute(&mut *write)
            .await?;
            locked().fetch_optional(write).await?
        }
        found => found,
    };
    budget_of(row.as_ref(), today)
}

fn budget_of(row: Option<&Row>, today: Day) -> Result<Budget, Error> {
    let Some(row) = row else {
        return Ok(Budget::default());
    };
    let paused_until = row
        .try_get::<Option<i64>>("paused_until")?
        .map(instant)
        .transpose()?;
    let unsigned = |number: i64| u64::try_from(number).unwrap_or_default();
    let limit = row.try_get::<Option<i64>>("daily_limit")?.map(unsigned);
    if row.try_get::<i32>("day")? < today.number() {
        // A pause may reach into the next day, where Zoom says so, and the limit is each day's; the counts begin anew.
        return Ok(Budget {
            paused_until,
            told: DailyLimit {
                limit,
                remaining: None,
            },
            used: 0,
        });
    }
    Ok(Budget {
        used: unsigned(row.try_get("used")?),
        told: DailyLimit {
            limit,
            remaining: row.try_get::<Option<i64>>("remaining")?.map(unsigned),
        },
        paused_until,
    })
}

/// A day that lies behind the stored one is not written: what crossed midnight does not undo the new day's counts.
async fn write_budget(to: &mut Connection, account: &str, day: Day, budget: &Budget) -> Result<(), Error> {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    sql::query(
        "INSERT INTO budget (account, day, used, remaining, paused_until, daily_limit) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (account) DO UPDATE
         SET day = $2, used = $3, remaining = $4, paused_until = $5, daily_limit = $6
         WHERE budget.day <= $2",
    )
    .bind(account)
    .bind(day.number())
    .bind(signed(budget.used))
    .bind(budget.told.remaining.map(signed))
    .bind(budget.paused_until.map(Timestamp::as_millisecond))
    .bind(budget.told.limit.map(signed))
    .execute(to)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::testing::{Fixture, on_both};

    const ACCOUNT: &str = "api.zoom.us/acc";

    async fn told(fixture: &Fixture, limit: Option<u64>, remaining: Option<u64>) -> Budget {
        let today = Day::of(fixture.now());
        let told = DailyLimit { limit, remaining };
        fixture.store.give_back(ACCOUNT, today, 0, told).await.unwrap();
        fixture.store.budget(ACCOUNT, today).await.unwrap()
    }

    async fn what_zoom_says_is_kept_until_it_says_otherwise() {
        let fixture = Fixture::new().await;
        let bound = Bound {
            daily: 1_000_000,
            purpose: Purpose::Tail,
        };
        let store = &fixture.store;
        let allowed = store.set_aside(ACCOUNT, fixture.now(), 4, bound).await.unwrap();
        assert_eq!(allowed, Allowance::Requests(4));
        let first = told(&fixture, Some(60_000), Some(59_000)).await;
        let limits = |budget: &Budget| (budget.used, budget.told.limit, budget.told.remaining);
        assert_eq!(limits(&first), (4, Some(60_000), Some(59_000)));
        let silent = told(&fixture, None, None).await;
        assert_eq!(silent, first, "an answer without headers takes nothing back");

        fixture.time.advance(Duration::from_hours(24));
        let tomorrow = store.budget(ACCOUNT, Day::of(fixture.now())).await.unwrap();
        assert_eq!(
            limits(&tomorrow),
            (0, Some(60_000), None),
            "the limit is each day's"
        );
        let lowered = told(&fixture, Some(30_000), Some(29_999)).await;
        assert_eq!(limits(&lowered), (0, Some(30_000), Some(29_999)));
    }

    on_both!(what_zoom_says_is_kept_until_it_says_otherwise);
}
