//! Labels as users meet them: a destination's subset in Terraform, rules of their own, and the command that tries
//! them out.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use e2e::{
    binaries::Binary,
    delivered,
    process::{Process, Ran},
    sim::Report,
    wait,
};
use serde_json::{Value, json};

use super::{ACCOUNT, LATE, PROVIDER, Stage};

const RULES: &str = r#"
[[labels.rules]]
id = "users.deleted"
label = "user_deleted"
category = ["User"]
action_contains = ["delete"]
"#;

fn rows() -> Vec<String> {
    let time = format!("{:.0}", jiff::Timestamp::now());
    [
        ("Account", "Update", "Single Sign-On  - Vanity URL: from a to b"),
        ("User Group", "Update", "Edit Group Recruiting "),
        ("User", "Delete", "Delete User example@example.com"),
        ("Billing", "Update", "Update billing contact information"),
    ]
    .map(|(category, action, detail)| {
        format!(
            r#"{{"action":"{action}","category_type":"{category}","operation_detail":"{detail}","time":"{time}"}}"#
        )
    })
    .to_vec()
}

/// The categories of what a file of the engine holds.
fn categories(path: &Path) -> BTreeSet<String> {
    let events = delivered::read_file(path);
    let row = |event: &delivered::Event| serde_json::from_slice::<Value>(&event.row).unwrap();
    let category = |row: Value| row["category_type"].as_str().unwrap_or_default().to_owned();
    events.iter().map(|event| category(row(event))).collect()
}

fn hcl(only: &str) -> String {
    format!(
        r#"{PROVIDER}
resource "zoom_log_destination" "all" {{
  name = "all"
  file = {{ path = "all" }}
}}

resource "zoom_log_destination" "watch" {{
  name = "watch"
  file = {{ path = "watch" }}
  {only}
}}

resource "zoom_log_source" "corp" {{
  name            = "My Zoom logs"
  account_id      = "{ACCOUNT}"
  client_id       = "cid"
  client_secret   = var.zoom_client_secret
  poll_interval   = "15s"
  destination_ids = [zoom_log_destination.all.id, zoom_log_destination.watch.id]
}}
"#
    )
}

