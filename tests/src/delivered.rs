//! What reached a destination, held against what Zoom owes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    path::Path,
    time::Duration,
};

use serde_json::Value;

use crate::{
    sim::{Report, World},
    wait,
};

/// Rows by exact text, with how often each is there.
pub type Multiset = BTreeMap<Vec<u8>, u64>;

/// One delivered event: Zoom's row to the byte, and our own object beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub row: Vec<u8>,
    /// Null where the destination delivers rows alone.
    pub zoom_log: Value,
}

impl Event {
    /// Takes one line or element apart.
    ///
    /// # Panics
    ///
    /// When it is not a JSON object, which no destination may ever receive.
    pub fn parse(line: &[u8]) -> Self {
        let Some(member) = find_member(line, "zoom_log") else {
            let whole: Value = serde_json::from_slice(line).unwrap_or_else(|error| bad_line(line, &error));
            assert!(
                whole.is_object(),
                "not an object: {}",
                String::from_utf8_lossy(line)
            );
            return Self {
                row: line.to_vec(),
                zoom_log: Value::Null,
            };
        };
        let row = [&line[..member.cut.start], &line[member.cut.end..]].concat();
        for text in [line, &row] {
            serde_json::from_slice::<Value>(text).unwrap_or_else(|error| bad_line(text, &error));
        }
        let zoom_log =
            serde_json::from_slice(&line[member.value]).unwrap_or_else(|error| bad_line(line, &error));
        Self { row, zoom_log }
    }
}

fn bad_line(line: &[u8], error: &serde_json::Error) -> Value {
    panic!("not one JSON object: {error}: {}", String::from_utf8_lossy(line))
}

/// Where a member of the outermost object stands.
struct Member {
    value: std::ops::Range<usize>,
    /// What to cut so that the object is as if the member had never been there.
    cut: std::ops::Range<usize>,
}

/// Finds a member of the outermost object by its name, without touching a byte of the rest.
fn find_member(line: &[u8], name: &str) -> Option<Member> {
    let mut depth = 0_u32;
    let mut in_string = false;
    let mut escaped = false;
    // The comma or brace before the current member.
    let mut before = line.iter().position(|byte| *byte == b'{')?;
    let mut colon = None;
    for (at, byte) in line.iter().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        let ends = depth == 1 && matches!(byte, b',' | b'}');
        if ends && let Some(colon) = colon.take() {
            let key: Option<String> = serde_json::from_slice(&line[before + 1..colon]).ok();
            if key.as_deref() == Some(name) {
                let cut = if line[before] == b',' {
                    before..at
                } else if *byte == b',' {
                    before + 1..at + 1
                } else {
                    before + 1..at
                };
                return Some(Member {
                    value: colon + 1..at,
                    cut,
                });
            }
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 1 && colon.is_none() => colon = Some(at),
            b',' if depth == 1 => before = at,
            _ => {}
        }
    }
    None
}

/// Reads the complete lines of a file destination; a file that is not there yet holds none.
///
/// # Panics
///
/// When a complete line is not one JSON object, or the file cannot be read.
pub fn read_file(path: &Path) -> Vec<Event> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => panic!("{}: {error}", path.display()),
    };
    // The last line may be half written while the engine is at it, or was when it was killed.
    let complete = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |last| last + 1);
    let lines = bytes[..complete]
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines.map(Event::parse).collect()
}

pub fn multiset(events: &[Event]) -> Multiset {
    let mut rows = Multiset::new();
    for event in events {
        *rows.entry(event.row.clone()).or_default() += 1;
    }
    rows
}

/// Returns what an account owes: the rows of both reports.
pub fn owed(zoom: &World, account: &str) -> Multiset {
    let mut rows = Multiset::new();
    for report in Report::ALL {
        for (row, times) in zoom.ledger(account, report) {
            *rows.entry(row).or_default() += times;
        }
    }
    rows
}

/// What is owed and missing, and what came that is not owed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    pub lost: Multiset,
    pub doubled: Multiset,
}

impl Difference {
    pub fn between(owed: &Multiset, delivered: &Multiset) -> Self {
        let surplus = |more: &Multiset, less: &Multiset| {
            let mut rows = Multiset::new();
            for (row, times) in more {
                let over = times.saturating_sub(less.get(row).copied().unwrap_or(0));
                if over > 0 {
                    rows.insert(row.clone(), over);
                }
            }
            rows
        };
        Self {
            lost: surplus(owed, delivered),
            doubled: surplus(delivered, owed),
        }
    }

    pub fn is_none(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, rows) in [("lost", &self.lost), ("doubled or foreign", &self.doubled)] {
            writeln!(f, "{} rows {what}", rows.values().sum::<u64>())?;
            for (row, times) in rows.iter().take(8) {
                writeln!(f, "  {times} x {}", String::from_utf8_lossy(row))?;
            }
        }
        Ok(())
    }
}

