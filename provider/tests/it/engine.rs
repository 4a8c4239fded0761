//! A stand-in for the engine: the catalog of `/v1` in memory, with the engine's rules about generations, secrets and
//! names, and nothing behind it.

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use engine_api::{AlarmChannelSpec, Code, DestinationSpec, MOST_COMPARED, Problem, SourceSpec, Spec};
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub(crate) const TOKEN: &str = "engine-token-marker";

#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) generation: u64,
    pub(crate) spec: Json,
    pub(crate) secrets: BTreeMap<String, String>,
}

impl Stored {
    fn fingerprint(&self) -> Option<String> {
        let mut hasher = DefaultHasher::new();
        self.secrets.hash(&mut hasher);
        (!self.secrets.is_empty()).then(|| format!("fp-{:016x}", hasher.finish()))
    }
}

#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) engine_id: String,
    pub(crate) troubles: Vec<Json>,
    /// Whether it is of a version before the request that compares the secrets of several objects.
    pub(crate) old: bool,
    /// How many objects such a request may hold before its body is too large.
    pub(crate) takes: usize,
    /// Whether Zoom cannot be asked.
    pub(crate) away: bool,
    pub(crate) objects: BTreeMap<String, Stored>,
    pub(crate) requests: Vec<String>,
    /// The headers of the last request.
    pub(crate) headers: HeaderMap,
    /// What stands before the engine answers these to the next requests, each a status and what to wait.
    pub(crate) faults: Vec<(u16, Option<&'static str>)>,
    by_key: BTreeMap<String, String>,
    made: u128,
}

#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) url: String,
    catalog: Arc<Mutex<Catalog>>,
}

impl Engine {
    /// Starts on a port of its own, on a thread of its own.
    pub(crate) fn start() -> Self {
        Self::start_behind(None)
    }

    /// Starts with a certificate that nobody knows but who has the PEM that is returned with it.
    pub(crate) fn start_with_tls() -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let engine = Self::start_behind(Some(TlsAcceptor::from(Arc::new(config))));
        (engine, made.cert.pem())
    }

    fn start_behind(tls: Option<TlsAcceptor>) -> Self {
        let catalog = Arc::new(Mutex::new(Catalog {
            engine_id: "eng_one".to_owned(),
            troubles: Vec::new(),
            old: false,
            takes: MOST_COMPARED,
            away: false,
            objects: BTreeMap::new(),
            requests: Vec::new(),
            headers: HeaderMap::new(),
            faults: Vec::new(),
            by_key: BTreeMap::new(),
            made: 0,
        }));
        let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = match tls {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        };
        let app = Router::new().fallback(handle).with_state(Arc::clone(&catalog));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                match tls {
                    Some(acceptor) => axum::serve(Tls { listener, acceptor }, app).await.unwrap(),
                    None => axum::serve(listener, app).await.unwrap(),
                }
            });
        });
        Self { url, catalog }
    }

    pub(crate) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap()
    }

    /// Changes the only object whose id has this prefix, as somebody else would.
    pub(crate) fn change(&self, prefix: &str, change: impl FnOnce(&mut Stored)) {
        let mut catalog = self.catalog();
        let mut found = catalog
            .objects
            .iter_mut()
            .filter(|(id, _)| id.starts_with(prefix));
        let (_, stored) = found.next().unwrap();
        assert!(found.next().is_none());
        stored.generation += 1;
        change(stored);
    }

    /// Takes the requests since the last time, as method and path.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.catalog().requests)
    }
}

