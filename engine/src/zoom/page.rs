//! One page of a report: the rows exactly as Zoom sent them, and where the next page begins.

use bytes::Bytes;
use engine_api::LogType;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Error;
use crate::{http::Response, model::Row};

/// An answer that was read; its rows borrow from its body.
#[derive(Debug)]
pub struct Page {
    body: Bytes,
    log_type: LogType,
    /// Where the next page begins; `None` on the last one.
    pub next_page_token: Option<String>,
    /// Requests that Zoom still allows this account today, where it says so.
    pub remaining_today: Option<u64>,
}

/// The rows of a page, in Zoom's order.
pub type Rows<'a> = Vec<Row<'a>>;

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
        let mut page = Self {
            body: answer.body.clone(),
            log_type,
            next_page_token: None,
            remaining_today: super::error::remaining_today(answer),
        };
        let body = page.parse()?;
        let named = match log_type {
            LogType::Operation => body.operation_logs.is_some(),
            LogType::Activity => body.activity_logs.is_some(),
        };
        if !named {
            // An empty report names its list; an answer without it is some other page that says 200.
            return Err(Error::Malformed {
                detail: format!("the {log_type} report has no list of rows"),
            });
        }
        page.next_page_token = body.next_page_token.filter(|token| !token.is_empty());
        Ok(page)
    }

    /// The rows, parsed.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`]; it cannot happen for a page that was read, whose body is the same.
    pub fn rows(&self) -> Result<Rows<'_>, Error> {
        let body = self.parse()?;
        let rows = match self.log_type {
            LogType::Operation => body.operation_logs,
            LogType::Activity => body.activity_logs,
        };
        Ok(rows
            .unwrap_or_default()
            .into_iter()
            .map(|row| Row::parse(self.log_type, row.get()))
            .collect())
    }

    fn parse(&self) -> Result<Body<'_>, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Malformed {
            detail: format!(
                "the {} report cannot be read at line {}, column {}",
                self.log_type,
                error.line(),
                error.column()
            ),
        })
    }
}
