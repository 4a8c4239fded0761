//! Several engines over one PostgreSQL: who lives, who takes over, and what moves.

use engine_api::DestinationId;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    retry::later,
    store::{
        access::NO_ROW,
        delivery::{Claim, Moved},
        testing::{Backend, Fixture},
    },
};

const LEASE: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_mins(10);

async fn fixture() -> Fixture {
    Backend::Postgres.choose();
    Fixture::new().await
}

/// Waits until the database's clock says that an engine that said nothing since is dead.
async fn until_dead(fixture: &Fixture) {
    sql::query("SELECT pg_sleep($1::float8 / 1000)")
        .bind(i64::try_from(LEASE.as_millis()).unwrap() + 50)
        .execute(fixture.store.read())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_silent_engine_loses_all_at_once_and_is_fenced_when_it_comes_back() {
    let fixture = fixture().await;
    let store = &fixture.store;
    let lake = fixture.destination(1, json!({ "file": { "path": "x" } })).await;
    let (_, feeds) = fixture.source(1, json!({ "destination_ids": [lake] })).await;
    fixture.append(feeds[0], &["1"]).await;
    assert!(store.beat("paused", LEASE).await.unwrap().joined);
    assert!(!store.beat("paused", LEASE).await.unwrap().joined);

    let until = later(fixture.now(), LONG);
    let feed = store.claim_feed("paused", until).await.unwrap().unwrap();
    let lane = store.claim_lane("paused", LONG).await.unwrap().unwrap();
    let asking = store.claim_access("corp", NO_ROW, "paused", until).await;
    let asking = asking.unwrap().unwrap();
    let other = store.claim_lane("other", LONG).await.unwrap();
    assert!(other.is_none(), "it is leased");
    until_dead(&fixture).await;
    let beat = store.beat("other", LEASE).await.unwrap();
    assert_eq!(
        (beat.engines, beat.dead),
        (vec!["other".to_owned()], vec!["paused".to_owned()])
    );

    // What it had can be claimed, with greater fences.
    let again = store.claim_lane("other", LONG).await.unwrap().unwrap();
    assert!(again.claim.fence.0 > lane.claim.fence.0);
    assert!(store.release_lane(&lane.claim, None).await.unwrap().is_err());
    let staged = store.stage_replay(&lane.claim, LONG, None).await.unwrap();
    assert_eq!(staged, Moved::Fenced);
    assert!(
        store
            .renew_feed(feed.id, feed.fence, until)
            .await
            .unwrap()
            .is_err()
    );

    let late = store
        .keep_access("corp", (asking, "paused"), b"late", until)
        .await;
    assert!(late.unwrap().is_err());
    let other = store.claim_access("corp", asking, "other", until).await;
    assert!(other.unwrap().is_some());

    // It learns of it by its own next word, and what the other has it leaves alone.
    let back = store.beat("paused", LEASE).await.unwrap();
    assert!(back.joined && back.dead.is_empty(), "{back:?}");
    assert_eq!(back.engines, ["other", "paused"]);
    let kept = store.stage_replay(&again.claim, LONG, None).await.unwrap();
    assert_eq!(kept, Moved::Done);
}

#[tokio::test]
async fn an_engine_that_leaves_hands_over_at_once() {
    let fixture = fixture().await;
    let store = &fixture.store;
    fixture.source(1, json!({})).await;
    for engine in ["one", "two"] {
        store.beat(engine, LONG).await.unwrap();
    }
    let until = later(fixture.now(), LONG);
    store.claim_feed("one", until).await.unwrap().unwrap();
    store.retire("one").await.unwrap();
    assert_eq!(store.beat("two", LONG).await.unwrap().engines, ["two"]);
    // What it has in hand it keeps until it is gone.
    let mut claimed = 0;
    while store.claim_feed("two", until).await.unwrap().is_some() {
        claimed += 1;
    }
    assert_eq!(claimed, 1, "of two feeds");
    store.leave("one").await.unwrap();
    assert!(store.claim_feed("two", until).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_at_home_elsewhere_is_left_to_its_home_for_a_while() {
    let fixture = fixture().await;
    let store = &fixture.store;
    for number in 0..24 {
        fixture
            .destination(number, json!({ "file": { "path": "x" } }))
            .await;
    }
    store.beat("two", LONG).await.unwrap();
    store.beat("one", LONG).await.unwrap();
    let mut ours = std::collections::BTreeSet::<DestinationId>::new();
    while let Some(lane) = store.claim_lane("one", LONG).await.unwrap() {
        ours.insert(lane.claim.destination);
    }
    assert!((1..24).contains(&ours.len()), "{} of 24", ours.len());
    let next = store.next_lane_due().await.unwrap().unwrap();
    assert_eq!(next.duration_since(fixture.now()).as_millis(), i128::from(GRACE));
    fixture.time.advance(Duration::from_millis(GRACE.unsigned_abs()));
    while let Some(lane) = store.claim_lane("one", LONG).await.unwrap() {
        ours.insert(lane.claim.destination);
    }
    assert_eq!(ours.len(), 24);
}

/// Two engines on one database at the same instant: no row is claimed twice.
#[tokio::test]
async fn each_lane_and_feed_is_claimed_once_however_many_ask() {
    let fixture = fixture().await;
    for number in 0..12 {
        fixture
            .destination(number, json!({ "file": { "path": "x" } }))
            .await;
        fixture.source(number, json!({})).await;
    }
    let claims = (0..4).map(|number| {
        let store = fixture.store.clone();
        let until = later(fixture.now(), LONG);
        async move {
            let owner = format!("engine {number}");
            let (mut lanes, mut feeds) = (Vec::new(), Vec::new());
            loop {
                let lane = store.claim_lane(&owner, LONG).await.unwrap();
                let feed = store.claim_feed(&owner, until).await.unwrap();
                if lane.is_none() && feed.is_none() {
                    return (lanes, feeds);
                }
                lanes.extend(lane.map(|lane| lane.claim));
                feeds.extend(feed.map(|feed| feed.id));
            }
        }
    });
    let all = futures_util::future::join_all(claims).await;
    let mut feeds: Vec<i64> = all.iter().flat_map(|(_, feeds)| feeds.clone()).collect();
    let lanes: Vec<&Claim> = all.iter().flat_map(|(lanes, _)| lanes).collect();
    feeds.sort_unstable();
    feeds.dedup();
    assert_eq!((feeds.len(), lanes.len()), (24, 12));
    assert!(lanes.iter().all(|claim| claim.fence.0 == 1), "{lanes:?}");
}

fn share(engine: &str, engines: &[String]) -> Vec<usize> {
    let homes = homes(engine, engines);
    (0..SLOTS)
        .filter(|slot| homes[slot / 8] & (1 << (slot % 8)) != 0)
        .collect()
}

proptest! {
    #[test]
    fn each_slot_has_one_home_and_only_those_of_who_goes_move(
        names in prop::collection::btree_set("[a-z]{1,8}", 2..7),
        gone: prop::sample::Index,
    ) {
        let engines: Vec<String> = names.into_iter().collect();
        let mut all: Vec<usize> = engines.iter().flat_map(|engine| share(engine, &engines)).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..SLOTS).collect::<Vec<_>>());
        let gone = gone.get(&engines).clone();
        let left: Vec<String> = engines.iter().filter(|engine| **engine != gone).cloned().collect();
        for engine in &left {
            let (before, after) = (share(engine, &engines), share(engine, &left));
            prop_assert!(before.iter().all(|slot| after.contains(slot)));
        }
    }
}
