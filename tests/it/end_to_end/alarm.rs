//! The drop-off alarm's way to its channel. What raises it, and for which cause, is case 12.

use std::time::Duration;

use e2e::{receiver::Receiver, receiver::Reply, wait};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{LATE, Stage};

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

/// Lets the time pass up to seconds before the alarm: the engine is started again with a clock that is ahead.
async fn nearly_a_quarter_of_an_hour_later(stage: &mut Stage) {
    const PASSED: SignedDuration = SignedDuration::from_secs(15 * 60 - 3);
    stage.engine.stop().await;
    stage.engine.set("clock.ahead", &format!("{}s", PASSED.as_secs()));
    stage.sim.clock().advance(PASSED);
    stage.engine.start_again().await;
}

#[tokio::test]
async fn a_channel_that_is_down_is_told_when_it_is_back() {
    let channel = Receiver::start().await;
    let (mut stage, source) = flowing(&channel).await;
    channel.script([Reply::status(503), Reply::Reset, Reply::status(500)]);
    nearly_a_quarter_of_an_hour_later(&mut stage).await;
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
