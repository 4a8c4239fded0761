//! Objects: created once, read, replaced by whoever knows them, removed when nobody needs them.

use super::*;

async fn an_object_lives_from_create_to_delete() {
    let stage = Stage::set().await;
    let created = stage.post("/v1/destinations", &lake("lake")).await;
    assert_eq!(created.header("etag"), "\"1\"");
    let location = created.header("location").to_owned();
    let view = created.expect(201);
    assert_eq!(
        location,
        format!("/v1/destinations/{}", view["id"].as_str().unwrap())
    );
    assert!(view["id"].as_str().unwrap().starts_with("dst_"));
    assert_eq!(view["generation"], 1);
    assert_eq!(view["spec"]["file"]["path"], "lake");
    assert_eq!(view["spec"]["metadata"], true, "defaults are shown");
    assert_eq!(
        (&view["created_at"], &view["updated_at"]),
        (&json!("2026-01-31T12:00:00Z"), &json!("2026-01-31T12:00:00Z"))
    );
    assert_eq!(view.get("credential_fingerprint"), None);
    assert_eq!(stage.wakes(), 1);

    assert_eq!(stage.get(&location).await.expect(200), view);
    assert_eq!(
        stage.get("/v1/destinations").await.expect(200),
        json!({ "items": [view] })
    );

    stage.clock.advance(std::time::Duration::from_mins(1));
    let mut spec = view["spec"].clone();
    spec["name"] = json!("pond");
    let changed = stage.put(&location, &spec).await;
    assert_eq!(changed.header("etag"), "\"2\"");
    let changed = changed.expect(200);
    assert_eq!(
        (&changed["generation"], &changed["spec"]["name"]),
        (&json!(2), &json!("pond"))
    );
    assert_eq!(
        (&changed["created_at"], &changed["updated_at"]),
        (&view["created_at"], &json!("2026-01-31T12:01:00Z"))
    );
    assert_eq!(stage.wakes(), 1);
    assert_eq!(
        stage.put(&location, &spec).await.expect(200),
        changed,
        "the same again changes nothing"
    );
    assert_eq!(stage.wakes(), 0);

    let gone = stage.ask("DELETE", &location, None).await;
    assert_eq!((gone.status, gone.text.as_str()), (StatusCode::NO_CONTENT, ""));
    assert_eq!(stage.wakes(), 1);
    for method in ["GET", "DELETE"] {
        stage
            .ask(method, &location, None)
            .await
            .problem(Code::NotFound, "");
    }
    stage.put(&location, &spec).await.problem(Code::NotFound, "");
    assert_eq!(
        stage.get("/v1/destinations").await.expect(200),
        json!({ "items": [] })
    );
}

async fn an_id_belongs_to_its_kind() {
    let stage = Stage::set().await;
    let path = stage.made("destinations", &lake("lake")).await;
    stage
        .get(&path.replace("destinations", "sources"))
        .await
        .problem(Code::NotFound, "");
    stage
        .get("/v1/destinations/anything%2Fat%20all")
        .await
        .problem(Code::NotFound, "");
}

async fn a_stale_writer_loses() {
    let stage = Stage::set().await;
    let path = stage.made("destinations", &lake("a")).await;
    let at = async |method: &str, tag: &str, name: &str| {
        stage
            .ask_with(method, &path, &[("if-match", tag)], Some(&lake(name)))
            .await
    };
    at("PUT", "\"1\"", "b").await.expect(200);
    let problem = at("PUT", "\"1\"", "c")
        .await
        .problem(Code::GenerationConflict, "");
    assert!(
        problem["detail"].as_str().unwrap().contains("generation 2"),
        "{problem}"
    );
    at("DELETE", "\"1\"", "")
        .await
        .problem(Code::GenerationConflict, "");
    at("PUT", "\"1\", \"2\"", "c").await.expect(200);
    at("PUT", "*", "d").await.expect(200);
    at("PUT", "4", "e").await.problem(Code::MalformedRequest, "");
    stage.put(&path, &lake("e")).await.expect(200);
    at("DELETE", "\"5\"", "").await.expect(204);
}

