//! Where a `file` destination may write.
//!
//! Whoever may write a destination chooses its path, and must not thereby write the engine's own files or anybody
//! else's: the path must lie under one of `egress.file_roots`, by its text and by what its links lead to.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Component, Path, PathBuf},
};

use engine_api::Code;

use super::WriteError;

/// Judges a path without making anything.
pub(super) fn check(path: &str, roots: &[PathBuf]) -> Result<(), WriteError> {
    let target = place(path, roots)?;
    match fs::canonicalize(&target.root) {
        // Nothing lies under a root that does not exist, so no link can lead out of it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(&error, "look at", &target.root)),
        Ok(root) => {
            existing_parent(&target.file, &root, path)?;
            regular_or_absent(&target.file, path)
        }
    }
}

/// Which file a path means, by what the directories that exist lead to; nothing is made. Two paths of one file mean the
/// same.
pub(super) fn meant(path: &str, roots: &[PathBuf]) -> Result<PathBuf, WriteError> {
    let target = place(path, roots)?;
    let real = target.file.ancestors().skip(1).find_map(|parent| {
        let below = target.file.strip_prefix(parent).ok()?;
        Some(fs::canonicalize(parent).ok()?.join(below))
    });
    Ok(real.unwrap_or(target.file))
}

/// Makes the directories on the way, and answers the file's real path.
pub(super) fn resolve(path: &str, roots: &[PathBuf]) -> Result<PathBuf, WriteError> {
    let target = place(path, roots)?;
    make_directories(&target.root)?;
    let root = fs::canonicalize(&target.root).map_err(|error| failed(&error, "look at", &target.root))?;
    let parent = target.file.parent().unwrap_or(&target.root);
    existing_parent(&target.file, &root, path)?;
    make_directories(parent)?;
    // Looked at again: a link may have been put in the way meanwhile.
    let parent = existing_parent(&target.file, &root, path)?;
    let name = target
        .file
        .file_name()
        .ok_or_else(|| refused(path, "names no file"))?;
    let file = parent.join(name);
    regular_or_absent(&file, path)?;
    Ok(file)
}

/// What went wrong with a file, in a sentence, and whether a person has to act.
pub(super) fn failed(error: &io::Error, action: &str, path: &Path) -> WriteError {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WriteError::unavailable(format!(
            "there is no room left to {action} {path}: make room, then delivery goes on by itself"
        )),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => WriteError::blocked(
            Code::DestinationRefused,
            format!("the engine may not {action} {path} ({error}): let its user write there"),
        ),
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory | io::ErrorKind::InvalidFilename => {
            WriteError::blocked(
                Code::PathRefused,
                format!("the engine cannot {action} {path} ({error}): choose another path"),
            )
        }
        _ => WriteError::unavailable(format!("failed to {action} {path}: {error}")),
    }
}

struct Place {
    root: PathBuf,
    file: PathBuf,
}

/// Finds the root that a path lies under, by its text alone.
fn place(path: &str, roots: &[PathBuf]) -> Result<Place, WriteError> {
    let written = Path::new(path);
    let climbs = written.components().any(|part| part == Component::ParentDir);
    let named = written
        .components()
        .any(|part| matches!(part, Component::Normal(_)));
    if climbs || !named || path.ends_with('/') || path.contains('\0') {
        return Err(refused(path, "does not name a file, without `..` on the way"));
    }
    let root = if written.is_absolute() {
        roots
            .iter()
            .find(|root| written.starts_with(root) && written != root.as_path())
    } else {
        roots.first()
    };
    let root = root.ok_or_else(|| {
        let roots: Vec<_> = roots.iter().map(|root| format!("`{}`", root.display())).collect();
        let why = format!(
            "lies under none of the engine's file roots ({}): choose a path there or a relative one, or add the directory \
             to `egress.file_roots`",
            roots.join(", ")
        );
        refused(path, &why)
    })?;
    Ok(Place {
        root: root.clone(),
        file: root.join(written),
    })
}

