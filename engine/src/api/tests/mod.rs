//! The API, through its router, on a real store and vault, with a Zoom that says what a test wants.

mod audit;
mod consent;
mod exchange;
mod files;
mod objects;
mod secrets;
mod sockets;
mod sources;
mod surface;
mod tls;
mod tokens;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode},
};
use engine_api::{Code, EngineView, Secret, SourceSpec};
use serde_json::{Value, json};
use tower::Service as _;

use super::{Answered, Api, CheckFault, Checked, Consents, Limits, Parts, SourceCheck, router};
use crate::{
    clock::{Clock, Simulation},
    credential::{Accepted, Departure},
    http::{self, Http},
    store::secrets::SealedSecret,
    telemetry::Telemetry,
    vault::{self, Held, KeyFrom, Vault},
    zoom::Begun,
};

const TOKEN: &str = "zle_the-token-of-these-tests";

/// What a fake Zoom does when it is asked.
#[derive(Clone, Default)]
enum Zoom {
    #[default]
    Accepts,
    Refuses(CheckFault),
    Panics,
    Hangs,
}

#[derive(Default)]
struct FakeCheck {
    zoom: Mutex<Zoom>,
    /// The secrets that it was asked with.
    asked: Mutex<Vec<String>>,
    /// What comes of a consent; it is taken, where nothing else is said.
    accepts: Mutex<Option<Result<Accepted, CheckFault>>>,
    /// The consents that it was asked to take: source, secret, code, verifier.
    taken: Mutex<Vec<[String; 4]>>,
}

#[async_trait]
impl SourceCheck for FakeCheck {
    async fn check(&self, _id: &str, spec: &SourceSpec, secret: &Secret) -> Checked {
        self.asked.lock().unwrap().push(secret.expose().to_owned());
        let zoom = self.zoom.lock().unwrap().clone();
        let fault = match zoom {
            Zoom::Accepts => None,
            Zoom::Refuses(fault) => Some(fault),
            Zoom::Panics => panic!("as told"),
            Zoom::Hangs => std::future::pending().await,
        };
        let answers = spec.log_types.iter().map(|log_type| (*log_type, fault.clone()));
        Checked {
            answers: answers.collect(),
            asked: spec.log_types.len() as u64,
        }
    }

    fn most_asked(&self, spec: &SourceSpec) -> u64 {
        spec.log_types.len() as u64 * 3
    }

    fn budget_account(&self, spec: &SourceSpec) -> String {
        format!("zoom.example/{}", spec.account_key())
    }
}

#[async_trait]
impl Consents for FakeCheck {
    fn begin(&self, _spec: &SourceSpec) -> Result<Begun, CheckFault> {
        Ok(Begun {
            url: "https://zoom.example/oauth/authorize?client_id=%3C%26%3E&state=state-marker"
                .parse()
                .unwrap(),
            state: Secret::from("state-marker"),
            verifier: Secret::from("verifier-marker"),
        })
    }

    async fn accept(&self, answer: Answered<'_>) -> Result<Accepted, CheckFault> {
        let Answered {
            id,
            secret,
            code,
            verifier,
            ..
        } = answer;
        let taken = [id, secret.expose(), code.expose(), verifier.expose()].map(str::to_owned);
        self.taken.lock().unwrap().push(taken);
        self.accepts.lock().unwrap().clone().unwrap_or_else(|| {
            Ok(Accepted {
                account_id: Some("acc-1".to_owned()),
                scopes: vec!["report:read:admin".to_owned()],
            })
        })
    }

    async fn departure(&self, _: &str, _: &SourceSpec, _: &[SealedSecret]) -> Option<Departure> {
        None
    }

    async fn revoke(&self, _departure: Departure) {}
}

struct Stage {
    dir: tempfile::TempDir,
    home: crate::store::testing::Home,
    api: Api,
    router: Router,
    zoom: Arc<FakeCheck>,
    wakes: Arc<AtomicUsize>,
    stalled: Arc<Mutex<Option<String>>>,
    clock: Simulation,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// Asserts that this is a problem with the code at the field, and returns it.
    #[track_caller]
    fn problem(self, code: Code, field: &str) -> Value {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.text
        );
        let request_id = self.header("x-request-id").to_owned();
        let status = self.status;
        let problem = self.json();
        assert_eq!(problem["code"], code.as_str(), "{problem}");
        assert_eq!(problem["field"].as_str().unwrap_or_default(), field, "{problem}");
        assert_eq!(
            (status.as_u16(), &problem["status"]),
            (code.status(), &json!(code.status()))
        );
        assert!(!request_id.is_empty() && problem["request_id"] == request_id.as_str());
        assert!(problem["detail"].as_str().unwrap().len() > 10, "{problem}");
        problem
    }
}

