//! The one place of durable state, and the one place of SQL.
//!
//! Who takes part: the catalog (what users declared), feeds with their checkpoints, the log of events as segments,
//! lanes and positions of delivery, dead letters, alarms with their notices, and the request budgets.
//!
//! What holds:
//! * **One transaction a page** (law L3): known counts, appended events and checkpoint move together, in
//!   [`Store::commit_intake`]; there is no other way to move a checkpoint.
//! * **Every write of a worker names its fence** (law L6); a stale one answers [`Fenced`].
//! * What is acknowledged is on disk: the writing connection runs with full synchronisation. Claims and schedules,
//!   which may be lost without harm, are written through a second connection that does not wait for the disk.
//! * Reads are bounded and paged; nothing loads all.
//!
//! Cancel safety: each method is one transaction. Dropping its future either leaves the transaction to be rolled back
//! or has no effect on its outcome; it never leaves half of one.

pub mod access;
pub mod alarms;
pub mod audit;
pub mod backfills;
pub mod budgets;
pub mod catalog;
pub mod consents;
pub mod copy;
pub mod dead_letters;
pub mod delivery;
pub mod engines;
mod error;
mod feeds;
mod insist;
mod intake;
pub mod keys;
mod meta;
mod migrations;
pub mod notices;
mod open;
mod postgres;
mod recent;
mod retention;
pub mod samples;
#[cfg(test)]
mod schema_tests;
mod sealing;
pub mod secrets;
pub mod segment;
mod sql;
#[cfg(test)]
pub(crate) mod testing;
mod time;
pub mod tokens;
#[cfg(test)]
mod trouble_tests;
mod wake;

use std::sync::Arc;

use self::{
    engines::Homes,
    recent::Recent,
    sql::{Begin, Pool, Transaction, Turn},
};
pub use self::{
    error::{Error, Fenced},
    feeds::{ClaimedFeed, FeedRow, PollEnd},
    intake::{Commit, Committed, NewEvents},
};
use crate::clock::Clock;

/// A handle to the store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
    /// On whose behalf it is written to; `None` for the engine's own doings.
    by: Option<Arc<audit::By>>,
}

#[derive(Debug)]
struct Shared {
    /// Whose commits wait for the disk; of SQLite it is one connection.
    durable: Pool,
    /// Whose commits do not: for claims and schedules; of SQLite it is one connection.
    soft: Pool,
    /// Where to read.
    read: Pool,
    clock: Clock,
    /// What is at home here, where several engines share the store.
    homes: Homes,
    /// What was appended here last.
    recent: Recent,
}

impl Store {
    /// Begins a write that is on disk once it is committed.
    async fn durable(&self) -> Result<Transaction, Error> {
        Ok(self.shared.durable.begin(Begin::Durable).await?)
    }

    /// Begins a write that a loss of power may undo.
    async fn soft(&self) -> Result<Transaction, Error> {
        Ok(self.shared.soft.begin(Begin::Soft).await?)
    }

    /// Begins a change that a user asked for, on disk once it is committed. These go one at a time, also where several
    /// engines write: they look at many rows before they decide, and the audit log tells them in their order.
    async fn change(&self) -> Result<Transaction, Error> {
        let mut write = self.durable().await?;
        write.lock(Turn::Change).await?;
        Ok(write)
    }

    /// Begins to read several things as they are at one instant.
    async fn snapshot(&self) -> Result<Transaction, Error> {
        Ok(self.read().begin(Begin::Read).await?)
    }

    /// Whether no statement is under way: who simulates waits for that before time moves on.
    pub fn is_idle(&self) -> bool {
        let Shared {
            durable, soft, read, ..
        } = &*self.shared;
        [durable, soft, read].iter().all(|pool| pool.is_idle())
    }

    /// Where to read.
    fn read(&self) -> &Pool {
        &self.shared.read
    }

    /// The store's idea of now, in the form that it keeps.
    fn now(&self) -> i64 {
        self.shared.clock.now().as_millisecond()
    }
}
