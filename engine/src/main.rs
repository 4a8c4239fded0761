//! The command line of the engine.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use engine_api::{LogType, label::Labeller};
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use zoom_log_engine::{
    config::{Config, Invalid, Labels, LogFormat},
    database::Database,
    health,
    labels::{self, Output, Stored},
    store::samples::Sample,
    telemetry::log::{self, Format},
    vault,
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
    /// Asks the engine on this machine how it is, and exits with 1 where it does not work. For container runtimes.
    Health {
        /// The configuration file (TOML), as for `serve`.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Asks only whether it lives, not whether it can work.
        #[arg(long)]
        live: bool,
    },
    /// Makes and replaces the master key that seals secrets.
    #[command(subcommand, arg_required_else_help = true)]
    Key(KeyCommand),
    /// Shows the label rules, and what they make of rows.
    #[command(subcommand, arg_required_else_help = true)]
    Labels(LabelsCommand),
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Prints a new master key, for where the engine cannot write one itself.
    Generate,
    /// Replaces the master key while engines go on, and says when the former one may be thrown away.
    ///
    /// A key file gets the new key beside the old one. Where the key is in a variable or a credential, put both there
    /// first, and let every engine have both. What broke off goes on when this is run again.
    Rotate {
        /// The configuration file (TOML), as for `serve`.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Shows the master keys at hand, and how many secrets need each.
    Status {
        /// The configuration file (TOML), as for `serve`.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum LabelsCommand {
    /// Prints the rules that are in force, in the form in which the configuration has them.
    Rules {
        #[command(flatten)]
        rules: RulesFrom,
    },
    /// Shows which labels rows get, by which rules and words: of rows that are given, or else of stored ones.
    ///
    /// Only reads, needs no secret, and can run beside an engine. Exits with 0 when the rows were tested, whatever they
    /// were labelled; with 1 when the rules are wrong or the rows cannot be read; with 2 when these arguments are wrong.
    Test(TestArguments),
}

/// Where the rules come from.
#[derive(Debug, Args)]
struct RulesFrom {
    /// The configuration file (TOML), as for `serve`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A TOML file whose section `labels` is taken instead of the configuration's.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct TestArguments {
    /// Rows to test: JSON Lines, or the bodies of Zoom's reports; `-` is standard input. Without it, stored rows are
    /// tested.
    #[arg(value_name = "ROWS")]
    rows: Option<PathBuf>,
    #[command(flatten)]
    rules: RulesFrom,
    /// The log type of given rows that do not tell it (`operation` where it is not set), or of the stored rows to
    /// take.
    #[arg(long, value_parser = log_type)]
    log_type: Option<LogType>,
    /// The store to read, a SQLite file. Default: the one of the configuration.
    #[arg(long, value_name = "FILE", conflicts_with = "rows")]
    store: Option<PathBuf>,
    /// Stored rows of this source only, by its id or name.
    #[arg(long, value_name = "SOURCE", conflicts_with = "rows")]
    source: Option<String>,
    /// So many stored rows, those that were collected last. Default: 1000, unless `--since` is set.
    #[arg(long, value_name = "COUNT", conflicts_with = "rows")]
    last: Option<u64>,
    /// Stored rows from this instant on, in RFC 3339 such as `2026-01-31T00:00:00Z`.
    #[arg(long, value_name = "INSTANT", conflicts_with = "rows")]
    since: Option<Timestamp>,
    /// `text` for people, `json` for one JSON object.
    #[arg(long, value_enum, default_value_t = OutputForm::Text)]
    output: OutputForm,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OutputForm {
    Text,
    Json,
}

fn log_type(word: &str) -> Result<LogType, &'static str> {
    LogType::from_word(word).ok_or("must be `operation` or `activity`")
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
        Command::Health { config, live } => health(config.as_deref(), live),
        Command::Key(command) => key(&command),
        Command::Labels(LabelsCommand::Rules { rules }) => match labeller(&rules) {
            Ok(labeller) => ended(labels::write_rules(&labeller, &mut io::stdout().lock())),
            Err(invalid) => failed(&invalid),
        },
        Command::Labels(LabelsCommand::Test(arguments)) => match labeller(&arguments.rules) {
            Ok(labeller) => test_labels(&labeller, arguments),
            Err(invalid) => failed(&invalid),
        },
    }
}

fn health(config: Option<&Path>, live: bool) -> ExitCode {
    let config = match Config::load(config) {
        Ok(config) => config,
        Err(invalid) => return failed(&invalid),
    };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => match runtime.block_on(health::ask(&config, live)) {
            Ok(()) => said(writeln!(io::stdout(), "ok"), ExitCode::SUCCESS),
            Err(why) => failed(&why),
        },
        Err(error) => failed(&format!("cannot start: {error}")),
    }
}

fn key(command: &KeyCommand) -> ExitCode {
    let (config, rotate) = match command {
        KeyCommand::Generate => {
            return match vault::generate_key() {
                Ok(key) => said(writeln!(io::stdout(), "{}", key.expose()), ExitCode::SUCCESS),
                Err(error) => failed(&error),
            };
        }
        KeyCommand::Rotate { config } => (config, true),
        KeyCommand::Status { config } => (config, false),
    };
    let config = match Config::load(config.as_deref()) {
        Ok(config) => config,
        Err(invalid) => return failed(&invalid),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("cannot start: {error}")),
    };
    let mut out = io::stdout();
    let done = runtime.block_on(async {
        if rotate {
            zoom_log_engine::rotate_key(&config, &mut out).await
        } else {
            zoom_log_engine::key_status(&config, &mut out).await
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn labeller(from: &RulesFrom) -> Result<Labeller, Invalid> {
    match &from.rules {
        Some(file) => Labels::load(file).map(|labels| labels.labeller),
        None => Config::load(from.config.as_deref()).map(|config| config.labels.labeller),
    }
}

fn test_labels(labeller: &Labeller, arguments: TestArguments) -> ExitCode {
    let output = match arguments.output {
        OutputForm::Text => Output::Text,
        OutputForm::Json => Output::Json,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    if let Some(rows) = &arguments.rows {
        let log_type = arguments.log_type.unwrap_or(LogType::Operation);
        let name = rows.display().to_string();
        let text: Box<dyn BufRead> = if name == "-" {
            Box::new(io::stdin().lock())
        } else {
            match File::open(rows) {
                Ok(file) => Box::new(BufReader::new(file)),
                Err(error) => return failed(&format!("cannot read {name}: {error}")),
            }
        };
        return ended(labels::test_given(
            labeller,
            (&name, text),
            log_type,
            output,
            &mut out,
        ));
    }
    let database = match arguments.store {
        Some(file) => Database::Sqlite(file),
        None => match Config::load(arguments.rules.config.as_deref()) {
            Ok(config) => config.store.database,
            Err(invalid) => return failed(&invalid),
        },
    };
    let default = arguments.since.is_none().then_some(1_000);
    let stored = Stored {
        database,
        source: arguments.source,
        log_type: arguments.log_type,
        sample: Sample {
            last: arguments.last.or(default),
            since: arguments.since,
        },
    };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => ended(runtime.block_on(labels::test_stored(labeller, &stored, output, &mut out))),
        Err(error) => failed(&format!("cannot start: {error}")),
    }
}

fn ended(done: Result<(), labels::Error>) -> ExitCode {
    match done {
        // Who reads no further has seen enough.
        Err(labels::Error::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failed(&error),
        Ok(()) => ExitCode::SUCCESS,
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