async fn a_create_that_is_sent_again_makes_one_object() {
    let stage = Stage::set().await;
    let post = async |key: &str, spec: &Value| {
        stage
            .ask_with("POST", "/v1/sources", &[("idempotency-key", key)], Some(spec))
            .await
    };
    let first = post("key-1", &source("corp")).await.expect(201);
    assert_eq!((stage.asked().len(), stage.wakes()), (1, 1));
    let again = post("key-1", &source("corp")).await.expect(200);
    assert_eq!(first, again);
    assert_eq!(
        (stage.asked().len(), stage.wakes()),
        (0, 0),
        "nothing is done twice"
    );

    let mut other = source("corp");
    other["client_secret"] = json!("another");
    post("key-1", &other).await.problem(Code::IdempotencyConflict, "");
    let taken = post("key-2", &source("corp"))
        .await
        .problem(Code::NameTaken, "name");
    assert!(
        taken["detail"]
            .as_str()
            .unwrap()
            .contains(first["id"].as_str().unwrap()),
        "{taken}"
    );
    assert_eq!(
        stage.asked(),
        Vec::<String>::new(),
        "Zoom is not asked for what is refused anyway"
    );
    // The key belongs to its kind.
    stage
        .ask_with(
            "POST",
            "/v1/destinations",
            &[("idempotency-key", "key-1")],
            Some(&lake("corp")),
        )
        .await
        .expect(201);
    for key in ["", &"x".repeat(201)] {
        post(key, &source("other"))
            .await
            .problem(Code::MalformedRequest, "");
    }
}

async fn names_are_unique_within_their_kind() {
    let stage = Stage::set().await;
    stage.made("destinations", &lake("a")).await;
    let b = stage.made("destinations", &lake("b")).await;
    stage
        .post("/v1/destinations", &lake("a"))
        .await
        .problem(Code::NameTaken, "name");
    stage.put(&b, &lake("a")).await.problem(Code::NameTaken, "name");
    stage.made("sources", &source("a")).await;
}

async fn references_hold() {
    let stage = Stage::set().await;
    let lake = stage.made("destinations", &lake("lake")).await;
    let channel = stage
        .made(
            "alarm-channels",
            &json!({ "name": "oncall", "webhook": { "url": "https://hooks.example.com/x" } }),
        )
        .await;
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let mut spec = source("corp");
    spec["destination_ids"] = json!([id(&lake)]);
    spec["drop_off_alarm"] = json!({ "after": "24h", "channel_ids": [id(&channel)] });
    let corp = stage.made("sources", &spec).await;
    for (needed, noun) in [(&lake, "destination"), (&channel, "alarm channel")] {
        let problem = stage.ask("DELETE", needed, None).await.problem(Code::InUse, "");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("the source `corp`") && detail.contains(noun),
            "{detail}"
        );
    }
    spec["destination_ids"] = json!([]);
    stage.put(&corp, &spec).await.expect(200);
    stage.ask("DELETE", &lake, None).await.expect(204);
    spec["destination_ids"] = json!([id(&lake)]);
    stage
        .put(&corp, &spec)
        .await
        .problem(Code::UnknownReference, "destination_ids");
    spec["name"] = json!("other");
    stage
        .post("/v1/sources", &spec)
        .await
        .problem(Code::UnknownReference, "destination_ids");
    spec["destination_ids"] = json!(["ach_00000000000000000000000000"]);
    stage
        .post("/v1/sources", &spec)
        .await
        .problem(Code::MalformedBody, "destination_ids[0]");
    stage.ask("DELETE", &corp, None).await.expect(204);
    stage.ask("DELETE", &channel, None).await.expect(204);
}

async fn a_list_comes_in_pages_and_by_name() {
    let stage = Stage::set().await;
    for number in 0..5 {
        stage.made("destinations", &lake(&format!("d{number}"))).await;
    }
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let page = stage
            .get(&format!("/v1/destinations?limit=2&after={after}"))
            .await
            .expect(200);
        let items = page["items"].as_array().unwrap();
        assert!((1..=2).contains(&items.len()));
        ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => break,
        }
    }
    assert_eq!(ids.len(), 5);
    assert!(ids.is_sorted());
    let named = stage.get("/v1/destinations?name=d3").await.expect(200);
    assert_eq!(named["items"].as_array().unwrap().len(), 1);
    assert_eq!(named["items"][0]["spec"]["name"], "d3");
    let none = stage.get("/v1/destinations?name=d").await.expect(200);
    assert_eq!(none, json!({ "items": [] }));
    for query in ["limit=many", "colour=blue"] {
        stage
            .get(&format!("/v1/destinations?{query}"))
            .await
            .problem(Code::MalformedRequest, "");
    }
}

