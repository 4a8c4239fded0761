//! Refresh tokens against a Zoom of a test's own: used once, stored before anything else, kept alive.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use engine_api::{Cloud, Kind, LogType, Secret};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    clock::Simulation,
    http::{self, Http},
    model::{Day, Window},
    store::{
        catalog::Content,
        consents::{ConsentRow, NewConsent},
    },
    telemetry::Telemetry,
    vault::{self, Held, KeyFrom},
    worker::{Next, Turn, Worker},
    zoom::{self, PageRequest, Place, Places},
};

mod access;

const ID: &str = "src_00000000000000000000000001";
const APP: &str = "app";

/// What happens between Zoom's taking a refresh token and its answer.
type Meanwhile = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A Zoom with one consent: it takes the newest refresh token, once. Apps of an account need none.
#[derive(Clone, Default)]
struct FakeZoom {
    newest: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    reports: Arc<AtomicU64>,
    /// The access tokens that were handed back.
    revoked: Arc<Mutex<Vec<String>>>,
    /// Access tokens before this one lack the scope.
    granted_from: Arc<AtomicU64>,
    /// Access tokens before this one are refused.
    honoured_from: Arc<AtomicU64>,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

async fn token(State(zoom): State<FakeZoom>, body: String) -> (StatusCode, Json<Value>) {
    let mut form = url::form_urlencoded::parse(body.as_bytes());
    let asked = form.find(|(name, _)| name == "refresh_token");
    let newest = zoom.newest.load(Ordering::SeqCst);
    if asked.is_some_and(|(_, asked)| asked != format!("refresh-{newest}")) {
        zoom.refused.fetch_add(1, Ordering::SeqCst);
        let body = json!({ "reason": "Invalid Token!", "error": "invalid_grant" });
        return (StatusCode::BAD_REQUEST, Json(body));
    }
    zoom.newest.store(newest + 1, Ordering::SeqCst);
    let meanwhile = zoom.meanwhile.lock().unwrap().clone();
    if let Some(meanwhile) = meanwhile {
        meanwhile().await;
    }
    let body = json!({
        "access_token": format!("access-{}", newest + 1), "token_type": "bearer", "expires_in": 3599,
        "refresh_token": format!("refresh-{}", newest + 1), "scope": "report:read:admin",
    });
    (StatusCode::OK, Json(body))
}

async fn revoke(State(zoom): State<FakeZoom>, body: String) -> Json<Value> {
    let mut form = url::form_urlencoded::parse(body.as_bytes());
    let token = form.find(|(name, _)| name == "token").unwrap().1.into_owned();
    zoom.revoked.lock().unwrap().push(token);
    Json(json!({ "status": "success" }))
}

async fn report(State(zoom): State<FakeZoom>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    zoom.reports.fetch_add(1, Ordering::SeqCst);
    let token = headers["authorization"].to_str().unwrap();
    let number: u64 = token.rsplit('-').next().unwrap().parse().unwrap();
    if number < zoom.honoured_from.load(Ordering::SeqCst) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "code": 124 })));
    }
    if number < zoom.granted_from.load(Ordering::SeqCst) {
        let message = "Invalid access token, does not contain scopes:[report:read:admin].";
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({ "code": 4711, "message": message })),
        );
    }
    (
        StatusCode::OK,
        Json(json!({ "operation_logs": [], "next_page_token": "" })),
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test's server lives as long as its runtime, and so does what a test must not break off"
)]
fn background(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

struct Scene {
    zoom: FakeZoom,
    address: std::net::SocketAddr,
    store: Store,
    vault: Vault,
    clock: Clock,
    time: Option<Simulation>,
    dir: tempfile::TempDir,
    home: crate::store::testing::Home,
}

impl Scene {
    async fn new(clock: Clock, time: Option<Simulation>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = crate::store::testing::Home::new(dir.path());
        let store = home.open(clock.clone()).await;
        let options = vault::Options {
            key: KeyFrom::File(dir.path().join("vault.key")),
            ref_dirs: Vec::new(),
            ref_env_prefixes: Vec::new(),
        };
        let vault = Vault::load(options, Held::Nothing).unwrap();
        let zoom = FakeZoom::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/oauth/token", post(token))
            .route("/oauth/revoke", post(revoke))
            .route("/v2/report/operationlogs", axum::routing::get(report))
            .with_state(zoom.clone());
        background(async move { axum::serve(listener, router).await.unwrap() });
        let scene = Self {
            zoom,
            address,
            store,
            vault,
            clock,
            time,
            dir,
            home,
        };
        let sealed = scene.vault.seal(ID, "client_secret", &Secret::from("s")).unwrap();
        let content = Content {
            name: "corp".to_owned(),
            spec: json!({ "name": "corp", "client_id": APP, "authorization": "authorization_code" })
                .to_string(),
            fingerprint: None,
            secrets: vec![SealedSecret {
                field: "client_secret".to_owned(),
                sealed,
            }],
            references: Vec::new(),
        };
        let created = scene
            .store
            .create_object(Kind::Source, ID, &content, None)
            .await
            .unwrap();
        assert!(created.is_ok());
        scene.consent(0).await;
        scene
    }

    async fn real() -> Self {
        Self::new(Clock::real(), None).await
    }

    async fn simulated() -> Self {
        let (clock, time) = Clock::simulated("2026-01-31T12:00:00Z".parse().unwrap());
        Self::new(clock, Some(time)).await
    }

    /// Gives the source the consent whose refresh token has this number.
    async fn consent(&self, number: u64) {
        let token = Secret::from(format!("refresh-{number}"));
        let token = self.vault.seal(ID, TOKEN_FIELD, &token).unwrap();
        let new = NewConsent {
            client_id: APP,
            account_id: None,
            token: &token,
            due_at: idle::due(self.clock.now(), 0),
        };
        self.store.take_consent(ID, &new).await.unwrap().unwrap();
    }

    /// One engine's credentials: each has tokens in a memory of its own.
    fn engine(&self, owner: &str) -> Credentials {
        let options = http::Options {
            egress: crate::http::Rule {
                private: true,
                ..crate::http::Rule::default()
            },
            ..http::Options::default()
        };
        let place = Place {
            api: format!("http://{}", self.address).parse().unwrap(),
            oauth: format!("http://{}", self.address).parse().unwrap(),
        };
        let options_of_zoom = zoom::Options {
            places: Places {
                commercial: place.clone(),
                government: place,
            },
            request_timeout: Duration::from_secs(20),
            day_zone: jiff::tz::TimeZone::UTC,
        };
        let http = Http::new(options, Clock::real()).unwrap();
        Credentials::new(Parts {
            store: self.store.clone(),
            vault: self.vault.clone(),
            zoom: Zoom::new(options_of_zoom, http, self.clock.clone(), Telemetry::new()),
            clock: self.clock.clone(),
            owner: owner.into(),
            lease: Duration::from_secs(30),
            public_url: "http://engine.example".into(),
            whole: Arc::new(background),
        })
    }

    async fn credential(&self, engine: &Credentials) -> Result<Credential, Unusable> {
        let (object, sealed) = self
            .store
            .object_with_secrets(Kind::Source, ID)
            .await
            .unwrap()
            .unwrap();
        let spec: SourceSpec = serde_json::from_str(&object.spec).unwrap();
        engine.of(ID, &spec, &sealed).await
    }

    async fn row(&self) -> ConsentRow {
        self.store.consent(ID, APP).await.unwrap().unwrap()
    }

    async fn stored(&self) -> String {
        let token = self.store.consent_token(ID).await.unwrap().unwrap();
        self.vault
            .open(ID, TOKEN_FIELD, &token)
            .unwrap()
            .expose()
            .to_owned()
    }

    async fn page(&self, engine: &Credentials) -> Result<(), zoom::Error> {
        self.page_of(engine, self.credential(engine).await.unwrap()).await
    }

    async fn page_of(&self, engine: &Credentials, credential: Credential) -> Result<(), zoom::Error> {
        let today = Day::of(self.clock.now());
        let request = PageRequest {
            log_type: LogType::Operation,
            window: Window::new(today, today),
            page_size: 1,
            page_token: None,
        };
        let mut repeats = zoom::Repeats::default();
        loop {
            match engine.zoom().page(&credential, request).await {
                Ok(_) => return Ok(()),
                Err(error) => repeats.end(error).map_or(Ok(()), Err)?,
            }
        }
    }
}

async fn two_engines_and_many_feeds_never_use_a_token_twice() {
    let scene = Scene::real().await;
    let engines = [scene.engine("one"), scene.engine("two")];
    let mut renewals = Vec::new();
    for number in 0..12 {
        let engine = &engines[number % 2];
        let credential = scene.credential(engine).await.unwrap();
        renewals.push(async move { engine.zoom().renew(&credential).await });
    }
    for renewed in futures_util::future::join_all(renewals).await {
        renewed.unwrap();
    }
    assert_eq!(scene.zoom.refused.load(Ordering::SeqCst), 0);
    // Who had to wait for the other engine took what that was given.
    let number = scene.row().await.number;
    assert!((7..=13).contains(&number), "{number}");
    assert_eq!(scene.stored().await, format!("refresh-{}", number - 1));
}

#[tokio::test]
async fn an_access_token_whose_successor_cannot_be_stored_is_not_used() {
    let scene = Scene::real().await;
    let engine = scene.engine("one");
    let path = scene.dir.path().join("engine.db");
    let sql = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    sqlx::raw_sql(
        "CREATE TRIGGER full BEFORE UPDATE OF token ON consent BEGIN SELECT RAISE(ABORT, 'the disk is full'); END",
    )
    .execute(&sql)
    .await
    .unwrap();
    let error = scene.page(&engine).await.unwrap_err();
    assert_eq!(error.code(), Code::StoreUnavailable);
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!(scene.zoom.reports.load(Ordering::SeqCst), 0);
    sqlx::raw_sql("DROP TRIGGER full").execute(&sql).await.unwrap();
}

async fn what_zoom_has_given_is_stored_though_nobody_waits_for_it_any_more() {
    let scene = Scene::real().await;
    let engine = scene.engine("one");
    let (taken, answer) = (CancellationToken::new(), CancellationToken::new());
    let (told, wait) = (taken.clone(), answer.clone());
    *scene.zoom.meanwhile.lock().unwrap() = Some(Arc::new(move || {
        let (told, wait) = (told.clone(), wait.clone());
        Box::pin(async move {
            told.cancel();
            wait.cancelled().await;
        })
    }));
    let credential = scene.credential(&engine).await.unwrap();
    tokio::select! {
        renewed = engine.zoom().renew(&credential) => panic!("{renewed:?}"),
        () = taken.cancelled() => {}
    }
    answer.cancel();
    while scene.row().await.number == 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.stored().await, "refresh-1");
}

