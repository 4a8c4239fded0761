//! The audit log: every change leaves an entry with who, what, and from what to what, and no entry holds a secret.

use std::{collections::BTreeSet, net::IpAddr};

use engine_api::Scope;

use super::*;
use crate::api::{access::Peer, table::table};

const MARKER: &str = "secret-marker-of-the-audit";

impl Stage {
    async fn entries(&self, query: &str) -> Vec<Value> {
        let mut page = self.get(&format!("/v1/audit{query}")).await.expect(200);
        page["items"].as_array_mut().map(std::mem::take).unwrap()
    }

    /// Sends a request by a token from an address, under a name.
    async fn named(&self, token: &str, id: &str, method: &str, path: &str, body: &Value) -> Answer {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .header("x-request-id", id)
            .extension(Peer(IpAddr::from([192, 0, 2, 9])))
            .body(Body::from(body.to_string()));
        self.send(request.unwrap()).await
    }
}

async fn an_entry_tells_who_what_when_and_from_what_to_what() {
    let stage = Stage::set().await;
    let wish = json!({ "name": "ci", "scope": "write", "ttl": "1h" });
    let made = stage.post("/v1/tokens", &wish).await.expect(201);
    let (text, token) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    let hook = |path: &str, secret: &str| json!({ "name": "h", "http": { "url": format!("https://siem.example.com/{path}"), "bearer_token": secret } });
    let created = stage
        .named(text, "run-1", "POST", "/v1/destinations", &hook("a", MARKER))
        .await
        .expect(201);
    let id = created["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/destinations/{id}");
    stage
        .named(text, "run-2", "PUT", &path, &hook("b", &format!("{MARKER}-two")))
        .await
        .expect(200);
    // What changes nothing, and what is refused, is no change.
    stage
        .named(text, "run-3", "PUT", &path, &hook("b", &format!("{MARKER}-two")))
        .await
        .expect(200);
    stage
        .named(
            text,
            "run-4",
            "PUT",
            &path,
            &json!({ "name": "h", "http": { "url": "https://evil.example" } }),
        )
        .await
        .expect(422);
    stage
        .named(text, "run-5", "DELETE", &path, &Value::Null)
        .await
        .expect(204);

    let entries = stage.entries(&format!("?target={id}")).await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry["action"].as_str().unwrap(),
                entry["request_id"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("destination.delete", "run-5"),
            ("destination.update", "run-2"),
            ("destination.create", "run-1")
        ]
    );
    let update = &entries[1];
    assert_eq!(
        update["actor"],
        json!({ "kind": "token", "token_id": token, "name": "ci", "address": "192.0.2.9" })
    );
    assert_eq!(update["at"], "2026-01-31T12:00:00Z");
    assert_eq!(
        update["before"]["spec"]["http"]["url"],
        "https://siem.example.com/a"
    );
    assert_eq!(
        update["after"]["spec"]["http"]["url"],
        "https://siem.example.com/b"
    );
    assert_ne!(
        update["before"]["credential_fingerprint"],
        update["after"]["credential_fingerprint"]
    );
    assert_eq!(
        (&entries[0]["after"], &entries[2]["before"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(stage.entries(&format!("?token_id={token}")).await.len(), 3);
    let first = &stage.entries("?action=token").await[0];
    assert_eq!(
        first["actor"],
        json!({ "kind": "admin_token", "name": "admin token" })
    );
    let all = Value::from(stage.entries("").await).to_string();
    assert!(!all.contains(MARKER) && !all.contains(text), "{all}");
    // It is not for every token to read who did what.
    stage
        .named(text, "run-6", "GET", "/v1/audit", &Value::Null)
        .await
        .problem(Code::InsufficientScope, "");
}

async fn every_route_that_changes_something_leaves_an_entry() {
    let stage = Stage::set().await;
    let mut told = BTreeSet::new();
    let mut seen = 0;
    let mut expect = async |operation: &'static str, action: &str| {
        let entries = stage.entries("").await;
        assert_eq!(
            entries.len(),
            seen + 1,
            "{operation} left no entry, or more than one"
        );
        assert_eq!(entries[0]["action"], action, "{operation}");
        seen += 1;
        told.insert(operation);
    };
    let mut paths = Vec::new();
    for (kind, name, spec) in [
        ("sources", "source", source("s")),
        ("destinations", "destination", lake("l")),
        (
            "alarm-channels",
            "alarm_channel",
            json!({ "name": "c", "webhook": { "url": "https://chat.example.com" } }),
        ),
    ] {
        let path = stage.made(kind, &spec).await;
        let mut changed = spec.clone();
        changed["name"] = json!("renamed");
        let operations: [&'static str; 3] = match name {
            "source" => ["create_source", "replace_source", "delete_source"],
            "destination" => ["create_destination", "replace_destination", "delete_destination"],
            _ => [
                "create_alarm_channel",
                "replace_alarm_channel",
                "delete_alarm_channel",
            ],
        };
        expect(operations[0], &format!("{name}.create")).await;
        stage.put(&path, &changed).await.expect(200);
        expect(operations[1], &format!("{name}.update")).await;
        paths.push((path, name, operations[2]));
    }
    let of_source = paths[0].0.clone();
    stage
        .post(&format!("{of_source}/poll"), &Value::Null)
        .await
        .expect(202);
    expect("poll_source", "source.poll").await;
    let days = json!({ "from": "2026-01-01", "to": "2026-01-02" });
    let backfills = format!("{of_source}/backfills");
    let backfill = stage.post(&backfills, &days).await.expect(201);
    expect("create_backfill", "backfill.create").await;
    let cancel = format!("{backfills}/{}/cancel", backfill["id"].as_str().unwrap());
    stage.post(&cancel, &Value::Null).await.expect(200);
    expect("cancel_backfill", "backfill.cancel").await;
    stage.post(&cancel, &Value::Null).await.expect(200);

    stage
        .post("/v1/dead-letters/replay", &json!({}))
        .await
        .expect(200);
    expect("replay_dead_letters", "dead_letter.replay").await;
    let letter = "dl_00000000000000000000000001";
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let (of_lake, of_corp) = (id(&paths[1].0), id(&of_source));
    stage
        .api
        .store
        .plant_dead_letter(letter, &of_lake, &of_corp)
        .await;
    stage
        .post(&format!("/v1/dead-letters/{letter}/replay"), &Value::Null)
        .await
        .expect(200);
    expect("replay_dead_letter", "dead_letter.replay").await;

    let wish = json!({ "name": "ci", "scope": "write", "ttl": "1h" });
    let token = stage.post("/v1/tokens", &wish).await.expect(201);
    expect("create_token", "token.create").await;
    let token = format!("/v1/tokens/{}", token["id"].as_str().unwrap());
    stage
        .post(&format!("{token}/renew"), &json!({ "ttl": "2h" }))
        .await
        .expect(200);
    expect("renew_token", "token.renew").await;
    stage.ask("DELETE", &token, None).await.expect(204);
    expect("revoke_token", "token.revoke").await;
    for (path, name, operation) in paths {
        stage.ask("DELETE", &path, None).await.expect(204);
        expect(operation, &format!("{name}.delete")).await;
    }

    let asks_only = |operation: &str| {
        // These change nothing that a user declared.
        operation.starts_with("compare_") || ["check_source", "try_source"].contains(&operation)
    };
    let changing: BTreeSet<_> = table()
        .iter()
        .filter(|route| route.method != Method::GET && !route.open && !asks_only(&route.operation))
        .map(|route| &*route.operation)
        .collect();
    assert_eq!(told, changing);
    let audit = table().iter().find(|route| route.path == "/v1/audit").unwrap();
    assert_eq!(audit.scope, Scope::Admin);
}

async fn the_log_comes_in_pages_newest_first() {
    let stage = Stage::set().await;
    for number in 0..5 {
        stage.made("destinations", &lake(&format!("l{number}"))).await;
    }
    let (mut after, mut numbers) = (String::new(), Vec::new());
    loop {
        let page = stage.get(&format!("/v1/audit?limit=2{after}")).await.expect(200);
        numbers.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["number"].as_u64().unwrap()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
    stage
        .get("/v1/audit?since=yesterday")
        .await
        .problem(Code::MalformedRequest, "");
    assert_eq!(stage.entries("?since=2026-01-31T12:00:01Z").await.len(), 0);
    assert_eq!(
        stage
            .entries("?until=2026-01-31T12:00:01Z&action=destination.create")
            .await
            .len(),
        5
    );
}

crate::store::testing::on_both!(
    an_entry_tells_who_what_when_and_from_what_to_what,
    every_route_that_changes_something_leaves_an_entry,
    the_log_comes_in_pages_newest_first,
);
