//! Typed, prefixed ids: a source's id cannot be passed where a destination's is meant.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an id of this kind: expected `{prefix}` followed by 26 lower-case letters and digits"
)]
pub struct InvalidId {
    text: String,
    prefix: &'static str,
}

/// Crockford's alphabet in lower case: no letter that reads like a digit.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const ENCODED_LEN: usize = 26;

fn encode(bytes: [u8; 16], prefix: &str) -> String {
    let mut number = u128::from_be_bytes(bytes);
    let mut digits = [0_u8; ENCODED_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[usize::from((number & 31) as u8)];
        number >>= 5;
    }
    prefix
        .chars()
        .chain(digits.iter().map(|&digit| char::from(digit)))
        .collect()
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// Makes an id from sixteen bytes, random ones for an object that is new.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(encode(bytes, Self::PREFIX))
            }

            /// The id as it is written in the API, HCL and logs.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let digits = text.strip_prefix($prefix).filter(|digits| {
                    digits.len() == ENCODED_LEN && digits.bytes().all(|byte| ALPHABET.contains(&byte))
                });
                match digits {
                    Some(_) => Ok(Self(text.to_owned())),
                    None => Err(InvalidId { text: text.to_owned(), prefix: $prefix }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

typed_id!(
    /// One Zoom account that is collected from.
    SourceId,
    "src_"
);
typed_id!(
    /// Where events are written.
    DestinationId,
    "dst_"
);
typed_id!(
    /// Where alarms are sent.
    AlarmChannelId,
    "ach_"
);
typed_id!(
    /// An event that a destination refused for good, kept with its reason.
    DeadLetterId,
    "dl_"
);
typed_id!(
    /// Older days of a source that are collected behind the tail.
    BackfillId,
    "bf_"
);

typed_id!(
    /// A token for the engine's API.
    TokenId,
    "tok_"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_is_read_back_as_written(bytes: [u8; 16]) {
            let id = SourceId::from_bytes(bytes);
            prop_assert_eq!(id.as_str().parse::<SourceId>(), Ok(id.clone()));
            prop_assert!(id.as_str().parse::<DestinationId>().is_err());
        }

        #[test]
        fn different_bytes_are_different_ids(left: [u8; 16], right: [u8; 16]) {
            prop_assert_eq!(left == right, SourceId::from_bytes(left) == SourceId::from_bytes(right));
        }
    }
}
