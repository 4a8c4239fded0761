//! The engine's API as its contract has it, for whoever is not Terraform.

use reqwest::Method;
use serde_json::{Value, json};

use super::{ACCOUNT, LATE, Stage};

#[tokio::test]
async fn every_route_wants_the_token_but_for_health_and_the_pages_of_a_consent() {
    let stage = Stage::set().await;
    let http = e2e::http::client();
    let document = stage.engine.get("/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 10, "{:?}", paths.keys());
    for (path, operations) in paths {
        let open = ["/healthz", "/readyz", "/openapi.json", "/metrics"];
        let pages = [
            "/sources/{id}/authorize",
            "/oauth/callback",
            "/v1/tokens/exchange",
        ];
        let open = open.contains(&path.as_str()) || pages.contains(&path.as_str());
        for method in operations.as_object().unwrap().keys() {
            let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else {
                continue;
            };
            let url = format!("{}{}", stage.engine.url(), path.replace(['{', '}'], ""));
            for token in [None, Some("not-the-token")] {
                let mut request = http.request(method.clone(), &url);
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                let answer = e2e::http::Answer::of(request.send().await.unwrap())
                    .await
                    .unwrap();
                if !open {
                    // After so many wrong ones from one address, the next are not even looked at.
                    let expected = match answer.status {
                        429 if token.is_some() => "too_many_failures",
                        _ => "unauthorized",
                    };
                    assert!(
                        [401, 429].contains(&answer.status),
                        "{method} {path}: {}",
                        answer.text()
                    );
                    assert_eq!(answer.header("content-type"), "application/problem+json");
                    assert_eq!(answer.json()["code"], expected);
                }
            }
        }
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            http.get(format!("{}{path}", stage.engine.url()))
                .send()
                .await
                .unwrap()
                .status(),
            200
        );
    }
}

