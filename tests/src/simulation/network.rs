//! The network between the engine and the rest: each request waits here until the simulation lets it arrive.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp, civil::Date};
use zoom_log_engine::{
    clock::Clock,
    http::{Answered, Broken, Network, Sent},
};

use super::{
    answer::Fate,
    plan::Plan,
    receiver::{Channel, Receiver},
    rows::day,
    trace::Trace,
    zoom::{Account, Paging},
};
use crate::{rng::Rng, sim::Report};

/// The hosts of the simulated world.
pub(super) const ZOOM: &str = "https://api.zoom.us";
pub(super) const RECEIVER: &str = "https://siem.example.com/ingest";
pub(super) const CHANNEL: &str = "https://hooks.example.com/zoom";

/// Rows that come between the pages of all reads of a seed.
const MOST_SHIFTS: u64 = 80;

/// Everything outside of the engine.
#[derive(Debug)]
pub(super) struct World {
    pub(super) accounts: Vec<Account>,
    pub(super) receiver: Receiver,
    pub(super) channel: Channel,
    pub(super) trace: Trace,
    /// Report requests that left the engine, by account and the engine's own day.
    pub(super) spent: BTreeMap<(usize, Report, Date), u64>,
    /// Nothing goes wrong any more.
    pub(super) peace: bool,
    /// The receiver takes nothing.
    pub(super) down: bool,
    start: Timestamp,
    rng: Rng,
    /// What goes wrong with the requests of each engine.
    engines: Vec<Rng>,
    zoom_faults: f64,
    only_fault: Option<Fate>,
    receiver_faults: f64,
    shift_percent: f64,
    /// Of each account.
    late_reach: Vec<SignedDuration>,
    /// Rows that may yet come between pages: a list that grows faster than it is read has no end.
    shifts_left: u64,
    parked: BTreeMap<u64, Parked>,
    next: u64,
}

#[derive(Debug)]
struct Parked {
    sent: Sent,
    fate: Fate,
    /// When it arrives and is answered, by the clock that never jumps; `None` where nothing ever comes back.
    due: Option<Duration>,
    answer: Option<Result<Answered, Broken>>,
    waker: Waker,
}

/// An engine's handle to the world.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    world: Arc<Mutex<World>>,
    clock: Clock,
    /// Whose.
    engine: usize,
}

impl World {
    pub(super) fn new(plan: &Plan, trace: Trace) -> Self {
        let accounts = plan.accounts.iter().enumerate().map(|(number, account)| {
            let mut made = Account::new(
                &format!("account{number}"),
                "secret-1",
                account.manners,
                account.daily_limit,
            );
            for row in &account.history {
                made.add(row.report, row.at, row.key, row.timed);
            }
            made
        });
        Self {
            accounts: accounts.collect(),
            receiver: Receiver::default(),
            channel: Channel::default(),
            trace,
            spent: BTreeMap::new(),
            peace: false,
            down: false,
            start: plan.start,
            rng: Rng::new(plan.way),
            engines: (0..plan.engines.len() as u64)
                .map(|number| Rng::new(plan.way ^ 0xfa17 ^ (number << 32)))
                .collect(),
            zoom_faults: plan.zoom_faults,
            only_fault: plan.only_fault,
            receiver_faults: plan.receiver_faults,
            shift_percent: plan.shift_percent,
            late_reach: plan.accounts.iter().map(|account| account.late_reach).collect(),
            shifts_left: MOST_SHIFTS,
            parked: BTreeMap::new(),
            next: 0,
        }
    }

    /// The true time: the engine's wall clock may show another.
    pub(super) fn now(&self, monotonic: Duration) -> Timestamp {
        self.start + SignedDuration::try_from(monotonic).unwrap_or(SignedDuration::ZERO)
    }

