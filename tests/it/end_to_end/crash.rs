//! The real process dies at each labelled point, and at random, and nothing is lost or doubled.

use std::{collections::BTreeSet, time::Duration};

use e2e::{
    binaries::Binary,
    delivered, kills,
    receiver::Receiver,
    rng::Rng,
    sim::{Bulk, Fault, FaultRule, Mix, Report},
    wait,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::json;
use zoom_log_engine::crash::{ARM_VARIABLE, POINTS};

use super::{ACCOUNT, CLIENT, LATE, Stage, consent::Consented};

/// Short sweeps and pauses, so that each point is passed within seconds.
const HASTE: [(&str, &str); 3] = [
    ("zoom.sweep_interval", "5s"),
    ("delivery.retry_first", "100ms"),
    ("log.level", "info"),
];

/// The passes at which the engine dies at a point: the first, and one in the middle of the work where there is one.
fn passes(label: &str) -> &'static [u64] {
    match label {
        "intake.page_read"
        | "intake.before_commit"
        | "intake.committed"
        | "delivery.staged"
        | "delivery.written"
        | "delivery.settled"
        | "file.half_written" => &[1, 3],
        _ => &[1],
    }
}

/// Lets the engine die at each of these points, one after another, while rows come; and holds the ledger at the end.
async fn die_at(points: &[&str]) {
    let _ = Binary::engine_with_crash_points();
    let mut stage = Stage::set_with(&HASTE).await;
    let hook = Receiver::start().await;
    let channel = json!({"name": "oncall", "webhook": {"url": format!("{}/zoom", hook.url())}});
    let channel = stage.engine.create("alarm-channels", channel).await;
    stage.show(700, 20 * 3_600);
    let from = midnight(1);
    // Quiet for a quarter of an hour is an alarm; the rows below are older than that.
    let alarm = json!({"after": "15m", "channel_ids": [channel]});
    let source = stage
        .source_to_file("lake", json!({"start_from": from, "drop_off_alarm": alarm}))
        .await;
    let lake = stage.engine.out("lake");
    let is_quiet = |label: &str| label.starts_with("alarm.") || label.starts_with("notice.");
    if points.iter().all(|label| is_quiet(label)) {
        // What is collected an hour ahead would end the silence there.
        delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE).await;
    }
    for label in points {
        for pass in passes(label) {
            stage.engine.kill();
            stage
                .engine
                .set_variable(ARM_VARIABLE, &format!("{label}:{pass}"));
            // An alarm needs an hour without rows; everything else needs rows.
            let quiet = is_quiet(label);
            stage.engine.set("clock.ahead", if quiet { "1h" } else { "0s" });
            if label.contains("renew") {
                // A claim is kept for longer where a read takes long.
                let slow = Fault::Delay { millis: 3_000 };
                stage.sim.inject(FaultRule::times("GET /v2/report", 8, slow));
            }
            stage.engine.start_doomed();
            let mut round = 0_u32;
            wait::until(
                LATE,
                &format!("the engine to die at {label}:{pass}"),
                async || {
                    if !stage.engine.is_running() {
                        return Ok(());
                    }
                    // There is always something new to read, to commit and to deliver.
                    round += 1;
                    for report in Report::ALL.into_iter().filter(|_| !quiet) {
                        let mix = Mix {
                            seed: u64::from(round) ^ Rng::new(label.len() as u64 ^ pass).next_u64(),
                            ..Mix::default()
                        };
                        stage.sim.generate(
                            ACCOUNT,
                            report,
                            Bulk {
                                rows: 3,
                                span_secs: 600,
                                mix,
                            },
                        );
                    }
                    // The client asks a dead engine for long.
                    let _ = tokio::time::timeout(Duration::from_millis(300), stage.poll(&source)).await;
                    Err(format!("it runs; its log:\n{}", stage.engine.log()))
                },
            )
            .await;
        }
    }
    stage.engine.kill();
    stage.sim.clear_faults();
    stage.engine.forget_variable(ARM_VARIABLE);
    stage.engine.set("clock.ahead", "0s");
    stage.engine.start_again().await;
    let done = delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE);
    delivered::each_once(&stage.while_polling(&source, done).await);
}

fn midnight(days_ago: i64) -> String {
    let then = Timestamp::now() - SignedDuration::from_hours(24 * days_ago);
    format!("{}T00:00:00Z", then.to_zoned(TimeZone::UTC).date())
}