/// Takes connections with TLS, and drops those that want none or do not trust us.
struct Tls {
    listener: tokio::net::TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn handle(
    State(catalog): State<Arc<Mutex<Catalog>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut catalog = catalog.lock().unwrap();
    catalog.requests.push(format!("{method} {}", uri.path()));
    catalog.headers = headers.clone();
    if !catalog.faults.is_empty() {
        let (status, wait) = catalog.faults.remove(0);
        let status = StatusCode::from_u16(status).unwrap();
        return match wait {
            Some(wait) => (status, [("retry-after", wait)], "a proxy's page").into_response(),
            None => (status, "a proxy's page").into_response(),
        };
    }
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let outcome = if header("authorization") == format!("Bearer {TOKEN}") {
        let path: Vec<&str> = uri.path().trim_start_matches("/v1/").split('/').collect();
        let body: Json = serde_json::from_slice(&body).unwrap_or_default();
        assert!(method != Method::GET || header("user-agent").contains("Terraform/1."));
        match path.first().copied() {
            Some("sources") => catalog.route::<SourceSpec>("src_", &method, &path, &uri, &header, body),
            Some("destinations") => {
                catalog.route::<DestinationSpec>("dst_", &method, &path, &uri, &header, body)
            }
            Some("alarm-channels") => {
                catalog.route::<AlarmChannelSpec>("ach_", &method, &path, &uri, &header, body)
            }
            Some("engine") => Ok(json!({
                "engine_id": catalog.engine_id,
                "version": "0.1.0",
                "public_url": "http://127.0.0.1:8420",
                "redirect_url": "http://127.0.0.1:8420/oauth/callback",
            })),
            Some("sources:troubles") => Ok(json!({ "items": catalog.troubles })),
            Some("sources:try") if catalog.away => Err(refusal(
                Code::ZoomUnavailable,
                "Zoom cannot be reached: try again later.",
            )),
            Some("sources:try") => {
                accept::<SourceSpec>(body["spec"].clone(), &BTreeMap::new(), 1).map(|_| Json::Null)
            }
            Some("sources:compare" | "destinations:compare" | "alarm-channels:compare") if !catalog.old => {
                catalog.compare_all(&body)
            }
            _ => Err(refusal(Code::NotFound, "There is no such route.")),
        }
    } else {
        Err(refusal(Code::Unauthorized, "The bearer token is wrong."))
    };
    match outcome {
        Ok(json) => (StatusCode::OK, json.to_string()).into_response(),
        Err(mut problem) => {
            "req-7".clone_into(&mut problem.request_id);
            let status = StatusCode::from_u16(problem.status).unwrap();
            (status, serde_json::to_string(&problem).unwrap()).into_response()
        }
    }
}

impl Catalog {
    fn route<S: Spec>(
        &mut self,
        prefix: &str,
        method: &Method,
        path: &[&str],
        uri: &Uri,
        header: &dyn Fn(&str) -> String,
        body: Json,
    ) -> Result<Json, Box<Problem>> {
        let absent = || refusal(Code::NotFound, "There is no such object.");
        match (method.as_str(), path) {
            ("GET", [_]) => {
                let asked = |key: &str| {
                    let mut pairs = uri.query().unwrap_or_default().split('&');
                    let found = pairs.find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
                    found.map(|value| value.replace('+', " "))
                };
                let (name, after) = (asked("name"), asked("after").unwrap_or_default());
                let limit = asked("limit").map_or(100, |limit| limit.parse().unwrap());
                let mut items = self
                    .objects
                    .iter()
                    .filter(|(id, _)| id.starts_with(prefix) && **id > after)
                    .filter(|(_, stored)| name.as_ref().is_none_or(|name| stored.spec["name"] == **name))
                    .map(|(id, stored)| view(id, stored));
                let page: Vec<Json> = items.by_ref().take(limit).collect();
                let next = items.next().and(page.last()).map(|last| last["id"].clone());
                Ok(json!({ "items": page, "next": next }))
            }
            ("GET", [_, id]) => self
                .objects
                .get(*id)
                .map(|stored| view(id, stored))
                .ok_or_else(absent),
            ("GET", [_, id, "status"]) => self.objects.get(*id).map(|_| status(id)).ok_or_else(absent),
            ("POST", [_]) => {
                if let Some(id) = self.by_key.get(&header("idempotency-key")) {
                    return Ok(view(id, &self.objects[id]));
                }
                let stored = accept::<S>(body, &BTreeMap::new(), 1)?;
                self.made += 1;
                let id = format!("{prefix}{:0>26}", self.made);
                let made = view(&id, &stored);
                self.by_key.insert(header("idempotency-key"), id.clone());
                self.objects.insert(id, stored);
                Ok(made)
            }
            ("PUT", [_, id]) => {
                let before = self.objects.get(*id).cloned().ok_or_else(absent)?;
                if header("if-match") != format!("\"{}\"", before.generation) {
                    return Err(refusal(Code::GenerationConflict, "It has changed."));
                }
                let stored = accept::<S>(body, &before.secrets, before.generation + 1)?;
                let made = view(id, &stored);
                self.objects.insert((*id).to_owned(), stored);
                Ok(made)
            }
            ("DELETE", [_, id]) => self.objects.remove(*id).map(|_| Json::Null).ok_or_else(absent),
            ("POST", [_, id, "compare"]) => {
                let stored = self.objects.get(*id).ok_or_else(absent)?;
                Ok(compared(stored, &body["secrets"]))
            }
            _ => Err(absent()),
        }
    }