#[tokio::test]
async fn a_destination_gets_the_subset_that_it_declares() {
    let stage = Stage::set().await;
    for row in rows() {
        stage.sim.add_text(ACCOUNT, Report::Operation, &row);
    }
    stage.sim.add_text(
        ACCOUNT,
        Report::Activity,
        &format!(
            r#"{{"email":"a@example.com","time":"{:.0}"}}"#,
            jiff::Timestamp::now()
        ),
    );
    let terraform = stage.terraform();

    // A label that the engine cannot add is refused where it stands; an empty list already by the plan.
    terraform.write("main.tf", &hcl(r#"only = { labels = ["sso", "ssso"] }"#));
    let errors = serde_json::to_string(&terraform.failing_apply().await).unwrap();
    assert!(
        errors.contains("ssso") && errors.contains("account_settings"),
        "{errors}"
    );
    terraform.write("main.tf", &hcl("only = { labels = [] }"));
    let errors = serde_json::to_string(&terraform.failing_apply().await).unwrap();
    assert!(errors.contains("would leave out every event"), "{errors}");

    terraform.write(
        "main.tf",
        &hcl(r#"only = { log_types = ["operation"], labels = ["sso"] }"#),
    );
    terraform.apply().await;
    terraform.assert_settled().await;
    let watch = "zoom_log_destination.watch";
    let attributes = terraform.attributes(watch).await;
    assert_eq!(
        attributes["only"],
        json!({"labels": ["sso"], "log_types": ["operation"]})
    );
    let source = terraform.attributes("zoom_log_source.corp").await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let id = attributes["id"].as_str().unwrap().to_owned();

    let all = stage.engine.out("all");
    stage
        .while_polling(&source, delivered::exactly(&stage.sim, ACCOUNT, &all, LATE))
        .await;
    let status = format!("/v1/destinations/{id}/status");
    wait::until(LATE, "everything to be passed", async || {
        let status = stage.engine.get(&status).await;
        if status["pending_events"] == 0 {
            Ok(())
        } else {
            Err(status.to_string())
        }
    })
    .await;
    let file = stage.engine.out("watch");
    assert_eq!(categories(&file), BTreeSet::from(["Account".to_owned()]));
    let metrics = stage
        .engine
        .ask(reqwest::Method::GET, "/metrics", None)
        .await
        .text();
    let line = format!("zoom_log_engine_destination_events_left_out_total{{destination=\"{id}\"}} 4");
    assert!(metrics.contains(&line), "{metrics}");

    // Changed behind Terraform's back, it is drift and put right.
    stage
        .engine
        .change("destinations", &id, |spec| {
            spec["only"]["labels"] = json!(["sso", "billing"]);
        })
        .await;
    let plan = terraform.plan().await;
    let change = plan.only_change();
    assert_eq!(change.address, watch);
    assert_eq!(change.before["only"]["labels"], json!(["billing", "sso"]));
    terraform.apply().await;
    terraform.assert_settled().await;

    // Taken out, it delivers everything that comes from now on.
    terraform.write("main.tf", &hcl(""));
    terraform.apply().await;
    terraform.assert_settled().await;
    stage.sim.add_text(ACCOUNT, Report::Operation, &rows()[1]);
    let arrived = wait::until_now(LATE, "the next event", || {
        let found = categories(&file);
        if found.contains("User Group") {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
    stage.while_polling(&source, arrived).await;
    terraform.destroy().await;
}

async fn labels(data: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(Binary::Engine.path());
    command
        .arg("labels")
        .args(arguments)
        .env_clear()
        .env("ZOOM_LOG_ENGINE__DATA_DIR", data);
    Process::spawn("labels", &mut command).finish(LATE).await
}

#[tokio::test]
async fn rules_are_tried_out_on_given_rows() {
    let data = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = data.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let body = file(
        "body.json",
        &format!("{{\"operation_logs\": [\n{}\n]}}", rows().join(",\n")),
    );
    let lines = file("rows.ndjson", &rows().join("\n"));
    let rules = file("rules.toml", RULES);

    let ran = labels(data.path(), &["test", &lines]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    for part in [
        "1 operation: sso, account_settings\n",
        "    sso.words: detail_contains `single sign on`, detail_contains `vanity url*`\n",
        "3 operation: unclassified\n",
        "4 rows\n",
        "rules that matched nothing: ",
    ] {
        assert!(ran.stdout.contains(part), "{part}\n{}", ran.all());
    }

    let ran = labels(
        data.path(),
        &["test", "--rules", &rules, "--output", "json", &body],
    )
    .await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["summary"]["labels"]["user_deleted"], 1);
    assert_eq!(report["summary"]["labels"]["unclassified"], 0);
    assert_eq!(report["rows"][2]["rules"][0]["id"], "users.deleted");

    let wrong = file("wrong.toml", &RULES.replace("action_contains", "action_contain"));
    let ran = labels(data.path(), &["test", "--rules", &wrong, &lines]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    assert!(
        ran.stderr
            .contains("wrong.toml:6: `labels.rules[0].action_contain`"),
        "{}",
        ran.all()
    );
    let cut = file("cut.ndjson", "{}\n{\"a\":");
    let ran = labels(data.path(), &["test", &cut]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    assert!(ran.stderr.contains("cut.ndjson:2: "), "{}", ran.all());
    let ran = labels(data.path(), &["test", "--log-type", "sign-ins", &lines]).await;
    assert_eq!(ran.code, Some(2), "{}", ran.all());

    let ran = labels(data.path(), &["rules", "--rules", &rules]).await;
    assert!(ran.stdout.contains("id = \"users.deleted\"") && ran.stdout.contains("id = \"sso.words\""));
    assert_eq!(
        fs::read_dir(data.path()).unwrap().count(),
        5,
        "the command makes nothing"
    );
}

#[tokio::test]
async fn stored_rows_are_tested_while_the_engine_runs() {
    let stage = Stage::set().await;
    for row in rows() {
        stage.sim.add_text(ACCOUNT, Report::Operation, &row);
    }
    let source = stage.source_to_file("lake", json!({})).await;
    let lake = stage.engine.out("lake");
    stage
        .while_polling(&source, delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE))
        .await;

    let data = stage.engine.data_dir();
    let rules = data.join("rules.toml");
    fs::write(&rules, RULES).unwrap();
    let rules = rules.to_string_lossy();
    let ran = labels(
        data,
        &[
            "test",
            "--rules",
            &rules,
            "--source",
            "My Zoom logs",
            "--output",
            "json",
        ],
    )
    .await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["summary"]["rows"], 4);
    assert_eq!(
        report["summary"]["collected_otherwise"], 1,
        "only one rule was added: {report:#}"
    );
    let deleted = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["category_type"] == "User");
    assert_eq!(deleted.unwrap()["collected_as"], json!(["unclassified"]));
    let ran = labels(data, &["test", "--source", &source, "--last", "2"]).await;
    assert!(ran.stdout.contains("\n2 rows\n"), "{}", ran.all());
    let ran = labels(data, &["test", "--source", "nobody"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{}", ran.all());
    assert!(ran.stderr.contains("`nobody`"), "{}", ran.all());
    stage.engine.get(&format!("/v1/sources/{source}/status")).await;
}
