//! Case 12: a quiet tenant, a dead collector and a dead destination give different alarms.
//!
//! Every public collector treats them alike: no events arrive, and nobody is told why.

use std::{collections::BTreeSet, fs};

use e2e::{
    receiver::{Received, Receiver},
    sim::Report,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{CLIENT, Case, LATE, SECRET, feed};

/// A source whose alarm is raised after a quarter of an hour.
struct Watched {
    case: Case,
    channel: Receiver,
    /// When the last rows appeared.
    fed: Timestamp,
}

impl Watched {
    async fn begin() -> Self {
        let channel = Receiver::start().await;
        let mut case = Case::begin().await;
        let webhook = json!({"name": "oncall", "webhook": {"url": channel.url()}});
        let webhook = case.engine().create("alarm-channels", webhook).await;
        case.collect(json!({"drop_off_alarm": {"after": "15m", "channel_ids": [webhook]}}))
            .await;
        let mut watched = Self {
            fed: case.now(),
            case,
            channel,
        };
        watched.feed("first").await;
        watched.alarms("ok").await;
        watched
    }

    /// Shows new rows and waits until they are delivered.
    async fn feed(&mut self, name: &str) {
        self.fed = self.case.now();
        self.case.rows(self.fed, name);
        self.case.settle().await;
    }

    /// Lets the time pass up to a moment before the alarm's instant, so that the engine sees the instant come.
    async fn nearly_due(&mut self) {
        let due = self.fed + SignedDuration::from_mins(15);
        self.case.pass_to(due - SignedDuration::from_secs(2)).await;
    }

    /// Waits until the alarms of both feeds are in a state, and returns the cause of each.
    async fn alarms(&self, state: &str) -> [String; 2] {
        let reached = |status: &Value| {
            let alarms = Report::ALL.map(|report| feed(status, report)["alarm"]["state"] == state);
            alarms.iter().all(|reached| *reached)
        };
        let status = self
            .case
            .polling(self.case.engine().source_status(&self.case.source, LATE, reached));
        let status = status.await;
        Report::ALL.map(|report| {
            feed(&status, report)["alarm"]["cause"]
                .as_str()
                .unwrap()
                .to_owned()
        })
    }

    /// The notices from the `before`-th on: one for each feed, each told once.
    async fn told(&self, before: usize, state: &str, cause: &str) {
        let mut wanted = before + 2;
        let received = loop {
            let mut received = self.channel.wait_for(wanted).await;
            wanted = received.len() + 1;
            // A kill between the sending of a notice and the note of it lets it come again, under its id.
            let mut ids = BTreeSet::new();
            received.retain(|notice| ids.insert(notice.header("webhook-id").to_owned()));
            if received.len() >= before + 2 {
                break received;
            }
        };
        assert_eq!(received.len(), before + 2, "told more than once: {received:?}");
        for notice in received[before..].iter().map(Received::json) {
            assert_eq!(notice["state"], state, "{notice:#}");
            let told = notice["cause"].as_str().unwrap();
            assert!(told.contains(cause), "`{cause}` is not in {notice:#}");
        }
    }
}

#[tokio::test]
async fn a_quiet_tenant() {
    let mut watched = Watched::begin().await;
    watched.nearly_due().await;
    for cause in watched.alarms("alarm").await {
        assert!(cause.starts_with("Zoom is quiet: polls succeed"), "{cause}");
    }
    watched.told(0, "alarm", "Zoom is quiet").await;
    let status = watched.case.status(|status| status["health"] == "ok").await;
    assert!(feed(&status, Report::Operation)["trouble"].is_null());

    // Neither a crash nor further polls tell it again; the next event takes it back.
    watched.case.stage.engine.kill_and_restart().await;
    watched.case.reads(4).await;
    watched.feed("back").await;
    watched.alarms("ok").await;
    watched.told(2, "ok", "events arrive").await;
}

#[tokio::test]
async fn a_dead_collector() {
    let mut watched = Watched::begin().await;
    watched
        .case
        .sim()
        .change_app(CLIENT, |app| app.client_secret = "rotated-at-zoom".to_owned());
    watched.case.sim().revoke_tokens(None);
    watched.nearly_due().await;
    for cause in watched.alarms("alarm").await {
        assert!(
            cause.starts_with("no poll of Zoom has succeeded for 15m"),
            "{cause}"
        );
        assert!(cause.contains("zoom_invalid_credentials"), "{cause}");
    }
    watched.told(0, "alarm", "no poll of Zoom has succeeded").await;

    watched
        .case
        .sim()
        .change_app(CLIENT, |app| app.client_secret = SECRET.to_owned());
    watched.feed("back").await;
    watched.alarms("ok").await;
    watched.told(2, "ok", "events arrive").await;
}

#[tokio::test]
async fn a_dead_destination() {
    let mut watched = Watched::begin().await;
    let kept = watched.case.engine().out("lake.kept");
    fs::rename(&watched.case.lake, &kept).unwrap();
    fs::create_dir(&watched.case.lake).unwrap();
    watched.fed = watched.case.now();
    watched.case.rows(watched.fed, "waiting");
    let waiting = |status: &Value| {
        let deliveries =
            Report::ALL.map(|report| feed(status, report)["deliveries"][0]["pending_events"] == 1);
        deliveries.iter().all(|waiting| *waiting)
    };
    watched.case.status(waiting).await;
    watched.nearly_due().await;
    // Zoom is not quiet: rows come, and are collected.
    watched.case.rows(watched.case.now(), "waiting too");
    for cause in watched.alarms("alarm").await {
        assert!(
            cause.starts_with("events are collected, but the destination `lake` has taken none for 15m"),
            "{cause}"
        );
    }
    watched.told(0, "alarm", "the destination `lake`").await;
    let status = watched.case.status(|status| status["health"] == "ok").await;
    assert!(
        feed(&status, Report::Operation)["trouble"].is_null(),
        "{status:#}"
    );

    fs::remove_dir(&watched.case.lake).unwrap();
    fs::rename(&kept, &watched.case.lake).unwrap();
    watched.case.settle().await;
    watched.alarms("ok").await;
    watched.told(2, "ok", "events arrive").await;
}
