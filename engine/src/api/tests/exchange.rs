//! Workload identity: what a platform's token opens, and every way in which it does not.

use std::{net::IpAddr, time::Duration};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use engine_api::{ExchangedToken, Scope};
use futures_util::future::BoxFuture;
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};

use super::*;
use crate::{
    api::access::Peer,
    config::Issuer,
    http::{Answered as HttpAnswer, Broken, Network, Sent},
};

const ISSUER: &str = "https://ci.example/group";
/// A key that signs nothing but the tokens of these tests.
const RSA: &str = include_str!("issuer_rsa.pkcs8.b64");

enum Signer {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

impl Signer {
    fn es256() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random);
        Self::Es256(pair.unwrap())
    }

    fn rs256() -> Self {
        let der = STANDARD
            .decode(RSA.split_whitespace().collect::<String>())
            .unwrap();
        Self::Rs256(RsaKeyPair::from_pkcs8(&der).unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
        }
    }

    fn public(&self, id: &str) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": text(&point[1..33]), "y": text(&point[33..]) })
            }
            Self::Rs256(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "kid": id, "alg": "RS256", "n": text(&n), "e": text(&e) })
            }
        }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let random = SystemRandom::new();
        let signature = match self {
            Self::Es256(pair) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A good token with some claims changed.
    fn token(&self, id: &str, change: Value) -> String {
        let now = "2026-01-31T12:00:00Z"
            .parse::<jiff::Timestamp>()
            .unwrap()
            .as_second();
        let mut claims = json!({
            "iss": ISSUER, "aud": "zoom-logs", "sub": "repo:acme/infra:ref:refs/heads/main",
            "iat": now, "nbf": now, "exp": now + 300, "environment": "prod",
        });
        if let (Value::Object(claims), Value::Object(change)) = (&mut claims, change) {
            claims.extend(change);
        }
        self.sign(
            &json!({ "alg": self.algorithm(), "kid": id, "typ": "JWT" }),
            &claims,
        )
    }
}

#[derive(Default)]
struct Platform {
    keys: Mutex<Vec<Value>>,
    down: Mutex<bool>,
    claims_to_be: Mutex<Option<Value>>,
    asked: AtomicUsize,
}

impl Platform {
    fn publishes(&self, keys: &[Value]) {
        *self.keys.lock().unwrap() = keys.to_vec();
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::Relaxed)
    }
}

impl Network for Platform {
    fn exchange(&self, request: Sent) -> BoxFuture<'static, Result<HttpAnswer, Broken>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let discovery = self
            .claims_to_be
            .lock()
            .unwrap()
            .clone()
            .unwrap_or_else(|| json!({ "issuer": ISSUER, "jwks_uri": "https://keys.ci.example/jwks" }));
        let answer = match (*self.down.lock().unwrap(), request.url.as_str()) {
            (true, _) => Err(Broken("connection refused")),
            (_, "https://ci.example/group/.well-known/openid-configuration") => {
                Ok(HttpAnswer::new(StatusCode::OK, discovery.to_string()))
            }
            (_, "https://keys.ci.example/jwks") => {
                let keys = json!({ "keys": *self.keys.lock().unwrap() });
                Ok(HttpAnswer::new(StatusCode::OK, keys.to_string()))
            }
            _ => Ok(HttpAnswer::new(StatusCode::NOT_FOUND, "")),
        };
        Box::pin(async move { answer })
    }
}

fn rule(name: &str, subject: &str, scope: Scope) -> Issuer {
    Issuer {
        name: name.to_owned(),
        issuer: ISSUER.to_owned(),
        audience: "zoom-logs".to_owned(),
        subjects: vec![subject.to_owned()],
        claims: [(
            "environment".to_owned(),
            vec!["prod".to_owned(), "stage".to_owned()],
        )]
        .into(),
        scope,
        max_ttl: Duration::from_mins(15),
    }
}

async fn stage(signer: &Signer) -> (Stage, Arc<Platform>) {
    let platform = Arc::new(Platform::default());
    platform.publishes(&[signer.public("one")]);
    let network = Arc::clone(&platform);
    let stage = Stage::set_with(|parts, _| {
        parts.http = Http::simulated(network, parts.clock.clone());
        parts.limits.issuers = vec![
            rule("plan", "repo:acme/infra:**", Scope::Read),
            rule("apply", "repo:acme/infra:ref:refs/heads/main", Scope::Write),
        ];
    })
    .await;
    (stage, platform)
}

