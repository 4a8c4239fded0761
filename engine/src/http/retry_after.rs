//! `Retry-After`, in the three forms that servers really send. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, civil::DateTime, fmt::rfc2822::DateTimeParser, tz::TimeZone};

/// When a server wants to be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// After a length of time.
    In(Duration),
    /// At an instant.
    At(Timestamp),
}

impl RetryAfter {
    /// Reads the header's value: whole seconds, an HTTP-date (all three forms that RFC 9110 makes recipients
    /// accept), or the ISO 8601 date-time that Zoom sends with its daily limit. A time without an offset is UTC.
    /// `None` where it is none of these, which callers treat as if the header were missing.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // More digits than fit mean "not in our lifetime".
            return Some(Self::In(Duration::from_secs(value.parse().unwrap_or(u64::MAX))));
        }
        value
            .parse::<Timestamp>()
            .ok()
            .or_else(|| DateTimeParser::new().parse_timestamp(value).ok())
            .or_else(|| utc(value, "%A, %d-%b-%y %H:%M:%S GMT"))
            .or_else(|| utc(value, "%a %b %e %H:%M:%S %Y"))
            .or_else(|| value.parse::<DateTime>().ok().and_then(in_utc))
            .map(Self::At)
    }

    /// The instant, where it is written as one.
    pub fn as_instant(self) -> Option<Timestamp> {
        match self {
            Self::In(_) => None,
            Self::At(instant) => Some(instant),
        }
    }

    /// The instant meant, for an answer that arrived at `now`; never before `now`.
    pub fn instant(self, now: Timestamp) -> Timestamp {
        match self {
            Self::In(length) => {
                let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
                now.saturating_add(length).unwrap_or(Timestamp::MAX)
            }
            Self::At(instant) => instant.max(now),
        }
    }
}

fn utc(value: &str, format: &str) -> Option<Timestamp> {
    DateTime::strptime(format, value).ok().and_then(in_utc)
}

fn in_utc(time: DateTime) -> Option<Timestamp> {
    time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> RetryAfter {
        RetryAfter::At(text.parse().unwrap())
    }

    #[test]
    fn seconds() {
        assert_eq!(
            RetryAfter::parse("120"),
            Some(RetryAfter::In(Duration::from_mins(2)))
        );
        assert_eq!(RetryAfter::parse(" 0 "), Some(RetryAfter::In(Duration::ZERO)));
        let ages = RetryAfter::parse("99999999999999999999999").unwrap();
        assert_eq!(ages.instant(Timestamp::UNIX_EPOCH), Timestamp::MAX);
    }

    #[test]
    fn http_dates() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(
                RetryAfter::parse(text),
                Some(at("1994-11-06T08:49:37Z")),
                "{text}"
            );
        }
    }

    #[test]
    fn iso_8601() {
        assert_eq!(
            RetryAfter::parse("2020-05-31T00:00:00Z"),
            Some(at("2020-05-31T00:00:00Z"))
        );
        assert_eq!(
            RetryAfter::parse("2020-05-31T02:00:00+02:00"),
            Some(at("2020-05-31T00:00:00Z"))
        );
        assert_eq!(
            RetryAfter::parse("2020-05-31T00:00:00"),
            Some(at("2020-05-31T00:00:00Z"))
        );
    }

    #[test]
    fn anything_else_is_as_good_as_missing() {
        for text in [
            "",
            "soon",
            "-1",
            "1.5",
            "12h",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "2020-13-31T00:00:00Z",
        ] {
            assert_eq!(RetryAfter::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_instant_in_the_past_means_now() {
        let now: Timestamp = "2026-01-31T00:00:00Z".parse().unwrap();
        assert_eq!(RetryAfter::At(Timestamp::UNIX_EPOCH).instant(now), now);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_ignored(text: String, seconds in 0_i64..4_000_000_000) {
            let now = Timestamp::from_second(seconds).unwrap();
            if let Some(when) = RetryAfter::parse(&text) {
                prop_assert!(when.instant(now) >= now);
            }
        }

        #[test]
        fn seconds_are_added(seconds in 0_u32..1_000_000) {
            let now: Timestamp = "2026-01-31T00:00:00Z".parse().unwrap();
            let when = RetryAfter::parse(&seconds.to_string()).unwrap().instant(now);
            prop_assert_eq!(when, now + SignedDuration::from_secs(i64::from(seconds)));
        }
    }
}
