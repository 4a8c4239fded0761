//! The simulated Zoom: it owns the truth, and answers as the real one does where nothing goes wrong.
//!
//! It is written apart from [`crate::sim`], which runs as a process on real time: this one costs microseconds a
//! request, follows the simulation's clock, and has no randomness of its own.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::json;
use zoom_log_engine::http::{
    Answered, Sent, StatusCode,
    header::{AUTHORIZATION, HeaderName},
};

use super::{
    answer::{self, Limited, refusal},
    rows::{Form, Item, day},
};
use crate::sim::Report;

/// How one account behaves for the whole of a seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manners {
    pub(super) newest_first: bool,
    pub(super) snapshot_tokens: bool,
    /// What pages are divided by, so that few rows make many pages: 300 rows become 12 at 25.
    pub(super) page_divisor: u64,
    pub(super) null_end_token: bool,
    pub(super) refuses_tomorrow: bool,
    /// A new access token voids the one before.
    pub(super) single_token: bool,
    /// How a limit is told.
    pub(super) limited: Limited,
    /// The status of an answer that refuses a range or a page token.
    pub(super) range_status: u16,
    /// Answers say what time it is at Zoom, as those of most servers do.
    pub(super) says_time: bool,
}

/// One Zoom account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) manners: Manners,
    pub(super) form: Form,
    /// Report requests that Zoom allows a day, all apps together.
    pub(super) daily_limit: u64,
    /// A day that it fails at, where that is asked for by itself.
    pub(super) unreadable: Option<Date>,
    /// How often it did.
    pub(super) failed: u64,
    lists: [Vec<Item>; 2],
    arrived: u64,
    tokens: BTreeMap<String, Timestamp>,
    minted: u64,
    /// Refresh tokens that are good, each for one use.
    refresh: BTreeSet<String>,
    /// Report requests that arrived, by Zoom's own day.
    asked: BTreeMap<Date, u64>,
    /// Grows when all page tokens are voided.
    pub(super) epoch: u64,
}

/// What a page answer may be made to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paging {
    Usual,
    /// A page without rows that promises more.
    Empty,
    /// The token that asked comes again. A first page has none: to serve it twice under two tokens would be to lie
    /// about what is there, which no rule can see through.
    Repeat,
}

const TOKEN_LIFE: SignedDuration = SignedDuration::from_secs(3_600);
const PAGE_TOKEN_LIFE: SignedDuration = SignedDuration::from_secs(900);

