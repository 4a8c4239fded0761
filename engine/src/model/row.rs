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

/// Sixteen bytes that stand for a row's documented fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowHash(pub [u8; 16]);

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

impl<'a> Row<'a> {
    /// Reads a row; every JSON value is one.
    pub fn parse(log_type: LogType, text: &'a str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"zoom-log-row/1\0");
        // An array also deserialises into a struct, field by field; only an object has names to trust.
        let fields = Some(text)
            .filter(|text| text.starts_with('{'))
            .and_then(|text| serde_json::from_str(text).ok());
        let (fields, time) = match fields {
            None => {
                hasher.update(b"?");
                hasher.update(text.as_bytes());
                (Fields::default(), None)
            }
            Some(fields) => {
                let fields: Fields<'_> = fields;
                let written = value_text(fields.time);
                let time = written.as_deref().and_then(parse_time);
                match (time, &written) {
                    (Some(time), _) => {
                        hasher.update(b"t");
                        hasher.update(&time.as_nanosecond().to_le_bytes());
                    }
                    (None, written) => hash_field(&mut hasher, written.as_deref()),
                }
                let documented: &[Option<&RawValue>] = match log_type {
                    LogType::Operation => &[
                        fields.operator,
                        fields.category_type,
                        fields.action,
                        fields.operation_detail,
                    ],
                    LogType::Activity => &[
                        fields.email,
                        fields.kind,
                        fields.ip_address,
                        fields.client_type,
                        fields.version,
                    ],
                };
                for field in documented {
                    hash_field(&mut hasher, value_text(*field).as_deref());
                }
                (fields, time)
            }
        };
        let mut hash = [0; 16];
        hasher.finalize_xof().fill(&mut hash);
        Self {
            text,
            hash: RowHash(hash),
            day: time.map_or(Day::UNDATED, Day::of),
            time,
            fields,
        }
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

fn hash_field(hasher: &mut blake3::Hasher, value: Option<&str>) {
    match value {
        None => {
            hasher.update(b"-");
        }
        Some(value) => {
            hasher.update(b"=");
            hasher.update(&(value.len() as u64).to_le_bytes());
            hasher.update(value.as_bytes());
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
