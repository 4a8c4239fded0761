//! What the engine has already is taken over, by id and by name, and then nothing is left to do.

use serde_json::Value;

use super::{Applied, CHANNEL, HOOK, LAKE, SOURCE};

/// Holds that an import leaves nothing to do.
///
/// `terraform import` notes no dependencies, and a refresh alone counts those as a change until an apply has noted them:
/// that is Terraform's own, and no business of a provider's.
async fn assert_taken_over(applied: &Applied) {
    let plan = applied.terraform.plan().await;
    assert!(plan.is_empty(), "{}", plan.ran.all());
    applied.terraform.apply().await;
    applied.terraform.assert_settled().await;
}

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
    assert_taken_over(&applied).await;
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
    assert_taken_over(&applied).await;
    assert_eq!(applied.id(SOURCE).await, before);
}

#[tokio::test]
async fn a_configuration_without_a_secret_keeps_the_one_that_is_there() {
    let mut applied = Applied::new().await;
    let id = applied.id(SOURCE).await;
    let fingerprint = applied.terraform.attributes(SOURCE).await["credential_fingerprint"].clone();
    assert_ne!(fingerprint, Value::Null);
    applied.terraform.must(&["state", "rm", SOURCE]).await;
    applied.hcl.remove("client_secret");
    applied.write();
    applied.terraform.import(SOURCE, &id).await;
    assert_taken_over(&applied).await;

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
