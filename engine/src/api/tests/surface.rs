//! The surface: tokens, the document, errors of every origin, limits, connections.

use std::{collections::BTreeSet, time::Duration};

use futures_util::FutureExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::api::{Entrance, openapi, serve, table::table};

/// Probes and documents; the pages for people, which tell them what is missing; and where workloads get their token.
const OPEN: [(&str, StatusCode); 7] = [
    ("/healthz", StatusCode::OK),
    ("/readyz", StatusCode::OK),
    ("/metrics", StatusCode::OK),
    ("/openapi.json", StatusCode::OK),
    ("/sources/{id}/authorize", StatusCode::NOT_FOUND),
    ("/oauth/callback", StatusCode::BAD_REQUEST),
    ("/v1/tokens/exchange", StatusCode::BAD_REQUEST),
];

async fn every_route_but_seven_refuses_a_missing_and_a_wrong_token() {
    let stage = Stage::set().await;
    for route in table() {
        let open = OPEN.iter().find(|(path, _)| *path == route.path);
        assert_eq!(route.open, open.is_some(), "{}", route.path);
        let path = route.path.replace("{id}", "dst_x");
        for token in [
            None,
            Some("Bearer wrong"),
            Some("Bearer "),
            Some("Basic enplZQ=="),
            Some(TOKEN),
        ] {
            let mut request = Request::builder().method(route.method.clone()).uri(&path);
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            let answer = stage.send(request.body(Body::empty()).unwrap()).await;
            if let Some((_, status)) = open {
                assert_eq!(answer.status, *status, "{path}: {}", answer.text);
            } else {
                assert_eq!(answer.header("www-authenticate"), "Bearer");
                answer.problem(Code::Unauthorized, "");
            }
        }
    }
    let lower = Request::builder()
        .uri("/v1/engine")
        .header("authorization", format!("bearer {TOKEN}"));
    stage.send(lower.body(Body::empty()).unwrap()).await.expect(200);
}

#[test]
fn the_document_and_the_router_tell_of_the_same_routes() {
    let document = openapi::document(table());
    let mut documented = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        documented.extend(
            operations
                .as_object()
                .unwrap()
                .keys()
                .map(|method| (method.to_uppercase(), path.clone())),
        );
    }
    let routed: BTreeSet<_> = table()
        .iter()
        .map(|route| (route.method.to_string(), route.path.clone()))
        .collect();
    assert_eq!(documented, routed);
    assert_eq!(routed.len(), table().len(), "each route stands in the table once");
    let operations: BTreeSet<_> = table().iter().map(|route| &route.operation).collect();
    assert_eq!(operations.len(), table().len(), "each operation has its own name");
}

/// Found by `make fuzz-api`: errors of pages were told of as JSON.
#[tokio::test]
async fn errors_come_in_the_form_that_the_document_tells_of() {
    let stage = Stage::set().await;
    let document = openapi::document(table());
    for (path, asked) in [
        ("/sources/{id}/authorize", "/sources/src_x/authorize"),
        ("/oauth/callback", "/oauth/callback?code=x"),
        ("/v1/sources/{id}", "/v1/sources/src_x"),
    ] {
        let answer = stage.get(asked).await;
        let told = &document["paths"][path]["get"]["responses"][answer.status.as_str()]["content"];
        let form = answer.header("content-type").split(';').next().unwrap();
        assert!(told[form].is_object(), "{path}: {form} is not in {told}");
    }
}

