//! Secrets that the engine reads itself: `file:/run/secrets/zoom`, `env:NAME`.
//!
//! Whoever may write a source chooses the reference, and must not thereby read the engine's own files: only the
//! directories in `vault.ref_dirs` and the variables that begin with one of `vault.ref_env_prefixes` are open, and
//! what is refused is refused alike whether it exists or not.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use engine_api::Secret;
use zeroize::Zeroizing;

use super::{Error, file::read_capped};

/// What references may reach.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    pub(super) dirs: Vec<PathBuf>,
    pub(super) env_prefixes: Vec<String>,
}

impl Reach {
    pub(super) fn resolve(&self, reference: &str) -> Result<Secret, Error> {
        let malformed = || Error::ReferenceMalformed {
            reference: reference.to_owned(),
        };
        match reference.split_once(':').ok_or_else(malformed)? {
            ("file", path) if path.starts_with('/') && !path.contains('\0') => {
                self.file(reference, Path::new(path))
            }
            ("env", name) if is_variable_name(name) => self.variable(reference, name),
            _ => Err(malformed()),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a reference is how a user tells the vault to read a variable"
    )]
    fn variable(&self, reference: &str, name: &str) -> Result<Secret, Error> {
        if !self
            .env_prefixes
            .iter()
            .any(|prefix| !prefix.is_empty() && name.starts_with(prefix.as_str()))
        {
            return Err(Error::ReferenceForbidden {
                reference: reference.to_owned(),
                setting: "`vault.ref_env_prefixes`",
                allowed: self.env_prefixes.clone(),
            });
        }
        let value = std::env::var(name).map_err(|cause| unreadable(reference, cause.to_string()))?;
        secret(reference, &Zeroizing::new(value.into_bytes()))
    }

