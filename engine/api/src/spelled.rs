//! Values that keep the spelling of their author: `"60m"` stays `"60m"` and still equals `"1h"`.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A value that can be written in several ways.
pub trait Spelling: Sized + PartialEq {
    /// The name of the form, shown in JSON Schema as `format` and used by the provider to compare by meaning.
    const FORMAT: &'static str;

    /// Reads the text.
    ///
    /// # Errors
    ///
    /// A sentence fragment that says what a good text looks like.
    fn parse(text: &str) -> Result<Self, String>;

    /// Writes the value in its shortest usual form.
    fn spell(&self) -> String;
}

/// A value and how it was written; equality is by value.
#[derive(Clone, Eq)]
pub struct Spelled<T> {
    text: String,
    value: T,
}

/// A length of time such as `15m`, `24h`, `1h30m` or `7d`.
pub type HumanDuration = Spelled<Duration>;

/// An instant in RFC 3339, such as `2026-01-31T00:00:00Z`.
pub type HumanInstant = Spelled<Timestamp>;

impl<T: Spelling + Copy> Spelled<T> {
    /// The value.
    pub fn get(&self) -> T {
        self.value
    }
}

impl<T: Spelling> Spelled<T> {
    /// The author's spelling.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<T: Spelling> From<T> for Spelled<T> {
    fn from(value: T) -> Self {
        Self {
            text: value.spell(),
            value,
        }
    }
}

impl<T: Spelling> FromStr for Spelled<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self {
            value: T::parse(text)?,
            text: text.to_owned(),
        })
    }
}

impl<T: PartialEq> PartialEq for Spelled<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> fmt::Debug for Spelled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<T> fmt::Display for Spelled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<T> Serialize for Spelled<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, T: Spelling> Deserialize<'de> for Spelled<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl<T: Spelling> JsonSchema for Spelled<T> {
    fn schema_name() -> Cow<'static, str> {
        T::FORMAT.into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": T::FORMAT })
    }
}

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

impl Spelling for Duration {
    const FORMAT: &'static str = "human-duration";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a duration: write a number and a unit (ms, s, m, h, d), such as `15m` or `1h30m`"
            )
        };
        let mut rest = text;
        let mut total = 0_u64;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_lowercase).count();
            let (unit, tail) = tail.split_at(letters);
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            total = number
                .checked_mul(*millis)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(|| format!("`{text}` is too long a duration"))?;
            rest = tail;
        }
        if text.is_empty() {
            Err(wrong())
        } else {
            Ok(Self::from_millis(total))
        }
    }

    fn spell(&self) -> String {
        let millis = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return "0s".to_owned();
        }
        // Days are left out: an operator who reads `24h` in a status need not wonder about time zones.
        let mut rest = millis;
        let mut text = String::new();
        for (unit, size) in UNITS.iter().rev().skip(1) {
            if rest >= *size {
                text += &(rest / size).to_string();
                text += unit;
                rest %= size;
            }
        }
        text
    }
}

impl Spelling for Timestamp {
    const FORMAT: &'static str = "date-time";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            format!(
                "`{text}` is not an instant: write RFC 3339 with an offset, such as `2026-01-31T00:00:00Z`"
            )
        })
    }

    fn spell(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> Result<u128, String> {
        HumanDuration::from_str(text).map(|duration| duration.get().as_millis())
    }

    #[test]
    fn durations_compare_by_meaning_and_keep_their_spelling() {
        let minutes: HumanDuration = "60m".parse().unwrap();
        assert_eq!(minutes, "1h".parse().unwrap());
        assert_eq!(serde_json::to_string(&minutes).unwrap(), "\"60m\"");
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        assert_eq!(millis("7d"), Ok(604_800_000));
    }

    #[test]
    fn a_bad_duration_says_what_a_good_one_is() {
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "5M",
            "1.5h",
            "99999999999999999999d",
            "99999999999999999d",
        ] {
            assert!(millis(text).is_err(), "{text}");
        }
        assert!(millis("5").unwrap_err().contains("`15m`"));
    }

    proptest! {
        #[test]
        fn a_duration_is_read_back_as_spelled(millis in 0..u64::MAX / 2) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(Duration::parse(&duration.spell()), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = Duration::parse(&text);
        }
    }
}
