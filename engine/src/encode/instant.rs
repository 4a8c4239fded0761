//! Instants as RFC 3339 has them, in UTC.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::Offset};

const DAY: i64 = 24 * 60 * 60;

/// Writes instants, most of which are of the same day as the one before.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    /// The last day, in days since 1970.
    day: i64,
    /// And as it is written.
    date: [u8; 10],
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            day: 0,
            date: *b"1970-01-01",
        }
    }
}

impl Writer {
    /// Writes an instant as [`Timestamp`] is shown; what nearly all are, whole seconds or milliseconds since 1970, of a year
    /// with four digits, by hand.
    pub(super) fn write(&mut self, instant: Timestamp, out: &mut String) {
        let (second, nanosecond) = (instant.as_second(), instant.subsec_nanosecond());
        if second < 0 || nanosecond < 0 || nanosecond % 1_000_000 != 0 || !self.turn_to(second / DAY, instant)
        {
            // Writing to a string cannot fail.
            let _ = write!(out, "{instant}");
            return;
        }
        let mut text = *b"0000-00-00T00:00:00.000Z";
        text[..10].copy_from_slice(&self.date);
        let second = second % DAY;
        for (at, part) in [(11, second / 3600), (14, second / 60 % 60), (17, second % 60)] {
            two(&mut text, at, part);
        }
        // Digits of a fraction as far as the last that is not zero.
        let mut digits = 0;
        let mut rest = nanosecond.unsigned_abs() / 1_000_000;
        for (digit, unit) in [100, 10, 1].into_iter().enumerate() {
            text[20 + digit] += u8::try_from(rest / unit).unwrap_or_default();
            rest %= unit;
            if text[20 + digit] != b'0' {
                digits = digit + 1;
            }
        }
        let end = if digits == 0 { 19 } else { 20 + digits };
        text[end] = b'Z';
        // All of it is ASCII.
        out.push_str(std::str::from_utf8(&text[..=end]).unwrap_or_default());
    }

    /// Has the date of an instant ready, which is of this day; `false` where its year has more than four digits.
    fn turn_to(&mut self, day: i64, instant: Timestamp) -> bool {
        if day == self.day {
            return true;
        }
        let date = Offset::UTC.to_datetime(instant);
        if date.year() > 9_999 {
            return false;
        }
        let year = i64::from(date.year());
        let parts = [year / 100, year % 100, date.month().into(), date.day().into()];
        let mut text = *b"0000-00-00";
        for (at, part) in [0, 2, 5, 8].into_iter().zip(parts) {
            two(&mut text, at, part);
        }
        (self.day, self.date) = (day, text);
        true
    }
}

/// Writes a number below 100 over two zeros.
fn two(text: &mut [u8], at: usize, number: i64) {
    let number = u8::try_from(number).unwrap_or_default();
    text[at] += number / 10;
    text[at + 1] += number % 10;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_instant_is_written_as_it_is_shown(
            second in prop_oneof![-377_705_023_201_i64..=253_402_207_200, -1..=1_i64],
            fraction in prop_oneof![Just(0), (-999..1_000).prop_map(|milli| milli * 1_000_000), 0..1_000_000_000],
        ) {
            if let Ok(instant) = Timestamp::new(second, fraction) {
                let mut writer = Writer::default();
                for instant in [instant, Timestamp::UNIX_EPOCH, instant] {
                    let mut out = String::new();
                    writer.write(instant, &mut out);
                    prop_assert_eq!(out, instant.to_string());
                }
            }
        }
    }
}
