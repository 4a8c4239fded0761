//! Private state: what a provider remembers of a resource beside its attributes.
//!
//! It stands in the state file in clear, is shown nowhere, and is handed from operation to operation. It is no place
//! for secrets.

use std::collections::BTreeMap;

/// Texts by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Private {
    entries: BTreeMap<String, String>,
}

impl Private {
    /// Reads what an earlier operation wrote. What something else wrote is taken as nothing, since it means nothing
    /// here.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        Self {
            entries: serde_json::from_slice(bytes).unwrap_or_default(),
        }
    }

    /// Writes it for the next operation; nothing where there is nothing.
    pub(crate) fn write(&self) -> Vec<u8> {
        if self.entries.is_empty() {
            Vec::new()
        } else {
            serde_json::to_vec(&self.entries).unwrap_or_default()
        }
    }

    /// Returns the text under a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(String::as_str)
    }

    /// Sets the text under a key, or takes it away.
    pub fn set(&mut self, key: &str, text: Option<&str>) {
        match text {
            Some(text) => self.entries.insert(key.to_owned(), text.to_owned()),
            None => self.entries.remove(key),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_nothing() {
        let mut private = Private::default();
        assert!(private.write().is_empty());
        private.set("a", Some("1"));
        private.set("b", Some("2"));
        private.set("a", None);
        assert_eq!(Private::read(&private.write()), private);
        assert_eq!(Private::read(b"\xff not json"), Private::default());
        assert_eq!(Private::read(br#"{"a": 1}"#), Private::default());
    }
}