impl Account {
    pub(super) fn new(id: &str, secret: &str, manners: Manners, daily_limit: u64) -> Self {
        Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
            manners,
            form: Form::Plain,
            daily_limit,
            unreadable: None,
            failed: 0,
            lists: [Vec::new(), Vec::new()],
            arrived: 0,
            tokens: BTreeMap::new(),
            minted: 0,
            refresh: BTreeSet::new(),
            asked: BTreeMap::new(),
            epoch: 0,
        }
    }

    /// Shows a row from now on.
    pub(super) fn add(&mut self, report: Report, at: Timestamp, key: u64, timed: bool) {
        self.arrived += 1;
        let item = Item {
            at,
            arrived: self.arrived,
            key,
            timed,
        };
        let list = &mut self.lists[report as usize];
        let place = list.partition_point(|other| (other.at, other.arrived) < (item.at, item.arrived));
        list.insert(place, item);
    }

    pub(super) fn list(&self, report: Report) -> &[Item] {
        &self.lists[report as usize]
    }

    /// Voids every access token.
    pub(super) fn void_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Somebody consents: the refresh token that comes of it.
    pub(super) fn consent(&mut self) -> String {
        self.minted += 1;
        let token = format!("refresh-{}-{}", self.id, self.minted);
        self.refresh.insert(token.clone());
        token
    }

    /// Answers a request at one of Zoom's doors. The second part says that rows of this report follow on another page.
    pub(super) fn answer(
        &mut self,
        sent: &Sent,
        now: Timestamp,
        paging: Paging,
    ) -> (Answered, Option<Report>) {
        let path = sent.url.path();
        let Some(report) = Report::ALL.into_iter().find(|report| report.path() == path) else {
            return (self.token(sent, now), None);
        };
        *self.asked.entry(day(now)).or_default() += 1;
        let good = bearer(sent).and_then(|token| self.tokens.get(token)).copied();
        if good.is_none_or(|expires| expires <= now) {
            return (refusal(401, 124, "Invalid access token."), None);
        }
        if self
            .asked
            .get(&day(now))
            .is_some_and(|asked| *asked > self.daily_limit)
        {
            return (answer::daily_limit(self.manners.limited, now), None);
        }
        if let Some(day) = self.unreadable.map(|day| day.to_string())
            && sent
                .url
                .query_pairs()
                .filter(|(name, value)| matches!(&**name, "from" | "to") && *value == day)
                .count()
                == 2
        {
            self.failed += 1;
            return (refusal(500, 500, "Internal server error."), None);
        }
        match self.page(report, sent, now, paging) {
            Ok((answer, more)) => (answer, more.then_some(report)),
            Err(message) => (refusal(self.manners.range_status, 300, message), None),
        }
    }

    fn token(&mut self, sent: &Sent, now: Timestamp) -> Answered {
        let expected = format!("Basic {}", STANDARD.encode(format!("client:{}", self.secret)));
        let shown = sent
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        if shown != Some(expected.as_str()) {
            let body = json!({"reason": "Invalid client_id or client_secret", "error": "invalid_client"});
            return Answered::new(StatusCode::BAD_REQUEST, body.to_string());
        }
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(&sent.body).into_owned().collect();
        let refresh = match form.get("refresh_token") {
            None => None,
            Some(used) if self.refresh.remove(used) => Some(self.consent()),
            Some(_) => {
                let body = json!({"reason": "Invalid Token!", "error": "invalid_grant"});
                return Answered::new(StatusCode::BAD_REQUEST, body.to_string());
            }
        };
        if self.manners.single_token {
            self.tokens.clear();
        }
        self.minted += 1;
        let token = format!("{}-{}", self.id, self.minted);
        self.tokens.insert(token.clone(), now + TOKEN_LIFE);
        let mut body = json!({"access_token": token, "token_type": "bearer", "expires_in": 3599});
        if let Some(refresh) = refresh {
            body["refresh_token"] = json!(refresh);
        }
        Answered::new(StatusCode::OK, body.to_string())
    }

    fn page(
        &self,
        report: Report,
        sent: &Sent,
        now: Timestamp,
        paging: Paging,
    ) -> Result<(Answered, bool), &'static str> {
        let query: BTreeMap<String, String> = sent.url.query_pairs().into_owned().collect();
        let date = |name: &str| -> Result<Date, &'static str> {
            let text = query.get(name).ok_or("The from and to fields are required.")?;
            text.parse().map_err(|_| "Invalid date format.")
        };
        let (from, to, today) = (date("from")?, date("to")?, day(now));
        if from > to {
            return Err("The start date can not be after the end date.");
        }
        if from.checked_add(1.month()).is_ok_and(|end| to > end) {
            return Err("The date range of the report can not be more than one month.");
        }
        if today.checked_sub(6.months()).is_ok_and(|floor| from < floor) {
            return Err("Only provide report in recent 6 months.");
        }
        if self.manners.refuses_tomorrow && to > today {
            return Err("The end date can not be in the future.");
        }
        let asked_size: u64 = query
            .get("page_size")
            .and_then(|size| size.parse().ok())
            .unwrap_or(30);
        if !(1..=300).contains(&asked_size) {
            return Err("The page_size must be between 1 and 300.");
        }
        let size = usize::try_from((asked_size / self.manners.page_divisor).max(1)).unwrap_or(1);
        let bound = format!("{report:?}.{from}.{to}.{asked_size}.{}", self.epoch);
        let asked_token = query.get("next_page_token").filter(|token| !token.is_empty());
        let (offset, edge) = match asked_token {
            None => (0, self.manners.snapshot_tokens.then_some(self.arrived)),
            Some(token) => {
                read_token(token, &bound, now).ok_or("The next page token is invalid or expired.")?
            }
        };

        let (begin, end) = (midnight(from), midnight(to.tomorrow().unwrap_or(Date::MAX)));
        let visible =
            |item: &&Item| begin <= item.at && item.at < end && edge.is_none_or(|edge| item.arrived <= edge);
        let mut list: Vec<&Item> = self.list(report).iter().filter(visible).collect();
        if self.manners.newest_first {
            list.reverse();
        }
        let rest = list.get(offset..).unwrap_or_default();
        let shown = if paging == Paging::Empty {
            &[]
        } else {
            &rest[..size.min(rest.len())]
        };
        let more = rest.len() > shown.len();
        let next = match (paging, asked_token) {
            (Paging::Repeat, Some(token)) => Some(token.clone()),
            _ => (more || paging == Paging::Empty)
                .then(|| write_token(offset + shown.len(), edge, &bound, now)),
        };
        let rows: Vec<String> = shown.iter().map(|item| item.text(report, self.form)).collect();
        let token = match next {
            Some(token) => format!("\"next_page_token\":\"{token}\","),
            None if self.manners.null_end_token => "\"next_page_token\":null,".to_owned(),
            None => "\"next_page_token\":\"\",".to_owned(),
        };
        let body = format!(
            "{{\"from\":\"{from}\",\"to\":\"{to}\",{token}\"page_size\":{asked_size},\"{}\":[{}]}}",
            report.list(),
            rows.join(",")
        );
        let used = self.asked.get(&today).copied().unwrap_or_default();
        let limit = self.daily_limit.to_string();
        let answer = answer::with(
            Answered::new(StatusCode::OK, body),
            HeaderName::from_static("x-ratelimit-limit"),
            &limit,
        );
        let answer = answer::with_quota(answer, "Daily-limit", self.daily_limit.saturating_sub(used));
        let answer = if self.manners.says_time {
            answer::dated(answer, now)
        } else {
            answer
        };
        Ok((answer, more))
    }
}

fn bearer(sent: &Sent) -> Option<&str> {
    sent.headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}

fn midnight(date: Date) -> Timestamp {
    date.to_zoned(TimeZone::UTC)
        .map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

/// A page token says where it leads, the edge of its snapshot, when it was given out, and what it is bound to.
fn write_token(offset: usize, edge: Option<u64>, bound: &str, now: Timestamp) -> String {
    let edge = edge.map_or(-1, |edge| i64::try_from(edge).unwrap_or(i64::MAX));
    format!("{offset}~{edge}~{}~{bound}", now.as_second())
}

fn read_token(token: &str, bound: &str, now: Timestamp) -> Option<(usize, Option<u64>)> {
    let mut parts = token.splitn(4, '~');
    let offset = parts.next()?.parse().ok()?;
    let edge = u64::try_from(parts.next()?.parse::<i64>().ok()?).ok();
    let issued = Timestamp::from_second(parts.next()?.parse().ok()?).ok()?;
    let good = parts.next()? == bound && now.duration_since(issued) <= PAGE_TOKEN_LIFE;
    good.then_some((offset, edge))
}