async fn a_void_token_is_read_again_once_and_then_told_with_the_link() {
    let scene = Scene::real().await;
    let engine = scene.engine("one");
    // Zoom has moved on without us: the answer was lost.
    scene.zoom.newest.store(5, Ordering::SeqCst);
    let error = scene.page(&engine).await.unwrap_err();
    assert_eq!(error.code(), Code::ReauthorizationRequired);
    let link = format!("http://engine.example/sources/{ID}/authorize");
    assert!(error.to_string().contains(&link), "{error}");
    assert_eq!(scene.zoom.refused.load(Ordering::SeqCst), 1);
    assert!(scene.row().await.is_void());
    // It is not tried again, not even by who still holds the credential.
    let unusable = scene.credential(&engine).await.unwrap_err();
    assert_eq!(unusable.code, Code::ReauthorizationRequired);
    assert_eq!(scene.zoom.refused.load(Ordering::SeqCst), 1);

    // Another consent heals it in place.
    scene.consent(5).await;
    scene.page(&engine).await.unwrap();
    assert_eq!(scene.zoom.reports.load(Ordering::SeqCst), 1);
}

async fn a_scope_that_is_granted_later_comes_with_the_token_of_the_next_hour() {
    let scene = Scene::simulated().await;
    let engine = scene.engine("one");
    scene.zoom.granted_from.store(2, Ordering::SeqCst);
    for _ in 0..3 {
        let error = scene.page(&engine).await.unwrap_err();
        assert_eq!(error.code(), Code::ZoomMissingScope);
    }
    // Each renewal is one whose answer may be lost, so none is spent on a hope.
    assert_eq!(scene.stored().await, "refresh-1");
    scene.time.as_ref().unwrap().advance(Duration::from_hours(1));
    scene.page(&engine).await.unwrap();
    assert_eq!(scene.stored().await, "refresh-2");
}