async fn broken_rules_are_told_all_at_once_at_their_fields() {
    let stage = Stage::set().await;
    let mut spec = source("");
    spec["poll_interval"] = json!("1s");
    spec["log_types"] = json!([]);
    let problem = stage
        .post("/v1/sources", &spec)
        .await
        .problem(Code::InvalidSpec, "name");
    let fields: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["name", "log_types", "poll_interval"]);
    let problem = stage
        .post("/v1/destinations", &json!({ "name": "n" }))
        .await
        .problem(Code::InvalidSpec, "");
    assert_eq!(problem.get("errors"), None);
    stage
        .post(
            "/v1/destinations",
            &json!({ "name": "n", "file": { "path": "x" }, "colour": 1 }),
        )
        .await
        .problem(Code::MalformedBody, "colour");
    assert_eq!(stage.get("/v1/sources").await.expect(200), json!({ "items": [] }));
}

async fn what_the_engine_may_not_reach_is_refused_when_it_is_declared() {
    let stage = Stage::set().await;
    for (path, good) in [
        ("lake", true),
        ("sub/lake", true),
        ("/srv/out/pond", true),
        ("/srv/more/deep/lake", true),
        ("/srv/out", false),
        ("/srv/outside", false),
        ("/etc/passwd", false),
        (".", false),
        ("/", false),
    ] {
        let answer = stage
            .post(
                "/v1/destinations",
                &json!({ "name": path.replace('/', "-"), "file": { "path": path } }),
            )
            .await;
        match good {
            true => drop(answer.expect(201)),
            false if path.ends_with('/') => drop(answer.problem(Code::InvalidSpec, "file.path")),
            false => drop(answer.problem(Code::PathRefused, "file.path")),
        }
    }
    for (one, other) in [("lake", "/srv/out/lake"), ("/srv/out/./sub//lake", "sub/lake")] {
        let spec = json!({ "name": "again", "file": { "path": one } });
        let problem = stage
            .post("/v1/destinations", &spec)
            .await
            .problem(Code::PathRefused, "file.path");
        let holder = format!(
            "the destination `{}`",
            if one == "lake" { "lake" } else { "sub-lake" }
        );
        assert!(
            problem["detail"].as_str().unwrap().contains(&holder),
            "{problem} {other}"
        );
    }
    for url in [
        "http://127.0.0.1/x",
        "http://[::1]:9/x",
        "http://169.254.169.254/latest",
        "https://10.1.2.3/",
    ] {
        stage
            .post("/v1/destinations", &hook("h", json!({ "url": url })))
            .await
            .problem(Code::AddressRefused, "http.url");
        let channel = json!({ "name": "c", "webhook": { "url": url } });
        stage
            .post("/v1/alarm-channels", &channel)
            .await
            .problem(Code::AddressRefused, "webhook.url");
    }
    let path = stage.made("destinations", &hook("h", json!({}))).await;
    stage
        .put(&path, &hook("h", json!({ "url": "http://127.0.0.1/x" })))
        .await
        .problem(Code::AddressRefused, "http.url");
}

