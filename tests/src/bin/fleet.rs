//! `fleet`: several engines on one PostgreSQL while all that can fail does. `docs/simulation.md` says how to read it.

#![expect(clippy::print_stdout, reason = "this program's work is to show")]

use std::time::Duration;

use clap::Parser;
use e2e::fleet::{self, Options};

/// Kills, pauses, cuts off and stops engines and their database, and compares what was delivered with what Zoom owes.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How many engines.
    #[arg(long, default_value_t = 3)]
    engines: usize,
    /// How many sources, three at least.
    #[arg(long, default_value_t = 300)]
    sources: usize,
    /// Rows of each feed that are there from the start; as many come meanwhile.
    #[arg(long, default_value_t = 100)]
    rows: u64,
    /// How many seconds things fail.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// How many seconds a silent engine keeps what it has.
    #[arg(long, default_value_t = 10)]
    lease: u64,
    /// Draws what fails when.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() {
    let Arguments {
        engines,
        sources,
        rows,
        seconds,
        lease,
        seed,
    } = Arguments::parse();
    let options = Options {
        engines,
        sources,
        rows,
        trouble: Duration::from_secs(seconds),
        lease: Duration::from_secs(lease),
        seed,
    };
    println!("{}", fleet::run(options).await);
}