async fn a_consent_that_comes_while_a_token_is_renewed_wins() {
    let scene = Scene::real().await;
    let engine = scene.engine("one");
    let (store, vault, clock) = (scene.store.clone(), scene.vault.clone(), scene.clock.clone());
    let zoom = scene.zoom.clone();
    *scene.zoom.meanwhile.lock().unwrap() = Some(Arc::new(move || {
        let (store, vault, clock, zoom) = (store.clone(), vault.clone(), clock.clone(), zoom.clone());
        Box::pin(async move {
            zoom.newest.store(40, Ordering::SeqCst);
            *zoom.meanwhile.lock().unwrap() = None;
            let token = vault.seal(ID, TOKEN_FIELD, &Secret::from("refresh-40")).unwrap();
            let new = NewConsent {
                client_id: APP,
                account_id: None,
                token: &token,
                due_at: clock.now(),
            };
            store.take_consent(ID, &new).await.unwrap().unwrap();
        })
    }));
    let credential = scene.credential(&engine).await.unwrap();
    let error = engine.zoom().renew(&credential).await.unwrap_err();
    assert_eq!(error.code(), Code::ZoomUnavailable);
    assert_eq!(scene.stored().await, "refresh-40");
    assert!(
        scene.zoom.revoked.lock().unwrap().is_empty(),
        "that would end the new consent"
    );
    scene.page(&engine).await.unwrap();
    assert_eq!(scene.stored().await, "refresh-41");
}

