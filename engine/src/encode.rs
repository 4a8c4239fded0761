//! An event as a destination gets it: one line of JSON. Pure.
//!
//! The row stands at the top level as Zoom sent it: all of its bytes, in their order and spacing. Behind its last
//! member comes one more, the object `zoom_log`:
//!
//! | member | what |
//! |---|---|
//! | `id` | the event's id, the same however often it is delivered |
//! | `source_id`, `source_name` | the source; the name as it is when the event is delivered |
//! | `log_type` | `Zoom.Operation` or `Zoom.Activity` |
//! | `labels` | the kinds of event it was found to be, never empty |
//! | `event_time` | the row's own time, `null` where it has none that can be read |
//! | `collected_at` | when it was collected |
//! | `occurrence` | its number among equal rows of its day, from 1 |
//! | `late_seconds` | only on an event that appeared late: how long after its own time it was collected |
//! | `detail` | what an operation changed, `{subject, changes: [{field, from, to}]}`, where its text has the usual form |
//!
//! Three kinds of row need a ruling:
//! * A row that is no object is wrapped: `{"zoom_row": <row>, "zoom_log": {…}}`.
//! * A row that has a member `zoom_log` of its own keeps it; ours is then called `zoom_log_`, with as many underscores
//!   as it takes. Nothing of Zoom's is ever overwritten.
//! * Line ends may stand between the tokens of JSON, and would cut a line in two. They are left out, with the spaces
//!   beside them. This is the one change to a row, and it is no change of its value.
//!
//! Without metadata the row is delivered alone.

mod detail;
mod instant;
mod same;

use std::{fmt::Write as _, sync::LazyLock};

use bytes::Bytes;
use engine_api::LogType;
use memchr::memmem::Finder;

use self::same::Same;
use crate::model::{
    Event, EventIds, FeedKey,
    scan::{self, Scanner},
};

const MEMBER: &str = "zoom_log";

/// Where events come from, and what that writes into each of them.
#[derive(Debug, Clone)]
pub struct Origin {
    ids: EventIds,
    log_type: LogType,
    /// What stands between an event's id and its labels.
    named: String,
}

impl Origin {
    /// A feed, of a source with this name.
    pub fn new(feed: &FeedKey, source_name: &str) -> Self {
        // Ids and log types need no escapes.
        let mut named = format!(r#"","source_id":"{}","source_name":"#, feed.source);
        quote(source_name, &mut named);
        named.push_str(r#","log_type":""#);
        named.push_str(feed.log_type.delivered_as());
        named.push_str(r#"","labels":["#);
        Self {
            ids: EventIds::of(feed),
            log_type: feed.log_type,
            named,
        }
    }
}

/// Encoded events, each ended by a line feed.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    text: String,
    ends: Vec<usize>,
    same: Same,
}

impl Lines {
    /// None yet, with room for about so many bytes and events.
    pub fn with_capacity(bytes: usize, events: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            ends: Vec::with_capacity(events),
            ..Self::default()
        }
    }

    /// Adds an event; answers how many bytes its line takes, the line feed included.
    pub fn push(&mut self, event: &Event<'_>, origin: &Origin, metadata: bool) -> usize {
        let start = self.text.len();
        encode(event, origin, metadata, &mut self.same, &mut self.text);
        self.text.push('\n');
        self.ends.push(self.text.len());
        self.text.len() - start
    }

    /// Adds what is JSON on one line already.
    pub fn push_line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        self.ends.push(self.text.len());
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many bytes all of them take.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The first `count` of them, as bytes and where each ends.
    pub fn take(mut self, count: usize) -> (Bytes, Vec<usize>) {
        self.ends.truncate(count);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
        (self.text.into(), self.ends)
    }
}

/// Writes one event as JSON on one line, without a line feed behind it.
fn encode(event: &Event<'_>, origin: &Origin, metadata: bool, same: &mut Same, out: &mut String) {
    let row = event.row.trim_matches(is_space);
    if !metadata {
        return one_line(row, out);
    }
    if let Some(inner) = row.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
        out.push('{');
        one_line(inner, out);
        if !inner.trim_matches(is_space).is_empty() {
            out.push(',');
        }
        out.push('"');
        out.push_str(MEMBER);
        out.extend(std::iter::repeat_n('_', underscores(row)));
        out.push_str("\":");
    } else {
        out.push_str("{\"zoom_row\":");
        one_line(row, out);
        out.push_str(",\"zoom_log\":");
    }
    about(event, origin, same, out);
    out.push('}');
}

