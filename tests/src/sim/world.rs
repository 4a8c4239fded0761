//! Everything that the simulated Zoom knows, behind one lock.
//!
//! The methods are the control API of tests in the same process; `control` gives the same over HTTP. The lock is a
//! plain mutex that is never held over an await: a page is cut in microseconds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    account::{App, Behaviour},
    clock::SimClock,
    consent::Consents,
    counters::{Counters, Record, Seen},
    fault::{FaultRule, Faults},
    feed::Feed,
    generate::{Bulk, Mix, RowMaker},
    limits::Usage,
    page_token::TokenSeal,
    rows::{Report, Row},
};

/// Rows that arrive between the pages of a read: after each page that is followed by another.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drip {
    pub rows_per_page: u64,
    /// How many rows arrive in all.
    pub rows: u64,
    #[serde(default)]
    pub mix: Mix,
}

/// How much a report holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub rows: u64,
    pub distinct: u64,
    pub bytes: u64,
}

/// The simulated Zoom.
#[derive(Debug)]
pub struct World {
    pub(super) base_url: String,
    pub(super) clock: SimClock,
    pub(super) seal: TokenSeal,
    pub(super) stop: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) accounts: BTreeMap<String, Account>,
    /// By client id.
    pub(super) apps: BTreeMap<String, App>,
    pub(super) access_tokens: BTreeMap<String, AccessToken>,
    /// Every access token ever given out, for tests that search for leaks.
    pub(super) minted: Vec<String>,
    pub(super) consents: Consents,
    pub(super) faults: Faults,
    pub(super) record: Record,
    /// Grows when a test voids all page tokens.
    pub(super) page_epoch: u64,
    /// Grows with each request, and so gives each its own order of equal times.
    pub(super) requests: u64,
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) behaviour: Behaviour,
    pub(super) usage: Usage,
    pub(super) operation: FeedState,
    pub(super) activity: FeedState,
    pub(super) traffic: Option<CancellationToken>,
}

#[derive(Debug)]
pub(super) struct FeedState {
    pub(super) feed: Feed,
    pub(super) maker: RowMaker,
    pub(super) drip: Option<Drip>,
}

#[derive(Debug, Clone)]
pub(super) struct AccessToken {
    pub(super) account_id: String,
    pub(super) client_id: String,
    /// As they were when it was minted: a later change shows in later tokens only.
    pub(super) scopes: Vec<String>,
    pub(super) expires: Timestamp,
}

impl Account {
    pub(super) fn feed(&mut self, report: Report) -> &mut FeedState {
        match report {
            Report::Operation => &mut self.operation,
            Report::Activity => &mut self.activity,
        }
    }
}

impl FeedState {
    fn new(report: Report) -> Self {
        Self {
            feed: Feed::default(),
            maker: RowMaker::new(report, 0),
            drip: None,
        }
    }
}

