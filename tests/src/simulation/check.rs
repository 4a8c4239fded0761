//! The laws, held against what a seed did.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use jiff::{Timestamp, ToSpan as _, civil::Date};

use super::{
    network::World,
    receiver::{self, Got, Key},
    rows::day,
};
use crate::sim::Report;

/// Rows by key, with how often each is there.
pub(super) type Counts = BTreeMap<Key, u64>;

/// What sources owe to their destinations.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// What must be delivered.
    must: Counts,
    /// What may be delivered, `must` included: rows of days that Zoom has dropped meanwhile.
    may: Counts,
}

impl Owed {
    /// The rows of all days from the first that is collected on. `sources` are ids with the number of their account.
    pub(super) fn of(world: &World, sources: &[(String, usize)], first: Date, now: Timestamp) -> Self {
        let edge = day(now)
            .checked_sub(6.months())
            .and_then(|edge| edge.checked_add(2.days()))
            .unwrap_or(first);
        let mut owed = Self::default();
        for (source, account) in sources {
            for report in Report::ALL {
                for item in world.accounts[*account].list(report) {
                    if day(item.at) < first {
                        continue;
                    }
                    let key = (source.clone(), report, item.key);
                    if day(item.at) >= edge {
                        *owed.must.entry(key.clone()).or_default() += 1;
                    }
                    *owed.may.entry(key).or_default() += 1;
                }
            }
        }
        owed
    }

    /// Whether everything that must be there is.
    pub(super) fn is_paid(&self, delivered: &Counts) -> bool {
        self.must
            .iter()
            .all(|(key, times)| delivered.get(key).is_some_and(|got| got >= times))
    }

    /// What came that nobody owes.
    pub(super) fn surplus(&self, delivered: &Counts) -> Counts {
        difference(delivered, &self.may)
    }

    pub(super) fn lost(&self, delivered: &Counts) -> Counts {
        difference(&self.must, delivered)
    }

    pub(super) fn rows(&self) -> u64 {
        self.must.values().sum()
    }
}

fn difference(more: &Counts, less: &Counts) -> Counts {
    let mut found = Counts::new();
    for (key, times) in more {
        let over = times.saturating_sub(less.get(key).copied().unwrap_or(0));
        if over > 0 {
            found.insert(key.clone(), over);
        }
    }
    found
}

pub(super) fn counts(events: &[Got]) -> Counts {
    let mut counts = Counts::new();
    for event in events {
        *counts.entry(event.key.clone()).or_default() += 1;
    }
    counts
}

/// Rows as lines of text, with what Zoom shows of each.
pub(super) fn describe(world: &World, sources: &[(String, usize)], rows: &Counts) -> String {
    let mut text = String::new();
    for ((source, report, key), times) in rows.iter().take(20) {
        let account = sources
            .iter()
            .find(|(id, _)| id == source)
            .map_or(0, |(_, account)| *account);
        let mut shown = Vec::new();
        for (place, item) in world.accounts[account].list(*report).iter().enumerate() {
            if item.key == *key {
                shown.push(format!(
                    "{} (arrived as {}, place {place})",
                    item.at, item.arrived
                ));
            }
        }
        let _ = writeln!(
            text,
            "  {times} x {source} {} k{key}: at Zoom {}",
            report.word(),
            shown.join(", ")
        );
    }
    text
}

/// The events of a file destination.
pub(super) fn file(bytes: &[u8]) -> Result<Vec<Got>, String> {
    let complete = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |last| last + 1);
    let lines = bytes[..complete].split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(receiver::read)
        .collect()
}

/// What is wrong with a destination's events beside their number: ids that came twice, feeds out of order.
pub(super) fn unsound(events: &[Got], other: Option<&[Got]>) -> Option<String> {
    let mut ids = BTreeSet::new();
    for event in events {
        if !ids.insert(event.id.as_str()) {
            return Some(format!("the event {} is there twice", event.id));
        }
    }
    let by_feed = |events: &[Got]| {
        let mut feeds: BTreeMap<(String, Report), Vec<String>> = BTreeMap::new();
        for event in events {
            let (source, report, _) = &event.key;
            feeds
                .entry((source.clone(), *report))
                .or_default()
                .push(event.id.clone());
        }
        feeds
    };
    let other = by_feed(other?);
    for (feed, one) in by_feed(events) {
        let two = other.get(&feed).map_or(&[][..], Vec::as_slice);
        let shorter = one.len().min(two.len());
        if one[..shorter] != two[..shorter] {
            return Some(format!("two destinations got {feed:?} in different orders"));
        }
    }
    None
}
