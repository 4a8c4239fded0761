//! Access tokens of several engines over one store: asked for once, given up once, and never another's.

use futures_util::future::join_all;

use super::*;
use crate::store::access::ACCESS_FIELD;

/// A Server-to-Server app's credential, as an engine has it.
async fn app(engine: &Credentials, secret: &str) -> Credential {
    let spec = json!({ "name": "n", "account_id": "acc", "client_id": APP });
    let spec: SourceSpec = serde_json::from_value(spec).unwrap();
    let secret = Secret::from(secret);
    engine.with_secret("any source", &spec, secret).await.unwrap()
}

impl Scene {
    /// How many access tokens this Zoom has given.
    fn given(&self) -> u64 {
        self.zoom.newest.load(Ordering::SeqCst)
    }

    async fn app_page(&self, engine: &Credentials) {
        self.page_of(engine, app(engine, "s").await).await.unwrap();
    }

    async fn app_pages(&self, engines: &[Credentials]) {
        join_all(engines.iter().map(|engine| self.app_page(engine))).await;
    }
}

async fn engines_ask_for_one_token_of_an_app_and_those_that_come_later_find_it() {
    let scene = Scene::real().await;
    let engines = ["one", "two", "three"].map(|owner| scene.engine(owner));
    scene.app_pages(&engines).await;
    scene.app_pages(&engines).await;
    scene.app_page(&scene.engine("restarted")).await;
    assert_eq!(scene.given(), 1);
    assert_eq!(scene.zoom.reports.load(Ordering::SeqCst), 7);
    let stored = scene.home.bytes();
    let token = b"access-1";
    assert!(
        !stored.windows(token.len()).any(|part| part == token),
        "it is sealed"
    );
}

async fn engines_exchange_a_refresh_token_once_for_all() {
    let scene = Scene::real().await;
    let engines = ["one", "two", "three"].map(|owner| scene.engine(owner));
    for page in join_all(engines.iter().map(|engine| scene.page(engine))).await {
        page.unwrap();
    }
    assert_eq!((scene.given(), scene.row().await.number), (1, 2));
}

async fn a_token_that_zoom_refuses_is_replaced_once() {
    let scene = Scene::real().await;
    let engines = ["one", "two", "three"].map(|owner| scene.engine(owner));
    scene.app_pages(&engines).await;
    scene.zoom.honoured_from.store(2, Ordering::SeqCst);
    scene.app_pages(&engines).await;
    assert_eq!(scene.given(), 2);
}

async fn a_late_refusal_does_not_throw_a_newer_token_away() {
    let scene = Scene::real().await;
    let [one, two] = ["one", "two"].map(|owner| scene.engine(owner));
    scene.app_page(&one).await;
    two.zoom().renew(&app(&two, "s").await).await.unwrap();
    assert_eq!(scene.given(), 2);
    scene.zoom.honoured_from.store(2, Ordering::SeqCst);
    scene.app_page(&one).await;
    assert_eq!(scene.given(), 2, "the other engine's was there");

    // Where that one is refused too, one question still ends well.
    two.zoom().renew(&app(&two, "s").await).await.unwrap();
    scene.zoom.honoured_from.store(4, Ordering::SeqCst);
    scene.app_page(&one).await;
    assert_eq!(scene.given(), 4);
}

async fn a_token_is_used_until_shortly_before_its_end_and_then_replaced_once() {
    let scene = Scene::simulated().await;
    let time = scene.time.as_ref().unwrap();
    let [one, two] = ["one", "two"].map(|owner| scene.engine(owner));
    scene.app_page(&one).await;
    time.advance(Duration::from_mins(57));
    scene.app_page(&two).await;
    assert_eq!(scene.given(), 1);
    time.advance(Duration::from_mins(2));
    scene.app_page(&two).await;
    scene.app_page(&one).await;
    assert_eq!(scene.given(), 2);
}

async fn another_secret_or_consent_has_another_token() {
    let scene = Scene::simulated().await;
    let [one, two] = ["one", "two"].map(|owner| scene.engine(owner));
    scene.app_page(&one).await;
    scene.page_of(&two, app(&two, "rotated").await).await.unwrap();
    assert_eq!(scene.given(), 2);
    scene.page(&one).await.unwrap_err();
    scene.consent(2).await;
    scene.page(&one).await.unwrap();
    scene.page(&two).await.unwrap();
    assert_eq!(scene.given(), 3);
    // Somebody else consents: what the engines have in memory may be another account's.
    scene.time.as_ref().unwrap().advance(Duration::from_secs(1));
    scene.consent(3).await;
    scene.page(&one).await.unwrap();
    assert_eq!(scene.given(), 4);
    scene.page(&two).await.unwrap();
    assert_eq!(scene.given(), 4);
}

