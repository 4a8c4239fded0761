//! All the secrets that an object can use, wherever they come from.

use std::collections::BTreeMap;

use engine_api::{Code, Secret, Spec};

use super::{Error, Vault};

/// An object's secrets by their field.
pub type Opened = BTreeMap<&'static str, Secret>;

impl Vault {
    /// Opens the sealed secrets of an object, and reads those that its spec refers to.
    ///
    /// References are read at each call, so that a secret which was replaced there is used from the next call on. A
    /// field with neither is left out.
    ///
    /// # Errors
    ///
    /// The first one that a secret meets; [`Error::code`] says under which code it is shown.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind when the future is dropped.
    pub async fn secrets_of<'a, S: Spec>(
        &self,
        owner: &str,
        spec: &S,
        sealed: impl IntoIterator<Item = (&'a str, &'a [u8])> + Send,
    ) -> Result<Opened, Error> {
        let sealed: BTreeMap<&str, &[u8]> = sealed.into_iter().collect();
        let mut opened = Opened::new();
        for field in spec.secrets() {
            let secret = match (field.reference, sealed.get(field.field)) {
                (Some(reference), _) => self.resolve_ref(reference).await?,
                (None, Some(sealed)) => self.open(owner, field.field, sealed)?,
                (None, None) => continue,
            };
            opened.insert(field.field, secret);
        }
        Ok(opened)
    }
}

impl Error {
    /// The code under which users are shown the error.
    pub fn code(&self) -> Code {
        match self {
            Self::ReferenceForbidden { .. } | Self::ReferenceMalformed { .. } => Code::SecretRefRefused,
            Self::ReferenceUnreadable { .. } => Code::SecretRefUnreadable,
            Self::Unsealable { .. } => Code::MissingSecret,
            Self::KeyNotHeld { .. } => Code::StoreUnavailable,
            Self::KeyMissing { .. }
            | Self::KeyWrong { .. }
            | Self::KeyNotProvided { .. }
            | Self::KeyNotAdded { .. }
            | Self::KeyMalformed { .. }
            | Self::Malformed { .. }
            | Self::File { .. }
            | Self::Crypto { .. } => Code::Internal,
        }
    }
}
