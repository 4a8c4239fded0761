//! The Zoom simulator as a process, for the demo and for benchmarks.
//!
//! It prints one line, `listening on http://ADDRESS`, and serves until SIGTERM or SIGINT. What it can be told while
//! it runs is in the documentation of `e2e::sim`'s control door, under `/_sim`.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
};

use clap::Parser;
use e2e::sim::{App, Behaviour, Bulk, Limits, Mix, PageTokens, Report, Sim, Traffic};
use tokio::signal::unix::{SignalKind, signal};

/// A simulated Zoom: OAuth, both audit reports, and a control door under `/_sim`.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// An account to begin with; it needs a client id and a secret too.
    #[arg(long, requires = "client_id", requires = "client_secret")]
    account_id: Option<String>,
    #[arg(long)]
    client_id: Option<String>,
    #[arg(long, env = "ZOOM_SIM_CLIENT_SECRET", hide_env_values = true)]
    client_secret: Option<String>,
    /// Makes so many accounts instead of the one, each with an app: their names are followed by `-0`, `-1` and so on.
    #[arg(long)]
    accounts: Option<u32>,
    /// Rows that each report of the account holds from the start.
    #[arg(long, default_value_t = 0)]
    rows: u64,
    /// The hours, up to now, over which those rows are spread.
    #[arg(long, default_value_t = 24)]
    span_hours: u64,
    /// Rows that arrive in each report, a second.
    #[arg(long, default_value_t = 0.0)]
    traffic: f64,
    /// Exact copies among the rows, in a hundred.
    #[arg(long, default_value_t = 0.0)]
    twin_percent: f64,
    /// Rows among the arriving ones that are dated back, in a hundred.
    #[arg(long, default_value_t = 0.0)]
    late_percent: f64,
    /// How far back those are dated, in hours.
    #[arg(long, default_value_t = 36)]
    late_hours: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Page tokens are places in a snapshot instead of offsets into the live list.
    #[arg(long)]
    snapshot_tokens: bool,
    /// Lifts the rate limits, for benchmarks.
    #[arg(long)]
    no_limits: bool,
}

// One thread, so that a benchmark can give the simulator a core of its own and know that it uses no other.
#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let options = Options::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let sim = Sim::start_on(options.listen).await?;
    prepare(&sim, &options);
    writeln!(io::stdout(), "listening on {}", sim.url())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn prepare(sim: &Sim, options: &Options) {
    let (Some(account), Some(client), Some(secret)) =
        (&options.account_id, &options.client_id, &options.client_secret)
    else {
        return;
    };
    let Some(count) = options.accounts else {
        return account_with_rows(sim, (account, client, secret), options.seed, options);
    };
    for number in 0..count {
        let (account, client) = (format!("{account}-{number}"), format!("{client}-{number}"));
        let seed = options.seed.wrapping_add(2 * u64::from(number));
        account_with_rows(sim, (&account, &client, secret), seed, options);
    }
}

fn account_with_rows(sim: &Sim, (account, client, secret): (&str, &str, &str), seed: u64, options: &Options) {
    let mut behaviour = Behaviour::default();
    if options.no_limits {
        behaviour.limits = Some(Limits::none());
    }
    if options.snapshot_tokens {
        behaviour.page_tokens = PageTokens::Snapshot;
    }
    sim.put_account(account, behaviour);
    sim.put_app(App::new(account, client, secret));
    let mix = Mix {
        seed,
        twin_percent: options.twin_percent,
        late_percent: options.late_percent,
        late_secs: options.late_hours * 3_600,
    };
    for report in Report::ALL {
        sim.generate(
            account,
            report,
            Bulk {
                rows: options.rows,
                span_secs: options.span_hours * 3_600,
                mix,
            },
        );
    }
    if options.traffic > 0.0 {
        // Another seed, or live rows would repeat the history's.
        let mix = Mix {
            seed: seed.wrapping_add(1),
            ..mix
        };
        sim.world().start_traffic(
            account,
            Traffic {
                rate: options.traffic,
                limit: None,
                mix,
            },
        );
    }
}
