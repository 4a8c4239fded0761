//! Destinations: adapters that write a batch of events somewhere.
//!
//! An adapter writes once and says what came of it, named by what follows ([`WriteError`]). It never tries again by
//! itself, sleeps, spawns, or sees the store: when to write what again is decided by `delivery`.
//!
//! What must survive a crash for the sake of an adapter (how long a file was when the last batch was acknowledged) it
//! hands out as a text: [`Destination::prepare`] before each write, stored before the write begins, and
//! [`Destination::write`] after it, stored with the acknowledgement.

mod error;
mod file;
mod http;
mod path;
mod request;
mod sign;
#[cfg(test)]
mod tests;
mod webhook;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use engine_api::{Code, DestinationSpec, Secret};

pub use self::{error::WriteError, webhook::Webhooks};
pub use crate::encode::{Lines, Origin};
use crate::{clock::Clock, http::Http};

/// Where events are written.
#[async_trait]
pub trait Destination: Send + Sync + fmt::Debug {
    /// When a batch is full.
    fn limits(&self) -> Limits;

    /// How many batches may be written at once, each of another feed.
    fn parallel(&self) -> usize;

    /// Makes ready for one write. `settled` is the text that was stored last; `interrupted` says that a write may have
    /// begun after it and was not acknowledged, which is then undone. Answers the text to store before the write.
    ///
    /// # Errors
    ///
    /// See [`WriteError`].
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    async fn prepare(&self, settled: Option<&str>, interrupted: bool) -> Result<Option<String>, WriteError>;

    /// Writes a batch as a whole. `Ok` is the acknowledgement, with the text to store together with it.
    ///
    /// # Errors
    ///
    /// See [`WriteError`].
    ///
    /// # Cancel safety
    ///
    /// A dropped write may have been taken in part or whole: the next [`Destination::prepare`] is told `interrupted`.
    async fn write(&self, batch: &Batch) -> Result<Option<String>, WriteError>;
}

/// When a batch is full: at the first bound that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events in a batch.
    pub max_events: usize,
    /// Bytes in a batch, before compression; a single larger event is a batch by itself.
    pub max_bytes: usize,
    /// How long an event may wait for others.
    pub max_age: Duration,
}

/// What one write sends.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The same whenever the same events are written again.
    pub id: String,
    /// The events, each one line of JSON with a line feed behind it.
    pub lines: Bytes,
    ends: Vec<usize>,
}

impl Batch {
    /// The first `count` lines as a batch.
    pub fn new(id: String, lines: Lines, count: usize) -> Self {
        let (lines, ends) = lines.take(count);
        Self { id, lines, ends }
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The first event's JSON.
    pub fn first(&self) -> String {
        self.iter()
            .next()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .unwrap_or_default()
    }

    /// Each event's JSON, without the line feed.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.lines[start..end - 1])
    }
}

/// Opened secrets by their field, such as `http.bearer_token`.
#[derive(Debug, Default)]
pub struct Secrets(BTreeMap<String, Secret>);

impl<F: Into<String>> From<BTreeMap<F, Secret>> for Secrets {
    fn from(opened: BTreeMap<F, Secret>) -> Self {
        Self(
            opened
                .into_iter()
                .map(|(field, secret)| (field.into(), secret))
                .collect(),
        )
    }
}

impl Secrets {
    fn get(&self, field: &str) -> Option<&Secret> {
        self.0.get(field)
    }

    fn wanted(&self, field: &str) -> Result<&Secret, WriteError> {
        self.get(field).ok_or_else(|| {
            WriteError::blocked(
                Code::MissingSecret,
                format!("the secret `{field}` is not stored: set it again"),
            )
        })
    }

    fn all(&self) -> impl Iterator<Item = &Secret> {
        self.0.values()
    }
}

/// Opens destinations; a scripted one stands in for it in tests.
pub trait Open: Send + Sync + fmt::Debug {
    /// Makes a destination ready, without touching it.
    ///
    /// # Errors
    ///
    /// [`WriteError::Blocked`] where the spec or a secret cannot be used.
    fn open(&self, spec: &DestinationSpec, secrets: &Secrets) -> Result<Box<dyn Destination>, WriteError>;
}

/// All kinds of destination.
#[derive(Debug, Clone)]
pub struct Kinds {
    /// What `http` destinations send through.
    pub http: Http,
    /// The time, for signatures.
    pub clock: Clock,
    /// Where `file` destinations may write; a relative path is taken from the first.
    pub file_roots: Arc<[PathBuf]>,
}

impl Kinds {
    /// Judges a spec by the engine's own rules, beyond what the spec's rules say: a path must lie under a file root.
    ///
    /// # Errors
    ///
    /// [`WriteError::Blocked`] with the code and the sentence for the user.
    pub fn check(&self, spec: &DestinationSpec) -> Result<(), WriteError> {
        spec.file
            .as_ref()
            .map_or(Ok(()), |file| path::check(&file.path, &self.file_roots))
    }
}

impl Kinds {
    /// Which file a `file` destination writes, whichever of several paths to it its spec names; `None` for other kinds,
    /// and where the path is refused.
    pub fn file_of(&self, spec: &DestinationSpec) -> Option<PathBuf> {
        let file = spec.file.as_ref()?;
        path::meant(&file.path, &self.file_roots).ok()
    }
}

impl Open for Kinds {
    fn open(&self, spec: &DestinationSpec, secrets: &Secrets) -> Result<Box<dyn Destination>, WriteError> {
        match (&spec.file, &spec.http) {
            (Some(spec), None) => Ok(Box::new(file::Appends::new(
                &spec.path,
                Arc::clone(&self.file_roots),
            ))),
            (None, Some(spec)) => Ok(Box::new(http::Posts::open(
                spec,
                secrets,
                self.http.clone(),
                self.clock.clone(),
            )?)),
            _ => Err(WriteError::blocked(
                Code::InvalidSpec,
                "exactly one of `file` and `http` must be set",
            )),
        }
    }
}
