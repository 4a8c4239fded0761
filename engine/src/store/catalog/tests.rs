//! The catalog on a real database.

use engine_api::Kind;
use serde_json::json;

use super::*;
use crate::{
    clock::{Clock, Simulation},
    store::{
        Store, sql,
        testing::{Home, on_both},
    },
};

struct Fixture {
    _dir: tempfile::TempDir,
    _home: Home,
    store: Store,
    clock: Simulation,
}

async fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let (clock, simulation) = Clock::simulated("2026-01-31T12:00:00Z".parse().unwrap());
    let home = Home::new(dir.path());
    Fixture {
        _dir: dir,
        store: home.open(clock).await,
        _home: home,
        clock: simulation,
    }
}

const DESTINATION: &str = "dst_00000000000000000000000001";
const SOURCE: &str = "src_00000000000000000000000001";

fn destination(name: &str) -> Content {
    Content {
        name: name.to_owned(),
        spec: json!({ "name": name, "file": { "path": name } }).to_string(),
        fingerprint: None,
        secrets: vec![],
        references: vec![],
    }
}

fn source(destinations: &[&str]) -> Content {
    let spec = json!({
        "name": "corp", "account_id": "a", "client_id": "c", "destination_ids": destinations,
        "drop_off_alarm": { "after": "1h" },
    });
    let references = destinations.iter().map(|id| Reference {
        field: "destination_ids",
        id: (*id).to_owned(),
    });
    Content {
        name: "corp".to_owned(),
        spec: spec.to_string(),
        fingerprint: Some("f00d".to_owned()),
        secrets: vec![secret("client_secret", b"sealed")],
        references: references.collect(),
    }
}

fn secret(field: &str, sealed: &[u8]) -> SealedSecret {
    SealedSecret {
        field: field.to_owned(),
        sealed: sealed.to_vec(),
    }
}

fn new(created: Result<Created, Refusal>) -> Object {
    match created {
        Ok(Created::New(object)) => object,
        other => panic!("{other:?}"),
    }
}

impl Fixture {
    async fn count(&self, table: &'static str) -> i64 {
        let sql = match table {
            "feed" => "SELECT count(*) FROM feed",
            "lane" => "SELECT count(*) FROM lane",
            "position" => "SELECT count(*) FROM position",
            "alarm" => "SELECT count(*) FROM alarm",
            "segment" => "SELECT count(*) FROM segment",
            "object_secret" => "SELECT count(*) FROM object_secret",
            "object_reference" => "SELECT count(*) FROM object_reference",
            other => panic!("{other}"),
        };
        sql::query_scalar(sql).fetch_one(self.store.read()).await.unwrap()
    }

    async fn lake(&self) -> Object {
        let created = self
            .store
            .create_object(Kind::Destination, DESTINATION, &destination("lake"), None)
            .await;
        new(created.unwrap())
    }
}

