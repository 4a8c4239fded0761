//! Log lines in the form that the plugin host reads and shows under `TF_LOG`.
//!
//! A line is one JSON object whose values are all text: a number there has crashed Terraform. Lines stay far below the
//! host's buffer of 64 KiB. Never log a plan, a state or a configuration: they hold secrets.
//!
//! ```
//! tfplug::log::info("read a server", &[("id", "srv-1")]);
//! ```

use std::{
    env,
    io::{self, Write},
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

// What is longer is cut. An escaped byte takes up to six, so all together stay below the host's 64 KiB.
const MAX_MESSAGE: usize = 4 * 1024;
const MAX_KEY: usize = 64;
const MAX_VALUE: usize = 1024;
/// The most fields in a line.
const MAX_FIELDS: usize = 6;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Steps of the protocol.
    Trace,
    /// For the author of the provider.
    Debug,
    /// What the provider does.
    Info,
    /// What may need attention.
    Warn,
    /// What went wrong.
    Error,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "trace" | "json" => Some(Self::Trace),
            "debug" => Some(Self::Debug),
            "info" => Some(Self::Info),
            "warn" => Some(Self::Warn),
            "error" => Some(Self::Error),
            _ => None,
        }
    }
}

/// The least level that is written. The host filters as well; this saves it lines that nobody asked for.
fn least() -> Level {
    static LEAST: OnceLock<Level> = OnceLock::new();
    *LEAST.get_or_init(|| {
        ["TF_LOG_PROVIDER", "TF_LOG"]
            .iter()
            .find_map(|name| env::var(name).ok().and_then(|word| Level::parse(&word)))
            .unwrap_or(Level::Warn)
    })
}

/// Returns whether lines of this level are written.
pub fn enabled(level: Level) -> bool {
    level >= least()
}

/// Writes a line, if its level is asked for.
pub fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
    if enabled(level) {
        let line = line(level, message, fields, SystemTime::now());
        // With the host gone there is nobody left to tell.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

/// Writes a line about a step of the protocol.
pub fn trace(message: &str, fields: &[(&str, &str)]) {
    write(Level::Trace, message, fields);
}

/// Writes a line for the author of the provider.
pub fn debug(message: &str, fields: &[(&str, &str)]) {
    write(Level::Debug, message, fields);
}

/// Writes a line about what the provider does.
pub fn info(message: &str, fields: &[(&str, &str)]) {
    write(Level::Info, message, fields);
}

/// Writes a line about what may need attention.
pub fn warn(message: &str, fields: &[(&str, &str)]) {
    write(Level::Warn, message, fields);
}

/// Writes a line about what went wrong.
pub fn error(message: &str, fields: &[(&str, &str)]) {
    write(Level::Error, message, fields);
}

fn line(level: Level, message: &str, fields: &[(&str, &str)], now: SystemTime) -> String {
    let mut out = String::with_capacity(256);
    out.push('{');
    field("@level", level.word(), &mut out);
    out.push(',');
    field("@message", message, &mut out);
    out.push(',');
    field("@timestamp", &timestamp(now), &mut out);
    for (key, value) in fields.iter().take(MAX_FIELDS) {
        out.push(',');
        field(key, value, &mut out);
    }
    out.push_str("}\n");
    out
}

fn field(key: &str, value: &str, out: &mut String) {
    let max = if key == "@message" { MAX_MESSAGE } else { MAX_VALUE };
    crate::value::write_json_string(cut(key, MAX_KEY), out);
    out.push(':');
    crate::value::write_json_string(cut(value, max), out);
}

fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

/// Writes a time as `2006-01-02T15:04:05.000000Z`.
fn timestamp(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // The proleptic Gregorian calendar in eras of 400 years, each year beginning in March so that the leap day is last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_micros()
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_is_one_json_object_of_texts() {
        let now = UNIX_EPOCH + Duration::from_micros(1_709_210_096_000_042);
        let line = line(Level::Info, "a \"quoted\"\nmessage", &[("count", "3")], now);
        assert_eq!(
            line,
            "{\"@level\":\"info\",\"@message\":\"a \\\"quoted\\\"\\nmessage\",\
             \"@timestamp\":\"2024-02-29T12:34:56.000042Z\",\"count\":\"3\"}\n"
        );
    }

    #[test]
    fn a_line_stays_below_the_buffer_of_the_host() {
        for long in ["\u{1}".repeat(100_000), "xä".repeat(100_000)] {
            let fields: Vec<(&str, &str)> = (0..100).map(|_| (long.as_str(), long.as_str())).collect();
            let line = line(Level::Warn, &long, &fields, SystemTime::now());
            assert!(line.len() < 64 * 1024, "{}", line.len());
            assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
        }
    }

    #[test]
    fn the_calendar_knows_its_leap_years() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000000Z");
        assert_eq!(at(4_107_542_399), "2100-02-28T23:59:59.000000Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.000000Z");
    }
}
