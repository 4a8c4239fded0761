//! The one place that opens secrets.
//!
//! A [`Vault`] seals secrets before they are stored and opens them again where they are used. Each secret has a data
//! key of its own, and that is wrapped under a master key, which lives outside the store: in a file beside it, in a
//! variable, or in what systemd or Kubernetes provide. From a master key others are derived, none of which tells
//! anything about another: one that wraps, and a check value that the store keeps, so that a wrong key is noticed before
//! anything is read or written with it.
//!
//! * **Sealing** is authenticated and bound to the owner and the field: a sealed value that is moved to another row
//!   does not open (`envelope.rs`).
//! * **A rotation** has two master keys side by side, of which the store says which one seals; what is sealed is wrapped
//!   anew while engines go on ([`Vault::follow`], [`Vault::rewrap`]).
//! * **A fingerprint** tells whether a secret changed, and to whom has no key nothing about the secret: a plain hash
//!   of a short password could be guessed from. Its key is the installation's, sealed like a secret once the first
//!   master key is replaced, so that a rotation does not look like a change of every secret.
//! * **References** ([`Vault::resolve_ref`]) are secrets that live outside the store.
//!
//! **Invariant:** a key is never made while the store holds secrets that another key sealed.

mod envelope;
mod error;
mod file;
mod key;
mod keyring;
mod opened;
mod reference;
mod token;

use std::{fmt, path::PathBuf, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use engine_api::Secret;
use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};

pub use error::Error;
pub use key::generate_key;
pub use keyring::{KeyFrom, name as key_name};
pub use opened::Opened;
pub use token::{AdminToken, Minted, admin_token, mint_token, token_id};

use self::{envelope::Row, keyring::Keyring, reference::Reach};

/// What the sealed fingerprint key is bound to.
pub const FINGERPRINT: (&str, &str) = ("vault", "fingerprint_key");
/// Half of the bytes of an HMAC-SHA256 would do; these are enough to tell two secrets apart and short enough to read.
const FINGERPRINT_LEN: usize = 8;

/// Where the vault finds its key, and what references may reach.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the master keys are.
    pub key: KeyFrom,
    /// The directories that `file:` references may read from.
    pub ref_dirs: Vec<PathBuf>,
    /// What the variables of `env:` references must begin with.
    pub ref_env_prefixes: Vec<String>,
}

/// What the store holds that depends on the key.
#[derive(Debug, Clone, Copy)]
pub enum Held<'a> {
    /// No sealed secret: any key will do, and a new one is made where there is none.
    Nothing,
    /// Secrets, under these keys.
    SealedUnder(Sealed<'a>),
}

/// The master keys that a store's secrets need.
#[derive(Debug, Clone, Copy)]
pub struct Sealed<'a> {
    /// The [`Vault::key_check`] of the one in use.
    pub active: &'a str,
    /// The one that is taking its place, while a rotation is under way.
    pub next: Option<&'a str>,
    /// The sealed fingerprint key, once there was a rotation.
    pub fingerprint: Option<&'a [u8]>,
}

/// Seals and opens secrets; cheap to clone.
#[derive(Clone)]
pub struct Vault {
    keyring: Arc<Keyring>,
    fingerprint: Arc<hmac::Key>,
    reach: Reach,
    key_created: bool,
}

