//! Exact numbers.
//!
//! Terraform computes with 512-bit floats and writes what is neither a 64-bit integer nor an exact binary fraction as
//! decimal text. A number here is an integer or a decimal of any size, kept exactly and compared by value.

use std::{cmp::Ordering, fmt, str::FromStr};

/// More digits than a 512-bit float has, and few enough to bound the work on one number.
const MAX_DIGITS: usize = 4096;
/// Larger exponents than Terraform itself can hold.
const MAX_EXPONENT: i64 = 1_000_000;
/// Numbers with at most this many places are written without an exponent.
const MAX_PLAIN: i64 = 1024;

/// A number of any size, exact.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(Repr);

/// The smallest form that holds a number is the only one used for it, so equality is structural.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Signed(i64),
    /// Only above `i64::MAX`.
    Unsigned(u64),
    Decimal(Box<Decimal>),
}

/// `0.DIGITS × 10^point`, where the digits neither begin nor end with a zero.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Decimal {
    negative: bool,
    digits: String,
    point: i64,
}

/// The text is not a decimal number, or is larger than any number Terraform can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a decimal number")]
pub struct ParseNumberError;

impl Number {
    /// Returns the number as an integer, where it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        if let Repr::Signed(value) = self.0 {
            Some(value)
        } else {
            None
        }
    }

    /// Returns the number as an unsigned integer, where it is one that fits.
    pub fn as_u64(&self) -> Option<u64> {
        match self.0 {
            Repr::Signed(value) => u64::try_from(value).ok(),
            Repr::Unsigned(value) => Some(value),
            Repr::Decimal(_) => None,
        }
    }

    /// Returns the nearest binary fraction. This rounds: compare and store the number itself.
    pub fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    fn decimal(&self) -> Decimal {
        let integer = |negative: bool, magnitude: u64| {
            let text = magnitude.to_string();
            Decimal {
                negative,
                point: if magnitude == 0 { 0 } else { places(&text) },
                digits: text.trim_end_matches('0').to_owned(),
            }
        };
        match &self.0 {
            Repr::Signed(value) => integer(*value < 0, value.unsigned_abs()),
            Repr::Unsigned(value) => integer(false, *value),
            Repr::Decimal(decimal) => decimal.as_ref().clone(),
        }
    }

    fn from_decimal(decimal: Decimal) -> Self {
        if decimal.digits.is_empty() {
            return Self(Repr::Signed(0));
        }
        let length = places(&decimal.digits);
        if decimal.point >= length && decimal.point <= 20 {
            let plain = decimal.plain();
            if let Ok(value) = plain.parse::<i64>() {
                return Self(Repr::Signed(value));
            }
            if let Ok(value) = plain.parse::<u64>() {
                return Self(Repr::Unsigned(value));
            }
        }
        Self(Repr::Decimal(Box::new(decimal)))
    }
}

impl Decimal {
    fn plain(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let length = places(&self.digits);
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
        if self.digits.is_empty() {
            "0".to_owned()
        } else if self.point <= 0 {
            format!("{sign}0.{}{}", zeros(-self.point), self.digits)
        } else if self.point >= length {
            format!("{sign}{}{}", self.digits, zeros(self.point - length))
        } else {
            let (whole, fraction) = self.digits.split_at(usize::try_from(self.point).unwrap_or(0));
            format!("{sign}{whole}.{fraction}")
        }
    }

    fn magnitude_cmp(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Digits without leading zeros: first the size, then the text.
            (false, false) => self
                .point
                .cmp(&other.point)
                .then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

/// The count of digits, which [`MAX_DIGITS`] keeps far below any limit.
fn places(digits: &str) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX)
}

impl FromStr for Number {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, ParseNumberError> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().map_err(|_| ParseNumberError)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0
            || mantissa.len() > MAX_DIGITS
            || exponent.abs() > MAX_EXPONENT
            || !all_digits(whole)
            || !all_digits(fraction)
        {
            return Err(ParseNumberError);
        }
        let digits = format!("{whole}{fraction}");
        let stripped = digits.trim_start_matches('0');
        let leading = places(&digits) - places(stripped);
        let point = places(whole) - leading + exponent;
        let digits = stripped.trim_end_matches('0').to_owned();
        Ok(Self::from_decimal(Decimal {
            negative: negative && !digits.is_empty(),
            digits,
            point,
        }))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Signed(value) => value.fmt(f),
            Repr::Unsigned(value) => value.fmt(f),
            Repr::Decimal(decimal) => {
                let written = decimal.point.abs() + places(&decimal.digits);
                if written <= MAX_PLAIN {
                    f.write_str(&decimal.plain())
                } else {
                    let sign = if decimal.negative { "-" } else { "" };
                    let exponent = decimal.point - places(&decimal.digits);
                    write!(f, "{sign}{}e{exponent}", decimal.digits)
                }
            }
        }
    }
}

/// Numbers are values and values may be secret, so this shows nothing.
impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("number")
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Repr::Signed(a), Repr::Signed(b)) = (&self.0, &other.0) {
            return a.cmp(b);
        }
        let (a, b) = (self.decimal(), other.decimal());
        match (a.negative, b.negative) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => a.magnitude_cmp(&b),
            (true, true) => b.magnitude_cmp(&a),
        }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Repr::Signed(value))
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self(Repr::Unsigned(value)), Self::from)
    }
}

impl TryFrom<f64> for Number {
    type Error = ParseNumberError;

    /// Keeps exactly the binary fraction, which has up to 767 digits.
    fn try_from(value: f64) -> Result<Self, ParseNumberError> {
        if !value.is_finite() {
            return Err(ParseNumberError);
        }
        format!("{value:.766e}").parse()
    }
}
