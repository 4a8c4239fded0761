//! A platform that gives its workloads identities: a discovery document, keys, and signed tokens.
//!
//! It is also the GitHub that a job asks for its token.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::wire::{Conn, WireListener};

/// What a job must show to be given its token, as `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
pub const REQUEST_TOKEN: &str = "request-token-of-the-job";

/// A running issuer; dropping it makes it unreachable.
#[derive(Debug)]
pub struct Issuer {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    url: String,
    /// The keys that are published, by their ids; the last one signs.
    keys: Mutex<Vec<(String, EcdsaKeyPair)>>,
    asked: AtomicUsize,
}

impl Issuer {
    /// Starts an issuer with one key on a free port.
    pub async fn start() -> Self {
        let stop = CancellationToken::new();
        let addr = "127.0.0.1:0".parse().expect("a literal address");
        let listener = WireListener::bind(addr, stop.clone())
            .await
            .expect("start an issuer");
        let shared = Arc::new(Shared {
            url: format!("http://{}", listener.addr()),
            keys: Mutex::new(vec![("key-1".to_owned(), key())]),
            asked: AtomicUsize::new(0),
        });
        let service = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/job-token", get(job_token))
            .with_state(Arc::clone(&shared))
            .into_make_service_with_connect_info::<Conn>();
        let served = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move { served.await });
        Self { shared, stop }
    }

    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Returns where a job asks for its token, as `ACTIONS_ID_TOKEN_REQUEST_URL`.
    pub fn request_url(&self) -> String {
        format!("{}/job-token?api-version=2.0", self.url())
    }

    /// Publishes a new key in place of all others, and signs with it from now on.
    pub fn rotate(&self) {
        let mut keys = self.shared.keys.lock().unwrap();
        let id = format!("key-{}", keys.len() + 1);
        *keys = vec![(id, key())];
    }

    /// Returns how often the keys were asked for.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// Returns a token of the usual workload for an audience, with some claims changed.
    pub fn token(&self, audience: &str, change: Value) -> String {
        self.shared.token(audience, change)
    }

    /// Returns the same token with the signature of a key that is not published.
    pub fn forged(&self, audience: &str) -> String {
        let good = self.token(audience, json!({}));
        let (signed, _) = good.rsplit_once('.').expect("a token has three parts");
        format!("{signed}.{}", signature(&key(), signed))
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn token(&self, audience: &str, change: Value) -> String {
        let now = Timestamp::now().as_second();
        let mut claims = json!({
            "iss": self.url, "aud": audience, "sub": "repo:acme/infra:ref:refs/heads/main",
            "iat": now, "nbf": now, "exp": now + 300, "repository_owner": "acme",
        });
        if let (Value::Object(claims), Value::Object(change)) = (&mut claims, change) {
            claims.extend(change);
        }
        let keys = self.keys.lock().unwrap();
        let (id, pair) = keys.last().expect("an issuer has a key");
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "ES256", "kid": id, "typ": "JWT" });
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = signature(pair, &signed);
        format!("{signed}.{signature}")
    }
}

fn key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("random numbers");
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random)
        .expect("a key that was just made")
}

fn signature(pair: &EcdsaKeyPair, signed: &str) -> String {
    let signature = pair.sign(&SystemRandom::new(), signed.as_bytes());
    URL_SAFE_NO_PAD.encode(signature.expect("random numbers"))
}

async fn discovery(State(issuer): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "issuer": issuer.url, "jwks_uri": format!("{}/keys", issuer.url) }))
}

async fn keys(State(issuer): State<Arc<Shared>>) -> Json<Value> {
    issuer.asked.fetch_add(1, Ordering::Relaxed);
    let keys = issuer.keys.lock().unwrap();
    let keys: Vec<_> = keys
        .iter()
        .map(|(id, pair)| {
            let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
            let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": id, "x": text(x), "y": text(y) })
        })
        .collect();
    Json(json!({ "keys": keys }))
}

#[derive(serde::Deserialize)]
struct Asked {
    audience: String,
}

async fn job_token(
    State(issuer): State<Arc<Shared>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
    if shown != Some(&format!("Bearer {REQUEST_TOKEN}")) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let token = issuer.token(&asked.audience, json!({}));
    Ok(Json(json!({ "count": 1, "value": token })))
}