impl Stage {
    async fn set() -> Self {
        Self::set_with(|_, _| {}).await
    }

    async fn set_with(change: impl FnOnce(&mut Parts, &std::path::Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = "2026-01-31T12:00:00Z".parse().unwrap();
        let (clock, simulation) = Clock::simulated(now);
        let home = crate::store::testing::Home::new(dir.path());
        let store = home.open(clock.clone()).await;
        std::fs::create_dir(dir.path().join("run")).unwrap();
        let options = vault::Options {
            key: KeyFrom::File(dir.path().join("vault.key")),
            ref_dirs: vec![dir.path().join("run")],
            ref_env_prefixes: vec!["CARGO_PKG_".to_owned()],
        };
        let (zoom, wakes) = (Arc::new(FakeCheck::default()), Arc::new(AtomicUsize::new(0)));
        let stalled = Arc::new(Mutex::new(None));
        let mut parts = Parts {
            store,
            vault: Vault::load(options, Held::Nothing).unwrap(),
            clock: clock.clone(),
            telemetry: Telemetry::new(),
            http: Http::new(http::Options::default(), clock).unwrap(),
            token: Secret::from(TOKEN),
            engine: EngineView {
                engine_id: "eng_1".to_owned(),
                version: "1.2.3".to_owned(),
                public_url: "http://engine.example".to_owned(),
                redirect_url: "http://engine.example/oauth/callback".to_owned(),
            },
            limits: Limits {
                max_request_bytes: 64 << 10,
                file_roots: vec![PathBuf::from("/srv/out"), PathBuf::from("/srv/more")],
                shutdown_deadline: std::time::Duration::from_secs(5),
                daily_request_budget: 1_000,
                labeller: engine_api::label::Labeller::default(),
                admin_token_only_bootstraps: false,
                client_certificates: false,
                issuers: Vec::new(),
            },
            source_check: Arc::clone(&zoom) as Arc<dyn SourceCheck>,
            consents: Arc::clone(&zoom) as Arc<dyn Consents>,
            wake: {
                let wakes = Arc::clone(&wakes);
                Arc::new(move || _ = wakes.fetch_add(1, Ordering::Relaxed))
            },
            stalled: {
                let stalled = Arc::clone(&stalled);
                Arc::new(move || stalled.lock().unwrap().clone())
            },
        };
        change(&mut parts, dir.path());
        let api = Api::new(parts);
        Self {
            router: router(&api),
            dir,
            home,
            api,
            zoom,
            wakes,
            stalled,
            clock: simulation,
        }
    }

    /// Sends a request as it is.
    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 16 << 20).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn ask_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("authorization", format!("Bearer {TOKEN}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.ask_with(method, path, &[], body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, Some(body)).await
    }

    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask("PUT", path, Some(body)).await
    }

    /// Creates an object and returns its path.
    async fn made(&self, kind: &str, spec: &Value) -> String {
        let view = self.post(&format!("/v1/{kind}"), spec).await.expect(201);
        format!("/v1/{kind}/{}", view["id"].as_str().unwrap())
    }

    fn zoom(&self, zoom: Zoom) {
        *self.zoom.zoom.lock().unwrap() = zoom;
    }

    fn zoom_refuses(&self, code: Code) {
        self.zoom(Zoom::Refuses(CheckFault {
            code,
            detail: format!("Zoom said {code}, so do something about it"),
            field: None,
        }));
    }

    /// The secrets that Zoom was asked with since the last call.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.zoom.asked.lock().unwrap())
    }

    fn wakes(&self) -> usize {
        self.wakes.swap(0, Ordering::Relaxed)
    }
}

fn source(name: &str) -> Value {
    json!({ "name": name, "account_id": "acc", "client_id": "cid", "client_secret": "s3cret" })
}

fn lake(name: &str) -> Value {
    json!({ "name": name, "file": { "path": name } })
}

fn hook(name: &str, more: Value) -> Value {
    let mut http = json!({ "url": "https://siem.example.com/ingest" });
    if let (Value::Object(http), Value::Object(more)) = (&mut http, more) {
        http.extend(more);
    }
    json!({ "name": name, "http": http })
}
