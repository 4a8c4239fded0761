//! What all seeds begin with: an empty database that is migrated once, and a vault.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use zoom_log_engine::{
    clock::Clock,
    store::Store,
    vault::{Held, Options, Vault},
};

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
        let mut builder = tempfile::Builder::new();
        builder.prefix("zle-simulation-");
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
            key_file: root.path().join("vault.key"),
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
    pub(super) fn database(&self, folder: &Path, life: u32) -> PathBuf {
        let path = database(folder, life);
        fs::write(&path, &self.empty).expect("write a database");
        path
    }

    /// Copies a database as it is on disk, its write-ahead log included.
    #[expect(clippy::unused_self, reason = "it belongs with the other two")]
    pub(super) fn copy(&self, folder: &Path, from: u32, to: u32) -> PathBuf {
        let (from, to) = (database(folder, from), database(folder, to));
        let log = |path: &Path| path.with_extension("db-wal");
        fs::copy(&from, &to).expect("copy a database");
        if log(&from).exists() {
            fs::copy(log(&from), log(&to)).expect("copy a write-ahead log");
        }
        to
    }
}

fn database(folder: &Path, life: u32) -> PathBuf {
    folder.join(format!("engine-{life}.db"))
}
