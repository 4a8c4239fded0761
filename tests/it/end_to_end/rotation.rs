//! The master key is replaced beside a running engine, and the command that does it dies at each of its steps.

use e2e::{binaries::Binary, leak::Hunt, process::Process, receiver::Receiver, wait};
use serde_json::json;
use zoom_log_engine::crash::{ARM_VARIABLE, POINTS};

use super::{ACCOUNT, CLIENT, LATE, SECRET, consent::Consented};

const TOKEN: &str = "hook-token-of-the-rotation";

#[tokio::test]
async fn a_rotation_that_dies_at_any_step_is_finished_and_the_engine_goes_on_meanwhile() {
    let _ = Binary::engine_with_crash_points();
    let mut scene = Consented::set(&[]).await;
    // Each poll needs the next refresh token, so one is exchanged and stored all the time.
    scene.stage.sim.change_app(CLIENT, |app| app.token_life_secs = 2);
    scene.stage.show(20, 600);
    let hook = Receiver::start().await;
    let spec = json!({"name": "hook", "http": {"url": hook.url(), "bearer_token": TOKEN}});
    let hook_id = scene.stage.engine.create("destinations", spec).await;
    let source = scene.source(json!({})).await;
    scene.consent(&source, ACCOUNT).await;
    scene.collected(&source).await;
    let path = format!("/v1/destinations/{hook_id}");
    let before = scene.stage.engine.get(&path).await;
    let key_file = scene.stage.engine.data_dir().join("vault.key");
    let first = std::fs::read_to_string(&key_file).unwrap();

    let points = POINTS.iter().filter(|point| point.starts_with("rotation."));
    for (number, point) in points.enumerate() {
        let mut dying = scene.stage.engine.command(&["key", "rotate"]);
        let dying = Process::spawn("a rotation", dying.env(ARM_VARIABLE, point))
            .finish(LATE)
            .await;
        assert_eq!(dying.code, None, "it died at {point}: {}", dying.all());
        // The engine goes on with what the dead command left behind: it reads, renews its token, and takes new secrets.
        let used = scene.stage.sim.counters().refresh_tokens_used;
        scene
            .until(&source, |status| {
                status["health"] == "ok" && scene.stage.sim.counters().refresh_tokens_used > used
            })
            .await;
        let spec =
            json!({"name": format!("late-{number}"), "http": {"url": hook.url(), "bearer_token": TOKEN}});
        scene.stage.engine.create("destinations", spec).await;
        let mut again = scene.stage.engine.command(&["key", "rotate"]);
        let ran = Process::spawn("the rotation again", &mut again)
            .finish(LATE)
            .await;
        assert_eq!(ran.code, Some(0), "{point}: {}", ran.all());
        assert!(ran.stdout.contains("may be thrown away"), "{}", ran.stdout);
    }
    let mut status = scene.stage.engine.command(&["key", "status"]);
    let ran = Process::spawn("the status", &mut status).finish(LATE).await;
    let in_use: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| line.contains("in use"))
        .collect();
    assert!(
        ran.stdout
            .lines()
            .all(|line| line.contains("  0 secrets") || line.ends_with("secrets  in use")),
        "{ran:?}"
    );

    // All former keys are thrown away: the last one is enough for everything, and nothing looks changed.
    let keys = std::fs::read_to_string(&key_file).unwrap();
    let last = keys.lines().last().unwrap();
    assert!(in_use.iter().any(|line| last.contains(&line[..8])), "{in_use:?}");
    assert!(keys.lines().count() > 5 && !last.starts_with(first.split_whitespace().next().unwrap()));
    scene.stage.engine.stop().await;
    std::fs::write(&key_file, format!("{last}\n")).unwrap();
    scene.stage.engine.start_again().await;
    assert_eq!(
        scene.stage.engine.get(&path).await,
        before,
        "no drift, no new generation"
    );
    scene.until(&source, |status| status["health"] == "ok").await;
    scene.collected(&source).await;
    scene.stage.engine.stop().await;

    let hunt = Hunt::new([("the hook's token", TOKEN), ("the source's secret", SECRET)]);
    let database = std::fs::read(scene.stage.engine.data_dir().join("engine.db")).unwrap();
    assert!(hunt.in_bytes("the store", &database).is_empty());

    // Without any of its keys the engine says which one it needs, and makes none.
    std::fs::remove_file(&key_file).unwrap();
    scene.stage.engine.start_doomed();
    wait::until_now(LATE, "the engine to end", || {
        (!scene.stage.engine.is_running()).then_some(()).ok_or("it runs")
    })
    .await;
    let log = scene.stage.engine.log();
    assert!(
        log.contains(&last[last.len() - 8..]) && log.contains("none is made"),
        "{log}"
    );
    assert!(!key_file.exists());
}
