//! Secrets: kept, replaced, removed, referred to, compared, and never shown.

use tracing::subscriber::set_default;

use super::*;

const BEARER: &str = "bearer-marker-1";
const SIGNING: &str = "signing-marker-2";
const PASSWORD: &str = "password-marker-3";

fn compare(pairs: &[(&str, &str)]) -> Value {
    let secrets: serde_json::Map<_, _> = pairs
        .iter()
        .map(|(field, value)| ((*field).to_owned(), json!(value)))
        .collect();
    json!({ "secrets": secrets })
}

impl Stage {
    /// Which of the candidates match.
    async fn matches(&self, path: &str, pairs: &[(&str, &str)]) -> Vec<bool> {
        let answer = self
            .post(&format!("{path}/compare"), &compare(pairs))
            .await
            .expect(200);
        pairs
            .iter()
            .map(|(field, _)| answer["matches"][field].as_bool().unwrap())
            .collect()
    }

    async fn fingerprint(&self, path: &str) -> Option<String> {
        let view = self.get(path).await.expect(200);
        let compared = self
            .post(&format!("{path}/compare"), &compare(&[]))
            .await
            .expect(200);
        assert_eq!(
            view.get("credential_fingerprint"),
            compared.get("credential_fingerprint")
        );
        view["credential_fingerprint"].as_str().map(ToOwned::to_owned)
    }
}

async fn a_put_keeps_what_it_leaves_out_and_removes_what_it_empties() {
    let stage = Stage::set().await;
    let both = json!({ "bearer_token": BEARER, "signing_secret": SIGNING });
    let path = stage.made("destinations", &hook("h", both.clone())).await;
    let all = [("http.bearer_token", BEARER), ("http.signing_secret", SIGNING)];
    assert_eq!(stage.matches(&path, &all).await, [true, true]);
    let first = stage.fingerprint(&path).await.unwrap();

    // Left out: kept, and nothing has changed at all.
    let view = stage.put(&path, &hook("h", json!({}))).await.expect(200);
    assert_eq!(
        (&view["generation"], &view["credential_fingerprint"]),
        (&json!(1), &json!(first))
    );
    // Sent again with the same values: nothing has changed either.
    assert_eq!(
        stage.put(&path, &hook("h", both)).await.expect(200)["generation"],
        1
    );
    assert_eq!(stage.matches(&path, &all).await, [true, true]);

    // One is replaced, the other kept.
    let view = stage
        .put(&path, &hook("h", json!({ "bearer_token": "new" })))
        .await
        .expect(200);
    assert_eq!(view["generation"], 2);
    assert_eq!(stage.matches(&path, &all).await, [false, true]);
    assert_eq!(
        stage.matches(&path, &[("http.bearer_token", "new")]).await,
        [true]
    );
    let second = stage.fingerprint(&path).await.unwrap();
    assert_ne!(first, second);

    // Emptied: removed.
    let view = stage
        .put(&path, &hook("h", json!({ "bearer_token": "" })))
        .await
        .expect(200);
    assert_eq!(view["generation"], 3);
    assert_eq!(stage.matches(&path, &[("http.bearer_token", "")]).await, [true]);
    assert_eq!(stage.matches(&path, &all).await, [false, true]);
    let view = stage
        .put(&path, &hook("h", json!({ "signing_secret": "" })))
        .await
        .expect(200);
    assert_eq!(view.get("credential_fingerprint"), None);
    assert_eq!(stage.fingerprint(&path).await, None);
}

