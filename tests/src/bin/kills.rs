//! `kills`: the real engine, killed at random moments over many rows. `docs/simulation.md` says how to read it.

#![expect(clippy::print_stdout, reason = "this program's work is to show")]

use clap::Parser;
use e2e::kills::{self, Options};

/// Kills the engine at random moments while it collects, and compares what was delivered with what Zoom owes.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Rows of each feed.
    #[arg(long, default_value_t = 100_000)]
    rows: u64,
    /// How often the engine is killed.
    #[arg(long, default_value_t = 100)]
    kills: u32,
    /// Draws the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() {
    let Arguments { rows, kills, seed } = Arguments::parse();
    println!("{}", kills::run(Options { rows, kills, seed }).await);
}
