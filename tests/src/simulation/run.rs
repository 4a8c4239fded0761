//! One seed, from its first row to its verdict.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    future::poll_fn,
    path::PathBuf,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp, civil::Date};
use zoom_log_engine::{
    clock::{Clock, Simulation},
    crash,
    store::Store,
};

use super::{
    check::{self, Owed},
    crashes::Crashes,
    engine::{Engine, Step},
    network::{Shared, World},
    plan::{Event, Plan},
    rows::day,
    seat::{Grave, Seat},
    template::Template,
    trace::Trace,
};
use crate::{rng::Rng, sim::Report};

/// Report requests of a day that may go beyond the budget.
const OVERSHOOT: u64 = 0;

/// What a seed did.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// Rows that had to be delivered.
    pub rows: u64,
    /// Engines over the one store.
    pub engines: usize,
    /// Lives of the engines, all together.
    pub lives: u32,
    /// How often one of several engines was paused.
    pub pauses: u32,
    /// Polls that ended because another engine had taken over their feed.
    pub fenced: u64,
    /// Notices of alarms.
    pub notices: usize,
    /// Report requests of a day beyond the budget, at most.
    pub over_budget: u64,
    /// Report requests, by account, report and day.
    pub requests: BTreeMap<(usize, Report, Date), u64>,
    /// Requests that Zoom failed at because of their day.
    pub unreadable: u64,
    /// Consents that somebody gave, the first of each source included.
    pub consents: u64,
    /// Crash points that were passed, each with how often.
    pub passed: BTreeMap<&'static str, u64>,
    /// Crash points at which the engine died.
    pub died_at: BTreeSet<&'static str>,
    /// Two runs of a seed that did the same have the same.
    pub digest: u64,
}

/// A seed that broke a law.
#[derive(Debug)]
pub struct Failure {
    /// Which.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
    /// What happened last.
    pub trace: String,
}

pub(super) struct Run<'a> {
    pub(super) plan: Plan,
    pub(super) template: &'a Template,
    pub(super) folder: PathBuf,
    /// True time: those of the engines may show another.
    pub(super) clock: Clock,
    time: Simulation,
    pub(super) shared: Shared,
    pub(super) seats: Vec<Seat>,
    pub(super) graves: Vec<Grave>,
    pub(super) crashes: Rc<RefCell<Crashes>>,
    pub(super) rng: Rng,
    /// Ids, with the number of their account.
    pub(super) sources: Vec<(String, usize)>,
    /// The next line of the script.
    pub(super) next: usize,
    pub(super) off: SignedDuration,
    watermarks: BTreeMap<(String, &'static str), Timestamp>,
    pub(super) outcome: Outcome,
    steps: u64,
}

/// Runs one seed; `told` prints everything that happens.
///
/// # Errors
///
/// The first law that it broke.
pub fn run(seed: u64, template: &Template, told: bool) -> Result<Outcome, Failure> {
    play(seed, Plan::of(seed), template, told)
}

/// Runs a plan as this seed.
pub(super) fn play(seed: u64, plan: Plan, template: &Template, told: bool) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let folder = template.folder();
    let result = runtime.block_on(async {
        let mut run = Run::begin(seed, plan, template, folder.path().to_owned(), told).await;
        let verdict = run.whole().await;
        let world = run.shared.world();
        run.outcome.digest = world.trace.digest();
        match verdict {
            Ok(()) => Ok(run.outcome.clone()),
            Err(what) => Err(Failure {
                seed,
                what,
                trace: world.trace.last(),
            }),
        }
    });
    runtime.shutdown_background();
    result
}

impl<'a> Run<'a> {
    async fn begin(seed: u64, plan: Plan, template: &'a Template, folder: PathBuf, told: bool) -> Self {
        let (clock, time) = Clock::simulated(plan.start);
        let mut trace = Trace::new(told);
        trace.note(plan.start, || format!("seed {seed}: {}", plan.summary()));
        let shared = Shared::new(World::new(&plan, trace), clock.clone());
        let seats = plan.engines.iter().enumerate();
        let seats = seats.map(|(number, off)| Seat::new(number, plan.start + *off, &shared));
        let mut run = Self {
            seats: seats.collect(),
            graves: Vec::new(),
            crashes: Rc::new(RefCell::new(Crashes::of(&plan))),
            rng: Rng::new(plan.way ^ 0xd1ce),
            outcome: Outcome {
                engines: plan.engines.len(),
                ..Outcome::default()
            },
            plan,
            template,
            folder,
            clock,
            time,
            shared,
            sources: Vec::new(),
            next: 0,
            off: SignedDuration::ZERO,
            watermarks: BTreeMap::new(),
            steps: 0,
        };
        run.begin_all().await;
        run.declare().await;
        run
    }