async fn a_token_that_was_moved_to_another_credential_does_not_open() {
    let scene = Scene::real().await;
    let engine = scene.engine("one");
    scene.app_page(&engine).await;
    let name = app(&engine, "s").await.tokens.name().to_owned();
    let (sealed, end) = scene.store.access(&name).await.unwrap().unwrap().token.unwrap();
    let other = app(&engine, "other").await;
    scene
        .store
        .put_access(other.tokens.name(), &sealed, end)
        .await
        .unwrap();
    scene.page_of(&engine, other).await.unwrap();
    assert_eq!(scene.given(), 2);
}

async fn who_was_paused_beyond_the_lease_takes_what_the_others_got() {
    let scene = Scene::simulated().await;
    let engine = scene.engine("paused");
    let credential = app(&engine, "s").await;
    let (store, vault, clock) = (scene.store.clone(), scene.vault.clone(), scene.clock.clone());
    let (time, zoom) = (scene.time.clone().unwrap(), scene.zoom.clone());
    let name = credential.tokens.name().to_owned();
    *scene.zoom.meanwhile.lock().unwrap() = Some(Arc::new(move || {
        let (store, vault, clock) = (store.clone(), vault.clone(), clock.clone());
        let (time, zoom, name) = (time.clone(), zoom.clone(), name.clone());
        Box::pin(async move {
            time.advance(Duration::from_mins(1));
            *zoom.meanwhile.lock().unwrap() = None;
            let seen = store.access(&name).await.unwrap().unwrap().fence;
            let end = crate::retry::later(clock.now(), Duration::from_mins(50));
            let fence = store.claim_access(&name, seen, "other", end).await.unwrap();
            let theirs = Secret::from(r#"{"token":"access-77"}"#);
            let theirs = vault.seal(&name, ACCESS_FIELD, &theirs).unwrap();
            let kept = store.keep_access(&name, (fence.unwrap(), "other"), &theirs, end);
            kept.await.unwrap().unwrap();
            // What the one that was paused is given now is superseded.
            zoom.honoured_from.store(77, Ordering::SeqCst);
        })
    }));
    scene.page_of(&engine, credential).await.unwrap();
    assert_eq!(scene.given(), 1, "it did not ask again");
    assert_eq!(scene.zoom.reports.load(Ordering::SeqCst), 1);
}

async fn what_zoom_refuses_to_give_leaves_no_claim_behind() {
    let scene = Scene::real().await;
    let engine = scene.engine("one");
    scene.zoom.newest.store(5, Ordering::SeqCst);
    // The refresh token is void.
    let credential = scene.credential(&engine).await.unwrap();
    let name = credential.tokens.name().to_owned();
    scene.page_of(&engine, credential).await.unwrap_err();
    let row = scene.store.access(&name).await.unwrap().unwrap();
    assert_eq!((row.token, row.lease_until), (None, None));
}

#[tokio::test]
async fn a_store_that_fails_does_not_stop_who_has_a_token_in_memory() {
    let scene = Scene::real().await;
    let engine = scene.engine("one");
    scene.app_page(&engine).await;
    let path = scene.dir.path().join("engine.db");
    let sql = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    sqlx::raw_sql("DROP TABLE access_token")
        .execute(&sql)
        .await
        .unwrap();
    scene.app_page(&engine).await;
    let other = scene.engine("two");
    let error = scene.page_of(&other, app(&other, "s").await).await.unwrap_err();
    assert_eq!(error.code(), Code::StoreUnavailable);
    assert_eq!(scene.given(), 1, "a token that cannot be stored is not asked for");
}

crate::store::testing::on_both!(
    engines_ask_for_one_token_of_an_app_and_those_that_come_later_find_it,
    engines_exchange_a_refresh_token_once_for_all,
    a_token_that_zoom_refuses_is_replaced_once,
    a_late_refusal_does_not_throw_a_newer_token_away,
    a_token_is_used_until_shortly_before_its_end_and_then_replaced_once,
    another_secret_or_consent_has_another_token,
    a_token_that_was_moved_to_another_credential_does_not_open,
    who_was_paused_beyond_the_lease_takes_what_the_others_got,
    what_zoom_refuses_to_give_leaves_no_claim_behind,
);
