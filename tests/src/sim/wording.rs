//! How rows are written: from one moment on, Zoom may add a member to every row, or spell its times another way.
//!
//! The ledger keeps rows as they were added; what is shown is written here, and can be read back to the ledger's text.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How a time is spelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeForm {
    #[default]
    AsAdded,
    /// `2026-01-31T09:30:00.0000000+00:00`
    Fraction,
    /// `2026-01-31T09:30:00+00:00`
    Offset,
    /// `2026-01-31 09:30:00`
    Spaced,
}

/// How every row is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wording {
    /// A member that every row ends with, as JSON has it: `"tenant":"x"`.
    pub added_member: Option<String>,
    pub times: TimeForm,
}

const TIME: &str = "\"time\":\"";
/// As Zoom writes it: `2026-01-31T09:30:00Z`.
const PLAIN_LEN: usize = 20;

impl TimeForm {
    /// Spells a time that is written as Zoom does.
    fn spell(self, plain: &str) -> String {
        let (day, rest) = plain.split_at(10);
        let time = &rest[1..9];
        match self {
            Self::AsAdded => plain.to_owned(),
            Self::Fraction => format!("{day}T{time}.0000000+00:00"),
            Self::Offset => format!("{day}T{time}+00:00"),
            Self::Spaced => format!("{day} {time}"),
        }
    }
}

impl Wording {
    /// Writes a row as it is shown.
    pub fn write<'a>(&self, row: &'a str) -> Cow<'a, str> {
        let mut shown = Cow::Borrowed(row);
        if self.times != TimeForm::AsAdded
            && let Some((before, plain, after)) = time(row)
            && plain.len() == PLAIN_LEN
            && plain.ends_with('Z')
        {
            shown = Cow::Owned(format!("{before}{}{after}", self.times.spell(plain)));
        }
        match (&self.added_member, shown.strip_suffix('}')) {
            (Some(member), Some(open)) if open != "{" => Cow::Owned(format!("{open},{member}}}")),
            _ => shown,
        }
    }

    /// Reads a row back that was written by [`Self::write`]; what was not stays as it is.
    pub fn read<'a>(&self, shown: &'a str) -> Cow<'a, str> {
        let mut row = Cow::Borrowed(shown);
        if let Some(member) = &self.added_member
            && let Some(open) = shown.strip_suffix(&format!(",{member}}}"))
        {
            row = Cow::Owned(format!("{open}}}"));
        }
        let Some((before, spelled, after)) = time(&row) else {
            return row;
        };
        if self.times == TimeForm::AsAdded || spelled.len() < PLAIN_LEN - 1 {
            return row;
        }
        let plain = format!("{}T{}Z", &spelled[..10], &spelled[11..19]);
        if self.times.spell(&plain) == spelled {
            Cow::Owned(format!("{before}{plain}{after}"))
        } else {
            row
        }
    }
}

/// A row's text up to the value of its time, that value, and the rest.
fn time(row: &str) -> Option<(&str, &str, &str)> {
    let start = row.find(TIME)? + TIME.len();
    let end = start + row[start..].find('"')?;
    (row[start..end].is_ascii()).then(|| (&row[..start], &row[start..end], &row[end..]))
}

#[cfg(test)]
mod tests {
    use super::{TimeForm, Wording};

    #[test]
    fn what_is_written_can_be_read_back() {
        let row = r#"{"operation_detail":"x ","time":"2026-01-31T09:30:00Z"}"#;
        for (times, spelled) in [
            (TimeForm::AsAdded, "2026-01-31T09:30:00Z"),
            (TimeForm::Fraction, "2026-01-31T09:30:00.0000000+00:00"),
            (TimeForm::Offset, "2026-01-31T09:30:00+00:00"),
            (TimeForm::Spaced, "2026-01-31 09:30:00"),
        ] {
            let wording = Wording {
                added_member: Some(r#""tenant":{"id":1}"#.to_owned()),
                times,
            };
            let shown = wording.write(row);
            assert_eq!(
                shown,
                format!(r#"{{"operation_detail":"x ","time":"{spelled}","tenant":{{"id":1}}}}"#)
            );
            assert_eq!(wording.read(&shown), row);
            assert_eq!(wording.read(row), row);
        }
    }

    #[test]
    fn rows_without_a_time_or_with_an_odd_one_keep_theirs() {
        let wording = Wording {
            added_member: None,
            times: TimeForm::Spaced,
        };
        for row in [
            r#"{"n":1}"#,
            "{}",
            r#"{"time":"yesterday"}"#,
            r#"{"time":"\u00e9"}"#,
            r#"{"time":"é"}"#,
        ] {
            assert_eq!(wording.write(row), row);
            assert_eq!(wording.read(row), row);
        }
    }
}
