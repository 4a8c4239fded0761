//! The command line of the engine.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use zoom_log_engine::config::Config;

/// Collects Zoom's operation and activity logs exactly, delivers them, and raises an alarm when they stop.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says everything that is wrong with a configuration, and exits with 1 where something is.
    Validate {
        /// The configuration file (TOML). Variables such as `ZOOM_LOG_ENGINE__SERVER__LISTEN` override its keys.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Validate { config } => match Config::load(config.as_deref()) {
            Ok(_) => said(
                writeln!(io::stdout(), "the configuration is valid"),
                ExitCode::SUCCESS,
            ),
            Err(invalid) => said(writeln!(io::stderr(), "{invalid}"), ExitCode::FAILURE),
        },
    }
}

/// A terminal that is gone changes nothing about how the command ended.
fn said(_: io::Result<()>, code: ExitCode) -> ExitCode {
    code
}
