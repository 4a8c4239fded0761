//! Rows that arrive by themselves, as in an account that is in use.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{generate::Mix, rows::Report, world::World};

/// How much arrives.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// Rows a second, in each report.
    pub rate: f64,
    /// Ends after so many rows in each report.
    #[serde(default)]
    pub limit: Option<u64>,
    #[serde(default)]
    pub mix: Mix,
}

impl World {
    /// Starts live traffic on both reports of an account, in place of what ran before.
    pub fn start_traffic(self: &Arc<Self>, account: &str, traffic: Traffic) -> bool {
        let stop = self.stop.child_token();
        {
            let mut state = self.state();
            let Some(found) = state.accounts.get_mut(account) else {
                return false;
            };
            for report in Report::ALL {
                found.feed(report).maker = super::generate::RowMaker::new(report, traffic.mix.seed);
            }
            if let Some(before) = found.traffic.replace(stop.clone()) {
                before.cancel();
            }
        }
        let (world, account) = (Arc::clone(self), account.to_owned());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = world.run_traffic(&account, traffic, &stop) => {}
            }
        });
        true
    }

    /// Stops live traffic; returns false where none ran.
    pub fn stop_traffic(&self, account: &str) -> bool {
        let mut state = self.state();
        let running = state
            .accounts
            .get_mut(account)
            .and_then(|found| found.traffic.take());
        running.inspect(CancellationToken::cancel).is_some()
    }

    /// Returns true while traffic still arrives.
    pub fn has_traffic(&self, account: &str) -> bool {
        let state = self.state();
        state
            .accounts
            .get(account)
            .is_some_and(|found| found.traffic.is_some())
    }

    async fn run_traffic(&self, account: &str, traffic: Traffic, stop: &CancellationToken) {
        let started = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let limit = traffic.limit.unwrap_or(u64::MAX);
        let mut shown = 0_u64;
        while shown < limit {
            tick.tick().await;
            // What is due by now, not what a tick is worth: the rate holds on a busy machine too.
            let due = started.elapsed().mul_f64(traffic.rate).as_secs().min(limit);
            let now = self.clock.now();
            let mut state = self.state();
            let Some(found) = state.accounts.get_mut(account) else {
                return;
            };
            if stop.is_cancelled() {
                return;
            }
            for report in Report::ALL {
                let feed = found.feed(report);
                for _ in shown..due {
                    let row = feed.maker.arrival(now, &traffic.mix);
                    feed.feed.extend([row]);
                }
            }
            shown = shown.max(due);
            if shown >= limit {
                found.traffic = None;
            }
        }
    }
}
