//! A configuration's life: applied, settled, updated in place, replaced, made again, destroyed.

use e2e::{delivered, sim::App};
use serde_json::{Value, json};

use super::{ACCOUNT, Applied, CHANNEL, HOOK, LAKE, LATE, SECRET, SOURCE};

#[tokio::test]
async fn an_apply_makes_events_flow_and_a_second_plan_is_empty() {
    let applied = Applied::new().await;
    // Of today, or of yesterday shortly after midnight: what is older and comes this late waits for a sweep.
    applied.stage.show(400, 600);
    applied.terraform.assert_settled().await;
    let source = applied.id(SOURCE).await;
    assert!(source.starts_with("src_"), "{source}");
    assert!(applied.id(LAKE).await.starts_with("dst_"));
    assert!(applied.id(CHANNEL).await.starts_with("ach_"));

    let lake = applied.stage.engine.out("lake");
    let arrived = delivered::exactly(&applied.stage.sim, ACCOUNT, &lake, LATE);
    applied.stage.while_polling(&source, arrived).await;
    // What changes by itself is in the data source, and never in a plan.
    applied.terraform.assert_settled().await;
    applied.terraform.apply().await;
    let status = applied
        .terraform
        .attributes("data.zoom_log_source_status.corp")
        .await;
    assert_eq!(status["health"], "ok", "{status:#}");

    let owed = delivered::owed(&applied.stage.sim, ACCOUNT).values().sum::<u64>();
    e2e::wait::until_now(LATE, "all rows at the HTTP destination", || {
        let rows: usize = applied
            .hook
            .accepted()
            .iter()
            .map(|request| request.rows().len())
            .sum();
        if rows as u64 == owed {
            Ok(())
        } else {
            Err(format!("{rows} of {owed}"))
        }
    })
    .await;
    let request = &applied.hook.accepted()[0];
    assert_eq!(request.header("authorization"), "Bearer hook-token-one");
    assert_eq!((request.header("x-team"), &*request.path), ("secops", "/ingest"));
    assert!(
        applied.channel.received().is_empty(),
        "an alarm in the first minutes"
    );
}

#[tokio::test]
async fn changes_are_made_in_place_and_equal_durations_are_none() {
    let mut applied = Applied::new().await;
    let before = applied.id(SOURCE).await;
    applied
        .hcl
        .set("poll_interval", r#""60s""#)
        .set("log_types", r#"["activity", "operation"]"#);
    applied.hcl.set(
        "drop_off_alarm",
        r#"{ after = "1440m", channel_ids = [zoom_log_alarm_channel.oncall.id] }"#,
    );
    applied.write();
    let plan = applied.terraform.plan().await;
    assert!(plan.is_empty(), "{}", plan.ran.all());

    applied
        .hcl
        .set("name", r#""Renamed""#)
        .set("poll_interval", r#""5m""#)
        .set("log_types", r#"["operation"]"#);
    applied.hcl.set("enabled", "false").remove("drop_off_alarm");
    applied.write();
    let change = applied.terraform.plan().await.only_change();
    assert_eq!(
        (&*change.address, change.actions),
        (SOURCE, vec!["update".to_owned()])
    );
    applied.terraform.apply().await;
    applied.terraform.assert_settled().await;
    assert_eq!(applied.id(SOURCE).await, before);
    let spec = applied.stage.engine.get(&format!("/v1/sources/{before}")).await["spec"].take();
    assert_eq!(
        (&spec["name"], &spec["enabled"]),
        (&json!("Renamed"), &json!(false))
    );
    assert_eq!(spec["log_types"], json!(["operation"]));
    assert_eq!(spec.get("drop_off_alarm").unwrap_or(&Value::Null), &Value::Null);
}

#[tokio::test]
async fn another_account_is_another_source() {
    let mut applied = Applied::new().await;
    let before = applied.id(SOURCE).await;
    applied
        .stage
        .sim
        .put_account("other", e2e::sim::Behaviour::default());
    applied.stage.sim.put_app(App::new("other", "cid", SECRET));
    applied.hcl.set("account_id", r#""other""#);
    applied.write();
    let change = applied.terraform.plan().await.only_change();
    let mut actions = change.actions;
    actions.sort();
    assert_eq!(actions, ["create", "delete"]);
    applied.terraform.apply().await;
    applied.terraform.assert_settled().await;
    assert_ne!(applied.id(SOURCE).await, before);
    assert_eq!(applied.stage.engine.list("sources").await.len(), 1);
}

#[tokio::test]
async fn what_was_deleted_at_the_engine_is_planned_again() {
    let applied = Applied::new().await;
    let before = applied.id(SOURCE).await;
    applied.stage.engine.delete("sources", &before).await;
    let plan = applied.terraform.plan().await;
    let changed: Vec<_> = plan
        .changes()
        .into_iter()
        .map(|change| (change.address, change.actions))
        .collect();
    assert_eq!(changed, [(SOURCE.to_owned(), vec!["create".to_owned()])]);
    applied.terraform.apply().await;
    applied.terraform.assert_settled().await;
    assert_ne!(applied.id(SOURCE).await, before);
}

#[tokio::test]
async fn ids_that_are_not_known_yet_wait_for_the_apply() {
    let mut applied = Applied::new().await;
    let more = r#"
resource "zoom_log_destination" "archive" {
  name     = "archive"
  file     = { path = "archive/zoom" }
  metadata = false
}
"#;
    let destinations = "[zoom_log_destination.lake.id, zoom_log_destination.archive.id]";
    applied.hcl.set("destination_ids", destinations);
    applied
        .terraform
        .write("main.tf", &format!("{}{more}", applied.hcl.text()));
    let plan = applied.terraform.plan().await;
    let changed: Vec<String> = plan.changes().into_iter().map(|change| change.address).collect();
    assert_eq!(changed, ["zoom_log_destination.archive", SOURCE]);
    applied.terraform.apply().await;
    applied.terraform.assert_settled().await;
}

#[tokio::test]
async fn a_destroy_leaves_nothing() {
    let applied = Applied::new().await;
    applied.terraform.destroy().await;
    for kind in ["sources", "destinations", "alarm-channels"] {
        assert!(
            applied.stage.engine.list(kind).await.is_empty(),
            "{kind} are left"
        );
    }
    for address in [SOURCE, LAKE, HOOK, CHANNEL] {
        assert_eq!(applied.terraform.attributes(address).await, Value::Null);
    }
    let asked = applied.stage.sim.counters().to("/v2");
    applied.terraform.destroy().await;
    assert_eq!(applied.stage.sim.counters().to("/v2"), asked);
}
