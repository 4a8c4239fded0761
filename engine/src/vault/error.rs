//! Why a secret cannot be had, and what to do about it. No text holds a secret.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store holds sealed secrets, and there is no key. Bring it back.
    #[error(
        "there is no master key in {place}, but the store holds secrets that were sealed with the key {key}: bring that key back, or set `vault.key` or `vault.key_file` to where it is; a new key would make them unreadable, so none is made"
    )]
    KeyMissing {
        /// Where the key was looked for.
        place: String,
        /// Which one is needed.
        key: String,
    },
    /// The key is not one that the store's secrets need. Bring the right one.
    #[error(
        "the store holds secrets that need the master key {key}, which is not in {place}: bring that key back, or set `vault.key` or `vault.key_file` to where it is"
    )]
    KeyWrong {
        /// Where keys were read.
        place: String,
        /// Which one is needed.
        key: String,
    },
    /// The place for a key, which the engine may not write to, holds none.
    #[error("there is no master key in {place}: put one there, as `zoom-log-engine key generate` prints it")]
    KeyNotProvided {
        /// Where the key was looked for.
        place: String,
    },
    /// A key cannot be added where somebody else provides the keys.
    #[error(
        "{place} holds no key beside the one in use, and a new one cannot be written there: add one, as `zoom-log-engine key generate` prints it, let every engine have both, and begin again"
    )]
    KeyNotAdded {
        /// Where the keys are.
        place: String,
    },
    /// The store turned to a key while this process runs that it does not have. Nothing was changed; try again once it
    /// has.
    #[error(
        "the secrets are being sealed with the master key {key}, which is not in {place}: put it there beside the others, and start this engine again where it cannot read the place by itself"
    )]
    KeyNotHeld {
        /// Where keys were read.
        place: String,
        /// Which one is needed.
        key: String,
    },
    /// What should hold master keys holds something else. Restore it.
    #[error(
        "{place} does not hold master keys (32 bytes each in base64, one a line): restore it from a copy"
    )]
    KeyMalformed {
        /// Where keys were read.
        place: String,
    },
    /// A token file holds something else. Correct or remove the file.
    #[error("{} is not {expected}: correct the file, or remove it to have the engine make a new one", .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What it must hold.
        expected: &'static str,
    },
    /// A file cannot be read or made. Correct its permissions or its path.
    #[error("failed to {action} {}: {cause}", .path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why it failed.
        cause: io::Error,
    },
    /// A sealed secret does not open. The row was changed, or belongs to another object or key.
    #[error(
        "the stored secret `{field}` of `{owner}` does not open: it was sealed with another key or was altered; set the secret again"
    )]
    Unsealable {
        /// Whose secret.
        owner: String,
        /// Which one.
        field: String,
    },
    /// A reference that is none. Correct the spec.
    #[error("`{reference}` is not a reference to a secret: write `file:/absolute/path` or `env:NAME`")]
    ReferenceMalformed {
        /// What was written.
        reference: String,
    },
    /// A reference to what the engine's configuration does not open. Change one of the two.
    #[error("the engine may not read `{reference}`: {setting} names {}", allowed_text(.allowed))]
    ReferenceForbidden {
        /// What was written.
        reference: String,
        /// The setting that decides.
        setting: &'static str,
        /// What it allows now.
        allowed: Vec<String>,
    },
    /// A reference that may be read and cannot be. Put the secret there.
    #[error("the secret at `{reference}` cannot be read: {cause}")]
    ReferenceUnreadable {
        /// What was written.
        reference: String,
        /// Why.
        cause: String,
    },
    /// The system gave no random numbers, or an input is beyond what the ciphers take.
    #[error("the system's cryptography failed to {action}")]
    Crypto {
        /// What was tried.
        action: &'static str,
    },
}

impl Error {
    pub(super) fn file(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::File {
            action,
            path: path.to_owned(),
            cause,
        }
    }
}

fn allowed_text(allowed: &[String]) -> String {
    if allowed.is_empty() {
        return "nothing, so add what is meant to it in the engine's configuration".to_owned();
    }
    let allowed: Vec<_> = allowed.iter().map(|entry| format!("`{entry}`")).collect();
    format!("only {}", allowed.join(", "))
}
