//! The requests that a poll may make: set aside in the account's budget before they are made.

use tracing::warn;

use super::{Intake, stopped::Stopped};
use crate::{
    crash,
    model::{Allowance, DailyLimit, Day, Purpose},
    store::budgets::Bound,
};

/// The most requests that are set aside at once. A crash loses them until midnight.
const MOST: u64 = 32;

/// Requests of one poll.
pub(super) struct Purse<'a> {
    intake: &'a Intake,
    account: &'a str,
    daily: u64,
    /// The day whose budget `held` was taken from.
    day: Day,
    /// Set aside and not made.
    held: u64,
    /// How many are set aside next: one for an idle poll, more for a long read.
    next: u64,
    told: DailyLimit,
}

impl<'a> Purse<'a> {
    pub(super) fn new(intake: &'a Intake, account: &'a str, daily: u64) -> Self {
        Self {
            intake,
            account,
            daily,
            day: Day::of(intake.clock.now()),
            held: 0,
            next: 1,
            told: DailyLimit::default(),
        }
    }

    /// Takes one request.
    ///
    /// # Errors
    ///
    /// [`Stopped::Budget`] where the account allows none for this purpose.
    pub(super) async fn take(&mut self, purpose: Purpose) -> Result<(), Stopped> {
        let now = self.intake.clock.now();
        if Day::of(now) != self.day {
            self.close().await;
            self.day = Day::of(now);
        }
        if self.held == 0 {
            let bound = Bound {
                daily: self.daily,
                purpose,
            };
            let store = &self.intake.store;
            crash::point("budget.before_set_aside").await;
            let allowance = store.set_aside(self.account, now, self.next, bound).await?;
            crash::point("budget.set_aside").await;
            match allowance {
                Allowance::Requests(requests) => self.held = requests,
                Allowance::Nothing(until) => return Err(Stopped::Budget { until }),
            }
            self.next = (self.next * 2).min(MOST);
        }
        self.held -= 1;
        Ok(())
    }

    /// Notes what Zoom said last about the account's requests today.
    pub(super) fn told(&mut self, told: DailyLimit) {
        self.told = told.or(self.told);
    }

    /// Gives back what was not needed. A store that fails here makes the budget look smaller than it is.
    pub(super) async fn close(&mut self) {
        let (held, told) = (std::mem::take(&mut self.held), std::mem::take(&mut self.told));
        if held == 0 && told == DailyLimit::default() {
            return;
        }
        let store = &self.intake.store;
        let done = store.give_back(self.account, self.day, held, told).await;
        crash::point("budget.given_back").await;
        if let Err(error) = done {
            warn!(
                error = error.chain(),
                "cannot note what a poll has left of its requests"
            );
        }
    }
}
