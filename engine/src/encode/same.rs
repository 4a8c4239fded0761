//! What an event mostly has in common with the one before it, written once.

use jiff::Timestamp;

use super::{instant::Writer, quote};

/// Texts of the event before.
#[derive(Debug, Clone, Default)]
pub(super) struct Same {
    labels: Option<String>,
    /// The labels, each in quotes.
    quoted: String,
    collected_at: Option<Timestamp>,
    /// The instant, in quotes.
    collected: String,
    instants: Writer,
}

impl Same {
    /// Labels, each in quotes, with commas between.
    pub(super) fn labels(&mut self, labels: &str) -> &str {
        if self.labels.as_deref() != Some(labels) {
            self.labels = Some(labels.to_owned());
            self.quoted.clear();
            for (number, label) in labels.split(',').enumerate() {
                if number > 0 {
                    self.quoted.push(',');
                }
                quote(label, &mut self.quoted);
            }
        }
        &self.quoted
    }

    /// The time of collection, in quotes.
    pub(super) fn collected_at(&mut self, at: Timestamp) -> &str {
        if self.collected_at != Some(at) {
            self.collected_at = Some(at);
            self.collected.clear();
            quoted(&mut self.instants, at, &mut self.collected);
        }
        &self.collected
    }

    /// Writes another instant, in quotes.
    pub(super) fn instant(&mut self, at: Timestamp, out: &mut String) {
        quoted(&mut self.instants, at, out);
    }
}

fn quoted(instants: &mut Writer, instant: Timestamp, out: &mut String) {
    out.push('"');
    instants.write(instant, out);
    out.push('"');
}
