//! Whatever Zoom and the network do to a read, the ledger is delivered exactly.

use std::collections::BTreeMap;

use e2e::{
    delivered,
    sim::{EndToken, Fault, FaultRule, Limits, Order, PageTokens, Report, TokenRefusal},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{ACCOUNT, LATE, Stage};

const HASTE: [(&str, &str); 1] = [("zoom.sweep_interval", "5s")];

async fn settle(stage: &Stage, source: &str) {
    let lake = stage.engine.out("lake");
    stage
        .while_polling(source, delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE))
        .await;
}

#[tokio::test]
async fn every_fault_of_a_page_is_survived() {
    let stage = Stage::set_with(&HASTE).await;
    stage.show(700, 6 * 3_600);
    let respond = |status, body: &str| Fault::Respond {
        status,
        headers: BTreeMap::new(),
        body: body.into(),
    };
    let faults = [
        respond(500, "<html>"),
        respond(502, ""),
        respond(
            429,
            r#"{"code":429,"message":"You have reached the maximum per-second rate limit for this API."}"#,
        ),
        respond(200, "<html>not Zoom</html>"),
        respond(200, r#"{"unexpected":true}"#),
        respond(401, r#"{"code":124,"message":"Invalid access token."}"#),
        Fault::Reset,
        Fault::LoseAnswer,
        Fault::ResetBody { after_bytes: 700 },
        Fault::CutBody { after_bytes: 700 },
        Fault::CutJson { after_bytes: 700 },
        Fault::Gzip,
        Fault::EmptyPage,
        Fault::RepeatToken,
    ];
    let source = stage.source_to_file("lake", json!({})).await;
    settle(&stage, &source).await;
    // One after another, on a first page and on a later one in turn. Success in between resets every pause.
    for (number, fault) in faults.into_iter().enumerate() {
        let on = ["GET /v2/report", "next_page_token="][number % 2];
        let name = format!("{fault:?}");
        stage.sim.inject(FaultRule::next(on, fault));
        let struck = e2e::wait::until_now(LATE, &name, || match stage.sim.faults_left() {
            0 => Ok(()),
            left => Err(format!("{left} faults left")),
        });
        stage.while_polling(&source, struck).await;
        let row = format!(r#"{{"action":"after fault {number}","time":"{}"}}"#, now());
        stage.sim.add_text(ACCOUNT, Report::Operation, &row);
        settle(&stage, &source).await;
    }
    let healthy = |status: &Value| status["health"] == "ok";
    stage
        .while_polling(&source, stage.engine.source_status(&source, LATE, healthy))
        .await;
}

#[tokio::test]
async fn every_way_to_page_is_read() {
    let stage = Stage::set_with(&HASTE).await;
    stage.show(650, 6 * 3_600);
    stage.sim.tune(ACCOUNT, |behaviour| {
        behaviour.order = Order::OldestFirst;
        behaviour.page_tokens = PageTokens::Snapshot;
        behaviour.end_token = EndToken::Missing;
        behaviour.page_cap = Some(90);
        behaviour.gzip = true;
        behaviour.echo_instants = true;
        behaviour.rate_headers = false;
    });
    let source = stage.source_to_file("lake", json!({})).await;
    settle(&stage, &source).await;
}

#[tokio::test]
async fn tokens_that_end_in_the_middle_of_a_window() {
    let stage = Stage::set_with(&HASTE).await;
    stage.show(900, 6 * 3_600);
    stage.sim.change_app("cid", |app| app.single_token = true);
    stage.sim.inject(FaultRule::times(
        "GET /v2/report",
        1_000,
        Fault::Delay { millis: 50 },
    ));
    let source = stage.source_to_file("lake", json!({})).await;
    for form in [
        TokenRefusal::Usual,
        TokenRefusal::Older,
        TokenRefusal::ErrorCode,
        TokenRefusal::Code201,
    ] {
        stage
            .sim
            .tune(ACCOUNT, |behaviour| behaviour.token_refusal = form);
        stage.sim.revoke_tokens(None);
        stage.sim.void_page_tokens();
        stage.sim.clock().advance(SignedDuration::from_secs(1));
        stage.sim.add_text(
            ACCOUNT,
            Report::Operation,
            &format!(r#"{{"action":"{form:?}","time":"{}"}}"#, now()),
        );
        settle(&stage, &source).await;
    }
}

fn now() -> String {
    format!("{:.0}", Timestamp::now())
}

#[tokio::test]
async fn a_limit_by_the_second_only_slows_down() {
    let stage = Stage::set_with(&HASTE).await;
    stage.show(900, 6 * 3_600);
    stage.sim.tune(ACCOUNT, |behaviour| {
        behaviour.limits = Some(Limits {
            per_second: 1,
            per_day: 10_000,
        });
    });
    let source = stage.source_to_file("lake", json!({"verify": false})).await;
    settle(&stage, &source).await;
}
