//! Rows of either database.

use sqlx::{ColumnIndex as _, Row as _, TypeInfo as _, ValueRef as _, postgres::PgRow, sqlite::SqliteRow};

/// A row.
pub(in crate::store) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// Where in a row.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum At<'a> {
    Name(&'a str),
    Number(usize),
}

impl<'a> From<&'a str> for At<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl From<usize> for At<'_> {
    fn from(number: usize) -> Self {
        Self::Number(number)
    }
}

impl Row {
    /// A column, by its name or number.
    pub(in crate::store) fn try_get<'a, T: Column>(&self, at: impl Into<At<'a>>) -> Result<T, sqlx::Error> {
        let number = match (at.into(), self) {
            (At::Number(number), _) => number,
            (At::Name(name), Self::Sqlite(row)) => name.index(row)?,
            (At::Name(name), Self::Postgres(row)) => name.index(row)?,
        };
        T::of(self, number)
    }

    fn number(&self, at: usize) -> Result<Option<i64>, sqlx::Error> {
        let row = match self {
            Self::Sqlite(row) => return row.try_get(at),
            Self::Postgres(row) => row,
        };
        // A constant in a statement is an `int4`, and a comparison a `bool`; columns are `int8`.
        match row.try_get_raw(at)?.type_info().name() {
            "INT4" => Ok(row.try_get::<Option<i32>, _>(at)?.map(i64::from)),
            "BOOL" => Ok(row.try_get::<Option<bool>, _>(at)?.map(i64::from)),
            _ => row.try_get(at),
        }
    }
}

/// What a column can be read as.
pub(in crate::store) trait Column: Sized {
    fn of(row: &Row, at: usize) -> Result<Self, sqlx::Error>;
}

macro_rules! numbers {
    ($($type:ty),+) => {$(
        impl Column for $type {
            fn of(row: &Row, at: usize) -> Result<Self, sqlx::Error> {
                Option::<$type>::of(row, at)?.ok_or_else(|| null(at))
            }
        }

        impl Column for Option<$type> {
            fn of(row: &Row, at: usize) -> Result<Self, sqlx::Error> {
                let number = row.number(at)?.map(<$type>::try_from);
                number.transpose().map_err(|error| damaged(at, error))
            }
        }
    )+};
}

numbers!(i64, i32, u32);

impl Column for bool {
    fn of(row: &Row, at: usize) -> Result<Self, sqlx::Error> {
        i64::of(row, at).map(|number| number != 0)
    }
}

macro_rules! as_they_are {
    ($($type:ty),+) => {$(
        impl Column for $type {
            fn of(row: &Row, at: usize) -> Result<Self, sqlx::Error> {
                match row {
                    Row::Sqlite(row) => row.try_get(at),
                    Row::Postgres(row) => row.try_get(at),
                }
            }
        }
    )+};
}

as_they_are!(String, Option<String>, Vec<u8>, Option<Vec<u8>>);

fn null(at: usize) -> sqlx::Error {
    damaged(at, sqlx::error::UnexpectedNullError)
}

fn damaged(at: usize, error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: at.to_string(),
        source: Box::new(error),
    }
}

/// What a row can be read as, by the order of its columns.
pub(in crate::store) trait FromRow: Sized + Send {
    fn from_row(row: &Row) -> Result<Self, sqlx::Error>;
}

macro_rules! tuples {
    ($($($part:ident $at:literal),+;)+) => {$(
        impl<$($part: Column + Send),+> FromRow for ($($part,)+) {
            fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
                Ok(($(row.try_get::<$part>($at)?,)+))
            }
        }
    )+};
}

tuples! {
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, E 4;
    A 0, B 1, C 2, D 3, E 4, F 5;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
    A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8;
}
