//! The command line of a provider's binary.

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    docs,
    process::{self, Mode},
    provider::Provider,
};

/// What a provider's binary says of itself.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Its address in a registry, such as `registry.terraform.io/example/cloud`.
    pub address: &'a str,
    /// Its version.
    pub version: &'a str,
}

impl About<'_> {
    /// Returns the prefix of the provider's types: the last part of its address.
    fn name(&self) -> &str {
        self.address.rsplit('/').next().unwrap_or(self.address)
    }
}

const USAGE: &str = "\
Terraform starts this program by itself, without arguments. By hand it knows:

  -debug                                   serve until interrupted, and print how Terraform attaches to it
  docs --examples DIR --out DIR [--check]  write the registry pages, or check that they are current
  --version                                print the version
";

/// Runs a provider's binary: what `main` returns.
///
/// Without arguments it serves Terraform. `-debug` serves until interrupted and prints how to attach; `docs` writes the
/// registry pages or checks them; `--version` prints the version.
pub fn run<P: Provider>(provider: P, about: About<'_>) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => process::serve(provider, about.address, Mode::Plugin),
        ["-debug" | "--debug"] => process::serve(provider, about.address, Mode::Debug),
        ["-version" | "--version" | "version"] => say(&format!("{} {}\n", about.address, about.version)),
        ["docs", rest @ ..] => match DocsArguments::parse(rest) {
            Some(arguments) => write_docs(&provider, about.name(), &arguments),
            None => complain(USAGE),
        },
        _ => complain(USAGE),
    }
}

#[derive(Debug, Default)]
struct DocsArguments {
    examples: PathBuf,
    out: PathBuf,
    check: bool,
}

impl DocsArguments {
    fn parse(words: &[&str]) -> Option<Self> {
        let mut arguments = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--examples" => arguments.examples = PathBuf::from(words.next()?),
                "--out" => arguments.out = PathBuf::from(words.next()?),
                "--check" => arguments.check = true,
                _ => return None,
            }
        }
        let complete = arguments.examples != Path::new("") && arguments.out != Path::new("");
        complete.then_some(arguments)
    }
}

fn write_docs<P: Provider>(provider: &P, name: &str, arguments: &DocsArguments) -> ExitCode {
    let outcome = docs::pages(provider, name, &arguments.examples).and_then(|pages| {
        if arguments.check {
            docs::differences(&pages, &arguments.out)
        } else {
            docs::write(&pages, &arguments.out).map(|()| Vec::new())
        }
    });
    match outcome {
        Ok(differences) if differences.is_empty() => ExitCode::SUCCESS,
        Ok(differences) => complain(&format!(
            "The registry pages are not current. Write them with `docs` and without `--check`.\n{}\n",
            differences.join("\n")
        )),
        Err(error) => complain(&format!(
            "The registry pages could not be read or written: {error}.\n"
        )),
    }
}

fn say(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(text: &str) -> ExitCode {
    // With standard error gone there is nobody left to tell.
    let _ = io::stderr().lock().write_all(text.as_bytes());
    ExitCode::FAILURE
}
