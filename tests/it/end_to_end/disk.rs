//! SQLite on a disk that is really full: a small file system, with the events' file on it too.

use e2e::{engine::Engine, process::Process, wait};

use super::trouble::{FEW, Served};

const DISK: u64 = 96 << 20;
/// Rows of many commits, and of more than a batch.
const MANY: u64 = 8_000;
/// Pages of both reports in one read of that many rows, and of those before.
const PAGES: u64 = 60;

async fn start() -> Served {
    Served::start(async |zoom: &str, settings: &[(&str, &str)]| {
        Engine::start_on_disk(DISK, zoom, settings).await
    })
    .await
}

#[tokio::test]
async fn a_full_disk_makes_polls_wait_and_loses_nothing() {
    let mut served = start().await;
    for rows in [FEW, MANY] {
        served.engine.disk().fill();
        let asked = served.sim.counters().to("/v2/report");
        served.waits(rows, "full").await;
        let more = served.sim.counters().to("/v2/report") - asked;
        assert!(
            more <= PAGES,
            "{more} pages were asked for\n{}",
            served.engine.log()
        );
        served.engine.disk().make_room();
        served.goes_on().await;
    }
}

#[tokio::test]
async fn an_engine_that_starts_on_a_full_disk_says_so_and_loses_nothing() {
    let mut served = start().await;
    served.new_rows(MANY);
    served.engine.disk().fill();
    served.engine.kill();
    let refused = Process::spawn("an engine on a full disk", &mut served.engine.command(&["serve"]));
    let refused = refused.finish(wait::LATE).await;
    assert_eq!(refused.code, Some(1));
    let said = refused.stderr;
    for part in ["cannot open the store at", "disk is full", "make room there"] {
        assert!(said.contains(part), "{said}");
    }
    served.engine.disk().make_room();
    served.engine.start_again().await;
    served.goes_on().await;
}

/// As in a container whose root file system is read-only: SQLite finds no folder for temporary files.
#[tokio::test]
async fn a_source_with_its_events_is_deleted_where_only_the_data_directory_can_be_written() {
    let mut served = start().await;
    for _ in 0..5 {
        served.new_rows(MANY / 4);
        served.all_is_delivered().await;
    }
    served.delete_source().await;
}
