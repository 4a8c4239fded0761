//! Files that only the engine's own user may read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
    path::Path,
};

use tracing::warn;
use zeroize::Zeroizing;

use super::Error;

/// No secret of ours is longer; a larger file is something else.
pub(super) const MAX_BYTES: u64 = 64 * 1024;

/// Reads a file of the engine's own whole; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    read_private(path, 0o077)
}

/// Reads a file that somebody else provides; its group may be how the engine's user is let in.
pub(super) fn read_provided(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    read_private(path, 0o007)
}

/// Reads a file whole, and warns where it can be opened by those whose bits are in `others`.
fn read_private(path: &Path, others: u32) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", path, error)),
    };
    let permissions = file
        .metadata()
        .map_err(|error| Error::file("read", path, error))?
        .permissions();
    if permissions.mode() & others != 0 {
        warn!(path = %path.display(), mode = format!("{:03o}", permissions.mode() & 0o777), "secret file can be read by other users: `chmod 600` it");
    }
    read_capped(&mut file)
        .map(Some)
        .map_err(|error| Error::file("read", path, error))
}

/// Reads an open file whole, unless it is too large to be a secret.
pub(super) fn read_capped(file: &mut File) -> io::Result<Zeroizing<Vec<u8>>> {
    // The whole capacity at once: a vector that grows would leave copies behind that nobody wipes.
    let cap = usize::try_from(MAX_BYTES).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(cap + 1));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() > cap {
        return Err(io::Error::other(format!("it is larger than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

/// Writes a new file with mode 0600, whole or not at all, and durably. `false` where there already is a file of that
/// name, which is left alone.
pub(super) fn create(path: &Path, content: &[u8]) -> Result<bool, Error> {
    let failed = |error| Error::file("create", path, error);
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;

    let mut draft_name = path.file_name().unwrap_or_default().to_owned();
    draft_name.push(format!(".{}.new", std::process::id()));
    let draft = directory.join(draft_name);
    // A draft of that name can only be left over from a process that crashed here and had our process id.
    let _ = fs::remove_file(&draft);
    let result = write(&draft, content).and_then(|()| match fs::hard_link(&draft, path) {
        Ok(()) => File::open(directory)?.sync_all().map(|()| true),
        // Another engine that starts at the same time was quicker; both then use its file.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    });
    let _ = fs::remove_file(&draft);
    result.map_err(failed)
}

/// Replaces a file, whole or not at all, and durably; it stays its owner's.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), Error> {
    let failed = |error| Error::file("replace", path, error);
    // What a link leads to is replaced, not the link.
    let path = fs::canonicalize(path).map_err(failed)?;
    let owner = fs::metadata(&path).map_err(failed)?;
    let mut draft = path.clone().into_os_string();
    draft.push(format!(".{}.new", std::process::id()));
    let draft = Path::new(&draft);
    let _ = fs::remove_file(draft);
    let replaced = write(draft, content)
        .and_then(|()| chown(draft, Some(owner.uid()), Some(owner.gid())))
        .and_then(|()| fs::rename(draft, &path))
        .and_then(|()| File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all());
    if replaced.is_err() {
        let _ = fs::remove_file(draft);
    }
    replaced.map_err(failed)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    // The process's umask may have taken bits away.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_private_and_an_old_one_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/key");
        assert!(read(&path).unwrap().is_none());
        assert!(create(&path, b"first").unwrap());
        assert!(!create(&path, b"second").unwrap());
        assert_eq!(read(&path).unwrap().unwrap().as_slice(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "no draft is left: {names:?}");
    }

    #[test]
    fn a_file_that_is_too_large_is_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        fs::write(&path, vec![b'x'; 70_000]).unwrap();
        assert!(
            read(&path)
                .unwrap_err()
                .to_string()
                .contains("larger than 65536 bytes")
        );
    }
}
