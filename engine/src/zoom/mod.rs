//! Zoom, as an adapter: access tokens, one page of a report, and whether a feed may be read.
//!
//! One call here is one question to Zoom, plus the token it needs. The adapter does not retry, sleep, or decide what to
//! read; it says what an answer means ([`Error`], by the reaction it asks for). Twice the same question asked again gets
//! another answer, and whoever asks is told so ([`Error::Again`]): an access token may be superseded at any moment, and
//! is then minted anew; and a day that has begun for us may not have begun for Zoom, whose clock or zone is behind: a
//! Zoom that refuses it is asked for the day before instead, until its day may have turned.

mod check;
mod consent;
mod error;
#[cfg(feature = "fuzz-targets")]
pub mod fuzz;
mod page;
mod place;
mod token;

use std::{
    collections::HashMap,
    mem::{Discriminant, discriminant},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use engine_api::{Cloud, LogType, Secret};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use url::Url;

use self::token::Tokens;
pub use self::{
    check::FeedVerdict,
    consent::Begun,
    error::Error,
    page::Page,
    place::{Place, Places},
    token::{AccessToken, Given, TokenStore, Unfit},
};
use crate::{
    clock::Clock,
    http::{Http, Request, Response},
    model::{Day, Window},
    telemetry::{RequestLabels, Telemetry},
};

/// The most bytes of a page: 300 rows, each far beyond what Zoom has been seen to send.
const MAX_PAGE_BYTES: usize = 16 << 20;

/// An OAuth app.
#[derive(Debug, Clone)]
pub struct App {
    /// Which of Zoom's clouds it lives in.
    pub cloud: Cloud,
    /// Its id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
}

/// What lets an app in.
#[derive(Debug, Clone)]
pub enum Grant {
    /// Being a Server-to-Server app of this account.
    Account(String),
    /// Somebody's consent.
    Consent(Arc<dyn Keeper>),
}

/// Keeps the refresh token of a consent.
#[async_trait]
pub trait Keeper: std::fmt::Debug + Send + Sync {
    /// The source that the consent was given for.
    fn source(&self) -> &str;

    /// Exchanges the refresh token, and stores the one that comes in its place before it hands out the access token.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    ///
    /// # Cancel safety
    ///
    /// An exchange that has begun goes on when the future is dropped.
    async fn refresh(&self, app: &App) -> Result<AccessToken, Error>;
}

/// An app and what lets it in.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The app.
    pub app: App,
    /// What lets it in.
    pub grant: Grant,
    /// Where its access token is kept for all engines.
    pub tokens: Arc<dyn TokenStore>,
}

impl Credential {
    /// Whose it is: an account's, or a source's.
    fn whose(&self) -> &str {
        match &self.grant {
            Grant::Account(account) => account,
            Grant::Consent(keeper) => keeper.source(),
        }
    }
}

/// One page of a report to ask for.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// Which report.
    pub log_type: LogType,
    /// Which days.
    pub window: Window,
    /// How many rows.
    pub page_size: u32,
    /// Where the last page ended; `None` for the first.
    pub page_token: Option<&'a str>,
}

/// The adapter; cheap to clone, and clones share the tokens that they have in memory.
#[derive(Debug, Clone)]
pub struct Zoom {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    http: Http,
    places: Places,
    timeout: Duration,
    tokens: Tokens,
    day_zone: TimeZone,
    /// The day that has not begun at Zoom yet, by whose account it is.
    not_begun: Mutex<HashMap<String, NotBegun>>,
    clock: Clock,
    telemetry: Telemetry,
}

/// Where Zoom is, and how long it may take.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where each of its clouds is.
    pub places: Places,
    /// The longest that one request may take.
    pub request_timeout: Duration,
    /// The zone whose days Zoom's `from` and `to` mean.
    pub day_zone: TimeZone,
}

impl Zoom {
    /// Prepares the adapter; nothing is sent yet.
    pub fn new(options: Options, http: Http, clock: Clock, telemetry: Telemetry) -> Self {
        let Options {
            places,
            request_timeout: timeout,
            day_zone,
        } = options;
        let tokens = Tokens::default();
        Self {
            shared: Arc::new(Shared {
                http,
                places,
                timeout,
                tokens,
                day_zone,
                not_begun: Mutex::default(),
                clock,
                telemetry,
            }),
        }
    }