#[tokio::test]
async fn an_object_has_generations_and_a_stale_writer_loses() {
    let stage = Stage::set().await;
    let id = stage.source(&[], json!({})).await;
    let path = format!("/v1/sources/{id}");
    let answer = stage.engine.ask(Method::GET, &path, None).await.expect(200);
    let view = answer.json();
    assert_eq!((&view["id"], &view["generation"]), (&json!(id), &json!(1)));
    assert_eq!(answer.header("etag"), "\"1\"");
    assert_eq!(
        view["spec"].get("client_secret").unwrap_or(&Value::Null),
        &Value::Null
    );

    let changed = stage
        .engine
        .change("sources", &id, |spec| spec["name"] = json!("Second"))
        .await;
    assert_eq!(changed["generation"], 2);
    assert_eq!(changed["credential_fingerprint"], view["credential_fingerprint"]);
    let client = stage.engine.client();
    let mut spec = view["spec"].clone();
    spec["name"] = json!("Third");
    let stale = client
        .update::<engine_api::SourceSpec>(&id, 1, &spec)
        .await
        .unwrap_err();
    assert_eq!(stale.problem().unwrap().code, "generation_conflict");
    client
        .update::<engine_api::SourceSpec>(&id, 2, &spec)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_create_that_is_sent_again_makes_one_object() {
    let stage = Stage::set().await;
    let client = stage.engine.client();
    let spec = json!({"name": "lake", "file": {"path": "lake"}});
    let first = client
        .create::<engine_api::DestinationSpec>(&spec, "key-1")
        .await
        .unwrap();
    let again = client
        .create::<engine_api::DestinationSpec>(&spec, "key-1")
        .await
        .unwrap();
    assert_eq!(first.id, again.id);
    let other = json!({"name": "pond", "file": {"path": "pond"}});
    let conflict = client
        .create::<engine_api::DestinationSpec>(&other, "key-1")
        .await
        .unwrap_err();
    assert_eq!(conflict.problem().unwrap().code, "idempotency_conflict");
    let taken = client
        .create::<engine_api::DestinationSpec>(&spec, "key-2")
        .await
        .unwrap_err();
    assert_eq!(taken.problem().unwrap().code, "name_taken");
}

#[tokio::test]
async fn references_hold() {
    let stage = Stage::set().await;
    let id = stage.source_to_file("lake", json!({})).await;
    let destination = stage.engine.list("destinations").await.remove(0)["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/destinations/{destination}");
    let in_use = stage
        .engine
        .ask(Method::DELETE, &path, None)
        .await
        .expect(409)
        .json();
    assert_eq!(in_use["code"], "in_use");
    stage.engine.delete("sources", &id).await;
    stage.engine.delete("destinations", &destination).await;
    let gone = stage
        .engine
        .ask(Method::GET, &path, None)
        .await
        .expect(404)
        .json();
    assert_eq!(gone["code"], "not_found");
    let spec = json!({
        "name": "x", "account_id": ACCOUNT, "client_id": "cid", "client_secret": super::SECRET,
        "destination_ids": [destination],
    });
    let unknown = stage
        .engine
        .ask(Method::POST, "/v1/sources", Some(&spec))
        .await
        .expect(422)
        .json();
    assert_eq!(
        (&unknown["code"], &unknown["field"]),
        (&json!("unknown_reference"), &json!("destination_ids"))
    );
}

#[tokio::test]
async fn bodies_are_bounded_and_strict() {
    let stage = Stage::set().await;
    let unknown = json!({"name": "x", "file": {"path": "x"}, "colour": "blue"});
    let answer = stage
        .engine
        .ask(Method::POST, "/v1/destinations", Some(&unknown))
        .await
        .expect(400)
        .json();
    assert!(answer["detail"].as_str().unwrap().contains("colour"), "{answer}");
    let large = json!({"name": "x".repeat(4 << 20)});
    let answer = stage
        .engine
        .ask(Method::POST, "/v1/destinations", Some(&large))
        .await
        .expect(413)
        .json();
    assert_eq!(answer["code"], "body_too_large");
    stage
        .engine
        .ask(Method::PATCH, "/v1/destinations", None)
        .await
        .expect(405);
    stage
        .engine
        .ask(Method::GET, "/v1/no-such-thing", None)
        .await
        .expect(404);
}

#[tokio::test]
async fn a_list_comes_in_pages_and_by_name() {
    let stage = Stage::set().await;
    for number in 0..130 {
        let spec = json!({"name": format!("d{number}"), "file": {"path": format!("d{number}")}});
        stage.engine.create("destinations", spec).await;
    }
    let client = stage.engine.client();
    let (mut after, mut ids) = (None, std::collections::BTreeSet::new());
    loop {
        let page = client
            .list::<engine_api::DestinationSpec>(None, after.as_deref())
            .await
            .unwrap();
        for view in page.items {
            assert!(ids.insert(view.id), "an object came twice");
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(ids.len(), 130);
    let named = client
        .list::<engine_api::DestinationSpec>(Some("d77"), None)
        .await
        .unwrap();
    assert_eq!(named.items.len(), 1);
}

#[tokio::test]
async fn the_configuration_is_checked_before_anything_starts() {
    use std::process::Command;

    use e2e::{binaries::Binary, process::Process, wait};
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("engine.toml");
    let validate = async |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(Binary::Engine.path());
        command
            .arg("validate")
            .arg("--config")
            .arg(&file)
            .env_clear()
            .env("HOME", directory.path());
        Process::spawn("the engine", &mut command)
            .finish(wait::LATE)
            .await
    };
    let good = format!(
        "data_dir = {:?}\n[server]\nlisten = \"127.0.0.1:0\"\n",
        directory.path()
    );
    assert_eq!(validate(&good).await.code, Some(0));
    let bad = validate("[server]\nlisen = \"127.0.0.1:0\"\n").await;
    assert_ne!(bad.code, Some(0));
    assert!(bad.all().contains("lisen"), "{}", bad.all());
    assert!(!directory.path().join("engine.db").exists());
}

#[tokio::test]
async fn metrics_count_what_was_collected_and_delivered() {
    let stage = Stage::set().await;
    stage.show(40, 600);
    let id = stage.source_to_file("lake", json!({})).await;
    let lake = stage.engine.out("lake");
    let done = e2e::delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE);
    stage.while_polling(&id, done).await;
    let text = stage
        .engine
        .ask(Method::GET, "/metrics", None)
        .await
        .expect(200)
        .text();
    assert!(
        text.contains("# TYPE ") && text.contains("log_type=\"operation\""),
        "{text}"
    );
    assert!(text.trim_end().ends_with("# EOF"));
}