    async fn whole(&mut self) -> Result<(), String> {
        let crashes = Rc::clone(&self.crashes);
        let _watch = crash::watch(move |label| crashes.borrow_mut().passes(label));
        let ends = self.plan.trouble;
        self.until(|run| run.elapsed() >= ends).await?;
        self.make_peace();
        self.settle().await?;
        self.outcome.passed.clone_from(self.crashes.borrow().passed());
        let left = self.seats.iter().filter_map(|seat| seat.engine.as_ref());
        self.outcome.fenced += left.map(Engine::fenced).sum::<u64>();
        Ok(())
    }

    /// The store, as an engine that is awake sees it.
    pub(super) fn store(&self) -> &Store {
        let awake = self.seats.iter().filter_map(Seat::awake);
        let any = self.seats.iter().filter_map(|seat| seat.engine.as_ref());
        &awake.chain(any).next().expect("an engine that lives").store
    }

    /// Makes all workers of all engines look.
    pub(super) fn rouse(&mut self) {
        for engine in self.seats.iter_mut().filter_map(|seat| seat.engine.as_mut()) {
            engine.rouse();
        }
    }

    /// Sets the clocks of the engines: that of the database, which all follow, is off by `off`.
    pub(super) fn set_clocks(&self) {
        let now = self.now() + self.off;
        for (seat, off) in self.seats.iter().zip(&self.plan.engines) {
            seat.time.step_to(now + *off);
        }
    }

    fn elapsed(&self) -> SignedDuration {
        SignedDuration::try_from(self.clock.monotonic()).unwrap_or(SignedDuration::MAX)
    }

