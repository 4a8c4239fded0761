//! One account, one queue, as soon as Zoom asks it to wait.
//!
//! Zoom's limit by the second is the account's. While it is not reached, the feeds of an account ask side by side;
//! once Zoom asks one of them to wait, it holds the account's gate until its request is answered, and the others queue
//! behind it in order. Without that, a feed that asks often would take each free second from one that waits.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as Turns, OwnedMutexGuard};

/// The gates of all accounts that are being read.
#[derive(Debug, Clone, Default)]
pub struct Gates {
    by_account: Arc<Mutex<HashMap<String, Weak<Turns<()>>>>>,
}

/// One account's gate.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<Turns<()>>);

impl Gates {
    pub(super) fn of(&self, account: &str) -> Gate {
        let mut gates = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(account).and_then(Weak::upgrade) {
            return Gate(gate);
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::new(Turns::new(()));
        gates.insert(account.to_owned(), Arc::downgrade(&gate));
        Gate(gate)
    }
}

impl Gate {
    /// Waits behind whoever holds the gate, and goes on without holding it.
    pub(super) async fn pass(&self) {
        drop(self.0.lock().await);
    }

    /// Makes the others wait until the answer is dropped.
    pub(super) async fn hold(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.0).lock_owned().await
    }
}
