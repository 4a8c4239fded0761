//! Rows as the simulated Zoom keeps and shows them.

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use crate::sim::Report;

/// One item of a report's list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    /// Where it stands in the list, and its time where it shows one.
    pub(super) at: Timestamp,
    /// The order of arrival.
    pub(super) arrived: u64,
    /// What tells it from every other row but its twins.
    pub(super) key: u64,
    /// Whether it shows its time.
    pub(super) timed: bool,
}

/// How rows are written; Zoom may change it at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// As documented.
    Plain,
    /// Every row has a field that no document names.
    Extended,
    /// Times have a fraction and an offset.
    Offset,
    /// Times as `yyyy-mm-dd hh:mm:ss`.
    Spaced,
}

impl Form {
    pub(super) const ALL: [Self; 4] = [Self::Plain, Self::Extended, Self::Offset, Self::Spaced];

    fn time(self, at: Timestamp) -> String {
        let civil = |zone: i8| at.to_zoned(jiff::tz::offset(zone).to_time_zone());
        match self {
            Self::Plain | Self::Extended => at.to_string(),
            Self::Offset => civil(2).strftime("%Y-%m-%dT%H:%M:%S.000+02:00").to_string(),
            Self::Spaced => civil(0).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        }
    }
}

impl Item {
    /// The row's exact text.
    pub(super) fn text(&self, report: Report, form: Form) -> String {
        let Self { at, key, timed, .. } = *self;
        let time = if timed {
            format!("\"time\":\"{}\",", form.time(at))
        } else {
            String::new()
        };
        let more = if form == Form::Extended {
            ",\"tenant\":{\"region\":\"eu\"}"
        } else {
            ""
        };
        match report {
            Report::Operation => format!(
                "{{{time}\"operator\":\"admin@example.com\",\"category_type\":\"User\",\"action\":\"Update\",\
                 \"operation_detail\":\"Change Role  - k{key}@example.com: from User to Admin \"{more}}}"
            ),
            Report::Activity => format!(
                "{{{time}\"client_type\":\"mac\",\"email\":\"k{key}@example.com\",\"ip_address\":\"198.51.100.7\",\
                 \"type\":\"Sign in\",\"version\":\"5.9.1\"{more}}}"
            ),
        }
    }
}

/// The key in a delivered row, and its report; `None` where the row is none of ours.
pub(super) fn read(row: &Value) -> Option<(Report, u64)> {
    let (report, field) = if row.get("email").is_some() {
        (Report::Activity, "email")
    } else {
        (Report::Operation, "operation_detail")
    };
    let text = row.get(field)?.as_str()?;
    let (before, _) = text.split_once("@example.com")?;
    let key = before.rsplit_once('k').map(|(_, key)| key)?.parse().ok()?;
    Some((report, key))
}

/// The UTC day of an instant, as a calendar date.
pub(super) fn day(at: Timestamp) -> jiff::civil::Date {
    at.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::{Form, Item, read};
    use crate::sim::Report;

    #[test]
    fn a_row_is_told_by_its_key_in_every_form() {
        let item = Item {
            at: "2026-02-03T04:05:06Z".parse().unwrap(),
            arrived: 0,
            key: 42,
            timed: true,
        };
        for report in Report::ALL {
            for form in Form::ALL {
                let row = serde_json::from_str(&item.text(report, form)).unwrap();
                assert_eq!(read(&row), Some((report, 42)), "{form:?}");
            }
        }
        assert_eq!(Form::Offset.time(item.at), "2026-02-03T06:05:06.000+02:00");
        assert_eq!(Form::Spaced.time(item.at), "2026-02-03 04:05:06");
    }
}
