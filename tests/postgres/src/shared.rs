//! The server that all test processes of a run share.
//!
//! Each of them holds a shared lock on the file `users` while it needs the server. Who comes first starts it, together
//! with a watchdog, which is a process of its own: it ends server and data once it could have the lock for itself twice
//! in a row, so that the moment between two tests does not count. The directory is out of the way before anything in it
//! is removed: who comes in between makes one anew, and finds nothing of the former one.

use std::{
    env,
    fs::{self, File},
    io,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::UNIX_EPOCH,
};

use crate::server;

const WATCHDOG: &str = r#"
idle=0
while [ "$idle" -lt 2 ]; do
    sleep 1
    # Whoever starts another server in its place has that one watched.
    kill -0 "$2" || exit 0
    if flock --nonblock --exclusive "$1/users" true; then idle=$((idle + 1)); else idle=0; fi
done
exec 9>>"$1/users"
flock --exclusive 9
kill -INT "$2"
[ "$1/users" -ef "/proc/$$/fd/9" ] || exit 0
# A process that nobody waits for stays in the list when it is gone, but its file does not.
while kill -0 "$2" && [ -e "$1/data/postmaster.pid" ]; do sleep 0.1; done
mv -T "$1" "$1.ended-$2"
rm -rf "$1.ended-$2"
"#;

/// The shared server, as long as this process needs it.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    dir: PathBuf,
    port: u16,
}

impl Shared {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// What this process joined; the lock ends with it.
static JOINED: Mutex<Option<(Shared, File)>> = Mutex::new(None);

/// Joins the users of the shared server, and starts it where it does not run.
pub(crate) fn join() -> io::Result<Shared> {
    let mut joined = JOINED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((shared, _)) = &*joined {
        return Ok(shared.clone());
    }
    let dir = env::temp_dir().join(format!("zoom-log-postgres-{}", installation()?));
    let users = users(&dir)?;
    let starting = File::options()
        .create(true)
        .append(true)
        .open(dir.join("starting"))?;
    starting.lock()?;
    let shared = match fs::read_to_string(dir.join("port"))
        .ok()
        .and_then(|port| port.parse().ok())
    {
        Some(port) if server::is_ready(&dir, port) => Shared { dir, port },
        _ => start(dir)?,
    };
    *joined = Some((shared.clone(), users));
    Ok(shared)
}

/// Makes the directory where it is missing, and holds the lock of its users.
fn users(dir: &Path) -> io::Result<File> {
    loop {
        let path = dir.join("users");
        let opened =
            fs::create_dir_all(dir).and_then(|()| File::options().create(true).append(true).open(&path));
        let users = match opened {
            // The watchdog took the directory away between two steps.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists
                ) =>
            {
                continue;
            }
            opened => opened?,
        };
        users.lock_shared()?;
        // Or while we waited.
        let ours = users.metadata()?;
        if fs::metadata(&path).is_ok_and(|now| (ours.dev(), ours.ino()) == (now.dev(), now.ino())) {
            return Ok(users);
        }
    }
}

/// What the server is shared by: the processes of one user that were built in one place.
fn installation() -> io::Result<String> {
    let user = fs::metadata("/proc/self")?.uid();
    // Where the tests are built, by its inode and age, since a path would make the socket's name too long.
    let place = fs::metadata(env!("CARGO_MANIFEST_DIR"))?;
    let born = place
        .created()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Ok(format!(
        "{user}-{:x}-{:x}",
        place.ino(),
        born.unwrap_or_default().as_millis() & 0xffff
    ))
}

fn start(dir: PathBuf) -> io::Result<Shared> {
    let data = dir.join("data");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    server::init(&dir)?;
    let (port, mut child) = server::on_free_port(|port| {
        let mut command = server::command(&dir, port, false)?;
        // In a group of its own: it does not die of what ends the test that happened to start it.
        let mut child = command.process_group(0).spawn()?;
        if let Err(error) = server::wait_ready(&dir, port, || Ok(child.try_wait()?.is_none())) {
            let _ = child.kill();
            child.wait()?;
            return Err(error);
        }
        Ok((port, child))
    })?;
    if let Err(error) = watch(&dir, child.id()) {
        let _ = child.kill();
        child.wait()?;
        return Err(error);
    }
    fs::write(dir.join("port"), port.to_string())?;
    Ok(Shared { dir, port })
}

/// Starts the watchdog of a server's process.
fn watch(dir: &Path, server: u32) -> io::Result<Child> {
    let mut watchdog = Command::new("sh");
    watchdog
        .args(["-c", WATCHDOG, "watchdog"])
        .arg(dir)
        .arg(server.to_string());
    watchdog
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    watchdog.process_group(0).spawn()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        os::unix::fs::MetadataExt as _,
        process::Command,
        thread,
        time::Duration,
    };

    use super::{users, watch};
    use crate::Database;

    #[test]
    fn databases_are_made_on_one_server_and_dropped() {
        let (one, two) = (Database::new().unwrap(), Database::new().unwrap());
        assert_eq!(one.server.port(), two.server.port());
        assert_ne!(one.url(), two.url());
        one.sql(&one.name, "CREATE TABLE t (x INT)").unwrap();
        assert!(two.sql(&two.name, "SELECT x FROM t").is_err());
        let name = one.name.clone();
        drop(one);
        assert!(two.sql(&name, "SELECT 1").is_err());
    }

    /// A newcomer's password file was removed with the data of the server before.
    #[test]
    fn who_comes_while_a_server_is_cleared_away_finds_nothing_of_it() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("shared");
        let former = users(&dir).unwrap().metadata().unwrap().ino();
        // Enough to be a while at.
        for name in 0..5_000 {
            File::create(dir.join(format!("old-{name}"))).unwrap();
        }
        let mut server = Command::new("sleep").arg("600").spawn().unwrap();
        let mut watchdog = watch(&dir, server.id()).unwrap();
        // The first moment in which the lock is no longer the watchdog's.
        while fs::metadata(dir.join("users")).is_ok_and(|now| now.ino() == former) {
            thread::sleep(Duration::from_micros(50));
        }
        let ours = users(&dir).unwrap();
        let names = || -> Vec<_> {
            fs::read_dir(&dir)
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect()
        };
        assert_eq!(names(), ["users"]);
        watchdog.wait().unwrap();
        let _ = server.kill();
        server.wait().unwrap();
        assert_eq!(names(), ["users"]);
        assert_eq!(
            fs::metadata(dir.join("users")).unwrap().ino(),
            ours.metadata().unwrap().ino()
        );
        // What was taken out of the way is gone as well.
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
