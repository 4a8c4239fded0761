//! Instants in the form that the store keeps: milliseconds since 1970.

use jiff::Timestamp;

use super::Error;

/// The store's form of an instant.
pub(super) fn millis(instant: Timestamp) -> i64 {
    instant.as_millisecond()
}

/// Reads the store's form.
pub(super) fn instant(millis: i64) -> Result<Timestamp, Error> {
    Timestamp::from_millisecond(millis).map_err(|_| Error::Damaged(format!("{millis} is no instant")))
}

/// Reads the store's form where there may be none.
pub(super) fn maybe_instant(millis: Option<i64>) -> Result<Option<Timestamp>, Error> {
    millis.map(instant).transpose()
}

/// Reads a count.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Reads a word or an id that was written by us.
pub(super) fn word<T>(text: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, Error> {
    read(text).ok_or_else(|| {
        Error::Damaged(format!(
            "`{text}` is none of the words or ids that can stand there"
        ))
    })
}