async fn another_kind_of_credential_drops_the_old_one() {
    let stage = Stage::set().await;
    let path = stage
        .made("destinations", &hook("h", json!({ "bearer_token": BEARER })))
        .await;
    let basic = json!({ "basic": { "username": "u", "password": PASSWORD } });
    stage.put(&path, &hook("h", basic)).await.expect(200);
    let fields = [("http.bearer_token", BEARER), ("http.basic.password", PASSWORD)];
    assert_eq!(stage.matches(&path, &fields).await, [false, true]);
    // A new user name keeps the password.
    stage
        .put(&path, &hook("h", json!({ "basic": { "username": "v" } })))
        .await
        .expect(200);
    assert_eq!(stage.matches(&path, &fields).await, [false, true]);
    stage
        .put(&path, &hook("h", json!({ "bearer_token": BEARER })))
        .await
        .expect(200);
    assert_eq!(stage.matches(&path, &fields).await, [true, false]);
    // What was dropped is gone for good.
    let basic = hook("h", json!({ "basic": { "username": "u" } }));
    stage
        .put(&path, &basic)
        .await
        .problem(Code::MissingSecret, "http.basic.password");
    // A file holds no secret.
    stage.put(&path, &lake("h")).await.expect(200);
    assert_eq!(stage.fingerprint(&path).await, None);
}

async fn a_reference_takes_the_place_of_a_stored_secret() {
    let stage = Stage::set().await;
    let file = stage.dir.path().join("run/token");
    std::fs::write(&file, "referred\n").unwrap();
    let reference = format!("file:{}", file.display());
    let mut spec = source("corp");
    let path = stage.made("sources", &spec).await;
    assert_eq!(stage.asked(), ["s3cret"]);

    spec.as_object_mut().unwrap().remove("client_secret");
    spec["client_secret_ref"] = json!(reference);
    let view = stage.put(&path, &spec).await.expect(200);
    assert_eq!(stage.asked(), ["referred"], "a new reference is verified");
    assert_eq!(view.get("credential_fingerprint"), None);
    assert_eq!(view["spec"]["client_secret_ref"], reference.as_str());
    for value in ["s3cret", "referred"] {
        assert_eq!(stage.matches(&path, &[("client_secret", value)]).await, [false]);
    }

    std::fs::remove_file(&file).unwrap();
    spec["name"] = json!("other");
    stage
        .put(&path, &spec)
        .await
        .problem(Code::SecretRefUnreadable, "client_secret_ref");
    for (reference, code) in [
        ("file:/etc/passwd", Code::SecretRefRefused),
        ("env:PATH", Code::SecretRefRefused),
        ("env:CARGO_PKG_NOT_SET", Code::SecretRefUnreadable),
        ("exec:rm", Code::InvalidSpec),
    ] {
        spec["client_secret_ref"] = json!(reference);
        stage.put(&path, &spec).await.problem(code, "client_secret_ref");
        stage
            .post("/v1/sources", &spec)
            .await
            .problem(code, "client_secret_ref");
    }
    spec["client_secret_ref"] = json!("env:CARGO_PKG_NAME");
    spec["client_secret"] = json!("both");
    stage
        .put(&path, &spec)
        .await
        .problem(Code::InvalidSpec, "client_secret");
    spec.as_object_mut().unwrap().remove("client_secret_ref");
    stage.put(&path, &spec).await.expect(200);
    assert_eq!(stage.matches(&path, &[("client_secret", "both")]).await, [true]);
}

async fn a_secret_that_is_needed_must_come_from_somewhere() {
    let stage = Stage::set().await;
    let mut spec = source("corp");
    spec.as_object_mut().unwrap().remove("client_secret");
    stage
        .post("/v1/sources", &spec)
        .await
        .problem(Code::MissingSecret, "client_secret");
    spec["client_secret"] = json!("");
    stage
        .post("/v1/sources", &spec)
        .await
        .problem(Code::InvalidSpec, "client_secret");
    let path = stage.made("sources", &source("corp")).await;
    stage
        .put(&path, &spec)
        .await
        .problem(Code::InvalidSpec, "client_secret");
    let two =
        json!({ "basic": { "username": "u", "password": "" }, "secret_header": { "name": "x-api-key" } });
    let problem = stage
        .post("/v1/destinations", &hook("h", two))
        .await
        .problem(Code::MissingSecret, "http.basic.password");
    assert_eq!(problem["errors"][1]["field"], "http.secret_header.value");
}

