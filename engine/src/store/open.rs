//! Opening the store: connections, their settings, migrations.

use std::{
    fs::{self, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use sqlx::{
    SqlitePool,
    error::DatabaseError,
    migrate::MigrateError,
    sqlite::{
        SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
    },
};

use super::{
    Error, Shared, Store,
    engines::Homes,
    migrations, postgres,
    recent::Recent,
    sql::{self, Pool},
};
use crate::{clock::Clock, database::Database};

/// How long a statement waits for another writer before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
const READERS: u32 = 4;
/// What SQLite puts aside while a statement runs, it keeps in memory: on a file system that is read-only but for the data
/// directory, as in a container, it finds no folder for temporary files, and a source could not be deleted.
const TEMP_STORE: &str = "MEMORY";
/// Pages of 4 KiB that the write-ahead log may grow to before it is folded into the file.
const WAL_PAGES: &str = "4000";

impl Store {
    /// Opens the store, making its tables where there are none, and brings them up to date.
    ///
    /// # Errors
    ///
    /// [`Error::Open`] with what to do, when it cannot be used or was written by a newer version.
    pub async fn at(place: &Database, clock: Clock) -> Result<Self, Error> {
        match place {
            Database::Sqlite(path) => Self::open(path, clock).await,
            Database::Postgres(place) => Ok(Self::over(postgres::open(place).await?, clock)),
        }
    }

    fn over(pool: Pool, clock: Clock) -> Self {
        Self {
            by: None,
            shared: Arc::new(Shared {
                durable: pool.clone(),
                soft: pool.clone(),
                read: pool,
                clock,
                homes: Homes::default(),
                recent: Recent::default(),
            }),
        }
    }

    /// Opens the SQLite file at `path`, making it where it does not exist, and brings its tables up to date.
    ///
    /// # Errors
    ///
    /// [`Error::Open`] with what to do, when the file cannot be used or was written by a newer version.
    pub async fn open(path: &Path, clock: Clock) -> Result<Self, Error> {
        let failed = |what: &str, error: sqlx::Error| {
            let advice = if is_full(&error) { MAKE_ROOM } else { "" };
            Error::Open(format!(
                "cannot {what} the store at `{}`: {error}{advice}",
                path.display()
            ))
        };
        keep_private(path).map_err(|error| {
            let advice = match error.kind() {
                io::ErrorKind::StorageFull => MAKE_ROOM,
                _ => "; its folder must be there, and both must be the engine's user's to write",
            };
            Error::Open(format!(
                "cannot open the store at `{}`: {error}{advice}",
                path.display()
            ))
        })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("wal_autocheckpoint", WAL_PAGES)
            .pragma("temp_store", TEMP_STORE)
            .optimize_on_close(true, None);
        // The settings above that are kept in the file would be written again by each reader, which it may not.
        let reading = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("temp_store", TEMP_STORE);
        // A connection to a file does not go away, and to ask it first would cost as much as many a statement.
        let pool = || SqlitePoolOptions::new().test_before_acquire(false);
        let one = || pool().max_connections(1).min_connections(1);

        let durable = one()
            .connect_with(options.clone().synchronous(SqliteSynchronous::Full))
            .await
            .map_err(|error| failed("open", error))?;
        migrations::sqlite().run(&durable).await.map_err(|error| {
            let advice = match &error {
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) if is_full(error) => {
                    MAKE_ROOM
                }
                _ => "; was it written by a newer version?",
            };
            Error::Open(format!(
                "cannot bring the store at `{}` up to date: {error}{advice}",
                path.display()
            ))
        })?;

        let soft = one()
            .connect_with(options.clone().synchronous(SqliteSynchronous::Normal))
            .await
            .map_err(|error| failed("open", error))?;
        let read: SqlitePool = pool()
            .max_connections(READERS)
            .connect_with(reading)
            .await
            .map_err(|error| failed("read", error))?;
        Ok(Self {
            by: None,
            shared: Arc::new(Shared {
                durable: Pool::Sqlite(durable),
                soft: Pool::Sqlite(soft),
                read: Pool::Sqlite(read),
                clock,
                homes: Homes::default(),
                recent: Recent::default(),
            }),
        })
    }

    /// Opens a store to read only, beside engines that may run on it. Every write fails.
    ///
    /// # Errors
    ///
    /// [`Error::Open`] when it is not there or cannot be read.
    pub async fn open_to_read(place: &Database, clock: Clock) -> Result<Self, Error> {
        let path = match place {
            Database::Sqlite(path) => path,
            Database::Postgres(place) => return Ok(Self::over(postgres::open_to_read(place).await?, clock)),
        };
        let reading = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(BUSY_TIMEOUT);
        let read = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(reading)
            .await
            .map_err(|error| {
                Error::Open(format!("cannot read the store at `{}`: {error}", path.display()))
            })?;
        Ok(Self::over(Pool::Sqlite(read), clock))
    }

    /// Closes all connections; what was committed is in the file.
    pub async fn close(&self) {
        for pool in [&self.shared.read, &self.shared.soft, &self.shared.durable] {
            pool.close().await;
        }
    }

    /// Whether a write goes through, as far as that can be told without waiting for the disk.
    pub async fn ready(&self) -> Result<(), Error> {
        let mut write = self.soft().await?;
        sql::query("UPDATE meta SET value = value WHERE key = 'engine_id'")
            .execute(&mut *write)
            .await?;
        Ok(write.commit().await?)
    }
}

/// What to do where there is no room for the file.
const MAKE_ROOM: &str = "; make room there, and start the engine again";

/// Whether SQLite found no room for what it had to write (its code 13, `SQLITE_FULL`).
fn is_full(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).as_deref() == Some("13")
}

/// Makes the file where there is none, and takes it and those beside it away from other users: its secrets are sealed,
/// but its events are the customer's. What SQLite puts beside it from then on gets the mode of the file.
pub(super) fn keep_private(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    for beside in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(beside);
        // A file system without permissions is no reason not to start, and not all of them are there.
        let _ = fs::set_permissions(file, Permissions::from_mode(0o600));
    }
    Ok(())
}