    /// When the next request arrives.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let waiting = self.parked.values().filter(|parked| parked.answer.is_none());
        waiting.filter_map(|parked| parked.due).min()
    }

    /// Lets all requests arrive whose time has come.
    pub(super) fn arrivals(&mut self, monotonic: Duration) {
        let mut due: Vec<(Duration, u64)> = Vec::new();
        for (id, parked) in &self.parked {
            if let Some(at) = parked
                .due
                .filter(|at| *at <= monotonic && parked.answer.is_none())
            {
                due.push((at, *id));
            }
        }
        due.sort_unstable();
        for (_, id) in due {
            self.arrive(id, self.now(monotonic));
        }
    }

    fn arrive(&mut self, id: u64, now: Timestamp) {
        let Some(parked) = self.parked.get(&id) else {
            return;
        };
        let (sent, fate) = (parked.sent.clone(), parked.fate);
        let answer = if fate.arrives() {
            fate.spoil(self.work(&sent, fate, now))
        } else {
            fate.instead(now)
        };
        let said = match &answer {
            Ok(answer) => format!("{} {} bytes", answer.status, answer.body.len()),
            Err(Broken(cause)) => (*cause).to_owned(),
        };
        self.trace.note(now, || format!("request {id} {fate:?}: {said}"));
        if let Some(parked) = self.parked.get_mut(&id) {
            if !fate.is_silent() {
                parked.answer = Some(answer);
                parked.waker.wake_by_ref();
            }
            parked.due = None;
        }
    }

    /// What the other end does with a request.
    fn work(&mut self, sent: &Sent, fate: Fate, now: Timestamp) -> Answered {
        match Door::of(sent) {
            Door::Receiver => self.receiver.take(sent),
            Door::Channel => self.channel.take(sent),
            Door::Zoom(number) => {
                let account = &mut self.accounts[number];
                match fate {
                    Fate::TokenVoid => account.void_tokens(),
                    Fate::PageTokenVoid => account.epoch += 1,
                    _ => {}
                }
                let paging = match fate {
                    Fate::EmptyPage => Paging::Empty,
                    Fate::RepeatedToken => Paging::Repeat,
                    _ => Paging::Usual,
                };
                let (answer, more) = account.answer(sent, now, paging);
                if let Some(report) = more
                    && !self.peace
                    && self.shifts_left > 0
                    && self.rng.percent(self.shift_percent)
                {
                    self.shift(number, report, now);
                }
                answer
            }
        }
    }

    /// Rows come between two pages, and push what follows.
    fn shift(&mut self, number: usize, report: Report, now: Timestamp) {
        for _ in 0..=self.rng.below(4).min(self.shifts_left) {
            self.shifts_left = self.shifts_left.saturating_sub(1);
            let list = self.accounts[number].list(report);
            let twin = list
                .get(self.rng.index(list.len()))
                .filter(|item| now.duration_since(item.at) < self.late_reach[number])
                .copied();
            let account = &mut self.accounts[number];
            if let Some(twin) = twin.filter(|_| self.rng.percent(40.0)) {
                account.add(report, twin.at, twin.key, twin.timed);
                continue;
            }
            // Keys of rows that the plan knows nothing of lie far above its own.
            let key = 1_000_000 + self.rng.below(1_000_000_000);
            let at = Timestamp::from_second(now.as_second()).expect("a whole second");
            account.add(report, at, key, true);
        }
    }

    fn park(&mut self, sent: Sent, (engine, clock): (usize, &Clock), waker: &Waker) -> u64 {
        let rng = &mut self.engines[engine];
        let (monotonic, wall) = (clock.monotonic(), clock.now());
        let door = Door::of(&sent);
        let faults = match door {
            Door::Zoom(_) => self.zoom_faults,
            Door::Receiver | Door::Channel => self.receiver_faults,
        };
        let fate = if self.down && matches!(door, Door::Receiver) {
            Fate::Status(503)
        } else if self.peace || !rng.percent(faults) {
            Fate::Answered
        } else if matches!(door, Door::Zoom(_)) {
            self.only_fault.unwrap_or_else(|| Fate::of_zoom(rng))
        } else {
            // One event alone is never too much: refused for good, it would be nobody's loss.
            match Fate::of_receiver(rng) {
                Fate::Status(413) if lines(&sent.body) < 2 => Fate::Status(503),
                fate => fate,
            }
        };
        let report = Report::ALL
            .into_iter()
            .find(|report| report.path() == sent.url.path());
        if let (Door::Zoom(number), Some(report)) = (door, report) {
            *self.spent.entry((number, report, day(wall))).or_default() += 1;
        }
        // Mostly milliseconds; now and then so long that others do much in between.
        let most = if rng.percent(5.0) { 20_000 } else { 900 };
        let takes = Duration::from_millis(20 + rng.below(most));
        let due = (fate != Fate::Hangs).then(|| monotonic + takes);
        let id = self.next;
        self.next += 1;
        self.trace.note(self.now(monotonic), || {
            let query = sent.url.query().unwrap_or_default();
            format!(
                "request {id} leaves engine {engine}: {} {}?{query}",
                sent.method,
                sent.url.path()
            )
        });
        let parked = Parked {
            sent,
            fate,
            due,
            answer: None,
            waker: waker.clone(),
        };
        self.parked.insert(id, parked);
        id
    }
}

/// Whom a request is for.
#[derive(Debug, Clone, Copy)]
enum Door {
    /// The account's number.
    Zoom(usize),
    Receiver,
    Channel,
}

impl Door {
    fn of(sent: &Sent) -> Self {
        match sent.url.host_str() {
            Some("siem.example.com") => Self::Receiver,
            Some("hooks.example.com") => Self::Channel,
            _ => Self::Zoom(account_of(sent)),
        }
    }
}

fn lines(body: &[u8]) -> usize {
    body.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count()
}

/// The number of the account that a request names: in its form, or in its access token.
fn account_of(sent: &Sent) -> usize {
    let shown = sent
        .headers
        .get(zoom_log_engine::http::header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let text = format!("{shown} {}", String::from_utf8_lossy(&sent.body));
    usize::from(text.contains("account1"))
}

impl Shared {
    pub(super) fn new(world: World, clock: Clock) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
            clock,
            engine: 0,
        }
    }

    /// The handle of another engine, whose clock is another.
    pub(super) fn of(&self, engine: usize, clock: Clock) -> Self {
        let world = Arc::clone(&self.world);
        Self { world, clock, engine }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network for Shared {
    fn exchange(&self, request: Sent) -> BoxFuture<'static, Result<Answered, Broken>> {
        Box::pin(Exchange {
            shared: self.clone(),
            request: Some(request),
            id: None,
        })
    }
}

/// A request that is under way.
struct Exchange {
    shared: Shared,
    request: Option<Sent>,
    id: Option<u64>,
}

impl Future for Exchange {
    type Output = Result<Answered, Broken>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut world = this.shared.world();
        if let Some(request) = this.request.take() {
            this.id = Some(world.park(request, (this.shared.engine, &this.shared.clock), context.waker()));
            return Poll::Pending;
        }
        let Some(parked) = this.id.and_then(|id| world.parked.get_mut(&id)) else {
            return Poll::Pending;
        };
        if let Some(answer) = parked.answer.take() {
            return Poll::Ready(answer);
        }
        parked.waker.clone_from(context.waker());
        Poll::Pending
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let mut world = self.shared.world();
            let due = world.parked.get(&id).and_then(|parked| parked.due);
            // Who gives up does not take the request back: it may still arrive, and be worked on.
            if due.is_none() {
                world.parked.remove(&id);
            }
        }
    }
}
