//! Consents in the store: one writer, stored before used, never by another account.

use engine_api::Kind;
use serde_json::json;

use super::*;
use crate::store::{
    catalog::{Content, Refusal},
    testing::Fixture,
};

const ID: &str = "src_00000000000000000000000001";

fn content(more: &serde_json::Value) -> Content {
    let mut spec = json!({ "name": "corp", "client_id": "app", "authorization": "authorization_code" });
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    Content {
        name: "corp".to_owned(),
        spec: spec.to_string(),
        fingerprint: None,
        secrets: Vec::new(),
        references: Vec::new(),
    }
}

async fn source(fixture: &Fixture, more: &serde_json::Value) {
    let created = fixture
        .store
        .create_object(Kind::Source, ID, &content(more), None)
        .await
        .unwrap();
    assert!(created.is_ok(), "{created:?}");
}

async fn replace(fixture: &Fixture, based_on: u64, more: &serde_json::Value) {
    let replaced: Result<_, Refusal> = fixture
        .store
        .replace_object(Kind::Source, ID, based_on, &content(more))
        .await
        .unwrap();
    assert!(replaced.is_ok(), "{replaced:?}");
}

async fn take(fixture: &Fixture, account: Option<&str>, token: &[u8]) -> Result<(), ConsentRefusal> {
    let new = NewConsent {
        client_id: "app",
        account_id: account,
        token,
        due_at: fixture.now(),
    };
    fixture.store.take_consent(ID, &new).await.unwrap().map(drop)
}

async fn claim(fixture: &Fixture) -> Claim {
    let until = crate::retry::later(fixture.now(), std::time::Duration::from_secs(45));
    fixture.store.claim_consent(ID, "app", "me", until).await.unwrap()
}

async fn claimed(fixture: &Fixture) -> ClaimedConsent {
    match claim(fixture).await {
        Claim::Claimed(claimed) => *claimed,
        other => panic!("{other:?}"),
    }
}

async fn a_token_has_one_user_at_a_time_and_only_the_last_may_store() {
    let fixture = Fixture::new().await;
    assert!(matches!(claim(&fixture).await, Claim::Absent));
    source(&fixture, &json!({})).await;
    assert!(matches!(claim(&fixture).await, Claim::Absent));
    take(&fixture, None, b"one").await.unwrap();

    let first = claimed(&fixture).await;
    assert_eq!(first.token, b"one");
    assert!(matches!(claim(&fixture).await, Claim::Busy));
    // The lease lapses, and somebody else goes on: whoever had it may no longer store.
    fixture.time.advance(std::time::Duration::from_secs(46));
    let second = claimed(&fixture).await;
    assert!(second.fence > first.fence);
    let due = fixture.now();
    assert_eq!(
        fixture
            .store
            .store_token(ID, first.fence, b"stale", due)
            .await
            .unwrap(),
        Err(Fenced)
    );
    fixture
        .store
        .store_token(ID, second.fence, b"two", due)
        .await
        .unwrap()
        .unwrap();
    let third = claimed(&fixture).await;
    assert_eq!((third.token.as_slice(), third.row.number), (b"two".as_slice(), 2));

    // A consent that comes meanwhile fences whoever renews.
    take(&fixture, None, b"three").await.unwrap();
    assert_eq!(
        fixture
            .store
            .store_token(ID, third.fence, b"late", due)
            .await
            .unwrap(),
        Err(Fenced)
    );
    assert_eq!(fixture.store.consent_token(ID).await.unwrap().unwrap(), b"three");
}

async fn a_void_token_is_left_alone_until_somebody_consents_again() {
    let fixture = Fixture::new().await;
    source(&fixture, &json!({})).await;
    take(&fixture, None, b"one").await.unwrap();
    assert!(fixture.store.next_consent_due().await.unwrap().is_some());
    let mine = claimed(&fixture).await;
    let code = Code::ReauthorizationRequired;
    let due = fixture.now();
    fixture
        .store
        .give_back_consent(ID, mine.fence, due, code, "void")
        .await
        .unwrap()
        .unwrap();
    let row = fixture.store.consent(ID, "app").await.unwrap().unwrap();
    assert!(row.is_void() && row.failures == 1, "{row:?}");
    assert_eq!(fixture.store.next_consent_due().await.unwrap(), None);
    take(&fixture, None, b"two").await.unwrap();
    let row = fixture.store.consent(ID, "app").await.unwrap().unwrap();
    assert!(!row.is_void() && row.failures == 0, "{row:?}");
}

