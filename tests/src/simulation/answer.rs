//! Answers that are not the usual ones: limits in each form, refusals, faults of the way.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use zoom_log_engine::http::{
    Answered, Broken, StatusCode,
    header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER},
};

use crate::rng::Rng;

/// The forms in which a daily limit is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limited {
    Iso,
    Seconds,
    HttpDate,
    /// No header says when it ends.
    Silent,
    /// The body's code is 200.
    Code200,
}

impl Limited {
    pub(super) const ALL: [Self; 5] = [
        Self::Iso,
        Self::Seconds,
        Self::HttpDate,
        Self::Silent,
        Self::Code200,
    ];
}

/// What becomes of a request on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is answered.
    Answered,
    /// It never arrives, and the connection breaks.
    Reset,
    /// It is worked on, and the connection breaks before the answer.
    Lost,
    /// It never arrives, and nothing comes.
    Hangs,
    /// It is worked on, and nothing comes.
    Silence,
    /// It is worked on, and the body of the answer breaks off.
    Cut,
    /// It is worked on, and a complete body comes whose JSON is not.
    Torn,
    /// Something in between answers with this status and no JSON.
    Status(u16),
    /// A page that says 200 and is none of the API's.
    Html,
    Redirect,
    /// More than anybody wants to read is announced.
    Large,
    PerSecond,
    /// The same with the time to wait.
    PerSecondTold,
    Daily(Limited),
    /// The access token is no longer honoured, nor is any other.
    TokenVoid,
    /// Page tokens are no longer honoured.
    PageTokenVoid,
    EmptyPage,
    RepeatedToken,
}

impl Fate {
    /// A fault of a request to Zoom.
    pub(super) fn of_zoom(rng: &mut Rng) -> Self {
        match rng.below(24) {
            0 => Self::Reset,
            1 | 2 => Self::Lost,
            3 => Self::Hangs,
            4 => Self::Silence,
            5 => Self::Cut,
            6 => Self::Torn,
            7 => Self::Status(500),
            8 => Self::Status(502),
            9 => Self::Status(503),
            10 => Self::Html,
            11 => Self::Redirect,
            12 => Self::Large,
            13 | 14 => Self::PerSecond,
            15 | 16 => Self::PerSecondTold,
            17 => Self::Daily(Limited::ALL[rng.index(Limited::ALL.len())]),
            18 | 19 => Self::TokenVoid,
            20 | 21 => Self::PageTokenVoid,
            22 => Self::EmptyPage,
            _ => Self::RepeatedToken,
        }
    }

    /// A fault of a request to a destination or a channel.
    pub(super) fn of_receiver(rng: &mut Rng) -> Self {
        match rng.below(9) {
            0 => Self::Reset,
            1 | 2 => Self::Lost,
            3 => Self::Hangs,
            4 => Self::Silence,
            5 => Self::PerSecondTold,
            6 => Self::Status(500),
            7 => Self::Status(503),
            // Whoever posts too much is to post less.
            _ => Self::Status(413),
        }
    }

    /// Whether the request arrives where it was sent to.
    pub(super) fn arrives(self) -> bool {
        !matches!(
            self,
            Self::Reset
                | Self::Hangs
                | Self::Status(_)
                | Self::Html
                | Self::Redirect
                | Self::Large
                | Self::PerSecond
                | Self::PerSecondTold
                | Self::Daily(_)
        )
    }

    /// Whether nothing ever comes back.
    pub(super) fn is_silent(self) -> bool {
        matches!(self, Self::Hangs | Self::Silence)
    }

    /// What comes back in place of the answer, for a request that does not arrive.
    pub(super) fn instead(self, now: Timestamp) -> Result<Answered, Broken> {
        Ok(match self {
            Self::Reset => return Err(Broken("connection reset by peer")),
            Self::Html => html(StatusCode::OK),
            Self::Redirect => with(html(StatusCode::FOUND), LOCATION, "https://login.example.com/"),
            Self::Large => with(
                Answered::new(StatusCode::OK, ""),
                zoom_log_engine::http::header::CONTENT_LENGTH,
                "99999999999",
            ),
            Self::PerSecond => per_second(),
            Self::PerSecondTold => with(per_second(), RETRY_AFTER, "1"),
            Self::Daily(form) => daily_limit(form, now),
            Self::Status(status) => html(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)),
            _ => html(StatusCode::BAD_GATEWAY),
        })
    }

    /// What becomes of the answer to a request that arrived.
    pub(super) fn spoil(self, mut answer: Answered) -> Result<Answered, Broken> {
        let half = answer.body.len() / 2;
        match self {
            Self::Lost => Err(Broken("connection closed before the answer")),
            Self::Cut => {
                answer.body.truncate(half);
                Ok(answer)
            }
            Self::Torn => Ok(Answered::new(answer.status, answer.body.slice(..half))),
            _ => Ok(answer),
        }
    }
}

fn html(status: StatusCode) -> Answered {
    let answer = Answered::new(status, "<html><body>Something went wrong.</body></html>");
    with(answer, CONTENT_TYPE, "text/html")
}

fn per_second() -> Answered {
    let answer = refusal(
        429,
        429,
        "You have reached the maximum per-second rate limit for this API.",
    );
    with_quota(answer, "QPS", 0)
}

/// Refuses as Zoom does.
pub(super) fn refusal(status: u16, code: u16, message: &str) -> Answered {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    Answered::new(status, format!("{{\"code\":{code},\"message\":\"{message}\"}}"))
}

/// Says that the day's requests are used up; the day ends at midnight UTC.
pub(super) fn daily_limit(form: Limited, now: Timestamp) -> Answered {
    let midnight = now
        .to_zoned(TimeZone::UTC)
        .date()
        .tomorrow()
        .and_then(|day| day.to_zoned(TimeZone::UTC))
        .map_or(now, |zoned| zoned.timestamp());
    let code = if form == Limited::Code200 { 200 } else { 429 };
    let answer = refusal(
        429,
        code,
        "You have reached the maximum daily rate limit for this API.",
    );
    let mut wish = String::new();
    let _ = match form {
        Limited::Iso | Limited::Code200 => write!(wish, "{midnight}"),
        Limited::Seconds => write!(wish, "{}", midnight.duration_since(now).as_secs().max(1)),
        Limited::HttpDate => write!(wish, "{}", midnight.strftime("%a, %d %b %Y %H:%M:%S GMT")),
        Limited::Silent => return with_quota(answer, "Daily-limit", 0),
    };
    with_quota(with(answer, RETRY_AFTER, &wish), "Daily-limit", 0)
}

/// Adds Zoom's headers about what is left.
pub(super) fn with_quota(answer: Answered, kind: &str, remaining: u64) -> Answered {
    let answer = with(answer, HeaderName::from_static("x-ratelimit-type"), kind);
    with(
        answer,
        HeaderName::from_static("x-ratelimit-remaining"),
        &remaining.to_string(),
    )
}

/// Says what time it is.
pub(super) fn dated(answer: Answered, now: Timestamp) -> Answered {
    let text = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    with(answer, DATE, &text)
}

pub(super) fn with(mut answer: Answered, name: HeaderName, value: &str) -> Answered {
    let value = HeaderValue::from_str(value).expect("a header's value");
    answer.headers.insert(name, value);
    answer
}
