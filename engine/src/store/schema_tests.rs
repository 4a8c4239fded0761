//! The tables of the two databases are twins.

use std::collections::BTreeSet;

use super::{
    sql,
    testing::{Backend, Fixture},
};

/// What only one of them has: SQLite numbers the rows of each table by itself, and has one engine.
const OWN: &[&str] = &["dead_letter.rowid", "engine.", "_sqlx_migrations."];

async fn columns(backend: Backend) -> BTreeSet<String> {
    backend.choose();
    let fixture = Fixture::new().await;
    let found: Vec<String> = sql::query_scalar(sql::Text {
        sqlite: "SELECT t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
                 WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
        postgres: "SELECT table_name || '.' || column_name FROM information_schema.columns
                   WHERE table_schema = current_schema()",
    })
    .fetch_all(fixture.store.read())
    .await
    .unwrap();
    found
        .into_iter()
        .filter(|column| !OWN.iter().any(|own| column.starts_with(own)))
        .collect()
}

#[tokio::test]
async fn both_databases_have_the_same_tables_and_columns() {
    let sqlite = columns(Backend::Sqlite).await;
    assert!(sqlite.contains("feed.fence"), "{sqlite:?}");
    assert_eq!(sqlite, columns(Backend::Postgres).await);
}
