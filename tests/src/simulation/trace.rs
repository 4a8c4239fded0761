//! What happened, for whoever looks at a seed that failed.

use std::collections::VecDeque;

use jiff::Timestamp;

/// So many lines are kept.
const KEPT: usize = 200;

/// The latest lines; all of them are printed at once where somebody replays a seed.
#[derive(Debug)]
pub(super) struct Trace {
    lines: VecDeque<String>,
    told: bool,
    hash: u64,
}

impl Trace {
    pub(super) fn new(told: bool) -> Self {
        Self {
            lines: VecDeque::new(),
            told,
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// Notes what happened at the true time `now`.
    #[expect(clippy::print_stdout, reason = "a replay is there to be read")]
    pub(super) fn note(&mut self, now: Timestamp, what: impl FnOnce() -> String) {
        let line = format!("{now:.3} {}", what());
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        if self.told {
            println!("{line}");
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// A number that two runs share only if the same happened in them, in the same order.
    pub(super) fn digest(&self) -> u64 {
        self.hash
    }

    pub(super) fn last(&self) -> String {
        self.lines.iter().fold(String::new(), |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        })
    }
}
