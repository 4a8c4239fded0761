//! Sources: verified against Zoom before they are stored, checked and polled on demand.

use std::time::Duration;

use engine_api::LogType;

use super::*;
use crate::store::PollEnd;

async fn what_zoom_refuses_is_told_at_its_field_and_not_stored() {
    let stage = Stage::set().await;
    for (code, field) in [
        (Code::ZoomInvalidCredentials, "client_secret"),
        (Code::ZoomUnknownAccount, "account_id"),
        (Code::ZoomPlanTooLow, "account_id"),
        (Code::ZoomAppDisabled, "client_id"),
        (Code::ZoomWrongAppType, "client_id"),
        (Code::ZoomMissingScope, "log_types"),
        (Code::ZoomMissingPermission, "log_types"),
        (Code::ZoomUnavailable, ""),
        (Code::ZoomRefused, ""),
    ] {
        stage.zoom_refuses(code);
        let problem = stage
            .post("/v1/sources", &source("corp"))
            .await
            .problem(code, field);
        assert!(
            problem["detail"].as_str().unwrap().contains("do something"),
            "{problem}"
        );
        assert_eq!(
            problem.get("errors"),
            None,
            "the same for both log types is told once"
        );
    }
    assert_eq!(stage.get("/v1/sources").await.expect(200), json!({ "items": [] }));
    assert_eq!(stage.wakes(), 0);

    // With a reference, it is the reference's field.
    stage.zoom_refuses(Code::ZoomInvalidCredentials);
    let mut spec = source("corp");
    spec.as_object_mut().unwrap().remove("client_secret");
    spec["client_secret_ref"] = json!("env:CARGO_PKG_NAME");
    stage
        .post("/v1/sources", &spec)
        .await
        .problem(Code::ZoomInvalidCredentials, "client_secret_ref");

    let mut spec = source("corp");
    spec["verify"] = json!(false);
    stage.asked();
    stage.post("/v1/sources", &spec).await.expect(201);
    assert_eq!(stage.asked(), Vec::<String>::new());
}

async fn a_replace_asks_zoom_only_about_what_is_new() {
    let stage = Stage::set().await;
    let mut spec = source("corp");
    spec["log_types"] = json!(["operation"]);
    let path = stage.made("sources", &spec).await;
    stage.asked();
    stage.zoom_refuses(Code::ZoomMissingScope);
    let mut quiet = spec.clone();
    quiet["name"] = json!("renamed");
    quiet["poll_interval"] = json!("5m");
    quiet.as_object_mut().unwrap().remove("client_secret");
    stage.put(&path, &quiet).await.expect(200);
    assert_eq!(stage.asked(), Vec::<String>::new());

    for (field, value) in [
        ("client_secret", json!("rotated")),
        ("client_id", json!("other")),
        ("log_types", json!(["activity", "operation"])),
    ] {
        let mut spec = quiet.clone();
        spec[field] = value;
        stage
            .put(&path, &spec)
            .await
            .problem(Code::ZoomMissingScope, "log_types");
        spec["verify"] = json!(false);
        assert_eq!(stage.asked().len(), 1, "{field}");
    }
    assert_eq!(
        stage.get(&path).await.expect(200)["generation"],
        2,
        "nothing of it was stored"
    );
    stage.zoom(Zoom::Accepts);
    quiet["log_types"] = json!(["activity"]);
    stage.put(&path, &quiet).await.expect(200);
    assert_eq!(
        stage.asked(),
        ["s3cret"],
        "the stored secret is verified with the new log type"
    );
}

async fn another_account_is_another_source() {
    let stage = Stage::set().await;
    let path = stage.made("sources", &source("corp")).await;
    let mut spec = source("corp");
    spec["account_id"] = json!("elsewhere");
    let problem = stage
        .put(&path, &spec)
        .await
        .problem(Code::InvalidSpec, "account_id");
    assert!(
        problem["detail"].as_str().unwrap().contains("create a new one"),
        "{problem}"
    );
}

