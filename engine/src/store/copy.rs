//! Moving a store from a SQLite file to PostgreSQL, and a copy of a SQLite file while an engine runs on it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use futures_util::TryStreamExt as _;
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _,
    SqliteConnection,
    postgres::PgArguments,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use super::{Error, open::keep_private, postgres};
use crate::database::Postgres;

/// All tables, each behind those that it refers to, with the order of their rows where it matters.
const TABLES: &[(&str, &str)] = &[
    ("meta", ""),
    ("object", ""),
    ("object_secret", ""),
    ("object_reference", ""),
    ("feed", ""),
    ("segment", ""),
    ("segment_day", ""),
    ("backfill", ""),
    ("lane", ""),
    ("position", ""),
    // PostgreSQL numbers them in the order in which they come, as SQLite did.
    ("dead_letter", " ORDER BY rowid"),
    ("alarm", ""),
    ("notice", ""),
    ("budget", ""),
    ("consent", ""),
    ("consent_answer", ""),
    // Old ones do no harm: Zoom refuses them, and they are asked for again.
    ("access_token", ""),
    // What a token made refers to it.
    ("token", " ORDER BY created_at, parent_id IS NOT NULL, id"),
    ("audit", ""),
    ("audit_position", ""),
];
/// The columns that number by themselves, and must go on behind what was copied.
const NUMBERED: &[(&str, &str)] = &[("feed", "id"), ("audit", "number")];

/// How many rows of each table were copied.
pub type Copied = Vec<(&'static str, u64)>;

/// Copies all that a SQLite store holds into an empty PostgreSQL: everything, as it was at one instant, or nothing.
///
/// # Errors
///
/// [`Error::Open`] where the file is not there, is of another version, or the target holds anything.
pub async fn copy(from: &Path, to: &Postgres) -> Result<Copied, Error> {
    let mut source = reading(from).await?;
    let pool = postgres::open_pool(to).await?;
    let mut target = pool.begin().await?;
    // No engine may start on it before all is there.
    sqlx::raw_sql("LOCK TABLE meta, object, engine IN EXCLUSIVE MODE")
        .execute(&mut *target)
        .await?;
    let mut source = source.begin().await?;
    same_version(&mut source, &mut target).await?;
    for (table, _) in TABLES {
        if count(&mut target, table).await? > 0 {
            return Err(Error::Open(format!(
                "the store at `{to}` is not empty: its table `{table}` holds rows. Copy into an empty database"
            )));
        }
    }
    let mut copied = Vec::new();
    for (table, order) in TABLES {
        let rows = copy_table(&mut source, &mut target, table, order).await?;
        let there = count(&mut target, table).await?;
        if there != rows {
            return Err(Error::Damaged(format!(
                "of `{table}`, {rows} rows were read and {there} are there; nothing was copied"
            )));
        }
        copied.push((*table, rows));
    }
    for (table, column) in NUMBERED {
        let next = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), (SELECT coalesce(max({column}), 0) + 1 FROM {table}), false)"
        );
        sqlx::raw_sql(AssertSqlSafe(next)).execute(&mut *target).await?;
    }
    target.commit().await?;
    pool.close().await;
    Ok(copied)
}

async fn reading(file: &Path) -> Result<SqliteConnection, Error> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    options
        .connect()
        .await
        .map_err(|error| Error::Open(format!("cannot read the store at `{}`: {error}", file.display())))
}

/// Only tables of the same form can be copied row by row. One of them only PostgreSQL has: that of its engines, 25.
async fn same_version(source: &mut SqliteConnection, target: &mut PgConnection) -> Result<(), Error> {
    const NEWEST: &str = "SELECT max(version) FROM _sqlx_migrations WHERE version <> 25";
    let before: i64 = sqlx::query_scalar(NEWEST).fetch_one(source).await?;
    let now: i64 = sqlx::query_scalar(NEWEST).fetch_one(target).await?;
    if before == now {
        return Ok(());
    }
    Err(Error::Open(format!(
        "the SQLite store has the tables of version {before}, and this engine those of {now}: start this version on it \
         once, stop it, and copy then"
    )))
}

async fn copy_table(
    source: &mut SqliteConnection,
    target: &mut PgConnection,
    table: &str,
    order: &str,
) -> Result<u64, Error> {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT column_name, data_type FROM information_schema.columns
         WHERE table_schema = current_schema() AND table_name = $1 AND column_name <> 'rowid'
         ORDER BY ordinal_position",
    )
    .bind(table)
    .fetch_all(&mut *target)
    .await?;
    let names = columns
        .iter()
        .map(|(name, _)| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(", ");
    let places = (1..=columns.len())
        .map(|at| format!("${at}"))
        .collect::<Vec<_>>()
        .join(", ");
    let insert = format!("INSERT INTO {table} ({names}) VALUES ({places})");
    let select = format!("SELECT {names} FROM {table}{order}");
    let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(source);
    let mut copied = 0;
    while let Some(row) = rows.try_next().await? {
        let values = values(&row, &columns)?;
        sqlx::query_with(AssertSqlSafe(insert.clone()), values)
            .execute(&mut *target)
            .await?;
        copied += 1;
    }
    Ok(copied)
}

fn values(row: &SqliteRow, columns: &[(String, String)]) -> Result<PgArguments, Error> {
    let mut values = PgArguments::default();
    for (at, (_, kind)) in columns.iter().enumerate() {
        match kind.as_str() {
            "bigint" => values.add(row.try_get::<Option<i64>, _>(at)?),
            "bytea" => values.add(row.try_get::<Option<Vec<u8>>, _>(at)?),
            _ => {
                let text: Option<String> = row.try_get(at)?;
                values.add(text.map(|text| text.replace('\0', "\u{fffd}")))
            }
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(values)
}

async fn count(target: &mut PgConnection, table: &str) -> Result<u64, Error> {
    let count = format!("SELECT count(*) FROM {table}");
    let rows: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(target).await?;
    Ok(rows.unsigned_abs())
}

/// Copies a SQLite store as it is at one instant, also while an engine writes to it; answers how many bytes that took.
/// The file appears under its name only when it is whole.
///
/// # Errors
///
/// [`Error::Open`] where there is no store, or there is such a file already.
pub async fn back_up(from: &Path, to: &Path) -> Result<u64, Error> {
    let failed =
        |why: &dyn std::fmt::Display| Error::Open(format!("cannot back up to `{}`: {why}", to.display()));
    if to.exists() {
        return Err(failed(&"there is a file of this name already"));
    }
    let mut half = to.as_os_str().to_owned();
    half.push(".part");
    let half = PathBuf::from(half);
    // Of an earlier backup that was broken off.
    let _ = fs::remove_file(&half);
    let mut source = reading(from).await?;
    // SQLite writes into an empty file as into none, and this one is its owner's alone from the first byte.
    keep_private(&half).map_err(|error| failed(&error))?;
    let made = sqlx::query("VACUUM INTO ?1")
        .bind(half.display().to_string())
        .execute(&mut source)
        .await;
    let whole = made.map_err(|error| failed(&error)).and_then(|_| {
        let whole = || {
            let file = fs::File::open(&half)?;
            file.sync_all()?;
            fs::rename(&half, to)?;
            if let Some(dir) = to.parent().filter(|dir| !dir.as_os_str().is_empty()) {
                fs::File::open(dir)?.sync_all()?;
            }
            file.metadata().map(|metadata| metadata.len())
        };
        whole().map_err(|error: std::io::Error| failed(&error))
    });
    if whole.is_err() {
        let _ = fs::remove_file(&half);
    }
    whole
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
