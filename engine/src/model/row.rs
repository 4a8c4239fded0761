//! A row: one item as Zoom sent it, its time, its identity.
//!
//! Rows have no id. Two rows are equal when the documented fields of their log type are equal, the time as an instant:
//! so a field that Zoom adds, or a time that it writes differently, does not make old rows new. Every field is
//! optional, unknown fields are kept in the bytes, and a row that is not even an object still has an identity: the
//! hash of its bytes.

use std::borrow::Cow;

use engine_api::{LogType, label::Labelled};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Day;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub [u8; 4]);

impl Mark {
    /// The mark of a row's text.
    pub fn of(text: &str) -> Self {
        let digest = blake3::hash(text.as_bytes());
        let [a, b, c, d, ..] = *digest.as_bytes();
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
    fields: Fields<'a>,
}

/// The documented fields of both reports. Whatever is not there, or not a text, is still hashed as it is.
#[derive(Debug, Clone, Default, Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    operator: Option<&'a RawValue>,
    #[serde(borrow, default)]
    category_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    action: Option<&'a RawValue>,
    #[serde(borrow, default)]
    operation_detail: Option<&'a RawValue>,
    #[serde(borrow, default)]
    email: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ip_address: Option<&'a RawValue>,
    #[serde(borrow, default)]
    client_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    version: Option<&'a RawValue>,
}

impl Fields<'_> {
    /// Appends the documented fields of a log type to what is hashed; answers the row's time.
    fn hash(&self, log_type: LogType, canonical: &mut Vec<u8>) -> Option<Timestamp> {
        let written = value_text(self.time);
        let time = written.as_deref().and_then(parse_time);
        match time {
            Some(time) => {
                canonical.push(b't');
                canonical.extend(time.as_nanosecond().to_le_bytes());
            }
            None => hash_field(canonical, written.as_deref()),
        }
        let documented: &[Option<&RawValue>] = match log_type {
            LogType::Operation => &[
                self.operator,
                self.category_type,
                self.action,
                self.operation_detail,
            ],
            LogType::Activity => &[
                self.email,
                self.kind,
                self.ip_address,
                self.client_type,
                self.version,
            ],
        };
        for field in documented {
            hash_field(canonical, value_text(*field).as_deref());
        }
        time
    }
}

impl<'a> Row<'a> {
    /// Reads a row; every JSON value is one.
    pub fn parse(log_type: LogType, text: &'a str) -> Self {
        // What is hashed: which fields there are, the length of each and its value.
        let mut canonical = Vec::with_capacity(text.len() + 64);
        canonical.extend(b"zoom-log-row/2\0");
        // An array also deserialises into a struct, field by field; only an object has names to trust.
        let fields = Some(text)
            .filter(|text| text.starts_with('{'))
            .and_then(|text| serde_json::from_str(text).ok());
        let (fields, time) = match fields {
            None => {
                canonical.push(b'?');
                canonical.extend(text.as_bytes());
                (Fields::default(), None)
            }
            Some(fields) => {
                let fields: Fields<'_> = fields;
                let time = fields.hash(log_type, &mut canonical);
                (fields, time)
            }
        };
        let digest = blake3::hash(&canonical);
        let mut hash = [0; 12];
        hash.copy_from_slice(&digest.as_bytes()[..12]);
        Self {
            text,
            hash: RowHash(hash),
            day: time.map_or(Day::UNDATED, Day::of),
            time,
            fields,
        }
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
        let text = |field| value_text(field).unwrap_or_default();
        let (category, action) = (text(self.fields.category_type), text(self.fields.action));
        let (detail, operator) = (text(self.fields.operation_detail), text(self.fields.operator));
        with(&Labelled {
            category: &category,
            action: &action,
            detail: &detail,
            operator: &operator,
        })
    }
}

/// A field's value: a text without its quotes and escapes, anything else as it is written; `null` is absent.
fn value_text(value: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let raw = value?.get();
    match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        Some(_) => serde_json::from_str(raw)
            .ok()
            .map(Cow::Owned)
            .or(Some(Cow::Borrowed(raw))),
        None => (raw != "null").then_some(Cow::Borrowed(raw)),
    }
}

fn hash_field(canonical: &mut Vec<u8>, value: Option<&str>) {
    match value {
        None => canonical.push(b'-'),
        Some(value) => {
            canonical.push(b'=');
            canonical.extend((value.len() as u64).to_le_bytes());
            canonical.extend(value.as_bytes());
        }
    }
}

/// Reads a time in the forms that Zoom has been seen to use: RFC 3339 with or without a fraction or an offset, and
/// `yyyy-mm-dd hh:mm:ss`; without an offset it is UTC.
fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.strip_suffix(" UTC").unwrap_or(text).parse().ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
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
