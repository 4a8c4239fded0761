//! `make sim`: thousands of seeds of the simulation, or one that is replayed.

#![expect(clippy::print_stdout, reason = "this program's work is to show")]

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use clap::Parser;
use e2e::simulation::{Template, run, run_many};

/// Runs the engine's workers over a simulated Zoom, network and clock.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// How many seeds to run.
    #[arg(long, env = "SEEDS", default_value_t = 2_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, env = "FIRST", default_value_t = 1)]
    first: u64,
    /// Replays one seed, and prints everything that happens in it.
    #[arg(long, env = "SEED")]
    seed: Option<u64>,
    /// Stops when so many seeds have failed.
    #[arg(long, env = "FAILURES", default_value_t = 5)]
    failures: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let template = Template::make().await;
    // Seeds have runtimes of their own, which must not begin inside of this one.
    let done = tokio::task::spawn_blocking(move || match options.seed {
        Some(seed) => replay(seed, &template),
        None => many(&options, &template),
    });
    match done.await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn replay(seed: u64, template: &Template) -> bool {
    match run(seed, template, true) {
        Ok(outcome) => {
            println!(
                "\nseed {seed} passed: {} rows, {} engines, {} lives, {} pauses",
                outcome.rows, outcome.engines, outcome.lives, outcome.pauses
            );
            println!("digest {:016x}", outcome.digest);
            true
        }
        Err(failure) => {
            println!("\nseed {seed} FAILED: {}", failure.what);
            false
        }
    }
}

fn many(options: &Options, template: &Template) -> bool {
    let began = Instant::now();
    let shown = AtomicU64::new(u64::MAX);
    let total = run_many(
        template,
        options.first,
        options.seeds,
        options.failures,
        |total| {
            if let Some(last) = total.failures.last()
                && shown.swap(last.seed, Ordering::SeqCst) != last.seed
            {
                println!("\rseed {} FAILED: {}", last.seed, last.what);
            }
            if total.seeds.is_multiple_of(100) {
                print!("\r{} seeds, {} failed", total.seeds, total.failures.len());
                let _ = io::stdout().flush();
            }
        },
    );
    let took = began.elapsed();
    println!(
        "\r{} seeds in {:.1} s, {} of them with several engines: {} rows, {} lives of engines, {} pauses, {} polls fenced, \
         {} notices",
        total.seeds,
        took.as_secs_f64(),
        total.shared,
        total.rows,
        total.lives,
        total.pauses,
        total.fenced,
        total.notices
    );
    for (label, times) in &total.passed {
        let died = if total.died_at.contains(label) {
            ""
        } else {
            ", never died there"
        };
        println!("  {label:24} passed {times} times{died}");
    }
    if let Some(failure) = total.failures.first() {
        println!("\nThe last lines of seed {}:\n{}", failure.seed, failure.trace);
        println!("Replay it with `make sim SEED={}`.", failure.seed);
    }
    total.failures.is_empty()
}
