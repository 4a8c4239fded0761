//! The other ends: a destination that takes events over HTTP, and an alarm channel.

use std::collections::BTreeMap;

use serde_json::Value;
use zoom_log_engine::http::{Answered, Sent, StatusCode};

use super::rows;
use crate::{delivered, sim::Report};

/// A source's row, up to its twins.
pub(super) type Key = (String, Report, u64);

/// One delivered event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) id: String,
    pub(super) key: Key,
    pub(super) row: Vec<u8>,
}

/// Reads one delivered line.
pub(super) fn read(line: &[u8]) -> Result<Got, String> {
    let said = || String::from_utf8_lossy(line).into_owned();
    let event = delivered::Event::parse(line);
    let row: Value = serde_json::from_slice(&event.row).map_err(|error| format!("{error}: {}", said()))?;
    let (report, key) =
        rows::read(&row).ok_or_else(|| format!("a row that Zoom never showed: {}", said()))?;
    let text = |name: &str| event.zoom_log[name].as_str().map(str::to_owned);
    match (text("id"), text("source_id")) {
        (Some(id), Some(source)) => Ok(Got {
            id,
            key: (source, report, key),
            row: event.row,
        }),
        _ => Err(format!("an event without an id or a source: {}", said())),
    }
}

/// What a destination holds that drops what it has already, by the event's id.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// In the order of their first arrival.
    pub(super) events: Vec<Got>,
    by_id: BTreeMap<String, usize>,
    /// The event ids of each message, by the message's id.
    messages: BTreeMap<String, Vec<String>>,
    /// What must never come.
    pub(super) wrong: Vec<String>,
}

impl Receiver {
    /// Takes a batch.
    pub(super) fn take(&mut self, sent: &Sent) -> Answered {
        let mut ids = Vec::new();
        for line in sent
            .body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            match read(line) {
                Ok(got) => {
                    ids.push(got.id.clone());
                    self.keep(got);
                }
                Err(wrong) => self.wrong.push(wrong),
            }
        }
        let message = sent
            .headers
            .get("webhook-id")
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let before = self
            .messages
            .entry(message.clone())
            .or_insert_with(|| ids.clone());
        if *before != ids {
            self.wrong
                .push(format!("the message {message} came again with other events"));
        }
        Answered::new(StatusCode::OK, "")
    }

    fn keep(&mut self, got: Got) {
        match self.by_id.get(&got.id) {
            None => {
                self.by_id.insert(got.id.clone(), self.events.len());
                self.events.push(got);
            }
            Some(at) if self.events[*at] != got => {
                let text = String::from_utf8_lossy(&got.row).into_owned();
                self.wrong
                    .push(format!("the event {} came again as another: {text}", got.id));
            }
            Some(_) => {}
        }
    }
}

/// An alarm channel.
#[derive(Debug, Default)]
pub(super) struct Channel {
    bodies: BTreeMap<String, Vec<u8>>,
    /// The state that each feed was last said to be in.
    states: BTreeMap<(String, String), String>,
    /// Notices that came again.
    pub(super) repeats: u64,
    pub(super) wrong: Vec<String>,
}

impl Channel {
    pub(super) fn take(&mut self, sent: &Sent) -> Answered {
        let body: Value = serde_json::from_slice(&sent.body).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id = text(&body["id"]);
        if id.is_empty() {
            self.wrong.push("a notice without an id".to_owned());
        }
        match self.bodies.get(&id) {
            None => {
                // A change is told once: the next notice of a feed tells another state.
                let (feed, state) = (
                    (text(&body["source"]["id"]), text(&body["log_type"])),
                    text(&body["state"]),
                );
                if self.states.get(&feed) == Some(&state) {
                    self.wrong
                        .push(format!("the notice {id} tells again that {feed:?} is `{state}`"));
                }
                self.states.insert(feed, state);
                self.bodies.insert(id, sent.body.to_vec());
            }
            Some(before) if **before != *sent.body => self
                .wrong
                .push(format!("the notice {id} came again with another text")),
            Some(_) => self.repeats += 1,
        }
        Answered::new(StatusCode::OK, "")
    }

    pub(super) fn count(&self) -> usize {
        self.bodies.len()
    }
}
