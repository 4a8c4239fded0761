//! How long operations may take: the `timeouts` attribute that practitioners know from other providers.
//!
//! The protocol has no timeouts; the attribute is a convention. A model has it as a field, and an operation asks how
//! long it has.
//!
//! ```
//! use std::time::Duration;
//!
//! use tfplug::{model::{Model, Value}, timeouts::Timeouts};
//!
//! #[derive(Model)]
//! struct Dog {
//!     /// How long operations may take.
//!     timeouts: Value<Timeouts>,
//! }
//!
//! let dog = Dog { timeouts: Timeouts { create: "1m30s".into(), ..Timeouts::default() }.into() };
//! assert_eq!(Timeouts::create(&dog.timeouts, Duration::from_mins(20)), Duration::from_secs(90));
//! assert_eq!(Timeouts::delete(&dog.timeouts, Duration::from_mins(20)), Duration::from_mins(20));
//! ```

use std::time::Duration;

use crate::{
    model::{Model, Value},
    schema::{Validator, matches_rule},
};

/// The `timeouts` of a resource, each as text such as `30s`, `10m` or `1h30m`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Model)]
pub struct Timeouts {
    /// How long creating may take, such as `30s`, `10m` or `1h30m`.
    #[tf(validate = is_duration())]
    pub create: Value<String>,
    /// How long reading may take.
    #[tf(validate = is_duration())]
    pub read: Value<String>,
    /// How long updating may take.
    #[tf(validate = is_duration())]
    pub update: Value<String>,
    /// How long deleting may take.
    #[tf(validate = is_duration())]
    pub delete: Value<String>,
}

impl Timeouts {
    /// Returns how long creating may take, or the default where nothing is said.
    pub fn create(timeouts: &Value<Self>, default: Duration) -> Duration {
        Self::of(timeouts, default, |timeouts| &timeouts.create)
    }

    /// Returns how long reading may take, or the default where nothing is said.
    pub fn read(timeouts: &Value<Self>, default: Duration) -> Duration {
        Self::of(timeouts, default, |timeouts| &timeouts.read)
    }

    /// Returns how long updating may take, or the default where nothing is said.
    pub fn update(timeouts: &Value<Self>, default: Duration) -> Duration {
        Self::of(timeouts, default, |timeouts| &timeouts.update)
    }

    /// Returns how long deleting may take, or the default where nothing is said.
    pub fn delete(timeouts: &Value<Self>, default: Duration) -> Duration {
        Self::of(timeouts, default, |timeouts| &timeouts.delete)
    }

    fn of(timeouts: &Value<Self>, default: Duration, which: fn(&Self) -> &Value<String>) -> Duration {
        let text = timeouts.known().and_then(|timeouts| which(timeouts).as_deref());
        text.and_then(parse).unwrap_or(default)
    }
}

/// Returns the rule that text is a duration.
pub fn is_duration() -> impl Validator {
    matches_rule("must be a duration such as `30s`, `10m` or `1h30m`", |value| {
        value.as_str().is_none_or(|text| parse(text).is_some())
    })
}

/// Reads a duration as Go writes it: decimal numbers, each with a unit.
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after
            .find(|character: char| character.is_ascii_digit() || character == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(parse("1h30m"), Some(Duration::from_mins(90)));
        assert_eq!(parse("1.5h"), Some(Duration::from_mins(90)));
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse("0"), Some(Duration::ZERO));
        for wrong in [
            "",
            "1",
            "m",
            "1d",
            "1h-2m",
            "-1h",
            "1..5s",
            "999999999999999999999h",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
