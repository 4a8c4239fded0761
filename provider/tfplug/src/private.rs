//! Private state: what a provider remembers of a resource beside its attributes.
//!
//! It stands in the state file in clear, is shown nowhere, and is handed from operation to operation. It is no place
//! for secrets.
//!
//! ```
//! use tfplug::private::{Key, Private};
//!
//! const TRIES: Key<u32> = Key::new("tries");
//!
//! let mut private = Private::default();
//! private.set(&TRIES, &3);
//! assert_eq!(private.get(&TRIES), Some(3));
//! ```

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// The name under which something of type `T` is remembered.
///
/// The type may grow over versions of the provider as serde allows; what can no longer be read counts as not there.
pub struct Key<T> {
    name: &'static str,
    kind: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// Returns the key of that name. Names that begin with a dot are the library's own.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            kind: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.name)
    }
}

/// What is remembered, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Private {
    /// Each entry as JSON.
    entries: BTreeMap<String, String>,
}

impl Private {
    /// Reads what an earlier operation wrote. What something else wrote is taken as nothing, since it means nothing
    /// here.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let entries: BTreeMap<String, &RawValue> = serde_json::from_slice(bytes).unwrap_or_default();
        Self {
            entries: entries
                .into_iter()
                .map(|(name, raw)| (name, raw.get().to_owned()))
                .collect(),
        }
    }

    /// Writes it for the next operation; nothing where there is nothing.
    pub(crate) fn write(&self) -> Vec<u8> {
        let raw: BTreeMap<&str, &RawValue> = self
            .entries
            .iter()
            .filter_map(|(name, json)| Some((name.as_str(), serde_json::from_str(json).ok()?)))
            .collect();
        if raw.is_empty() {
            Vec::new()
        } else {
            serde_json::to_vec(&raw).unwrap_or_default()
        }
    }

    /// Writes it for the next operation; as it came where nothing has changed, whoever wrote it.
    pub(crate) fn write_after(&self, before: &[u8]) -> Vec<u8> {
        if *self == Self::read(before) {
            before.to_vec()
        } else {
            self.write()
        }
    }

    /// Returns what is remembered under a key, if it is of the key's type.
    pub fn get<T: DeserializeOwned>(&self, key: &Key<T>) -> Option<T> {
        serde_json::from_str(self.entries.get(key.name)?).ok()
    }

    /// Remembers something. What cannot be written as JSON, such as a map with keys that are no text, is forgotten.
    pub fn set<T: Serialize>(&mut self, key: &Key<T>, value: &T) {
        match serde_json::to_string(value) {
            Ok(json) => self.entries.insert(key.name.to_owned(), json),
            Err(_) => self.entries.remove(key.name),
        };
    }

    /// Forgets what is remembered under a key.
    pub fn remove<T>(&mut self, key: &Key<T>) {
        self.entries.remove(key.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Key<String> = Key::new("text");
    const PAIR: Key<(u8, u64)> = Key::new("pair");

    #[test]
    fn what_is_written_is_read_and_anything_else_is_nothing() {
        let mut private = Private::default();
        assert!(private.write().is_empty());
        private.set(&TEXT, &"1".to_owned());
        private.set(&PAIR, &(1, u64::MAX));
        let again = Private::read(&private.write());
        assert_eq!(again, private);
        assert_eq!(again.get(&PAIR), Some((1, u64::MAX)));
        private.remove(&TEXT);
        assert_eq!(private.get(&TEXT), None);
        assert_eq!(Private::read(b"\xff not json"), Private::default());
        assert_eq!(Private::read(b"[1]"), Private::default());
    }

    #[test]
    fn a_value_of_another_type_is_not_there_and_still_kept() {
        let private = Private::read(br#"{"text":{"since":"v2"},"other":[1]}"#);
        assert_eq!(private.get(&TEXT), None);
        assert_eq!(
            String::from_utf8(private.write()).unwrap(),
            r#"{"other":[1],"text":{"since":"v2"}}"#
        );
    }
}