async fn a_token_that_comes_after_its_source_is_gone_is_handed_back() {
    let scene = Scene::real().await;
    let engine = scene.engine("one");
    let (store, zoom) = (scene.store.clone(), scene.zoom.clone());
    *scene.zoom.meanwhile.lock().unwrap() = Some(Arc::new(move || {
        let (store, zoom) = (store.clone(), zoom.clone());
        Box::pin(async move {
            *zoom.meanwhile.lock().unwrap() = None;
            store
                .remove_object(Kind::Source, ID, None)
                .await
                .unwrap()
                .unwrap();
        })
    }));
    let credential = scene.credential(&engine).await.unwrap();
    let error = engine.zoom().renew(&credential).await.unwrap_err();
    assert_eq!(error.code(), Code::ZoomUnavailable);
    assert_eq!(*scene.zoom.revoked.lock().unwrap(), ["access-1"]);
}

async fn an_idle_token_is_renewed_within_a_day_and_a_void_one_left_alone() {
    let scene = Scene::simulated().await;
    let time = scene.time.as_ref().unwrap();
    let worker = RenewalWorker::new(scene.engine("one"));
    let stop = CancellationToken::new();
    let mut renewed = Vec::new();
    for hour in 0..72 {
        while worker.activate(&stop, &mut Turn::default()).await == Next::Again {
            renewed.push(hour);
        }
        time.advance(Duration::from_hours(1));
    }
    assert!(renewed.len() >= 3, "{renewed:?}");
    let mut before = 0;
    for hour in &renewed {
        assert!(hour - before <= 24, "{renewed:?}");
        before = *hour;
    }
    scene.zoom.newest.store(500, Ordering::SeqCst);
    time.advance(Duration::from_hours(24));
    worker.activate(&stop, &mut Turn::default()).await;
    assert!(scene.row().await.is_void());
    assert_eq!(worker.activate(&stop, &mut Turn::default()).await, Next::Idle);
}

async fn nobody_is_asked_for_a_source_that_waits() {
    let scene = Scene::real().await;
    let engine = scene.engine("one");
    let spec: SourceSpec = serde_json::from_value(
        json!({ "name": "n", "client_id": "other", "authorization": "authorization_code" }),
    )
    .unwrap();
    let unusable = engine
        .with_secret(ID, &spec, Secret::from("s"))
        .await
        .unwrap_err();
    assert_eq!(unusable.code, Code::PendingAuthorization);
    assert!(
        unusable
            .detail
            .contains(&authorization_url("http://engine.example", ID))
    );
    let begun = engine.begin(&spec).unwrap();
    let query: std::collections::BTreeMap<_, _> = begun.url.query_pairs().into_owned().collect();
    assert_eq!(query["redirect_uri"], "http://engine.example/oauth/callback");
    assert_eq!(
        (&*query["code_challenge_method"], &*query["response_type"]),
        ("S256", "code")
    );
    assert!(!query.contains_key("scope") && query["state"].len() >= 43);
    assert!(!begun.url.as_str().contains(begun.verifier.expose()));
    let twice = engine.begin(&spec).unwrap();
    assert!(twice.state != begun.state && twice.verifier != begun.verifier);
    assert_eq!(spec.cloud, Cloud::Commercial);
}

crate::store::testing::on_both!(
    two_engines_and_many_feeds_never_use_a_token_twice,
    what_zoom_has_given_is_stored_though_nobody_waits_for_it_any_more,
    a_void_token_is_read_again_once_and_then_told_with_the_link,
    a_scope_that_is_granted_later_comes_with_the_token_of_the_next_hour,
    a_consent_that_comes_while_a_token_is_renewed_wins,
    a_token_that_comes_after_its_source_is_gone_is_handed_back,
    an_idle_token_is_renewed_within_a_day_and_a_void_one_left_alone,
    nobody_is_asked_for_a_source_that_waits,
);