/// Holds that each event has an id of its own.
///
/// # Panics
///
/// When one has none, or that of another.
pub fn each_once(events: &[Event]) {
    let mut ids = BTreeSet::new();
    for event in events {
        let id = event.zoom_log["id"].as_str().expect("an event has an id");
        assert!(ids.insert(id), "an id came twice: {}", event.zoom_log);
    }
}

/// Holds that a file has each row that is owed, no other, and each event under an id of its own.
///
/// # Panics
///
/// When it has not.
pub fn is_just_what_is_owed(path: &Path, owed: &Multiset) {
    let events = read_file(path);
    let difference = Difference::between(owed, &multiset(&events));
    assert!(difference.is_none(), "{}: {difference}", path.display());
    each_once(&events);
}

/// Waits until a file holds exactly what an account owes.
///
/// # Panics
///
/// When it holds a row too many, at once, since that can never become right; or when rows are still missing at last.
pub async fn exactly(zoom: &World, account: &str, path: &Path, late: Duration) -> Vec<Event> {
    let mut seen_bytes = None;
    wait::until_now(late, "the file destination to hold what Zoom owes", || {
        let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
        let rows: u64 = Report::ALL
            .map(|report| zoom.row_count(account, report))
            .iter()
            .sum();
        // Reading and comparing is dear; nothing can have changed while both sizes stand still.
        if seen_bytes == Some((bytes, rows)) {
            return Err(format!("{bytes} bytes for {rows} rows owed, unchanged"));
        }
        // The file before the ledger: what arrives in between can only be missing.
        let events = read_file(path);
        let difference = Difference::between(&owed(zoom, account), &multiset(&events));
        assert!(difference.doubled.is_empty(), "{}: {difference}", path.display());
        if difference.is_none() {
            return Ok(events);
        }
        seen_bytes = Some((bytes, rows));
        Err(difference.to_string())
    })
    .await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Difference, Event, Multiset, each_once, is_just_what_is_owed};

    #[test]
    fn our_object_is_cut_out_and_the_row_stays_to_the_byte() {
        let cases = [
            (
                r#"{"a":"x,}\"","zoom_log":{"id":1,"b":[{}]}}"#,
                r#"{"a":"x,}\""}"#,
            ),
            (
                r#"{"zoom_log":{"id":1}, "a":"zoom_log" }"#,
                r#"{ "a":"zoom_log" }"#,
            ),
            (
                r#"{"a":{"zoom_log":2},"zoom_log":{"id":1},"b":[1, 2]}"#,
                r#"{"a":{"zoom_log":2},"b":[1, 2]}"#,
            ),
            (r#"{"zoom_log":{"id":1}}"#, r"{}"),
        ];
        for (line, row) in cases {
            let event = Event::parse(line.as_bytes());
            assert_eq!(String::from_utf8(event.row).unwrap(), row);
            assert_eq!(event.zoom_log["id"], 1);
        }
        let alone = r#"{"a":{"zoom_log":2} }"#;
        assert_eq!(
            Event::parse(alone.as_bytes()),
            Event {
                row: alone.into(),
                zoom_log: json!(null)
            }
        );
    }

    #[test]
    fn a_difference_counts_both_ways() {
        let rows = |list: &[(&str, u64)]| -> Multiset {
            list.iter()
                .map(|(row, times)| (row.as_bytes().to_vec(), *times))
                .collect()
        };
        let owed = rows(&[("twin", 2), ("gone", 1), ("same", 1)]);
        let delivered = rows(&[("twin", 1), ("same", 3)]);
        let difference = Difference::between(&owed, &delivered);
        assert_eq!(difference.lost, rows(&[("twin", 1), ("gone", 1)]));
        assert_eq!(difference.doubled, rows(&[("same", 2)]));
        assert!(difference.to_string().starts_with("2 rows lost\n  1 x gone\n"));
        assert!(Difference::between(&owed, &owed).is_none());
    }

    fn lines(lines: &[(&str, &str)]) -> tempfile::NamedTempFile {
        let lines = lines.iter();
        let lines =
            lines.map(|(row, id)| format!("{{\"row\":\"{row}\",\"zoom_log\":{{\"id\":\"{id}\"}}}}\n"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines.collect::<String>()).unwrap();
        file
    }

    #[test]
    fn twins_under_ids_of_their_own_are_what_is_owed() {
        let owed = Multiset::from([(br#"{"row":"twin"}"#.to_vec(), 2)]);
        is_just_what_is_owed(lines(&[("twin", "1"), ("twin", "2")]).path(), &owed);
    }

    #[test]
    #[should_panic(expected = "an id came twice")]
    fn an_id_that_came_twice_is_seen() {
        each_once(&super::read_file(lines(&[("a", "1"), ("b", "1")]).path()));
    }

    #[test]
    #[should_panic(expected = "1 rows lost")]
    fn a_lost_row_is_seen() {
        let owed = Multiset::from([(br#"{"row":"twin"}"#.to_vec(), 2)]);
        is_just_what_is_owed(lines(&[("twin", "1")]).path(), &owed);
    }
}