    /// Where tokens are handed out.
    pub fn token_place(&self, cloud: Cloud) -> &Url {
        &self.shared.places.of(cloud).oauth
    }

    /// What the budget of an account is counted under: one account at one Zoom has one budget.
    pub fn budget_key(&self, cloud: Cloud, account: &str) -> String {
        format!("{}/{account}", self.shared.places.of(cloud).api.authority())
    }

    /// Asks for one page of a report, with one report request at most.
    ///
    /// # Errors
    ///
    /// See [`Error`]; [`Repeats`] tells which of them ask for the same once more.
    pub async fn page(&self, credential: &Credential, request: PageRequest<'_>) -> Result<Page, Error> {
        let dates = self.dates(credential, request.window);
        let answer = self.report(credential, request, dates).await?;
        let asked_at = self.shared.clock.now();
        if answer.status.is_success() {
            return Page::read(request.log_type, answer);
        }
        let error = Error::of_report(&answer, request.log_type, asked_at);
        if request.page_token.is_none() && matches!(error, Error::Restart { .. }) {
            let zoom_time = page::time_of(&answer).unwrap_or(asked_at);
            if let Some(refused) = NotBegun::refused(dates.1, zoom_time, asked_at) {
                self.not_begun().insert(credential.whose().to_owned(), refused);
                return Err(Error::Again(Box::new(error)));
            }
        }
        Err(error)
    }

    /// The days of Zoom that hold a window of ours: the same in UTC, else those that it touches; never one that has
    /// not begun there. The rows of a day that has not begun are found under the day before.
    fn dates(&self, credential: &Credential, window: Window) -> (Date, Date) {
        let date = |instant: Timestamp| instant.to_zoned(self.shared.day_zone.clone()).date();
        let last = window.to.plus(1).start();
        let last = date(last.saturating_sub(SignedDuration::from_secs(1)).unwrap_or(last));
        let now = self.now();
        let from = date(window.from.start());
        let to = last.min(date(now).max(from));
        let not_begun = self.not_begun();
        match not_begun.get(credential.whose()) {
            Some(refused) if refused.until > now && refused.day <= to => {
                let begun = refused.day.yesterday().unwrap_or(refused.day);
                (from.min(begun), begun)
            }
            _ => (from, to),
        }
    }

    fn not_begun(&self) -> std::sync::MutexGuard<'_, HashMap<String, NotBegun>> {
        self.shared
            .not_begun
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a report request whose token Zoom honours.
    async fn report(
        &self,
        credential: &Credential,
        request: PageRequest<'_>,
        dates: (Date, Date),
    ) -> Result<Response, Error> {
        let token = self.token(credential).await?;
        let sent = Request::get(report_url(&token.api, request, dates))?
            .bearer(token.secret())?
            .total_timeout(self.shared.timeout)
            .max_response_bytes(MAX_PAGE_BYTES);
        let answer = self.send(request.log_type.as_str(), &sent).await?;
        let stale = error::says_token_is_stale(&answer);
        // A token keeps the scopes that the app had when it was minted. One that came with a consent is renewed within
        // the hour anyway, and each renewal more is one whose answer may be lost.
        let cheap = matches!(credential.grant, Grant::Account(_));
        if stale || (cheap && error::says_scope_is_missing(&answer)) {
            self.forget(credential, &token).await;
        }
        if stale {
            let then = if token.is_proven() {
                Error::token_refused(&answer)
            } else {
                Error::shared_token_refused()
            };
            return Err(Error::Again(Box::new(then)));
        }
        token.prove();
        Ok(answer)
    }