async fn a_start_that_has_grown_old_does_not_stand_in_the_way() {
    let stage = Stage::set().await;
    let mut spec = source("corp");
    spec["start_from"] = json!("2026-01-30T00:00:00Z");
    let path = stage.made("sources", &spec).await;
    stage.clock.advance(std::time::Duration::from_hours(24 * 250));
    spec["poll_interval"] = json!("5m");
    stage.put(&path, &spec).await.expect(200);
    spec["start_from"] = json!("2026-01-29T00:00:00Z");
    stage
        .put(&path, &spec)
        .await
        .problem(Code::InvalidSpec, "start_from");
    stage
        .post("/v1/sources", &spec)
        .await
        .problem(Code::InvalidSpec, "start_from");
}

async fn a_source_is_checked_on_demand() {
    let stage = Stage::set().await;
    let path = stage.made("sources", &source("corp")).await;
    stage.asked();
    let check = async || {
        stage
            .ask("POST", &format!("{path}/check"), None)
            .await
            .expect(200)
    };
    let report = check().await;
    assert_eq!(report["ok"], true);
    assert_eq!(stage.asked(), ["s3cret"]);
    stage.zoom_refuses(Code::ZoomMissingPermission);
    let report = check().await;
    assert_eq!(
        (&report["ok"], report["feeds"].as_array().unwrap().len()),
        (&json!(false), 2)
    );
    assert_eq!(report["feeds"][0]["log_type"], "operation");
    assert_eq!(report["feeds"][0]["trouble"]["code"], "zoom_missing_permission");
    stage
        .ask("POST", "/v1/sources/src_none/check", None)
        .await
        .problem(Code::NotFound, "");
}

async fn a_source_is_polled_on_demand_while_it_is_on() {
    let stage = Stage::set().await;
    let mut spec = source("corp");
    let path = stage.made("sources", &spec).await;
    stage.wakes();
    let poll = async || stage.ask("POST", &format!("{path}/poll"), None).await;
    assert_eq!(poll().await.status, StatusCode::ACCEPTED);
    assert_eq!(stage.wakes(), 1);
    spec["enabled"] = json!(false);
    stage.put(&path, &spec).await.expect(200);
    poll().await.problem(Code::InvalidSpec, "enabled");
    stage
        .ask("POST", "/v1/sources/src_none/poll", None)
        .await
        .problem(Code::NotFound, "");
}

async fn a_status_tells_of_each_feed_that_the_spec_names() {
    let stage = Stage::set().await;
    let lake = stage.made("destinations", &lake("lake")).await;
    let mut spec = source("corp");
    spec["destination_ids"] = json!([lake.rsplit('/').next().unwrap()]);
    spec["drop_off_alarm"] = json!({ "after": "24h" });
    let path = stage.made("sources", &spec).await;
    let status = async || stage.get(&format!("{path}/status")).await.expect(200);
    let found = status().await;
    assert_eq!(
        (&found["health"], &found["budget_remaining"]),
        (&json!("pending"), &json!(998)),
        "the check of both reports was counted"
    );
    let feeds = found["feeds"].as_array().unwrap();
    assert_eq!(feeds.len(), 2);
    for (feed, log_type) in feeds.iter().zip(["operation", "activity"]) {
        assert_eq!(
            (&feed["log_type"], &feed["health"], &feed["events"]),
            (&json!(log_type), &json!("pending"), &json!(0))
        );
        assert_eq!(feed["alarm"]["state"], "insufficient_data");
        assert_eq!(
            feed["deliveries"][0]["destination_id"],
            spec["destination_ids"][0]
        );
    }

    spec["log_types"] = json!(["operation"]);
    spec.as_object_mut().unwrap().remove("drop_off_alarm");
    stage.put(&path, &spec).await.expect(200);
    let found = status().await;
    assert_eq!(
        found["feeds"].as_array().unwrap().len(),
        1,
        "what the spec no longer names is not shown"
    );
    assert_eq!(found["feeds"][0].get("alarm"), None);
    spec["enabled"] = json!(false);
    stage.put(&path, &spec).await.expect(200);
    assert_eq!(status().await["health"], "disabled");

    stage.get(&format!("{lake}/status")).await.expect(200);
    let hooks = json!({ "name": "oncall", "webhook": { "url": "https://hooks.example.com/x" } });
    let channel = stage.made("alarm-channels", &hooks).await;
    stage.get(&format!("{channel}/status")).await.expect(200);
    for kind in ["sources", "destinations", "alarm-channels"] {
        for id in [
            "src_00000000000000000000000000",
            "dst_00000000000000000000000000",
            "ach_00000000000000000000000000",
            "x",
        ] {
            stage
                .get(&format!("/v1/{kind}/{id}/status"))
                .await
                .problem(Code::NotFound, "");
        }
    }
}