async fn dead_letters_are_listed_in_pages_and_queued_again() {
    let stage = Stage::set().await;
    let lake = stage.made("destinations", &lake("lake")).await;
    let corp = stage.made("sources", &source("corp")).await;
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let letter = |number: u32| format!("dl_0000000000000000000000000{number}");
    for number in 1..=3 {
        stage
            .api
            .store
            .plant_dead_letter(&letter(number), &id(&lake), &id(&corp))
            .await;
    }
    let first = stage.get("/v1/dead-letters?limit=2").await.expect(200);
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&first["items"][0]["id"], &first["next"]),
        (&json!(letter(1)), &json!(letter(2)))
    );
    assert_eq!(first["items"][0]["event"]["zoom_log"]["source_name"], "corp");
    let last = stage
        .get(&format!("/v1/dead-letters?limit=2&after={}", letter(2)))
        .await
        .expect(200);
    assert_eq!(
        (last["items"].as_array().unwrap().len(), last.get("next")),
        (1, None)
    );
    let none = "/v1/dead-letters?destination_id=dst_00000000000000000000000000";
    assert_eq!(stage.get(none).await.expect(200), json!({ "items": [] }));
    let of = format!(
        "/v1/dead-letters?source_id={}&destination_id={}",
        id(&corp),
        id(&lake)
    );
    assert_eq!(
        stage.get(&of).await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    stage
        .get("/v1/dead-letters?source_id=nonsense")
        .await
        .problem(Code::MalformedRequest, "");

    stage.wakes();
    let one = format!("/v1/dead-letters/{}/replay", letter(2));
    assert_eq!(
        stage.ask("POST", &one, None).await.expect(200),
        json!({ "queued": 1 })
    );
    assert_eq!((stage.wakes(), stage.api.store.queued_count().await), (1, 1));
    for gone in [letter(9), "nonsense".to_owned()] {
        stage
            .ask("POST", &format!("/v1/dead-letters/{gone}/replay"), None)
            .await
            .problem(Code::NotFound, "");
    }
    let all = stage
        .post("/v1/dead-letters/replay", &json!({ "destination_id": id(&lake) }))
        .await
        .expect(200);
    assert_eq!((all, stage.wakes()), (json!({ "queued": 3 }), 1));
    assert_eq!(
        stage.get(&format!("{lake}/status")).await.expect(200)["dead_letters"],
        3
    );
}

async fn a_subset_names_labels_that_this_engine_can_add() {
    let stage = Stage::set().await;
    let spec = |labels: Value| json!({ "name": "n", "file": { "path": "x" }, "only": { "labels": labels } });
    let answer = stage
        .post("/v1/destinations", &spec(json!(["sso", "ssso"])))
        .await
        .expect(422);
    assert_eq!(answer["field"], "only.labels", "{answer}");
    let detail = answer["detail"].as_str().unwrap();
    assert!(
        detail.contains("`ssso`") && detail.contains("`unclassified`"),
        "{detail}"
    );
    let made = stage
        .post("/v1/destinations", &spec(json!(["sso", "unclassified"])))
        .await
        .expect(201);
    assert_eq!(made["spec"]["only"], json!({ "labels": ["sso", "unclassified"] }));
}

async fn a_file_that_another_destination_writes_is_refused_however_it_is_named() {
    use std::os::unix::fs::symlink;

    let stage = Stage::set_with(|parts, dir| parts.limits.file_roots = vec![dir.join("out")]).await;
    let out = stage.dir.path().join("out");
    std::fs::create_dir_all(out.join("real")).unwrap();
    symlink(out.join("real"), out.join("way")).unwrap();
    symlink(stage.dir.path(), out.join("out-of-here")).unwrap();
    let file = |name: &str, path: &str| json!({ "name": name, "file": { "path": path } });
    let first = stage.made("destinations", &file("first", "real/lake")).await;
    let problem = stage
        .post("/v1/destinations", &file("second", "way/lake"))
        .await
        .problem(Code::PathRefused, "file.path");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("`first`") && detail.contains("choose another path"),
        "{detail}"
    );
    let second = stage.made("destinations", &file("second", "way/pond")).await;
    for path in ["way/lake", "out-of-here/lake"] {
        stage
            .put(&second, &file("second", path))
            .await
            .problem(Code::PathRefused, "file.path");
    }
    // It is no other than itself, and a path that is free again may be taken.
    stage.put(&first, &file("renamed", "way/lake")).await.expect(200);
    stage.put(&first, &file("renamed", "elsewhere")).await.expect(200);
    stage.put(&second, &file("second", "real/lake")).await.expect(200);
}

crate::store::testing::on_both!(
    an_object_lives_from_create_to_delete,
    an_id_belongs_to_its_kind,
    a_stale_writer_loses,
    a_create_that_is_sent_again_makes_one_object,
    names_are_unique_within_their_kind,
    references_hold,
    a_list_comes_in_pages_and_by_name,
    broken_rules_are_told_all_at_once_at_their_fields,
    what_the_engine_may_not_reach_is_refused_when_it_is_declared,
    dead_letters_are_listed_in_pages_and_queued_again,
    a_subset_names_labels_that_this_engine_can_add,
    a_file_that_another_destination_writes_is_refused_however_it_is_named,
);
