//! When a call is tried again, and by which id its tries are known.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Pauses between tries; about eight seconds in all, enough for a restart of the engine.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// The longest that a server is waited for at its own word. Who wants more is told to the user, who can come back.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The pauses of one call.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    PAUSES.into_iter().map(jittered)
}

/// Between half and all of the pause, so that a thousand resources do not come back in step.
fn jittered(pause: Duration) -> Duration {
    let chance = (chance() % 512) as u32;
    pause / 2 + pause * chance / 1024
}

/// A number that nobody has to be unable to guess.
fn chance() -> u64 {
    RandomState::new().hash_one(0)
}

/// A new id for a request.
pub(super) fn request_id() -> String {
    format!("{:016x}{:016x}", chance(), chance())
}

/// How long the server asks to wait: a number of seconds, or a time.
pub(super) fn after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(
        then.duration_since(Timestamp::now())
            .try_into()
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_time() {
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            after(&headers)
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            wait("Fri, 01 Jan 2100 00:00:00 GMT").map(|wait| wait > LONGEST_WAIT),
            Some(true)
        );
        assert_eq!(wait("Fri, 01 Jan 2016 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!((wait("soon"), after(&HeaderMap::new())), (None, None));
    }

    #[test]
    fn pauses_grow_and_differ_and_ids_are_new() {
        let pauses: Vec<Duration> = pauses().collect();
        assert!(
            pauses
                .iter()
                .zip(PAUSES)
                .all(|(pause, most)| *pause <= most && *pause >= most / 2)
        );
        assert!(pauses.is_sorted());
        assert_ne!(request_id(), request_id());
        assert_eq!(request_id().len(), 32);
    }
}
