//! A connection of PostgreSQL that may be dropped at any instant, also in the middle of a statement or while a
//! transaction begins.
//!
//! The driver's own, dropped while the server is at something, gives its connection back all the same. Then whoever gets
//! that connection next works in a transaction that nobody knows of, or waits for an answer that never comes: to be given
//! back, it is first asked whether it lives, without a limit. So here a connection goes back only when the server has
//! answered all that it was asked, and has said that its transaction is over; any other is closed, which rolls back too.
//!
//! The server limits its own statements. A network that swallows what is sent tells nobody, and TCP gives up after a
//! quarter of an hour: so each statement is waited for somewhat longer than the server may take, and no longer.

use std::{
    io,
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};

use crate::clock::Clock;

/// What an answer may take on its way, beyond what the server may take for it.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// A pool of PostgreSQL, and how long an answer is waited for.
#[derive(Debug, Clone)]
pub(in crate::store) struct Served {
    pub(in crate::store) pool: PgPool,
    limit: Duration,
}

impl Served {
    /// Over a server that ends its statements after so long.
    pub(in crate::store) fn new(pool: PgPool, statement_timeout: Duration) -> Self {
        Self {
            pool,
            limit: statement_timeout.saturating_add(ON_ITS_WAY),
        }
    }

    /// A connection that is in no transaction.
    pub(super) async fn acquire(&self) -> Result<Lent, sqlx::Error> {
        Ok(Lent {
            connection: Some(self.pool.acquire().await?),
            limit: self.limit,
            owes: false,
            open: false,
        })
    }

    /// A connection in a transaction that this statement begins.
    pub(super) async fn begin(&self, statement: &'static str) -> Result<Lent, sqlx::Error> {
        let mut lent = self.acquire().await?;
        lent.open = true;
        lent.run(statement).await?;
        Ok(lent)
    }
}

/// A connection that goes back only in order.
#[derive(Debug)]
pub(in crate::store) struct Lent {
    connection: Option<PoolConnection<Postgres>>,
    limit: Duration,
    /// The server was asked something and has not answered.
    owes: bool,
    /// It is in a transaction.
    open: bool,
}

impl Lent {
    /// Ends the transaction.
    pub(super) async fn end(mut self, commit: bool) -> Result<(), sqlx::Error> {
        self.run(if commit { "COMMIT" } else { "ROLLBACK" }).await?;
        self.open = false;
        Ok(())
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        let patience = self.asks();
        let answer = patience.wait(sqlx::raw_sql(statement).execute(&mut **self)).await;
        self.answered(answer).map(|_| ())
    }

    /// Notes that something is asked now; answers how long to wait.
    pub(super) fn asks(&mut self) -> Patience {
        self.owes = true;
        Patience(self.limit)
    }

    /// Notes the answer. A refusal is one too: the server is done with what it was asked.
    pub(super) fn answered<T>(&mut self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        self.owes = !matches!(answer, Ok(_) | Err(sqlx::Error::Database(_)));
        answer
    }
}

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience(Duration);

impl Patience {
    pub(super) async fn wait<T>(
        self,
        answer: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        match Clock::real().timeout(self.0, answer).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(sqlx::Error::Io(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("PostgreSQL gave {elapsed}: is the network between intact?"),
            ))),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.owes || self.open {
            drop(self.connection.take().map(PoolConnection::detach));
        }
    }
}

#[expect(clippy::expect_used, reason = "only its end takes the connection away")]
impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect("it is not over")
    }
}

#[expect(clippy::expect_used, reason = "only its end takes the connection away")]
impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("it is not over")
    }
}
