//! Case 11: rows with a missing operator or action, trailing spaces, hyphens, `" - "` in names, an empty `set to `,
//! odd times, members that nobody knows.
//!
//! Panther's helpers split such details at the wrong places; here every row is delivered as it is, to the byte, and
//! with the labels that its words have.

use std::collections::{BTreeMap, BTreeSet};

use e2e::{
    delivered::Multiset,
    sim::{Report, Row},
    wait,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{ACCOUNT, Case, LATE, feed};

/// Rows of which each breaks a reader that somebody has written, with the label that must be on it.
fn operations(time: &str) -> Vec<(String, Option<&'static str>)> {
    let row = |category: &str, detail: &str| {
        format!(
            r#"{{"time":"{time}","operator":"a@example.com","category_type":"{category}","action":"Update","operation_detail":"{detail}"}}"#
        )
    };
    vec![
        (
            row("User Group", "Edit Group Recruiting "),
            Some("account_settings"),
        ),
        (
            row("User", "Change Role  - jo@example.com: from Member to Co-Owner"),
            Some("role_and_license"),
        ),
        (
            row(
                "Account",
                "Security  - Sign-In Password Requirement: set to  - Name - with dashes: from a - b to c",
            ),
            Some("account_settings"),
        ),
        (
            row(
                "Account",
                "Cloud Recording  - Cloud Storage Retention: set to  - Name: from x to y",
            ),
            Some("account_settings"),
        ),
        (
            format!(
                r#"{{"time":"{time}","category_type":"Billing","operation_detail":"Update Subscription"}}"#
            ),
            Some("billing"),
        ),
        (
            format!(r#"{{"time":"{time}","operator":null,"action":null}}"#),
            Some("unclassified"),
        ),
        (
            format!(r#"{{ "action" : "Update" ,  "time":"{time}" , "more": [1, {{"deep": null}}] }}"#),
            None,
        ),
        (
            format!(r#"{{"operation_detail":"\u00e9\/ \ud83d\ude00 \"quoted\"","time":"{time}"}}"#),
            None,
        ),
    ]
}

#[tokio::test]
async fn rows_that_break_readers_arrive_to_the_byte_and_labelled() {
    let mut case = Case::begin().await;
    let operations = operations(&format!("{:.0}", case.ago(SignedDuration::from_mins(5))));
    for (row, _) in &operations {
        case.sim().add_text(ACCOUNT, Report::Operation, row);
    }
    let time = format!("{:.0}", case.now());
    for row in [
        format!(r#"{{"time":"{time}","type":"Sign in"}}"#),
        format!(
            r#"{{"time":"{time}","email":"a@example.com","ip_address":"2001:db8::1","client_type":"OS","version":"-"}}"#
        ),
    ] {
        case.sim().add_text(ACCOUNT, Report::Activity, &row);
    }
    case.collect(json!({})).await;
    let events = case.settle_for_good().await;
    let labels: BTreeMap<&[u8], &Value> = events
        .iter()
        .map(|event| (&*event.row, &event.zoom_log["labels"]))
        .collect();
    for (row, label) in &operations {
        let on_it = labels[row.as_bytes()].as_array().unwrap();
        if let Some(label) = label {
            assert!(on_it.contains(&json!(label)), "{on_it:?} on {row}");
        }
    }
}

/// Times of every form, and of none; the one from the future does not drag the watermark along.
#[tokio::test]
async fn rows_with_odd_times_arrive_as_they_are() {
    let mut case = Case::begin().await;
    let time = format!("{:.0}", case.now());
    let tomorrow = case.now() + SignedDuration::from_hours(24);
    let spaced = time.replace('T', " ").replace('Z', "");
    let operation =
        |detail: &str, time: &str| format!(r#"{{"operation_detail":"{detail}","time":"{time}"}}"#);
    for text in [
        format!(r#"{{"time":"{time}"}}"#),
        operation("fraction", &time.replace('Z', ".0000000+00:00")),
        operation("offset", &time.replace('Z', "+00:00")),
        operation("spaced", &spaced),
        operation("nonsense", "yesterday, after lunch"),
        operation("from the future", &format!("{tomorrow:.0}")),
        r#"{"operation_detail":"no time at all","n":1e3}"#.to_owned(),
        r#"{"operation_detail":"no time at all","n":1e3}"#.to_owned(),
        format!(r#"{{"zoom_log":"Zoom's own","time":"{time}"}}"#),
    ] {
        let row = Row::from_text(&text, Some(case.now()), case.now()).unwrap();
        case.sim().add_rows(ACCOUNT, Report::Operation, [row]);
    }
    // Rows alone, since one of them has a member of our name.
    let destination = json!({"name": "lake", "file": {"path": "lake"}, "metadata": false});
    let destination = case.engine().create("destinations", destination).await;
    case.source = case.stage.source(&[&destination], json!({})).await;
    let owed = e2e::delivered::owed(case.sim(), ACCOUNT);
    let arrived = wait::until_now(LATE, "the odd rows", || {
        let text = std::fs::read(&case.lake).unwrap_or_default();
        let mut lines = Multiset::new();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            *lines.entry(line.to_vec()).or_default() += 1;
        }
        let over: BTreeSet<_> = lines
            .iter()
            .filter(|(row, times)| owed.get(*row).is_none_or(|owed| owed < *times))
            .collect();
        assert!(over.is_empty(), "too often: {}", String::from_utf8_lossy(&text));
        if lines == owed {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&text).into_owned())
        }
    });
    case.polling(arrived).await;
    let status = case.status(|status| status["health"] == "ok").await;
    let watermark: Timestamp = feed(&status, Report::Operation)["watermark"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(watermark <= case.now(), "{status:#}");
}
