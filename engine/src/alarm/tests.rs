//! Alarms and their notices over a real store and a real webhook.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use engine_api::{AlarmChannelId, AlarmState, EngineView, Health, LogType, SourceId};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    clock::Clock,
    destination::Webhooks,
    http::{Http, Options},
    retry::Backoff,
    store::testing::Fixture,
    telemetry::Telemetry,
    vault::{self, Held, KeyFrom, Vault},
    worker::{Next, Turn, Worker},
};

const HOUR: Duration = Duration::from_hours(1);

#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(String, Value)>>>,
    refuses: Arc<Mutex<Option<u16>>>,
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    if let Some(status) = *receiver.refuses.lock().unwrap() {
        return StatusCode::from_u16(status).unwrap();
    }
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    receiver
        .got
        .lock()
        .unwrap()
        .push((id, serde_json::from_str(&body).unwrap()));
    StatusCode::NO_CONTENT
}

struct Scene {
    fixture: Fixture,
    receiver: Receiver,
    channel: AlarmChannelId,
    source: SourceId,
    feeds: [i64; 2],
    noticed: Arc<AtomicUsize>,
}

impl Scene {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's server lives as long as its runtime"
    )]
    async fn new() -> Self {
        let receiver = Receiver::default();
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

        let fixture = Fixture::new().await;
        let channel = fixture.channel(1, &url).await;
        let (source, feeds) = fixture.source(1, alarmed(&[&channel])).await;
        Self {
            fixture,
            receiver,
            channel,
            source,
            feeds,
            noticed: Arc::default(),
        }
    }

    async fn settle(&self, worker: impl Worker) -> Next {
        for _ in 0..100 {
            match worker
                .activate(&CancellationToken::new(), &mut Turn::default())
                .await
            {
                Next::Again => {}
                next => return next,
            }
        }
        panic!("the worker finds no end");
    }

    /// Judges as an engine that has been running all the while.
    async fn judge(&self) -> Next {
        self.judge_as_started(jiff::Timestamp::MIN).await
    }

    async fn judge_as_started(&self, started: jiff::Timestamp) -> Next {
        let engine = EngineView {
            engine_id: "eng_1".to_owned(),
            version: "0".to_owned(),
            public_url: "http://engine".to_owned(),
            redirect_url: "http://engine/oauth/callback".to_owned(),
        };
        let noticed = Arc::clone(&self.noticed);
        let (store, clock) = (self.fixture.store.clone(), self.fixture.clock.clone());
        let mut worker = AlarmWorker::new(store, clock, Telemetry::new(), engine, move || {
            noticed.fetch_add(1, Ordering::Relaxed);
        });
        worker.started = started;
        self.settle(worker).await
    }

    async fn send(&self) -> Next {
        let vault = Vault::load(
            vault::Options {
                key: KeyFrom::File(self.fixture.dir.path().join("key")),
                ref_dirs: Vec::new(),
                ref_env_prefixes: Vec::new(),
            },
            Held::Nothing,
        )
        .unwrap();
        let options = Options {
            egress: crate::http::Rule {
                private: true,
                ..crate::http::Rule::default()
            },
            ..Options::default()
        };
        let clock = self.fixture.clock.clone();
        let webhooks = Webhooks {
            http: Http::new(options, Clock::real()).unwrap(),
            clock: clock.clone(),
        };
        let backoff = Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_mins(5),
        };
        let options = NoticeOptions::new("engine".to_owned(), backoff);
        let worker = NoticeWorker::new(
            self.fixture.store.clone(),
            vault,
            webhooks,
            clock,
            Telemetry::new(),
            options,
        );
        self.settle(worker).await
    }

    async fn states(&self) -> Vec<(LogType, AlarmState)> {
        let alarms = self.fixture.store.alarm_statuses(&self.source).await.unwrap();
        alarms
            .iter()
            .map(|(log_type, alarm)| (*log_type, alarm.state))
            .collect()
    }

    async fn state(&self) -> AlarmState {
        self.states()
            .await
            .iter()
            .find(|(log_type, _)| *log_type == LogType::Operation)
            .unwrap()
            .1
    }

    async fn notices(&self) -> i64 {
        self.fixture.number("SELECT COUNT(*) FROM notice").await
    }

    fn got(&self) -> Vec<Value> {
        self.receiver
            .got
            .lock()
            .unwrap()
            .iter()
            .map(|(_, notice)| notice.clone())
            .collect()
    }
}

fn alarmed(channels: &[&AlarmChannelId]) -> Value {
    json!({ "log_types": ["operation"], "drop_off_alarm": { "after": "1h", "channel_ids": channels } })
}

