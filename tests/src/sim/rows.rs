//! Rows as Zoom writes them: exact text, and where it stands in the list.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Values of the `category_type` filter; a row whose category is none of them is found with `all` alone.
const FILTERS: [&str; 11] = [
    "user",
    "user_settings",
    "account",
    "billing",
    "im",
    "recording",
    "phone_contacts",
    "webinar",
    "sub_account",
    "role",
    "zoom_rooms",
];

/// The two reports that the simulator serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    Operation,
    Activity,
}

impl Report {
    pub const ALL: [Self; 2] = [Self::Operation, Self::Activity];

    /// Returns the log type's word in our own API, which is also its word in control paths.
    pub fn word(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Activity => "activity",
        }
    }

    pub fn path(self) -> &'static str {
        match self {
            Self::Operation => "/v2/report/operationlogs",
            Self::Activity => "/v2/report/activities",
        }
    }

    /// Returns the name of the row list in an answer.
    pub fn list(self) -> &'static str {
        match self {
            Self::Operation => "operation_logs",
            Self::Activity => "activity_logs",
        }
    }

    /// Returns the granular scope that an error names when no accepted scope is there.
    pub fn granular_scope(self) -> &'static str {
        match self {
            Self::Operation => "report:read:operation_logs:admin",
            Self::Activity => "report:read:user_activities:admin",
        }
    }

    /// Returns true when one of `scopes`, classic or granular, opens this report.
    pub fn allowed_by(self, scopes: &[String]) -> bool {
        let granular_master = match self {
            Self::Operation => "report:read:operation_logs:master",
            Self::Activity => "report:read:user_activities:master",
        };
        let accepted = [
            "report:read:admin",
            "report:master",
            self.granular_scope(),
            granular_master,
        ];
        scopes.iter().any(|scope| accepted.contains(&scope.as_str()))
    }
}

/// One row before it enters a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where the row stands in the list, whatever its own `time` says or does not say.
    pub at: Timestamp,
    /// The exact text that every answer shows.
    pub json: String,
    /// The filter value that finds it; 0 where only `all` does.
    pub category: u8,
}

impl Row {
    /// Takes a row's text as it stands; it is listed at its own time, or at `fallback` where that cannot be read.
    pub fn from_text(
        json: &str,
        at: Option<Timestamp>,
        fallback: Timestamp,
    ) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Head {
            time: Option<String>,
            category_type: Option<String>,
        }
        let head: Head = serde_json::from_str(json)?;
        let own = head.time.and_then(|time| time.parse::<Timestamp>().ok());
        let category = head.category_type.map_or(0, |category| category_code(&category));
        Ok(Self {
            at: at.or(own).unwrap_or(fallback),
            json: json.to_owned(),
            category,
        })
    }
}

/// Returns the number under which rows of a category, or a filter's value, are kept; 0 for one without a filter.
pub(super) fn category_code(category: &str) -> u8 {
    let folded = category.trim().to_ascii_lowercase().replace(' ', "_");
    let found = FILTERS.iter().position(|filter| *filter == folded);
    found.and_then(|index| u8::try_from(index + 1).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Report, Row, category_code};

    #[test]
    fn a_row_keeps_its_text_and_falls_back_for_its_place() {
        let now: Timestamp = "2026-02-03T04:05:06Z".parse().unwrap();
        let text = r#"{"category_type": "User Settings",  "time":"2026-02-01T00:00:00Z"}"#;
        let row = Row::from_text(text, None, now).unwrap();
        assert_eq!(row.json, text);
        assert_eq!(row.at.to_string(), "2026-02-01T00:00:00Z");
        assert_eq!(row.category, category_code("user_settings"));
        assert_eq!(Row::from_text(r#"{"operator":"x"}"#, None, now).unwrap().at, now);
        assert_eq!(category_code("User Group"), 0);
    }

    #[test]
    fn scopes_open_their_own_report_only() {
        let granular = vec!["report:read:operation_logs:admin".to_owned()];
        assert!(Report::Operation.allowed_by(&granular));
        assert!(!Report::Activity.allowed_by(&granular));
        assert!(Report::Activity.allowed_by(&["report:read:admin".to_owned()]));
    }
}
