//! A row: one item as Zoom sent it, its time, its identity.
//!
//! Rows have no id. Two rows are equal when the documented fields of their log type are equal, the time as an instant:
//! so a field that Zoom adds, or a time that it writes differently, does not make old rows new. Every field is
//! optional, unknown fields are kept in the bytes, and a row that is not even an object still has an identity: the
//! hash of its bytes.

use engine_api::{LogType, label::Labelled};
use jiff::Timestamp;
use twox_hash::XxHash3_64;

use super::{
    Day, Fields,
    fields::{ACTION, CATEGORY, DETAIL, OPERATOR},
    scan::Scanner,
};

/// Twelve bytes that stand for a row's documented fields.
///
/// Two different rows of one hash would be counted as twins, so even then both are kept: a collision loses nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowHash(pub [u8; 12]);

impl std::hash::Hash for RowHash {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // The bytes are spread evenly already; eight of them are enough for a table.
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        state.write_u64(u64::from_le_bytes(first));
    }
}

/// Four bytes that stand for a row's exact text: they tell apart rows that are equal in their documented fields only.
/// Where two of those share them, one of the texts may be delivered in the other's place, and none is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub [u8; 4]);

impl Mark {
    /// The mark of a row's text.
    pub fn of(text: &str) -> Self {
        let [a, b, c, d, ..] = XxHash3_64::oneshot(text.as_bytes()).to_le_bytes();
        Self([a, b, c, d])
    }
}

impl RowHash {
    /// The hash as a number, for sums that do not depend on an order.
    pub fn number(self) -> u128 {
        let mut bytes = [0; 16];
        bytes[..12].copy_from_slice(&self.0);
        u128::from_le_bytes(bytes)
    }
}

/// What the log of events keeps of each event for Zoom's six months: hash and mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Print {
    /// The row's canonical hash.
    pub hash: RowHash,
    /// The mark of the text that was delivered.
    pub mark: Mark,
}

impl Print {
    /// How many bytes it takes.
    pub const BYTES: usize = 16;

    /// The bytes that are stored.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..12].copy_from_slice(&self.hash.0);
        bytes[12..].copy_from_slice(&self.mark.0);
        bytes
    }

    /// Reads [`Self::to_bytes`].
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let (mut hash, mut mark) = ([0; 12], [0; 4]);
        hash.copy_from_slice(&bytes[..12]);
        mark.copy_from_slice(&bytes[12..]);
        Self {
            hash: RowHash(hash),
            mark: Mark(mark),
        }
    }
}

/// A row, borrowed from the page it came in.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// The row exactly as Zoom sent it: one JSON value.
    pub text: &'a str,
    /// Its canonical hash.
    pub hash: RowHash,
    /// The day it counts under.
    pub day: Day,
    /// Its own time, where it has one that can be read.
    pub time: Option<Timestamp>,
    fields: Fields,
}

impl<'a> Row<'a> {
    /// Reads a row; every JSON value is one.
    pub fn parse(log_type: LogType, text: &'a str) -> Self {
        // Where a row's fields are is counted from its first byte.
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        let mut scanner = Scanner::new(text);
        let fields = Fields::read(&mut scanner).filter(|_| scanner.is_at_end());
        Self::new(log_type, text, fields, &mut Vec::new())
    }

    /// The row of a text whose fields are known; `None` for those of a text that has no fields to trust. `canonical`
    /// is what is hashed: which fields there are, the length of each and its value.
    pub fn new(log_type: LogType, text: &'a str, fields: Option<Fields>, canonical: &mut Vec<u8>) -> Self {
        canonical.clear();
        canonical.extend_from_slice(b"row/3\0");
        let time = if let Some(fields) = &fields {
            fields.canonical(log_type, text, canonical)
        } else {
            canonical.push(b'?');
            canonical.extend_from_slice(text.as_bytes());
            None
        };
        let digest = blake3::hash(canonical);
        let mut hash = [0; 12];
        hash.copy_from_slice(&digest.as_bytes()[..12]);
        Self {
            text,
            hash: RowHash(hash),
            day: time.map_or(Day::UNDATED, Day::of),
            time,
            fields: fields.unwrap_or_default(),
        }
    }

