//! Instants as RFC 3339 has them, in UTC.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::Offset};

/// Writes an instant as [`Timestamp`] is shown; what nearly all are, whole seconds or milliseconds of a year with four
/// digits, by hand.
pub(super) fn write(instant: Timestamp, out: &mut String) {
    let civil = Offset::UTC.to_datetime(instant);
    let nanoseconds = civil.subsec_nanosecond();
    let (Ok(year), 0) = (u16::try_from(civil.year()), nanoseconds % 1_000_000) else {
        // Writing to a string cannot fail.
        let _ = write!(out, "{instant}");
        return;
    };
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let [century, year] = [year / 100, year % 100].map(|part| u8::try_from(part).unwrap_or_default());
    let parts = [
        (0, century),
        (2, year),
        (5, civil.month().unsigned_abs()),
        (8, civil.day().unsigned_abs()),
        (11, civil.hour().unsigned_abs()),
        (14, civil.minute().unsigned_abs()),
        (17, civil.second().unsigned_abs()),
    ];
    for (at, part) in parts {
        text[at] += part / 10;
        text[at + 1] += part % 10;
    }
    // Digits of a fraction as far as the last that is not zero.
    let mut digits = 0;
    let mut rest = nanoseconds.unsigned_abs() / 1_000_000;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_instant_is_written_as_it_is_shown(
            second in -377_705_023_201_i64..=253_402_207_200,
            fraction in prop_oneof![Just(0), (0..1_000).prop_map(|milli| milli * 1_000_000), 0..1_000_000_000],
        ) {
            if let Ok(instant) = Timestamp::new(second, fraction) {
                let mut out = String::new();
                write(instant, &mut out);
                prop_assert_eq!(out, instant.to_string());
            }
        }
    }
}