async fn a_backfill_is_asked_for_looked_at_and_cancelled() {
    let stage = Stage::set().await;
    let path = stage.made("sources", &source("corp")).await;
    let all = format!("{path}/backfills");
    let days = json!({ "from": "2026-01-05", "to": "2026-01-07" });
    let answer = stage.post(&all, &days).await;
    let made = answer.expect(201);
    assert_eq!(made["state"], "running");
    assert_eq!((&made["from"], &made["to"]), (&days["from"], &days["to"]));
    let feeds = made["feeds"].as_array().unwrap();
    assert_eq!(feeds.len(), 2);
    assert_eq!(
        (&feeds[0]["days"], &feeds[0]["days_done"]),
        (&json!(3), &json!(0))
    );

    let one = format!("{all}/{}", made["id"].as_str().unwrap());
    assert_eq!(stage.get(&one).await.expect(200), made);
    assert_eq!(stage.get(&all).await.expect(200)["items"], json!([made]));
    for _ in 0..2 {
        let ended = stage.post(&format!("{one}/cancel"), &json!({})).await.expect(200);
        assert_eq!(ended["state"], "cancelled");
    }
    let other = stage.made("sources", &source("other")).await;
    let elsewhere = one.replace(&path, &other);
    stage.get(&elsewhere).await.expect(404);
    stage
        .post(&format!("{elsewhere}/cancel"), &json!({}))
        .await
        .expect(404);
}

async fn a_backfill_that_cannot_be_is_refused_at_its_fields() {
    let stage = Stage::set().await;
    let mut spec = source("corp");
    spec["log_types"] = json!(["operation"]);
    let path = stage.made("sources", &spec).await;
    let all = format!("{path}/backfills");
    for (body, field) in [
        (json!({ "from": "2025-01-05", "to": "2026-01-07" }), "from"),
        (json!({ "from": "2026-01-05", "to": "2026-12-07" }), "to"),
        (json!({ "from": "2026-01-07", "to": "2026-01-05" }), "to"),
        (
            json!({ "from": "2026-01-05", "to": "2026-01-07", "log_types": [] }),
            "log_types",
        ),
        (
            json!({ "from": "2026-01-05", "to": "2026-01-07", "log_types": ["activity"] }),
            "log_types",
        ),
    ] {
        stage.post(&all, &body).await.problem(Code::InvalidSpec, field);
    }
    spec["enabled"] = json!(false);
    stage.put(&path, &spec).await.expect(200);
    let body = json!({ "from": "2026-01-05", "to": "2026-01-07" });
    stage
        .post(&all, &body)
        .await
        .problem(Code::InvalidSpec, "enabled");
}

async fn a_trial_is_judged_as_the_real_thing_and_stores_nothing() {
    let stage = Stage::set().await;
    let attempt = async |body: Value| stage.post("/v1/sources:try", &body).await;
    let accepted = StatusCode::NO_CONTENT;
    assert_eq!(attempt(json!({ "spec": source("corp") })).await.status, accepted);
    assert_eq!(stage.asked(), ["s3cret"]);
    stage.zoom_refuses(Code::ZoomInvalidCredentials);
    attempt(json!({ "spec": source("corp") }))
        .await
        .problem(Code::ZoomInvalidCredentials, "client_secret");
    let mut broken = source("corp");
    broken["poll_interval"] = json!("1s");
    attempt(json!({ "spec": broken }))
        .await
        .problem(Code::InvalidSpec, "poll_interval");
    let mut bare = source("corp");
    bare.as_object_mut().unwrap().remove("client_secret");
    attempt(json!({ "spec": bare }))
        .await
        .problem(Code::MissingSecret, "client_secret");
    assert_eq!(stage.get("/v1/sources").await.expect(200), json!({ "items": [] }));

    // Of a source that is there, the stored secret counts, and only what changes is asked.
    stage.zoom(Zoom::Accepts);
    let path = stage.made("sources", &source("corp")).await;
    let (id, before) = (
        path.rsplit('/').next().unwrap(),
        stage.get(&path).await.expect(200),
    );
    stage.wakes();
    stage.asked();
    assert_eq!(attempt(json!({ "id": id, "spec": bare })).await.status, accepted);
    assert_eq!(stage.asked(), Vec::<String>::new());
    bare["client_id"] = json!("other");
    assert_eq!(attempt(json!({ "id": id, "spec": bare })).await.status, accepted);
    assert_eq!(stage.asked(), ["s3cret"]);
    bare["client_secret"] = json!("rotated");
    stage.zoom_refuses(Code::ZoomMissingScope);
    attempt(json!({ "id": id, "spec": bare }))
        .await
        .problem(Code::ZoomMissingScope, "log_types");
    assert_eq!(stage.get(&path).await.expect(200), before);
    assert_eq!(stage.wakes(), 0);
    attempt(json!({ "id": "src_none", "spec": bare }))
        .await
        .problem(Code::NotFound, "");
}

