use serde_json::{Value, json};

use super::*;
use crate::{database::Database, store::testing::Fixture};

fn given(text: &str, log_type: LogType) -> Result<Value, String> {
    let mut out = Vec::new();
    let labeller = Labeller::default();
    test_given(
        &labeller,
        ("rows", text.as_bytes()),
        log_type,
        Output::Json,
        &mut out,
    )
    .map_err(|error| error.to_string())?;
    Ok(serde_json::from_slice(&out).unwrap())
}

#[test]
fn rows_are_read_in_every_form_in_which_they_lie_about() {
    let row = r#"{"category_type":"Billing","operation_detail":"x"}"#;
    let delivered = r#"{"email":"a@b.c","zoom_log":{"log_type":"Zoom.Activity"}}"#;
    for (text, types) in [
        (format!("{row}\n\n{row}\n"), &["operation", "operation"][..]),
        (
            format!("{{\n\"operation_logs\":\n[{row},{row}],\"next_page_token\":\"\"}}"),
            &["operation", "operation"],
        ),
        (
            "{\"activity_logs\":[{},{}]}".to_owned(),
            &["activity", "activity"],
        ),
        (format!("[{row}] {delivered}"), &["operation", "activity"]),
        (
            "{\"operation_logs\":7} 7 null".to_owned(),
            &["operation", "operation", "operation"],
        ),
        (String::new(), &[]),
    ] {
        let report = given(&text, LogType::Operation).unwrap();
        let told: Vec<_> = report["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["log_type"].clone())
            .collect();
        assert_eq!(json!(told), json!(types), "{text}");
        assert_eq!(report["summary"]["rows"], types.len());
    }
    assert_eq!(
        given(row, LogType::Activity).unwrap()["rows"][0]["labels"],
        json!(["unclassified"])
    );
    let error = given(&format!("{row}\n{{\"a\":"), LogType::Operation).unwrap_err();
    assert!(
        error.starts_with("rows:2: ") && error.contains("JSON Lines"),
        "{error}"
    );
}

#[test]
fn what_matches_what_is_shown() {
    let text = r#"{"category_type":"Account","action":"Update","operation_detail":"Sign-in Methods  - Allow users to sign in with Google: from Off to On"}
        {"category_type":"Channels","action":"Update","operation_detail":"x\u001b[31m"}"#;
    let report = given(text, LogType::Operation).unwrap();
    let rules = json!([
        {"id": "sso.sign_in_methods", "label": "sso", "matched": [{"condition": "detail_contains", "word": "sign in methods"}]},
        {"id": "account_settings.category", "label": "account_settings", "matched": [{"condition": "category", "word": "account"}]},
    ]);
    assert_eq!(report["rows"][0]["rules"], rules);
    let summary = &report["summary"];
    assert_eq!(
        summary["labels"],
        json!({"sso": 1, "account_settings": 1, "role_and_license": 0, "billing": 0, "unclassified": 1})
    );
    let never = summary["rules_without_match"].as_array().unwrap();
    assert!(never.contains(&json!("billing.category")) && !never.contains(&json!("sso.sign_in_methods")));

    let mut out = Vec::new();
    test_given(
        &Labeller::default(),
        ("rows", text.as_bytes()),
        LogType::Operation,
        Output::Text,
        &mut out,
    )
    .unwrap();
    let told = String::from_utf8(out).unwrap();
    assert!(told.starts_with("1 operation: sso, account_settings\n"), "{told}");
    assert!(
        told.contains("    sso.sign_in_methods: detail_contains `sign in methods`\n"),
        "{told}"
    );
    assert!(
        !told.contains('\u{1b}') && told.contains("       1 unclassified\n"),
        "{told}"
    );
}

#[tokio::test]
async fn stored_rows_are_tested_beside_a_running_engine() {
    let fixture = Fixture::new().await;
    let (first, feeds) = fixture.source(1, json!({ "name": "one" })).await;
    let (_, others) = fixture.source(2, json!({ "name": "two" })).await;
    let row =
        |number: u32, category: &str| format!(r#"{{"category_type":"{category}","action":"{number}"}}"#);
    for number in 0..4 {
        let rows = [row(number * 2, "SSO"), row(number * 2 + 1, "Billing")];
        fixture.append(feeds[0], &[&rows[0], &rows[1]]).await;
        fixture.time.advance(std::time::Duration::from_mins(1));
    }
    fixture.append(others[1], &["{}"]).await;
    let file = fixture.dir.path().join("engine.db");
    let told = async |source: Option<&str>, sample| {
        let stored = Stored {
            database: Database::Sqlite(file.clone()),
            source: source.map(str::to_owned),
            log_type: None,
            sample,
        };
        let mut out = Vec::new();
        let tested = test_stored(&Labeller::default(), &stored, Output::Json, &mut out).await;
        tested.map_err(|error| error.to_string())?;
        let report: Value = serde_json::from_slice(&out).unwrap();
        let actions = report["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["action"].as_str().unwrap().to_owned());
        Ok::<_, String>((
            actions.collect::<Vec<_>>(),
            report["summary"]["collected_otherwise"].clone(),
        ))
    };
    let all = Sample {
        last: None,
        since: None,
    };
    assert_eq!(told(None, all).await.unwrap().0.len(), 9);
    let three = Sample {
        last: Some(3),
        since: None,
    };
    // The fixture labels by the text `billing`, in small letters, so all of these count as `sso`.
    assert_eq!(
        told(Some("one"), three).await.unwrap(),
        (vec!["5".to_owned(), "6".into(), "7".into()], json!(2))
    );
    assert_eq!(told(Some(first.as_str()), three).await.unwrap().0.len(), 3);
    let since = Sample {
        last: None,
        since: Some(fixture.now() - jiff::SignedDuration::from_secs(130)),
    };
    assert_eq!(told(Some("one"), since).await.unwrap().0, ["4", "5", "6", "7"]);
    assert_eq!(told(Some("two"), all).await.unwrap().0, [""]);
    let error = told(Some("three"), all).await.unwrap_err();
    assert!(error.contains("no source with the id or name `three`"), "{error}");

    let none = fixture.dir.path().join("none.db");
    let missing = Stored {
        database: Database::Sqlite(none.clone()),
        source: None,
        log_type: None,
        sample: all,
    };
    let error = test_stored(&Labeller::default(), &missing, Output::Json, &mut Vec::new())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("none.db"), "{error}");
    assert!(!none.exists(), "nothing is made");
}

#[test]
fn rules_are_shown_in_the_form_in_which_they_are_read() {
    let mut out = Vec::new();
    write_rules(&Labeller::default(), &mut out).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.toml");
    std::fs::write(&file, out).unwrap();
    let read = crate::config::Labels::load(&file).unwrap().labeller;
    assert_eq!(read.rules(), Labeller::default().rules());
}

#[tokio::test]
async fn a_stored_only_that_names_a_label_of_no_rule_is_told() {
    let fixture = Fixture::new().await;
    let only = |labels: Value| json!({"file": {"path": "x"}, "only": {"labels": labels}});
    fixture.destination(1, only(json!(["sso", "unclassified"]))).await;
    let partly = fixture.destination(2, only(json!(["sso", "gone"]))).await;
    fixture.destination(3, only(json!(["gone"]))).await;
    fixture.destination(4, json!({"file": {"path": "y"}})).await;
    let warnings = unknown(&fixture.store, &Labeller::default()).await.unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for text in ["`gone`", partly.as_str(), "labels.rules", "labels.disabled"] {
        assert!(warnings[0].contains(text), "{text}: {warnings:?}");
    }
    assert!(!warnings[0].contains("no event at all") && warnings[1].contains("no event at all"));
}
