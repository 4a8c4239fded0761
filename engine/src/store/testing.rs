//! A store of its own, filled by hand, for tests of the store and of its workers, on either database.

use std::{cell::Cell, collections::BTreeSet, path::Path};

use engine_api::{AlarmChannelId, DestinationId, LogType, SourceId};
use jiff::Timestamp;
use private_postgres::Database as Private;
use serde_json::{Value, json};

use super::{Store, alarms, delivery, segment, sql, wake};
use crate::{
    clock::{Clock, Simulation},
    database::Database,
    model::{BlockWriter, Checkpoint, Day, Event, Fence, Mark, Print, RowHash, encode_alone},
};

/// The database that a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

thread_local! {
    static BACKEND: Cell<Backend> = const { Cell::new(Backend::Sqlite) };
}

impl Backend {
    /// What the stores of this test's thread are made on from now on.
    pub(crate) fn choose(self) {
        BACKEND.set(self);
    }
}

/// Makes two tests of each function: one on SQLite, one on PostgreSQL.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $test() {
                crate::store::testing::Backend::Sqlite.choose();
                super::$test().await;
            })+
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $test() {
                crate::store::testing::Backend::Postgres.choose();
                super::$test().await;
            })+
        }
    };
}
pub(crate) use on_both;

/// Where a test's store is: a file in its directory, or a database that goes with this value.
pub(crate) struct Home {
    place: Database,
    database: Option<Private>,
}

impl Home {
    pub(crate) fn new(dir: &Path) -> Self {
        match BACKEND.get() {
            Backend::Sqlite => Self {
                place: Database::Sqlite(dir.join("engine.db")),
                database: None,
            },
            Backend::Postgres => {
                let database = Private::new().unwrap();
                Self {
                    place: Database::parse(&database.url(), dir).unwrap(),
                    database: Some(database),
                }
            }
        }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.place
    }

    /// All that it holds, as somebody who stole it would see it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match &self.place {
            Database::Sqlite(file) => ["", "-wal"]
                .iter()
                .flat_map(|end| std::fs::read(format!("{}{end}", file.display())).unwrap())
                .collect(),
            Database::Postgres(_) => self.database.as_ref().unwrap().dump().unwrap(),
        }
    }

    pub(crate) async fn open(&self, clock: Clock) -> Store {
        Store::at(&self.place, clock).await.unwrap()
    }
}