async fn an_alarm_is_raised_at_its_instant_told_once_and_ended() {
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    let began = fixture.now();
    assert_eq!(scene.judge().await, Next::At(began + HOUR));
    assert_eq!(
        scene.states().await,
        [(LogType::Operation, AlarmState::InsufficientData)]
    );

    fixture.time.advance(Duration::from_mins(10));
    fixture.append(scene.feeds[0], &["1"]).await;
    let collected = fixture.now();
    assert_eq!(scene.judge().await, Next::At(collected + HOUR));
    assert_eq!(
        (scene.state().await, scene.notices().await),
        (AlarmState::Ok, 0),
        "a good beginning is not told"
    );

    fixture.time.advance(Duration::from_secs(3_599));
    fixture.polled(scene.feeds[0], None).await;
    scene.judge().await;
    assert_eq!(scene.state().await, AlarmState::Ok);
    fixture.time.advance(Duration::from_secs(1));
    for _ in 0..3 {
        scene.judge().await;
    }
    assert_eq!(
        (scene.state().await, scene.notices().await),
        (AlarmState::Alarm, 1)
    );
    assert_eq!(scene.noticed.load(Ordering::Relaxed), 1);
    let raised = fixture.now();

    scene.send().await;
    fixture.time.advance(Duration::from_mins(1));
    fixture.append(scene.feeds[0], &["2"]).await;
    scene.judge().await;
    scene.send().await;
    assert_eq!((scene.state().await, scene.notices().await), (AlarmState::Ok, 2));

    let got = scene.got();
    let id = got[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(scene.receiver.got.lock().unwrap()[0].0, id);
    assert_eq!(
        got[0],
        json!({
            "type": "zoom_log.drop_off_alarm",
            "id": id,
            "state": "alarm",
            "previous_state": "ok",
            "cause": "Zoom is quiet: polls succeed, and there was no new event for 1h",
            "source": { "id": scene.source, "name": "source 1" },
            "log_type": "Zoom.Operation",
            "since": raised,
            "last_event_at": collected,
            "last_success_at": raised - Duration::from_secs(1),
            "after": "1h",
            "engine": { "engine_id": "eng_1", "version": "0", "public_url": "http://engine" },
        })
    );
    assert_eq!(
        (&got[1]["state"], &got[1]["previous_state"]),
        (&json!("ok"), &json!("alarm"))
    );
    assert_eq!(got.len(), 2);
    let status = fixture
        .store
        .channel_status(&scene.channel)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (status.health, status.pending_notices, status.trouble),
        (Health::Ok, 0, None)
    );
    assert_eq!(status.last_sent_at, Some(fixture.now()));
}

async fn a_broken_collector_is_told_with_its_trouble_and_outlives_a_restart() {
    let mut scene = Scene::new().await;
    scene.fixture.append(scene.feeds[0], &["1"]).await;
    scene.judge().await;
    scene.fixture.time.advance(Duration::from_mins(30));
    scene
        .fixture
        .polled(
            scene.feeds[0],
            Some(("zoom_invalid_credentials", "Zoom refuses the secret")),
        )
        .await;
    scene.judge().await;
    assert_eq!(scene.state().await, AlarmState::Ok);
    scene.fixture.time.advance(Duration::from_mins(30));
    scene.judge().await;
    assert_eq!(scene.state().await, AlarmState::Alarm);

    scene.fixture = scene.fixture.reopened().await;
    scene.judge().await;
    scene.send().await;
    let got = scene.got();
    assert_eq!(got.len(), 1);
    assert_eq!(
        got[0]["cause"],
        "no poll of Zoom has succeeded for 1h: Zoom refuses the secret (zoom_invalid_credentials)"
    );

    // The collector works again, and Zoom has nothing new: still an alarm, for the other cause, and no new notice.
    scene.fixture.time.advance(Duration::from_mins(1));
    scene.fixture.polled(scene.feeds[0], None).await;
    scene.judge().await;
    let alarms = scene.fixture.store.alarm_statuses(&scene.source).await.unwrap();
    assert!(
        alarms[0].1.cause.starts_with("Zoom is quiet"),
        "{}",
        alarms[0].1.cause
    );
    assert_eq!(scene.notices().await, 1);
}

async fn a_used_up_budget_and_a_clock_that_steps_back_raise_nothing() {
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    fixture.append(scene.feeds[0], &["1"]).await;
    scene.judge().await;
    fixture
        .polled(scene.feeds[0], Some(("budget_exhausted", "until midnight")))
        .await;
    for _ in 0..4 {
        fixture.time.advance(Duration::from_mins(50));
        scene.judge().await;
        assert_eq!(scene.state().await, AlarmState::Ok);
    }
    fixture.polled(scene.feeds[0], None).await;
    fixture.append(scene.feeds[0], &["2"]).await;
    scene.judge().await;
    fixture.time.step_to(fixture.now() - 24 * HOUR);
    fixture.polled(scene.feeds[0], None).await;
    scene.judge().await;
    assert_eq!((scene.state().await, scene.notices().await), (AlarmState::Ok, 0));
}

