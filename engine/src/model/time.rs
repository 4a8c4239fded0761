//! The times that Zoom writes.

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};

/// Reads a time in the forms that Zoom has been seen to use: RFC 3339 with or without a fraction or an offset, and
/// `yyyy-mm-dd hh:mm:ss`; without an offset it is UTC.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    if let Some(time) = usual_time(text.as_bytes()) {
        return Some(time);
    }
    let text = text.trim();
    text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.strip_suffix(" UTC").unwrap_or(text).parse().ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

/// The form that nearly all rows have: `yyyy-mm-ddThh:mm:ssZ`.
fn usual_time(text: &[u8]) -> Option<Timestamp> {
    const FORM: &[u8; 20] = b"0000-00-00T00:00:00Z";

    let text: &[u8; 20] = text.try_into().ok()?;
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte == form,
    };
    if !text.iter().zip(FORM).all(fits) {
        return None;
    }
    let two = |at: usize| ((text[at] - b'0') * 10 + (text[at + 1] - b'0')).cast_signed();
    let year = i16::from(two(0)) * 100 + i16::from(two(2));
    let civil = DateTime::new(year, two(5), two(8), two(11), two(14), two(17), 0);
    Offset::UTC.to_timestamp(civil.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_usual_form_of_a_time_is_read_as_any_other(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]Z",
        ) {
            let fast = usual_time(text.as_bytes());
            let slow: Option<Timestamp> = text.parse().ok();
            // A leap second is left to whoever reads all forms.
            prop_assert!(fast == slow || fast.is_none() && text.ends_with(":60Z"), "{text}: {fast:?} {slow:?}");
        }
    }
}
