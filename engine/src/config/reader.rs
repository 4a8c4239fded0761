//! Keys, each read as what it has to be; what is wrong is noted with its place.

use std::{
    ffi::{OsStr, OsString},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use engine_api::Spelling as _;
use jiff::tz::TimeZone;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use url::Url;

use super::{Place, Problem, RawConfig, raw::Value};

/// The keys of one configuration, and the problems that were found in it.
pub(super) struct Reader<'a> {
    pub(super) raw: &'a RawConfig,
    pub(super) problems: &'a mut Vec<Problem>,
    /// Where relative paths begin; empty until it is settled.
    pub(super) data_dir: PathBuf,
}

impl<'a> Reader<'a> {
    pub(super) fn new(raw: &'a RawConfig, problems: &'a mut Vec<Problem>) -> Self {
        Self {
            raw,
            problems,
            data_dir: PathBuf::new(),
        }
    }

    /// Chooses the data directory.
    pub(super) fn settle_data_dir(&mut self, variables: &[(OsString, OsString)]) -> Option<PathBuf> {
        let written = self.text("data_dir");
        let chosen = if written.is_empty() {
            conventional_data_dir(variables)
        } else {
            Some(written.into())
        };
        let Some(chosen) = chosen else {
            return self.problem(
                "data_dir",
                "must be set, because neither STATE_DIRECTORY nor XDG_DATA_HOME nor HOME is",
            );
        };
        let settled = std::path::absolute(&chosen).ok().or_else(|| {
            self.problem(
                "data_dir",
                "must be absolute, because there is no working directory",
            )
        });
        self.data_dir = settled.clone().unwrap_or_default();
        settled
    }

    /// Notes what is wrong with a key and where that stands; there is then no value.
    pub(super) fn problem<T>(&mut self, path: &str, message: impl Into<String>) -> Option<T> {
        let place = self.raw.get(path).place;
        self.problems.push(Problem {
            place,
            path: path.to_owned(),
            message: message.into(),
        });
        None
    }

    /// Whether a key was written, rather than left at its default.
    pub(super) fn is_written(&self, path: &str) -> bool {
        self.raw.get(path).place != Place::Default
    }

    pub(super) fn text(&self, path: &str) -> String {
        match self.raw.get(path).value {
            Value::Text(text) => text,
            Value::Integer(_) | Value::Boolean(_) | Value::List(_) | Value::Tables(_) => String::new(),
        }
    }

    pub(super) fn list(&self, path: &str) -> Vec<String> {
        match self.raw.get(path).value {
            Value::List(items) => items,
            Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::Tables(_) => Vec::new(),
        }
    }

    pub(super) fn boolean(&self, path: &str) -> bool {
        self.raw.get(path).value == Value::Boolean(true)
    }

    pub(super) fn integer<T: TryFrom<i64>>(&mut self, path: &str, range: RangeInclusive<i64>) -> Option<T> {
        if let Value::Integer(number) = self.raw.get(path).value
            && range.contains(&number)
            && let Ok(number) = number.try_into()
        {
            return Some(number);
        }
        self.problem(path, format!("must be from {} to {}", range.start(), range.end()))
    }

    pub(super) fn duration(&mut self, path: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        match Duration::parse(&self.text(path)) {
            Ok(duration) if range.contains(&duration) => Some(duration),
            Ok(_) => {
                let (least, most) = (range.start().spell(), range.end().spell());
                self.problem(path, format!("must be from `{least}` to `{most}`"))
            }
            Err(message) => self.problem(path, message),
        }
    }

    pub(super) fn zone(&mut self, path: &str) -> Option<TimeZone> {
        let text = self.text(path);
        TimeZone::get(&text).ok().or_else(|| {
            self.problem(
                path,
                format!("`{text}` is no time zone: use a name such as `UTC` or `Asia/Tokyo`"),
            )
        })
    }

    /// A path; a relative one is taken from the data directory.
    pub(super) fn path(&mut self, path: &str) -> Option<PathBuf> {
        let text = self.text(path);
        if text.is_empty() || text.contains('\0') {
            return self.problem(path, "must be a path");
        }
        Some(self.data_dir.join(text))
    }

    /// A base URL. Its text is not shown, because it may hold credentials.
    pub(super) fn url(&mut self, path: &str) -> Option<Url> {
        let Ok(url) = self.text(path).parse::<Url>() else {
            return self.problem(path, "must be a URL, such as `https://zoom-logs.example.com`");
        };
        if !matches!(url.scheme(), "http" | "https") {
            return self.problem(path, "must begin with `https://` or `http://`");
        }
        if !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return self.problem(path, "must hold neither credentials nor a query nor a fragment");
        }
        Some(url)
    }

    pub(super) fn authorities(&mut self, path: &str, file: &Path) -> Option<Vec<CertificateDer<'static>>> {
        let pem = match std::fs::read(file) {
            Ok(pem) => pem,
            Err(error) => return self.problem(path, format!("failed to read {}: {error}", file.display())),
        };
        match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if !certificates.is_empty() => Some(certificates),
            _ => self.problem(path, format!("{} must hold certificates in PEM", file.display())),
        }
    }
}

/// Where programs of this kind keep their data: what systemd says, else the user's own data directory.
fn conventional_data_dir(variables: &[(OsString, OsString)]) -> Option<PathBuf> {
    let variable = |name: &str| {
        let value = variables
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_os_str());
        value.filter(|value| !value.is_empty())
    };
    let absolute = |value: &OsStr| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    // systemd separates several state directories by colons; the first is ours.
    let first = |value: &OsStr| {
        value
            .to_str()
            .and_then(|text| text.split(':').next())
            .map(PathBuf::from)
    };
    variable("STATE_DIRECTORY")
        .and_then(first)
        .or_else(|| {
            variable("XDG_DATA_HOME")
                .and_then(absolute)
                .map(|home| home.join("zoom-log-engine"))
        })
        .or_else(|| {
            variable("HOME")
                .and_then(absolute)
                .map(|home| home.join(".local/share/zoom-log-engine"))
        })
}
