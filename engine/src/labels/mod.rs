//! `zoom-log-engine labels`: shows the label rules, and what they make of rows, given or stored.
//!
//! Nothing is written and nothing but the rows is read: no secret is opened, and an engine that runs on the same store
//! is not disturbed. Rows are taken one by one, so that a large file needs little memory.

mod given;
mod report;
mod stored;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Write};

use engine_api::{
    Kind, LogType,
    label::{Labelled, Labeller},
};

use self::report::Report;
pub use self::{report::Output, stored::unknown};
use crate::{
    clock::Clock,
    database::Database,
    model::Row,
    store::{self, Store, samples::Sample},
};

/// Why rows cannot be tested.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A given text cannot be read.
    #[error("{0}")]
    Given(String),
    /// There is no such source.
    #[error("the store has no source with the id or name `{0}`")]
    NoSource(String),
    /// The store cannot be read.
    #[error("{}", .0.chain())]
    Store(#[from] store::Error),
    /// The result cannot be written.
    #[error("cannot write the result: {0}")]
    Write(#[from] io::Error),
}

/// Which stored rows to take.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The store to read.
    pub database: Database,
    /// Of this source only, by id or name.
    pub source: Option<String>,
    /// Of this log type only.
    pub log_type: Option<LogType>,
    /// Which of them.
    pub sample: Sample,
}

/// Writes rules in the form of the configuration.
///
/// # Errors
///
/// [`Error::Write`].
pub fn write_rules(labeller: &Labeller, out: &mut impl Write) -> Result<(), Error> {
    let rules = serde_json::json!({ "labels": { "rules": labeller.rules() } });
    let text = toml::to_string(&rules).map_err(io::Error::other)?;
    out.write_all(text.as_bytes())?;
    Ok(())
}

/// Tests rows that are given as JSON Lines or as the bodies of Zoom's reports. `name` is what errors call them, and
/// `log_type` is that of rows that do not tell it.
///
/// # Errors
///
/// [`Error::Given`] with the place, where the text is not JSON; the rows before it were tested.
pub fn test_given(
    labeller: &Labeller,
    (name, text): (&str, impl BufRead),
    log_type: LogType,
    output: Output,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut report = Report::begin(labeller, output, out)?;
    given::rows(text, log_type, |log_type, row| {
        test(&mut report, log_type, row, None)
    })
    .map_err(|error| error.named(name))?;
    Ok(report.end()?)
}

/// Tests stored rows, the oldest first, and shows beside the labels that they were given when they were collected.
///
/// # Errors
///
/// [`Error::NoSource`], [`Error::Store`].
pub async fn test_stored(
    labeller: &Labeller,
    stored: &Stored,
    output: Output,
    out: &mut impl Write,
) -> Result<(), Error> {
    let store = Store::open_to_read(&stored.database, Clock::real()).await?;
    let source = match &stored.source {
        None => None,
        Some(wanted) => Some(source_id(&store, wanted).await?),
    };
    let mut report = Report::begin(labeller, output, out)?;
    let mut failed = Ok(());
    store
        .sample(
            source.as_deref(),
            stored.log_type,
            stored.sample,
            |log_type, event| {
                failed = test(&mut report, log_type, event.row, Some(event.labels));
                failed.is_ok()
            },
        )
        .await?;
    failed?;
    store.close().await;
    Ok(report.end()?)
}

async fn source_id(store: &Store, wanted: &str) -> Result<String, Error> {
    if store.object(Kind::Source, wanted).await?.is_some() {
        return Ok(wanted.to_owned());
    }
    let named = store.name_holder(Kind::Source, wanted).await?;
    named.ok_or_else(|| Error::NoSource(wanted.to_owned()))
}

fn test(
    report: &mut Report<'_, impl Write>,
    log_type: LogType,
    row: &str,
    before: Option<&str>,
) -> io::Result<()> {
    Row::parse(log_type, row).labelled(|labelled: &Labelled<'_>| report.row(log_type, labelled, before))
}
