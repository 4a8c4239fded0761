//! Where the documented fields of a row stand in its text.

use std::{borrow::Cow, num::NonZero, ops::Range};

use engine_api::LogType;
use jiff::Timestamp;

use super::{
    scan::{self, Scanner},
    time::parse_time,
};

/// Where the documented fields of both reports are written in a row. `null` is absent. Whatever is not a text is still
/// hashed as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fields {
    places: [Option<Place>; COUNT],
    /// A bit for each field that is a text with escapes.
    escaped: u16,
}

/// From where to where, in bytes from the beginning of the row. No value ends where a row begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    start: u32,
    end: NonZero<u32>,
}

const COUNT: usize = 10;
const TIME: usize = 0;
pub(super) const OPERATOR: usize = 1;
pub(super) const CATEGORY: usize = 2;
pub(super) const ACTION: usize = 3;
pub(super) const DETAIL: usize = 4;
const ACTIVITY: Range<usize> = 5..COUNT;

fn number_of(name: &str) -> Option<usize> {
    Some(match name {
        "time" => TIME,
        "operator" => OPERATOR,
        "category_type" => CATEGORY,
        "action" => ACTION,
        "operation_detail" => DETAIL,
        "email" => 5,
        "type" => 6,
        "ip_address" => 7,
        "client_type" => 8,
        "version" => 9,
        _ => return None,
    })
}

impl Fields {
    /// Reads the object that comes next; `None` where there is none, or it names a documented field twice.
    pub fn read(scanner: &mut Scanner<'_>) -> Option<Self> {
        scanner.peek()?;
        let row = scanner.at();
        let mut fields = Self::default();
        let mut seen = 0_u16;
        scanner.object(|name, scanner| {
            let value = scanner.value()?;
            let Some(number) = number_of(name) else {
                return Some(());
            };
            let bit = 1 << number;
            if seen & bit != 0 {
                return None;
            }
            seen |= bit;
            if value != "null" {
                let end = scanner.at() - row;
                fields.places[number] = Some(Place {
                    start: u32::try_from(end - value.len()).ok()?,
                    end: NonZero::new(u32::try_from(end).ok()?)?,
                });
                if scanner.is_escaped() && value.as_bytes().first() == Some(&b'"') {
                    fields.escaped |= bit;
                }
            }
            Some(())
        })?;
        Some(fields)
    }

    /// Where the value of `operation_detail` begins in the row.
    pub fn detail_at(&self) -> Option<u32> {
        self.places[DETAIL].map(|place| place.start)
    }

    /// A field's value in the row that was read: a text without its quotes and escapes, anything else as it is written.
    pub(super) fn value<'a>(&self, number: usize, row: &'a str) -> Option<Cow<'a, str>> {
        let place = self.places[number]?;
        let written = row.get(place.start as usize..place.end.get() as usize)?;
        let escaped = self.escaped >> number & 1 == 1;
        Some(scan::meant(written, escaped).unwrap_or(Cow::Borrowed(written)))
    }

    /// Appends the documented fields of a log type to what is hashed; answers the row's time.
    pub(super) fn canonical(
        &self,
        log_type: LogType,
        row: &str,
        canonical: &mut Vec<u8>,
    ) -> Option<Timestamp> {
        let written = self.value(TIME, row);
        let time = written.as_deref().and_then(parse_time);
        match time {
            Some(time) => {
                canonical.push(b't');
                canonical.extend_from_slice(&time.as_second().to_le_bytes());
                canonical.extend_from_slice(&time.subsec_nanosecond().to_le_bytes());
            }
            None => hash_field(canonical, written.as_deref()),
        }
        let documented = match log_type {
            LogType::Operation => OPERATOR..DETAIL + 1,
            LogType::Activity => ACTIVITY,
        };
        for number in documented {
            hash_field(canonical, self.value(number, row).as_deref());
        }
        time
    }
}

fn hash_field(canonical: &mut Vec<u8>, value: Option<&str>) {
    match value {
        None => canonical.push(b'-'),
        Some(value) => {
            canonical.push(b'=');
            // No page is as large as four GiB.
            let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
            canonical.extend_from_slice(&length.to_le_bytes());
            canonical.extend_from_slice(value.as_bytes());
        }
    }
}
