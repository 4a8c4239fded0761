//! Rows that somebody gives: JSON Lines, or what Zoom's reports answer, one after another.

use std::io::BufRead;

use engine_api::LogType;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Error;

/// What an object may be, beside a row.
#[derive(Deserialize)]
struct Shape {
    #[serde(default)]
    operation_logs: Option<Vec<Box<RawValue>>>,
    #[serde(default)]
    activity_logs: Option<Vec<Box<RawValue>>>,
    #[serde(default)]
    zoom_log: Option<Delivered>,
}

/// What the engine adds to a row that it delivers.
#[derive(Deserialize)]
struct Delivered {
    log_type: String,
}

/// Why the rows end early.
#[derive(Debug)]
pub(super) enum Ended {
    Unreadable(serde_json::Error),
    Unwritten(std::io::Error),
}

impl Ended {
    /// The error, with the name of the text.
    pub(super) fn named(self, name: &str) -> Error {
        match self {
            Self::Unreadable(error) => Error::Given(format!(
                "{name}:{}: {error}; give JSON Lines, or the body of one of Zoom's reports",
                error.line()
            )),
            Self::Unwritten(error) => Error::Write(error),
        }
    }
}

/// Hands each row to `with`. A row is of the type of its report's body, or of the event that the engine delivered, or
/// else of `log_type`.
pub(super) fn rows(
    text: impl BufRead,
    log_type: LogType,
    mut with: impl FnMut(LogType, &str) -> std::io::Result<()>,
) -> Result<(), Ended> {
    for value in serde_json::Deserializer::from_reader(text).into_iter::<Box<RawValue>>() {
        let value = value.map_err(Ended::Unreadable)?;
        let mut each = |log_type, rows: &[Box<RawValue>]| {
            rows.iter()
                .try_for_each(|row| with(log_type, row.get()))
                .map_err(Ended::Unwritten)
        };
        if let Ok(rows) = serde_json::from_str::<Vec<Box<RawValue>>>(value.get()) {
            each(log_type, &rows)?;
            continue;
        }
        // A row with such a member of another kind is a row all the same.
        let shape = serde_json::from_str(value.get()).unwrap_or(Shape {
            operation_logs: None,
            activity_logs: None,
            zoom_log: None,
        });
        if shape.operation_logs.is_some() || shape.activity_logs.is_some() {
            each(
                LogType::Operation,
                shape.operation_logs.as_deref().unwrap_or_default(),
            )?;
            each(
                LogType::Activity,
                shape.activity_logs.as_deref().unwrap_or_default(),
            )?;
            continue;
        }
        let told = shape.zoom_log.and_then(|event| {
            LogType::ALL
                .into_iter()
                .find(|log_type| log_type.delivered_as() == event.log_type)
        });
        each(told.unwrap_or(log_type), &[value])?;
    }
    Ok(())
}