async fn a_stored_secret_that_does_not_open_can_be_set_again() {
    let stage = Stage::set().await;
    let path = stage
        .made("destinations", &hook("h", json!({ "bearer_token": BEARER })))
        .await;
    let id = path.rsplit('/').next().unwrap();
    // Another object's seal, as after a restore of half a database.
    let (object, _) = stage
        .api
        .store
        .object_with_secrets(engine_api::Kind::Destination, id)
        .await
        .unwrap()
        .unwrap();
    let sealed = stage
        .api
        .vault
        .seal("dst_other", "http.bearer_token", &Secret::from(BEARER))
        .unwrap();
    let content = crate::store::catalog::Content {
        name: object.name.clone(),
        spec: object.spec.clone(),
        fingerprint: object.fingerprint.clone(),
        secrets: vec![crate::store::secrets::SealedSecret {
            field: "http.bearer_token".to_owned(),
            sealed,
        }],
        references: vec![],
    };
    stage
        .api
        .store
        .replace_object(object.kind, id, 1, &content)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        stage.matches(&path, &[("http.bearer_token", BEARER)]).await,
        [false]
    );
    let problem = stage
        .put(&path, &hook("h", json!({})))
        .await
        .problem(Code::MissingSecret, "http.bearer_token");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("set the secret again"),
        "{problem}"
    );
    stage
        .put(&path, &hook("h", json!({ "bearer_token": BEARER })))
        .await
        .expect(200);
    assert_eq!(
        stage.matches(&path, &[("http.bearer_token", BEARER)]).await,
        [true]
    );
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn a_marker_is_found_nowhere() {
    const MARKERS: [&str; 6] = [
        "marker-a1",
        "marker-b2",
        "marker-c3",
        "marker-d4",
        "marker-e5",
        "31415926535",
    ];
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone());
    let _logging = set_default(subscriber.finish());

    let stage = Stage::set().await;
    let mut seen = Vec::new();
    let mut spec = source("corp");
    spec["client_secret"] = json!("marker-a1");
    stage.zoom_refuses(Code::ZoomInvalidCredentials);
    seen.push(stage.post("/v1/sources", &spec).await);
    stage.zoom(Zoom::Panics);
    seen.push(stage.post("/v1/sources", &spec).await);
    stage.zoom(Zoom::Accepts);
    seen.push(
        stage
            .ask_with("POST", "/v1/sources", &[("idempotency-key", "k")], Some(&spec))
            .await,
    );
    let path = format!("/v1/sources/{}", seen[2].json()["id"].as_str().unwrap());
    spec["client_secret"] = json!("marker-b2");
    seen.push(stage.put(&path, &spec).await);
    seen.push(
        stage
            .post(
                &format!("{path}/compare"),
                &compare(&[("client_secret", "marker-c3")]),
            )
            .await,
    );
    for broken in [
        json!({ "name": "x", "client_secret": 31_415_926_535_u64 }),
        json!({ "name": "x", "client_secret": { "value": "marker-d4" } }),
        json!({ "name": "", "account_id": "a", "client_id": "c", "client_secret": "marker-d4", "poll_interval": "1s" }),
        json!({ "name": "corp", "account_id": "a", "client_id": "c", "client_secret": "marker-d4" }),
        json!(["marker-d4"]),
        json!({ "secrets": ["marker-d4"] }),
    ] {
        seen.push(stage.post("/v1/sources", &broken).await);
        seen.push(stage.post(&format!("{path}/compare"), &broken).await);
    }
    let basic = json!({ "basic": { "username": "u", "password": "marker-e5" } });
    seen.push(stage.post("/v1/destinations", &hook("h", basic)).await);
    for path in [
        path.as_str(),
        "/v1/sources",
        "/v1/destinations",
        "/metrics",
        "/openapi.json",
    ] {
        seen.push(stage.get(path).await);
    }
    seen.push(stage.post(&format!("{path}/check"), &json!({})).await);
    seen.push(stage.get(&format!("/v1/sources?colour=marker-d4&{TOKEN}")).await);

    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("request refused") && log.contains("request failed"),
        "{log}"
    );
    let mut places: Vec<(String, Vec<u8>)> = vec![("log".to_owned(), log.into_bytes())];
    for (number, answer) in seen.iter().enumerate() {
        // The last one echoes a query, to its own author alone.
        let text = if number + 1 == seen.len() {
            String::new()
        } else {
            answer.text.clone()
        };
        places.push((
            format!("answer {number}"),
            format!("{text}{:?}", answer.headers).into_bytes(),
        ));
    }
    places.push(("database".to_owned(), stage.home.bytes()));
    assert!(
        places.iter().any(|(_, bytes)| contains(bytes, "client_id")),
        "the search finds what is there"
    );
    for (place, bytes) in places {
        for marker in MARKERS.iter().chain(&[TOKEN]) {
            assert!(
                !contains(&bytes, marker),
                "{marker} in {place}: {}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

async fn a_stored_secret_does_not_follow_an_address_to_another_server() {
    let stage = Stage::set().await;
    let both = json!({ "bearer_token": BEARER, "signing_secret": SIGNING });
    let path = stage.made("destinations", &hook("h", both)).await;
    let at = |url: &str, more: Value| {
        let mut http = json!({ "url": url });
        http.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "name": "h", "http": http })
    };
    for url in [
        "https://evil.example.com/ingest",
        "http://siem.example.com/ingest",
        "https://siem.example.com:8443/ingest",
        "https://siem.example.com.evil.example/ingest",
    ] {
        let problem = stage.put(&path, &at(url, json!({}))).await;
        let problem = problem.problem(Code::SecretNotResent, "http.bearer_token");
        assert_eq!(problem["errors"].as_array().unwrap().len(), 2, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("`http.url`") && detail.contains("`https://siem.example.com`"),
            "{detail}"
        );
        // One of two is not enough.
        let one = at(url, json!({ "bearer_token": BEARER }));
        stage
            .put(&path, &one)
            .await
            .problem(Code::SecretNotResent, "http.signing_secret");
    }
    assert_eq!(stage.get(&path).await.expect(200)["generation"], 1);

    // The same server under another path or spelling needs nothing; removed or sent again is as good.
    let same = at("https://SIEM.example.com:443/other", json!({}));
    stage.put(&path, &same).await.expect(200);
    let again = json!({ "bearer_token": BEARER, "signing_secret": "" });
    stage
        .put(&path, &at("https://evil.example.com/", again))
        .await
        .expect(200);
    let fields = [("http.bearer_token", BEARER), ("http.signing_secret", "")];
    assert_eq!(stage.matches(&path, &fields).await, [true, true]);

    // The same holds for a channel.
    let channel = |url: &str, more: Value| {
        let mut webhook = json!({ "url": url });
        webhook
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "name": "c", "webhook": webhook })
    };
    let signed = json!({ "signing_secret": SIGNING });
    let path = stage
        .made("alarm-channels", &channel("https://chat.example.com/", signed))
        .await;
    stage
        .put(&path, &channel("https://evil.example.com/", json!({})))
        .await
        .problem(Code::SecretNotResent, "webhook.signing_secret");
}

crate::store::testing::on_both!(
    a_put_keeps_what_it_leaves_out_and_removes_what_it_empties,
    another_kind_of_credential_drops_the_old_one,
    a_reference_takes_the_place_of_a_stored_secret,
    a_secret_that_is_needed_must_come_from_somewhere,
    a_stored_secret_that_does_not_open_can_be_set_again,
    a_marker_is_found_nowhere,
    a_stored_secret_does_not_follow_an_address_to_another_server,
);
