//! Who runs where: the simulator has a core of its own, so that what is measured never shares with it.

use std::{
    fs,
    process::{Command, Stdio},
    sync::OnceLock,
};

/// A part of the machine's cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cores {
    /// The first: of the simulator, and of whoever only looks on.
    Zoom,
    /// All others: of what is measured.
    Measured,
}

/// Binds all threads of a process to its part, and those that they start from then on. Answers whether that could be
/// done: it takes two cores, and util-linux's `taskset`.
pub(super) fn bind(pid: u32, cores: Cores) -> bool {
    let all = allowed();
    let list = match (all, cores) {
        ([_] | [], _) => return false,
        ([zoom, ..], Cores::Zoom) => zoom.to_string(),
        ([_, measured @ ..], Cores::Measured) => {
            let measured: Vec<String> = measured.iter().map(ToString::to_string).collect();
            measured.join(",")
        }
    };
    let mut command = Command::new("taskset");
    command
        .args(["--all-tasks", "--cpu-list", "--pid", &list, &pid.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The cores that this process could use when it was first asked for.
fn allowed() -> &'static [u32] {
    static ALLOWED: OnceLock<Vec<u32>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let list = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        numbers(list.unwrap_or_default().trim())
    })
}

/// Reads a list such as `0-3,6`.
fn numbers(list: &str) -> Vec<u32> {
    let part = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.parse().ok()?..=to.parse().ok()?)
    };
    list.split(',').filter_map(part).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::{allowed, numbers};

    #[test]
    fn a_list_of_cores_is_read() {
        assert_eq!(numbers("0-3,6"), [0, 1, 2, 3, 6]);
        assert_eq!(numbers("1"), [1]);
        assert!(numbers("").is_empty());
        assert!(!allowed().is_empty());
    }
}
