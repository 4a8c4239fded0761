//! Case 5: a crash after delivery and before the commit that notes it, and one after the commit and before delivery.
//!
//! The first doubles and the second loses where state and data are stored one after another: Sentinel's function,
//! XSIAM before it was put right.

use std::{collections::BTreeSet, fs, path::PathBuf};

use e2e::{
    delivered::{self, Difference, Event, Multiset},
    receiver::{Receiver, Reply},
    wait,
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{ACCOUNT, Case, LATE};

/// The engine is killed as soon as the file grows, which is before the position behind the batch is stored: the next
/// start cuts the file back and writes the same batch again.
#[tokio::test]
async fn a_crash_after_delivery_and_before_its_commit() {
    let mut case = Case::begin_with(&[("delivery.retry_longest", "200ms")]).await;
    case.rows(case.ago(SignedDuration::from_hours(1)), "settled");
    case.collect(json!({})).await;
    case.settle().await;
    for _ in 0..2 {
        // A directory in the way holds delivery back until there is a large batch to write.
        let away = Away::take(&case);
        case.history(2_000, 8);
        let held_back = |status: &Value| {
            let feeds = status["feeds"].as_array().unwrap();
            feeds.iter().all(|feed| {
                let delivery = &feed["deliveries"][0];
                delivery["trouble"].is_object() && delivery["pending_events"] == 2_000
            })
        };
        case.status(held_back).await;
        let settled = fs::metadata(&away.0).unwrap().len();
        away.put_back(&case);
        let grown = async {
            while fs::metadata(&case.lake).map_or(0, |found| found.len()) == settled {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LATE, grown).await.expect("the file to grow");
        case.stage.engine.kill();
        assert!(fs::metadata(&case.lake).unwrap().len() > settled);
        case.stage.engine.start_again().await;
        case.settle_after_doubles().await;
    }
    case.settle_for_good().await;
}

/// The destination's file, taken away while a directory stands in its place.
struct Away(PathBuf);

impl Away {
    fn take(case: &Case) -> Self {
        let kept = case.engine().out("lake.kept");
        fs::rename(&case.lake, &kept).unwrap();
        fs::create_dir(&case.lake).unwrap();
        Self(kept)
    }

    fn put_back(self, case: &Case) {
        fs::remove_dir(&case.lake).unwrap();
        fs::rename(&self.0, &case.lake).unwrap();
    }
}

fn pending_at_each_feed(status: &Value) -> bool {
    let feeds = status["feeds"].as_array().unwrap();
    feeds
        .iter()
        .all(|feed| feed["deliveries"][0]["pending_events"] == 1)
}

/// The events are in the log and no destination has them: they are delivered after the restart, once.
#[tokio::test]
async fn a_crash_after_the_commit_and_before_delivery() {
    let mut case = Case::collected(30, 5).await;
    let away = Away::take(&case);
    case.rows(case.now(), "committed and not delivered");
    case.status(pending_at_each_feed).await;
    case.stage.engine.kill();
    away.put_back(&case);
    // Zoom lets nobody in, with an old token or a new one: what is delivered now comes from the log alone.
    case.sim().revoke_tokens(None);
    case.sim().change_app("cid", |app| app.disabled = true);
    case.stage.engine.start_again().await;
    delivered::exactly(case.sim(), ACCOUNT, &case.lake, LATE).await;
    case.sim().change_app("cid", |app| app.disabled = false);
    case.settle_for_good().await;
}

/// Over HTTP nothing can be truncated: the receiver took the batch, its answer was lost with the engine, and the same
/// batch comes again under the same id and with the same event ids.
#[tokio::test]
async fn a_crash_between_a_receivers_taking_and_its_answer() {
    let hook = Receiver::start().await;
    let mut case = Case::begin().await;
    case.history(60, 5);
    let destination = json!({"name": "hook", "http": {"url": hook.url(), "signing_secret": "s"}});
    let destination = case.engine().create("destinations", destination).await;
    hook.script([Reply::Hang]);
    case.source = case.stage.source(&[&destination], json!({})).await;
    let first = hook.wait_for(1).await.remove(0);
    case.stage.engine.kill_and_restart().await;
    let owed = delivered::owed(case.sim(), ACCOUNT);
    let events = wait::until_now(LATE, "every event at the receiver", || {
        let (ids, rows) = by_id(&hook);
        assert_eq!(ids.len() as u64, rows.values().sum::<u64>());
        let difference = Difference::between(&owed, &rows);
        assert!(difference.doubled.is_empty(), "{difference}");
        if difference.is_none() {
            Ok(ids)
        } else {
            Err(difference.to_string())
        }
    });
    case.polling(events).await;
    let again = hook
        .received()
        .into_iter()
        .skip(1)
        .find(|request| request.header("webhook-id") == first.header("webhook-id"))
        .expect("the batch under its id again");
    assert_eq!(again.rows(), first.rows());
}

/// What the receiver has, each event once by its id.
fn by_id(hook: &Receiver) -> (BTreeSet<String>, Multiset) {
    let mut ids = BTreeSet::new();
    let mut events = Vec::new();
    for line in hook.accepted().iter().flat_map(e2e::receiver::Received::rows) {
        let event = Event::parse(&line);
        if ids.insert(event.zoom_log["id"].as_str().unwrap().to_owned()) {
            events.push(event);
        }
    }
    (ids, delivered::multiset(&events))
}