    /// Where the value of its `operation_detail` begins in its text.
    pub fn detail_at(&self) -> Option<u32> {
        self.fields.detail_at()
    }

    /// What the log of events keeps of it.
    pub fn print(&self) -> Print {
        Print {
            hash: self.hash,
            mark: self.mark(),
        }
    }

    /// The mark of its exact text.
    pub fn mark(&self) -> Mark {
        Mark::of(self.text)
    }

    /// Calls `with` with the fields that label rules look at.
    pub fn labelled<T>(&self, with: impl FnOnce(&Labelled<'_>) -> T) -> T {
        let text = |number| self.fields.value(number, self.text).unwrap_or_default();
        with(&Labelled {
            category: &text(CATEGORY),
            action: &text(ACTION),
            detail: &text(DETAIL),
            operator: &text(OPERATOR),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn operation(text: &str) -> Row<'_> {
        Row::parse(LogType::Operation, text)
    }

    #[test]
    fn the_same_row_written_differently_is_the_same_row() {
        let plain = r#"{"time":"2024-05-01T10:00:00Z","operator":"a@b","category_type":"User","action":"Update","operation_detail":"x "}"#;
        for other in [
            r#"{"operator":"a@b","time":"2024-05-01T10:00:00Z","category_type":"User","action":"Update","operation_detail":"x "}"#,
            r#"{"time":"2024-05-01T10:00:00.000+00:00","operator":"a@b","category_type":"User","action":"Update","operation_detail":"x "}"#,
            r#"{"time":"2024-05-01T12:00:00+02:00","operator":"a@b","category_type":"User","action":"Update","operation_detail":"x "}"#,
            r#"{"time":"2024-05-01 10:00:00","operator":"a@b","category_type":"User","action":"Update","operation_detail":"x "}"#,
            r#"{"time":"2024-05-01 10:00:00Z","operator":"a@b","category_type":"User","action":"Update","operation_detail":"x\u0020"}"#,
            r#"{"time":"2024-05-01T10:00:00Z","operator":"a@b","category_type":"User","action":"Update","operation_detail":"x ","added":{"by":"zoom"}}"#,
        ] {
            assert_eq!(operation(plain).hash, operation(other).hash, "{other}");
            assert_eq!(operation(plain).day, operation(other).day, "{other}");
        }
    }

    #[test]
    fn every_documented_field_counts() {
        let base = r#"{"time":"2024-05-01T10:00:00Z","operator":"a","category_type":"b","action":"c","operation_detail":"d"}"#;
        for (from, to) in [
            ("00Z", "01Z"),
            ("\"a\"", "\"A\""),
            ("\"b\"", "null"),
            ("\"c\"", "\"\""),
            ("\"d\"", "\"d \""),
        ] {
            assert_ne!(
                operation(base).hash,
                operation(&base.replace(from, to)).hash,
                "{from} -> {to}"
            );
        }
    }

    #[test]
    fn a_row_without_a_time_is_undated_and_has_an_identity() {
        for text in [
            "{}",
            r#"{"time":"soon"}"#,
            r#"{"time":null}"#,
            "[]",
            "\"row\"",
            "7",
            "null",
        ] {
            assert_eq!(operation(text).day, Day::UNDATED, "{text}");
        }
        assert_ne!(
            operation(r#"{"time":"soon"}"#).hash,
            operation(r#"{"time":"later"}"#).hash
        );
        assert_ne!(operation("[1]").hash, operation("[2]").hash);
    }

    proptest! {
        #[test]
        fn any_json_is_a_row(text in "[\\{\\}\\[\\]\":,a-z0-9]{0,40}") {
            let _ = operation(&text);
        }
    }
}
