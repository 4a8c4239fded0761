//! The command line of the engine.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use zoom_log_engine::{
    config::{Config, LogFormat},
    telemetry::log::{self, Format},
};

/// Collects Zoom's operation and activity logs exactly, delivers them, and raises an alarm when they stop.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the engine until SIGTERM or SIGINT.
    Serve {
        /// The configuration file (TOML). Variables such as `ZOOM_LOG_ENGINE__SERVER__LISTEN` override its keys.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Says everything that is wrong with a configuration, and exits with 1 where something is.
    Validate {
        /// The configuration file (TOML). Variables such as `ZOOM_LOG_ENGINE__SERVER__LISTEN` override its keys.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve { config } => match Config::load(config.as_deref()) {
            Ok(config) => serve(config),
            Err(invalid) => failed(&invalid),
        },
        Command::Validate { config } => match Config::load(config.as_deref()) {
            Ok(_) => said(
                writeln!(io::stdout(), "the configuration is valid"),
                ExitCode::SUCCESS,
            ),
            Err(invalid) => failed(&invalid),
        },
    }
}

fn serve(config: Config) -> ExitCode {
    let format = match config.log.format {
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text {
            ansi: io::stderr().is_terminal(),
        },
    };
    if let Err(error) = log::to_stderr(format, config.log.level) {
        return failed(&format!("cannot set up logging: {error}"));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start: {error}")),
    };
    let served = runtime.block_on(async {
        let stop = CancellationToken::new();
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stopped = stop.clone();
        let served = zoom_log_engine::serve(config, stop);
        tokio::pin!(served);
        tokio::select! {
            ended = &mut served => return Ok(ended),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopped.cancel();
        io::Result::Ok(served.await)
    });
    // A file system that hangs must not keep the process: what was committed is on disk.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match served {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&format!("cannot wait for signals: {error}")),
    }
}

fn failed(why: &dyn std::fmt::Display) -> ExitCode {
    said(writeln!(io::stderr(), "{why}"), ExitCode::FAILURE)
}

/// A terminal that is gone changes nothing about how the command ended.
fn said(_: io::Result<()>, code: ExitCode) -> ExitCode {
    code
}
