//! The steps that bring the tables up to date, compiled in.
//!
//! A database keeps the number and the hash of each step that it went through, so that one that was released is never
//! changed. They are listed rather than found by sqlx's macro, which would build SQLite and both drivers a second time,
//! for the compiler's own use.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// A step: its number, what it brings, and its statements.
type Step = (i64, &'static str, &'static str);

macro_rules! steps {
    ($folder:literal: $($number:literal $name:ident),+) => {
        &[$((
            $number,
            stringify!($name),
            include_str!(concat!(
                "../../migrations/", $folder, "/", stringify!($number), "_", stringify!($name), ".sql"
            )),
        )),+]
    };
}

#[expect(
    clippy::zero_prefixed_literal,
    reason = "the numbers are spelled as in the files' names"
)]
const SQLITE: &[Step] = steps! {
    "sqlite":
    0001 start, 0003 authorization, 0010 tokens, 0011 audit, 0020 audit_position, 0030 feeds, 0040 access,
    0041 daily_limit
};

#[expect(
    clippy::zero_prefixed_literal,
    reason = "the numbers are spelled as in the files' names"
)]
const POSTGRES: &[Step] = steps! {
    "postgres":
    0001 start, 0003 authorization, 0010 tokens, 0011 audit, 0020 audit_position, 0025 engines, 0030 feeds, 0040 access,
    0041 daily_limit
};

/// Those of SQLite.
pub(super) fn sqlite() -> Migrator {
    migrator(SQLITE)
}

/// Those of PostgreSQL.
pub(super) fn postgres() -> Migrator {
    migrator(POSTGRES)
}

fn migrator(steps: &[Step]) -> Migrator {
    let migrations = steps.iter().map(|&(number, name, statements)| {
        let name = name.replace('_', " ");
        Migration::new(
            number,
            name.into(),
            MigrationType::Simple,
            statements.into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn every_file_is_listed() {
        for (folder, listed) in [("sqlite", SQLITE), ("postgres", POSTGRES)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("migrations")
                .join(folder);
            let mut files: Vec<_> = fs::read_dir(&folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            let names = listed
                .iter()
                .map(|(number, name, _)| format!("{number:04}_{name}.sql"));
            assert_eq!(names.collect::<Vec<_>>(), files);
            // They all run in a transaction, also those that would ask not to.
            assert!(
                listed
                    .iter()
                    .all(|(.., statements)| !statements.starts_with("-- no-transaction"))
            );
        }
    }
}
