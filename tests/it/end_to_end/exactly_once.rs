//! No row lost, none doubled: through crashes, shifting pages, late rows and twins.

use std::{collections::BTreeSet, time::Duration};

use e2e::{
    delivered::{self, Event},
    rng::Rng,
    sim::{Bulk, Drip, Fault, FaultRule, Mix, Report, Traffic},
    wait,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::json;

use super::{ACCOUNT, LATE, Stage};

/// Short sweeps and pauses, so that what an hour would bring is there within seconds.
const HASTE: [(&str, &str); 2] = [("zoom.sweep_interval", "5s"), ("delivery.retry_first", "100ms")];

/// Returns the first instant of the day that was so many days ago.
fn midnight(days_ago: i64) -> String {
    let then = Timestamp::now() - SignedDuration::from_hours(24 * days_ago);
    format!("{}T00:00:00Z", then.to_zoned(TimeZone::UTC).date())
}

/// Holds what every delivered event must have beside its row.
fn sound(events: &[Event]) {
    let mut ids = BTreeSet::new();
    for event in events {
        let own = &event.zoom_log;
        assert!(
            ids.insert(own["id"].as_str().unwrap().to_owned()),
            "an id came twice: {own}"
        );
        let report = if own["log_type"] == "Zoom.Operation" {
            "operation_detail"
        } else {
            "client_type"
        };
        assert!(String::from_utf8_lossy(&event.row).contains(report), "{own}");
    }
}

#[tokio::test]
async fn a_kill_in_the_middle_loses_and_doubles_nothing() {
    let mut stage = Stage::set_with(&HASTE).await;
    stage.show(3_000, 20 * 3_600);
    // Slow enough to be killed at work, quick enough to end.
    let slow = Fault::Delay { millis: 40 };
    stage.sim.inject(FaultRule::times("GET /v2/report", 10_000, slow));
    let source = stage
        .source_to_file("lake", json!({"start_from": midnight(1)}))
        .await;
    let lake = stage.engine.out("lake");
    wait::until_now(LATE, "some rows", || match delivered::read_file(&lake).len() {
        rows if rows >= 500 => Ok(()),
        rows => Err(format!("{rows} rows")),
    })
    .await;
    stage.engine.kill();
    let at_kill = delivered::read_file(&lake).len();
    assert!(at_kill < 6_000, "everything was there before the kill");
    stage.engine.start_again().await;
    let done = delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE);
    sound(&stage.while_polling(&source, done).await);

    // In order, too, it stops and goes on without a row more.
    stage.engine.restart().await;
    stage.sim.add_text(ACCOUNT, Report::Activity, &fresh(1));
    let done = delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE);
    sound(&stage.while_polling(&source, done).await);
}

fn fresh(number: u32) -> String {
    let now = Timestamp::now();
    format!(
        r#"{{"client_type":"mac","email":"fresh{number}@example.com","time":"{now:.0}","type":"Sign in"}}"#
    )
}

