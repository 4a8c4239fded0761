//! The master keys at hand: where they are read, which one seals, and how one is added.
//!
//! One key seals and all open. A rotation has two of them side by side; what meets a key that is not at hand reads the
//! place again, so that a key which was added while the engine runs is found.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use engine_api::Secret;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::{
    Error, Sealed, file,
    key::{self, KeyId, Keys, generate_key},
};

/// Where the master keys are.
#[derive(Debug, Clone)]
pub enum KeyFrom {
    /// A file of the engine's own: made where there is none, and a rotation adds its new key to it.
    File(PathBuf),
    /// A file that somebody else provides, such as a systemd credential or a mounted secret: only read.
    Provided(PathBuf),
    /// A text, such as the value of a variable; it stays what it was when the engine started.
    Text {
        /// Where it came from, as words in a sentence.
        place: String,
        /// The text.
        text: Secret,
    },
}

impl KeyFrom {
    /// The place as words in a sentence.
    pub fn place(&self) -> String {
        match self {
            Self::File(path) | Self::Provided(path) => path.display().to_string(),
            Self::Text { place, .. } => place.clone(),
        }
    }

    fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        match self {
            Self::File(path) => file::read(path),
            Self::Provided(path) => file::read_provided(path),
            Self::Text { text, .. } if text.is_empty() => Ok(None),
            Self::Text { text, .. } => Ok(Some(Zeroizing::new(text.expose().as_bytes().to_vec()))),
        }
    }

    fn keys(&self) -> Result<Option<Vec<Arc<Keys>>>, Error> {
        let Some(bytes) = self.read()? else {
            return Ok(None);
        };
        let raw = !matches!(self, Self::Text { .. });
        let keys = key::parse(&bytes, raw).ok_or_else(|| Error::KeyMalformed { place: self.place() })?;
        Ok(Some(keys.into_iter().map(Arc::new).collect()))
    }
}

pub(super) struct Keyring {
    from: KeyFrom,
    held: RwLock<Hand>,
}

struct Hand {
    keys: Vec<Arc<Keys>>,
    sealing: Arc<Keys>,
}

