//! The engines that share a store: who lives, and who is preferred for what.
//!
//! Each engine says every few seconds that it lives, by the database's clock. One that has been silent for the lease time
//! is dead: the next who looks ends its leases, all at once, and whoever claims what it had gets a greater fence. Should
//! it have been only paused, it finds itself forgotten, and every write of what it had in hand is refused (law L6).
//!
//! Feeds and lanes have a home: of the engines that live, the one whose hash with the slot is the greatest. So few move
//! when an engine comes or goes. A home is a preference, not a right: what its home has left lying for a while anybody
//! takes.
//!
//! A SQLite store has one engine, and nothing here is asked of it.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use sqlx::postgres::PgListener;

use super::{
    Error, Store,
    sql::{self, Connection, Pool},
    time::{instant, maybe_instant},
};

/// What is spread over the engines.
const SLOTS: usize = 256;
/// What its home has not taken for so long, in milliseconds, others may take.
pub(super) const GRACE: i64 = 2_000;
/// What was due and could not be claimed is another engine's for the moment; it is looked at again after so long.
const MOMENT: i64 = 100;
/// Where engines tell each other that there is something to look at.
pub(super) const CHANNEL: &str = "zoom_log_engine";

/// The slots that are at home here, a bit each, as PostgreSQL numbers bits; at first all.
#[derive(Debug)]
pub(super) struct Homes(RwLock<[u8; SLOTS / 8]>);

impl Default for Homes {
    fn default() -> Self {
        Self(RwLock::new([u8::MAX; SLOTS / 8]))
    }
}

impl Homes {
    pub(super) fn get(&self) -> Vec<u8> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).to_vec()
    }

    fn set(&self, homes: [u8; SLOTS / 8]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = homes;
    }
}

/// What an engine learns when it says that it lives.
#[derive(Debug)]
pub struct Beat {
    /// The database's clock.
    pub now: Timestamp,
    /// Nobody knew of this engine: it has just started, or it was taken for dead.
    pub joined: bool,
    /// The engines that live and take new work, in order.
    pub engines: Vec<String>,
    /// Those that were found dead now.
    pub dead: Vec<String>,
}

impl Store {
    /// Whether other engines may use the same store.
    pub fn is_shared(&self) -> bool {
        matches!(self.shared.durable, Pool::Postgres(_))
    }

    /// Says that this engine lives, until `lease` has passed; ends the leases of those that do not; and learns what is
    /// at home here.
    ///
    /// # Cancel safety
    ///
    /// Either all of it happened or nothing.
    pub async fn beat(&self, engine: &str, lease: Duration) -> Result<Beat, Error> {
        let lease = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let mut write = self.soft().await?;
        let renewed: Option<i64> = sql::query_scalar(
            "UPDATE engine SET alive_until = clock_ms() + $2 WHERE id = $1 AND alive_until > clock_ms()
             RETURNING clock_ms()",
        )
        .bind(engine)
        .bind(lease)
        .fetch_optional(&mut *write)
        .await?;
        // Its own row may be of the dead too: then what it had is ended before it begins anew.
        let dead: Vec<String> =
            sql::query_scalar("DELETE FROM engine WHERE alive_until <= clock_ms() RETURNING id")
                .fetch_all(&mut *write)
                .await?;
        end_ownerless(&mut write).await?;
        let now =
            match renewed {
                Some(now) => now,
                None => sql::query_scalar(
                    "INSERT INTO engine (id, alive_until) VALUES ($1, clock_ms() + $2) RETURNING clock_ms()",
                )
                .bind(engine)
                .bind(lease)
                .fetch_one(&mut *write)
                .await?,
            };
        let engines: Vec<String> = sql::query_scalar("SELECT id FROM engine WHERE leaving = 0 ORDER BY id")
            .fetch_all(&mut *write)
            .await?;
        write.commit().await?;
        self.shared.homes.set(homes(engine, &engines));
        Ok(Beat {
            now: instant(now)?,
            joined: renewed.is_none(),
            engines,
            dead: dead.into_iter().filter(|id| id != engine).collect(),
        })
    }

