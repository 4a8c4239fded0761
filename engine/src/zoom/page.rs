//! One page of a report: the rows exactly as Zoom sent them, and where the next page begins.

use std::ops::Range;

use engine_api::LogType;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::Error;
use crate::{
    http::{Response, RetryAfter},
    model::{
        DailyLimit, Fields, Row,
        scan::{self, Scanner},
    },
};

/// An answer that was read; its rows borrow from its text.
#[derive(Debug)]
pub struct Page {
    text: String,
    rows: Vec<Place>,
    log_type: LogType,
    /// Where the next page begins; `None` on the last one.
    pub next_page_token: Option<String>,
    /// What Zoom says of the account's requests today.
    pub daily_limit: DailyLimit,
    /// What time it is at Zoom, to the second, where it says so.
    pub zoom_time: Option<Timestamp>,
}

/// Where a row and its fields are in the body.
#[derive(Debug)]
struct Place {
    row: Range<usize>,
    /// `None` where it has no fields to trust.
    fields: Option<Fields>,
}

/// The rows that Zoom sends in one page at most.
const MOST_ROWS: usize = 300;

/// What a page's text holds.
#[derive(Debug, Default)]
struct Read {
    rows: Option<Vec<Place>>,
    next_page_token: Option<String>,
}

impl Page {
    pub(super) fn read(log_type: LogType, mut answer: Response) -> Result<Self, Error> {
        // The body is this answer's alone, so nothing is copied.
        let text = String::from_utf8(std::mem::take(&mut answer.body).into())
            .map_err(|error| malformed(log_type, error.as_bytes()))?;
        let read = Read::text(log_type, &text).ok_or_else(|| malformed(log_type, text.as_bytes()))?;
        // An empty report names its list; an answer without it is some other page that says 200.
        let rows = read.rows.ok_or_else(|| Error::Malformed {
            detail: format!("the {log_type} report has no list of rows"),
        })?;
        Ok(Self {
            rows,
            text,
            log_type,
            next_page_token: read.next_page_token.filter(|token| !token.is_empty()),
            daily_limit: super::error::daily_limit(&answer),
            zoom_time: time_of(&answer),
        })
    }

    /// The rows, in Zoom's order.
    pub fn rows(&self) -> Vec<Row<'_>> {
        let mut canonical = Vec::new();
        let mut rows = Vec::with_capacity(self.rows.len());
        rows.extend(self.rows.iter().filter_map(|place| {
            let row = self.text.get(place.row.clone())?;
            Some(Row::new(self.log_type, row, place.fields, &mut canonical))
        }));
        rows
    }
}

impl Read {
    /// Reads the answer's object, in one pass over the whole text.
    fn text(log_type: LogType, text: &str) -> Option<Self> {
        let list = match log_type {
            LogType::Operation => "operation_logs",
            LogType::Activity => "activity_logs",
        };
        let mut read = Self::default();
        let mut scanner = Scanner::new(text);
        scanner.object(|name, scanner| {
            if name == "next_page_token" {
                let token = scanner.value()?;
                read.next_page_token = if token == "null" {
                    None
                } else {
                    Some(scan::unquote(token)?.into_owned())
                };
            } else if name == list && scanner.peek() == Some(b'[') {
                // A second list would hide the first.
                if read.rows.is_some() {
                    return None;
                }
                read.rows = Some(rows(scanner)?);
            } else {
                scanner.value()?;
            }
            Some(())
        })?;
        scanner.is_at_end().then_some(read)
    }
}

fn rows(scanner: &mut Scanner<'_>) -> Option<Vec<Place>> {
    let mut rows = Vec::with_capacity(MOST_ROWS);
    scanner.array(|scanner| {
        scanner.peek()?;
        let start = scanner.at();
        let mut ahead = scanner.clone();
        let fields = Fields::read(&mut ahead);
        if fields.is_some() {
            *scanner = ahead;
        } else {
            scanner.value()?;
        }
        rows.push(Place {
            row: start..scanner.at(),
            fields,
        });
        Some(())
    })?;
    Some(rows)
}

/// What time it was at Zoom when it answered, to the second, where it says so.
pub(super) fn time_of(answer: &Response) -> Option<Timestamp> {
    answer
        .header("date")
        .and_then(RetryAfter::parse)
        .and_then(RetryAfter::as_instant)
}

/// Says what is wrong with an answer, and where: the work of a reader that takes its time.
fn malformed(log_type: LogType, body: &[u8]) -> Error {
    let detail = match serde_json::from_slice::<&RawValue>(body) {
        Err(error) => format!(
            "the {log_type} report cannot be read at line {}, column {}",
            error.line(),
            error.column()
        ),
        Ok(_) => format!("the {log_type} report is JSON of another form than Zoom documents"),
    };
    Error::Malformed { detail }
}
