//! The audit log at a destination that is to have it.

use engine_api::{Actor, ActorKind, Kind};
use serde_json::Value;

use super::{turns::activate_and_die, *};
use crate::{
    delivery::tests::scripted::Act,
    destination::WriteError,
    store::{Store, audit::By, catalog::Content},
};

fn acting(store: &Store) -> Store {
    store.acting(By {
        actor: Actor {
            kind: ActorKind::AdminToken,
            token_id: None,
            name: "admin token".to_owned(),
            identity: None,
            address: None,
        },
        request_id: None,
    })
}

/// A change that is noted: one more alarm channel.
async fn change(store: &Store, name: &str) {
    let content = Content {
        name: name.to_owned(),
        spec: json!({ "name": name, "webhook": { "url": "https://x.example/" } }).to_string(),
        fingerprint: None,
        secrets: Vec::new(),
        references: Vec::new(),
    };
    let id = format!("ach_{name}");
    store
        .create_object(Kind::AlarmChannel, &id, &content, None)
        .await
        .unwrap()
        .unwrap();
}

async fn want(store: &Store, audit_log: bool, generation: u64) {
    let spec = json!({ "name": "siem", "file": { "path": "unused" }, "audit_log": audit_log });
    let content = Content {
        name: "siem".to_owned(),
        spec: spec.to_string(),
        fingerprint: None,
        secrets: Vec::new(),
        references: Vec::new(),
    };
    let id = DestinationId::from_bytes([9; 16]);
    if generation == 0 {
        store
            .create_object(Kind::Destination, id.as_str(), &content, None)
            .await
            .unwrap()
            .unwrap();
    } else {
        let replaced = store
            .replace_object(Kind::Destination, id.as_str(), generation, &content)
            .await;
        replaced.unwrap().unwrap();
    }
}

fn told(script: &Scripted) -> Vec<String> {
    let line = |line: &String| {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["zoom_log"]["log_type"], "ZoomLogEngine.Audit", "{event}");
        assert_eq!(
            event["zoom_log"]["id"],
            format!("engine.audit.{}", event["number"])
        );
        let after = event["after"]["spec"]["name"].as_str().unwrap_or("-").to_owned();
        format!("{} {after}", event["action"].as_str().unwrap())
    };
    script.lines().iter().map(line).collect()
}

async fn entries_come_in_order_from_when_they_are_wanted_and_over_every_death() {
    let fixture = Fixture::new().await;
    let store = acting(&fixture.store);
    let script = Scripted::default();
    let worker = worker(&fixture, Arc::new(script.clone()));
    change(&store, "before").await;
    want(&store, true, 0).await;
    for name in ["a", "b", "c", "d", "e", "f"] {
        change(&store, name).await;
    }
    // It dies after the first batch was taken and before that was noted: the same batch is written again.
    script.now().acts.push_back(Act::TakeAndHang);
    activate_and_die(&worker, || !script.now().taken.is_empty()).await;
    fixture.store.break_leases().await.unwrap();
    change(&store, "more").await;
    settle(&worker).await;
    {
        let script = script.now();
        assert!(
            script.taken[0] == script.taken[1] && script.taken[0] != script.taken[2],
            "{script:?}"
        );
    }
    let all = told(&script);
    let expected = [
        "destination.create siem",
        "alarm_channel.create a",
        "alarm_channel.create b",
        "alarm_channel.create c",
        "alarm_channel.create d",
        "alarm_channel.create e",
        "alarm_channel.create f",
        "alarm_channel.create more",
    ];
    let again = all.len() - expected.len();
    assert!(again > 0 && all[..again] == all[again..2 * again], "{all:?}");
    assert_eq!(all[again..], expected, "and nothing from before it was wanted");

    // A new entry makes the lane due in its own transaction; one that is wanted no more comes to nobody.
    assert_eq!(settle(&worker).await, None);
    change(&store, "g").await;
    settle(&worker).await;
    assert_eq!(told(&script).last().unwrap(), "alarm_channel.create g");
    want(&store, false, 1).await;
    change(&store, "h").await;
    settle(&worker).await;
    assert!(!told(&script).iter().any(|told| told.ends_with(" h")));
}

async fn a_refused_entry_is_passed_and_a_blocked_destination_keeps_all_of_them() {
    let fixture = Fixture::new().await;
    let store = acting(&fixture.store);
    let script = Scripted::default();
    let worker = worker(&fixture, Arc::new(script.clone()));
    want(&store, true, 0).await;
    change(&store, "a").await;
    change(&store, "b").await;
    let refused = || {
        Act::Fail(WriteError::Refused {
            reason: "not like this".to_owned(),
        })
    };
    // The batch, then its first entry alone.
    script.now().acts.extend([refused(), refused()]);
    settle(&worker).await;
    assert_eq!(
        told(&script),
        ["alarm_channel.create a", "alarm_channel.create b"]
    );

    let away = WriteError::Unavailable {
        detail: "away".to_owned(),
    };
    script.now().acts.push_back(Act::Fail(away));
    change(&store, "c").await;
    let due = settle(&worker).await.unwrap();
    // Nobody forgets what a destination has not got, however old it is.
    let later = fixture.now() + jiff::SignedDuration::from_hours(24 * 500);
    fixture.store.forget_audit(later).await.unwrap();
    let left = fixture
        .store
        .audit(&engine_api::AuditQuery::default(), 10)
        .await
        .unwrap();
    assert_eq!(left.len(), 1, "the one that is not delivered: {left:?}");
    fixture
        .time
        .advance(Duration::try_from(due.duration_since(fixture.now())).unwrap());
    settle(&worker).await;
    assert_eq!(told(&script).last().unwrap(), "alarm_channel.create c");
    fixture.store.forget_audit(later).await.unwrap();
    assert!(
        fixture
            .store
            .audit(&engine_api::AuditQuery::default(), 10)
            .await
            .unwrap()
            .is_empty()
    );
}

crate::store::testing::on_both!(
    entries_come_in_order_from_when_they_are_wanted_and_over_every_death,
    a_refused_entry_is_passed_and_a_blocked_destination_keeps_all_of_them,
);
