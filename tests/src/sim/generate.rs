//! Rows made from a seed: realistic words, exact twins, late arrivals.

use std::{collections::VecDeque, fmt::Write as _};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    rows::{Report, Row, category_code},
    vocabulary::{CHANNELS, CLIENT_TYPES, GROUPS, OPERATIONS, USERS, VERSIONS},
};
use crate::rng::Rng;

/// How many recent rows a twin may be a copy of.
const RECENT: usize = 32;

/// What generated rows are like.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    pub seed: u64,
    /// Exact copies of an earlier row, its second included.
    pub twin_percent: f64,
    /// Rows dated back when they arrive.
    pub late_percent: f64,
    /// How far back a late row may be dated.
    pub late_secs: u64,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            seed: 1,
            twin_percent: 0.0,
            late_percent: 0.0,
            late_secs: 36 * 3_600,
        }
    }
}

/// A history to be there from the start.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    pub rows: u64,
    /// The time that the rows are spread over, up to now.
    pub span_secs: u64,
    #[serde(default)]
    pub mix: Mix,
}

/// Makes rows of one report.
#[derive(Debug)]
pub struct RowMaker {
    report: Report,
    rng: Rng,
    recent: VecDeque<Row>,
    made: u64,
}

impl RowMaker {
    pub fn new(report: Report, seed: u64) -> Self {
        // The two reports of one seed must not tell the same story.
        Self {
            report,
            rng: Rng::new(seed ^ (report as u64) << 32),
            recent: VecDeque::new(),
            made: 0,
        }
    }

    /// Makes a row that happened at `at`, with one-second precision as Zoom's.
    pub fn row(&mut self, at: Timestamp) -> Row {
        let at = Timestamp::from_second(at.as_second()).expect("a time within range");
        let row = match self.report {
            Report::Operation => self.operation(at),
            Report::Activity => self.activity(at),
        };
        self.made += 1;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(row.clone());
        row
    }

    /// Returns an exact copy of a recent row, or nothing when there is none yet.
    pub fn twin(&mut self) -> Option<Row> {
        let index = self.rng.index(self.recent.len());
        self.recent.get(index).cloned()
    }

    /// Makes what arrives at `now`: usually a new row, now and then a twin or a late one.
    pub fn arrival(&mut self, now: Timestamp, mix: &Mix) -> Row {
        if self.rng.percent(mix.twin_percent)
            && let Some(twin) = self.twin()
        {
            return twin;
        }
        if self.rng.percent(mix.late_percent) {
            let back = i64::try_from(self.rng.below(mix.late_secs + 1)).unwrap_or(0);
            return self.row(now - SignedDuration::from_secs(back));
        }
        self.row(now)
    }

    /// Makes a history up to `end`, oldest first, twins next to the rows that they copy.
    pub fn history(mut self, bulk: Bulk, end: Timestamp) -> impl Iterator<Item = Row> {
        let span = i128::from(bulk.span_secs);
        let start = end - SignedDuration::from_secs(i64::try_from(bulk.span_secs).unwrap_or(0));
        let mut last: Option<Row> = None;
        (0..bulk.rows).map(move |number| {
            if self.rng.percent(bulk.mix.twin_percent)
                && let Some(twin) = &last
            {
                return twin.clone();
            }
            let into = span * i128::from(number) / i128::from(bulk.rows);
            let row = self.row(start + SignedDuration::from_secs(i64::try_from(into).unwrap_or(0)));
            last = Some(row.clone());
            row
        })
    }

    fn operation(&mut self, at: Timestamp) -> Row {
        let phrase = OPERATIONS[self.rng.index(OPERATIONS.len())];
        let detail = phrase
            .detail
            .replace("{user}", &self.user())
            .replace("{group}", self.rng.pick(GROUPS))
            .replace("{channel}", self.rng.pick(CHANNELS))
            .replace("{number}", &(8 + self.rng.below(90)).to_string());
        let mut json = String::with_capacity(224);
        json.push('{');
        if let Some(action) = phrase.action {
            member(&mut json, "action", action);
        }
        member(&mut json, "category_type", phrase.category);
        // Some writers escape what others leave alone; the text must survive either way.
        if self.rng.percent(5.0) {
            let _ = write!(json, "\"operation_detail\":{},", escaped(&detail));
        } else {
            member(&mut json, "operation_detail", &detail);
        }
        if phrase.action.is_some() {
            let operator = self.user();
            member(&mut json, "operator", &operator);
        }
        let _ = write!(json, "\"time\":\"{at}\"}}");
        Row {
            at,
            json,
            category: category_code(phrase.category),
        }
    }