/// The points of some of the engine's rooms.
fn points_of(rooms: &[&str]) -> Vec<&'static str> {
    let of_room = |point: &&str| rooms.iter().any(|room| point.split('.').next() == Some(room));
    POINTS.iter().copied().filter(of_room).collect()
}

#[test]
fn every_crash_point_has_a_test_below() {
    let all: BTreeSet<&str> = ROOMS.iter().flat_map(|rooms| points_of(rooms)).collect();
    assert_eq!(all, POINTS.iter().copied().collect());
}

const ROOMS: [&[&str]; 5] = [
    &["intake", "budget"],
    &["delivery", "file", "retention"],
    &["alarm", "notice"],
    &["token"],
    // In `rotation.rs`: not the engine dies there, but the command beside it.
    &["rotation"],
];

#[tokio::test]
async fn a_death_at_any_point_of_the_collection_loses_and_doubles_nothing() {
    die_at(&points_of(ROOMS[0])).await;
}

#[tokio::test]
async fn a_death_at_any_point_of_the_delivery_loses_and_doubles_nothing() {
    die_at(&points_of(ROOMS[1])).await;
}

#[tokio::test]
async fn a_death_at_any_point_of_the_alarms_loses_and_doubles_nothing() {
    die_at(&points_of(ROOMS[2])).await;
}

/// A refresh token is gone where the engine dies between Zoom's answer and the store; nothing else is, and the next
/// consent goes on where the source stood.
#[tokio::test]
async fn a_death_at_any_point_of_a_tokens_renewal_loses_and_doubles_nothing() {
    let _ = Binary::engine_with_crash_points();
    let mut scene = Consented::set(&HASTE).await;
    // Good for a second: each poll needs the next one.
    scene.stage.sim.change_app(CLIENT, |app| app.token_life_secs = 2);
    scene.stage.show(300, 20 * 3_600);
    let source = scene.source(json!({"start_from": midnight(1)})).await;
    scene.consent(&source, ACCOUNT).await;
    scene.collected(&source).await;
    let points = points_of(ROOMS[3]);
    assert!(points.contains(&"token.before_store"), "{points:?}");
    for label in points {
        scene.stage.engine.kill();
        scene
            .stage
            .engine
            .set_variable(ARM_VARIABLE, &format!("{label}:2"));
        scene.stage.engine.start_again().await;
        let mix = Mix {
            seed: Rng::new(label.len() as u64).next_u64(),
            ..Mix::default()
        };
        let bulk = Bulk {
            rows: 20,
            span_secs: 600,
            mix,
        };
        for report in Report::ALL {
            scene.stage.sim.generate(ACCOUNT, report, bulk);
        }
        wait::until(LATE, &format!("the engine to die at {label}"), async || {
            if !scene.stage.engine.is_running() {
                return Ok(());
            }
            let _ = tokio::time::timeout(Duration::from_millis(300), scene.stage.poll(&source)).await;
            Err(format!("it runs; its log:\n{}", scene.stage.engine.log()))
        })
        .await;
        scene.stage.engine.kill();
        scene.stage.engine.forget_variable(ARM_VARIABLE);
        scene.stage.engine.start_again().await;
        let settled = |status: &serde_json::Value| {
            status["health"] == "ok" || status["consent"]["state"] == "reauthorization_required"
        };
        let fresh = Timestamp::now();
        let status = scene
            .until(&source, |status| {
                let polled = status["feeds"][0]["last_poll_at"].as_str().unwrap_or_default();
                settled(status) && polled.parse::<Timestamp>().is_ok_and(|polled| polled > fresh)
            })
            .await;
        let lost = status["consent"]["state"] == "reauthorization_required";
        // Zoom's answer was in the engine's hands and not on disk, or it was not.
        assert_eq!(lost, label == "token.before_store", "{label}: {status:#}");
        if lost {
            scene.consent(&source, ACCOUNT).await;
        }
        scene.collected(&source).await;
    }
}

#[tokio::test]
async fn kills_at_random_moments_lose_and_double_nothing() {
    let seed = Timestamp::now().as_millisecond().unsigned_abs();
    let survived = kills::run(kills::Options {
        rows: 3_000,
        kills: 8,
        seed,
    })
    .await;
    assert!(survived.events >= 6_000, "{survived}");
    // How many it is depends on how quick the machine is; none, and nothing would have been shown.
    assert!(survived.amid * 4 >= survived.options.kills, "{survived}");
}
