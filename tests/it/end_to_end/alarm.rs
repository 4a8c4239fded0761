//! The drop-off alarm: raised when logs stop, with the cause; taken back when they flow again; told once.

use std::time::Duration;

use e2e::{receiver::Receiver, receiver::Reply, sim::Report, wait};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{ACCOUNT, LATE, Stage};

const HASTE: [(&str, &str); 1] = [("zoom.sweep_interval", "5s")];

/// A source with an alarm after fifteen minutes, whose events flow.
async fn flowing(channel: &Receiver) -> (Stage, String) {
    let stage = Stage::set_with(&HASTE).await;
    stage.show(20, 60);
    let webhook = json!({"name": "oncall", "webhook": {"url": channel.url(), "signing_secret": "s"}});
    let channel = stage.engine.create("alarm-channels", webhook).await;
    let alarm = json!({"drop_off_alarm": {"after": "15m", "channel_ids": [channel]}});
    let source = stage.source_to_file("lake", alarm).await;
    stage
        .while_polling(
            &source,
            stage
                .engine
                .source_status(&source, LATE, |status| all(status, "ok")),
        )
        .await;
    (stage, source)
}

fn all(status: &Value, state: &str) -> bool {
    status["feeds"]
        .as_array()
        .unwrap()
        .iter()
        .all(|feed| feed["alarm"]["state"] == state)
}

/// Lets twenty minutes pass: the engine is started again with a clock that is ahead, as after a pause.
async fn twenty_minutes_later(stage: &mut Stage, minutes: u32) {
    stage.engine.stop().await;
    stage.engine.set("clock.ahead", &format!("{minutes}m"));
    stage.sim.clock().advance(SignedDuration::from_mins(20));
    stage.engine.start_again().await;
}

/// Waits for one notice for each log type, and returns them.
async fn notices(channel: &Receiver, before: usize) -> Vec<Value> {
    let received = channel.wait_for(before + 2).await;
    let mut bodies: Vec<Value> = received[before..]
        .iter()
        .map(e2e::receiver::Received::json)
        .collect();
    bodies.sort_by_key(Value::to_string);
    bodies
}

#[tokio::test]
async fn a_quiet_account_raises_it_and_the_next_event_takes_it_back() {
    let channel = Receiver::start().await;
    let (mut stage, source) = flowing(&channel).await;
    assert!(channel.received().is_empty());
    twenty_minutes_later(&mut stage, 20).await;
    let alarmed = stage
        .engine
        .source_status(&source, LATE, |status| all(status, "alarm"))
        .await;
    let cause = alarmed["feeds"][0]["alarm"]["cause"].as_str().unwrap();
    assert!(!cause.is_empty());
    for notice in notices(&channel, 0).await {
        let text = notice.to_string();
        for word in ["My Zoom logs", "alarm"] {
            assert!(text.contains(word), "`{word}` is not in {text}");
        }
    }
    // Told once: neither the next judgements nor a restart repeat it.
    stage.engine.kill_and_restart().await;
    stage
        .engine
        .source_status(&source, LATE, |status| all(status, "alarm"))
        .await;
    stage.while_polling(&source, judged(&stage, &source)).await;
    assert_eq!(channel.received().len(), 2);

    let time = stage.sim.clock().now();
    for report in Report::ALL {
        stage.sim.add_text(
            ACCOUNT,
            report,
            &format!(r#"{{"email":"back@example.com","time":"{time:.0}"}}"#),
        );
    }
    stage
        .while_polling(
            &source,
            stage
                .engine
                .source_status(&source, LATE, |status| all(status, "ok")),
        )
        .await;
    for notice in notices(&channel, 2).await {
        assert!(
            notice.to_string().contains("ok") || notice.to_string().contains("recover"),
            "{notice}"
        );
    }
}

/// Waits until the engine has polled and judged a few times more.
async fn judged(stage: &Stage, source: &str) {
    let polled = async || {
        stage.engine.get(&format!("/v1/sources/{source}/status")).await["feeds"][0]["last_poll_at"].clone()
    };
    for _ in 0..3 {
        let before = polled().await;
        wait::until(LATE, "a further poll", async || {
            let now = polled().await;
            if now == before { Err(now) } else { Ok(()) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_collection_that_fails_raises_it_with_another_cause() {
    let quiet = Receiver::start().await;
    let (mut stage, source) = flowing(&quiet).await;
    stage.sim.change_app("cid", |app| {
        app.client_secret = "rotated-behind-the-engine".into();
    });
    stage.sim.revoke_tokens(None);
    twenty_minutes_later(&mut stage, 20).await;
    let alarmed = stage
        .engine
        .source_status(&source, LATE, |status| all(status, "alarm"))
        .await;
    let failing = alarmed["feeds"][0]["alarm"]["cause"].as_str().unwrap().to_owned();

    let other = Receiver::start().await;
    let (mut stage, source) = flowing(&other).await;
    twenty_minutes_later(&mut stage, 20).await;
    let alarmed = stage
        .engine
        .source_status(&source, LATE, |status| all(status, "alarm"))
        .await;
    let nothing_new = alarmed["feeds"][0]["alarm"]["cause"].as_str().unwrap();
    assert_ne!(failing, nothing_new);
}

#[tokio::test]
async fn a_channel_that_is_down_is_told_when_it_is_back() {
    let channel = Receiver::start().await;
    let (mut stage, source) = flowing(&channel).await;
    channel.script([Reply::status(503), Reply::Reset, Reply::status(500)]);
    twenty_minutes_later(&mut stage, 20).await;
    stage
        .engine
        .source_status(&source, LATE, |status| all(status, "alarm"))
        .await;
    wait::until_now(LATE + Duration::from_mins(1), "both notices", || {
        let accepted = channel.accepted().len();
        if accepted == 2 {
            Ok(())
        } else {
            Err(format!("{accepted} accepted of {}", channel.received().len()))
        }
    })
    .await;
    let signed = channel
        .accepted()
        .iter()
        .all(|request| request.header("webhook-signature").starts_with("v1,"));
    assert!(signed);
}