impl Vault {
    /// Reads the master keys, or makes one where there is none and the store holds nothing sealed.
    ///
    /// # Errors
    ///
    /// [`Error::KeyMissing`] and [`Error::KeyWrong`] where the store holds secrets that need another key; others
    /// where the place holds something else or can be neither read nor written.
    pub fn load(options: Options, held: Held<'_>) -> Result<Self, Error> {
        let sealed = match held {
            Held::Nothing => None,
            Held::SealedUnder(sealed) => Some(sealed),
        };
        let (keyring, key_created) = Keyring::load(options.key, sealed)?;
        let fingerprint = match sealed.and_then(|sealed| sealed.fingerprint) {
            None => active_fingerprint(&keyring, sealed),
            Some(kept) => {
                let (owner, field) = FINGERPRINT;
                let text = open(&keyring, owner, field, kept)?;
                let unsealable = |_| unsealable(owner, field);
                hmac::Key::new(
                    hmac::HMAC_SHA256,
                    &STANDARD.decode(text.expose()).map_err(unsealable)?,
                )
            }
        };
        Ok(Self {
            keyring: Arc::new(keyring),
            fingerprint: Arc::new(fingerprint),
            reach: Reach {
                dirs: options.ref_dirs,
                env_prefixes: options.ref_env_prefixes,
            },
            key_created,
        })
    }

    /// Whether [`Vault::load`] made the key just now.
    pub fn key_created(&self) -> bool {
        self.key_created
    }

    /// A text that names the key that seals now and does not help to find it. The store keeps it beside the first secret
    /// that is sealed and hands it to [`Vault::load`] ever after.
    pub fn key_check(&self) -> String {
        self.keyring.sealing().check.clone()
    }

    /// The [`Vault::key_check`] of every master key at hand.
    pub fn keys(&self) -> Vec<String> {
        self.keyring.checks()
    }

    /// How every secret begins that is sealed with the key that seals now.
    pub fn header(&self) -> Vec<u8> {
        envelope::header(self.keyring.sealing().id).to_vec()
    }

    /// Seals from now on with the key that the store has turned to.
    ///
    /// # Errors
    ///
    /// [`Error::KeyNotHeld`] where one of the keys that the store names is not at hand: nothing may be sealed then, since
    /// it could be the last that is sealed with a key that is about to be thrown away.
    pub fn follow(&self, sealed: Sealed<'_>) -> Result<(), Error> {
        self.keyring.follow(sealed)
    }

    /// Adds a new master key to the file of keys. Answers its check value.
    ///
    /// # Errors
    ///
    /// [`Error::KeyNotAdded`] where the keys are not in a file of the engine's own; others where it cannot be written.
    pub fn add_key(&self) -> Result<String, Error> {
        self.keyring.add_key()
    }

    /// Seals a secret for storage. It opens only for the same owner and field.
    ///
    /// # Errors
    ///
    /// [`Error::Crypto`] where the system has no random numbers to give.
    pub fn seal(&self, owner: &str, field: &str, secret: &Secret) -> Result<Vec<u8>, Error> {
        let row = Row { owner, field };
        envelope::seal(&self.keyring.sealing(), row, secret.expose().as_bytes())
    }

    /// Opens what [`Vault::seal`] sealed for this owner and field.
    ///
    /// # Errors
    ///
    /// [`Error::Unsealable`] where it was sealed for another or was altered, [`Error::KeyNotHeld`] where its master key
    /// is not at hand.
    pub fn open(&self, owner: &str, field: &str, sealed: &[u8]) -> Result<Secret, Error> {
        open(&self.keyring, owner, field, sealed)
    }

    /// The same secret, its data key wrapped under the master key that seals now.
    ///
    /// # Errors
    ///
    /// As [`Vault::open`] and [`Vault::seal`].
    pub fn rewrap(&self, owner: &str, field: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let row = Row { owner, field };
        let from = keys_of(&self.keyring, row, sealed)?;
        envelope::rewrap(&from, &self.keyring.sealing(), row, sealed)
            .ok_or_else(|| unsealable(owner, field))?
    }

    /// The fingerprint key, sealed for the row of [`FINGERPRINT`].
    ///
    /// # Errors
    ///
    /// As [`Vault::seal`].
    pub fn sealed_fingerprint(&self, active: Sealed<'_>) -> Result<Vec<u8>, Error> {
        let (owner, field) = FINGERPRINT;
        if let Some(kept) = active.fingerprint {
            return self.rewrap(owner, field, kept);
        }
        let key = self
            .keyring
            .find_check(active.active)
            .ok_or_else(|| Error::KeyNotHeld {
                place: self.keyring.place(),
                key: key_name(active.active),
            })?;
        let text = Secret::from(STANDARD.encode(key.fingerprint.as_slice()));
        self.seal(owner, field, &text)
    }

