//! Whatever was changed behind Terraform's back is found by a plan, and put right by an apply.

use e2e::{
    sim::App,
    terraform::{Feature, Plan, lacks},
};
use serde_json::{Value, json};

use super::{ACCOUNT, Applied, CHANNEL, HOOK, LAKE, SECRET, SOURCE};

/// Returns the attributes that an update changes, those that only become unknown included.
fn changed(plan: &Plan, address: &str) -> Vec<String> {
    let change = plan.only_change();
    assert_eq!(
        (&*change.address, change.actions),
        (address, vec!["update".to_owned()]),
        "{}",
        plan.ran.all()
    );
    let mut names: Vec<String> = Vec::new();
    for (name, before) in change.before.as_object().unwrap() {
        let unknown = change
            .after_unknown
            .get(name)
            .is_some_and(|unknown| *unknown == Value::Bool(true));
        if unknown || change.after.get(name) != Some(before) {
            names.push(name.clone());
        }
    }
    names
}

/// Changes one object at the engine, expects exactly `attribute` in the plan, and applies it away.
async fn found(
    applied: &Applied,
    address: &str,
    kind: &str,
    attribute: &str,
    change: impl FnOnce(&mut Value),
) {
    let id = applied.id(address).await;
    applied.stage.engine.change(kind, &id, change).await;
    let plan = applied.terraform.plan().await;
    assert_eq!(changed(&plan, address), [attribute], "{}", plan.ran.all());
    let refresh = applied
        .terraform
        .run(&["plan", "-refresh-only", "-no-color", "-detailed-exitcode"])
        .await;
    assert_eq!(refresh.code, Some(2), "{attribute}: {}", refresh.all());
    applied.terraform.apply().await;
    applied.terraform.assert_settled().await;
}

#[tokio::test]
async fn every_attribute_of_a_source() {
    let applied = Applied::new().await;
    // The engine checks a changed client at Zoom, so there must be one.
    applied.stage.sim.put_app(App::new(ACCOUNT, "cid-two", SECRET));
    let destination = json!({"name": "extra", "file": {"path": "extra"}});
    let extra = applied.stage.engine.create("destinations", destination).await;
    let cases = [
        ("name", json!("Changed by hand")),
        ("client_id", json!("cid-two")),
        ("log_types", json!(["activity"])),
        ("destination_ids", json!([extra])),
        ("enabled", json!(false)),
        ("poll_interval", json!("7m")),
        ("start_from", json!(jiff::Timestamp::now().to_string())),
        ("verify", json!(false)),
        ("client_secret_version", json!("by hand")),
        ("drop_off_alarm", Value::Null),
        ("drop_off_alarm", json!({"after": "48h", "channel_ids": []})),
    ];
    for (attribute, value) in cases {
        found(&applied, SOURCE, "sources", attribute, |spec| {
            spec[attribute] = value;
        })
        .await;
    }
    found(&applied, SOURCE, "sources", "drop_off_alarm", |spec| {
        spec["drop_off_alarm"]["after"] = json!("25h");
    })
    .await;
}

#[tokio::test]
async fn every_attribute_of_a_destination() {
    let applied = Applied::new().await;
    found(&applied, LAKE, "destinations", "name", |spec| {
        spec["name"] = json!("pond");
    })
    .await;
    found(&applied, LAKE, "destinations", "file", |spec| {
        spec["file"]["path"] = json!("pond");
    })
    .await;
    found(&applied, LAKE, "destinations", "metadata", |spec| {
        spec["metadata"] = json!(false);
    })
    .await;
    found(&applied, LAKE, "destinations", "only", |spec| {
        spec["only"] = json!({"labels": ["sso"]});
    })
    .await;
    let http: [(&str, Value); 6] = [
        ("url", json!(format!("{}/elsewhere", applied.hook.url()))),
        ("headers", json!({"x-team": "other"})),
        ("format", json!("json_array")),
        ("compression", json!("gzip")),
        ("batch", json!({"max_events": 7})),
        ("timeout", json!("3s")),
    ];
    for (member, value) in http {
        found(&applied, HOOK, "destinations", "http", |spec| {
            spec["http"][member] = value;
        })
        .await;
    }
}