/// A store, its clock, and the directory that both live in.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) time: Simulation,
    pub(crate) dir: tempfile::TempDir,
    home: Home,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let (clock, time) = Clock::simulated("2026-01-31T12:00:00Z".parse().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        Self {
            store: home.open(clock.clone()).await,
            clock,
            time,
            dir,
            home,
        }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.home.place
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn sql(&self, statement: &'static str) {
        let mut write = self.store.durable().await.unwrap();
        sql::script(&mut write, statement).await.unwrap();
        write.commit().await.unwrap();
    }

    pub(crate) async fn try_sql(&self, statement: &'static str) -> Result<(), String> {
        let mut write = self.store.durable().await.unwrap();
        let done = sql::script(&mut write, statement).await;
        done.map_err(|error| error.to_string())
    }

    pub(crate) async fn number(&self, query: &'static str) -> i64 {
        sql::query_scalar(query)
            .fetch_one(self.store.read())
            .await
            .unwrap()
    }

    async fn object(&self, id: &str, kind: &str, spec: &Value) {
        let mut write = self.store.durable().await.unwrap();
        sql::query(
            "INSERT INTO object (id, kind, name, generation, spec, spec_version, created_at, updated_at)
             VALUES ($1, $2, $3, 1, $4, 1, 0, 0)
             ON CONFLICT (id) DO UPDATE SET spec = $4",
        )
        .bind(id)
        .bind(kind)
        .bind(spec["name"].as_str().unwrap())
        .bind(spec.to_string())
        .execute(&mut *write)
        .await
        .unwrap();
        write.commit().await.unwrap();
    }

    pub(crate) async fn seal(&self, id: &str, field: &str, sealed: Vec<u8>) {
        let mut write = self.store.durable().await.unwrap();
        sql::query("INSERT INTO object_secret (object_id, field, sealed, updated_at) VALUES ($1, $2, $3, 0)")
            .bind(id)
            .bind(field)
            .bind(sealed)
            .execute(&mut *write)
            .await
            .unwrap();
        write.commit().await.unwrap();
    }

    /// Declares a destination, or changes it.
    pub(crate) async fn destination(&self, number: u8, kind: Value) -> DestinationId {
        let id = DestinationId::from_bytes([number; 16]);
        let mut spec = json!({ "name": format!("destination {number}") });
        spec.as_object_mut()
            .unwrap()
            .extend(kind.as_object().unwrap().clone());
        self.object(id.as_str(), "destination", &spec).await;
        let mut write = self.store.durable().await.unwrap();
        wake::kick(&mut write, &id, self.now().as_millisecond())
            .await
            .unwrap();
        write.commit().await.unwrap();
        id
    }

    pub(crate) async fn channel(&self, number: u8, url: &str) -> AlarmChannelId {
        let id = AlarmChannelId::from_bytes([number; 16]);
        let spec = json!({ "name": format!("channel {number}"), "webhook": { "url": url } });
        self.object(id.as_str(), "alarm_channel", &spec).await;
        id
    }

    /// Declares a source with both feeds, or changes it; answers the feeds' numbers.
    pub(crate) async fn source(&self, number: u8, more: Value) -> (SourceId, [i64; 2]) {
        let id = SourceId::from_bytes([number; 16]);
        let mut spec = json!({ "name": format!("source {number}"), "account_id": "a", "client_id": "c" });
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.object(id.as_str(), "source", &spec).await;
        let spec: engine_api::SourceSpec = serde_json::from_value(spec).unwrap();
        let mut feeds = [0; 2];
        let mut write = self.store.durable().await.unwrap();
        for (feed, log_type) in feeds.iter_mut().zip(LogType::ALL) {
            *feed = sql::query_scalar(
                "INSERT INTO feed (source_id, log_type, active, due_at, checkpoint, watermark, created_at)
                 VALUES ($1, $2, $4, 0, $5, 0, $3)
                 ON CONFLICT (source_id, log_type) DO UPDATE SET active = $4 RETURNING id",
            )
            .bind(id.as_str())
            .bind(log_type.as_str())
            .bind(self.now().as_millisecond())
            .bind(spec.enabled && spec.log_types.contains(&log_type))
            .bind(serde_json::to_string(&Checkpoint::new(Day::of(self.now()), self.now()).0).unwrap())
            .fetch_one(&mut *write)
            .await
            .unwrap();
        }
        let destinations: BTreeSet<_> = spec.destination_ids.clone();
        delivery::sync_positions(&mut write, &id, &destinations)
            .await
            .unwrap();
        alarms::sync(&mut write, &id, spec.drop_off_alarm.as_ref(), self.now())
            .await
            .unwrap();
        write.commit().await.unwrap();
        (id, feeds)
    }

    /// Appends a segment of rows to a feed, as a poll that found them would.
    pub(crate) async fn append(&self, feed_id: i64, rows: &[&str]) {
        let now = self.now();
        let mut block = BlockWriter::default();
        let mut prints = Vec::new();
        for row in rows {
            let hash = RowHash(blake3::hash(row.as_bytes()).as_bytes()[..12].try_into().unwrap());
            let (day, occurrence) = (Day::of(now), 1);
            block.push(&Event {
                hash,
                day,
                occurrence,
                time: Some(now),
                collected_at: now,
                late: false,
                // A row tells by its text that it is another kind of event.
                labels: if row.contains("billing") { "billing" } else { "sso" },
                row,
                detail_at: None,
            });
            let mark = Mark::of(row);
            prints.extend(Print { hash, mark }.to_bytes());
        }
        let mut write = self.store.durable().await.unwrap();
        let seq: i64 = sql::query_scalar(
            "UPDATE feed SET last_seq = last_seq + 1, events = events + $2, last_success_at = $3,
                 last_collected_at = $3, last_event_at = $3 WHERE id = $1 RETURNING last_seq",
        )
        .bind(feed_id)
        .bind(i64::try_from(rows.len()).unwrap())
        .bind(now.as_millisecond())
        .fetch_one(&mut *write)
        .await
        .unwrap();
        sql::query(
            "INSERT INTO segment (feed_id, seq, events, payload, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(feed_id)
        .bind(seq)
        .bind(i64::try_from(rows.len()).unwrap())
        .bind(
            block
                .finish()
                .pack(|rows, behind| segment::compress(&[rows, behind]))
                .unwrap(),
        )
        .bind(now.as_millisecond())
        .execute(&mut *write)
        .await
        .unwrap();
        sql::query("INSERT INTO segment_day (feed_id, day, seq, prints) VALUES ($1, $2, $3, $4)")
            .bind(feed_id)
            .bind(Day::of(now).number())
            .bind(seq)
            .bind(prints)
            .execute(&mut *write)
            .await
            .unwrap();
        wake::lanes(&mut write, feed_id, now.as_millisecond())
            .await
            .unwrap();
        alarms::wake(&mut write, feed_id, false, now).await.unwrap();
        write.commit().await.unwrap();
    }

    /// Overwrites what a feed's log holds.
    pub(crate) async fn damage_log(&self, feed_id: i64) {
        let mut write = self.store.durable().await.unwrap();
        sql::query("UPDATE segment SET payload = $2 WHERE feed_id = $1")
            .bind(feed_id)
            .bind(vec![0])
            .execute(&mut *write)
            .await
            .unwrap();
        write.commit().await.unwrap();
    }

    /// Notes how a poll without new events ended.
    pub(crate) async fn polled(&self, feed_id: i64, trouble: Option<(&str, &str)>) {
        let now = self.now().as_millisecond();
        let mut write = self.store.durable().await.unwrap();
        sql::query(
            "UPDATE feed SET last_success_at = CASE WHEN $3 IS NULL THEN $2 ELSE last_success_at END,
                 trouble_code = $3, trouble_detail = $4,
                 trouble_since = CASE WHEN $3 IS NULL THEN NULL ELSE COALESCE(trouble_since, $2) END WHERE id = $1",
        )
        .bind(feed_id)
        .bind(now)
        .bind(trouble.map(|trouble| trouble.0))
        .bind(trouble.map(|trouble| trouble.1))
        .execute(&mut *write)
        .await
        .unwrap();
        alarms::wake(&mut write, feed_id, true, self.now()).await.unwrap();
        write.commit().await.unwrap();
    }

    /// The same store, as another engine that was started on it would see it.
    pub(crate) async fn reopened(self) -> Self {
        self.store.close().await;
        let store = self.home.open(self.clock.clone()).await;
        Self { store, ..self }
    }
}

/// The claim that a lane would be under if it had been claimed once more or less.
pub(crate) fn another(claim: &delivery::Claim, step: i64) -> delivery::Claim {
    delivery::Claim {
        destination: claim.destination.clone(),
        fence: Fence(claim.fence.0 + step),
    }
}

impl Store {
    /// Keeps an event of a source's `operation` feed as refused by a destination.
    pub(crate) async fn plant_dead_letter(&self, id: &str, destination: &str, source: &str) {
        let now = self.shared.clock.now();
        let event = Event {
            hash: RowHash([7; 12]),
            day: Day::of(now),
            occurrence: 1,
            time: Some(now),
            collected_at: now,
            late: false,
            labels: "sso",
            row: r#"{"operator":"o"}"#,
            detail_at: None,
        };
        let mut write = self.durable().await.unwrap();
        sql::query(
            "INSERT INTO dead_letter (id, feed_id, destination_id, event_id, event, sent, reason, refused_at)
             SELECT $1, id, $2, $1, $4, '{\"operator\":\"o\",\"zoom_log\":{\"source_name\":\"corp\"}}', 'it said no', $5 FROM feed WHERE source_id = $3 AND log_type = 'operation'",
        )
        .bind(id)
        .bind(destination)
        .bind(source)
        .bind(encode_alone(&event))
        .bind(now.as_millisecond())
        .execute(&mut *write)
        .await
        .unwrap();
        write.commit().await.unwrap();
    }

    /// How many dead letters wait to be sent again.
    pub(crate) async fn queued_count(&self) -> i64 {
        sql::query_scalar("SELECT COUNT(*) FROM dead_letter WHERE queued = 1")
            .fetch_one(self.read())
            .await
            .unwrap()
    }
}