    fn compare_all(&self, body: &Json) -> Result<Json, Box<Problem>> {
        let items = body["items"].as_array().unwrap();
        if items.len() > self.takes {
            return Err(refusal(Code::BodyTooLarge, "The body is too large."));
        }
        let items = items.iter().map(|item| {
            let stored = self.objects.get(item["id"].as_str().unwrap());
            let result = stored.map(|stored| compared(stored, &item["secrets"]));
            json!({ "id": item["id"], "result": result })
        });
        Ok(json!({ "items": items.collect::<Vec<_>>() }))
    }
}

fn compared(stored: &Stored, candidates: &Json) -> Json {
    let candidates = candidates.as_object().unwrap().iter();
    let matches: BTreeMap<&String, bool> = candidates
        .map(|(field, candidate)| {
            let same = stored.secrets.get(field).map_or("", String::as_str) == candidate;
            (field, same)
        })
        .collect();
    json!({ "matches": matches, "credential_fingerprint": stored.fingerprint() })
}

fn refusal(code: Code, detail: &str) -> Box<Problem> {
    Box::new(Problem::new(code, detail))
}

/// Takes a spec as the engine would: secrets that are left out are kept, empty ones are removed.
fn accept<S: Spec>(
    body: Json,
    kept: &BTreeMap<String, String>,
    generation: u64,
) -> Result<Stored, Box<Problem>> {
    let spec: S =
        serde_json::from_value(body).map_err(|error| refusal(Code::MalformedBody, &error.to_string()))?;
    let text = serde_json::to_value(&spec).unwrap();
    if text["account_id"] == "nobody" {
        return Err(Box::new(
            Problem::new(Code::ZoomUnknownAccount, "Zoom does not know this account.").at("account_id"),
        ));
    }
    let mut secrets = BTreeMap::new();
    for secret in spec.secrets() {
        let value = secret
            .value
            .map(|value| value.expose().to_owned())
            .or_else(|| kept.get(secret.field).cloned());
        if value.as_deref() == Some("wrong") {
            return Err(refusal(
                Code::ZoomInvalidCredentials,
                "Zoom refuses the client id or secret.",
            ));
        }
        if let Some(value) = value.filter(|value| !value.is_empty() && secret.reference.is_none()) {
            secrets.insert(secret.field.to_owned(), value);
        }
    }
    Ok(Stored {
        generation,
        spec: text,
        secrets,
    })
}

fn view(id: &str, stored: &Stored) -> Json {
    json!({
        "id": id,
        "generation": stored.generation,
        "spec": stored.spec,
        "credential_fingerprint": stored.fingerprint(),
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    })
}

fn status(id: &str) -> Json {
    json!({
        "source_id": id,
        "health": "ok",
        "budget_remaining": 18_000,
        "feeds": [{
            "log_type": "operation",
            "health": "degraded",
            "trouble": { "code": "zoom_unavailable", "detail": "Zoom is away.", "since": "2026-01-01T00:00:00Z" },
            "events": 7,
            "deliveries": [],
        }],
    })
}
