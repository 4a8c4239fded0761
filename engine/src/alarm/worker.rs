//! The alarm worker: judges what is due.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use engine_api::{AlarmState, EngineView};
use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::rules::{Facts, Stuck, Verdict, is_told, judge};
use crate::{
    clock::Clock,
    crash,
    retry::later,
    store::{
        Error, Store,
        alarms::{Alarmed, Judged},
        notices::NewNotice,
    },
    telemetry::{AlarmLabels, Telemetry},
    worker::{Next, Turn, Worker},
};

/// So many alarms are judged in one transaction.
const STEP: u32 = 100;
const STORE_PAUSE: Duration = Duration::from_secs(5);
/// An engine that was away for long is given so much time to poll before its own absence raises an alarm.
const WARM_UP: Duration = Duration::from_mins(1);

/// Judges drop-off alarms.
pub struct AlarmWorker {
    store: Store,
    clock: Clock,
    telemetry: Telemetry,
    engine: EngineView,
    pub(super) started: Timestamp,
    noticed: Box<dyn Fn() + Send + Sync>,
}

impl AlarmWorker {
    /// A worker over these doors. `engine` is named in every notice; `noticed` is called when there are new notices,
    /// so that they are sent at once.
    pub fn new(
        store: Store,
        clock: Clock,
        telemetry: Telemetry,
        engine: EngineView,
        noticed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self {
            started: clock.now(),
            store,
            clock,
            telemetry,
            engine,
            noticed: Box::new(noticed),
        }
    }

    async fn round(&self) -> Result<Next, Error> {
        let now = self.clock.now();
        crash::point("alarm.before_judge").await;
        let round = self
            .store
            .judge_alarms(STEP, |alarm| self.verdict(alarm, now))
            .await?;
        crash::point("alarm.judged").await;
        if round.notices > 0 {
            (self.noticed)();
        }
        if round.judged == STEP as usize {
            return Ok(Next::Again);
        }
        if round.judged > 0 {
            for (state, count) in self.store.alarm_counts().await? {
                #[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 alarms")]
                self.telemetry.alarms.set(
                    &AlarmLabels {
                        state: state.as_str(),
                    },
                    count as f64,
                );
            }
        }
        Ok(self.store.next_alarm_due().await?.map_or(Next::Idle, Next::At))
    }

    fn verdict(&self, alarm: &Alarmed, now: Timestamp) -> Judged {
        let after = alarm.spec.after.get();
        let warm = later(self.started, WARM_UP);
        let stuck = alarm.undelivered.as_ref().map(|undelivered| Stuck {
            destination: &undelivered.destination,
            // What lay there while the engine was away is no fault of a destination that had no trouble.
            since: match undelivered.trouble {
                Some(_) => undelivered.since,
                None => undelivered.since.max(earlier(warm, after)),
            },
            trouble: undelivered.trouble.as_ref(),
        });
        let facts = Facts {
            state: alarm.state,
            cause: &alarm.cause,
            began_at: alarm.began_at,
            last_success_at: alarm.last_success_at,
            last_collected_at: alarm.last_collected_at,
            trouble: alarm.trouble.as_ref(),
            stuck,
            after,
        };
        let verdict = judge(&facts, now);
        let unheard = alarm.trouble.is_none() && alarm.last_success_at.is_none_or(|at| at < self.started);
        if now < warm && unheard && verdict.state == AlarmState::Alarm && alarm.state != AlarmState::Alarm {
            // The first poll after a start says whether Zoom is quiet or the collection broken, or ends the silence.
            return Judged {
                state: alarm.state,
                cause: alarm.cause.clone(),
                due_at: warm,
                notices: Vec::new(),
            };
        }
        let mut notices = Vec::new();
        if is_told(alarm.state, verdict.state) {
            let (from, to) = (alarm.state.as_str(), verdict.state.as_str());
            info!(feed = %alarm.feed, from, to, cause = verdict.cause, "alarm changed");
            notices.extend(alarm.spec.channel_ids.iter().map(|channel| {
                let id = notice_id(&[
                    &alarm.feed.to_string(),
                    from,
                    to,
                    &alarm.since.to_string(),
                    &now.to_string(),
                    channel.as_str(),
                ]);
                NewNotice {
                    body: self.body(&id, alarm, &verdict, now),
                    channel: channel.clone(),
                    id,
                }
            }));
        }
        Judged {
            state: verdict.state,
            cause: verdict.cause,
            due_at: verdict.due_at,
            notices,
        }
    }

    fn body(&self, id: &str, alarm: &Alarmed, verdict: &Verdict, now: Timestamp) -> String {
        json!({
            "type": "zoom_log.drop_off_alarm",
            "id": id,
            "state": verdict.state,
            "previous_state": alarm.state,
            "cause": verdict.cause,
            "source": { "id": alarm.feed.source, "name": alarm.source_name },
            "log_type": alarm.feed.log_type.delivered_as(),
            "since": now,
            "last_event_at": alarm.last_event_at,
            "last_success_at": alarm.last_success_at,
            "after": alarm.spec.after,
            "engine": {
                "engine_id": self.engine.engine_id,
                "version": self.engine.version,
                "public_url": self.engine.public_url,
            },
        })
        .to_string()
    }
}

#[async_trait]
impl Worker for AlarmWorker {
    fn name(&self) -> &'static str {
        crate::worker::ALARM
    }

    async fn activate(&self, _stop: &CancellationToken, _turn: &mut Turn) -> Next {
        self.round().await.unwrap_or_else(|cause| {
            error!(error = cause.chain(), "alarms cannot be judged");
            Next::At(later(self.clock.now(), STORE_PAUSE))
        })
    }
}

impl fmt::Debug for AlarmWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlarmWorker")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// An instant so much earlier; the beginning of time where there is none.
fn earlier(instant: Timestamp, length: Duration) -> Timestamp {
    let length = jiff::SignedDuration::try_from(length).unwrap_or(jiff::SignedDuration::MAX);
    instant.saturating_sub(length).unwrap_or(Timestamp::MIN)
}

/// A notice's id: one for each transition and channel.
fn notice_id(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"zoom-log-notice/1\0");
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut id = hasher.finalize().to_hex().to_string();
    id.truncate(32);
    id.insert_str(0, "ntc_");
    id
}