fn about(event: &Event<'_>, origin: &Origin, same: &mut Same, out: &mut String) {
    out.push_str(r#"{"id":""#);
    origin.ids.id(event.day, event.hash, event.occurrence).write(out);
    out.push_str(&origin.named);
    out.push_str(same.labels(event.labels));
    out.push_str("],\"event_time\":");
    match event.time {
        Some(time) => same.instant(time, out),
        None => out.push_str("null"),
    }
    out.push_str(",\"collected_at\":");
    out.push_str(same.collected_at(event.collected_at));
    out.push_str(",\"occurrence\":");
    match event.occurrence {
        1 => out.push('1'),
        // Writing to a string cannot fail.
        occurrence => _ = write!(out, "{occurrence}"),
    }
    if let Some(time) = event.time.filter(|_| event.late) {
        let late = event.collected_at.duration_since(time).as_secs().max(0);
        let _ = write!(out, r#","late_seconds":{late}"#);
    }
    if origin.log_type == LogType::Operation
        && let Some(at) = event.detail_at
        && let Some(detail) = event.row.get(at as usize..)
    {
        detail::member(detail, out);
    }
    out.push('}');
}

fn quote(text: &str, out: &mut String) {
    if scan::is_plain(text) {
        out.push('"');
        out.push_str(text);
        out.push('"');
        return;
    }
    // A string always has a JSON form.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\r')
}

/// Copies JSON without the line ends in it. Inside a JSON string a line end is always escaped, so each one found
/// stands between two tokens, and so does the white space beside it.
fn one_line(json: &str, out: &mut String) {
    let mut rest = json;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest.as_bytes()) {
        out.push_str(rest[..at].trim_end_matches(is_space));
        rest = rest[at..].trim_start_matches(is_space);
    }
    out.push_str(rest);
}

/// How many underscores our member's name needs, so that the row has no member of that name.
fn underscores(row: &str) -> usize {
    // A name can also be written with escapes; rows with neither are nearly all, and need no look inside.
    static OURS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MEMBER));
    let escaped = memchr::memchr(b'\\', row.as_bytes()).is_some() && row.contains("\\u");
    if !escaped && OURS.find(row.as_bytes()).is_none() {
        return 0;
    }
    let names = names(row).unwrap_or_default();
    let taken = |count: &usize| {
        names.iter().any(|name| {
            name.strip_prefix(MEMBER)
                .is_some_and(|rest| rest.len() == *count && rest.bytes().all(|byte| byte == b'_'))
        })
    };
    (0..=names.len())
        .find(|count| !taken(count))
        .unwrap_or(names.len())
}