    /// A short text that changes when one of the owner's secrets changes, and says nothing else about them. The
    /// order of the secrets does not matter.
    pub fn fingerprint(&self, owner: &str, secrets: &[(&str, &Secret)]) -> String {
        let mut secrets = secrets.to_vec();
        secrets.sort_unstable_by_key(|(field, _)| *field);
        let mut context = hmac::Context::with_key(&self.fingerprint);
        let mut update = |part: &[u8]| {
            // Lengths keep the parts apart: `a` + `bc` is not `ab` + `c`.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        };
        update(owner.as_bytes());
        for (field, secret) in secrets {
            update(field.as_bytes());
            update(secret.expose().as_bytes());
        }
        hex(&context.sign().as_ref()[..FINGERPRINT_LEN])
    }

    /// Whether two secrets are the same, in a time that tells nothing about where they differ or how long they are.
    pub fn equal(&self, candidate: &Secret, stored: &Secret) -> bool {
        let stored = hmac::sign(&self.fingerprint, stored.expose().as_bytes());
        hmac::verify(&self.fingerprint, candidate.expose().as_bytes(), stored.as_ref()).is_ok()
    }

    /// Reads the secret that a reference (`file:/…`, `env:NAME`) names, as it is now.
    ///
    /// # Errors
    ///
    /// [`Error::ReferenceMalformed`], [`Error::ReferenceForbidden`] with the setting that decides, or
    /// [`Error::ReferenceUnreadable`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind when the future is dropped, but a read that hangs keeps its thread.
    pub async fn resolve_ref(&self, reference: &str) -> Result<Secret, Error> {
        let (reach, wanted) = (self.reach.clone(), reference.to_owned());
        let read = tokio::task::spawn_blocking(move || reach.resolve(&wanted));
        read.await.unwrap_or_else(|_| {
            let cause = "the engine is stopping".to_owned();
            Err(Error::ReferenceUnreadable {
                reference: reference.to_owned(),
                cause,
            })
        })
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

/// The fingerprint key of an installation that still has its first master key.
fn active_fingerprint(keyring: &Keyring, sealed: Option<Sealed<'_>>) -> hmac::Key {
    let first = sealed.and_then(|sealed| keyring.find_check(sealed.active));
    let first = first.unwrap_or_else(|| keyring.sealing());
    hmac::Key::new(hmac::HMAC_SHA256, first.fingerprint.as_slice())
}

fn open(keyring: &Keyring, owner: &str, field: &str, sealed: &[u8]) -> Result<Secret, Error> {
    let row = Row { owner, field };
    let keys = keys_of(keyring, row, sealed)?;
    let text = envelope::open(&keys, row, sealed).ok_or_else(|| unsealable(owner, field))?;
    std::str::from_utf8(&text)
        .map(Secret::from)
        .map_err(|_| unsealable(owner, field))
}

/// The keys that a sealed secret needs.
fn keys_of(keyring: &Keyring, row: Row<'_>, sealed: &[u8]) -> Result<Arc<key::Keys>, Error> {
    let id = envelope::key_of(sealed).ok_or_else(|| unsealable(row.owner, row.field))?;
    keyring.find(id).ok_or_else(|| Error::KeyNotHeld {
        place: keyring.place(),
        key: hex(&id),
    })
}

fn unsealable(owner: &str, field: &str) -> Error {
    Error::Unsealable {
        owner: owner.to_owned(),
        field: field.to_owned(),
    }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Crypto {
        action: "make random numbers",
    })?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

#[cfg(test)]
mod tests;
