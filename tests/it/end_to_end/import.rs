//! What the engine has already is taken over, by id and by name, and then nothing is left to do.

use e2e::terraform::{Feature, lacks};
use serde_json::Value;

use super::{Applied, CHANNEL, HOOK, LAKE, SOURCE};

/// Forgets everything without destroying it.
async fn forget(applied: &Applied) {
    for address in [SOURCE, LAKE, HOOK, CHANNEL] {
        applied.terraform.must(&["state", "rm", address]).await;
    }
}

#[tokio::test]
async fn an_import_by_id_leaves_an_empty_plan() {
    let applied = Applied::new().await;
    let mut ids = Vec::new();
    for address in [LAKE, HOOK, CHANNEL, SOURCE] {
        ids.push((address, applied.id(address).await));
    }
    forget(&applied).await;
    for (address, id) in &ids {
        applied.terraform.import(address, id).await;
    }
    applied.terraform.assert_imported().await;
    for (address, id) in ids {
        assert_eq!(applied.id(address).await, id);
    }
}

#[tokio::test]
async fn an_import_by_name_leaves_an_empty_plan() {
    let applied = Applied::new().await;
    let before = applied.id(SOURCE).await;
    forget(&applied).await;
    for (address, name) in [
        (LAKE, "lake"),
        (HOOK, "siem-hook"),
        (CHANNEL, "oncall"),
        (SOURCE, "My Zoom logs"),
    ] {
        applied.terraform.import(address, name).await;
    }
    applied.terraform.assert_imported().await;
    assert_eq!(applied.id(SOURCE).await, before);
}

#[tokio::test]
async fn a_configuration_without_a_secret_keeps_the_one_that_is_there() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let mut applied = Applied::new().await;
    let id = applied.id(SOURCE).await;
    let fingerprint = applied.terraform.attributes(SOURCE).await["credential_fingerprint"].clone();
    assert_ne!(fingerprint, Value::Null);
    applied.terraform.must(&["state", "rm", SOURCE]).await;
    applied.hcl.remove("client_secret");
    applied.write();
    applied.terraform.import(SOURCE, &id).await;
    applied.terraform.assert_imported().await;

    applied.hcl.set("name", r#""Renamed""#);
    applied.write();
    applied.terraform.apply().await;
    applied.terraform.assert_settled().await;
    assert_eq!(
        applied.terraform.attributes(SOURCE).await["credential_fingerprint"],
        fingerprint
    );
    assert!(applied.stage.engine.client().check_source(&id).await.unwrap().ok);
}

#[tokio::test]
async fn an_import_with_a_secret_from_a_sensitive_variable_leaves_an_empty_plan() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let applied = Applied::new().await;
    let sensitive = applied.hcl.text().replace("ephemeral = true", "sensitive = true");
    applied.terraform.write("main.tf", &sensitive);
    // The variable's mark is in the state from the schema, so it is nothing that an apply would have to add.
    applied.terraform.assert_settled().await;
    applied.terraform.must(&["state", "rm", SOURCE]).await;
    applied.terraform.import(SOURCE, "My Zoom logs").await;
    applied.terraform.assert_imported().await;
}

#[tokio::test]
async fn an_import_of_nothing_says_so() {
    let applied = Applied::new().await;
    applied.terraform.must(&["state", "rm", SOURCE]).await;
    for id in [
        "src_00000000000000000000000000",
        "No such name",
        "../destinations",
    ] {
        let ran = applied.terraform.run(&["import", "-no-color", SOURCE, id]).await;
        assert_ne!(ran.code, Some(0), "{}", ran.all());
        assert!(ran.stderr.contains(id), "{}", ran.all());
    }
}
