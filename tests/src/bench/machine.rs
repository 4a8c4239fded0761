//! What the figures were measured on, and how much of a process's memory is there.

use std::{fmt, fs, thread};

/// The shape of the machine.
#[derive(Debug, Clone)]
pub struct Machine {
    cores: usize,
    processor: String,
    memory_gib: u64,
    kernel: String,
}

impl Machine {
    pub fn here() -> Self {
        let word = |path: &str, key: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(key));
            line.and_then(|line| line.split_once(':'))
                .map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
        };
        let kib = word("/proc/meminfo", "MemTotal");
        let kib: u64 = kib.trim_end_matches(" kB").parse().unwrap_or(0);
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            processor: word("/proc/cpuinfo", "model name"),
            memory_gib: kib.div_ceil(1 << 20),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cores,
            processor,
            memory_gib,
            kernel,
        } = self;
        write!(
            f,
            "{cores} cores of {processor}, {memory_gib} GiB, Linux {}",
            kernel.trim()
        )
    }
}

/// Returns how many threads wanted to run in the last minute, on average: above zero before a measure, others disturb.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Returns a size of a process's memory in MiB, by its name in `/proc/PID/status`: `VmRSS`, `VmHWM`.
///
/// # Panics
///
/// When there is no such process.
pub(super) fn memory(pid: u32, name: &str) -> f64 {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u32>().ok());
    f64::from(kib.unwrap_or_else(|| panic!("no {name} in {path}"))) / 1024.0
}

/// Returns the seconds of a core that a process has used so far, its ended threads included.
///
/// # Panics
///
/// When there is no such process.
pub(super) fn processor_seconds(pid: u32) -> f64 {
    /// What the kernel counts in: a hundredth of a second on every architecture that Rust builds for.
    const TICKS: f64 = 100.0;

    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    // The name, in parentheses, may hold anything; user and system time are the 12th and 13th fields behind it.
    let (_, fields) = text.rsplit_once(')').unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u32 = ticks.filter_map(|field| field.parse::<u32>().ok()).sum();
    f64::from(ticks) / TICKS
}

/// Returns a count as a number to calculate with.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and sizes of a benchmark are far below 2^52"
)]
pub(super) fn count(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::{Machine, memory, processor_seconds};

    #[test]
    fn a_process_and_a_machine_have_a_size() {
        let pid = std::process::id();
        assert!(memory(pid, "VmRSS") > 1.0);
        assert!(memory(pid, "VmHWM") >= memory(pid, "VmRSS") - 1.0);
        let began = processor_seconds(pid);
        let mut work = 0_u64;
        while processor_seconds(pid) <= began {
            work = std::hint::black_box(work.wrapping_add(1));
        }
        assert!(Machine::here().to_string().contains("cores of"));
    }
}
