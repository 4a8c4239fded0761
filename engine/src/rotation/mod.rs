//! The master key, from one to the next: what joins the vault, which has keys, and the store, which knows which one is in
//! use.
//!
//! A rotation runs beside engines that go on. The store names the key that is in use and, meanwhile, the one that takes
//! its place; both are at hand in the vault, and both open. Whoever seals asks the store first ([`follow`]), and the store
//! asks again in the transaction that keeps what was sealed. So the moment in which the last secret has been wrapped
//! anew is one that is known, and from then on nothing needs the former key.
//!
//! A crash between any two steps leaves a store that every engine works with, and the next run goes on where it was.

mod command;

use std::io;

use engine_api::{Actor, ActorKind};
use tracing::info;

pub use command::{Report, rotate, status};

use crate::{
    store::{self, Store, audit::By, keys::KeyState},
    vault::{self, Held, Options, Sealed, Vault},
};

/// Why the master key is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be used.
    #[error("{}", .0.chain())]
    Store(#[from] store::Error),
    /// A key or a secret cannot be used.
    #[error("{0}")]
    Vault(#[from] vault::Error),
    /// There is nothing to rotate.
    #[error("the store has no master key yet: start the engine once")]
    Unused,
    /// It is not clear which key is meant.
    #[error("there are several new master keys ({}): leave one of them beside the one in use, {active}", .keys.join(", "))]
    Ambiguous {
        /// Their names.
        keys: Vec<String>,
        /// The name of the key in use.
        active: String,
    },
    /// Some secrets do not open, and cannot be wrapped anew.
    #[error("{} do not open: {}; set them again or remove their objects, and run this again. Until then both master keys are needed", .secrets.len(), .secrets.join(", "))]
    Unsealable {
        /// Owner and field of each.
        secrets: Vec<String>,
    },
    /// What is said cannot be written.
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

/// Opens the vault under the keys that the store was sealed with; the first start decides which that is.
///
/// # Errors
///
/// [`Error::Vault`] where a key is missing that the store's secrets need.
pub async fn open_vault(options: Options, store: &Store) -> Result<Vault, Error> {
    if let Some(state) = store.key_state().await? {
        return Ok(Vault::load(options, Held::SealedUnder(sealed(&state)))?);
    }
    let vault = Vault::load(options.clone(), Held::Nothing)?;
    let kept = store.keep_key_check(vault.key_check().as_bytes()).await?;
    if kept == vault.key_check().as_bytes() {
        return Ok(vault);
    }
    // Another engine started on this store at the same moment, and its key is the one.
    let state = store.key_state().await?.ok_or(Error::Unused)?;
    Ok(Vault::load(options, Held::SealedUnder(sealed(&state)))?)
}

/// Lets the vault seal with the key that the store has turned to; before each use that stores something sealed.
///
/// # Errors
///
/// [`vault::Error::KeyNotHeld`], inside [`Error::Vault`], while this engine lacks a key that the store names.
pub async fn follow(store: &Store, vault: &Vault) -> Result<(), Error> {
    match store.key_state().await? {
        Some(state) => Ok(vault.follow(sealed(&state))?),
        None => Ok(()),
    }
}

fn sealed(state: &KeyState) -> Sealed<'_> {
    Sealed {
        active: &state.active,
        next: state.next.as_deref(),
        fingerprint: state.fingerprint.as_deref(),
    }
}

/// Whoever runs the command on the engine's machine.
fn operator() -> By {
    By {
        actor: Actor {
            kind: ActorKind::Command,
            token_id: None,
            name: "zoom-log-engine key rotate".to_owned(),
            identity: None,
            address: None,
        },
        request_id: None,
    }
}

/// Notes in the log where a rotation stands.
fn noted(step: &'static str, key: &str) {
    info!(key, "{step}");
}

#[cfg(test)]
mod tests;
