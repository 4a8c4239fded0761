//! One page of a report: the rows exactly as Zoom sent them, and where the next page begins.

use std::ops::Range;

use bytes::Bytes;
use engine_api::LogType;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::Error;
use crate::{
    http::{Response, RetryAfter},
    model::{
        Fields, Row,
        scan::{self, Scanner},
    },
};

/// An answer that was read; its rows borrow from its body.
#[derive(Debug)]
pub struct Page {
    body: Bytes,
    rows: Vec<Place>,
    log_type: LogType,
    /// Where the next page begins; `None` on the last one.
    pub next_page_token: Option<String>,
    /// Requests that Zoom still allows this account today, where it says so.
    pub remaining_today: Option<u64>,
    /// What time it is at Zoom, to the second, where it says so.
    pub zoom_time: Option<Timestamp>,
}

/// Where a row and its fields are in the body.
#[derive(Debug)]
struct Place {
    row: Range<usize>,
    /// `None` where it has no fields to trust.
    fields: Option<[Range<usize>; Fields::COUNT]>,
}

/// What a page's text holds.
#[derive(Debug, Default)]
struct Read {
    rows: Option<Vec<Place>>,
    next_page_token: Option<String>,
}

impl Page {
    pub(super) fn read(log_type: LogType, answer: &Response) -> Result<Self, Error> {
        let text = str::from_utf8(&answer.body).ok();
        let read = text
            .and_then(|text| Read::text(log_type, text))
            .ok_or_else(|| malformed(log_type, &answer.body))?;
        // An empty report names its list; an answer without it is some other page that says 200.
        let rows = read.rows.ok_or_else(|| Error::Malformed {
            detail: format!("the {log_type} report has no list of rows"),
        })?;
        Ok(Self {
            rows,
            body: answer.body.clone(),
            log_type,
            next_page_token: read.next_page_token.filter(|token| !token.is_empty()),
            remaining_today: super::error::remaining_today(answer),
            zoom_time: time_of(answer),
        })
    }

    /// The rows, in Zoom's order.
    pub fn rows(&self) -> Vec<Row<'_>> {
        // It was a text when the page was read.
        let text = str::from_utf8(&self.body).unwrap_or_default();
        let mut canonical = Vec::new();
        self.rows
            .iter()
            .filter_map(|place| {
                let fields = place.fields.as_ref().map(|places| {
                    let mut fields = Fields::default();
                    for (field, place) in fields.0.iter_mut().zip(places) {
                        *field = text.get(place.clone()).filter(|field| !field.is_empty());
                    }
                    fields
                });
                let row = text.get(place.row.clone())?;
                Some(Row::new(self.log_type, row, fields, &mut canonical))
            })
            .collect()
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
                read.rows = Some(rows(text, scanner)?);
            } else {
                scanner.value()?;
            }
            Some(())
        })?;
        scanner.is_at_end().then_some(read)
    }
}

fn rows<'a>(text: &'a str, scanner: &mut Scanner<'a>) -> Option<Vec<Place>> {
    let place = |part: &str| {
        let start = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        start..start + part.len()
    };
    let mut rows = Vec::new();
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
            fields: fields.map(|fields| fields.0.map(|field| field.map_or(0..0, place))),
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
