//! Lives of the engines: they begin, are struck, go away for a while, and come back.

use std::time::Duration;

use super::{
    engine::Engine,
    run::Run,
    seat::{Grave, Seat},
    template::Template,
};

/// Lives of all engines in one seed before nothing more strikes them.
const MOST_LIVES: u32 = 30;
/// Pauses in one seed.
const MOST_PAUSES: u32 = 40;

impl Run<'_> {
    /// Starts the engines for the first time.
    pub(super) async fn begin_all(&mut self) {
        self.template.database(&self.folder, 0);
        for number in 0..self.seats.len() {
            self.outcome.lives += 1;
            let engine = self.engine(&self.seats[number], 0).await;
            self.seats[number].engine = Some(engine);
        }
    }

    async fn engine(&self, seat: &Seat, life: u32) -> Engine {
        let owner = format!("engine{}/{}", seat.number, self.outcome.lives);
        let database = Template::path(&self.folder, life);
        Engine::start(
            &self.plan,
            &database,
            self.template.vault(),
            (&seat.clock, &seat.network),
            owner,
        )
        .await
    }

    fn is_alone(&self) -> bool {
        self.seats.len() == 1
    }

    /// An engine dies as it is. Alone, another one starts at once on what is in the files; of several, it may be down for
    /// a while.
    pub(super) async fn dies(&mut self, number: usize, how: &str) -> Result<(), String> {
        self.note(|| format!("engine {number} {how}"));
        if self.is_alone() {
            return self.start_on_a_copy(number).await;
        }
        self.graves.extend(Grave::of(&self.seats[number]));
        if let Some(engine) = self.seats[number].engine.take() {
            self.outcome.fenced += engine.fenced();
            engine.kill().await;
        }
        let down = if self.seats.iter().all(|seat| seat.awake().is_none()) || self.shared.world().peace {
            0
        } else {
            [
                0,
                5,
                self.rng.below(100),
                self.rng.below(900),
                self.rng.below(20_000),
            ][self.rng.index(5)]
        };
        self.seats[number].away = Some(self.seats[number].clock.monotonic() + Duration::from_secs(down));
        self.returns().await
    }

    /// An engine that was told to stop has ended, and starts again.
    pub(super) async fn ended(&mut self, number: usize) -> Result<(), String> {
        self.note(|| format!("engine {number} has stopped in order"));
        if self.is_alone() {
            return self.start_on_a_copy(number).await;
        }
        if let Some(engine) = self.seats[number].engine.take() {
            self.outcome.fenced += engine.fenced();
            // What it still has it gives back.
            let done = engine.store.bury(&engine.owner).await;
            done.map_err(|error| error.chain())?;
            engine.kill().await;
        }
        self.seats[number].away = Some(Duration::ZERO);
        self.returns().await
    }

    /// The old one's connections may still be open: the new one goes on with a copy of the bytes as they are now.
    async fn start_on_a_copy(&mut self, number: usize) -> Result<(), String> {
        let (before, life) = (self.seats[number].life, self.outcome.lives);
        self.outcome.lives += 1;
        Template::copy(&self.folder, before, life);
        let engine = self.engine(&self.seats[number], life).await;
        self.most_lives();
        self.note(|| format!("life {life} begins"));
        self.seats[number].life = life;
        drop(self.seats[number].engine.replace(engine));
        Template::forget(&self.folder, before);
        self.watermarks().await
    }

    fn most_lives(&mut self) {
        if self.outcome.lives >= MOST_LIVES {
            self.crashes.borrow_mut().end();
        }
    }

    /// Those whose time away is over come back, and the leases of those who were silent for too long are ended.
    pub(super) async fn returns(&mut self) -> Result<(), String> {
        let now = self.clock.monotonic();
        for number in 0..self.seats.len() {
            if self.seats[number].away.is_none_or(|until| until > now) {
                continue;
            }
            self.seats[number].away = None;
            if let Some(engine) = &self.seats[number].engine {
                self.graves.retain(|grave| grave.owner != engine.owner);
                self.note(|| format!("engine {number} goes on"));
                continue;
            }
            self.outcome.lives += 1;
            let engine = self.engine(&self.seats[number], 0).await;
            self.most_lives();
            let owner = engine.owner.clone();
            self.note(|| format!("engine {number} begins anew as {owner}"));
            self.seats[number].engine = Some(engine);
            self.watermarks().await?;
        }
        while let Some(at) = self.graves.iter().position(|grave| grave.due <= now) {
            let Grave { owner, .. } = self.graves.swap_remove(at);
            self.note(|| format!("the others end the leases of {owner}"));
            self.store().bury(&owner).await.map_err(|error| error.chain())?;
            self.rouse();
        }
        Ok(())
    }

    /// What strikes an engine while everybody waits; answers whether anything did.
    pub(super) async fn strikes(&mut self) -> Result<bool, String> {
        if self.shared.world().peace {
            return Ok(false);
        }
        if self.outcome.lives < MOST_LIVES && self.rng.percent(self.plan.kill_percent) {
            let number = self.rng.index(self.seats.len());
            if self.seats[number].engine.is_some() {
                self.dies(number, "is killed").await?;
                return Ok(true);
            }
        }
        if !self.is_alone() && self.outcome.pauses < MOST_PAUSES && self.rng.percent(self.plan.pause_percent)
        {
            return Ok(self.pause());
        }
        Ok(false)
    }

    /// Pauses an engine that is at something, unless no other is awake.
    fn pause(&mut self) -> bool {
        let number = self.rng.index(self.seats.len());
        let others = self.seats.iter().filter(|seat| seat.number != number);
        let seat = &self.seats[number];
        if others.filter(|seat| seat.awake().is_some()).count() == 0
            || !seat.awake().is_some_and(Engine::is_at_something)
        {
            return false;
        }
        // Now and then shorter than it takes until the others notice.
        let length = [
            self.rng.below(30),
            40 + self.rng.below(600),
            40 + self.rng.below(10_000),
        ][self.rng.index(3)];
        self.graves.extend(Grave::of(seat));
        self.outcome.pauses += 1;
        self.seats[number].away = Some(self.clock.monotonic() + Duration::from_secs(length));
        self.note(|| format!("engine {number} is paused for {length} s"));
        true
    }
}