    /// The true time.
    pub(super) fn now(&self) -> Timestamp {
        self.plan.start + self.elapsed()
    }

    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        let now = self.now();
        self.shared.world().trace.note(now, what);
    }

    /// Faults end, clocks are right, limits are wide, and no row comes any more.
    fn make_peace(&mut self) {
        self.note(|| "peace".to_owned());
        self.crashes.borrow_mut().end();
        self.off = SignedDuration::ZERO;
        self.set_clocks();
        // Whoever is away comes back.
        for seat in &mut self.seats {
            seat.away = seat.away.and(Some(Duration::ZERO));
        }
        self.next = self.plan.script.len();
        let mut world = self.shared.world();
        world.peace = true;
        world.down = false;
        for account in &mut world.accounts {
            account.daily_limit = u64::MAX;
            account.unreadable = None;
        }
        drop(world);
        self.rouse();
    }

    /// Goes on until everything is delivered, and some polls longer to see that nothing more comes.
    async fn settle(&mut self) -> Result<(), String> {
        // Sources whose secret was replaced and never written anew get it now.
        for number in 0..self.plan.accounts.len() {
            self.rotate(number).await;
        }
        let first = day(self.plan.start_from);
        let quiet = self.elapsed();
        let beat = self.plan.poll_interval.max(SignedDuration::from_mins(15));
        let patience = SignedDuration::from_hours(4 * 24) + self.plan.sweep_interval * 12 + beat * 60;
        let mut paid_since: Option<SignedDuration> = None;
        loop {
            let until = self.elapsed() + beat;
            self.until(|run| run.elapsed() >= until).await?;
            self.watermarks().await?;
            self.consents().await;
            let owed = Owed::of(&self.shared.world(), &self.sources, first, self.now());
            let paid = self.compare(&owed)?;
            if paid.is_ok() {
                let since = *paid_since.get_or_insert(self.elapsed());
                let enough = self.plan.sweep_interval.max(beat) * 2;
                if self.elapsed() - since >= enough {
                    self.outcome.rows = owed.rows();
                    return self.finish();
                }
            } else {
                paid_since = None;
            }
            if self.elapsed() - quiet > patience {
                return Err(format!(
                    "rows are lost: so long after everything is quiet they are not delivered\n{}{}",
                    paid.err().unwrap_or_default(),
                    self.feeds().await
                ));
            }
        }
    }

    /// Holds what was delivered against what is owed. The outer error is a row too many, which nothing can repair.
    fn compare(&self, owed: &Owed) -> Result<Result<(), String>, String> {
        let world = self.shared.world();
        if let Some(wrong) = world.receiver.wrong.iter().chain(&world.channel.wrong).next() {
            return Err(wrong.clone());
        }
        let mut all = vec![("the receiver", world.receiver.events.clone())];
        if self.plan.file {
            let bytes = std::fs::read(self.folder.join("out").join("lake")).unwrap_or_default();
            all.push(("the file", check::file(&bytes)?));
        }
        let other = all.get(1).map(|(_, events)| events.as_slice());
        let mut missing = String::new();
        for (at, (name, events)) in all.iter().enumerate() {
            if let Some(wrong) = check::unsound(events, other.filter(|_| at == 0)) {
                return Err(format!("{name}: {wrong}"));
            }
            let counts = check::counts(events);
            let surplus = owed.surplus(&counts);
            if !surplus.is_empty() {
                let rows = check::describe(&world, &self.sources, &surplus);
                return Err(format!("rows are doubled at {name}\n{rows}"));
            }
            if !owed.is_paid(&counts) {
                let rows = check::describe(&world, &self.sources, &owed.lost(&counts));
                let _ = write!(missing, "missing at {name}:\n{rows}");
            }
        }
        Ok(if missing.is_empty() { Ok(()) } else { Err(missing) })
    }

    fn finish(&mut self) -> Result<(), String> {
        let world = self.shared.world();
        self.outcome.notices = world.channel.count();
        let jumps = self
            .plan
            .script
            .iter()
            .any(|(_, event)| matches!(event, Event::ClockOff(_)));
        self.outcome.requests.clone_from(&world.spent);
        self.outcome.unreadable = world.accounts.iter().map(|account| account.failed).sum();
        let mut days: BTreeMap<(usize, Date), u64> = BTreeMap::new();
        for ((account, _, day), spent) in &world.spent {
            *days.entry((*account, *day)).or_default() += spent;
        }
        for ((account, day), spent) in days {
            let over = spent.saturating_sub(self.plan.daily_budget);
            self.outcome.over_budget = self.outcome.over_budget.max(over);
            // A wall clock that jumps makes days of its own.
            if over > OVERSHOOT && !jumps {
                return Err(format!(
                    "the budget was not kept: account{account} was asked {spent} times on {day}, {} allowed",
                    self.plan.daily_budget
                ));
            }
        }
        let alive = self.outcome.pauses == 0 && self.outcome.lives as usize == self.outcome.engines;
        if alive && self.plan.receiver_faults == 0.0 && world.channel.repeats > 0 {
            return Err(format!(
                "{} notices came again, though nothing failed",
                world.channel.repeats
            ));
        }
        // A refresh token whose answer arrives is good for ever, so nobody is asked a second time.
        let asked_once = self
            .plan
            .accounts
            .iter()
            .filter(|account| account.consent)
            .count();
        let sources = self.sources.iter();
        let with_consent = sources.filter(|(_, account)| self.plan.accounts[*account].consent);
        if alive && self.plan.zoom_faults == 0.0 && self.outcome.consents > with_consent.count() as u64 {
            return Err(format!(
                "{} consents were needed, for {asked_once} accounts",
                self.outcome.consents
            ));
        }
        Ok(())
    }

    /// Holds that no watermark moved back.
    pub(super) async fn watermarks(&mut self) -> Result<(), String> {
        for (source, _) in &self.sources {
            let feeds = self.store().feed_rows(source).await;
            for feed in feeds.map_err(|error| error.to_string())? {
                let key = (source.clone(), feed.log_type.as_str());
                let before = self.watermarks.insert(key, feed.watermark);
                if before.is_some_and(|before| before > feed.watermark) {
                    return Err(format!(
                        "the watermark of {source}/{} moved back from {before:?} to {}",
                        feed.log_type, feed.watermark
                    ));
                }
            }
        }
        Ok(())
    }

    async fn feeds(&self) -> String {
        let mut text = String::new();
        for (source, _) in &self.sources {
            let rows = self.store().feed_rows(source).await;
            let _ = writeln!(text, "{rows:#?}");
        }
        text
    }

    /// Lets things happen until `enough`.
    async fn until(&mut self, enough: impl Fn(&Self) -> bool) -> Result<(), String> {
        while !enough(self) {
            self.steps += 1;
            if self.steps > self.plan.most_steps {
                return Err("the engine does not come to rest".to_owned());
            }
            self.returns().await?;
            self.happenings().await?;
            self.shared.world().arrivals(self.clock.monotonic());
            let ready = self.ready();
            if !ready.is_empty() {
                let chosen = ready[self.rng.index(ready.len())];
                self.move_on(chosen).await?;
                continue;
            }
            let stopped = |seat: &Seat| seat.awake().is_some_and(Engine::is_stopped);
            match self.seats.iter().position(stopped) {
                Some(number) => self.ended(number).await?,
                None => self.pass().await?,
            }
        }
        Ok(())
    }

    /// What can move now: runners of engines that are awake.
    fn ready(&self) -> Vec<(usize, usize)> {
        let awake = self.seats.iter().enumerate();
        let of = |(number, seat): (usize, &Seat)| {
            let ready = seat.awake().map(Engine::ready).unwrap_or_default();
            ready.into_iter().map(move |runner| (number, runner))
        };
        awake.flat_map(of).collect()
    }

    async fn move_on(&mut self, (number, runner): (usize, usize)) -> Result<(), String> {
        let Some(engine) = self.seats[number].awake_mut() else {
            return Ok(());
        };
        let wakers = engine.wakers().into_iter();
        let mut woken: Vec<_> = wakers
            .map(|(name, notify)| {
                let mut woken = Box::pin(notify.notified_owned());
                woken.as_mut().enable();
                (name, woken)
            })
            .collect();
        self.crashes.borrow_mut().engine = number;
        let crashes = Rc::clone(&self.crashes);
        let step = engine.drive(runner, || crashes.borrow().struck()).await;
        if step == Step::Struck {
            let label = self.crashes.borrow_mut().take();
            let worker = engine.name(runner);
            self.outcome.died_at.insert(label);
            drop(woken);
            return self.dies(number, &format!("dies in {worker} at {label}")).await;
        }
        for (name, woken) in &mut woken {
            let woke = poll_fn(|context| Poll::Ready(woken.as_mut().poll(context).is_ready())).await;
            // A wake that is lost costs one beat.
            if woke && !self.rng.percent(3.0) {
                engine.wake(name);
            }
        }
        let told = engine.wakes.told().now_or_never().unwrap_or_default();
        for seat in self.seats.iter_mut().filter(|seat| seat.number != number) {
            if let Some(other) = &mut seat.engine
                && !self.rng.percent(10.0)
            {
                told.split(',').for_each(|name| other.hear(name));
            }
        }
        Ok(())
    }

    /// Nobody can move: time does.
    async fn pass(&mut self) -> Result<(), String> {
        if self.strikes().await? {
            return Ok(());
        }
        if self.rng.percent(5.0) {
            self.watermarks().await?;
            self.consents().await;
        }
        let monotonic = self.clock.monotonic();
        let request = self.shared.world().next_due();
        let scripted = self
            .plan
            .script
            .get(self.next)
            .map(|(at, _)| Duration::try_from(at.duration_since(self.now())).unwrap_or_default());
        let dues = self.graves.iter().map(|grave| grave.due).chain(request);
        let step = dues
            .map(|due| due.saturating_sub(monotonic))
            .chain(scripted)
            .chain(self.seats.iter().filter_map(Seat::next_due))
            // Nobody waits for ever: there is always the beat.
            .chain([Duration::try_from(self.plan.poll_interval).unwrap_or_default()])
            .min();
        // What is due by the wall clock may be due at once, and yet not be for whoever waits on it.
        let step = step.unwrap_or_default().max(Duration::from_millis(1));
        self.time.advance(step);
        let rng = &mut self.rng;
        for seat in &mut self.seats {
            seat.time.advance(step);
            if let Some(engine) = seat.awake_mut() {
                engine.look(|| rng.percent(5.0));
            }
        }
        Ok(())
    }
}
