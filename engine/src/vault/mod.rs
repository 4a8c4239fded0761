//! The one place that opens secrets.
//!
//! A [`Vault`] seals secrets before they are stored and opens them again where they are used, under one key that
//! lives in a file beside the store. From that key it derives three others, none of which tells anything about
//! another: one that seals, one for fingerprints, and a check value that the store keeps so that a wrong key is
//! noticed before anything is read or written with it.
//!
//! * **Sealing** is authenticated and bound to the owner and the field: a sealed value that is moved to another row
//!   does not open.
//! * **A fingerprint** tells whether a secret changed, and to whom has no key nothing about the secret: a plain hash
//!   of a short password could be guessed from.
//! * **References** ([`Vault::resolve_ref`]) are secrets that live outside the store.
//!
//! **Invariant:** a key is never made while the store holds secrets that another key sealed.

mod error;
mod file;
mod key;
mod opened;
mod reference;
mod token;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use engine_api::Secret;
use ring::{
    aead::{Aad, LessSafeKey, NONCE_LEN, Nonce},
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use zeroize::Zeroizing;

pub use error::Error;
pub use opened::Opened;
pub use token::{AdminToken, Minted, admin_token, mint_token, token_id};

use self::{
    key::{KEY_ID_LEN, Keys},
    reference::Reach,
};

/// The first byte of what [`Vault::seal`] writes.
const VERSION: u8 = 1;
const HEADER_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;
/// Half of the bytes of an HMAC-SHA256 would do; these are enough to tell two secrets apart and short enough to read.
const FINGERPRINT_LEN: usize = 8;

/// Where the vault finds its key, and what references may reach.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file with the 32-byte key.
    pub key_file: PathBuf,
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
    /// Secrets that were sealed under the key with this [`Vault::key_check`].
    SealedUnder(&'a str),
}

/// Seals and opens secrets; cheap to clone.
#[derive(Clone)]
pub struct Vault {
    keys: Arc<Keys>,
    reach: Reach,
    key_created: bool,
}

impl Vault {
    /// Reads the key, or makes it where it does not exist and the store holds nothing sealed.
    ///
    /// # Errors
    ///
    /// [`Error::KeyMissing`] and [`Error::KeyWrong`] where the store holds secrets that need another key; others
    /// where the file is not a key file or can be neither read nor made.
    pub fn load(options: Options, held: Held<'_>) -> Result<Self, Error> {
        let Options {
            key_file,
            ref_dirs: dirs,
            ref_env_prefixes: env_prefixes,
        } = options;
        let (keys, key_created) = match (file::read(&key_file)?, held) {
            (Some(bytes), _) => (Keys::parse(&key_file, &bytes)?, false),
            (None, Held::SealedUnder(_)) => return Err(Error::KeyMissing { path: key_file }),
            (None, Held::Nothing) => make_key(&key_file)?,
        };
        match held {
            Held::SealedUnder(check) if check != keys.check => Err(Error::KeyWrong { path: key_file }),
            Held::SealedUnder(_) | Held::Nothing => Ok(Self {
                keys: Arc::new(keys),
                reach: Reach { dirs, env_prefixes },
                key_created,
            }),
        }
    }

    /// Whether [`Vault::load`] made the key just now.
    pub fn key_created(&self) -> bool {
        self.key_created
    }

    /// A text that names the key and does not help to find it. The store keeps it beside the first secret that is
    /// sealed and hands it to [`Vault::load`] ever after.
    pub fn key_check(&self) -> &str {
        &self.keys.check
    }

    /// Seals a secret for storage. It opens only for the same owner and field.
    ///
    /// # Errors
    ///
    /// [`Error::Crypto`] where the system has no random numbers to give.
    pub fn seal(&self, owner: &str, field: &str, secret: &Secret) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::Crypto {
            action: "seal a secret",
        };
        let nonce = random::<NONCE_LEN>()?;
        let mut sealed = Vec::with_capacity(HEADER_LEN + secret.expose().len() + 16);
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.keys.id);
        sealed.extend_from_slice(&nonce);
        let mut text = Zeroizing::new(secret.expose().as_bytes().to_vec());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let key: &LessSafeKey = &self.keys.sealing;
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(bound_to(owner, field)), &mut text)
            .map_err(failed)?;
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what [`Vault::seal`] sealed for this owner and field.
    ///
    /// # Errors
    ///
    /// [`Error::Unsealable`] where it was sealed for another, under another key, or was altered.
    pub fn open(&self, owner: &str, field: &str, sealed: &[u8]) -> Result<Secret, Error> {
        let unsealable = || Error::Unsealable {
            owner: owner.to_owned(),
            field: field.to_owned(),
        };
        let (header, body) = sealed.split_at_checked(HEADER_LEN).ok_or_else(unsealable)?;
        let (version, header) = header.split_first().ok_or_else(unsealable)?;
        let (key_id, nonce) = header.split_at(KEY_ID_LEN);
        if *version != VERSION || key_id != self.keys.id {
            return Err(unsealable());
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unsealable())?;
        let mut body = Zeroizing::new(body.to_vec());
        let text = self
            .keys
            .sealing
            .open_in_place(nonce, Aad::from(bound_to(owner, field)), &mut body)
            .map_err(|_| unsealable())?;
        std::str::from_utf8(text)
            .map(Secret::from)
            .map_err(|_| unsealable())
    }

    /// A short text that changes when one of the owner's secrets changes, and says nothing else about them. The
    /// order of the secrets does not matter.
    pub fn fingerprint(&self, owner: &str, secrets: &[(&str, &Secret)]) -> String {
        let mut secrets = secrets.to_vec();
        secrets.sort_unstable_by_key(|(field, _)| *field);
        let mut context = hmac::Context::with_key(&self.keys.fingerprint);
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
        let stored = hmac::sign(&self.keys.fingerprint, stored.expose().as_bytes());
        hmac::verify(
            &self.keys.fingerprint,
            candidate.expose().as_bytes(),
            stored.as_ref(),
        )
        .is_ok()
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

fn make_key(path: &Path) -> Result<(Keys, bool), Error> {
    let created = file::create(path, key::generate()?.as_bytes())?;
    // What lies there now is read back: another engine that started at the same time may have been quicker.
    let bytes = file::read(path)?.ok_or_else(|| Error::KeyMissing {
        path: path.to_owned(),
    })?;
    Ok((Keys::parse(path, &bytes)?, created))
}

/// What a sealed secret is bound to, so that it opens in no other place.
fn bound_to(owner: &str, field: &str) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for part in [owner, field] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
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
