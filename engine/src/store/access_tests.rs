//! Access tokens in the store: one asks, all take what came of it, and nobody keeps what is not good.

use std::time::Duration;

use super::*;
use crate::{
    retry::later,
    store::testing::{Fixture, on_both},
};

const CORP: &str = "corp";
const LEASE: Duration = Duration::from_secs(45);

async fn claim(fixture: &Fixture, seen: Fence, owner: &str) -> Option<Fence> {
    let until = later(fixture.now(), LEASE);
    fixture
        .store
        .claim_access(CORP, seen, owner, until)
        .await
        .unwrap()
}

async fn keep(fixture: &Fixture, claim: (Fence, &str), token: &[u8]) -> Result<(), Fenced> {
    let end = later(fixture.now(), Duration::from_mins(58));
    fixture.store.keep_access(CORP, claim, token, end).await.unwrap()
}

async fn row(fixture: &Fixture) -> AccessRow {
    fixture.store.access(CORP).await.unwrap().unwrap()
}

/// The token that is there, and whether somebody asks for another one.
async fn there(fixture: &Fixture) -> (Option<Vec<u8>>, bool) {
    let row = row(fixture).await;
    (row.token.map(|(token, _)| token), row.lease_until.is_some())
}

async fn one_asks_and_all_find_what_it_was_given() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.store.access(CORP).await.unwrap(), None);
    let one = claim(&fixture, NO_ROW, "one").await.unwrap();
    assert_eq!(claim(&fixture, NO_ROW, "two").await, None, "it saw no row");
    assert_eq!(claim(&fixture, one, "two").await, None, "it is leased");
    assert_eq!(there(&fixture).await, (None, true));
    assert_eq!(
        keep(&fixture, (one, "two"), b"x").await,
        Err(Fenced),
        "it is not theirs"
    );
    assert_eq!(keep(&fixture, (one, "one"), b"first").await, Ok(()));
    assert_eq!(there(&fixture).await, (Some(b"first".to_vec()), false));
    let end = row(&fixture).await.token.unwrap().1;
    assert_eq!(end, later(fixture.now(), Duration::from_mins(58)));
    assert_eq!(
        keep(&fixture, (one, "one"), b"again").await,
        Err(Fenced),
        "a claim stores once"
    );
}

async fn a_token_is_given_up_by_who_has_seen_it_and_by_nobody_else() {
    let fixture = Fixture::new().await;
    let first = claim(&fixture, NO_ROW, "one").await.unwrap();
    keep(&fixture, (first, "one"), b"first").await.unwrap();
    let second = claim(&fixture, row(&fixture).await.fence, "two").await.unwrap();
    assert_eq!(
        there(&fixture).await,
        (None, true),
        "nobody takes what is being replaced"
    );
    keep(&fixture, (second, "two"), b"second").await.unwrap();
    assert_eq!(
        claim(&fixture, first, "three").await,
        None,
        "it saw the first one, and the second is there"
    );
    assert_eq!(there(&fixture).await, (Some(b"second".to_vec()), false));
}

async fn a_claim_whose_lease_has_ended_is_taken_over_and_fenced() {
    let fixture = Fixture::new().await;
    let paused = claim(&fixture, NO_ROW, "paused").await.unwrap();
    fixture.time.advance(LEASE);
    let other = claim(&fixture, paused, "other").await.unwrap();
    assert_eq!(keep(&fixture, (paused, "paused"), b"late").await, Err(Fenced));
    // Nor does what it gives back end the other's claim.
    let given_back = fixture.store.give_back_access(CORP, (paused, "paused")).await;
    given_back.unwrap();
    assert_eq!(there(&fixture).await, (None, true));
    assert_eq!(keep(&fixture, (other, "other"), b"good").await, Ok(()));
}

async fn what_is_given_back_can_be_claimed_at_once() {
    let fixture = Fixture::new().await;
    let one = claim(&fixture, NO_ROW, "one").await.unwrap();
    fixture.store.give_back_access(CORP, (one, "one")).await.unwrap();
    assert_eq!(there(&fixture).await, (None, false));
    let two = claim(&fixture, one, "two").await.unwrap();
    assert!(two.0 > one.0);
    // An engine that was killed has left a claim behind; the only one of a store breaks it when it starts.
    fixture.store.break_leases().await.unwrap();
    assert_eq!(keep(&fixture, (two, "two"), b"late").await, Err(Fenced));
    assert!(claim(&fixture, two, "three").await.is_some());
}

async fn the_token_of_a_consent_takes_the_place_of_none_that_came_after_it() {
    let fixture = Fixture::new().await;
    let end = later(fixture.now(), LEASE);
    let put = async |token: &[u8]| fixture.store.put_access(CORP, token, end).await.unwrap();
    put(b"consent").await;
    assert_eq!(there(&fixture).await, (Some(b"consent".to_vec()), false));
    let asking = claim(&fixture, row(&fixture).await.fence, "one").await.unwrap();
    put(b"consent").await;
    assert_eq!(there(&fixture).await, (None, true));
    assert_eq!(keep(&fixture, (asking, "one"), b"next").await, Ok(()));
    put(b"consent").await;
    assert_eq!(there(&fixture).await, (Some(b"next".to_vec()), false));
}

async fn what_nobody_has_asked_for_in_a_day_is_forgotten() {
    let fixture = Fixture::new().await;
    let one = claim(&fixture, NO_ROW, "one").await.unwrap();
    keep(&fixture, (one, "one"), b"first").await.unwrap();
    fixture.time.advance(Duration::from_hours(23));
    assert_eq!(fixture.store.forget_old_access(fixture.now()).await.unwrap(), 0);
    fixture.time.advance(Duration::from_hours(2));
    assert_eq!(fixture.store.forget_old_access(fixture.now()).await.unwrap(), 1);
    assert_eq!(fixture.store.access(CORP).await.unwrap(), None);
}

async fn the_database_refuses_what_must_not_be() {
    let fixture = Fixture::new().await;
    claim(&fixture, NO_ROW, "one").await.unwrap();
    for (statement, rule) in [
        (
            "UPDATE access_token SET renew_at = 1",
            "an_access_token_has_an_end",
        ),
        (
            "UPDATE access_token SET lease_until = NULL",
            "an_access_lease_has_an_owner_and_an_end",
        ),
        (
            "UPDATE access_token SET fence = 0",
            "access_fence_never_moves_back",
        ),
    ] {
        let refused = fixture.try_sql(statement).await.unwrap_err();
        assert!(refused.contains(rule), "{statement}: {refused}");
    }
}

on_both!(
    one_asks_and_all_find_what_it_was_given,
    a_token_is_given_up_by_who_has_seen_it_and_by_nobody_else,
    a_claim_whose_lease_has_ended_is_taken_over_and_fenced,
    what_is_given_back_can_be_claimed_at_once,
    the_token_of_a_consent_takes_the_place_of_none_that_came_after_it,
    what_nobody_has_asked_for_in_a_day_is_forgotten,
    the_database_refuses_what_must_not_be,
);