impl World {
    pub(super) fn new(base_url: String, stop: CancellationToken) -> Arc<Self> {
        let clock = SimClock::default();
        Arc::new(Self {
            base_url,
            clock,
            seal: TokenSeal::new(),
            stop,
            state: Mutex::default(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// Creates an account, or gives one that exists another behaviour; its rows stay.
    pub fn put_account(&self, id: &str, behaviour: Behaviour) {
        let mut state = self.state();
        if let Some(account) = state.accounts.get_mut(id) {
            account.behaviour = behaviour;
            return;
        }
        let account = Account {
            behaviour,
            usage: Usage::default(),
            operation: FeedState::new(Report::Operation),
            activity: FeedState::new(Report::Activity),
            traffic: None,
        };
        state.accounts.insert(id.to_owned(), account);
    }

    /// Changes how an account behaves; returns false where there is none.
    pub fn tune(&self, account: &str, change: impl FnOnce(&mut Behaviour)) -> bool {
        let mut state = self.state();
        state
            .accounts
            .get_mut(account)
            .map(|found| change(&mut found.behaviour))
            .is_some()
    }

    /// Creates or replaces an app.
    pub fn put_app(&self, app: App) {
        self.state().apps.insert(app.client_id.clone(), app);
    }

    /// Changes an app, a rotated secret for one; returns false where there is none.
    pub fn change_app(&self, client_id: &str, change: impl FnOnce(&mut App)) -> bool {
        self.state().apps.get_mut(client_id).map(change).is_some()
    }

    /// Creates an account with one app that may read both reports.
    pub fn simple_account(&self, account: &str, client_id: &str, client_secret: &str) {
        self.put_account(account, Behaviour::default());
        self.put_app(App::new(account, client_id, client_secret));
    }

    /// Shows rows from now on; returns how many.
    ///
    /// # Panics
    ///
    /// When there is no such account.
    pub fn add_rows(&self, account: &str, report: Report, rows: impl IntoIterator<Item = Row>) -> u64 {
        let mut state = self.state();
        let account = state
            .accounts
            .get_mut(account)
            .expect("an account of the simulator");
        account.feed(report).feed.extend(rows)
    }

    /// Shows one row, given as its exact text and listed at its own time.
    pub fn add_text(&self, account: &str, report: Report, text: &str) {
        let row = Row::from_text(text, None, self.clock.now()).expect("a row is a JSON object");
        self.add_rows(account, report, [row]);
    }

    /// Shows a generated history that ends now.
    pub fn generate(&self, account: &str, report: Report, bulk: Bulk) -> u64 {
        let rows = RowMaker::new(report, bulk.mix.seed).history(bulk, self.clock.now());
        self.add_rows(account, report, rows)
    }

    /// Lets rows arrive between the pages of the reads that follow; nothing ends it.
    pub fn drip(&self, account: &str, report: Report, drip: Option<Drip>) -> bool {
        let mut state = self.state();
        let Some(account) = state.accounts.get_mut(account) else {
            return false;
        };
        let feed = account.feed(report);
        if let Some(drip) = &drip {
            feed.maker = RowMaker::new(report, drip.mix.seed);
        }
        feed.drip = drip;
        true
    }

    pub fn inject(&self, rule: FaultRule) {
        self.state().faults.add(rule);
    }

    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Returns how often the rules that are still there may yet strike.
    pub fn faults_left(&self) -> u64 {
        self.state().faults.left()
    }

    /// Voids access tokens: those of one app, or all.
    pub fn revoke_tokens(&self, client_id: Option<&str>) -> usize {
        let mut state = self.state();
        let before = state.access_tokens.len();
        state
            .access_tokens
            .retain(|_, token| client_id.is_some_and(|id| id != token.client_id));
        before - state.access_tokens.len()
    }

    /// Ends people's consents to an app, as an account admin does in Zoom; returns how many.
    pub fn end_consents(&self, client_id: &str) -> usize {
        self.revoke_tokens(Some(client_id));
        self.state().consents.void(client_id, None)
    }

    /// Returns how many refresh tokens are good.
    pub fn refresh_tokens(&self) -> usize {
        self.state().consents.good()
    }

    /// Returns every `state`, code, verifier and refresh token that was ever seen or given out.
    pub fn consent_secrets(&self) -> Vec<String> {
        self.state().consents.given.clone()
    }

    /// Voids every page token that is out.
    pub fn void_page_tokens(&self) {
        self.state().page_epoch += 1;
    }

    /// Takes from the day's budget as another app of the account would.
    pub fn spend_elsewhere(&self, account: &str, requests: u64) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        state
            .accounts
            .get_mut(account)
            .map(|found| found.usage.spend_elsewhere(now, requests))
            .is_some()
    }

    /// Returns the requests that count against the account's day so far.
    pub fn used_today(&self, account: &str) -> Option<u64> {
        let now = self.clock.now();
        self.state()
            .accounts
            .get_mut(account)
            .map(|found| found.usage.used_today(now))
    }

    pub fn counters(&self) -> Counters {
        self.state().record.counters.clone()
    }

    /// Returns the latest requests, oldest first.
    pub fn recent(&self) -> Vec<Seen> {
        self.state().record.recent.iter().cloned().collect()
    }

    pub fn forget_counters(&self) {
        self.state().record = Record::default();
    }

    /// Returns every access token that was ever given out.
    pub fn minted_tokens(&self) -> Vec<String> {
        self.state().minted.clone()
    }

    /// Returns every row that a report could have shown, by exact text, with how often it is there.
    ///
    /// # Panics
    ///
    /// When there is no such account.
    pub fn ledger(&self, account: &str, report: Report) -> BTreeMap<Vec<u8>, u64> {
        let mut ledger = BTreeMap::new();
        self.each_row(account, report, |row| {
            // Most rows are there already only when they are twins, but an owned key for each lookup is waste.
            if let Some(times) = ledger.get_mut(row) {
                *times += 1;
            } else {
                ledger.insert(row.to_vec(), 1);
            }
        });
        ledger
    }

    pub fn row_count(&self, account: &str, report: Report) -> u64 {
        let mut state = self.state();
        state
            .accounts
            .get_mut(account)
            .map_or(0, |found| found.feed(report).feed.len())
    }

    pub fn summary(&self, account: &str, report: Report) -> Summary {
        let ledger = self.ledger(account, report);
        let rows = ledger.values().sum();
        let bytes = ledger.iter().map(|(row, times)| row.len() as u64 * times).sum();
        Summary {
            rows,
            distinct: ledger.len() as u64,
            bytes,
        }
    }

    /// Visits the exact text of every row of a report, oldest first.
    pub(super) fn each_row(&self, account: &str, report: Report, visit: impl FnMut(&[u8])) {
        let mut state = self.state();
        state
            .accounts
            .get_mut(account)
            .expect("an account of the simulator")
            .feed(report)
            .feed
            .each(visit);
    }
}

impl State {
    /// Gives out an access token for an app, and voids the one before where the app is of that kind.
    pub(super) fn mint(&mut self, app: &App, account: &str, now: Timestamp) -> String {
        let mut random = [0; 48];
        ring::rand::SystemRandom::new()
            .fill(&mut random)
            .expect("the system's random generator");
        let random = URL_SAFE_NO_PAD.encode(random);
        // The first part is the same in every token of Zoom's; claims are in those of people's consents.
        let head = "eyJzdiI6IjAwMDAwMiIsImFsZyI6IkhTNTEyIn0";
        let text = if app.server_to_server || !app.account_in_token {
            format!("{head}.{random}")
        } else {
            let claims = serde_json::json!({ "aid": account, "jti": &random[..8] });
            format!("{head}.{}.{random}", URL_SAFE_NO_PAD.encode(claims.to_string()))
        };
        self.access_tokens.retain(|_, token| {
            token.expires > now && !(app.single_token && token.client_id == app.client_id)
        });
        let life = SignedDuration::from_secs(i64::try_from(app.token_life_secs).unwrap_or(i64::MAX / 4));
        let token = AccessToken {
            account_id: account.to_owned(),
            client_id: app.client_id.clone(),
            scopes: app.scopes.clone(),
            expires: now + life,
        };
        self.access_tokens.insert(text.clone(), token);
        self.minted.push(text.clone());
        self.record.counters.access_tokens_minted += 1;
        text
    }
}