    fn activity(&mut self, at: Timestamp) -> Row {
        let client = self.rng.pick(CLIENT_TYPES);
        let user = self.user();
        let mut json = String::with_capacity(192);
        json.push('{');
        member(&mut json, "client_type", client);
        member(&mut json, "email", &user);
        let host = self.rng.below(65_536);
        if self.rng.percent(5.0) {
            let _ = write!(json, "\"ip_address\":\"2001:db8::{host:x}\",");
        } else {
            let _ = write!(json, "\"ip_address\":\"198.51.{}.{}\",", host / 256, host % 256);
        }
        let _ = write!(json, "\"time\":\"{at}\",");
        member(
            &mut json,
            "type",
            if self.rng.percent(55.0) {
                "Sign in"
            } else {
                "Sign out"
            },
        );
        let version = if client == "Browser" {
            "-"
        } else {
            self.rng.pick(VERSIONS)
        };
        let _ = write!(json, "\"version\":\"{version}\"}}");
        Row {
            at,
            json,
            category: 0,
        }
    }

    /// Returns one of the known users, or one of thousands, so that rows differ unless they are meant not to.
    fn user(&mut self) -> String {
        if self.rng.percent(20.0) {
            self.rng.pick(USERS).to_owned()
        } else {
            format!("user{:05}.{}@example.com", self.rng.below(20_000), self.made % 97)
        }
    }
}

fn member(json: &mut String, name: &str, value: &str) {
    let value = serde_json::to_string(value).expect("a string is JSON");
    let _ = write!(json, "\"{name}\":{value},");
}

/// Writes a JSON string the long way: all but ASCII as `\u`, and slashes escaped.
fn escaped(value: &str) -> String {
    let plain = serde_json::to_string(value)
        .expect("a string is JSON")
        .replace('/', "\\/");
    let mut long = String::with_capacity(plain.len());
    for character in plain.chars() {
        if character.is_ascii() {
            long.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(long, "\\u{unit:04x}");
            }
        }
    }
    long
}

#[cfg(test)]
mod tests {
    use super::{Bulk, Mix, Report, RowMaker};

    fn history(report: Report, seed: u64) -> Vec<super::Row> {
        let bulk = Bulk {
            rows: 5_000,
            span_secs: 3 * 86_400,
            mix: Mix {
                seed,
                twin_percent: 2.0,
                ..Mix::default()
            },
        };
        RowMaker::new(report, seed)
            .history(bulk, "2026-03-04T12:00:00Z".parse().unwrap())
            .collect()
    }

    #[test]
    fn a_seed_tells_the_same_story_and_another_seed_another() {
        for report in Report::ALL {
            assert_eq!(history(report, 3), history(report, 3));
            assert_ne!(history(report, 3), history(report, 4));
        }
    }

    #[test]
    fn every_row_is_json_with_its_own_time_and_twins_are_two_in_a_hundred() {
        for report in Report::ALL {
            let rows = history(report, 9);
            for row in &rows {
                let again = super::Row::from_text(&row.json, None, jiff::Timestamp::MIN).unwrap();
                assert_eq!(&again, row);
            }
            assert!(rows.is_sorted_by_key(|row| row.at));
            let twins = rows.windows(2).filter(|pair| pair[0] == pair[1]).count();
            assert!(
                (60..160).contains(&twins),
                "{twins} twins in 5000 {report:?} rows at 2 percent"
            );
        }
    }

    #[test]
    fn arrivals_hold_twins_and_late_rows() {
        let now = "2026-03-04T12:00:00Z".parse().unwrap();
        let mix = Mix {
            twin_percent: 10.0,
            late_percent: 10.0,
            ..Mix::default()
        };
        let mut maker = RowMaker::new(Report::Operation, 5);
        let rows: Vec<super::Row> = (0..1_000).map(|_| maker.arrival(now, &mix)).collect();
        let late = rows.iter().filter(|row| row.at < now).count();
        assert!((50..250).contains(&late), "{late} late rows");
    }
}