/// The names of an object's members.
fn names(row: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut scanner = Scanner::new(row);
    scanner.object(|name, scanner| {
        names.push(name.to_owned());
        scanner.value().map(drop)
    })?;
    scanner.is_at_end().then_some(names)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{Day, Row, RowHash};

    fn feed() -> FeedKey {
        FeedKey {
            source: engine_api::SourceId::from_bytes([7; 16]),
            log_type: LogType::Operation,
        }
    }

    fn detail_at(row: &str) -> Option<u32> {
        Row::parse(LogType::Operation, row).detail_at()
    }

    fn encoded(row: &str, metadata: bool) -> String {
        let feed = feed();
        let event = Event {
            hash: RowHash([1; 12]),
            day: Day::from_number(20_000),
            occurrence: 2,
            time: Some("2026-01-31T10:00:00Z".parse().unwrap()),
            late: false,
            collected_at: "2026-01-31T10:01:02.345Z".parse().unwrap(),
            labels: "billing,sso",
            row,
            detail_at: detail_at(row),
        };
        let mut out = String::new();
        encode(
            &event,
            &Origin::new(&feed, "My \"Zoom\" logs"),
            metadata,
            &mut Same::default(),
            &mut out,
        );
        out
    }

    #[test]
    fn the_row_is_kept_and_one_member_is_added() {
        let line = encoded(r#"{ "b" : 1.0, "a":"x\n" , "b":2 }"#, true);
        let (row, ours) = line.split_once(r#","zoom_log":"#).unwrap();
        assert_eq!(row, r#"{ "b" : 1.0, "a":"x\n" , "b":2 "#);
        let ours: Value = serde_json::from_str(ours.strip_suffix('}').unwrap()).unwrap();
        let id = ours["id"].as_str().unwrap().to_owned();
        assert!(id.starts_with("evt_"), "{id}");
        assert_eq!(
            ours,
            json!({
                "id": id,
                "source_id": feed().source,
                "source_name": "My \"Zoom\" logs",
                "log_type": "Zoom.Operation",
                "labels": ["billing", "sso"],
                "event_time": "2026-01-31T10:00:00Z",
                "collected_at": "2026-01-31T10:01:02.345Z",
                "occurrence": 2,
            })
        );
    }

    #[test]
    fn what_was_changed_is_told_beside_the_row() {
        let row = r#"{"operation_detail":"Change Role  - jo@example.com: from User to Co-Owner"}"#;
        let line: Value = serde_json::from_str(&encoded(row, true)).unwrap();
        assert_eq!(
            line["zoom_log"]["detail"],
            json!({
                "subject": "Change Role",
                "changes": [{"field": "jo@example.com", "from": "User", "to": "Co-Owner"}],
            })
        );
        assert_eq!(encoded(row, true), encoded(row, true));
        assert_eq!(encoded(row, false), row);
    }

    #[test]
    fn a_row_of_another_shape_gets_its_ruling() {
        for (row, start) in [
            ("{}", r#"{"zoom_log":{"#),
            ("{ }", r#"{ "zoom_log":{"#),
            ("[1, 2]", r#"{"zoom_row":[1, 2],"zoom_log":{"#),
            ("\"}\"", r#"{"zoom_row":"}","zoom_log":{"#),
            ("null", r#"{"zoom_row":null,"zoom_log":{"#),
            (r#"{"zoom_log":1}"#, r#"{"zoom_log":1,"zoom_log_":{"#),
            (
                r#"{"zoom\u005flog":1,"zoom_log_":2}"#,
                r#"{"zoom\u005flog":1,"zoom_log_":2,"zoom_log__":{"#,
            ),
            (r#"{"a":"zoom_log"}"#, r#"{"a":"zoom_log","zoom_log":{"#),
            (
                "{\n  \"a\" : 1,\r\n  \"b\":\t\"x  y\"\n}",
                r#"{"a" : 1,"b":	"x  y","zoom_log":{"#,
            ),
        ] {
            let line = encoded(row, true);
            assert!(line.starts_with(start), "{row} became {line}");
        }
    }

    #[test]
    fn without_metadata_the_row_is_alone() {
        let row = r#"{ "a" :1e400, "zoom_log":[ ]}"#;
        assert_eq!(encoded(row, false), row);
        assert_eq!(encoded("{\n\"a\":1}", false), "{\"a\":1}");
    }

    #[test]
    fn lines_are_taken_from_the_front() {
        let feed = feed();
        let mut lines = Lines::default();
        for row in ["1", "22", "333"] {
            let event = Event {
                hash: RowHash([1; 12]),
                day: Day::UNDATED,
                occurrence: 1,
                time: None,
                late: false,
                collected_at: Timestamp::UNIX_EPOCH,
                labels: "unclassified",
                row,
                detail_at: None,
            };
            assert_eq!(lines.push(&event, &Origin::new(&feed, ""), false), row.len() + 1);
        }
        assert_eq!((lines.len(), lines.bytes()), (3, 9));
        let (bytes, ends) = lines.take(2);
        assert_eq!((&bytes[..], &ends[..]), (&b"1\n22\n"[..], &[2, 5][..]));
    }

    #[test]
    fn a_line_is_the_same_whatever_stood_before_it() {
        let origin = Origin::new(&feed(), "logs");
        let event = |labels, second| Event {
            hash: RowHash([1; 12]),
            day: Day::UNDATED,
            occurrence: 1,
            time: None,
            late: false,
            collected_at: Timestamp::from_second(second).unwrap(),
            labels,
            row: "{}",
            detail_at: None,
        };
        let mut all = Lines::default();
        for labels in ["sso", "sso,billing", "sso,billing", "sso"] {
            for second in [1, 1, 2, 1] {
                let start = all.bytes();
                all.push(&event(labels, second), &origin, true);
                let mut alone = Lines::default();
                alone.push(&event(labels, second), &origin, true);
                assert_eq!(all.text[start..], alone.text);
            }
        }
    }

    /// JSON of every shape, with the white space that pretty printers write.
    fn any_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        let name = prop_oneof!["zoom_log_{0,3}", ".{0,6}"];
        let value = leaf.prop_recursive(3, 24, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(name.clone(), inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        });
        (value, any::<bool>(), any::<bool>()).prop_map(|(value, pretty, returns)| {
            let text = if pretty {
                serde_json::to_string_pretty(&value)
            } else {
                serde_json::to_string(&value)
            }
            .unwrap();
            if returns { text.replace('\n', "\r\n") } else { text }
        })
    }

    proptest! {
        #[test]
        fn every_event_is_one_line_of_json_that_gives_the_row_back(row in any_json()) {
            let wanted: Value = serde_json::from_str(&row).unwrap();
            let line = encoded(&row, true);
            prop_assert!(!line.contains(['\n', '\r']));
            let mut read: Value = serde_json::from_str(&line).unwrap();
            let members = read.as_object_mut().unwrap();
            let ours = (0..9).rev().map(|count| format!("zoom_log{}", "_".repeat(count)));
            let added: Vec<_> = ours.filter(|name| members.contains_key(name) && wanted.get(name).is_none()).collect();
            prop_assert_eq!(added.len(), 1);
            members.remove(&added[0]);
            if wanted.is_object() {
                prop_assert_eq!(read, wanted);
            } else {
                prop_assert_eq!(read, json!({ "zoom_row": wanted }));
            }
            let alone = encoded(&row, false);
            prop_assert!(!alone.contains(['\n', '\r']));
            prop_assert_eq!(serde_json::from_str::<Value>(&alone).unwrap(), serde_json::from_str::<Value>(&row).unwrap());
        }

        #[test]
        fn a_row_without_line_ends_is_kept_byte_for_byte(row in any_json().prop_filter("line ends", |row| !row.contains('\n'))) {
            prop_assert_eq!(encoded(&row, false), row.as_str());
            let line = encoded(&row, true);
            let kept = row.strip_suffix('}').unwrap_or(&row);
            prop_assert!(line.contains(kept));
        }
    }
}
