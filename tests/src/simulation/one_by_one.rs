//! The real destinations, one batch at a time: feeds of a lane that went side by side would have to take turns by
//! chance at the database.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use engine_api::DestinationSpec;
use zoom_log_engine::destination::{Batch, Destination, Kinds, Limits, Open, Secrets, WriteError};

/// Opens the real destinations.
#[derive(Debug)]
pub(super) struct OneByOne {
    pub(super) kinds: Kinds,
    /// Work that is under way on other threads.
    pub(super) blocking: Arc<AtomicUsize>,
}

impl Open for OneByOne {
    fn open(&self, spec: &DestinationSpec, secrets: &Secrets) -> Result<Box<dyn Destination>, WriteError> {
        Ok(Box::new(Single {
            inner: self.kinds.open(spec, secrets)?,
            blocking: spec.file.is_some().then(|| Arc::clone(&self.blocking)),
        }))
    }
}

#[derive(Debug)]
struct Single {
    inner: Box<dyn Destination>,
    blocking: Option<Arc<AtomicUsize>>,
}

/// Counts as work under way until it is dropped.
struct Under(Option<Arc<AtomicUsize>>);

impl Single {
    fn begin(&self) -> Under {
        if let Some(count) = &self.blocking {
            count.fetch_add(1, Ordering::SeqCst);
        }
        Under(self.blocking.clone())
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[async_trait::async_trait]
impl Destination for Single {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn parallel(&self) -> usize {
        1
    }

    async fn prepare(&self, settled: Option<&str>, interrupted: bool) -> Result<Option<String>, WriteError> {
        let _under = self.begin();
        self.inner.prepare(settled, interrupted).await
    }

    async fn write(&self, batch: &Batch) -> Result<Option<String>, WriteError> {
        let _under = self.begin();
        self.inner.write(batch).await
    }
}
