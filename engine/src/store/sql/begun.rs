//! A transaction of PostgreSQL that may be dropped at any instant, also while it begins.
//!
//! The driver's own, dropped while the server is beginning it, gives its connection back with an open transaction that
//! nobody knows of: whoever gets that connection next works in it, and what they are told is on disk is not. So here a
//! connection goes back only when the server has said that its transaction is over; any other is closed, which rolls
//! back too.

use std::ops::{Deref, DerefMut};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};

/// A transaction with the connection that it is on.
#[derive(Debug)]
pub(in crate::store) struct Begun(Option<PoolConnection<Postgres>>);

impl Begun {
    pub(super) async fn begin(pool: &PgPool, statement: &'static str) -> Result<Self, sqlx::Error> {
        let mut begun = Self(Some(pool.acquire().await?));
        sqlx::raw_sql(statement).execute(&mut *begun).await?;
        Ok(begun)
    }

    pub(super) async fn end(mut self, commit: bool) -> Result<(), sqlx::Error> {
        let statement = if commit { "COMMIT" } else { "ROLLBACK" };
        sqlx::raw_sql(statement).execute(&mut *self).await?;
        drop(self.0.take());
        Ok(())
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        drop(self.0.take().map(PoolConnection::detach));
    }
}

#[expect(clippy::expect_used, reason = "only its end takes the connection away")]
impl Deref for Begun {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.0.as_ref().expect("it is not over")
    }
}

#[expect(clippy::expect_used, reason = "only its end takes the connection away")]
impl DerefMut for Begun {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it is not over")
    }
}