#[tokio::test]
async fn every_attribute_of_an_alarm_channel() {
    let applied = Applied::new().await;
    found(&applied, CHANNEL, "alarm-channels", "name", |spec| {
        spec["name"] = json!("nobody");
    })
    .await;
    let url = json!("http://127.0.0.1:9/elsewhere");
    found(&applied, CHANNEL, "alarm-channels", "webhook", |spec| {
        spec["webhook"]["url"] = url;
    })
    .await;
    let headers = json!({"x-from": "hand"});
    found(&applied, CHANNEL, "alarm-channels", "webhook", |spec| {
        spec["webhook"]["headers"] = headers;
    })
    .await;
}

#[tokio::test]
async fn a_secret_that_was_changed_at_the_engine() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let applied = Applied::new().await;
    let id = applied.id(SOURCE).await;
    let before = applied.terraform.attributes(SOURCE).await["credential_fingerprint"].clone();
    applied
        .stage
        .sim
        .change_app("cid", |app| app.client_secret = "changed-by-hand".into());
    applied
        .stage
        .engine
        .change("sources", &id, |spec| {
            spec["client_secret"] = json!("changed-by-hand");
        })
        .await;
    let plan = applied.terraform.plan().await;
    assert_eq!(changed(&plan, SOURCE), ["credential_fingerprint"]);
    let change = plan.only_change();
    assert_eq!(change.after_unknown["credential_fingerprint"], true);
    assert_ne!(change.before["credential_fingerprint"], before);

    applied
        .stage
        .sim
        .change_app("cid", |app| app.client_secret = SECRET.into());
    applied.terraform.apply().await;
    applied.terraform.assert_settled().await;
    assert_eq!(
        applied.terraform.attributes(SOURCE).await["credential_fingerprint"],
        before
    );

    // The same for a destination's secret, which lies deeper.
    let id = applied.id(HOOK).await;
    let change = |spec: &mut Value| spec["http"]["bearer_token"] = json!("changed-by-hand");
    applied.stage.engine.change("destinations", &id, change).await;
    assert_eq!(
        changed(&applied.terraform.plan().await, HOOK),
        ["credential_fingerprint"]
    );
    applied.terraform.apply().await;
    applied.terraform.assert_settled().await;
}

#[tokio::test]
async fn a_secret_that_was_changed_in_the_configuration() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let mut applied = Applied::new().await;
    applied
        .stage
        .sim
        .change_app("cid", |app| app.client_secret = "rotated".into());
    applied.terraform.variable("zoom_client_secret", "rotated");
    let plan = applied.terraform.plan().await;
    assert_eq!(changed(&plan, SOURCE), ["credential_fingerprint"]);
    applied.terraform.apply().await;
    applied.terraform.assert_settled().await;
    let check = applied
        .stage
        .engine
        .client()
        .check_source(&applied.id(SOURCE).await)
        .await
        .unwrap();
    assert!(check.ok, "{check:?}");
}

#[tokio::test]
async fn a_version_gates_the_sending_of_a_secret_that_is_new_at_every_run() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let mut applied = Applied::new().await;
    applied.hcl.set("client_secret_version", r#""1""#);
    applied.write();
    applied.terraform.apply().await;
    applied.terraform.assert_settled().await;
    // Another value under the same version is not sent.
    applied
        .terraform
        .variable("zoom_client_secret", "another-value-of-this-run");
    applied.terraform.assert_settled().await;

    applied
        .stage
        .sim
        .change_app("cid", |app| app.client_secret = "second".into());
    applied.terraform.variable("zoom_client_secret", "second");
    applied.hcl.set("client_secret_version", r#""2""#);
    applied.write();
    applied.terraform.apply().await;
    applied.terraform.assert_settled().await;
    let id = applied.id(SOURCE).await;
    assert!(applied.stage.engine.client().check_source(&id).await.unwrap().ok);

    // A secret that was changed behind Terraform's back is put right all the same.
    applied
        .stage
        .sim
        .change_app("cid", |app| app.client_secret = "by-hand".into());
    applied
        .stage
        .engine
        .change("sources", &id, |spec| spec["client_secret"] = json!("by-hand"))
        .await;
    assert_eq!(
        changed(&applied.terraform.plan().await, SOURCE),
        ["credential_fingerprint"]
    );
}
