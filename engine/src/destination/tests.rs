//! Destinations against real files and a real server on loopback.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{Read as _, Write as _},
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use engine_api::{Code, LogType, SourceId};
use jiff::Timestamp;
use ring::hmac;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::{
    encode::Origin,
    http::Options,
    model::{Day, Event, FeedKey, RowHash},
};

fn batch(rows: &[&str]) -> Batch {
    let feed = FeedKey {
        source: SourceId::from_bytes([1; 16]),
        log_type: LogType::Operation,
    };
    let mut lines = Lines::default();
    for row in rows {
        let event = Event {
            hash: RowHash([0; 12]),
            day: Day::UNDATED,
            occurrence: 1,
            time: None,
            late: false,
            collected_at: Timestamp::UNIX_EPOCH,
            labels: "sso",
            row,
            detail_at: None,
        };
        lines.push(&event, &Origin::new(&feed, "s"), false);
    }
    Batch::new("msg_1".to_owned(), lines, rows.len())
}

fn appends(root: &Path) -> file::Appends {
    file::Appends::new("logs/lake.ndjson", Arc::from([root.to_owned()]))
}

fn lake(root: &Path) -> std::path::PathBuf {
    root.join("logs/lake.ndjson")
}

fn read(root: &Path) -> String {
    fs::read_to_string(lake(root)).unwrap()
}

async fn write(
    file: &file::Appends,
    settled: Option<&str>,
    interrupted: bool,
    rows: &[&str],
) -> Option<String> {
    file.prepare(settled, interrupted).await.unwrap();
    file.write(&batch(rows)).await.unwrap()
}

#[tokio::test]
async fn a_file_is_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let file = appends(dir.path());
    let settled = write(&file, None, false, &["1", "2"]).await;
    write(&file, settled.as_deref(), false, &["3"]).await;
    assert_eq!(read(dir.path()), "1\n2\n3\n");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(lake(dir.path())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
}

#[tokio::test]
async fn what_was_not_settled_is_cut_off_before_it_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let settled = write(&appends(dir.path()), None, false, &["1"]).await;
    // The engine died after this write, and in the middle of the one after it.
    write(&appends(dir.path()), settled.as_deref(), false, &["2"]).await;
    OpenOptions::new()
        .append(true)
        .open(lake(dir.path()))
        .unwrap()
        .write_all(b"{\"torn")
        .unwrap();
    write(&appends(dir.path()), settled.as_deref(), true, &["2"]).await;
    assert_eq!(read(dir.path()), "1\n2\n");
}

#[tokio::test]
async fn the_very_first_write_is_repaired_too_and_what_was_there_before_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("logs")).unwrap();
    fs::write(lake(dir.path()), "old\n").unwrap();
    let file = appends(dir.path());
    let settled = file.prepare(None, false).await.unwrap();
    file.write(&batch(&["1"])).await.unwrap();
    drop(file);
    write(&appends(dir.path()), settled.as_deref(), true, &["1"]).await;
    assert_eq!(read(dir.path()), "old\n1\n");
}

#[tokio::test]
async fn a_file_that_a_user_rotated_or_emptied_is_taken_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = appends(dir.path());
    let mut settled = write(&file, None, false, &["1", "2"]).await;

    fs::rename(lake(dir.path()), dir.path().join("rotated")).unwrap();
    settled = write(&file, settled.as_deref(), false, &["3"]).await;
    assert_eq!(read(dir.path()), "3\n");

    fs::write(lake(dir.path()), "").unwrap();
    settled = write(&file, settled.as_deref(), false, &["4"]).await;
    assert_eq!(read(dir.path()), "4\n");

    // Rotated while nobody had it open, and interrupted before that: the new file is not cut.
    drop(file);
    fs::rename(lake(dir.path()), dir.path().join("rotated-again")).unwrap();
    fs::write(lake(dir.path()), "a user's own line\n").unwrap();
    write(&appends(dir.path()), settled.as_deref(), true, &["5"]).await;
    assert_eq!(read(dir.path()), "a user's own line\n5\n");
    assert_eq!(fs::read_to_string(dir.path().join("rotated")).unwrap(), "1\n2\n");
}

#[tokio::test]
async fn only_an_interrupted_write_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let settled = write(&appends(dir.path()), None, false, &["1"]).await;
    OpenOptions::new()
        .append(true)
        .open(lake(dir.path()))
        .unwrap()
        .write_all(b"a note")
        .unwrap();
    write(&appends(dir.path()), settled.as_deref(), false, &["2"]).await;
    assert_eq!(
        read(dir.path()),
        "1\na note\n2\n",
        "a foreign line is kept, and does not swallow ours"
    );
}

