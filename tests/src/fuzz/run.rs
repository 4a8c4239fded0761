//! Runs a target over its corpus and over inputs made from it.

use std::{
    any::Any,
    fmt, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use super::{Target, change::change};
use crate::{binaries::workspace, rng::Rng};

/// An input that takes longer is a finding of its own: parsers are quick, or they hold up everybody.
const SLOW: Duration = Duration::from_secs(5);

/// How long to go on.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    /// So many inputs beside those of the corpus.
    Inputs(u64),
    /// So long.
    Time(Duration),
}

/// An input that a target does not bear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which target.
    pub target: &'static str,
    /// The input, as short as it could be made.
    pub input: Vec<u8>,
    /// What was said.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            target,
            input,
            message,
        } = self;
        write!(f, "{target}: {message}\n  input: \"{}\"", input.escape_ascii())
    }
}

/// The committed inputs of a target.
///
/// # Panics
///
/// When there are none: a target without a corpus goes nowhere.
pub fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = workspace().join("tests/fuzz").join(target.name);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a file of the corpus").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths
        .into_iter()
        .map(|path| fs::read(path).expect("read a file of the corpus"))
        .collect()
}

/// Feeds a target; answers how many inputs it took.
///
/// # Errors
///
/// The first input that it does not bear.
pub fn run(target: &Target, corpus: &[Vec<u8>], seed: u64, budget: Budget) -> Result<u64, Failure> {
    let started = Instant::now();
    let mut taken = 0;
    for input in corpus {
        bear(target, input)?;
        taken += 1;
    }
    let mut rng = Rng::new(seed);
    // What was made from the corpus is changed further now and then, so that inputs wander off.
    let mut wandering: Vec<Vec<u8>> = corpus.to_vec();
    let mut made = 0;
    loop {
        let over = match budget {
            Budget::Inputs(inputs) => made >= inputs,
            Budget::Time(time) => started.elapsed() >= time,
        };
        if over {
            return Ok(taken);
        }
        let from = &wandering[rng.index(wandering.len())];
        let other = &corpus[rng.index(corpus.len())];
        let input = change(&mut rng, from, other);
        bear(target, &input)?;
        (taken, made) = (taken + 1, made + 1);
        if rng.below(4) == 0 {
            let place = corpus.len() + rng.index(256);
            match wandering.get_mut(place) {
                Some(old) => *old = input,
                None => wandering.push(input),
            }
        }
    }
}

fn bear(target: &Target, input: &[u8]) -> Result<(), Failure> {
    let Some(message) = fails(target, input) else {
        return Ok(());
    };
    Err(Failure {
        target: target.name,
        input: shorter(target, input.to_vec()),
        message,
    })
}

fn fails(target: &Target, input: &[u8]) -> Option<String> {
    let started = Instant::now();
    let done = catch_unwind(AssertUnwindSafe(|| (target.parse)(input)));
    match done {
        Err(said) => Some(text_of(&*said)),
        Ok(()) if started.elapsed() > SLOW => {
            Some(format!("took {:?} for {} bytes", started.elapsed(), input.len()))
        }
        Ok(()) => None,
    }
}

fn text_of(said: &(dyn Any + Send)) -> String {
    said.downcast_ref::<String>()
        .cloned()
        .or_else(|| said.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "it panicked".to_owned())
}

/// Takes parts away for as long as what is left still fails.
fn shorter(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let mut part = input.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at + part <= input.len() {
            let mut less = input.clone();
            less.drain(at..at + part);
            if fails(target, &less).is_some() {
                input = less;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    input
}
