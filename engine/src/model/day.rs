//! Days and windows: Zoom's reports know whole days only.

use std::fmt;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// A UTC day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(i32);

impl Day {
    /// The "day" of rows that carry no readable time: they are counted together, apart from all real days.
    pub const UNDATED: Self = Self(i32::MIN);

    /// The UTC day of an instant.
    pub fn of(instant: Timestamp) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an instant's seconds are within ±4e11, so days fit"
        )]
        Self(instant.as_second().div_euclid(86_400) as i32)
    }

    /// The day of a calendar date.
    pub fn from_date(date: Date) -> Self {
        date.to_zoned(TimeZone::UTC)
            .map_or(Self::UNDATED, |midnight| Self::of(midnight.timestamp()))
    }

    /// The first instant of the day.
    pub fn start(self) -> Timestamp {
        Timestamp::from_second(i64::from(self.0) * 86_400).unwrap_or(Timestamp::MIN)
    }

    /// The calendar date.
    pub fn date(self) -> Date {
        self.start().to_zoned(TimeZone::UTC).date()
    }

    /// So many days later, or earlier when negative.
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// The number that the store keeps.
    pub fn number(self) -> i32 {
        self.0
    }

    /// Reads the store's number.
    pub fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// The day that holds the instant so much before this day's start.
    #[must_use]
    pub fn back(self, duration: std::time::Duration) -> Self {
        let reach = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        Self::of(self.start().saturating_sub(reach).unwrap_or(Timestamp::MIN))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNDATED {
            f.write_str("undated")
        } else {
            fmt::Display::fmt(&self.date(), f)
        }
    }
}

/// A range of whole days, both ends included, as in Zoom's `from` and `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The first day.
    pub from: Day,
    /// The last day; never before `from`.
    pub to: Day,
}

impl Window {
    /// The longest range that is asked for at once. Zoom allows a month, and the shortest one has 28 days.
    pub const MAX_DAYS: i32 = 28;

    /// The window from one day to another; swapped ends are put right.
    pub fn new(from: Day, to: Day) -> Self {
        Self {
            from: from.min(to),
            to: from.max(to),
        }
    }

    /// How many days it spans.
    pub fn days(self) -> i32 {
        self.to.0.saturating_sub(self.from.0).saturating_add(1)
    }

    /// Whether the day lies inside.
    pub fn contains(self, day: Day) -> bool {
        self.from <= day && day <= self.to
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_follow_the_calendar() {
        let leap: Timestamp = "2024-02-29T23:59:59Z".parse().unwrap();
        assert_eq!(Day::of(leap).to_string(), "2024-02-29");
        assert_eq!(Day::of(leap).plus(1).to_string(), "2024-03-01");
        assert_eq!(Day::of("1969-12-31T23:59:59Z".parse().unwrap()).number(), -1);
    }

    proptest! {
        #[test]
        fn a_day_holds_its_instants(second in 0_i64..4_000_000_000) {
            let instant = Timestamp::from_second(second).unwrap();
            let day = Day::of(instant);
            prop_assert!(day.start() <= instant && instant < day.plus(1).start());
            prop_assert_eq!(Day::from_date(day.date()), day);
        }
    }
}
