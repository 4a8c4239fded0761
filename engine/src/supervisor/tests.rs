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

    async fn activate(&self, _stop: &CancellationToken, _turn: &mut Turn) -> Next {
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
    stage_of(1, panics)
}

fn stage_of(copies: usize, panics: bool) -> Stage {
    let (clock, time) = Clock::simulated(Timestamp::UNIX_EPOCH);
    let (wakes, stop) = (Wakes::default(), CancellationToken::new());
    let supervisor = Supervisor::new(clock, Telemetry::new(), wakes.clone(), stop.clone());
    let worker = Arc::new(Counting {
        count: AtomicUsize::new(0),
        seen: tokio::sync::Notify::new(),
        panics,
    });
    let run: Arc<dyn Worker> = worker.clone();
    supervisor.run(&run, copies);
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
async fn of_many_copies_that_have_nothing_to_do_one_looks() {
    let stage = stage_of(32, false);
    for times in 1..4 {
        stage.activated(times).await;
        // Nobody else comes, however often they could have.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(stage.worker.count.load(Ordering::SeqCst), times);
        stage.wakes.wake();
    }
    stage.activated(4).await;
    stage.end().await;
}

/// Has work for ever, and tells how many are at it.
struct Busy {
    at_work: AtomicUsize,
    begun: tokio::sync::Notify,
}

#[async_trait]
impl Worker for Busy {
    fn name(&self) -> &'static str {
        "busy"
    }

    async fn activate(&self, stop: &CancellationToken, turn: &mut Turn) -> Next {
        turn.pass();
        self.at_work.fetch_add(1, Ordering::SeqCst);
        self.begun.notify_one();
        stop.cancelled().await;
        Next::Again
    }
}

#[tokio::test]
async fn who_has_work_lets_another_copy_look() {
    let (clock, _time) = Clock::simulated(Timestamp::UNIX_EPOCH);
    let stop = CancellationToken::new();
    let supervisor = Supervisor::new(clock, Telemetry::new(), Wakes::default(), stop.clone());
    let worker = Arc::new(Busy {
        at_work: AtomicUsize::new(0),
        begun: tokio::sync::Notify::new(),
    });
    let run: Arc<dyn Worker> = worker.clone();
    supervisor.run(&run, 8);
    while worker.at_work.load(Ordering::SeqCst) < 8 {
        worker.begun.notified().await;
    }
    stop.cancel();
    assert!(supervisor.drain(Duration::from_secs(5)).await);
}

/// Finds something to do at its first look, and something else once that was done.
struct Twice {
    looks: AtomicUsize,
    claimed: AtomicUsize,
    done: AtomicUsize,
    finish: tokio::sync::Notify,
    changed: tokio::sync::Notify,
}

#[async_trait]
impl Worker for Twice {
    fn name(&self) -> &'static str {
        "twice"
    }

    async fn activate(&self, _stop: &CancellationToken, turn: &mut Turn) -> Next {
        self.looks.fetch_add(1, Ordering::SeqCst);
        let done = self.done.load(Ordering::SeqCst);
        let claim = |claimed: usize| (claimed < 2 && claimed == done).then_some(claimed + 1);
        let claimed = self
            .claimed
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, claim);
        if claimed.is_ok() {
            turn.pass();
            self.finish.notified().await;
            self.done.fetch_add(1, Ordering::SeqCst);
            self.changed.notify_one();
            return Next::Again;
        }
        Next::Idle
    }
}

#[tokio::test]
async fn work_that_is_done_is_looked_behind_at_once_although_another_copy_waits() {
    let (clock, time) = Clock::simulated(Timestamp::UNIX_EPOCH);
    let stop = CancellationToken::new();
    let supervisor = Supervisor::new(clock, Telemetry::new(), Wakes::default(), stop.clone());
    let worker = Arc::new(Twice {
        looks: AtomicUsize::new(0),
        claimed: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        finish: tokio::sync::Notify::new(),
        changed: tokio::sync::Notify::new(),
    });
    let run: Arc<dyn Worker> = worker.clone();
    supervisor.run(&run, 2);
    // One is at work, the other has looked and waits; time stands still.
    while worker.looks.load(Ordering::SeqCst) < 2 || time.next_wake().is_none() {
        tokio::task::yield_now().await;
    }
    for done in 1..3 {
        worker.finish.notify_one();
        while worker.done.load(Ordering::SeqCst) < done {
            worker.changed.notified().await;
        }
    }
    stop.cancel();
    assert!(supervisor.drain(Duration::from_secs(5)).await);
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