impl Stage {
    async fn exchange(&self, token: &str, more: Value) -> Answer {
        let mut body = json!({ "subject_token": token });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let request = Request::builder()
            .method(Method::POST)
            .uri("/v1/tokens/exchange")
            .extension(Peer(IpAddr::from([192, 0, 2, 7])))
            .body(Body::from(body.to_string()));
        self.send(request.unwrap()).await
    }

    async fn let_in(&self, token: &str, more: Value) -> ExchangedToken {
        serde_json::from_value(self.exchange(token, more).await.expect(200)).unwrap()
    }

    #[track_caller]
    fn refused(answer: Answer, words: &str) {
        let problem = answer.problem(Code::IdentityRefused, "");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
}

async fn a_platforms_token_is_exchanged_for_one_that_a_rule_gives() {
    for signer in [Signer::es256(), Signer::rs256()] {
        let (stage, platform) = stage(&signer).await;
        let main = signer.token("one", json!({}));
        let made = stage.let_in(&main, json!({})).await;
        assert_eq!((made.scope, made.expires_in), (Scope::Write, 900));
        assert_eq!(made.token_type, "Bearer");
        let view = stage.get(&format!("/v1/tokens/{}", made.id)).await.expect(200);
        assert_eq!(view["name"], "apply");
        assert_eq!(
            view["identity"],
            json!({ "issuer": ISSUER, "subject": "repo:acme/infra:ref:refs/heads/main" })
        );
        assert_eq!(view["expires_at"], "2026-01-31T12:15:00Z");
        let use_it = async || {
            let request = Request::builder()
                .uri("/v1/engine")
                .header("authorization", format!("Bearer {}", made.access_token.expose()));
            stage.send(request.body(Body::empty()).unwrap()).await
        };
        use_it().await.expect(200);

        // Less, where less is asked for; a branch gets what its own rule gives; and both fetches sufficed for all.
        let less = stage.let_in(&main, json!({ "scope": "read", "ttl": "1m" })).await;
        assert_eq!((less.scope, less.expires_in), (Scope::Read, 60));
        let longer = stage.let_in(&main, json!({ "ttl": "10h" })).await;
        assert_eq!(longer.expires_in, 900);
        let branch = signer.token("one", json!({ "sub": "repo:acme/infra:pull_request" }));
        assert_eq!(stage.let_in(&branch, json!({})).await.scope, Scope::Read);
        let answer = stage.exchange(&branch, json!({ "scope": "write" })).await;
        answer.problem(Code::InsufficientScope, "scope");
        assert_eq!(platform.asked(), 2);

        stage.clock.advance(Duration::from_mins(15));
        use_it().await.problem(Code::Unauthorized, "");
    }
}

async fn every_token_that_is_not_quite_right_is_refused() {
    let signer = Signer::es256();
    let (stage, _platform) = stage(&signer).await;
    let now = "2026-01-31T12:00:00Z"
        .parse::<jiff::Timestamp>()
        .unwrap()
        .as_second();
    for (change, words) in [
        (
            json!({ "iss": "https://evil.example" }),
            "is not one that this engine trusts",
        ),
        (
            json!({ "iss": "https://ci.example/group/" }),
            "is not one that this engine trusts",
        ),
        (json!({ "iss": null }), "is not one that this engine trusts"),
        (json!({ "aud": "somebody-else" }), "`aud`"),
        (json!({ "aud": [] }), "`aud`"),
        (json!({ "sub": "repo:evil/infra:ref:refs/heads/main" }), "`sub`"),
        (json!({ "sub": null }), "`sub`"),
        (json!({ "environment": "dev" }), "`environment`"),
        (json!({ "exp": now - 60 }), "it has expired"),
        (json!({ "exp": null }), "not a number"),
        (json!({ "nbf": now + 61 }), "from the future"),
        (json!({ "iat": now + 61 }), "from the future"),
    ] {
        Stage::refused(
            stage.exchange(&signer.token("one", change), json!({})).await,
            words,
        );
        // So that the address may go on.
        stage.clock.advance(Duration::from_secs(3));
        stage.clock.step_to("2026-01-31T12:00:00Z".parse().unwrap());
    }
    let claims = json!({ "iss": ISSUER, "aud": "zoom-logs", "sub": "repo:acme/infra:x", "exp": now + 300, "environment": "prod" });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = format!("{}.{}.", part(&json!({ "alg": "none" })), part(&claims));
    Stage::refused(stage.exchange(&none, json!({})).await, "another algorithm");
    // The signature of another key, of the right key under another algorithm's name, and of other claims.
    let stranger = Signer::es256().token("one", json!({}));
    Stage::refused(
        stage.exchange(&stranger, json!({})).await,
        "fits none of its issuer's keys",
    );
    let confused = signer.sign(&json!({ "alg": "RS256", "kid": "one" }), &claims);
    Stage::refused(
        stage.exchange(&confused, json!({})).await,
        "fits none of its issuer's keys",
    );
    let good = signer.token("one", json!({}));
    let (mut parts, other) = (good.split('.').collect::<Vec<_>>(), part(&claims));
    parts[1] = &other;
    Stage::refused(
        stage.exchange(&parts.join("."), json!({})).await,
        "fits none of its issuer's keys",
    );
    Stage::refused(stage.exchange("not a token", json!({})).await, "three parts");
    stage.let_in(&good, json!({})).await;
}

async fn keys_are_kept_rotated_and_missed() {
    let (old, new) = (Signer::es256(), Signer::rs256());
    let (stage, platform) = stage(&old).await;
    let old_token = old.token("one", json!({}));
    stage.let_in(&old_token, json!({})).await;
    assert_eq!(platform.asked(), 2);
    let pause = Duration::from_secs(10);

    // A key that nobody knows makes it look again, and not more often than every few seconds.
    platform.publishes(&[old.public("one"), new.public("two")]);
    let new_token = new.token("two", json!({}));
    let problem = stage
        .exchange(&new_token, json!({}))
        .await
        .problem(Code::IssuerUnavailable, "");
    assert!(
        problem["detail"].as_str().unwrap().contains("try again"),
        "{problem}"
    );
    assert_eq!(platform.asked(), 0);
    stage.clock.advance(pause);
    stage.let_in(&new_token, json!({})).await;
    stage.let_in(&old_token, json!({})).await;
    assert_eq!(platform.asked(), 2);
    // One that was withdrawn is taken for an hour at most.
    platform.publishes(&[new.public("two")]);
    stage.clock.advance(Duration::from_hours(1));
    stage.clock.step_to("2026-01-31T12:00:00Z".parse().unwrap());
    Stage::refused(stage.exchange(&old_token, json!({})).await, "fits none");
    stage.let_in(&new_token, json!({})).await;

    // While the platform is down the keys at hand serve for a day; then nothing does.
    *platform.down.lock().unwrap() = true;
    for (hours, served) in [(2, true), (20, true), (3, false)] {
        stage.clock.advance(Duration::from_hours(hours));
        stage.clock.step_to("2026-01-31T12:00:00Z".parse().unwrap());
        let answer = stage.exchange(&new_token, json!({})).await;
        if served {
            answer.expect(200);
        } else {
            let problem = answer.problem(Code::IssuerUnavailable, "");
            assert!(
                problem["detail"].as_str().unwrap().contains("connection refused"),
                "{problem}"
            );
        }
    }
    *platform.down.lock().unwrap() = false;
    stage.clock.advance(pause);
    stage.let_in(&new_token, json!({})).await;
}

async fn a_discovery_document_that_leads_astray_is_not_followed() {
    for (document, words) in [
        (
            json!({ "issuer": "https://evil.example", "jwks_uri": "https://keys.ci.example/jwks" }),
            "another issuer",
        ),
        (
            json!({ "issuer": ISSUER, "jwks_uri": "http://keys.ci.example/jwks" }),
            "must begin with `https://`",
        ),
        (
            json!({ "issuer": ISSUER, "jwks_uri": "https://keys.ci.example/other" }),
            "status 404",
        ),
        (json!({ "issuer": ISSUER }), "no `issuer` and `jwks_uri`"),
    ] {
        let signer = Signer::es256();
        let (stage, platform) = stage(&signer).await;
        *platform.claims_to_be.lock().unwrap() = Some(document);
        let answer = stage.exchange(&signer.token("one", json!({})), json!({})).await;
        let problem = answer.problem(Code::IssuerUnavailable, "");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
}

async fn an_engine_without_issuers_says_so_and_guesses_are_slowed_down() {
    let stage = Stage::set().await;
    Stage::refused(stage.exchange("x", json!({})).await, "trusts no issuer");
    for _ in 1..20 {
        stage
            .exchange("x", json!({}))
            .await
            .problem(Code::IdentityRefused, "");
    }
    let answer = stage.exchange("x", json!({})).await;
    answer.problem(Code::TooManyFailures, "");
}

crate::store::testing::on_both!(
    a_platforms_token_is_exchanged_for_one_that_a_rule_gives,
    every_token_that_is_not_quite_right_is_refused,
    keys_are_kept_rotated_and_missed,
    a_discovery_document_that_leads_astray_is_not_followed,
    an_engine_without_issuers_says_so_and_guesses_are_slowed_down,
);
