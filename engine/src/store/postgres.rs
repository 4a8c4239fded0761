//! Opening a store in PostgreSQL.

use std::time::Duration;

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};

use super::{
    Error, migrations,
    sql::{Pool, Served},
};
use crate::database::{Postgres, Tls};

/// The oldest version that has what we use, as its server numbers it.
const OLDEST: i32 = 140_000;
/// A session that began a transaction and then says nothing for so long is gone: its locks would keep others waiting
/// for as long as TCP takes to notice.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);
/// A connection that lay idle for longer is asked whether it still lives before it is used.
const FRESH: Duration = Duration::from_secs(5);
/// So many of our statements are kept prepared on each connection: all.
const STATEMENTS: usize = 256;

/// Connects, and brings the tables up to date; engines that start at the same time do so one after the other.
pub(super) async fn open(place: &Postgres) -> Result<Pool, Error> {
    let pool = open_pool(place).await?;
    Ok(Pool::Postgres(Served::new(pool, place.limits.statement_timeout)))
}

/// As [`open`].
pub(super) async fn open_pool(place: &Postgres) -> Result<PgPool, Error> {
    let pool = connect(place, connect_options(place)).await?;
    migrations::postgres().run(&pool).await.map_err(|error| {
        Error::Open(format!(
            "cannot bring the store at `{place}` up to date: {error}; was it written by a newer version, and may the \
             role create tables in its schema?"
        ))
    })?;
    Ok(pool)
}

/// Connects to read only.
pub(super) async fn open_to_read(place: &Postgres) -> Result<Pool, Error> {
    let options = connect_options(place).options([("default_transaction_read_only", "on")]);
    let pool = connect(place, options).await?;
    Ok(Pool::Postgres(Served::new(pool, place.limits.statement_timeout)))
}

async fn connect(place: &Postgres, options: PgConnectOptions) -> Result<PgPool, Error> {
    let failed = |error: sqlx::Error| {
        Error::Open(format!(
            "cannot use the store at `{place}`: {error}{}",
            advice(&error)
        ))
    };
    let pool = PgPoolOptions::new()
        .max_connections(place.limits.max_connections)
        .acquire_timeout(place.limits.connect_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                // One that fails is closed, and another one taken.
                if meta.idle_for > FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        // The first connection is made alone, since the pool would try for as long as its limit lets it.
        .connect_lazy_with(options.clone());
    let mut first = PgConnection::connect_with(&options).await.map_err(failed)?;
    let version: String = sqlx::query_scalar("SHOW server_version_num")
        .fetch_one(&mut first)
        .await
        .map_err(failed)?;
    // A connection that is dropped is closed as well, only less politely.
    let _ = first.close().await;
    match version.parse::<i32>() {
        Ok(version) if version < OLDEST => Err(Error::Open(format!(
            "the store at `{place}` is on PostgreSQL {}: 14 or newer is needed",
            version / 10_000
        ))),
        _ => Ok(pool),
    }
}

fn connect_options(place: &Postgres) -> PgConnectOptions {
    let millis = |length: Duration| length.as_millis().to_string();
    let mut connect = PgConnectOptions::new_without_pgpass()
        .port(place.port)
        .username(&place.user)
        .database(&place.database)
        .application_name("zoom-log-engine")
        .statement_cache_capacity(STATEMENTS)
        // They would be told whole, the migrations with all their words. What fails is told by whoever asked.
        .disable_statement_logging()
        .ssl_mode(match place.tls {
            Tls::Disable => PgSslMode::Disable,
            Tls::Prefer => PgSslMode::Prefer,
            Tls::Require => PgSslMode::Require,
            Tls::VerifyCa => PgSslMode::VerifyCa,
            Tls::VerifyFull => PgSslMode::VerifyFull,
        })
        .options([
            ("statement_timeout", millis(place.limits.statement_timeout)),
            ("lock_timeout", millis(place.limits.lock_timeout)),
            ("idle_in_transaction_session_timeout", millis(IDLE_IN_TRANSACTION)),
            // So that a session whose engine is cut off ends within seconds.
            ("tcp_keepalives_idle", "10".to_owned()),
            ("tcp_keepalives_interval", "5".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
        ]);
    connect = if place.host.starts_with('/') {
        connect.socket(&place.host)
    } else {
        connect.host(&place.host)
    };
    if let Some(password) = &place.password {
        connect = connect.password(password.expose());
    }
    if let Some(file) = &place.authorities {
        connect = connect.ssl_root_cert(file);
    }
    connect
}

/// What to do about it, where that can be told.
fn advice(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Database(refusal) => match refusal.code().as_deref() {
            Some("28P01" | "28000") => "; see `store.url` and `store.password_file`",
            Some("3D000") => "; create the database first, owned by this role",
            Some("53300") => "; lower `store.max_connections` or raise the server's `max_connections`",
            _ => "",
        },
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => {
            "; does PostgreSQL run there, and may it be reached?"
        }
        sqlx::Error::Tls(_) => "; see `sslmode` and `sslrootcert` in `store.url`",
        _ => "",
    }
}
