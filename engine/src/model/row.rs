//! A row: one item as Zoom sent it, its time, its identity.
//!
//! Rows have no id. Two rows are equal when the documented fields of their log type are equal, the time as an instant:
//! so a field that Zoom adds, or a time that it writes differently, does not make old rows new. Every field is
//! optional, unknown fields are kept in the bytes, and a row that is not even an object still has an identity: the
//! hash of its bytes.

use std::{borrow::Cow, ops::Range};

use engine_api::{LogType, label::Labelled};
use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};

use twox_hash::XxHash3_64;

use super::{
    Day,
    scan::{self, Scanner},
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
    fields: Fields<'a>,
}

/// The documented fields of both reports, as they are written; `null` is absent. Whatever is not a text is still
/// hashed as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fields<'a>(pub [Option<&'a str>; Fields::COUNT]);

const TIME: usize = 0;
const OPERATOR: usize = 1;
const CATEGORY: usize = 2;
const ACTION: usize = 3;
const DETAIL: usize = 4;
const ACTIVITY: Range<usize> = 5..Fields::COUNT;

impl<'a> Fields<'a> {
    /// How many there are.
    pub const COUNT: usize = 10;

    fn place(name: &str) -> Option<usize> {
        Some(match name {
            "time" => TIME,
            "operator" => OPERATOR,
            "category_type" => CATEGORY,
            "action" => ACTION,
            "operation_detail" => DETAIL,
            "email" => 5,
            "type" => 6,
            "ip_address" => 7,
            "client_type" => 8,
            "version" => 9,
            _ => return None,
        })
    }

    /// Reads an object; `None` where it is none, or names a documented field twice.
    pub fn read(scanner: &mut Scanner<'a>) -> Option<Self> {
        let mut fields = Self::default();
        let mut seen = [false; Self::COUNT];
        scanner.object(|name, scanner| {
            let value = scanner.value()?;
            if let Some(place) = Self::place(name) {
                if std::mem::replace(&mut seen[place], true) {
                    return None;
                }
                fields.0[place] = Some(value).filter(|value| *value != "null");
            }
            Some(())
        })?;
        Some(fields)
    }

    /// The field `operation_detail`.
    pub fn detail(&self) -> Option<&'a str> {
        self.0[DETAIL]
    }

    /// Appends the documented fields of a log type to what is hashed; answers the row's time.
    fn canonical(&self, log_type: LogType, canonical: &mut Vec<u8>) -> Option<Timestamp> {
        let written = self.0[TIME].map(value_text);
        let time = written.as_deref().and_then(parse_time);
        match time {
            Some(time) => {
                canonical.push(b't');
                canonical.extend(time.as_second().to_le_bytes());
                canonical.extend(time.subsec_nanosecond().to_le_bytes());
            }
            None => hash_field(canonical, written.as_deref()),
        }
        let documented = match log_type {
            LogType::Operation => OPERATOR..DETAIL + 1,
            LogType::Activity => ACTIVITY,
        };
        for field in &self.0[documented] {
            hash_field(canonical, field.map(value_text).as_deref());
        }
        time
    }
}

impl<'a> Row<'a> {
    /// Reads a row; every JSON value is one.
    pub fn parse(log_type: LogType, text: &'a str) -> Self {
        let mut scanner = Scanner::new(text);
        let fields = Fields::read(&mut scanner).filter(|_| scanner.is_at_end());
        Self::new(log_type, text, fields, &mut Vec::new())
    }

    /// The row of a text whose fields are known; `None` for those of a text that has no fields to trust. `canonical`
    /// is what is hashed: which fields there are, the length of each and its value.
    pub fn new(
        log_type: LogType,
        text: &'a str,
        fields: Option<Fields<'a>>,
        canonical: &mut Vec<u8>,
    ) -> Self {
        canonical.clear();
        canonical.extend(b"row/3\0");
        let time = if let Some(fields) = &fields {
            fields.canonical(log_type, canonical)
        } else {
            canonical.push(b'?');
            canonical.extend(text.as_bytes());
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
        let text = |field: usize| self.fields.0[field].map(value_text).unwrap_or_default();
        with(&Labelled {
            category: &text(CATEGORY),
            action: &text(ACTION),
            detail: &text(DETAIL),
            operator: &text(OPERATOR),
        })
    }
}

/// A field's value: a text without its quotes and escapes, anything else as it is written.
fn value_text(raw: &str) -> Cow<'_, str> {
    scan::unquote(raw).unwrap_or(Cow::Borrowed(raw))
}

fn hash_field(canonical: &mut Vec<u8>, value: Option<&str>) {
    match value {
        None => canonical.push(b'-'),
        Some(value) => {
            canonical.push(b'=');
            // No page is as large as four GiB.
            canonical.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
            canonical.extend(value.as_bytes());
        }
    }
}

/// Reads a time in the forms that Zoom has been seen to use: RFC 3339 with or without a fraction or an offset, and
/// `yyyy-mm-dd hh:mm:ss`; without an offset it is UTC.
fn parse_time(text: &str) -> Option<Timestamp> {
    if let Some(time) = usual_time(text.as_bytes()) {
        return Some(time);
    }
    let text = text.trim();
    text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.strip_suffix(" UTC").unwrap_or(text).parse().ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

/// The form that nearly all rows have: `yyyy-mm-ddThh:mm:ssZ`.
fn usual_time(text: &[u8]) -> Option<Timestamp> {
    const FORM: &[u8; 20] = b"0000-00-00T00:00:00Z";

    let text: &[u8; 20] = text.try_into().ok()?;
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte == form,
    };
    if !text.iter().zip(FORM).all(fits) {
        return None;
    }
    let two = |at: usize| ((text[at] - b'0') * 10 + (text[at + 1] - b'0')).cast_signed();
    let year = i16::from(two(0)) * 100 + i16::from(two(2));
    let civil = DateTime::new(year, two(5), two(8), two(11), two(14), two(17), 0);
    Offset::UTC.to_timestamp(civil.ok()?).ok()
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
        fn the_usual_form_of_a_time_is_read_as_any_other(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]Z",
        ) {
            let fast = usual_time(text.as_bytes());
            let slow: Option<Timestamp> = text.parse().ok();
            // A leap second is left to whoever reads all forms.
            prop_assert!(fast == slow || fast.is_none() && text.ends_with(":60Z"), "{text}: {fast:?} {slow:?}");
        }

        #[test]
        fn any_json_is_a_row(text in "[\\{\\}\\[\\]\":,a-z0-9]{0,40}") {
            let _ = operation(&text);
        }
    }
}