    fn file(&self, reference: &str, path: &Path) -> Result<Secret, Error> {
        let forbidden = || Error::ReferenceForbidden {
            reference: reference.to_owned(),
            setting: "`vault.ref_dirs`",
            allowed: self.dirs.iter().map(|dir| dir.display().to_string()).collect(),
        };
        // Judged by its text first, so that the answer about a path outside does not tell whether it exists.
        let climbs = path.components().any(|part| part == Component::ParentDir);
        if climbs || !self.dirs.iter().any(|dir| path.starts_with(dir)) {
            return Err(forbidden());
        }
        let dirs: Vec<PathBuf> = self
            .dirs
            .iter()
            .filter_map(|dir| fs::canonicalize(dir).ok())
            .collect();
        let inside = |path: &Path| dirs.iter().any(|dir| path.starts_with(dir));
        let failed = |cause: io::Error| unreadable(reference, cause.to_string());

        let real = fs::canonicalize(path).map_err(failed)?;
        if !inside(&real) {
            return Err(forbidden());
        }
        if !fs::symlink_metadata(&real).map_err(failed)?.is_file() {
            return Err(unreadable(reference, "it is not a regular file".to_owned()));
        }
        let mut file = File::open(&real).map_err(failed)?;
        // A link that is swapped between the two steps could lead outside: what was opened must still be what the
        // path means, and that must still lie inside.
        let opened = file.metadata().map_err(failed)?;
        let real = fs::canonicalize(path).map_err(failed)?;
        let meant = fs::symlink_metadata(&real).map_err(failed)?;
        if !inside(&real) || (opened.dev(), opened.ino()) != (meant.dev(), meant.ino()) {
            return Err(unreadable(reference, "it changed while it was read".to_owned()));
        }
        let bytes = read_capped(&mut file).map_err(failed)?;
        secret(reference, &bytes)
    }
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn unreadable(reference: &str, cause: String) -> Error {
    Error::ReferenceUnreadable {
        reference: reference.to_owned(),
        cause,
    }
}

/// Takes the text without the one line end that editors and `echo` put behind it.
fn secret(reference: &str, bytes: &[u8]) -> Result<Secret, Error> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| unreadable(reference, "it is not text in UTF-8".to_owned()))?;
    let text = text
        .strip_suffix('\n')
        .map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() {
        return Err(unreadable(reference, "it is empty".to_owned()));
    }
    Ok(Secret::from(text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    struct Fixture {
        root: tempfile::TempDir,
        reach: Reach,
    }

    fn fixture() -> Fixture {
        let root = tempfile::tempdir().unwrap();
        let open = root.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::write(open.join("zoom"), "s3cret\n").unwrap();
        fs::write(root.path().join("vault.key"), "marker").unwrap();
        Fixture {
            reach: Reach {
                dirs: vec![open],
                env_prefixes: vec!["CARGO_PKG_".to_owned()],
            },
            root,
        }
    }

    impl Fixture {
        fn file(&self, path: &str) -> Result<String, Error> {
            let reference = format!("file:{}/{path}", self.root.path().display());
            self.reach
                .resolve(&reference)
                .map(|secret| secret.expose().to_owned())
        }
    }

    #[test]
    fn a_file_in_an_open_directory_is_read_without_its_last_line_end() {
        let fixture = fixture();
        assert_eq!(fixture.file("open/zoom").unwrap(), "s3cret");
        fs::write(fixture.root.path().join("open/two"), "line\n\r\n").unwrap();
        assert_eq!(fixture.file("open/two").unwrap(), "line\n");
        symlink("zoom", fixture.root.path().join("open/link")).unwrap();
        assert_eq!(fixture.file("open/link").unwrap(), "s3cret");
    }

    #[test]
    fn nothing_outside_is_read_and_nothing_is_told_about_it() {
        let fixture = fixture();
        symlink("../vault.key", fixture.root.path().join("open/escape")).unwrap();
        symlink("..", fixture.root.path().join("open/up")).unwrap();
        for path in [
            "vault.key",
            "missing",
            "open/../vault.key",
            "open/escape",
            "open/up/vault.key",
            "opened/x",
        ] {
            let error = fixture.file(path).unwrap_err();
            assert!(
                matches!(error, Error::ReferenceForbidden { .. }),
                "{path}: {error}"
            );
            let text = error.to_string();
            assert!(
                text.contains("vault.ref_dirs") && !text.contains("marker"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_holds_no_secret_is_an_error() {
        let fixture = fixture();
        let open = fixture.root.path().join("open");
        fs::write(open.join("empty"), "\n").unwrap();
        fs::write(open.join("binary"), [0xff, 0xfe]).unwrap();
        fs::write(open.join("large"), vec![b'x'; 70_000]).unwrap();
        fs::create_dir(open.join("dir")).unwrap();
        for (path, why) in [
            ("empty", "empty"),
            ("binary", "UTF-8"),
            ("large", "larger"),
            ("dir", "regular"),
            ("none", "No such file"),
        ] {
            let error = fixture.file(&format!("open/{path}")).unwrap_err();
            assert!(error.to_string().contains(why), "{path}: {error}");
        }
    }

    #[test]
    fn variables_are_limited_to_their_prefixes() {
        let reach = fixture().reach;
        assert_eq!(
            reach.resolve("env:CARGO_PKG_NAME").unwrap().expose(),
            env!("CARGO_PKG_NAME")
        );
        let error = reach.resolve("env:PATH").unwrap_err().to_string();
        assert!(
            error.contains("`vault.ref_env_prefixes` names only `CARGO_PKG_`"),
            "{error}"
        );
        assert!(matches!(
            reach.resolve("env:CARGO_PKG_NONE"),
            Err(Error::ReferenceUnreadable { .. })
        ));
        let closed = Reach {
            dirs: vec![],
            env_prefixes: vec![],
        };
        assert!(
            closed
                .resolve("env:PATH")
                .unwrap_err()
                .to_string()
                .contains("names nothing")
        );
        assert!(
            closed
                .resolve("file:/etc/passwd")
                .unwrap_err()
                .to_string()
                .contains("names nothing")
        );
    }

    #[test]
    fn what_is_no_reference_is_malformed() {
        for text in [
            "",
            "s3cret",
            "file:relative",
            "env:",
            "env:A B",
            "exec:/bin/sh",
            "FILE:/x",
            "file:/a\0b",
        ] {
            assert!(
                matches!(
                    fixture().reach.resolve(text),
                    Err(Error::ReferenceMalformed { .. })
                ),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_path_reaches_the_key(parts in prop::collection::vec("(\\.\\.|\\.|open|up|vault\\.key|/)", 0..6)) {
            let fixture = fixture();
            symlink("..", fixture.root.path().join("open/up")).unwrap();
            if let Ok(text) = fixture.file(&parts.join("/")) {
                prop_assert_ne!(text, "marker");
            }
        }
    }
}
