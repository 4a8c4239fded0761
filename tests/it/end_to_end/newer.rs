//! What only newer versions of Terraform can do, each where the version that is installed has it; and what an older one
//! is told.

use std::fs;

use e2e::{
    delivered,
    terraform::{Feature, lacks, version},
};
use serde_json::{Value, json};

use super::{ACCOUNT, Applied, CHANNEL, HOOK, LAKE, LATE, PROVIDER, SOURCE, Stage};

/// Returns a text without the frame and the line breaks of a diagnostic.
fn flat(text: &str) -> String {
    let words = text
        .split_whitespace()
        .filter(|word| !matches!(*word, "│" | "╷" | "╵"));
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_secret_in_the_configuration_needs_write_only_attributes_and_a_reference_does_not() {
    let stage = Stage::set().await;
    let terraform = stage.terraform();
    let source = |secret: &str| {
        let rest = "  name = \"corp\"\n  account_id = \"abc123\"\n  client_id = \"cid\"\n  verify = false\n";
        format!("{PROVIDER}\nresource \"zoom_log_source\" \"corp\" {{\n{rest}  {secret}\n}}\n")
    };
    terraform.write("main.tf", &source("client_secret = \"zoom-secret-one\""));
    let ran = terraform.run(&["plan", "-no-color"]).await;
    if version().has(Feature::WriteOnly) {
        assert_eq!(ran.code, Some(0), "{}", ran.all());
    } else {
        assert_eq!(ran.code, Some(1), "{}", ran.all());
        for words in [
            "Write-only attributes need Terraform 1.11",
            "With this version, set `client_secret_ref` instead.",
            "on main.tf line",
        ] {
            assert!(
                flat(&ran.all()).contains(words),
                "`{words}` is missing in {}",
                ran.all()
            );
        }
    }
    let reference = e2e::engine::reference("zoom_client_secret");
    terraform.write(
        "main.tf",
        &source(&format!("client_secret_ref = \"{reference}\"")),
    );
    terraform.apply().await;
    terraform.assert_settled().await;
    terraform.destroy().await;
}

#[tokio::test]
async fn an_import_by_identity_names_the_engine_and_leaves_an_empty_plan() {
    if lacks(Feature::Identity) {
        return;
    }
    let applied = Applied::new().await;
    let mut blocks = String::new();
    for address in [LAKE, HOOK, CHANNEL, SOURCE] {
        let before = applied.terraform.attributes(address).await;
        let (id, engine) = (&before["id"], &before["engine_id"]);
        blocks +=
            &format!("import {{\n  to = {address}\n  identity = {{ id = {id}, engine_id = {engine} }}\n}}\n");
        applied.terraform.must(&["state", "rm", address]).await;
    }
    // Another engine has other objects: nothing of it is imported here.
    let foreign = blocks.replace("engine_id = \"", "engine_id = \"x");
    applied.terraform.write("import.tf", &foreign);
    let ran = applied.terraform.run(&["plan", "-no-color"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    assert!(flat(&ran.all()).contains("is on the engine `x"), "{}", ran.all());

    applied.terraform.write("import.tf", &blocks);
    let ran = applied.terraform.apply().await;
    assert!(
        ran.stdout.contains("4 imported, 0 added, 0 changed, 0 destroyed"),
        "{}",
        ran.all()
    );
    applied.terraform.assert_settled().await;
}

#[tokio::test]
async fn a_query_finds_what_exists_and_its_configuration_imports_to_an_empty_plan() {
    if lacks(Feature::Query) || lacks(Feature::GeneratedConfig) {
        return;
    }
    let stage = super::query::made_by_hand().await;
    let terraform = stage.terraform();
    terraform.write("provider.tf", PROVIDER);
    let kinds = [
        "zoom_log_destination",
        "zoom_log_alarm_channel",
        "zoom_log_source",
    ];
    let lists = kinds.map(|kind| format!("list \"{kind}\" \"all\" {{\n  provider = zoom\n}}\n"));
    terraform.write("find.tfquery.hcl", &lists.concat());
    let found = terraform
        .must(&["query", "-no-color", "-generate-config-out=found.tf"])
        .await;
    for name in ["lake", "siem", "oncall", "corp-eu", "corp-us"] {
        assert!(
            found.stdout.contains(name),
            "{name} is not found:\n{}",
            found.all()
        );
    }
    let text = fs::read_to_string(terraform.path("found.tf")).unwrap();
    assert_eq!(text.matches("\nimport {").count(), 5, "{text}");
    assert!(!text.contains("marker"), "a secret in {text}");
    let applied = terraform.apply().await;
    assert!(
        applied
            .stdout
            .contains("5 imported, 0 added, 0 changed, 0 destroyed"),
        "{}\n{text}",
        applied.all()
    );
    terraform.assert_settled().await;

    // A filter leaves out the rest.
    let filtered =
        "list \"zoom_log_source\" \"some\" {\n  provider = zoom\n  config {\n    enabled = false\n  }\n}\n";
    terraform.write("find.tfquery.hcl", filtered);
    let found = terraform.must(&["query", "-no-color"]).await;
    assert!(
        found.stdout.contains("corp-us") && !found.stdout.contains("corp-eu"),
        "{}",
        found.all()
    );
}

#[tokio::test]
async fn actions_are_invoked_alone_and_by_a_change() {
    if lacks(Feature::Actions) {
        return;
    }
    let stage = Stage::set().await;
    let slow = json!({"poll_interval": "24h"});
    let source = stage.source_to_file("lake", slow).await;
    let lake = stage.engine.out("lake");
    delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE).await;
    let mut terraform = stage.terraform();
    terraform.variable("source_id", &source);
    for action in ["poll", "check", "backfill"] {
        terraform.copy(&format!("examples/actions/zoom_log_source_{action}"));
        fs::rename(
            terraform.path("action.tf"),
            terraform.path(&format!("{action}.tf")),
        )
        .unwrap();
    }
    // Each example declares the variable; together they need it once.
    for action in ["check", "backfill"] {
        let text = fs::read_to_string(terraform.path(&format!("{action}.tf"))).unwrap();
        let (_, rest) = text.split_once("}\n").unwrap();
        terraform.write(&format!("{action}.tf"), rest);
    }
    terraform.write("provider.tf", PROVIDER);
    stage.show(20, 3_600);
    let invoke = async |action: &str| {
        let argument = format!("-invoke=action.zoom_log_source_{action}");
        terraform
            .must(&["apply", "-auto-approve", "-no-color", &argument])
            .await
    };
    let ran = invoke("poll.now").await;
    assert!(ran.stdout.contains(&source), "{}", ran.all());
    let collected = delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE);
    assert!(!stage.while_polling(&source, collected).await.is_empty());
    let ran = invoke("check.access").await;
    assert!(
        ran.stdout.contains("operation") && ran.stdout.contains("activity"),
        "{}",
        ran.all()
    );
    let ran = invoke("backfill.last_month").await;
    assert!(flat(&ran.stdout).contains("backfill"), "{}", ran.all());

    let triggered = r#"
resource "terraform_data" "release" {
  input = "one"
  lifecycle {
    action_trigger {
      events  = [after_create]
      actions = [action.zoom_log_source_check.access]
    }
  }
}
"#;
    terraform.write("trigger.tf", triggered);
    let ran = terraform.apply().await;
    assert!(
        ran.stdout.contains("1 added") && ran.stdout.contains("zoom_log_source_check.access"),
        "{}",
        ran.all()
    );
    // An action leaves nothing in the state.
    assert_eq!(
        terraform.attributes("action.zoom_log_source_check.access").await,
        Value::Null
    );
    terraform.assert_settled().await;
}