async fn alarms_follow_the_sources_spec() {
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    fixture.time.advance(2 * HOUR);
    scene.judge().await;
    assert_eq!(scene.state().await, AlarmState::Alarm);

    // Another spec keeps the state; both log types are watched, the new one from now on.
    let second = fixture.channel(2, "http://127.0.0.1:1/").await;
    let both = json!({ "drop_off_alarm": { "after": "2h", "channel_ids": [scene.channel, second] } });
    fixture.source(1, both).await;
    scene.judge().await;
    let states = scene.states().await;
    assert_eq!(
        states,
        [
            (LogType::Activity, AlarmState::InsufficientData),
            (LogType::Operation, AlarmState::Alarm)
        ]
    );
    fixture.append(scene.feeds[0], &["1"]).await;
    scene.judge().await;
    assert_eq!(scene.notices().await, 3, "one for the alarm, two for its end");

    fixture
        .source(
            1,
            json!({ "enabled": false, "drop_off_alarm": { "after": "2h" } }),
        )
        .await;
    assert!(scene.states().await.is_empty());
    fixture
        .source(1, json!({ "drop_off_alarm": { "after": "2h" } }))
        .await;
    scene.judge().await;
    assert_eq!(scene.states().await.len(), 2);
    fixture.source(1, json!({})).await;
    assert!(scene.states().await.is_empty());
    assert_eq!(scene.judge().await, Next::Idle);
}

async fn a_notice_is_tried_again_in_order_and_given_up_after_a_day() {
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    *scene.receiver.refuses.lock().unwrap() = Some(500);
    fixture.append(scene.feeds[0], &["1"]).await;
    scene.judge().await;
    fixture.time.advance(HOUR);
    scene.judge().await;
    fixture.append(scene.feeds[0], &["2"]).await;
    scene.judge().await;
    assert_eq!(scene.notices().await, 2);

    let Next::At(due) = scene.send().await else {
        panic!("nothing is to come")
    };
    assert!(
        due > fixture.now() && due <= fixture.now() + Duration::from_secs(1),
        "{due}"
    );
    let status = fixture
        .store
        .channel_status(&scene.channel)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((status.health, status.pending_notices), (Health::Degraded, 2));
    assert!(status.trouble.unwrap().detail.contains("500"));

    *scene.receiver.refuses.lock().unwrap() = None;
    fixture.time.advance_to(due);
    scene.send().await;
    let states: Vec<_> = scene.got().iter().map(|notice| notice["state"].clone()).collect();
    assert_eq!(
        states,
        [json!("alarm"), json!("ok")],
        "the recovery waited for the alarm"
    );

    *scene.receiver.refuses.lock().unwrap() = Some(401);
    fixture.time.advance(HOUR);
    scene.judge().await;
    let mut tries = 0;
    while let Next::At(due) = scene.send().await {
        fixture.time.advance_to(due);
        tries += 1;
        assert!(tries < 1_000);
    }
    assert!(tries > 100, "{tries}");
    assert_eq!(
        fixture
            .number("SELECT COUNT(*) FROM notice WHERE given_up_at IS NOT NULL")
            .await,
        1
    );
    let status = fixture
        .store
        .channel_status(&scene.channel)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((status.health, status.pending_notices), (Health::Failing, 0));
    assert!(status.trouble.unwrap().detail.contains("401"));
}

async fn a_notice_has_one_sender_at_a_time() {
    let scene = Scene::new().await;
    let store = &scene.fixture.store;
    scene.fixture.time.advance(HOUR);
    scene.judge().await;
    let minute = Duration::from_mins(1);
    let notice = store.claim_notice("one", minute).await.unwrap().unwrap();
    assert!(store.claim_notice("two", minute).await.unwrap().is_none());
    scene.fixture.time.advance(minute);
    let again = store.claim_notice("two", minute).await.unwrap().unwrap();
    assert_eq!(again.id, notice.id);
    let sent = crate::store::notices::Attempt::Sent;
    assert!(
        store.settle_notice(&notice, &sent).await.unwrap().is_err(),
        "the first was taken for dead"
    );
    assert!(store.settle_notice(&again, &sent).await.unwrap().is_ok());
    assert!(store.claim_notice("two", minute).await.unwrap().is_none());
}

async fn an_engine_that_was_away_polls_before_its_absence_raises_an_alarm() {
    let scene = Scene::new().await;
    let fixture = &scene.fixture;
    fixture.append(scene.feeds[0], &["1"]).await;
    fixture.polled(scene.feeds[0], None).await;
    scene.judge().await;
    fixture.time.advance(5 * HOUR);
    let started = fixture.now();
    scene.judge_as_started(started).await;
    assert_eq!(
        scene.state().await,
        AlarmState::Ok,
        "nothing was polled since the start"
    );
    fixture.time.advance(Duration::from_mins(2));
    scene.judge_as_started(started).await;
    assert_eq!(
        scene.state().await,
        AlarmState::Alarm,
        "still nothing, and there was time"
    );
}

crate::store::testing::on_both!(
    an_alarm_is_raised_at_its_instant_told_once_and_ended,
    a_broken_collector_is_told_with_its_trouble_and_outlives_a_restart,
    a_used_up_budget_and_a_clock_that_steps_back_raise_nothing,
    alarms_follow_the_sources_spec,
    a_notice_is_tried_again_in_order_and_given_up_after_a_day,
    a_notice_has_one_sender_at_a_time,
    an_engine_that_was_away_polls_before_its_absence_raises_an_alarm,
);