    /// Says that this engine wants no more: what is at home here moves, and what it has in hand it ends.
    pub async fn retire(&self, engine: &str) -> Result<(), Error> {
        let mut write = self.soft().await?;
        sql::query("UPDATE engine SET leaving = 1 WHERE id = $1")
            .bind(engine)
            .execute(&mut *write)
            .await?;
        Ok(write.commit().await?)
    }

    /// Says that this engine is gone, and ends what leases it still has.
    pub async fn leave(&self, engine: &str) -> Result<(), Error> {
        let mut write = self.soft().await?;
        sql::query("DELETE FROM engine WHERE id = $1")
            .bind(engine)
            .execute(&mut *write)
            .await?;
        end_ownerless(&mut write).await?;
        Ok(write.commit().await?)
    }

    /// Tells the other engines something, a text of a few words.
    pub async fn tell(&self, text: &str) -> Result<(), Error> {
        sql::query("SELECT pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(text)
            .execute(self.read())
            .await?;
        Ok(())
    }

    /// Begins to hear what the other engines tell.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub async fn listen(&self) -> Result<Ears, Error> {
        let Pool::Postgres(served) = &self.shared.read else {
            return Ok(Ears(None));
        };
        let mut listener = PgListener::connect_with(&served.pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Ears(Some(listener)))
    }

    /// When to look again for what is due at `due`, after nothing could be claimed.
    pub(super) fn look_again(&self, due: Option<i64>) -> Result<Option<Timestamp>, Error> {
        let moment = self.now() + MOMENT;
        maybe_instant(due.map(|due| if self.is_shared() { due.max(moment) } else { due }))
    }
}

/// Hears what the other engines tell. It has a connection of its own.
#[derive(Debug)]
pub struct Ears(Option<PgListener>);

impl Ears {
    /// Waits for the next word; with SQLite, for ever.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] where the connection is lost: listen anew.
    pub async fn hear(&mut self) -> Result<String, Error> {
        match &mut self.0 {
            Some(listener) => match listener.try_recv().await? {
                Some(told) => Ok(told.payload().to_owned()),
                None => Err(Error::Unavailable(sqlx::Error::PoolClosed)),
            },
            None => std::future::pending().await,
        }
    }
}

/// Ends the leases of those whom nobody knows. What is locked is being written to: it is ended at the next look.
async fn end_ownerless(write: &mut Connection) -> Result<(), Error> {
    for statement in [
        "UPDATE feed SET lease_owner = NULL, lease_until = NULL WHERE id IN (
             SELECT id FROM feed WHERE lease_owner NOT IN (SELECT id FROM engine) FOR UPDATE SKIP LOCKED)",
        "UPDATE lane SET lease_owner = NULL, lease_until = NULL WHERE destination_id IN (
             SELECT destination_id FROM lane WHERE lease_owner NOT IN (SELECT id FROM engine)
             FOR UPDATE SKIP LOCKED)",
        "UPDATE notice SET lease_owner = NULL, lease_until = NULL WHERE id IN (
             SELECT id FROM notice WHERE lease_owner NOT IN (SELECT id FROM engine) FOR UPDATE SKIP LOCKED)",
        "UPDATE consent SET lease_owner = NULL, lease_until = NULL WHERE source_id IN (
             SELECT source_id FROM consent WHERE lease_owner NOT IN (SELECT id FROM engine)
             FOR UPDATE SKIP LOCKED)",
        "UPDATE access_token SET lease_owner = NULL, lease_until = NULL WHERE credential IN (
             SELECT credential FROM access_token WHERE lease_owner NOT IN (SELECT id FROM engine)
             FOR UPDATE SKIP LOCKED)",
    ] {
        sql::query(statement).execute(&mut *write).await?;
    }
    Ok(())
}

/// The slots whose home an engine is, among those that live.
fn homes(engine: &str, engines: &[String]) -> [u8; SLOTS / 8] {
    let mut homes = [0; SLOTS / 8];
    for slot in 0..SLOTS {
        let best = engines.iter().max_by_key(|engine| weight(engine, slot));
        if best.is_some_and(|best| best == engine) {
            homes[slot / 8] |= 1 << (slot % 8);
        }
    }
    homes
}

fn weight(engine: &str, slot: usize) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(slot as u64).to_le_bytes());
    hasher.update(engine.as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
#[path = "engines_tests.rs"]
mod tests;
