//! Page tokens: opaque to whoever holds one, bound to their query, and good for a quarter of an hour.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::hmac;
use serde::{Deserialize, Serialize};

use super::feed::{Place, Start};

/// What a token stands for. It travels inside the token, so that the simulator remembers nothing of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PageToken {
    /// The query that it continues, as a hash over everything but the token.
    query: u64,
    issued_ms: i64,
    /// Tokens of an earlier epoch were voided by a test.
    epoch: u64,
    offset: u64,
    after: Option<(i64, u32)>,
    /// A snapshot's edge: rows that arrived later are not shown.
    pub(super) before_seq: Option<u32>,
}

/// Signs and reads tokens.
#[derive(Debug)]
pub(super) struct TokenSeal(hmac::Key);

impl TokenSeal {
    pub(super) fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &ring::rand::SystemRandom::new());
        Self(key.expect("the system's random generator"))
    }

    pub(super) fn seal(&self, token: &PageToken) -> String {
        let body = serde_json::to_vec(token).expect("a token is JSON");
        let tag = hmac::sign(&self.0, &body);
        format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(&tag.as_ref()[..12]),
            URL_SAFE_NO_PAD.encode(body)
        )
    }

    pub(super) fn open(&self, text: &str) -> Option<PageToken> {
        let (tag, body) = text.split_once('.')?;
        let body = URL_SAFE_NO_PAD.decode(body).ok()?;
        let expected = hmac::sign(&self.0, &body);
        if URL_SAFE_NO_PAD.encode(&expected.as_ref()[..12]) != tag {
            return None;
        }
        serde_json::from_slice(&body).ok()
    }
}

impl PageToken {
    pub(super) fn new(query: u64, now: Timestamp, epoch: u64, start: Start, before_seq: Option<u32>) -> Self {
        let (offset, after) = match start {
            Start::Offset(offset) => (offset, None),
            Start::After(place) => (0, Some((place.millis, place.seq))),
        };
        Self {
            query,
            issued_ms: now.as_millisecond(),
            epoch,
            offset,
            after,
            before_seq,
        }
    }

    /// When its life began.
    pub(super) fn issued(&self) -> Timestamp {
        Timestamp::from_millisecond(self.issued_ms).expect("a time that was one before")
    }

    pub(super) fn start(&self) -> Start {
        self.after.map_or(Start::Offset(self.offset), |(millis, seq)| {
            Start::After(Place { millis, seq })
        })
    }

    /// Returns true when this token may continue `query` now.
    pub(super) fn is_good(&self, query: u64, now: Timestamp, epoch: u64, life_secs: u64) -> bool {
        let age = now.as_millisecond() - self.issued_ms;
        self.query == query
            && self.epoch == epoch
            && u64::try_from(age).is_ok_and(|age| age <= life_secs * 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::{PageToken, Start, TokenSeal};

    #[test]
    fn a_token_is_good_for_its_query_and_its_time_only() {
        let seal = TokenSeal::new();
        let now = "2026-03-04T12:00:00Z".parse().unwrap();
        let token = PageToken::new(7, now, 0, Start::Offset(300), None);
        let text = seal.seal(&token);
        let opened = seal.open(&text).unwrap();
        assert_eq!(opened, token);
        assert!(opened.is_good(7, now, 0, 900));
        assert!(!opened.is_good(8, now, 0, 900));
        assert!(!opened.is_good(7, now, 1, 900));
        assert!(!opened.is_good(7, now + jiff::SignedDuration::from_secs(901), 0, 900));
        assert!(seal.open(&text.replace('.', "x.")).is_none());
        assert!(TokenSeal::new().open(&text).is_none());
    }
}
