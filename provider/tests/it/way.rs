//! The way to the engine: who asks, by which id, through what, and what happens where it is blocked for a while.

use std::time::{Duration, Instant};

use engine_api::{
    SourceSpec,
    client::{Client, Error},
};

use crate::{
    engine::{Engine, TOKEN},
    terraform::Terraform,
};

const SHOW: &str = "data \"zoom_log_engine\" \"this\" {}\n\noutput \"id\" {\n  value = data.zoom_log_engine.this.engine_id\n}\n";

fn client(engine: &Engine) -> Client {
    Client::new(&engine.url, TOKEN.into(), "test Terraform/1.0").unwrap()
}

#[test]
fn the_engine_learns_both_versions() {
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(SHOW);
    terraform.apply().code(0).says("eng_one");
    let headers = engine.catalog().headers.clone();
    let agent = headers["user-agent"].to_str().unwrap();
    let ours = format!(
        "terraform-provider-zoom/{} Terraform/1.",
        env!("CARGO_PKG_VERSION")
    );
    assert!(agent.starts_with(&ours), "{agent}");
    assert_eq!(headers["x-request-id"].len(), 32);
}

#[test]
fn a_proxy_of_the_environment_is_used() {
    let engine = Engine::start();
    let mut terraform = Terraform::new(&engine);
    terraform.write(SHOW);
    terraform.set("ZOOM_LOG_ENGINE_URL", "http://engine.invalid:8420");
    terraform.set("HTTP_PROXY", &engine.url);
    terraform.set("http_proxy", &engine.url);
    terraform.apply().code(0).says("eng_one");
    assert_eq!(engine.catalog().headers["host"], "engine.invalid:8420");
}

#[test]
fn an_authority_of_ones_own_is_trusted_where_it_is_named() {
    let (engine, pem) = Engine::start_with_tls();
    let mut terraform = Terraform::new(&engine);
    terraform.write(SHOW);
    terraform
        .plan()
        .code(1)
        .says("The engine could not")
        .says("request id");
    assert_eq!(engine.requests(), Vec::<String>::new());
    let file = terraform.file("ca.pem", &pem);
    terraform.write(&format!(
        "provider \"zoom\" {{\n  engine_ca_file = \"{file}\"\n}}\n{SHOW}"
    ));
    terraform.apply().code(0).says("eng_one");

    terraform.write(SHOW);
    terraform.set("ZOOM_LOG_ENGINE_CA_FILE", &file);
    terraform.plan().code(0);
}

#[test]
fn the_token_comes_from_a_file() {
    let engine = Engine::start();
    let mut terraform = Terraform::new(&engine);
    let file = terraform.file("token", &format!("{TOKEN}\n"));
    terraform.write(SHOW);
    terraform.set("ZOOM_LOG_ENGINE_TOKEN", "");
    terraform.plan().code(1).says("`ZOOM_LOG_ENGINE_TOKEN`");
    terraform.set("ZOOM_LOG_ENGINE_TOKEN_FILE", &file);
    terraform.apply().code(0).says("eng_one");
    assert!(!terraform.state().contains(TOKEN));
}

#[tokio::test]
async fn what_is_safe_is_tried_again_and_no_sooner_than_asked() {
    let engine = Engine::start();
    let client = client(&engine);
    engine.catalog().faults = vec![(503, None), (502, Some("1")), (429, None)];
    let began = Instant::now();
    client.engine().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(engine.requests().len(), 4);

    // Who is to come back tomorrow is told now.
    engine.catalog().faults = vec![(503, Some("86400"))];
    let began = Instant::now();
    client.engine().await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5));

    // A change of one generation to the next is not repeated blindly, unless it was certainly not looked at.
    let update = async || {
        client
            .update::<SourceSpec>("src_x", 1, &serde_json::json!({}))
            .await
            .unwrap_err()
    };
    engine.requests();
    engine.catalog().faults = vec![(503, None)];
    assert!(matches!(update().await, Error::Status { status: 503, .. }));
    assert_eq!(engine.requests().len(), 1);
    engine.catalog().faults = vec![(429, None)];
    assert!(update().await.problem().is_some());
    assert_eq!(engine.requests().len(), 2);
}

#[tokio::test]
async fn every_error_names_the_request() {
    let engine = Engine::start();
    let client = client(&engine);
    engine.catalog().faults = vec![(418, None)];
    let teapot = client.engine().await.unwrap_err().to_string();
    let sent = engine.catalog().headers["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(teapot.contains(&format!("request id `{sent}`")), "{teapot}");
    engine.catalog().faults = vec![(200, None)];
    let page = client.engine().await.unwrap_err().to_string();
    let sent = engine.catalog().headers["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(page.contains("cannot be read") && page.contains(&sent), "{page}");
    let refused = client.delete(engine_api::Kind::Source, "src_x/y").await.unwrap();
    assert!(!refused);
    let nobody = Client::new("http://127.0.0.1:1", TOKEN.into(), "test").unwrap();
    let away = nobody
        .create_backfill("src_x", &backfill())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        away.contains("request id `") && away.contains("refused"),
        "{away}"
    );
}

fn backfill() -> engine_api::BackfillRequest {
    serde_json::from_value(serde_json::json!({ "from": "2026-01-01", "to": "2026-01-02" })).unwrap()
}
