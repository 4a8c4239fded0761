//! What all seeds begin with: an empty database that is migrated once, and a vault.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use zoom_log_engine::{
    clock::Clock,
    store::Store,
    vault::{Held, KeyFrom, Options, Vault},
};

/// What the names of our directories begin with; behind it comes the number of the process.
const PREFIX: &str = "zle-simulation-";

/// An empty database, to be copied.
#[derive(Debug)]
pub struct Template {
    root: TempDir,
    empty: Vec<u8>,
    vault: Vault,
}

impl Template {
    /// Makes the database, in memory where there is a file system for that.
    pub async fn make() -> Self {
        let memory = Path::new("/dev/shm");
        sweep(memory);
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix);
        let root = if memory.is_dir() {
            builder.tempdir_in(memory)
        } else {
            builder.tempdir()
        };
        let root = root.expect("a temporary directory");
        let path = root.path().join("empty.db");
        let store = Store::open(&path, Clock::real()).await.expect("open a store");
        store.close().await;
        let options = Options {
            key: KeyFrom::File(root.path().join("vault.key")),
            ref_dirs: Vec::new(),
            ref_env_prefixes: Vec::new(),
        };
        Self {
            empty: fs::read(&path).expect("read the empty database"),
            vault: Vault::load(options, Held::Nothing).expect("make a vault"),
            root,
        }
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// A folder for one seed.
    pub(super) fn folder(&self) -> TempDir {
        let folder = TempDir::new_in(self.root.path()).expect("a temporary directory");
        fs::create_dir(folder.path().join("out")).expect("a folder for destinations");
        folder
    }

    /// Puts the empty database into a seed's folder.
    pub(super) fn database(&self, folder: &Path, life: u32) {
        fs::write(database(folder, life), &self.empty).expect("write a database");
    }

    /// Where the database of a life is.
    pub(super) fn path(folder: &Path, life: u32) -> PathBuf {
        database(folder, life)
    }

    /// Copies a database as it is on disk, its write-ahead log included.
    pub(super) fn copy(folder: &Path, from: u32, to: u32) {
        let (from, to) = (database(folder, from), database(folder, to));
        fs::copy(&from, &to).expect("copy a database");
        let log = beside(&from, "-wal");
        if log.exists() {
            fs::copy(log, beside(&to, "-wal")).expect("copy a write-ahead log");
        }
    }

    /// Removes the database of a life that is over: a seed must not take more room than one life needs.
    pub(super) fn forget(folder: &Path, life: u32) {
        let path = database(folder, life);
        for file in [beside(&path, "-wal"), beside(&path, "-shm"), path] {
            // Whoever still has it open keeps what it needs; what is not there needs no removal.
            let _ = fs::remove_file(file);
        }
    }
}

fn database(folder: &Path, life: u32) -> PathBuf {
    folder.join(format!("engine-{life}.db"))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Removes what runs left behind that were killed: nobody else would, and memory is not for ever.
fn sweep(memory: &Path) {
    for entry in fs::read_dir(memory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
