//! One page of a report: the rows exactly as Zoom sent them, and where the next page begins.

use std::ops::Range;

use bytes::Bytes;
use engine_api::LogType;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Error;
use crate::{
    http::{Response, RetryAfter},
    model::Row,
};

/// An answer that was read; its rows borrow from its body.
#[derive(Debug)]
pub struct Page {
    body: Bytes,
    rows: Vec<Range<usize>>,
    log_type: LogType,
    /// Where the next page begins; `None` on the last one.
    pub next_page_token: Option<String>,
    /// Requests that Zoom still allows this account today, where it says so.
    pub remaining_today: Option<u64>,
    /// What time it is at Zoom, to the second, where it says so.
    pub zoom_time: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    operation_logs: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    activity_logs: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    next_page_token: Option<String>,
}

impl Page {
    pub(super) fn read(log_type: LogType, answer: &Response) -> Result<Self, Error> {
        let body: Body<'_> = serde_json::from_slice(&answer.body).map_err(|error| Error::Malformed {
            detail: format!(
                "the {log_type} report cannot be read at line {}, column {}",
                error.line(),
                error.column()
            ),
        })?;
        let rows = match log_type {
            LogType::Operation => body.operation_logs,
            LogType::Activity => body.activity_logs,
        };
        // An empty report names its list; an answer without it is some other page that says 200.
        let rows = rows.ok_or_else(|| Error::Malformed {
            detail: format!("the {log_type} report has no list of rows"),
        })?;
        let base = answer.body.as_ptr() as usize;
        let place = |row: &RawValue| {
            let start = (row.get().as_ptr() as usize).saturating_sub(base);
            start..start + row.get().len()
        };
        Ok(Self {
            rows: rows.into_iter().map(place).collect(),
            body: answer.body.clone(),
            log_type,
            next_page_token: body.next_page_token.filter(|token| !token.is_empty()),
            remaining_today: super::error::remaining_today(answer),
            zoom_time: answer
                .header("date")
                .and_then(RetryAfter::parse)
                .and_then(RetryAfter::as_instant),
        })
    }

    /// The rows, in Zoom's order.
    pub fn rows(&self) -> Vec<Row<'_>> {
        let text = |place: &Range<usize>| {
            self.body
                .get(place.clone())
                .and_then(|row| str::from_utf8(row).ok())
        };
        self.rows
            .iter()
            // Each place was a text when the page was read.
            .filter_map(text)
            .map(|row| Row::parse(self.log_type, row))
            .collect()
    }
}
