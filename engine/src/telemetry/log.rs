//! Log lines: on stderr, one a line, for people or as JSON, with times in RFC 3339 and UTC.
//!
//! Only our own crates speak at the chosen level. Libraries are held to warnings whatever it is, because what an
//! HTTP or TLS library says in detail includes headers, and so credentials.

use std::{io, panic};

use tracing::{Level, Subscriber, error, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer as _, Registry,
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    util::{SubscriberInitExt as _, TryInitError},
};

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people; with colours where stderr is a terminal.
    Text {
        /// Whether to colour.
        ansi: bool,
    },
    /// One JSON object a line: `timestamp`, `level`, `target`, `message`, the line's fields, and `span`.
    Json,
}

/// Sends all log lines of the process to stderr from now on, panics included.
///
/// # Errors
///
/// Where log lines already go elsewhere.
pub fn to_stderr(format: Format, level: Level) -> Result<(), TryInitError> {
    subscriber(format, level, io::stderr).try_init()?;
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("no message");
        error!(place, message, "panic");
    }));
    Ok(())
}

fn subscriber<W>(format: Format, level: Level, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = LevelFilter::from_level(level);
    let filter = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("zoom_log_engine", level)
        .with_target("engine_api", level);
    let layer = fmt::layer().with_writer(writer).log_internal_errors(false);
    let layer = match format {
        Format::Text { ansi } => layer.with_ansi(ansi).boxed(),
        Format::Json => layer.json().flatten_event(true).with_span_list(false).boxed(),
    };
    Registry::default().with(layer.with_filter(filter))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use tracing::{debug, info, info_span, subscriber::with_default};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(format: Format, level: Level, speak: impl FnOnce()) -> Vec<String> {
        let written = Lines::default();
        let writer = written.clone();
        with_default(subscriber(format, level, move || writer.clone()), speak);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn a_json_line_has_its_time_in_utc_and_its_fields_at_the_top() {
        let lines = lines(Format::Json, Level::INFO, || {
            let _span = info_span!("poll", source = "src_1").entered();
            info!(rows = 3, "page read");
        });
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert!(
            line["timestamp"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .is_ok()
        );
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
        assert_eq!(
            (&line["level"], &line["message"], &line["rows"]),
            (&"INFO".into(), &"page read".into(), &3.into())
        );
        assert_eq!(line["span"]["source"], "src_1");
    }

    #[test]
    fn libraries_are_held_to_warnings() {
        let text = Format::Text { ansi: false };
        let speak = || {
            debug!("ours");
            debug!(target: "hyper::proto", "authorization: marker");
            error!(target: "hyper::proto", "theirs");
        };
        let spoken = lines(text, Level::TRACE, speak);
        assert_eq!(spoken.len(), 2, "{spoken:?}");
        assert!(spoken.iter().all(|line| !line.contains("marker")));
        assert_eq!(lines(text, Level::ERROR, speak).len(), 1);
    }
}
