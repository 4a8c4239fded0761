//! Commands under a stopwatch.
//!
//! [`Process`](crate::process::Process) looks for a child's end every now and then, which is too coarse for a plan of
//! half a second; here the kernel tells.

use std::{
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command as Spawn},
    time::timeout,
};

use crate::process;

/// A child and all that it started, killed when this is dropped.
#[derive(Debug)]
pub(super) struct Group {
    child: Child,
    id: u32,
}

impl Drop for Group {
    fn drop(&mut self) {
        process::kill_group(self.id);
    }
}

impl Group {
    fn spawn(name: &str, mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut command = Spawn::from(command);
        let child = command
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        let id = child.id().expect("a child that nobody has waited for has an id");
        Self { child, id }
    }

    pub(super) fn pid(&self) -> u32 {
        self.id
    }
}

/// Runs a command to its end, and returns how long that took.
///
/// # Panics
///
/// When it takes longer than `late`.
pub(super) async fn run(name: &str, command: Command, late: Duration) -> (Duration, Output) {
    let began = Instant::now();
    let mut group = Group::spawn(name, command);
    let streams = (group.child.stdout.take(), group.child.stderr.take());
    let (mut out, mut err) = (streams.0.expect("piped"), streams.1.expect("piped"));
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let ended = async {
        use tokio::io::AsyncReadExt as _;
        let (status, _, _) = tokio::join!(
            group.child.wait(),
            out.read_to_end(&mut stdout),
            err.read_to_end(&mut stderr)
        );
        status
    };
    let status = timeout(late, ended)
        .await
        .unwrap_or_else(|_| panic!("{name} still runs after {late:?}"))
        .unwrap_or_else(|error| panic!("wait for {name}: {error}"));
    let took = began.elapsed();
    let output = Output {
        status,
        stdout,
        stderr,
    };
    (took, output)
}

/// Starts a command, and returns how long it took until its first line of output, and that line.
///
/// # Panics
///
/// When no line comes before `late`.
pub(super) async fn first_line(name: &str, command: Command, late: Duration) -> (Duration, String, Group) {
    let began = Instant::now();
    let mut group = Group::spawn(name, command);
    let mut stdout = BufReader::new(group.child.stdout.take().expect("piped"));
    let mut line = String::new();
    timeout(late, stdout.read_line(&mut line))
        .await
        .unwrap_or_else(|_| panic!("{name} wrote no line within {late:?}"))
        .unwrap_or_else(|error| panic!("read from {name}: {error}"));
    (began.elapsed(), line.trim_end().to_owned(), group)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn the_end_and_the_first_line_are_timed() {
        let late = Duration::from_secs(20);
        let (_, output) = run("a shell", shell("echo out; echo err >&2; exit 3"), late).await;
        assert_eq!(
            (output.status.code(), &*output.stdout, &*output.stderr),
            (Some(3), &b"out\n"[..], &b"err\n"[..])
        );
        let (took, line, group) = first_line("a shell", shell("echo one; sleep 60"), late).await;
        assert_eq!(line, "one");
        assert!(took < late);
        let id = group.pid();
        assert!(process::group_is_alive(id));
        drop(group);
        crate::wait::until_now(late, "the group to be gone", || {
            if process::group_is_alive(id) {
                Err("alive")
            } else {
                Ok(())
            }
        })
        .await;
    }
}
