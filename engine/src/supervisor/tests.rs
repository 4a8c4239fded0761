//! Activation, wakes, panics and the end.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;

/// Counts its activations; panics at the first one if it is told to.
struct Counting {
    count: AtomicUsize,
    seen: tokio::sync::Notify,
    panics: bool,
}

#[async_trait]
impl Worker for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    async fn activate(&self, _stop: &CancellationToken) -> Next {
        let earlier = self.count.fetch_add(1, Ordering::SeqCst);
        self.seen.notify_one();
        assert!(!(self.panics && earlier == 0), "told to panic");
        Next::Idle
    }
}

struct Stage {
    worker: Arc<Counting>,
    supervisor: Supervisor,
    wakes: Wakes,
    stop: CancellationToken,
    time: crate::clock::Simulation,
}

fn stage(panics: bool) -> Stage {
    let (clock, time) = Clock::simulated(Timestamp::UNIX_EPOCH);
    let (wakes, stop) = (Wakes::default(), CancellationToken::new());
    let supervisor = Supervisor::new(clock, Telemetry::new(), wakes.clone(), stop.clone());
    let worker = Arc::new(Counting {
        count: AtomicUsize::new(0),
        seen: tokio::sync::Notify::new(),
        panics,
    });
    let run: Arc<dyn Worker> = worker.clone();
    supervisor.run(&run, 1);
    Stage {
        worker,
        supervisor,
        wakes,
        stop,
        time,
    }
}

impl Stage {
    async fn activated(&self, times: usize) {
        while self.worker.count.load(Ordering::SeqCst) < times {
            self.worker.seen.notified().await;
        }
    }

    async fn end(self) {
        self.stop.cancel();
        assert!(self.supervisor.drain(Duration::from_secs(5)).await);
    }
}

#[tokio::test]
async fn a_wake_makes_an_idle_worker_look_and_a_stop_ends_it() {
    let stage = stage(false);
    stage.activated(1).await;
    while stage.time.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    stage.wakes.wake();
    stage.activated(2).await;
    stage.end().await;
}

#[tokio::test]
async fn an_idle_worker_looks_on_its_beat_and_one_that_panics_is_activated_again() {
    let stage = stage(true);
    for times in 1..4 {
        stage.activated(times).await;
        while stage.time.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        stage.time.advance(IDLE_BEAT);
    }
    stage.activated(4).await;
    stage.end().await;
}

#[tokio::test]
async fn a_worker_that_is_not_activated_any_more_is_told() {
    let stage = stage(false);
    stage.activated(1).await;
    let beats = stage.supervisor.beats();
    assert_eq!(beats.stalled(), None);
    stage.stop.cancel();
    stage.supervisor.drain(Duration::from_secs(5)).await;
    stage.time.advance(STALLED_AFTER + IDLE_BEAT);
    assert!(beats.stalled().is_some_and(|why| why.contains("counting")));
}
