//! A destination that does what a test tells it.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use engine_api::DestinationSpec;

use crate::{
    destination::{Batch, Destination, Limits, Open, Secrets, WriteError},
    store::Store,
};

/// What a write does, instead of taking what holds no `poison`.
#[derive(Debug)]
pub(super) enum Act {
    /// Fails so.
    Fail(WriteError),
    /// Takes the batch and never answers.
    TakeAndHang,
    /// Takes the batch, while another engine claims the lane.
    TakeWhileClaimed(Store),
}

#[derive(Debug)]
pub(super) struct Script {
    pub(super) acts: VecDeque<Act>,
    pub(super) limits: Limits,
    pub(super) parallel: usize,
    /// Batches that were taken: their ids and lines.
    pub(super) taken: Vec<(String, Vec<String>)>,
    /// How many events each write held, taken or not.
    pub(super) tried: Vec<usize>,
    /// What each write was prepared with.
    pub(super) prepared: Vec<(Option<String>, bool)>,
    /// What holds `poison` is taken, too.
    pub(super) healed: bool,
    /// More bytes in one batch than that are too many.
    pub(super) too_large: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Scripted(Arc<Mutex<Script>>);

impl Default for Scripted {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Script {
            acts: VecDeque::new(),
            limits: Limits {
                max_events: 4,
                max_bytes: 1_000,
                max_age: Duration::ZERO,
            },
            parallel: 1,
            taken: Vec::new(),
            tried: Vec::new(),
            prepared: Vec::new(),
            healed: false,
            too_large: usize::MAX,
        })))
    }
}

impl Scripted {
    pub(super) fn now(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    /// All lines that were taken, in order.
    pub(super) fn lines(&self) -> Vec<String> {
        self.now()
            .taken
            .iter()
            .flat_map(|(_, lines)| lines.clone())
            .collect()
    }

    fn take(&self, batch: &Batch) -> String {
        let mut script = self.now();
        let lines = batch
            .iter()
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        script.taken.push((batch.id.clone(), lines));
        script.taken.len().to_string()
    }
}

impl Open for Scripted {
    fn open(&self, _spec: &DestinationSpec, _secrets: &Secrets) -> Result<Box<dyn Destination>, WriteError> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Destination for Scripted {
    fn limits(&self) -> Limits {
        self.now().limits
    }

    fn parallel(&self) -> usize {
        self.now().parallel
    }

    async fn prepare(&self, settled: Option<&str>, interrupted: bool) -> Result<Option<String>, WriteError> {
        self.now()
            .prepared
            .push((settled.map(str::to_owned), interrupted));
        Ok(Some(settled.unwrap_or("0").to_owned()))
    }

    async fn write(&self, batch: &Batch) -> Result<Option<String>, WriteError> {
        let act = {
            let mut script = self.now();
            script.tried.push(batch.len());
            script.acts.pop_front()
        };
        match act {
            Some(Act::Fail(error)) => Err(error),
            Some(Act::TakeAndHang) => {
                self.take(batch);
                pending().await
            }
            Some(Act::TakeWhileClaimed(store)) => {
                let settled = self.take(batch);
                store.break_leases().await.unwrap();
                assert!(
                    store
                        .claim_lane("another", Duration::from_mins(1))
                        .await
                        .unwrap()
                        .is_some()
                );
                Ok(Some(settled))
            }
            None if batch.lines.len() > self.now().too_large => Err(WriteError::TooLarge {
                reason: "too large".to_owned(),
            }),
            None if !self.now().healed && holds_poison(batch) => Err(WriteError::Refused {
                reason: "poison found".to_owned(),
            }),
            None => Ok(Some(self.take(batch))),
        }
    }
}

fn holds_poison(batch: &Batch) -> bool {
    batch
        .iter()
        .any(|line| line.windows(6).any(|part| part == b"poison"))
}
