//! `make bench`: what the engine and the provider do in a second, in a megabyte, and beside the least that the same
//! work can take. `docs/benchmarks.md` says how each figure is made and how to read it.

#![expect(clippy::print_stdout, reason = "this program's work is to show")]

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use e2e::{
    bench::{Machine, Table, failover, flow, idle, load, phantoms, plan, start, stores},
    process::Process,
    wait,
};
use futures_util::future::join_all;
use tokio::signal::unix::{SignalKind, signal};

/// Measures the engine and the provider on this machine.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The measures to take; all by default.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Measure>,
    /// Small sizes and all measures at once, to see that everything works; the figures say little.
    #[arg(long)]
    quick: bool,
    /// Rows of each feed that pass through the engine.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,
    /// How often they pass.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// How often the provider is started.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    starts: u32,
    /// Resources that a plan goes over.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    resources: u32,
    /// Lists that are read in an order that changes.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    lists: u32,
    /// Rows of each feed that a month's backfill reads.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    month_rows: u64,
    /// Sources without new events, of two feeds each: one table for each number.
    #[arg(long, value_delimiter = ',', default_values_t = [500, 5_000], value_parser = clap::value_parser!(u32).range(1..))]
    idle_sources: Vec<u32>,
    /// Seconds from poll to poll of those, and of each window that is looked at.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(15..))]
    idle_seconds: u32,
    /// Rows of each of the 12 feeds that pass through each store.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    store_rows: u64,
    /// Sources whose feeds an engine loses to another.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..))]
    failover_sources: u32,
    /// Seconds that a silent engine keeps what it has.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(5..))]
    lease: u32,
    /// How often an engine is killed, and as often told to stop.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    failovers: u32,
    /// How often each plan is made.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    plans: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Events a second through the whole engine, and its memory.
    A,
    /// The provider's start to its handshake line, and its memory.
    B,
    /// `terraform plan` over many sources.
    C,
    /// Events that do not exist, where Zoom's order among equal times changes with each request.
    D,
    /// A month of rows as a backfill, and the engine's memory.
    E,
    /// Thousands of feeds without new events: memory, time of a core, spread of polls, latency of the API.
    F,
    /// Events a second on SQLite and on PostgreSQL, with one engine and with three.
    G,
    /// How long it takes until another engine has what one had.
    H,
}

impl Measure {
    const ALL: [Self; 8] = [
        Self::A,
        Self::B,
        Self::C,
        Self::D,
        Self::E,
        Self::F,
        Self::G,
        Self::H,
    ];
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.quick {
        options.rows = options.rows.min(1_000);
        options.repetitions = options.repetitions.min(1);
        options.starts = options.starts.min(3);
        options.resources = options.resources.min(10);
        options.plans = options.plans.min(1);
        options.lists = options.lists.min(5);
        options.month_rows = options.month_rows.min(2_000);
        options.idle_sources = vec![10];
        options.idle_seconds = options.idle_seconds.min(15);
        options.store_rows = options.store_rows.min(200);
        // As many as it takes that hardly ever all of them are at home on one engine.
        options.failover_sources = options.failover_sources.min(16);
        options.lease = options.lease.min(5);
        options.failovers = options.failovers.min(1);
    }
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        println!("no signals can be had");
        return ExitCode::FAILURE;
    };
    // What runs has process groups of its own, which a signal to this one does not reach; dropping the work ends it.
    tokio::select! {
        () = run(&options) => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::FAILURE,
        _ = terminate.recv() => ExitCode::FAILURE,
    }
}

async fn run(options: &Options) {
    let terraform = Process::spawn(
        "terraform",
        std::process::Command::new("terraform")
            .arg("version")
            .env("CHECKPOINT_DISABLE", "1"),
    );
    let terraform = terraform.finish(wait::LATE).await.stdout;
    println!(
        "zoom-log-engine and terraform-provider-zoom {}, {}",
        env!("CARGO_PKG_VERSION"),
        terraform.lines().next().unwrap_or("Terraform")
    );
    println!("{}", Machine::here());
    if cfg!(debug_assertions) {
        println!("An unoptimized build: its figures say nothing about a release.");
    }
    let wanted = |measure: &Measure| options.only.is_empty() || options.only.contains(measure);
    let measures = Measure::ALL.into_iter().filter(wanted);
    if options.quick {
        // The figures say little anyway, and most of the time is waiting.
        let tables = join_all(measures.map(|measure| take(measure, options))).await;
        for table in tables {
            println!("\n{table}");
        }
        return;
    }
    for measure in measures {
        let load = load();
        let table = take(measure, options).await;
        println!("\n{table}  Load average when it began: {load}.");
    }
}

async fn take(measure: Measure, options: &Options) -> Table {
    match measure {
        Measure::A => {
            let Options {
                rows, repetitions, ..
            } = *options;
            flow::measure(flow::Options::recent(rows, repetitions)).await
        }
        Measure::B => start::measure(options.starts).await,
        Measure::C => {
            let (resources, pairs) = (options.resources, options.plans);
            plan::measure(plan::Options { resources, pairs }).await
        }
        Measure::D => phantoms::measure(options.lists),
        Measure::E => {
            let Options {
                month_rows,
                repetitions,
                ..
            } = *options;
            flow::measure(flow::Options::month(month_rows, repetitions)).await
        }
        Measure::F => {
            idle::measure(&idle::Options {
                sources: options.idle_sources.clone(),
                seconds: options.idle_seconds,
                hasty: options.quick,
            })
            .await
        }
        Measure::G => {
            let (rows, repetitions) = (options.store_rows, options.repetitions);
            stores::measure(stores::Options { rows, repetitions }).await
        }
        Measure::H => {
            let (sources, repetitions) = (options.failover_sources, options.failovers);
            let lease = options.lease;
            failover::measure(failover::Options {
                sources,
                repetitions,
                lease,
            })
            .await
        }
    }
}
