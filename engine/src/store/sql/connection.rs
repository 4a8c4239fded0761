//! Connections of either database, alone and in a transaction.

use std::ops::{Deref, DerefMut};

use sqlx::{Sqlite, SqliteConnection, SqlitePool, pool::PoolConnection};

use super::lent::{Lent, Served};

/// Connections.
#[derive(Debug, Clone)]
pub(in crate::store) enum Pool {
    Sqlite(SqlitePool),
    Postgres(Served),
}

/// How a transaction begins.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Begin {
    /// It reads only, all of it as it was at one instant.
    Read,
    /// It writes, and its commit waits for the disk.
    Durable,
    /// It writes, and a loss of power may undo it.
    Soft,
}

impl Pool {
    /// A connection that is in no transaction.
    pub(in crate::store) async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pool) => Connection::Sqlite(Held::Alone(pool.acquire().await?)),
            Self::Postgres(served) => Connection::Postgres(served.acquire().await?),
        })
    }

    /// A transaction. With SQLite it depends on the connection whether a commit waits for the disk.
    pub(in crate::store) async fn begin(&self, how: Begin) -> Result<Transaction, sqlx::Error> {
        Ok(Transaction(match self {
            Self::Sqlite(pool) => Connection::Sqlite(Held::Transaction(match how {
                Begin::Read => pool.begin().await?,
                Begin::Durable | Begin::Soft => match pool.begin_with("BEGIN IMMEDIATE").await {
                    // SQLite has rolled back by itself what failed, on a full disk for instance, and the driver did not
                    // notice: only another connection can begin again.
                    Err(sqlx::Error::InvalidSavePointStatement) => {
                        // Its last words may fail for the same reason.
                        let _ = pool.acquire().await?.close().await;
                        pool.begin_with("BEGIN IMMEDIATE").await?
                    }
                    begun => begun?,
                },
            })),
            Self::Postgres(served) => {
                let statement = match how {
                    Begin::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                    Begin::Durable => "BEGIN; SET LOCAL synchronous_commit = on",
                    Begin::Soft => "BEGIN; SET LOCAL synchronous_commit = off",
                };
                Connection::Postgres(served.begin(statement).await?)
            }
        }))
    }

    /// Whether nobody has a connection of it.
    pub(in crate::store) fn is_idle(&self) -> bool {
        match self {
            Self::Sqlite(pool) => pool.num_idle() == pool.size() as usize,
            Self::Postgres(Served { pool, .. }) => pool.num_idle() == pool.size() as usize,
        }
    }

    /// Closes it, once those who have a connection gave it back.
    pub(in crate::store) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(served) => served.pool.close().await,
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(in crate::store) enum Connection {
    Sqlite(Held),
    Postgres(Lent),
}

/// How a connection of SQLite is held.
#[derive(Debug)]
pub(in crate::store) enum Held {
    Alone(PoolConnection<Sqlite>),
    Transaction(sqlx::Transaction<'static, Sqlite>),
}

impl Held {
    pub(super) fn get(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Alone(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

/// What only one transaction may do at a time, over all engines; the number is the lock's in PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Turn {
    /// Changing what users declared, and all else that users may change.
    Change = 1,
    /// Forgetting what is old.
    Forget = 2,
}

/// The first half of the numbers of our advisory locks, so that they are not those of others in the same database.
const LOCKS: i32 = 0x7a6c_6f67;

/// A transaction; dropped without a commit it is rolled back.
#[derive(Debug)]
pub(in crate::store) struct Transaction(Connection);

impl Transaction {
    pub(in crate::store) async fn commit(self) -> Result<(), sqlx::Error> {
        self.end(true).await
    }

    pub(in crate::store) async fn rollback(self) -> Result<(), sqlx::Error> {
        self.end(false).await
    }

    /// Waits until no other transaction has this turn, and takes it until the end. With SQLite a transaction that
    /// writes is the only one anyway.
    pub(in crate::store) async fn lock(&mut self, turn: Turn) -> Result<(), sqlx::Error> {
        if let Connection::Postgres(lent) = &mut self.0 {
            let lock = sqlx::query("SELECT pg_advisory_xact_lock($1, $2)")
                .bind(LOCKS)
                .bind(turn as i32);
            let patience = lent.asks();
            let answer = patience.wait(lock.execute(&mut **lent)).await;
            lent.answered(answer)?;
        }
        Ok(())
    }

    async fn end(self, commit: bool) -> Result<(), sqlx::Error> {
        match self.0 {
            Connection::Sqlite(Held::Transaction(sqlite)) if commit => sqlite.commit().await,
            Connection::Sqlite(Held::Transaction(sqlite)) => sqlite.rollback().await,
            Connection::Postgres(postgres) => postgres.end(commit).await,
            Connection::Sqlite(Held::Alone(_)) => Ok(()),
        }
    }
}

impl Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

/// What a statement runs on.
#[derive(Debug)]
pub(in crate::store) enum On<'c> {
    Connection(&'c mut Connection),
    Pool(&'c Pool),
}

impl<'c> From<&'c mut Connection> for On<'c> {
    fn from(connection: &'c mut Connection) -> Self {
        Self::Connection(connection)
    }
}

impl<'c> From<&'c Pool> for On<'c> {
    fn from(pool: &'c Pool) -> Self {
        Self::Pool(pool)
    }
}

impl<'c> On<'c> {
    /// The connection itself; one that is taken from a pool is kept in `owned` meanwhile.
    pub(super) async fn connection<'a>(
        self,
        owned: &'a mut Option<Connection>,
    ) -> Result<&'a mut Connection, sqlx::Error>
    where
        'c: 'a,
    {
        Ok(match self {
            Self::Connection(connection) => connection,
            Self::Pool(pool) => owned.insert(pool.acquire().await?),
        })
    }
}

/// Runs statements without placeholders, one after the other.
#[cfg(test)]
pub(in crate::store) async fn script(
    connection: &mut Connection,
    text: &'static str,
) -> Result<(), sqlx::Error> {
    match connection {
        Connection::Sqlite(held) => sqlx::raw_sql(text).execute(held.get()).await.map(|_| ()),
        Connection::Postgres(lent) => sqlx::raw_sql(text).execute(&mut **lent).await.map(|_| ()),
    }
}
