//! Child processes that cannot outlive their test.

use std::{
    io::{BufRead as _, BufReader, Read},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::wait;

/// A running child with its own process group and its output captured.
///
/// Dropping it kills the whole group, so that what the child itself started ends too.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    ended: Option<ExitStatus>,
}

/// What a process left behind.
#[derive(Debug, Clone)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Returns both outputs, for messages and searches.
    pub fn all(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

impl Process {
    /// Starts a command in a process group of its own, with nothing on its standard input.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn spawn(name: &str, command: &mut Command) -> Self {
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let readers = vec![
            keep(child.stdout.take().expect("a piped output"), Arc::clone(&stdout)),
            keep(child.stderr.take().expect("a piped output"), Arc::clone(&stderr)),
        ];
        Self {
            name: name.to_owned(),
            child,
            stdout,
            stderr,
            readers,
            ended: None,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout.lock().unwrap()).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned()
    }

    /// Returns both outputs so far.
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout(), self.stderr())
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: &str) {
        kill(signal, &self.pid().to_string());
    }

    /// Returns how the process ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("ask for a child's end");
        }
        self.ended
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self, late: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        wait::until_now(late, &what, || {
            self.exit_status()
                .ok_or_else(|| format!("still running; its output:\n{}", self.output()))
        })
        .await
    }

    /// Waits for the end, and returns what the process left behind.
    pub async fn finish(mut self, late: Duration) -> Ran {
        let status = self.ended(late).await;
        self.join_readers();
        Ran {
            code: status.code(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }

    /// Kills the process at once, as a power cut would, and returns its output.
    pub fn kill(mut self) -> String {
        self.end();
        self.output()
    }

    /// Waits until the output holds `part`, and returns the line around it.
    pub async fn line_with(&mut self, part: &str) -> String {
        let what = format!("`{part}` in the output of {}", self.name);
        wait::until_now(wait::LATE, &what, || {
            let ended = self.exit_status();
            let output = self.output();
            if let Some(line) = output.lines().find(|line| line.contains(part)) {
                return Ok(line.to_owned());
            }
            assert!(
                ended.is_none(),
                "{} ended ({ended:?}) before `{part}`; its output:\n{output}",
                self.name
            );
            Err(format!("its output:\n{output}"))
        })
        .await
    }

    fn end(&mut self) {
        // The group even when the child itself is gone: what it started may still run.
        kill_group(self.pid());
        if self.ended.is_none() {
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
        self.join_readers();
    }

    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns true while any process of the group runs.
pub fn group_is_alive(group: u32) -> bool {
    kill("0", &format!("-{group}"))
}

/// Kills every process of a group.
pub(crate) fn kill_group(group: u32) {
    kill("KILL", &format!("-{group}"));
}

fn kill(signal: &str, target: &str) -> bool {
    let mut command = Command::new("kill");
    command
        .args([&format!("-{signal}"), "--", target])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn keep(from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            into.lock().unwrap().append(&mut line);
        }
    })
}
