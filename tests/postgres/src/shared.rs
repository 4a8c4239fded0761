//! The server that all test processes of a run share.
//!
//! Each of them holds a shared lock on the file `users` while it needs the server. Who comes first starts it, together
//! with a watchdog, which is a process of its own: it ends server and data once it could have the lock for itself twice
//! in a row, so that the moment between two tests does not count.

use std::{
    env,
    fs::{self, File},
    io,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::UNIX_EPOCH,
};

use crate::server;

const WATCHDOG: &str = r#"
idle=0
while [ "$idle" -lt 2 ]; do
    sleep 1
    if flock --nonblock --exclusive "$1/users" true; then idle=$((idle + 1)); else idle=0; fi
done
exec 9>>"$1/users"
flock --exclusive 9
kill -INT "$2"
while kill -0 "$2"; do sleep 0.1; done
rm -rf "$1"
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
    let users = loop {
        fs::create_dir_all(&dir)?;
        let users = File::options()
            .create(true)
            .append(true)
            .open(dir.join("users"))?;
        users.lock_shared()?;
        // The watchdog may have removed it while we waited.
        let still_there = fs::metadata(dir.join("users")).is_ok_and(|now| {
            users
                .metadata()
                .is_ok_and(|ours| (ours.dev(), ours.ino()) == (now.dev(), now.ino()))
        });
        if still_there {
            break users;
        }
    };
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
    let port = server::free_port()?;
    let mut command = server::command(&dir, port, false)?;
    // In a group of its own: it does not die of what ends the test that happened to start it.
    let mut child = command.process_group(0).spawn()?;
    server::wait_ready(&dir, port, || Ok(child.try_wait()?.is_none()))?;
    let mut watchdog = Command::new("sh");
    watchdog
        .args(["-c", WATCHDOG, "watchdog"])
        .arg(&dir)
        .arg(child.id().to_string());
    watchdog
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    watchdog.process_group(0).spawn()?;
    fs::write(dir.join("port"), port.to_string())?;
    Ok(Shared { dir, port })
}

#[cfg(test)]
mod tests {
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
}
