//! The `file` destination: one line of JSON an event, appended to a file.
//!
//! How an event comes to stand in the file exactly once: before the first write, and with each acknowledgement, the
//! file's identity and length are stored. A write that was interrupted by a crash, or failed half way, has made the
//! file longer than that; it is cut back before the same batch is written again. An acknowledgement is given only
//! when the bytes, and for a new file its directory entry, are on disk.
//!
//! A user may rotate or remove the file at any time, by renaming or by truncating it: another file, or a shorter one,
//! is taken as it is, and writing goes on at its end. The file is locked while the engine writes to it, so that a
//! second writer of this kind is noticed; who only reads, or rotates, is not hindered.
//!
//! Known gap: what a rotation moves away between a crash and the next write is not cut back, so that one batch may
//! stand in the old file and again in the new one.

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Batch, Destination, Limits, WriteError, path};
use crate::crash;

/// A file takes what there is; the bounds only keep memory small.
const LIMITS: Limits = Limits {
    max_events: 10_000,
    max_bytes: 4 << 20,
    max_age: Duration::ZERO,
};

/// A batch of this many bytes is part of a backlog, and more will follow: the system need not keep it in memory. It would
/// have to find new memory for each batch, which takes longer than all else about it, and take it from what others use.
/// A smaller one stays, for whoever follows the file.
const BACKLOG: usize = 1 << 20;

/// A file that is appended to, as long as this is alive.
#[derive(Debug)]
pub(super) struct Appends {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: String,
    roots: Arc<[PathBuf]>,
    open: Mutex<Option<Opened>>,
    /// Nobody waits for the outcome any more: file work that is still under way must change nothing, since what it
    /// knows of the file may be old by now.
    abandoned: AtomicBool,
}

#[derive(Debug)]
struct Opened {
    file: File,
    path: PathBuf,
}

/// The file as it was at the last acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Settled {
    path: PathBuf,
    device: u64,
    inode: u64,
    length: u64,
}

impl Appends {
    pub(super) fn new(path: &str, roots: Arc<[PathBuf]>) -> Self {
        Self {
            shared: Arc::new(Shared {
                path: path.to_owned(),
                roots,
                open: Mutex::default(),
                abandoned: AtomicBool::new(false),
            }),
        }
    }

    /// Runs file work where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, WriteError> {
        let shared = Arc::clone(&self.shared);
        // Not a task of its own: it is awaited right here. Should the waiting be given up, the lock on the file keeps
        // the next writer away until it has ended.
        let done = tokio::task::spawn_blocking(move || work(&shared)).await;
        done.unwrap_or_else(|_| Err(WriteError::unavailable("the engine is stopping")))
    }
}

impl Drop for Appends {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Destination for Appends {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn parallel(&self) -> usize {
        1
    }

    async fn prepare(&self, settled: Option<&str>, interrupted: bool) -> Result<Option<String>, WriteError> {
        // What an older version or another kind of destination left there says nothing about this file.
        let settled = settled.and_then(|text| serde_json::from_str(text).ok());
        self.blocking(move |shared| shared.prepare(settled.as_ref().filter(|_| interrupted)).map(Some))
            .await
    }

    async fn write(&self, batch: &Batch) -> Result<Option<String>, WriteError> {
        let lines = batch.lines.clone();
        self.blocking(move |shared| shared.append(&lines).map(Some)).await
    }
}

impl Shared {
    /// Opens the file, or looks whether the open one is still the one that the path means. What is longer than
    /// `interrupted` was never acknowledged, and is cut off.
    fn prepare(&self, interrupted: Option<&Settled>) -> Result<String, WriteError> {
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let path = path::resolve(&self.path, &self.roots)?;
        if slot.as_ref().is_none_or(|open| !open.is_at(&path)) {
            let opened = Opened::at(path)?;
            self.still_wanted()?;
            if let Some(settled) = interrupted {
                opened.cut_back(settled)?;
            }
            *slot = Some(opened);
        }
        match &*slot {
            Some(open) => open.settled(),
            None => Err(WriteError::unavailable("the file is not open")),
        }
    }