#[tokio::test]
async fn two_writers_of_one_file_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (appends(dir.path()), appends(dir.path()));
    first.prepare(None, false).await.unwrap();
    let error = second.prepare(None, false).await.unwrap_err();
    assert!(
        matches!(&error, WriteError::Unavailable { detail } if detail.contains("locked")),
        "{error}"
    );
    drop(first);
    second.prepare(None, false).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_waited_for() {
    // Every write to this device fails with "no space left".
    if !Path::new("/dev/full").exists() {
        return;
    }
    let error = std::fs::write("/dev/full", "x").unwrap_err();
    let error = path::failed(&error, "append to", Path::new("lake"));
    assert!(
        matches!(&error, WriteError::Unavailable { detail } if detail.contains("room")),
        "{error}"
    );
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_to_blocks() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("logs"), "not a directory").unwrap();
    let error = appends(dir.path()).prepare(None, false).await.unwrap_err();
    assert_eq!(error.code(), Code::PathRefused, "{error}");
}

type Requests = Vec<(HeaderMap, Vec<u8>)>;
type Answer = (u16, Vec<(&'static str, String)>, String);

/// What a server was sent, and what it answers.
#[derive(Clone, Default)]
struct Server {
    requests: Arc<Mutex<Requests>>,
    answer: Arc<Mutex<Answer>>,
}

async fn answer(State(server): State<Server>, headers: HeaderMap, body: bytes::Bytes) -> Response {
    server.requests.lock().unwrap().push((headers, body.to_vec()));
    let (status, headers, body) = server.answer.lock().unwrap().clone();
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's server lives as long as its runtime"
)]
async fn serve() -> (Server, String) {
    let server = Server::default();
    server.answer.lock().unwrap().0 = 200;
    let router = Router::new().fallback(answer).with_state(server.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/ingest", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (server, url)
}

fn kinds() -> Kinds {
    let options = Options {
        egress: crate::http::Rule {
            private: true,
            ..crate::http::Rule::default()
        },
        ..Options::default()
    };
    let (clock, _) = Clock::simulated("2026-01-31T12:00:00Z".parse().unwrap());
    // Requests need the real time to pass; signatures show the simulated one.
    Kinds {
        http: Http::new(options, Clock::real()).unwrap(),
        clock,
        file_roots: Arc::from([]),
    }
}

async fn post(url: &str, more: Value, secrets: &[(&str, &str)], rows: &[&str]) -> Result<(), WriteError> {
    let mut http = json!({ "url": url });
    http.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let spec: DestinationSpec = serde_json::from_value(json!({ "name": "hook", "http": http })).unwrap();
    let opened: BTreeMap<&str, Secret> = secrets
        .iter()
        .map(|(field, value)| (*field, Secret::from(*value)))
        .collect();
    let opened = Secrets::from(opened);
    let destination = kinds().open(&spec, &opened)?;
    assert_eq!(destination.prepare(None, false).await.unwrap(), None);
    destination
        .write(&batch(rows))
        .await
        .map(|settled| assert_eq!(settled, None))
}

impl Server {
    fn last(&self) -> (HeaderMap, Vec<u8>) {
        self.requests.lock().unwrap().last().unwrap().clone()
    }
}

#[tokio::test]
async fn a_batch_is_sent_as_ndjson_or_as_an_array() {
    let (server, url) = serve().await;
    post(
        &url,
        json!({ "headers": { "x-team": "secops" } }),
        &[],
        &["{}", "1"],
    )
    .await
    .unwrap();
    let (headers, body) = server.last();
    assert_eq!(body, b"{}\n1\n");
    for (name, value) in [
        ("content-type", "application/x-ndjson"),
        ("x-team", "secops"),
        ("webhook-id", "msg_1"),
        ("idempotency-key", "msg_1"),
        ("webhook-timestamp", "1769860800"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert!(!headers.contains_key("authorization") && !headers.contains_key("webhook-signature"));

    post(
        &url,
        json!({ "format": "json_array", "compression": "gzip" }),
        &[],
        &["{}", "1"],
    )
    .await
    .unwrap();
    let (headers, body) = server.last();
    assert_eq!(
        (&headers["content-type"], &headers["content-encoding"]),
        (&"application/json".parse().unwrap(), &"gzip".parse().unwrap())
    );
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&body[..])
        .read_to_string(&mut plain)
        .unwrap();
    assert_eq!(plain, "[{},1]");
}

#[tokio::test]
async fn credentials_and_signature_go_with_the_request() {
    let (server, url) = serve().await;
    post(
        &url,
        json!({}),
        &[
            ("http.bearer_token", "tok"),
            ("http.signing_secret", "whsec_c2VjcmV0"),
        ],
        &["1"],
    )
    .await
    .unwrap();
    let (headers, body) = server.last();
    assert_eq!(headers["authorization"], "Bearer tok");
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
    let signed = [&b"msg_1.1769860800."[..], &body].concat();
    let wanted = format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)));
    assert_eq!(headers["webhook-signature"], wanted);

    let basic = json!({ "basic": { "username": "u" }, "secret_header": { "name": "x-key" } });
    let secrets = [("http.basic.password", "p"), ("http.secret_header.value", "v")];
    post(&url, basic.clone(), &secrets, &["1"]).await.unwrap();
    let (headers, _) = server.last();
    assert_eq!(
        (&headers["authorization"], &headers["x-key"]),
        (&"Basic dTpw".parse().unwrap(), &"v".parse().unwrap())
    );

    let error = post(&url, basic, &[], &["1"]).await.unwrap_err();
    assert_eq!(error.code(), Code::MissingSecret);
    let error = post(&url, json!({}), &[("http.signing_secret", "whsec_?")], &["1"])
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            WriteError::Blocked {
                code: Code::InvalidSpec,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let (server, url) = serve().await;
    for (status, retry_after, wanted) in [
        (200, None, "ok"),
        (202, None, "ok"),
        (204, None, "ok"),
        (302, None, "blocked"),
        (400, None, "refused"),
        (401, None, "blocked"),
        (403, None, "blocked"),
        (404, None, "blocked"),
        (405, None, "blocked"),
        (408, None, "unavailable"),
        (409, None, "blocked"),
        (410, None, "blocked"),
        (413, None, "too_large"),
        (415, None, "blocked"),
        (422, None, "refused"),
        (425, None, "unavailable"),
        (429, None, "throttled"),
        (429, Some("7"), "throttled 7"),
        (500, None, "unavailable"),
        (503, Some("Sat, 31 Jan 2026 12:02:00 GMT"), "throttled 120"),
    ] {
        let location = ("location", "https://elsewhere.example.com/secret-path".to_owned());
        let headers = retry_after
            .map(|value| ("retry-after", value.to_owned()))
            .into_iter()
            .chain([location]);
        *server.answer.lock().unwrap() = (status, headers.collect(), String::new());
        let found = match post(&url, json!({}), &[], &["1"]).await {
            Ok(()) => "ok".to_owned(),
            Err(WriteError::Throttled {
                retry_after: None, ..
            }) => "throttled".to_owned(),
            Err(WriteError::Throttled {
                retry_after: Some(at),
                ..
            }) => {
                format!("throttled {}", at.as_second() - 1_769_860_800)
            }
            Err(WriteError::Unavailable { .. }) => "unavailable".to_owned(),
            Err(WriteError::Refused { .. }) => "refused".to_owned(),
            Err(WriteError::TooLarge { .. }) => "too_large".to_owned(),
            Err(WriteError::Blocked { .. }) => "blocked".to_owned(),
        };
        assert_eq!(found, wanted, "{status} {retry_after:?}");
    }
}

#[tokio::test]
async fn a_receivers_words_are_shown_without_our_secrets() {
    let (server, url) = serve().await;
    let words = "no:\r\n\tbad  row \"x\"; you sent Bearer marker-1 and Basic dTptYXJrZXItMg== ".to_owned()
        + &"y".repeat(1_000);
    *server.answer.lock().unwrap() = (400, Vec::new(), words);
    let spec = json!({ "basic": { "username": "u" } });
    let secrets = [
        ("http.signing_secret", "marker-1"),
        ("http.basic.password", "marker-2"),
    ];
    let reason = post(&url, spec, &secrets, &["1"]).await.unwrap_err().to_string();
    assert!(
        reason.contains("400, `no: bad row \"x\"; you sent Bearer (secret) and Basic (secret) yyy"),
        "{reason}"
    );
    assert!(
        reason.len() < 500 && reason.ends_with("y…`") && !reason.contains("marker"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_unreachable_or_forbidden_address_has_its_own_reaction() {
    let error = post("http://127.0.0.1:1/x", json!({}), &[], &["1"])
        .await
        .unwrap_err();
    assert!(matches!(error, WriteError::Unavailable { .. }), "{error}");

    let spec =
        serde_json::from_value(json!({ "name": "hook", "http": { "url": "http://127.0.0.1:1/x" } })).unwrap();
    let guarded = Kinds {
        http: Http::new(Options::default(), Clock::real()).unwrap(),
        ..kinds()
    };
    let destination = guarded.open(&spec, &Secrets::default()).unwrap();
    let error = destination.write(&batch(&["1"])).await.unwrap_err();
    assert_eq!(error.code(), Code::AddressRefused, "{error}");
}
