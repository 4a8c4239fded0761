//! What crash points say, and what they are told.

use std::collections::BTreeMap;

use super::plan::Plan;
use crate::rng::Rng;

/// Where engines die.
#[derive(Debug)]
pub(super) struct Crashes {
    /// The engine that moves now.
    pub(super) engine: usize,
    /// Of each engine.
    rngs: Vec<Rng>,
    percent: f64,
    passed: BTreeMap<&'static str, u64>,
    struck: Option<&'static str>,
}

impl Crashes {
    pub(super) fn of(plan: &Plan) -> Self {
        let engines = 0..plan.engines.len() as u64;
        Self {
            engine: 0,
            rngs: engines
                .map(|number| Rng::new(plan.way ^ 0xdead ^ (number << 32)))
                .collect(),
            percent: plan.crash_percent,
            passed: BTreeMap::new(),
            struck: None,
        }
    }

    /// The engine that moves passes a point; answers whether it dies there.
    pub(super) fn passes(&mut self, label: &'static str) -> bool {
        *self.passed.entry(label).or_default() += 1;
        let strikes = self.struck.is_none() && self.rngs[self.engine].percent(self.percent);
        if strikes {
            self.struck = Some(label);
        }
        strikes
    }

    /// Nobody dies any more.
    pub(super) fn end(&mut self) {
        self.percent = 0.0;
    }

    pub(super) fn struck(&self) -> bool {
        self.struck.is_some()
    }

    /// The point that was struck.
    pub(super) fn take(&mut self) -> &'static str {
        self.struck.take().unwrap_or_default()
    }

    /// How often each point was passed.
    pub(super) fn passed(&self) -> &BTreeMap<&'static str, u64> {
        &self.passed
    }
}