    /// Asked under the file's lock, which whoever comes next needs too: so either this work is abandoned here, or the
    /// next one waits for its end.
    fn still_wanted(&self) -> Result<(), WriteError> {
        if self.abandoned.load(Ordering::SeqCst) {
            return Err(WriteError::unavailable("the engine is stopping"));
        }
        Ok(())
    }

    fn append(&self, lines: &Bytes) -> Result<String, WriteError> {
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out: after an error nothing is known of the file, and `prepare` opens it anew.
        let Some(mut open) = slot.take() else {
            return Err(WriteError::unavailable("the file is not open"));
        };
        self.still_wanted()?;
        let before = open.length()?;
        if let Err(error) = open.append(lines, before) {
            // Whether this works does not matter: the stored length says where to cut at the next start.
            let _ = open.file.set_len(before).and_then(|()| open.file.sync_all());
            return Err(path::failed(&error, "append to", &open.path));
        }
        let settled = open.settled()?;
        *slot = Some(open);
        Ok(settled)
    }
}

impl Opened {
    fn at(path: PathBuf) -> Result<Self, WriteError> {
        let failed = |error: io::Error| path::failed(&error, "open", &path);
        let is_new = !path.try_exists().map_err(failed)?;
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            // Some file systems know no locks; there is then nobody to notice.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(WriteError::unavailable(format!(
                    "{} is locked by another writer: give each destination a file of its own",
                    path.display()
                )));
            }
        }
        if is_new {
            path::sync_parent(&path)?;
        }
        let opened = Self { file, path };
        if opened.is_at(&opened.path) {
            Ok(opened)
        } else {
            // A link or another file was put there between the two steps.
            Err(WriteError::unavailable(format!(
                "{} changed while it was opened",
                opened.path.display()
            )))
        }
    }

    /// Whether the path still means this very file.
    fn is_at(&self, path: &Path) -> bool {
        let same = |found: &Metadata, open: &Metadata| (found.dev(), found.ino()) == (open.dev(), open.ino());
        match (path.symlink_metadata(), self.file.metadata()) {
            (Ok(found), Ok(open)) => found.is_file() && same(&found, &open),
            _ => false,
        }
    }

    fn length(&self) -> Result<u64, WriteError> {
        Ok(self
            .file
            .metadata()
            .map_err(|error| path::failed(&error, "look at", &self.path))?
            .len())
    }

    fn settled(&self) -> Result<String, WriteError> {
        let found = self
            .file
            .metadata()
            .map_err(|error| path::failed(&error, "look at", &self.path))?;
        let settled = Settled {
            path: self.path.clone(),
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
        };
        serde_json::to_string(&settled).map_err(|error| {
            WriteError::unavailable(format!("{} has no name in UTF-8: {error}", self.path.display()))
        })
    }

    fn cut_back(&self, settled: &Settled) -> Result<(), WriteError> {
        let found = self
            .file
            .metadata()
            .map_err(|error| path::failed(&error, "look at", &self.path))?;
        let same = settled.path == self.path && (settled.device, settled.inode) == (found.dev(), found.ino());
        if !same || found.len() <= settled.length {
            return Ok(());
        }
        self.file
            .set_len(settled.length)
            .and_then(|()| self.file.sync_all())
            .map_err(|error| path::failed(&error, "cut back", &self.path))
    }

    fn append(&mut self, lines: &[u8], length: u64) -> io::Result<()> {
        let mut last = [b'\n'];
        if length > 0 {
            self.file.read_exact_at(&mut last, length - 1)?;
        }
        if last != [b'\n'] {
            // Somebody else's torn line must not swallow our first one.
            self.file.write_all(b"\n")?;
        }
        // In two parts, so that a test can let the engine die with half of a line behind it.
        let (first, rest) = lines.split_at(lines.len() / 2);
        self.file.write_all(first)?;
        crash::blocking_point("file.half_written");
        self.file.write_all(rest)?;
        // Enough for the bytes and the length; the file's other times do not matter.
        self.file.sync_data()?;
        if lines.len() >= BACKLOG {
            forget(&self.file, length);
        }
        Ok(())
    }
}

/// Tells the system that what is on disk from `start` on need not stay in memory. Nothing depends on whether it listens.
#[cfg(target_os = "linux")]
fn forget(file: &File, start: u64) {
    let _ = rustix::fs::fadvise(file, start, None, rustix::fs::Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn forget(_: &File, _: u64) {}