async fn another_account_is_refused_unless_the_source_says_so() {
    let other = |expected: &str| {
        Err(ConsentRefusal::OtherAccount {
            expected: expected.to_owned(),
        })
    };
    let fixture = Fixture::new().await;
    source(&fixture, &json!({})).await;
    take(&fixture, Some("first"), b"one").await.unwrap();
    assert_eq!(take(&fixture, Some("second"), b"two").await, other("first"));
    assert_eq!(fixture.store.consent_token(ID).await.unwrap().unwrap(), b"one");
    take(&fixture, Some("first"), b"three").await.unwrap();
    // What Zoom does not tell cannot be judged, and does not make the source forget whose it is.
    take(&fixture, None, b"four").await.unwrap();
    assert_eq!(take(&fixture, Some("second"), b"five").await, other("first"));
    replace(&fixture, 1, &json!({ "allow_account_change": true })).await;
    take(&fixture, Some("second"), b"six").await.unwrap();
    replace(&fixture, 2, &json!({ "account_id": "named" })).await;
    assert_eq!(take(&fixture, Some("second"), b"seven").await, other("named"));
}

async fn a_consent_goes_with_its_app_and_its_source() {
    let fixture = Fixture::new().await;
    source(&fixture, &json!({})).await;
    take(&fixture, None, b"one").await.unwrap();
    replace(&fixture, 1, &json!({ "enabled": false })).await;
    assert!(fixture.store.consent_token(ID).await.unwrap().is_some());
    replace(&fixture, 2, &json!({ "client_id": "other" })).await;
    assert_eq!(fixture.store.consent_token(ID).await.unwrap(), None);
    assert_eq!(
        take(&fixture, None, b"two").await,
        Err(ConsentRefusal::SourceChanged)
    );
    replace(&fixture, 3, &json!({})).await;
    take(&fixture, None, b"three").await.unwrap();
    let to_server = json!({ "authorization": "server_to_server", "account_id": "a" });
    replace(&fixture, 4, &to_server).await;
    assert_eq!(fixture.store.consent_token(ID).await.unwrap(), None);
    replace(&fixture, 5, &json!({})).await;
    take(&fixture, None, b"four").await.unwrap();
    fixture
        .store
        .remove_object(Kind::Source, ID, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM consent").await, 0);
}

async fn an_answer_is_used_once_and_forgotten_when_it_would_have_expired() {
    let fixture = Fixture::new().await;
    let until = crate::retry::later(fixture.now(), std::time::Duration::from_mins(15));
    assert!(fixture.store.use_answer(b"digest", until).await.unwrap());
    assert!(!fixture.store.use_answer(b"digest", until).await.unwrap());
    fixture.time.advance(std::time::Duration::from_mins(16));
    assert!(fixture.store.use_answer(b"another", until).await.unwrap());
    assert_eq!(fixture.number("SELECT count(*) FROM consent_answer").await, 1);
}

async fn a_consent_makes_the_feeds_due_and_a_start_breaks_its_lease() {
    let fixture = Fixture::new().await;
    source(&fixture, &json!({})).await;
    fixture.sql("UPDATE feed SET due_at = 9000000000000").await;
    take(&fixture, None, b"one").await.unwrap();
    let late = fixture
        .number("SELECT count(*) FROM feed WHERE due_at > 8000000000000")
        .await;
    assert_eq!(late, 0);
    claimed(&fixture).await;
    fixture.store.break_leases().await.unwrap();
    claimed(&fixture).await;
}

crate::store::testing::on_both!(
    a_token_has_one_user_at_a_time_and_only_the_last_may_store,
    a_void_token_is_left_alone_until_somebody_consents_again,
    another_account_is_refused_unless_the_source_says_so,
    a_consent_goes_with_its_app_and_its_source,
    an_answer_is_used_once_and_forgotten_when_it_would_have_expired,
    a_consent_makes_the_feeds_due_and_a_start_breaks_its_lease,
);