/// Found by `make fuzz-api`: the document allowed what is refused, and forbade what is taken.
#[tokio::test]
async fn parameters_are_taken_as_the_document_tells() {
    let stage = Stage::set().await;
    let document = openapi::document(table());
    let path = stage.made("sources", &source("corp")).await;
    let parameter = |method: &str, path: &str, name: &str| {
        let parameters = document["paths"][path][method]["parameters"].as_array().unwrap();
        let found = parameters.iter().find(|parameter| parameter["name"] == name);
        found.unwrap_or_else(|| panic!("{method} {path} has no {name}"))["schema"].clone()
    };
    let most = parameter("get", "/v1/sources", "limit")["maximum"]
        .as_u64()
        .unwrap();
    stage.get(&format!("/v1/sources?limit={most}")).await.expect(200);
    let beyond = stage.get(&format!("/v1/sources?limit={}", most + 1)).await;
    beyond.problem(Code::MalformedRequest, "");
    assert_eq!(
        parameter("get", "/v1/sources", "X-Request-Id"),
        json!({ "type": "string" })
    );
    let long = "x".repeat(500);
    let answer = stage
        .ask_with("GET", "/v1/sources", &[("x-request-id", &long)], None)
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("x-request-id").len()),
        (200, 32)
    );
    for (method, path, name, spec) in [
        (
            "put",
            "/v1/sources/{id}",
            "If-Match",
            r#"^(\*|"[0-9]{1,19}"( ?, ?"[0-9]{1,19}")*)$"#,
        ),
        (
            "post",
            "/v1/sources",
            "Idempotency-Key",
            "^[!-~]([ -~]{0,198}[!-~])?$",
        ),
    ] {
        assert_eq!(parameter(method, path, name)["pattern"], spec);
    }
    for (tag, status) in [
        ("*", 200),
        ("\"1\"", 200),
        ("\"7\", \"1\"", 200),
        ("", 400),
        ("1", 400),
        ("\"a\"", 400),
    ] {
        let answer = stage
            .ask_with("PUT", &path, &[("if-match", tag)], Some(&source("corp")))
            .await;
        assert_eq!(answer.status.as_u16(), status, "{tag}");
    }
    let key = "k".repeat(200);
    for (key, good) in [
        (key.as_str(), true),
        (&format!("{key}k"), false),
        ("", false),
        ("a b", true),
    ] {
        let spec = source(&format!("corp-{}-{}", key.len(), good));
        let answer = stage
            .ask_with("POST", "/v1/sources", &[("idempotency-key", key)], Some(&spec))
            .await;
        assert_eq!(answer.status.is_success(), good, "{key}: {}", answer.text);
    }
}

#[test]
fn the_document_is_whole() {
    let document = openapi::document(table());
    assert_eq!(document["openapi"], "3.1.0");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)),
            "{name}"
        );
    }
    // A number behind a name tells two types apart that should have names of their own.
    assert!(
        schemas
            .keys()
            .all(|name| !name.ends_with(|last: char| last.is_ascii_digit())),
        "{:?}",
        schemas.keys()
    );
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in references {
        let name = reference
            .strip_prefix("#/components/schemas/")
            .unwrap_or_else(|| panic!("{reference}"));
        assert!(schemas.contains_key(name), "{reference}");
    }
    for route in table() {
        let operation = &document["paths"][&route.path][route.method.as_str().to_lowercase()];
        let parameters = operation["parameters"].as_array().unwrap();
        let in_path = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .count();
        assert_eq!(in_path, route.path.matches('{').count(), "{}", route.path);
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{}",
            route.path
        );
        assert!(
            responses.contains_key("500") && (route.open || responses.contains_key("401")),
            "{}",
            route.path
        );
    }
    // A secret can be written and not read.
    assert_eq!(
        schemas["SourceSpec"]["properties"]["client_secret"]["writeOnly"],
        true
    );
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned));
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

async fn every_error_is_a_problem_whoever_found_it() {
    let stage = Stage::set().await;
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v1/no-such-thing",
        "/v1/sources/x/y/z",
        "/v1/sources/",
    ] {
        stage.get(path).await.problem(Code::NotFound, "");
    }
    for (method, path) in [
        ("PATCH", "/v1/sources"),
        ("POST", "/v1/engine"),
        ("GET", "/v1/sources/x/check"),
        ("BREW", "/healthz"),
    ] {
        let answer = stage.ask(method, path, None).await;
        assert!(
            !answer.header("allow").is_empty(),
            "{method} {path}: {:?}",
            answer.headers
        );
        answer.problem(Code::MethodNotAllowed, "");
    }
    stage
        .get("/v1/sources/%ff")
        .await
        .problem(Code::MalformedRequest, "");
    let large = json!({ "name": "x".repeat(100_000) });
    stage
        .post("/v1/sources", &large)
        .await
        .problem(Code::BodyTooLarge, "");
    stage.zoom(Zoom::Panics);
    let problem = stage
        .post("/v1/sources", &source("corp"))
        .await
        .problem(Code::Internal, "");
    assert!(!problem.to_string().contains("as told"), "{problem}");
    stage.zoom(Zoom::Accepts);
    stage.post("/v1/sources", &source("corp")).await.expect(201);
    stage.api.store.close().await;
    let problem = stage.get("/v1/sources").await.problem(Code::StoreUnavailable, "");
    assert!(!problem.to_string().to_lowercase().contains("pool"), "{problem}");
    stage.get("/readyz").await.problem(Code::StoreUnavailable, "");
    stage.get("/healthz").await;
}