impl Keyring {
    /// Reads the keys, and makes one where there is none and nothing is sealed. Also answers whether it was made.
    pub(super) fn load(from: KeyFrom, sealed: Option<Sealed<'_>>) -> Result<(Self, bool), Error> {
        let missing = |sealed: Option<Sealed<'_>>| Error::KeyMissing {
            place: from.place(),
            key: sealed.map(|sealed| name(sealed.active)).unwrap_or_default(),
        };
        let (keys, created) = match (from.keys()?, sealed, &from) {
            (Some(keys), ..) => (keys, false),
            (None, None, KeyFrom::File(path)) => {
                let created = file::create(path, line(&generate_key()?).as_bytes())?;
                // What lies there now is read back: another engine that started at the same time may have been quicker.
                (from.keys()?.ok_or_else(|| missing(None))?, created)
            }
            (None, None, _) => return Err(Error::KeyNotProvided { place: from.place() }),
            (None, Some(_), _) => return Err(missing(sealed)),
        };
        let sealing = match sealed {
            None => keys.first().cloned().ok_or_else(|| missing(None))?,
            Some(sealed) => choose(&keys, sealed).map_err(|key| Error::KeyWrong {
                place: from.place(),
                key,
            })?,
        };
        let held = RwLock::new(Hand { keys, sealing });
        Ok((Self { from, held }, created))
    }

    pub(super) fn sealing(&self) -> Arc<Keys> {
        Arc::clone(&self.hand().sealing)
    }

    /// The key with this id, read again from its place where it is not at hand.
    pub(super) fn find(&self, id: KeyId) -> Option<Arc<Keys>> {
        let at_hand = |ring: &Self| ring.hand().keys.iter().find(|keys| keys.id == id).cloned();
        at_hand(self).or_else(|| {
            self.read_again();
            at_hand(self)
        })
    }

    /// The key with this check value, as far as it is at hand.
    pub(super) fn find_check(&self, check: &str) -> Option<Arc<Keys>> {
        self.hand().keys.iter().find(|keys| keys.check == check).cloned()
    }

    pub(super) fn place(&self) -> String {
        self.from.place()
    }

    /// The check values of all keys at hand.
    pub(super) fn checks(&self) -> Vec<String> {
        self.hand().keys.iter().map(|keys| keys.check.clone()).collect()
    }

    /// Seals from now on with the key that the store has turned to.
    pub(super) fn follow(&self, sealed: Sealed<'_>) -> Result<(), Error> {
        let chosen = |ring: &Self| choose(&ring.hand().keys, sealed);
        let sealing = chosen(self).or_else(|_| {
            self.read_again();
            chosen(self)
        });
        let sealing = sealing.map_err(|key| Error::KeyNotHeld {
            place: self.from.place(),
            key,
        })?;
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if held.sealing.check != sealing.check {
            info!(
                key = name(&sealing.check),
                "secrets are sealed with another master key from now on"
            );
            held.sealing = sealing;
        }
        Ok(())
    }

    /// Adds a new key to the file, beside those that are in it. Answers its check value.
    pub(super) fn add_key(&self) -> Result<String, Error> {
        let KeyFrom::File(path) = &self.from else {
            return Err(Error::KeyNotAdded {
                place: self.from.place(),
            });
        };
        let before = file::read(path)?.ok_or_else(|| Error::KeyMissing {
            place: self.from.place(),
            key: String::new(),
        })?;
        let new = generate_key()?;
        let added = key::parse(new.expose().as_bytes(), false)
            .and_then(|keys| keys.into_iter().next())
            .ok_or(Error::Crypto {
                action: "derive keys",
            })?;
        let mut text = Zeroizing::new(String::with_capacity(before.len() * 2 + 128));
        match std::str::from_utf8(&before) {
            Ok(lines) if before.len() != key::KEY_LEN => {
                text.push_str(lines.trim_end());
                text.push('\n');
            }
            // A raw key has no room for a second one beside it.
            _ => text.push_str(&key::in_base64(&before)),
        }
        text.push_str(&line(&new));
        file::replace(path, text.as_bytes())?;
        self.read_again();
        Ok(added.check)
    }

    fn read_again(&self) {
        if matches!(self.from, KeyFrom::Text { .. }) {
            return;
        }
        match self.from.keys() {
            Ok(Some(keys)) => self.held.write().unwrap_or_else(PoisonError::into_inner).keys = keys,
            // What is at hand goes on; whoever needs more is told what is missing.
            Ok(None) => warn!(place = self.from.place(), "the master key is not there any more"),
            Err(error) => warn!(%error, "the master keys cannot be read again"),
        }
    }

    fn hand(&self) -> std::sync::RwLockReadGuard<'_, Hand> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key to seal with, where all that the store needs are at hand; else the name of the one that is not.
fn choose(keys: &[Arc<Keys>], sealed: Sealed<'_>) -> Result<Arc<Keys>, String> {
    let held = |check: &str| {
        let found = keys.iter().find(|keys| keys.check == check);
        found.cloned().ok_or_else(|| name(check))
    };
    let active = held(sealed.active)?;
    sealed.next.map_or(Ok(active), held)
}

/// How a key is called in front of people: enough of its check value to tell it from others.
pub fn name(check: &str) -> String {
    check.chars().take(2 * key::KEY_ID_LEN).collect()
}

/// A key as it stands in a file, with its name for whoever removes it one day.
fn line(key: &Secret) -> Zeroizing<String> {
    let name = key::parse(key.expose().as_bytes(), false)
        .and_then(|keys| keys.first().map(|keys| name(&keys.check)))
        .unwrap_or_default();
    Zeroizing::new(format!("{} # {name}\n", key.expose()))
}