/// The real path of the deepest directory on the way that exists; it must lie under the root.
fn existing_parent(file: &Path, root: &Path, path: &str) -> Result<PathBuf, WriteError> {
    for parent in file.ancestors().skip(1) {
        match fs::canonicalize(parent) {
            Ok(real) if real.starts_with(root) => return Ok(real),
            Ok(_) => {
                return Err(refused(
                    path,
                    "leads out of the directories in `egress.file_roots` over a link",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A link that leads nowhere is there, though what it means is not.
                if fs::symlink_metadata(parent).is_ok() {
                    return Err(refused(path, "has a link on the way that leads nowhere"));
                }
            }
            Err(error) => return Err(failed(&error, "look at", parent)),
        }
    }
    Err(refused(path, "has no directory that exists"))
}

fn regular_or_absent(file: &Path, path: &str) -> Result<(), WriteError> {
    match fs::symlink_metadata(file) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(found) if found.is_symlink() => Err(refused(path, "is a link: name the file itself")),
        Ok(_) => Err(refused(path, "is there and is no regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(&error, "look at", file)),
    }
}

/// Makes a directory and those above it, each on disk before the next: a file that survives a loss of power is of no
/// use in a directory that does not.
fn make_directories(directory: &Path) -> Result<(), WriteError> {
    let missing: Vec<_> = directory
        .ancestors()
        .take_while(|directory| !directory.as_os_str().is_empty() && fs::metadata(directory).is_err())
        .collect();
    for directory in missing.into_iter().rev() {
        let made = DirBuilder::new().mode(0o750).create(directory);
        match made {
            Ok(()) => sync_parent(directory)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&error, "make", directory)),
        }
    }
    Ok(())
}

/// Puts the entry of a new file or directory on disk.
pub(super) fn sync_parent(path: &Path) -> Result<(), WriteError> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(parent)
        .and_then(|parent| parent.sync_all())
        .map_err(|error| failed(&error, "write", parent))
}

fn refused(path: &str, why: &str) -> WriteError {
    WriteError::blocked(Code::PathRefused, format!("the path `{path}` {why}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn code(result: Result<impl Sized, WriteError>) -> Option<Code> {
        result.err().map(|error| error.code())
    }

    #[test]
    fn a_path_must_lie_under_a_root() {
        let dir = tempfile::tempdir().unwrap();
        let roots = [dir.path().join("out"), dir.path().join("other")];
        let inside = format!("{}/x/y.ndjson", roots[1].display());
        let root = roots[0].display().to_string();
        let beside = format!("{root}side/x");
        for (path, allowed) in [
            ("lake", true),
            ("a/b/lake.ndjson", true),
            (inside.as_str(), true),
            (root.as_str(), false),
            (beside.as_str(), false),
            ("/etc/passwd", false),
            ("../out/x", false),
            ("a/../../x", false),
            ("a/", false),
            ("", false),
        ] {
            let wanted = (!allowed).then_some(Code::PathRefused);
            assert_eq!(code(check(path, &roots)), wanted, "{path}");
            assert_eq!(code(resolve(path, &roots)), wanted, "{path}");
        }
        let real = fs::canonicalize(&roots[0]).unwrap();
        assert_eq!(
            resolve("a/b/lake.ndjson", &roots).unwrap(),
            real.join("a/b/lake.ndjson")
        );
        let mode = fs::metadata(real.join("a/b")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !0o750, 0, "{mode:o}");
    }

    #[test]
    fn links_do_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("out"), dir.path().join("outside"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::create_dir(root.join("real")).unwrap();
        fs::write(outside.join("file"), "").unwrap();
        symlink(&outside, root.join("way")).unwrap();
        symlink(outside.join("nowhere"), root.join("dangling")).unwrap();
        symlink(outside.join("file"), root.join("link")).unwrap();
        symlink(root.join("real"), root.join("within")).unwrap();
        let roots = [root.clone()];
        for path in ["way/x", "way/deep/x", "dangling/x", "link", "dangling", "real"] {
            assert_eq!(code(check(path, &roots)), Some(Code::PathRefused), "{path}");
            assert_eq!(code(resolve(path, &roots)), Some(Code::PathRefused), "{path}");
        }
        assert_eq!(
            resolve("within/x", &roots).unwrap(),
            fs::canonicalize(&root).unwrap().join("real/x")
        );
        assert!(
            fs::read_dir(&outside).unwrap().count() == 1,
            "nothing was made outside"
        );

        // The root itself may be reached over a link: the operator chose it.
        symlink(&root, dir.path().join("root-link")).unwrap();
        assert_eq!(code(resolve("x", &[dir.path().join("root-link")])), None);
    }
}