async fn a_request_is_given_up_when_its_time_is_over() {
    let stage = Stage::set().await;
    stage.zoom(Zoom::Hangs);
    let spec = source("corp");
    let mut request = Box::pin(stage.post("/v1/sources", &spec));
    while stage.clock.next_wake().is_none() || stage.zoom.asked.lock().unwrap().is_empty() {
        assert!(request.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    stage.clock.advance(Duration::from_mins(1));
    request.await.problem(Code::TimedOut, "");
    stage.get("/v1/sources").await.expect(200);
}

async fn a_request_keeps_its_callers_name_where_that_is_sane() {
    let stage = Stage::set().await;
    let named = async |id: &str| {
        let answer = stage
            .ask_with("GET", "/v1/engine", &[("x-request-id", id)], None)
            .await;
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.header("x-request-id").to_owned()
    };
    assert_eq!(named("run-7/step.2").await, "run-7/step.2");
    for id in ["", "with space", "quote\"", &"x".repeat(129)] {
        let made = named(id).await;
        assert!(made != id && made.len() == 32, "{made}");
    }
    assert_ne!(named("").await, named("").await);
}

async fn the_engine_tells_what_it_is_and_how_it_is() {
    let stage = Stage::set().await;
    let view = stage.get("/v1/engine").await.expect(200);
    assert_eq!(
        view,
        json!({
            "engine_id": "eng_1",
            "version": "1.2.3",
            "public_url": "http://engine.example",
            "redirect_url": "http://engine.example/oauth/callback",
        })
    );
    stage.made("sources", &source("corp")).await;
    stage.get("/v1/sources/secret-looking-id").await;
    stage.get("/nowhere/secret-looking-path").await;
    let metrics = stage.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Telemetry::CONTENT_TYPE);
    for line in [
        r#"zoom_log_engine_api_requests_total{method="POST",route="/v1/sources",status="201"} 1"#,
        r#"zoom_log_engine_api_requests_total{method="GET",route="/v1/sources/{id}",status="404"} 1"#,
        r#"zoom_log_engine_api_requests_total{method="GET",route="none",status="404"} 1"#,
    ] {
        assert!(metrics.text.contains(line), "{line}\n{}", metrics.text);
    }
    assert!(!metrics.text.contains("secret-looking"));

    assert_eq!(stage.get("/readyz").await.text, "ok\n");
    *stage.stalled.lock().unwrap() = Some("the poller has not looked for 3 minutes".to_owned());
    let problem = stage.get("/readyz").await.problem(Code::StoreUnavailable, "");
    assert!(
        problem["detail"].as_str().unwrap().contains("3 minutes"),
        "{problem}"
    );
    assert_eq!(stage.get("/healthz").await.text, "ok\n");
}

async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 65_536];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

async fn connections_are_served_and_let_go_in_order() {
    let stage = Stage::set().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = serve(listener, stage.api.clone(), Entrance::plain(10, 10), stop.clone());
    let talking = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let get = "GET /healthz HTTP/1.1\r\nhost: engine\r\n\r\n";
        assert!(exchange(&mut stream, get).await.starts_with("HTTP/1.1 200 OK"));
        assert!(
            exchange(&mut stream, get).await.starts_with("HTTP/1.1 200 OK"),
            "connections are kept"
        );
        let mut other = TcpStream::connect(address).await.unwrap();
        assert!(
            exchange(&mut other, "no http at all\r\n\r\n")
                .await
                .starts_with("HTTP/1.1 400")
        );

        // A request in hand is answered, an idle connection is closed, and nothing new is accepted.
        stage.zoom(Zoom::Hangs);
        let body = source("corp").to_string();
        let head = format!(
            "POST /v1/sources HTTP/1.1\r\nhost: e\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut busy = TcpStream::connect(address).await.unwrap();
        busy.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        while stage.zoom.asked.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        let mut rest = Vec::new();
        assert_eq!(stream.read_to_end(&mut rest).await.unwrap(), 0);
        // The deadline, once it runs, breaks it off.
        while stage.clock.next_wake() != Some(stage.api.limits.shutdown_deadline) {
            tokio::task::yield_now().await;
        }
        stage.clock.advance(Duration::from_secs(10));
        let mut rest = Vec::new();
        let _ = busy.read_to_end(&mut rest).await;
        assert!(TcpStream::connect(address).await.is_err());
    };
    tokio::join!(serving, talking);
}

crate::store::testing::on_both!(
    every_route_but_seven_refuses_a_missing_and_a_wrong_token,
    every_error_is_a_problem_whoever_found_it,
    a_request_is_given_up_when_its_time_is_over,
    a_request_keeps_its_callers_name_where_that_is_sane,
    the_engine_tells_what_it_is_and_how_it_is,
    connections_are_served_and_let_go_in_order,
);