/// Polls every feed, and lets Zoom refuse it: operation for good, activity for a while.
async fn fail_every_feed(stage: &Stage) {
    let store = &stage.api.store;
    let now = stage.api.clock.now();
    let later = now + Duration::from_hours(1);
    while let Some(feed) = store.claim_feed("test", later).await.unwrap() {
        let code = match feed.key.log_type {
            LogType::Operation => Code::ZoomMissingScope,
            LogType::Activity => Code::ZoomUnavailable,
        };
        let detail = "do something".to_owned();
        let end = PollEnd::Failed { code, detail };
        store
            .release_feed(feed.id, feed.fence, now, later, &end)
            .await
            .unwrap()
            .unwrap();
    }
}

async fn troubles_are_listed_over_all_sources() {
    let stage = Stage::set().await;
    let list = async |query: &str| {
        stage
            .get(&format!("/v1/sources:troubles{query}"))
            .await
            .expect(200)
    };
    let mut ids = Vec::new();
    for name in ["one", "two", "three"] {
        let path = stage.made("sources", &source(name)).await;
        ids.push(path.rsplit('/').next().unwrap().to_owned());
    }
    ids.sort();
    assert_eq!(list("").await, json!({ "items": [] }));
    fail_every_feed(&stage).await;
    let first = list("?limit=2").await;
    let told: Vec<_> = first["items"].as_array().unwrap().iter().collect();
    assert_eq!(told.len(), 4, "both log types of two sources: {first:#}");
    assert_eq!(
        (
            &told[0]["source_id"],
            &told[0]["log_type"],
            &told[0]["health"],
            &told[0]["trouble"]["code"]
        ),
        (
            &json!(ids[0]),
            &json!("operation"),
            &json!("failing"),
            &json!("zoom_missing_scope")
        )
    );
    assert_eq!(told[1]["health"], "degraded");
    let last = list(&format!("?limit=2&after={}", first["next"].as_str().unwrap())).await;
    assert_eq!(last["items"].as_array().unwrap().len(), 2);
    assert_eq!(last["items"][0]["source_id"], ids[2]);
    assert_eq!(last.get("next"), None);

    // What is switched off is no trouble.
    let mut spec = source("renamed");
    spec["enabled"] = json!(false);
    stage
        .put(&format!("/v1/sources/{}", ids[0]), &spec)
        .await
        .expect(200);
    assert_eq!(list("").await["items"].as_array().unwrap().len(), 4);
}

crate::store::testing::on_both!(
    what_zoom_refuses_is_told_at_its_field_and_not_stored,
    a_replace_asks_zoom_only_about_what_is_new,
    another_account_is_another_source,
    a_start_that_has_grown_old_does_not_stand_in_the_way,
    a_source_is_checked_on_demand,
    a_source_is_polled_on_demand_while_it_is_on,
    a_status_tells_of_each_feed_that_the_spec_names,
    a_backfill_is_asked_for_looked_at_and_cancelled,
    a_backfill_that_cannot_be_is_refused_at_its_fields,
    a_trial_is_judged_as_the_real_thing_and_stores_nothing,
    troubles_are_listed_over_all_sources,
);