#[tokio::test]
async fn ten_thousand_rows_a_feed_through_five_kills_and_then_peace() {
    let mut stage = Stage::set_with(&HASTE).await;
    let mix = Mix {
        seed: 42,
        twin_percent: 2.0,
        late_percent: 5.0,
        late_secs: 36 * 3_600,
    };
    for report in Report::ALL {
        let span_secs = 3 * 86_400;
        stage.sim.generate(
            ACCOUNT,
            report,
            Bulk {
                rows: 6_000,
                span_secs,
                mix,
            },
        );
        let mix = Mix { seed: 43, ..mix };
        stage.sim.drip(
            ACCOUNT,
            report,
            Some(Drip {
                rows_per_page: 11,
                rows: 1_000,
                mix,
            }),
        );
    }
    let slow = Fault::Delay { millis: 40 };
    stage
        .sim
        .inject(FaultRule::times("GET /v2/report", 1_000_000, slow));
    let start = json!({"start_from": midnight(3)});
    let source = stage.source_to_file("lake", start).await;
    let mix = Mix { seed: 44, ..mix };
    stage.sim.world().start_traffic(
        ACCOUNT,
        Traffic {
            rate: 100.0,
            limit: Some(3_000),
            mix,
        },
    );
    let lake = stage.engine.out("lake");

    // Five moments drawn from the whole way, by what has arrived rather than by the time.
    let seed = Timestamp::now().as_second().unsigned_abs();
    let mut rng = Rng::new(seed);
    let mut moments: Vec<u64> = (0..5).map(|_| rng.below(18_000)).collect();
    moments.sort_unstable();
    for moment in &moments {
        let reached = wait::until_now(LATE, "the next moment to kill", || {
            let rows = delivered::read_file(&lake).len() as u64;
            if rows >= *moment {
                Ok(())
            } else {
                Err(format!("{rows} of {moment} rows (kills at {moments:?})"))
            }
        });
        stage.while_polling(&source, reached).await;
        stage.engine.kill_and_restart().await;
    }
    let ended = wait::until_now(LATE, "the arrival of all rows", || {
        let rows = Report::ALL.map(|report| stage.sim.row_count(ACCOUNT, report));
        if !stage.sim.has_traffic(ACCOUNT) && rows.iter().all(|rows| *rows >= 9_000) {
            Ok(())
        } else {
            Err(format!("{rows:?}"))
        }
    });
    stage.while_polling(&source, ended).await;
    for report in Report::ALL {
        // What reads have not brought yet arrives now, at once, and the lists stand still.
        let missing = 10_000_u64.saturating_sub(stage.sim.row_count(ACCOUNT, report));
        stage.sim.drip(ACCOUNT, report, None);
        let mix = Mix { seed: 45, ..mix };
        stage.sim.generate(
            ACCOUNT,
            report,
            Bulk {
                rows: missing,
                span_secs: 3_600,
                mix,
            },
        );
    }
    let done = delivered::exactly(&stage.sim, ACCOUNT, &lake, 2 * LATE);
    let events = stage.while_polling(&source, done).await;
    assert!(
        events.len() >= 20_000,
        "{} events (kills at {moments:?})",
        events.len()
    );
    sound(&events);

    // One more kill, with nothing to do: what is there is known.
    stage.engine.kill_and_restart().await;
    polls(&stage, 2).await;
    delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE).await;
}

/// Waits until each report was asked for so many more times.
async fn polls(stage: &Stage, times: u64) {
    let asked = || Report::ALL.map(|report| stage.sim.counters().to(report.path()));
    let before = asked();
    wait::until_now(LATE, "further polls", || {
        let now = asked();
        let each = now
            .iter()
            .zip(&before)
            .all(|(now, before)| *now >= before + times);
        if each {
            Ok(())
        } else {
            Err(format!("{before:?} to {now:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_destination_that_is_added_later_and_one_that_was_away_miss_nothing() {
    let mut stage = Stage::set_with(&HASTE).await;
    stage.show(300, 3_600);
    let source = stage.source_to_file("lake", json!({})).await;
    let lake = stage.engine.out("lake");
    delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE).await;
    // A directory in the way stands for a disk that is full or a mount that is gone.
    std::fs::rename(&lake, stage.engine.out("lake.kept")).unwrap();
    std::fs::create_dir(&lake).unwrap();
    stage.sim.add_text(ACCOUNT, Report::Activity, &fresh(1));
    let pending = |status: &serde_json::Value| status["feeds"][1]["deliveries"][0]["pending_events"] == 1;
    stage
        .while_polling(&source, stage.engine.source_status(&source, LATE, pending))
        .await;
    stage.engine.kill();
    std::fs::remove_dir(&lake).unwrap();
    std::fs::rename(stage.engine.out("lake.kept"), &lake).unwrap();
    stage.engine.start_again().await;
    delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE + Duration::from_mins(1)).await;
}
