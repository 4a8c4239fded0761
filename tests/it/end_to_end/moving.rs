//! A store that is backed up and restored, and one that moves to PostgreSQL.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use e2e::{
    binaries::Binary,
    delivered::{self, Event},
    engine::Engine,
    receiver::Receiver,
    sim::{Bulk, Mix, Report},
    wait,
};
use private_postgres::Server;
use serde_json::json;

use super::{ACCOUNT, CLIENT, LATE, SECRET, Stage};

/// Runs a command of the engine's beside it.
fn command(engine: &Engine, arguments: &[&str]) -> String {
    let mut command = Command::new(Binary::Engine.path());
    command
        .args(arguments)
        .env("ZOOM_LOG_ENGINE__DATA_DIR", engine.data_dir());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

fn more(stage: &Stage, seed: u64) {
    for report in Report::ALL {
        let mix = Mix {
            seed,
            twin_percent: 5.0,
            ..Mix::default()
        };
        let (rows, span_secs) = (150, 3_600);
        stage.sim.generate(ACCOUNT, report, Bulk { rows, span_secs, mix });
    }
}

/// The ids that came, each with its row, and how often.
fn came(hook: &Receiver) -> BTreeMap<String, (Vec<u8>, u32)> {
    let mut came: BTreeMap<String, (Vec<u8>, u32)> = BTreeMap::new();
    for row in hook.accepted().iter().flat_map(e2e::receiver::Received::rows) {
        let event = Event::parse(&row);
        let id = event.zoom_log["id"].as_str().unwrap().to_owned();
        let entry = came.entry(id).or_insert_with(|| (event.row.clone(), 0));
        assert_eq!(entry.0, event.row, "an id is of one row");
        entry.1 += 1;
    }
    came
}

#[tokio::test]
async fn what_was_collected_since_a_backup_comes_again_under_the_same_ids() {
    let mut stage = Stage::set_with(&[("zoom.sweep_interval", "5s")]).await;
    let hook = Receiver::start().await;
    more(&stage, 1);
    let destination = json!({"name": "hook", "http": {"url": hook.url()}});
    let destination = stage.engine.create("destinations", destination).await;
    let source = json!({
        "name": "corp", "account_id": ACCOUNT, "client_id": CLIENT, "client_secret": SECRET,
        "destination_ids": [destination], "poll_interval": "15s",
    });
    let source = stage.engine.create("sources", source).await;
    let owed = |stage: &Stage| -> usize {
        let rows = Report::ALL.map(|report| stage.sim.row_count(ACCOUNT, report));
        usize::try_from(rows.iter().sum::<u64>()).unwrap()
    };
    let all = async |stage: &Stage, times: u32| {
        let arrives = wait::until_now(LATE, "what Zoom owes at the destination", || {
            let came = came(&hook);
            let again = came.values().filter(|(_, had)| *had >= times).count();
            if came.len() == owed(stage) && (times == 1 || again > 0) {
                Ok(came)
            } else {
                Err(format!("{} of {} events, {again} again", came.len(), owed(stage)))
            }
        });
        stage.while_polling(&source, arrives).await
    };
    let before = all(&stage, 1).await;
    let backup = stage.engine.data_dir().join("backup.db");
    command(&stage.engine, &["backup", "--to", backup.to_str().unwrap()]);

    more(&stage, 2);
    let since = all(&stage, 1).await;
    assert!(since.len() > before.len());
    stage.engine.stop().await;
    restore(&backup, stage.engine.data_dir());
    stage.engine.start_again().await;
    let restored = all(&stage, 2).await;
    assert!(since.keys().eq(restored.keys()), "the ids are those of before");
    assert!(
        before.keys().all(|id| restored[id].1 == 1),
        "what the copy knew as delivered does not come again"
    );
}

fn restore(backup: &Path, data: &Path) {
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(data.join(format!("engine.db{end}")));
    }
    fs::rename(backup, data.join("engine.db")).unwrap();
}

#[tokio::test]
async fn a_running_installation_moves_to_postgresql_and_goes_on_where_it_was() {
    let mut stage = Stage::set_with(&[("zoom.sweep_interval", "5s")]).await;
    more(&stage, 1);
    let source = stage.source_to_file("lake", json!({})).await;
    let lake = stage.engine.out("lake");
    let done = delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE);
    let before = stage.while_polling(&source, done).await;
    stage.engine.stop().await;

    let server = Server::start().unwrap();
    let url = server.url(None);
    let from = format!("sqlite://{}", stage.engine.data_dir().join("engine.db").display());
    let said = command(&stage.engine, &["store", "copy", "--from", &from, "--to", &url]);
    assert!(said.contains("segment") && !said.contains(&url), "{said}");
    stage.engine.set("store.url", &url);
    stage.engine.start_again().await;
    more(&stage, 2);
    let done = delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE);
    let after = stage.while_polling(&source, done).await;
    assert!(after.len() > before.len());
    let ids = |events: &[Event]| -> Vec<String> {
        events
            .iter()
            .map(|event| event.zoom_log["id"].to_string())
            .collect()
    };
    assert_eq!(
        ids(&after)[..before.len()],
        ids(&before),
        "what was delivered stays as it was"
    );
    stage.engine.stop().await;
}
