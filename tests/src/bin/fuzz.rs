//! Fuzzes every parser of what comes from outside, for as long as it is told.

use std::{fs, process::ExitCode, time::Duration};

use clap::Parser;
use e2e::{
    binaries::workspace,
    fuzz::{Budget, TARGETS, corpus, run},
};

/// Fuzzes every parser of what comes from outside.
#[derive(Debug, Parser)]
struct Arguments {
    /// So many seconds for each target.
    #[arg(long, env = "SECONDS", default_value_t = 60)]
    seconds: u64,
    /// This target only.
    #[arg(long, env = "TARGET")]
    target: Option<String>,
    /// Where to begin; the same seed makes the same inputs.
    #[arg(long, env = "SEED")]
    seed: Option<u64>,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what it is for")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments
        .seed
        .unwrap_or_else(|| jiff::Timestamp::now().as_millisecond().unsigned_abs());
    // The failure says what the panic said.
    std::panic::set_hook(Box::new(|_| {}));
    let wanted = |name: &str| arguments.target.as_deref().is_none_or(|target| target == name);
    let mut found = false;
    for target in TARGETS.iter().filter(|target| wanted(target.name)) {
        let budget = Budget::Time(Duration::from_secs(arguments.seconds));
        match run(target, &corpus(target), seed, budget) {
            Ok(inputs) => println!("{}: {inputs} inputs, seed {seed}", target.name),
            Err(failure) => {
                found = true;
                let path = workspace().join("target").join(format!("fuzz-{}", target.name));
                let kept = fs::write(&path, &failure.input);
                eprintln!(
                    "{failure}\n  kept in {} ({kept:?}): add it to tests/fuzz/{}",
                    path.display(),
                    target.name
                );
            }
        }
    }
    if found {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