async fn the_rows_of_the_workers_follow_a_source_from_create_to_remove() {
    let fixture = fixture().await;
    let store = &fixture.store;
    fixture.lake().await;
    assert_eq!(fixture.count("lane").await, 1);
    let created = store
        .create_object(Kind::Source, SOURCE, &source(&[DESTINATION]), None)
        .await
        .unwrap();
    let object = new(created);
    assert_eq!(
        (object.generation, object.fingerprint.as_deref()),
        (1, Some("f00d"))
    );
    for (table, rows) in [
        ("feed", 2),
        ("position", 2),
        ("alarm", 2),
        ("object_secret", 1),
        ("object_reference", 1),
    ] {
        assert_eq!(fixture.count(table).await, rows, "{table}");
    }
    let refusal = store
        .remove_object(Kind::Destination, DESTINATION, None)
        .await
        .unwrap()
        .unwrap_err();
    let by = vec![Needs {
        kind: Kind::Source,
        name: "corp".to_owned(),
    }];
    assert_eq!(refusal, Refusal::InUse { by, count: 1 });

    store
        .replace_object(Kind::Source, SOURCE, 1, &source(&[]))
        .await
        .unwrap()
        .unwrap();
    for (table, rows) in [("feed", 2), ("position", 0), ("object_reference", 0)] {
        assert_eq!(fixture.count(table).await, rows, "{table}");
    }
    store
        .replace_object(Kind::Source, SOURCE, 2, &source(&[DESTINATION]))
        .await
        .unwrap()
        .unwrap();
    let mut write = store.durable().await.unwrap();
    sql::query(
        "INSERT INTO segment (feed_id, seq, events, payload, created_at) SELECT id, 1, 1, $1, 1 FROM feed",
    )
    .bind(vec![0])
    .execute(&mut *write)
    .await
    .unwrap();
    write.commit().await.unwrap();
    store
        .remove_object(Kind::Source, SOURCE, Some(3))
        .await
        .unwrap()
        .unwrap();
    for table in [
        "feed",
        "position",
        "alarm",
        "segment",
        "object_secret",
        "object_reference",
    ] {
        assert_eq!(fixture.count(table).await, 0, "{table}");
    }
    store
        .remove_object(Kind::Destination, DESTINATION, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(fixture.count("lane").await, 0);
}

async fn a_generation_grows_with_each_change_and_with_nothing_else() {
    let fixture = fixture().await;
    let store = &fixture.store;
    store
        .create_object(Kind::Source, SOURCE, &source(&[]), None)
        .await
        .unwrap()
        .unwrap();
    fixture.clock.advance(std::time::Duration::from_secs(1));
    let replace = async |based_on: u64, content: &Content| {
        store
            .replace_object(Kind::Source, SOURCE, based_on, content)
            .await
            .unwrap()
    };
    let same = replace(1, &source(&[])).await.unwrap();
    assert_eq!((same.generation, same.updated_at), (1, same.created_at));
    let mut rotated = source(&[]);
    rotated.secrets = vec![secret("client_secret", b"resealed")];
    rotated.fingerprint = Some("beef".to_owned());
    let changed = replace(1, &rotated).await.unwrap();
    assert_eq!(
        (changed.generation, changed.fingerprint.as_deref()),
        (2, Some("beef"))
    );
    assert!(changed.updated_at > changed.created_at);
    assert_eq!(
        replace(1, &rotated).await,
        Err(Refusal::Changed { generation: 2 })
    );
    rotated.secrets.clear();
    rotated.fingerprint = None;
    assert_eq!(replace(2, &rotated).await.unwrap().generation, 3);
    assert_eq!(store.sealed_secrets(SOURCE).await.unwrap(), vec![]);
    assert_eq!(
        store
            .replace_object(Kind::Source, "src_x", 1, &rotated)
            .await
            .unwrap(),
        Err(Refusal::Absent)
    );
    assert_eq!(
        store
            .replace_object(Kind::Destination, SOURCE, 3, &rotated)
            .await
            .unwrap(),
        Err(Refusal::Absent)
    );
    assert_eq!(
        store.remove_object(Kind::Source, SOURCE, Some(1)).await.unwrap(),
        Err(Refusal::Changed { generation: 3 })
    );
}

async fn what_is_refused_leaves_nothing_behind() {
    let fixture = fixture().await;
    let store = &fixture.store;
    let missing = store
        .create_object(Kind::Source, SOURCE, &source(&[DESTINATION]), None)
        .await
        .unwrap();
    let reference = Reference {
        field: "destination_ids",
        id: DESTINATION.to_owned(),
    };
    assert_eq!(missing, Err(Refusal::UnknownReferences(vec![reference])));
    let lake = fixture.lake().await;
    let taken = store
        .create_object(
            Kind::Destination,
            "dst_00000000000000000000000002",
            &destination("lake"),
            None,
        )
        .await
        .unwrap();
    assert_eq!(
        taken,
        Err(Refusal::NameTaken {
            holder: lake.id.clone()
        })
    );
    assert_eq!(
        store
            .object(Kind::Destination, "dst_00000000000000000000000002")
            .await
            .unwrap(),
        None
    );
    assert_eq!((fixture.count("lane").await, fixture.count("feed").await), (1, 0));
    store
        .create_object(
            Kind::Destination,
            "dst_00000000000000000000000002",
            &destination("pond"),
            None,
        )
        .await
        .unwrap()
        .unwrap();
    let taken = store
        .replace_object(
            Kind::Destination,
            "dst_00000000000000000000000002",
            1,
            &destination("lake"),
        )
        .await
        .unwrap();
    assert_eq!(taken, Err(Refusal::NameTaken { holder: lake.id }));
}

async fn an_idempotency_key_makes_one_object() {
    let fixture = fixture().await;
    let store = &fixture.store;
    let key = |digest: &[u8]| Idempotency {
        key: "k".to_owned(),
        digest: digest.to_vec(),
    };
    assert_eq!(
        store.created_before(Kind::Destination, &key(b"1")).await.unwrap(),
        None
    );
    let create = async |id: &str, digest: &[u8]| {
        let key = key(digest);
        store
            .create_object(Kind::Destination, id, &destination("lake"), Some(&key))
            .await
            .unwrap()
    };
    let first = new(create("dst_00000000000000000000000001", b"1").await);
    assert_eq!(
        create("dst_00000000000000000000000002", b"1").await,
        Ok(Created::Before(first.clone()))
    );
    assert_eq!(
        create("dst_00000000000000000000000003", b"2").await,
        Err(Refusal::KeyReused)
    );
    assert_eq!(
        store.created_before(Kind::Destination, &key(b"1")).await.unwrap(),
        Some(Ok(first))
    );
    assert_eq!(
        store.created_before(Kind::Destination, &key(b"2")).await.unwrap(),
        Some(Err(Refusal::KeyReused))
    );
    assert_eq!(
        store.created_before(Kind::Source, &key(b"1")).await.unwrap(),
        None
    );
    // A deleted object's key is free again: the request would make it anew.
    store
        .remove_object(Kind::Destination, "dst_00000000000000000000000001", None)
        .await
        .unwrap()
        .unwrap();
    new(create("dst_00000000000000000000000004", b"2").await);
}

async fn objects_are_listed_in_the_order_of_their_ids() {
    let fixture = fixture().await;
    let store = &fixture.store;
    for number in [3, 1, 2] {
        let content = destination(&format!("d{number}"));
        store
            .create_object(
                Kind::Destination,
                &format!("dst_0000000000000000000000000{number}"),
                &content,
                None,
            )
            .await
            .unwrap()
            .unwrap();
    }
    let ids = async |name: Option<&str>, after: Option<&str>, limit: u32| -> Vec<String> {
        let objects = store
            .objects(Kind::Destination, name, after, limit)
            .await
            .unwrap();
        objects.into_iter().map(|object| object.id).collect()
    };
    assert_eq!(
        ids(None, None, 10).await,
        [
            "dst_00000000000000000000000001",
            "dst_00000000000000000000000002",
            "dst_00000000000000000000000003"
        ]
    );
    assert_eq!(
        ids(None, None, 2).await,
        ["dst_00000000000000000000000001", "dst_00000000000000000000000002"]
    );
    assert_eq!(
        ids(None, Some("dst_00000000000000000000000002"), 2).await,
        ["dst_00000000000000000000000003"]
    );
    assert_eq!(ids(Some("d2"), None, 2).await, ["dst_00000000000000000000000002"]);
    assert_eq!(ids(Some("d"), None, 2).await, Vec::<String>::new());
    assert_eq!(store.objects(Kind::Source, None, None, 10).await.unwrap(), vec![]);
}

async fn the_database_refuses_what_the_code_should_never_ask() {
    let fixture = fixture().await;
    fixture.lake().await;
    fixture
        .store
        .create_object(Kind::Source, SOURCE, &source(&[DESTINATION]), None)
        .await
        .unwrap()
        .unwrap();
    for (sql, rule) in [
        ("UPDATE object SET generation = 0", "generation_grows_from_one"),
        ("UPDATE object SET kind = 'thing'", "kind_is_known"),
        (
            "UPDATE object SET idempotency_key = 'k'",
            "key_and_digest_come_together",
        ),
        ("DELETE FROM object WHERE kind = 'destination'", "foreign key"),
        (
            "INSERT INTO object_reference VALUES ('src_x', 'dst_x')",
            "foreign key",
        ),
    ] {
        let mut write = fixture.store.durable().await.unwrap();
        let error = sql::query(sql)
            .execute(&mut *write)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.to_lowercase().contains(rule), "{sql}: {error}");
    }
    let row = sql::query("SELECT spec_version FROM object LIMIT 1")
        .fetch_one(fixture.store.read())
        .await
        .unwrap();
    assert_eq!(row.try_get::<i64>(0).unwrap(), 1);
}

on_both!(
    the_rows_of_the_workers_follow_a_source_from_create_to_remove,
    a_generation_grows_with_each_change_and_with_nothing_else,
    what_is_refused_leaves_nothing_behind,
    an_idempotency_key_makes_one_object,
    objects_are_listed_in_the_order_of_their_ids,
    the_database_refuses_what_the_code_should_never_ask,
);
