//! Comparisons of secrets that go together: of many resources, few requests.
//!
//! Terraform plans several resources at once, each in an operation of its own. Who has candidates to compare joins those
//! who wait; one of them asks for all, and while it waits for the answer the next ones gather. Where comparisons follow
//! each other closely, it waits a moment for company first: there are others to plan meanwhile. Nothing is kept: each
//! answer is what the engine held when that operation asked, so a write in the same run needs no care.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use engine_api::{
    Code, CompareResult, ComparedItem, Kind, MOST_COMPARED,
    client::{Client, Error},
};
use serde_json::{Value as Json, json};
use tfplug::log;
use tokio::{
    sync::{Mutex as Turn, oneshot},
    time::sleep,
};

/// How many bytes of candidates one request holds; a quarter of what an engine takes by default.
const MOST_BYTES: usize = 256 * 1024;

/// How many are company enough, and how long to wait for them: less than Terraform's own work on as many resources.
const COMPANY: usize = 4;
const PATIENCE: Duration = Duration::from_millis(6);

/// How soon one request follows another where many resources are planned.
const CLOSELY: Duration = Duration::from_millis(50);

/// What one operation gets.
type Answer = Result<CompareResult, Arc<Error>>;

/// The comparisons of the objects of one kind.
#[derive(Debug)]
pub struct Compares {
    kind: Kind,
    waiting: Mutex<Vec<Waiting>>,
    /// Held by the one that asks: when the last one had its answer.
    turn: Turn<Option<Instant>>,
    /// Whether the engine is older than the request for several objects.
    one_by_one: AtomicBool,
}

#[derive(Debug)]
struct Waiting {
    id: String,
    secrets: Json,
    bytes: usize,
    answer: oneshot::Sender<Answer>,
}

impl Compares {
    /// Returns the comparisons of the objects of this kind.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            waiting: Mutex::default(),
            turn: Turn::default(),
            one_by_one: AtomicBool::new(false),
        }
    }

    /// Asks the engine whether all the candidates, by their field, equal the stored secrets of an object.
    ///
    /// # Errors
    ///
    /// Where the engine cannot be asked, or the object does not exist.
    ///
    /// # Cancel safety
    ///
    /// Where the future is dropped while it asks for others, too, they ask again.
    pub async fn all_match(
        &self,
        client: &Client,
        id: &str,
        candidates: &BTreeMap<String, String>,
    ) -> Result<bool, Arc<Error>> {
        let result = self.compare(client, id, candidates).await?;
        Ok(result.matches.values().all(|matches| *matches))
    }

    async fn compare(&self, client: &Client, id: &str, candidates: &BTreeMap<String, String>) -> Answer {
        loop {
            let (sender, mut receiver) = oneshot::channel();
            self.waiting().push(Waiting {
                id: id.to_owned(),
                secrets: json!(candidates),
                bytes: candidates
                    .iter()
                    .map(|(field, secret)| field.len() + secret.len())
                    .sum(),
                answer: sender,
            });
            loop {
                let answered = tokio::select! {
                    biased;
                    answered = &mut receiver => Some(answered),
                    mut turn = self.turn.lock() => {
                        if turn.is_some_and(|last| last.elapsed() < CLOSELY) {
                            self.gather().await;
                        }
                        let batch = self.next_batch();
                        self.ask(client, batch).await;
                        *turn = Some(Instant::now());
                        None
                    }
                };
                match answered {
                    Some(Ok(answer)) => return answer,
                    // Who asked for this one, too, was stopped on the way.
                    Some(Err(_)) => break,
                    None => {}
                }
            }
        }
    }

    /// Waits for company, though not for long.
    async fn gather(&self) {
        let until = Instant::now() + PATIENCE;
        while self.waiting().len() < COMPANY && Instant::now() < until {
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes those who wait, as far as one request can hold them; at least one, if there is one.
    fn next_batch(&self) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        let mut bytes = 0;
        let fits = waiting.iter().take(MOST_COMPARED).take_while(|next| {
            bytes += next.bytes;
            bytes <= MOST_BYTES
        });
        let count = fits.count().max(1).min(waiting.len());
        let rest = waiting.split_off(count);
        mem::replace(&mut *waiting, rest)
    }

    async fn ask(&self, client: &Client, batch: Vec<Waiting>) {
        let mut batches = vec![batch];
        while let Some(mut batch) = batches.pop() {
            if batch.len() < 2 || self.one_by_one.load(Ordering::Relaxed) {
                for one in batch {
                    let answer = client.compare(self.kind, &one.id, &one.secrets).await;
                    one.tell(answer.map_err(Arc::new));
                }
                continue;
            }
            let items: Vec<Json> = batch
                .iter()
                .map(|one| json!({ "id": one.id, "secrets": one.secrets }))
                .collect();
            match client.compare_all(self.kind, &Json::Array(items)).await {
                // The engine says best itself that an object does not exist.
                Ok(answers) => batches.extend(tell_all(batch, answers).map(|one| vec![one])),
                Err(Error::Problem(problem)) if problem.code() == Some(Code::BodyTooLarge) => {
                    let rest = batch.split_off(batch.len() / 2);
                    batches.extend([rest, batch]);
                }
                Err(Error::Problem(problem)) if unknown(problem.code()) => {
                    log::debug("an older engine: secrets are compared one by one", &[]);
                    self.one_by_one.store(true, Ordering::Relaxed);
                    batches.push(batch);
                }
                Err(error) => {
                    let error = Arc::new(error);
                    for one in batch {
                        one.tell(Err(Arc::clone(&error)));
                    }
                }
            }
        }
    }
}

impl Waiting {
    fn tell(self, answer: Answer) {
        // Who was stopped meanwhile needs no answer.
        let _ = self.answer.send(answer);
    }
}

/// Whether an engine does not know the request at all. One that does has no other reason to say so.
fn unknown(code: Option<Code>) -> bool {
    matches!(code, Some(Code::NotFound | Code::MethodNotAllowed))
}

/// Gives everybody their answer, and returns those for whom there is none.
fn tell_all(batch: Vec<Waiting>, answers: Vec<ComparedItem>) -> impl Iterator<Item = Waiting> {
    let mut answers = answers.into_iter();
    batch.into_iter().filter_map(move |one| {
        let answer = answers.next().filter(|answer| answer.id == one.id);
        match answer.and_then(|answer| answer.result) {
            Some(result) => {
                one.tell(Ok(result));
                None
            }
            None => Some(one),
        }
    })
}
