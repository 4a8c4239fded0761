//! The engines that share a store: each says that it lives, hears of changes, and follows one clock.
//!
//! What holds:
//! * All engines go by the database's clock, so that leases, due times and watermarks are those of one clock, however
//!   wrong that of a machine is.
//! * A word to the others is a wake and no more: one that is lost costs the idle beat.
//! * An engine that was taken for dead finds out at its next word, says so, and begins anew; what it had in hand is
//!   fenced by the store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    clock::Clock,
    retry::later,
    store::{Error, Store, engines::Beat},
    worker::{Next, Turn, Wakes, Worker},
};

/// The worker, and the word for that an engine came or goes.
const PEERS: &str = "peers";
/// It says so often within a lease that it lives.
const BEATS: u32 = 10;
/// How long what others are to be told is gathered.
const GATHER: Duration = Duration::from_millis(20);
/// The pause after the store could not be listened to.
const PAUSE: Duration = Duration::from_secs(1);
/// Who hears nothing for so long listens anew: a network that lost the connection without a word says nothing either.
const SILENCE: Duration = Duration::from_mins(2);
/// An answer that took longer tells nothing about the time.
const SLOW: Duration = Duration::from_secs(1);

/// This engine among those that share its store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Peers {
    store: Store,
    clock: Clock,
    wakes: Wakes,
    owner: Arc<str>,
    lease: Duration,
}

impl Peers {
    /// An engine that holds its leases as `owner`, and is taken for dead when it says nothing for so long.
    pub fn new(store: Store, clock: Clock, wakes: Wakes, owner: &str, lease: Duration) -> Self {
        Self {
            store,
            clock,
            wakes,
            owner: owner.into(),
            lease,
        }
    }

    /// Says for the first time that it lives; the clock is the database's from here on.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn join(&self) -> Result<(), Error> {
        let beat = self.beat().await?;
        info!(engines = beat.engines.len(), "joined the engines of the store");
        self.store.tell(&format!("{} {PEERS}", self.owner)).await
    }

    async fn beat(&self) -> Result<Beat, Error> {
        let began = self.clock.monotonic();
        // Others look a beat later at worst, and it is to be within the lease that they take over.
        let beat = self.store.beat(&self.owner, self.pause() * (BEATS - 2)).await?;
        let took = self.clock.monotonic().saturating_sub(began);
        if took < SLOW {
            self.clock.follow(later(beat.now, took / 2));
        }
        Ok(beat)
    }

    fn pause(&self) -> Duration {
        self.lease / BEATS
    }

    async fn look(&self) -> Result<(), Error> {
        let beat = self.beat().await?;
        if beat.joined {
            warn!(
                lease = ?self.lease,
                "this engine said nothing for longer than its lease, and the others took over what it had: what it was \
                 doing is fenced, and it begins anew"
            );
        }
        for dead in &beat.dead {
            warn!(
                engine = dead,
                "an engine of the store is dead: what it had is taken over"
            );
        }
        if beat.joined || !beat.dead.is_empty() {
            self.wakes.wake();
        }
        Ok(())
    }

    /// Tells the others whom to wake, until `stop` is cancelled.
    pub async fn tell(self, stop: CancellationToken) {
        loop {
            let names = tokio::select! {
                names = self.wakes.told() => names,
                () = stop.cancelled() => return,
            };
            if let Err(error) = self.store.tell(&format!("{} {names}", self.owner)).await {
                debug!(
                    error = error.chain(),
                    "the other engines are not told, and look by themselves"
                );
            }
            self.clock.sleep(GATHER).await;
        }
    }

    /// Wakes whom the others say, until `stop` is cancelled.
    pub async fn listen(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let heard = tokio::select! {
                heard = self.hear() => heard,
                () = stop.cancelled() => return,
            };
            if let Err(error) = heard {
                debug!(error = error.chain(), "the other engines are not heard");
                self.clock.sleep(PAUSE).await;
            }
        }
    }

    /// Listens until nothing was heard for long.
    async fn hear(&self) -> Result<(), Error> {
        let Ok(ears) = self.clock.timeout(SILENCE, self.store.listen()).await else {
            return Ok(());
        };
        let mut ears = ears?;
        while let Ok(text) = self.clock.timeout(SILENCE, ears.hear()).await {
            self.heard(&text?).await;
        }
        Ok(())
    }

    async fn heard(&self, text: &str) {
        let Some((owner, names)) = text.split_once(' ') else {
            return;
        };
        if owner == &*self.owner {
            return;
        }
        let names: Vec<&str> = names.split(',').collect();
        if names.contains(&PEERS) {
            // Somebody came or goes: what is at home here is another now.
            if let Err(error) = self.look().await {
                debug!(error = error.chain(), "the engines of the store cannot be read");
            }
            self.wakes.wake_here(&["*"]);
        } else {
            self.wakes.wake_here(&names);
        }
    }

    /// Once `stop` is cancelled, lets the others have what is at home here.
    pub async fn retire(self, stop: CancellationToken) {
        stop.cancelled().await;
        self.say_that_it_goes(self.store.retire(&self.owner).await).await;
    }

    /// Says that it is gone, and ends what it still had.
    pub async fn leave(&self) {
        self.say_that_it_goes(self.store.leave(&self.owner).await).await;
    }

    async fn say_that_it_goes(&self, done: Result<(), Error>) {
        let told = match done {
            Ok(()) => self.store.tell(&format!("{} {PEERS}", self.owner)).await,
            failed => failed,
        };
        if let Err(error) = told {
            warn!(
                error = error.chain(),
                "the other engines are not told that this one stops"
            );
        }
    }
}

#[async_trait]
impl Worker for Peers {
    fn name(&self) -> &'static str {
        PEERS
    }

    async fn activate(&self, stop: &CancellationToken, _turn: &mut Turn) -> Next {
        // One that stops must not come back to life by its own word.
        if !stop.is_cancelled()
            && let Err(error) = self.look().await
        {
            error!(error = error.chain(), "this engine cannot say that it lives");
        }
        Next::At(later(self.clock.now(), self.pause()))
    }
}
