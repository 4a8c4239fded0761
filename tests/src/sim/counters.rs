//! What the simulator was asked and what it answered.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many single requests are remembered; the counts go on for ever.
const REMEMBERED: usize = 20_000;

/// One request as it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub at: Timestamp,
    pub path: String,
    pub query: String,
    pub account: Option<String>,
    /// 0 where the connection was reset, or the request was left hanging, instead of an answer.
    pub status: u16,
    pub page_rows: u64,
}

/// Counts by path and by status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub requests: BTreeMap<String, BTreeMap<u16, u64>>,
    /// Rows that answers carried, repeats included.
    pub rows_shown: u64,
    pub access_tokens_minted: u64,
    /// Refresh tokens that were exchanged for the next one.
    pub refresh_tokens_used: u64,
}

impl Counters {
    /// Returns the requests to a path, or to all paths that start with it.
    pub fn to(&self, path: &str) -> u64 {
        let matching = self.requests.iter().filter(|(key, _)| key.starts_with(path));
        matching.flat_map(|(_, by_status)| by_status.values()).sum()
    }

    /// Returns the answers of one status, over all paths.
    pub fn with_status(&self, status: u16) -> u64 {
        self.requests
            .values()
            .filter_map(|by_status| by_status.get(&status))
            .sum()
    }
}

/// The record behind the counters.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) counters: Counters,
    pub(super) recent: VecDeque<Seen>,
}

impl Record {
    pub(super) fn note(&mut self, seen: Seen) {
        *self
            .counters
            .requests
            .entry(seen.path.clone())
            .or_default()
            .entry(seen.status)
            .or_default() += 1;
        self.counters.rows_shown += seen.page_rows;
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(seen);
    }
}