    /// One of the endpoints under `/oauth`.
    fn oauth_url(&self, cloud: Cloud, endpoint: &str) -> Url {
        let mut url = self.shared.places.of(cloud).oauth.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["oauth", endpoint]);
        }
        url
    }

    async fn send(&self, endpoint: &'static str, request: &Request) -> Result<Response, Error> {
        let answer = self.shared.http.send(request).await;
        let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
        self.shared
            .telemetry
            .zoom_requests
            .add(&RequestLabels::of(endpoint, status), 1);
        Ok(answer?)
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }
}

/// A day that Zoom refused because it has not begun there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NotBegun {
    day: Date,
    /// When it may have begun, by our clock.
    until: Timestamp,
}

impl NotBegun {
    /// What a refusal of a range that ends with `day` says, at `zoom_time` by Zoom's clock and `now` by ours; `None`
    /// where that day has begun in every zone, so that Zoom means something else.
    fn refused(day: Date, zoom_time: Timestamp, now: Timestamp) -> Option<Self> {
        /// How far behind UTC a zone is at most.
        const FARTHEST: SignedDuration = SignedDuration::from_hours(12);
        /// Every zone's midnight is at a quarter of an hour of UTC.
        const QUARTER: i64 = 15 * 60;

        let behind = zoom_time.saturating_sub(FARTHEST).unwrap_or(zoom_time);
        (day > Day::of(behind).date()).then(|| {
            let left = QUARTER - zoom_time.as_second().rem_euclid(QUARTER);
            Self {
                day,
                until: now
                    .saturating_add(SignedDuration::from_secs(left))
                    .unwrap_or(Timestamp::MAX),
            }
        })
    }
}

/// What one question has been asked again for; a reason that comes twice is the error that it is.
#[derive(Debug, Default)]
pub struct Repeats(Vec<Discriminant<Error>>);

impl Repeats {
    /// The error that the question ends with; `None` where it is to be asked once more.
    pub fn end(&mut self, error: Error) -> Option<Error> {
        let Error::Again(then) = error else {
            return Some(error);
        };
        if self.0.contains(&discriminant(&*then)) {
            return Some(*then);
        }
        self.0.push(discriminant(&*then));
        None
    }
}

fn report_url(api: &Url, request: PageRequest<'_>, (from, to): (Date, Date)) -> Url {
    let mut url = api.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend([
            "v2",
            "report",
            match request.log_type {
                LogType::Operation => "operationlogs",
                LogType::Activity => "activities",
            },
        ]);
    }
    let mut query = url.query_pairs_mut();
    query
        .append_pair("from", &from.to_string())
        .append_pair("to", &to.to_string())
        .append_pair("page_size", &request.page_size.to_string());
    if let Some(page_token) = request.page_token {
        query.append_pair("next_page_token", page_token);
    }
    drop(query);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_asked_for_again_when_a_zones_midnight_may_have_passed() {
        let refused = |day: &str, zoom_time: &str, now: &str| {
            NotBegun::refused(
                day.parse().unwrap(),
                zoom_time.parse().unwrap(),
                now.parse().unwrap(),
            )
            .map(|refused| refused.until.to_string())
        };
        for (day, zoom_time, now, until) in [
            // Zoom's clock is half a minute behind ours at midnight.
            (
                "2026-02-01",
                "2026-01-31T23:59:35Z",
                "2026-02-01T00:00:05Z",
                Some("2026-02-01T00:00:30Z"),
            ),
            // Its days begin eight hours later.
            (
                "2026-02-01",
                "2026-02-01T02:20:00Z",
                "2026-02-01T02:20:00Z",
                Some("2026-02-01T02:30:00Z"),
            ),
            // Our days begin nine hours earlier.
            (
                "2026-02-02",
                "2026-02-01T15:00:00Z",
                "2026-02-01T15:00:00Z",
                Some("2026-02-01T15:15:00Z"),
            ),
            // It is that day everywhere: Zoom refuses something else.
            ("2026-02-01", "2026-02-01T12:00:00Z", "2026-02-01T12:00:00Z", None),
            ("2026-01-20", "2026-02-01T02:00:00Z", "2026-02-01T02:00:00Z", None),
        ] {
            assert_eq!(
                refused(day, zoom_time, now).as_deref(),
                until,
                "{day} {zoom_time}"
            );
        }
    }
}
