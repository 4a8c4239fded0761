//! The two reports that Zoom offers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which of Zoom's two reports a feed reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogType {
    /// Admin activity, what administrators changed: Zoom's `/v2/report/operationlogs`.
    Operation,
    /// Sign-ins and sign-outs: Zoom's `/v2/report/activities`.
    Activity,
}

impl LogType {
    /// Both, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::Operation, Self::Activity];

    /// The word in specs, URLs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Activity => "activity",
        }
    }

    /// The name under which events of this type are delivered.
    pub fn delivered_as(self) -> &'static str {
        match self {
            Self::Operation => "Zoom.Operation",
            Self::Activity => "Zoom.Activity",
        }
    }

    /// Reads the word that [`LogType::as_str`] writes.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|log_type| log_type.as_str() == word)
    }
}

impl fmt::Display for LogType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
