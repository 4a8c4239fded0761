//! One SQL text for two databases: statements, connections and rows that are SQLite's or PostgreSQL's.
//!
//! A statement is written once, with placeholders `$1`, `$2`, which both understand. Only where the dialects really
//! differ is it written twice ([`Text`]); most often PostgreSQL just has to lock what it reads ([`for_update`],
//! [`skip_locked`]), which SQLite does by having one writer.
//!
//! Whole numbers are `i64` on the wire, truth values `0` and `1`; a smaller type is checked when it is read.

mod connection;
mod lent;
mod row;
mod value;

use std::marker::PhantomData;

use futures_util::{Stream, TryStreamExt as _, stream};

#[cfg(test)]
pub(super) use self::connection::script;
use self::value::{Value, for_postgres, for_sqlite};
pub(super) use self::{
    connection::{Begin, Connection, On, Pool, Transaction, Turn},
    lent::Served,
    row::{Column, FromRow, Row},
    value::Bind,
};

/// A statement in both dialects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

impl From<&'static str> for Text {
    fn from(both: &'static str) -> Self {
        Self {
            sqlite: both,
            postgres: both,
        }
    }
}

/// A statement that reads what its transaction then decides on. With several writers it locks it.
macro_rules! for_update {
    ($text:literal) => {
        $crate::store::sql::Text {
            sqlite: $text,
            postgres: concat!($text, " FOR UPDATE"),
        }
    };
}

/// A statement that takes one row of those that nobody else is taking. `{…}` is for PostgreSQL alone: its lock stands
/// there, and what else several engines go by.
macro_rules! skip_locked {
    ($($both:literal $({$postgres:literal})?)+) => {
        $crate::store::sql::Text {
            sqlite: concat!($($both),+),
            postgres: concat!($($both, $($postgres,)?)+),
        }
    };
}

pub(super) use {for_update, skip_locked};

/// A statement and what is bound to it.
#[derive(Debug)]
pub(super) struct Query<'q> {
    text: Text,
    values: Vec<Value<'q>>,
}

/// A statement.
pub(super) fn query<'q>(text: impl Into<Text>) -> Query<'q> {
    Query {
        text: text.into(),
        values: Vec::new(),
    }
}

/// A statement whose rows are read by the order of their columns.
pub(super) fn query_as<'q, T: FromRow>(text: impl Into<Text>) -> Typed<'q, T> {
    Typed {
        query: query(text),
        row: PhantomData,
    }
}

/// A statement whose rows have one column.
pub(super) fn query_scalar<'q, T: Column>(text: impl Into<Text>) -> Scalar<'q, T> {
    Scalar {
        query: query(text),
        column: PhantomData,
    }
}

/// How many rows a statement changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done(u64);

impl Done {
    pub(super) fn rows_affected(self) -> u64 {
        self.0
    }
}

/// Runs a statement on whichever database is there.
macro_rules! run {
    ($query:ident, $connection:expr, $method:ident => $each:expr, $sqlite:path, $postgres:path) => {
        match $connection {
            Connection::Sqlite(held) => {
                let query = sqlx::query_with($query.text.sqlite, for_sqlite($query.values)?);
                query.$method(held.get()).await.map($each($sqlite))
            }
            Connection::Postgres(lent) => {
                let query = sqlx::query_with($query.text.postgres, for_postgres($query.values)?);
                let patience = lent.asks();
                let answer = patience.wait(query.$method(&mut **lent)).await;
                lent.answered(answer).map($each($postgres))
            }
        }
    };
}

impl<'q> Query<'q> {
    /// Binds the next placeholder.
    pub(super) fn bind(mut self, value: impl Bind<'q>) -> Self {
        self.values.push(value.value());
        self
    }

    /// Runs it for what it changes.
    pub(super) async fn execute(self, on: impl Into<On<'_>>) -> Result<Done, sqlx::Error> {
        let mut owned = None;
        match on.into().connection(&mut owned).await? {
            Connection::Sqlite(held) => {
                let query = sqlx::query_with(self.text.sqlite, for_sqlite(self.values)?);
                Ok(Done(query.execute(held.get()).await?.rows_affected()))
            }
            Connection::Postgres(lent) => {
                let query = sqlx::query_with(self.text.postgres, for_postgres(self.values)?);
                let patience = lent.asks();
                let answer = patience.wait(query.execute(&mut **lent)).await;
                Ok(Done(lent.answered(answer)?.rows_affected()))
            }
        }
    }

