//! The benchmarks as a program: every measure is sound at small sizes, and nothing is left behind, stopped or not.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use e2e::{
    binaries::Binary,
    process::{Process, Ran},
    wait,
};
use tempfile::TempDir;

/// How long the small sizes may take in an unoptimized build on a busy machine.
const LATE: Duration = Duration::from_mins(5);

/// The benchmarks as they run; dropping them asks them to end, since a kill would leave what they started.
struct Bench(Option<Process>);

impl Drop for Bench {
    fn drop(&mut self) {
        let Some(process) = &mut self.0 else { return };
        process.signal("TERM");
        let deadline = Instant::now() + Duration::from_secs(20);
        while process.exit_status().is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Bench {
    fn process(&mut self) -> &mut Process {
        self.0.as_mut().unwrap()
    }

    /// Waits for the end, and returns what they printed.
    async fn finish(mut self) -> Ran {
        self.process().ended(LATE).await;
        self.0.take().unwrap().finish(LATE).await
    }
}

/// Starts the benchmarks, with a folder of their own for all that is temporary.
fn bench(temporary: &TempDir, arguments: &[&str]) -> Bench {
    // It would build them itself, and the time for that is not its own.
    for binary in [Binary::Engine, Binary::Provider, Binary::Simulator, Binary::Floor] {
        binary.path();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(arguments).env("TMPDIR", temporary.path());
    Bench(Some(Process::spawn("bench", &mut command)))
}

/// Waits until neither a file nor a process remembers the folder.
async fn nothing_is_left(temporary: &Path) {
    wait::until_now(wait::LATE, "everything to be gone", || {
        let files = e2e::binaries::files(temporary);
        let processes = users(temporary);
        if files.is_empty() && processes.is_empty() {
            Ok(())
        } else {
            Err(format!("{files:?}, processes {processes:?}"))
        }
    })
    .await;
}

/// Returns the names of the processes in whose environment the folder stands.
fn users(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let users = processes.filter(|process| {
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&*folder)
    });
    let names = users.map(|process| fs::read_to_string(process.path().join("comm")).unwrap_or_default());
    names.map(|name| name.trim_end().to_owned()).collect()
}

#[tokio::test]
async fn each_measure_is_sound_at_small_sizes() {
    let temporary = tempfile::tempdir().unwrap();
    let ran = bench(&temporary, &["--quick"]).finish().await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    for line in [
        "bare pipe, which keeps nothing",
        "engine on SQLite",
        "engine / bare pipe",
        "engine, peak memory",
        "database / Zoom's rows",
        "none lost, none doubled",
        "provider / echo",
        "memory after the handshake",
        "10 zoom_log_source",
        "10 floor_source",
        "10 floor_data",
        "10 terraform_data",
        "zoom_log_source / terraform_data",
        "zoom_log_source / floor_source",
        "1 zoom_log_source",
        "a launch for zoom_log_source",
        "1 zoom_log_source less 3 launches / terraform_data",
        "20 feeds: memory (VmRSS)",
        "20 feeds: time of a core",
        "20 feeds: busiest second",
        "20 feeds: a page of sources, 99 of 100 within",
        "PostgreSQL, 3 engines / one",
        "killed: until the other polls the last of its feeds",
        "told to stop: the same",
    ] {
        assert!(ran.stdout.contains(line), "no `{line}` in:\n{}", ran.all());
    }
    nothing_is_left(temporary.path()).await;
}

#[tokio::test]
async fn a_measure_that_is_stopped_takes_everything_with_it() {
    let temporary = tempfile::tempdir().unwrap();
    // Rows for longer than anyone waits: it is in the middle when it is stopped.
    let mut running = bench(
        &temporary,
        &["--only", "a", "--rows", "20000", "--repetitions", "1000"],
    );
    wait::until_now(LATE, "the engine to run", || {
        let users = users(temporary.path());
        if users.iter().any(|name| name == Binary::Engine.name()) {
            Ok(())
        } else {
            Err(format!("{users:?}; {}", running.process().output()))
        }
    })
    .await;
    running.process().signal("TERM");
    let ran = running.finish().await;
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    nothing_is_left(temporary.path()).await;
}

#[tokio::test]
async fn one_measure_can_be_asked_for() {
    let temporary = tempfile::tempdir().unwrap();
    let ran = bench(&temporary, &["--quick", "--only", "b"]).finish().await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert!(
        ran.stdout.contains("\nb. ") && !ran.stdout.contains("\na. ") && !ran.stdout.contains("\nc. "),
        "{}",
        ran.all()
    );
    nothing_is_left(temporary.path()).await;
}
