//! A disk that is small enough to be full: a file system in memory, seen by those alone who are put on it.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::process::Process;

/// What fills the disk, beside what the engine keeps there.
const BALLAST: &str = "ballast";
const BLOCK: usize = 64 << 10;

/// A small file system, mounted where only its own commands see it, to whom all else is read-only: as in a container.
#[derive(Debug)]
pub struct Disk {
    /// Holds the mount, over restarts of those who use it.
    holder: Process,
    /// Where it is mounted.
    at: PathBuf,
    /// Whether that took a user namespace; who is root needs none.
    as_user: bool,
}

impl Disk {
    /// Mounts a disk of so many bytes at a folder.
    ///
    /// # Panics
    ///
    /// Where the kernel lets this process mount nothing.
    pub async fn mount(at: &Path, bytes: u64) -> Self {
        let as_user = !is_root();
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if as_user {
            command.args(["--user", "--map-root-user"]);
        }
        command
            .args(["sh", "-c"])
            .arg(r#"mount -o remount,bind,ro / && mount -t tmpfs -o "size=$1,mode=0700" none "$2" && echo mounted && exec sleep infinity"#)
            .arg("sh")
            .arg(bytes.to_string())
            .arg(at);
        let mut holder = Process::spawn(
            "a small disk (it takes root, or a kernel with user namespaces)",
            &mut command,
        );
        holder.line_with("mounted").await;
        Self {
            holder,
            at: at.to_owned(),
            as_user,
        }
    }

    /// Returns a command that sees the disk.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.holder.pid().to_string()]);
        if self.as_user {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(program);
        command
    }

    /// Returns where everybody else finds it.
    pub fn path(&self) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.pid());
        let below = self.at.strip_prefix("/").unwrap_or(&self.at);
        Path::new(&root).join(below)
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut ballast = File::create(self.path().join(BALLAST)).expect("create a file");
        for bytes in [BLOCK, 1] {
            let error = loop {
                if let Err(error) = ballast.write_all(&vec![0; bytes]) {
                    break error;
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
        }
    }

    /// Gives it back.
    pub fn make_room(&self) {
        std::fs::remove_file(self.path().join(BALLAST)).expect("remove what fills the disk");
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("run id");
    id.stdout.trim_ascii() == b"0"
}
