//! The real binaries under test: found beside the test's own, built when they are missing or older than their source.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

/// A binary of the workspace that tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    Engine,
    Provider,
    Simulator,
    /// The provider that does nothing, for benchmarks.
    Floor,
}

impl Binary {
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine => "zoom-log-engine",
            Self::Provider => "terraform-provider-zoom",
            Self::Simulator => "zoom-sim",
            Self::Floor => "terraform-provider-floor",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Engine => "zoom-log-engine",
            Self::Provider => "terraform-provider-zoom",
            Self::Simulator | Self::Floor => "e2e",
        }
    }

    /// The folders whose change makes a built binary old.
    fn sources(self) -> &'static [&'static str] {
        match self {
            Self::Engine => &["engine"],
            Self::Provider => &["provider", "engine/api"],
            Self::Simulator => &["tests/src"],
            Self::Floor => &["tests/src", "provider", "engine/api"],
        }
    }

    /// Returns the binary's path.
    ///
    /// # Panics
    ///
    /// When it cannot be built.
    pub fn path(self) -> PathBuf {
        let directory = directory();
        let path = directory.join(self.name());
        let built = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
        let newest = self
            .sources()
            .iter()
            .filter_map(|folder| newest(&workspace().join(folder)))
            .max();
        // Cargo builds only the binaries of the package under test, so a plain `cargo test -p e2e` leaves an old one.
        if built.is_none() || built < newest {
            self.build(&directory, false);
        }
        assert!(
            path.is_file(),
            "{} is not where cargo should have put it: {}",
            self.name(),
            path.display()
        );
        path
    }

    /// Returns the path of an engine that dies where a test says: of the same binary, which is built anew where it
    /// knows nothing of crash points, as after a build of the engine alone.
    ///
    /// # Panics
    ///
    /// When it cannot be built.
    pub fn engine_with_crash_points() -> PathBuf {
        let path = Self::Engine.path();
        let knows = || {
            let mut command = Command::new(&path);
            command
                .arg("validate")
                .env(zoom_log_engine::crash::ARM_VARIABLE, "nowhere:1");
            let output = command.output().expect("run the engine");
            String::from_utf8_lossy(&output.stderr).contains("crash point")
        };
        if !knows() {
            Self::Engine.build(&directory(), true);
            assert!(knows(), "{} knows nothing of crash points", path.display());
        }
        path
    }

    fn build(self, directory: &Path, with_crash_points: bool) {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(workspace())
            .args(["build", "--quiet", "--bin", self.name()]);
        if directory.ends_with("release") {
            cargo.args(["--release", "--package", self.package()]);
            if with_crash_points {
                cargo.args(["--features", "crash-points"]);
            }
        } else {
            // As a build of the whole workspace makes it: its dependencies are there already, and tests let the
            // engine die where they say.
            cargo.arg("--workspace");
        }
        // What cargo says of the running test would look like a change to build scripts, and half of all be built anew.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_") && name != "CARGO_HOME" {
                cargo.env_remove(name);
            }
        }
        if let Some(target) = directory.parent() {
            cargo.env("CARGO_TARGET_DIR", target);
        }
        let status = cargo
            .status()
            .expect("run cargo, which is needed to build the binaries under test");
        assert!(
            status.success(),
            "cargo could not build {}: {status}",
            self.name()
        );
    }
}

/// Returns the folder that holds the workspace's built binaries.
pub fn directory() -> PathBuf {
    let own = env::current_exe().expect("the path of the running test");
    let folder = own.parent().expect("a folder around the test");
    // A test lies in `deps`, a binary one above.
    let folder = if folder.ends_with("deps") {
        folder.parent().unwrap_or(folder)
    } else {
        folder
    };
    folder.to_owned()
}

/// Returns the root of the source tree.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace around the crate")
        .to_owned()
}

/// Returns when the newest Rust source, manifest or migration in a folder was changed; tests in it are no part of a binary.
fn newest(folder: &Path) -> Option<SystemTime> {
    let is_test = |path: &Path| {
        let inside = path.strip_prefix(folder).unwrap_or(path);
        inside.components().any(|part| part.as_os_str() == "tests")
    };
    files(folder)
        .into_iter()
        .filter(|path| is_source(path) && !is_test(path))
        .filter_map(|path| path.metadata().ok()?.modified().ok())
        .max()
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["rs", "toml", "sql", "proto"]
            .iter()
            .any(|wanted| extension == *wanted)
    })
}

/// Returns every file under a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}