    /// The first row; there must be one.
    pub(super) async fn fetch_one(self, on: impl Into<On<'_>>) -> Result<Row, sqlx::Error> {
        self.fetch_optional(on).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// The first row, where there is one.
    pub(super) async fn fetch_optional(self, on: impl Into<On<'_>>) -> Result<Option<Row>, sqlx::Error> {
        let mut owned = None;
        let connection = on.into().connection(&mut owned).await?;
        run!(self, connection, fetch_optional => |of| move |row: Option<_>| row.map(of), Row::Sqlite, Row::Postgres)
    }

    /// All rows.
    pub(super) async fn fetch_all(self, on: impl Into<On<'_>>) -> Result<Vec<Row>, sqlx::Error> {
        let mut owned = None;
        let connection = on.into().connection(&mut owned).await?;
        run!(
            self, connection,
            fetch_all => |of| move |rows: Vec<_>| rows.into_iter().map(of).collect(), Row::Sqlite, Row::Postgres
        )
    }
}

/// A statement whose rows are read by the order of their columns.
#[derive(Debug)]
pub(super) struct Typed<'q, T> {
    query: Query<'q>,
    row: PhantomData<fn() -> T>,
}

impl<'q, T: FromRow> Typed<'q, T> {
    /// Binds the next placeholder.
    pub(super) fn bind(self, value: impl Bind<'q>) -> Self {
        Self {
            query: self.query.bind(value),
            ..self
        }
    }

    /// The first row, where there is one.
    pub(super) async fn fetch_optional(self, on: impl Into<On<'_>>) -> Result<Option<T>, sqlx::Error> {
        let row = self.query.fetch_optional(on).await?;
        row.as_ref().map(T::from_row).transpose()
    }

    /// All rows.
    pub(super) async fn fetch_all(self, on: impl Into<On<'_>>) -> Result<Vec<T>, sqlx::Error> {
        self.query.fetch_all(on).await?.iter().map(T::from_row).collect()
    }

    /// One row after the other, as they come; those of PostgreSQL come together.
    pub(super) fn fetch<'c>(
        self,
        connection: &'c mut Connection,
    ) -> Result<impl Stream<Item = Result<T, sqlx::Error>> + Send + 'c, sqlx::Error>
    where
        T: 'c,
    {
        let Query { text, values } = self.query;
        let rows: futures_util::stream::BoxStream<'c, _> = match connection {
            Connection::Sqlite(held) => Box::pin(
                sqlx::query_with(text.sqlite, for_sqlite(values)?)
                    .fetch(held.get())
                    .map_ok(Row::Sqlite),
            ),
            Connection::Postgres(lent) => {
                let query = sqlx::query_with(text.postgres, for_postgres(values)?);
                let rows = async move {
                    let patience = lent.asks();
                    let answer = patience.wait(query.fetch_all(&mut **lent)).await;
                    let rows = lent.answered(answer)?.into_iter();
                    Ok::<_, sqlx::Error>(stream::iter(rows.map(|row| Ok(Row::Postgres(row)))))
                };
                Box::pin(stream::once(rows).try_flatten())
            }
        };
        Ok(rows.and_then(|row| std::future::ready(T::from_row(&row))))
    }
}

/// A statement whose rows have one column.
#[derive(Debug)]
pub(super) struct Scalar<'q, T> {
    query: Query<'q>,
    column: PhantomData<fn() -> T>,
}

impl<'q, T: Column> Scalar<'q, T> {
    /// Binds the next placeholder.
    pub(super) fn bind(self, value: impl Bind<'q>) -> Self {
        Self {
            query: self.query.bind(value),
            ..self
        }
    }

    /// The first row's; there must be one.
    pub(super) async fn fetch_one(self, on: impl Into<On<'_>>) -> Result<T, sqlx::Error> {
        self.query.fetch_one(on).await?.try_get(0)
    }

    /// The first row's, where there is one.
    pub(super) async fn fetch_optional(self, on: impl Into<On<'_>>) -> Result<Option<T>, sqlx::Error> {
        let row = self.query.fetch_optional(on).await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    /// All rows'.
    pub(super) async fn fetch_all(self, on: impl Into<On<'_>>) -> Result<Vec<T>, sqlx::Error> {
        let rows = self.query.fetch_all(on).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }
}
