//! A text that must not be seen (law L8).

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

/// A secret value: read from a request or a file, never written back.
///
/// It has no `Display` and no `Serialize`, its `Debug` is redacted, and its memory is wiped when it is dropped.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(from = "String")]
#[schemars(with = "String")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The value itself; only where it is sent, sealed or hashed.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty, which in a request means "remove what is stored".
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_value() {
        assert_eq!(format!("{:?}", Secret::from("marker")), "Secret(redacted)");
    }
}
