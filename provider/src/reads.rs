//! Reads that go together: of many objects, few requests.
//!
//! Terraform refreshes one resource at a time, in any order, and an engine may have thousands. So the first read of an
//! object fetches those behind it, in the order of ids, along with it; each further miss fetches a longer stretch. Once
//! that is as long as a stretch can be, many are read, and a miss goes through all objects from the first on before it
//! asks for its own stretch: two pages each time. A thousand reads over a thousand objects are then some six requests
//! that fetch little twice; three reads fetch little that nobody asked for; and who reads a few of very many makes no
//! more than three requests for each.
//!
//! What was fetched is good for a while, and only as long as this run writes nothing of that kind: a write forgets it,
//! so that what is read next is what the write left.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use engine_api::{
    Spec, View,
    client::{Client, Error},
};
use tokio::sync::Mutex;

/// How many objects the first stretch has, how much longer each further one is, and the longest that the engine gives.
const FIRST: u32 = 16;
const GROWTH: u32 = 4;
const LONGEST: u32 = 500;

/// How many pages from the first object on a miss fetches, once many are read.
const PAGES: u32 = 2;

/// How long a stretch counts: longer than a refresh takes between two reads, and shorter than anybody waits between a
/// change by hand and a look at the plan.
const GOOD_FOR: Duration = Duration::from_secs(30);

/// What was read of the objects of one kind.
#[derive(Debug)]
pub struct Reads<S> {
    /// Grows when a write begins and when it ends, so that what was fetched before or meanwhile is recognised.
    writes: AtomicU64,
    fetched: Mutex<Fetched<S>>,
}

#[derive(Debug)]
struct Fetched<S> {
    writes: u64,
    stretches: Vec<Stretch<S>>,
    length: u32,
    /// How far all objects were fetched from the first on; none where that has not begun.
    through: Option<String>,
}

/// A range of ids, with every object in it that exists.
#[derive(Debug)]
struct Stretch<S> {
    /// What all ids of the range come after.
    after: String,
    /// The last id; none where it reaches to the end.
    to: Option<String>,
    at: Instant,
    views: BTreeMap<String, View<S>>,
}

impl<S> Stretch<S> {
    fn is_good(&self) -> bool {
        self.at.elapsed() < GOOD_FOR
    }

    fn holds(&self, id: &str) -> bool {
        *self.after < *id && self.to.as_deref().is_none_or(|to| id <= to) && self.is_good()
    }
}

impl<S: Spec> Stretch<S> {
    async fn fetch(client: &Client, after: String, length: u32) -> Result<Self, Error> {
        let at = Instant::now();
        let page = client.page::<S>(Some(&after), length).await?;
        let views = page.items.into_iter().map(|view| (view.id.clone(), view));
        Ok(Self {
            after,
            to: page.next,
            at,
            views: views.collect(),
        })
    }
}

impl<S> Fetched<S> {
    fn holding(&self, id: &str) -> Option<&Stretch<S>> {
        self.stretches.iter().find(|stretch| stretch.holds(id))
    }

    /// Drops what does not count any more.
    fn forget_old(&mut self) {
        let before = self.stretches.len();
        self.stretches.retain(Stretch::is_good);
        if self.stretches.len() < before {
            self.through = None;
        }
    }
}

impl<S> Default for Fetched<S> {
    fn default() -> Self {
        Self {
            writes: 0,
            stretches: Vec::new(),
            length: FIRST,
            through: None,
        }
    }
}

impl<S> Default for Reads<S> {
    fn default() -> Self {
        Self {
            writes: AtomicU64::new(0),
            fetched: Mutex::default(),
        }
    }
}

/// A write that goes on. What was fetched before its end is forgotten, also where the write is given up half way.
#[derive(Debug)]
pub struct Write<'a>(&'a AtomicU64);

impl Drop for Write<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl<S: Spec> Reads<S> {
    /// Says that a write begins, which ends when the answer is dropped.
    pub fn write(&self) -> Write<'_> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        Write(&self.writes)
    }

    /// Returns an object, from what was fetched already or with a request; none where it does not exist.
    ///
    /// # Errors
    ///
    /// Where the engine cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// Where the future is dropped, nothing is fetched, and the next read asks again.
    pub async fn get(&self, client: &Client, id: &str) -> Result<Option<View<S>>, Error> {
        // Everything sorts behind nothing, and ids that differ in their last letter only are as good as never made.
        let mut before = id.to_owned();
        if before.pop().is_none() {
            return Ok(None);
        }
        // One at a time: who waits here mostly finds what it wants in the stretch that the one before has fetched.
        let mut fetched = self.fetched.lock().await;
        let writes = self.writes.load(Ordering::SeqCst);
        if fetched.writes != writes {
            *fetched = Fetched {
                writes,
                length: fetched.length,
                ..Fetched::default()
            };
        }
        fetched.forget_old();
        if let Some(stretch) = fetched.holding(id) {
            return Ok(stretch.views.get(id).cloned());
        }
        if fetched.length == LONGEST {
            for _ in 0..PAGES {
                let after = fetched.through.clone().unwrap_or_default();
                if *after >= *before {
                    break;
                }
                let stretch = Stretch::fetch(client, after, LONGEST).await?;
                fetched.through.clone_from(&stretch.to);
                fetched.stretches.push(stretch);
                if let Some(stretch) = fetched.holding(id) {
                    return Ok(stretch.views.get(id).cloned());
                }
            }
        }
        let stretch = Stretch::fetch(client, before, fetched.length).await?;
        let found = stretch.views.get(id).cloned();
        fetched.length = (fetched.length * GROWTH).min(LONGEST);
        fetched.stretches.push(stretch);
        Ok(found)
    }
}
