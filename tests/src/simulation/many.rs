//! Many seeds, on all cores: each runs on one thread, and none knows of another.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::{Failure, Outcome, Template, run};

/// What many seeds did.
#[derive(Debug, Default)]
pub struct Total {
    pub seeds: u64,
    pub rows: u64,
    pub lives: u64,
    /// Seeds in which several engines shared the store.
    pub shared: u64,
    /// How often one of several engines was paused.
    pub pauses: u64,
    /// Polls that ended because another engine had taken over their feed.
    pub fenced: u64,
    pub notices: u64,
    pub passed: BTreeMap<&'static str, u64>,
    pub died_at: BTreeSet<&'static str>,
    /// Those that broke a law, by their seed.
    pub failures: Vec<Failure>,
}

impl Total {
    fn add(&mut self, outcome: Result<Outcome, Failure>) {
        self.seeds += 1;
        match outcome {
            Err(failure) => self.failures.push(failure),
            Ok(outcome) => {
                self.rows += outcome.rows;
                self.lives += u64::from(outcome.lives);
                self.shared += u64::from(outcome.engines > 1);
                self.pauses += u64::from(outcome.pauses);
                self.fenced += outcome.fenced;
                self.notices += outcome.notices as u64;
                for (label, times) in outcome.passed {
                    *self.passed.entry(label).or_default() += times;
                }
                self.died_at.extend(outcome.died_at);
            }
        }
    }
}

/// Runs the seeds from `first` on, until so many are done or so many have failed; `told` is called after each.
pub fn run_many(
    template: &Template,
    first: u64,
    count: u64,
    most_failures: usize,
    told: impl Fn(&Total) + Sync,
) -> Total {
    let next = AtomicU64::new(first);
    let total = Mutex::new(Total::default());
    let end = first.saturating_add(count);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= end {
                        return;
                    }
                    let outcome = run(seed, template, false);
                    let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                    total.add(outcome);
                    told(&total);
                    if total.failures.len() >= most_failures {
                        next.store(end, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let mut total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    total.failures.sort_by_key(|failure| failure.seed);
    total
}
