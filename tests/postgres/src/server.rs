//! One server of its own.

use std::{
    env, fs, io,
    net::TcpListener,
    os::unix::{fs::chown, net::UnixStream, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a server may take to take connections, on a machine that has much else to do.
const START: Duration = Duration::from_mins(1);

/// The user of all servers, and its password over TCP.
const USER: &str = "zoom";
const PASSWORD: &str = "z00m-pass";

/// A running server, with its data in a directory of its own. Dropped, it is killed and its data removed.
#[derive(Debug)]
pub struct Server {
    dir: tempfile::TempDir,
    port: u16,
    durable: bool,
    process: Option<Child>,
}

impl Server {
    /// Makes and starts a server that, like a real one, waits for the disk.
    ///
    /// # Errors
    ///
    /// Where there are no server binaries, or the server does not start.
    pub fn start() -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("zoom-log-postgres-").tempdir()?;
        init(dir.path())?;
        let mut server = Self {
            dir,
            port: 0,
            durable: true,
            process: None,
        };
        on_free_port(|port| {
            server.port = port;
            server.resume()
        })?;
        Ok(server)
    }

    /// Starts it again, on the same port, after [`stop`](Self::stop) or [`kill`](Self::kill).
    ///
    /// # Errors
    ///
    /// Where it does not start.
    pub fn resume(&mut self) -> io::Result<()> {
        let mut child = command(self.dir.path(), self.port, self.durable)?.spawn()?;
        let ready = wait_ready(self.dir.path(), self.port, || Ok(child.try_wait()?.is_none()));
        self.process = Some(child);
        ready
    }

    /// Stops it as an operator in a hurry does: connections are cut, and what was committed is on disk.
    ///
    /// # Errors
    ///
    /// Where it cannot be told so.
    pub fn stop(&mut self) -> io::Result<()> {
        self.signal("-INT")?;
        if let Some(mut child) = self.process.take() {
            child.wait()?;
        }
        Ok(())
    }

    /// Kills it and all of its processes, as a loss of power would, except that the disk has what the system was given.
    ///
    /// # Errors
    ///
    /// Where it cannot be told so.
    pub fn kill(&mut self) -> io::Result<()> {
        // The processes of connections follow: they notice that their parent is gone.
        self.signal("-QUIT")?;
        if let Some(mut child) = self.process.take() {
            child.wait()?;
        }
        Ok(())
    }

    /// The port, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its first database over TCP, at another port where a proxy stands between.
    pub fn url(&self, port: Option<u16>) -> String {
        let port = port.unwrap_or(self.port);
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres")
    }

    /// Runs a statement in its first database, and answers what it printed.
    ///
    /// # Errors
    ///
    /// Where it fails.
    pub fn sql(&self, statement: &str) -> io::Result<String> {
        let mut psql = Command::new(binary("psql")?);
        psql.args([
            "-X",
            "-qtA",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            USER,
            "-d",
            "postgres",
            "-c",
            statement,
        ]);
        psql.arg("-h")
            .arg(self.dir.path())
            .args(["-p", &self.port.to_string()]);
        let output = psql.stdin(Stdio::null()).output()?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(io::Error::other(
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ))
        }
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let Some(child) = &self.process else { return Ok(()) };
        run(Command::new("kill").args([signal, &child.id().to_string()]))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A server binary, from the PATH or from where Debian keeps them.
pub(crate) fn binary(name: &str) -> io::Result<PathBuf> {
    let mut places: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<_> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
        versions.sort();
        // The newest first, and before the PATH: wrappers there may be of another version.
        places.splice(0..0, versions.into_iter().rev());
    }
    let found = places
        .iter()
        .map(|place| place.join(name))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            format!(
                "there is no `{name}`: install PostgreSQL 14 or newer (Debian: apt-get install postgresql)"
            ),
        )
    })
}

/// Runs a command that ends by itself.
pub(crate) fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "{command:?}: {}: {said}",
        output.status
    )))
}

/// Makes an empty installation under `dir`.
pub(crate) fn init(dir: &Path) -> io::Result<()> {
    let password = dir.join("password");
    fs::write(&password, PASSWORD)?;
    if let Some((user, group)) = servant()? {
        chown(dir, Some(user), Some(group))?;
        chown(&password, Some(user), Some(group))?;
    }
    let mut initdb = as_servant(Command::new(binary("initdb")?))?;
    initdb.arg("-D").arg(dir.join("data"));
    initdb.args([
        "--no-sync",
        "--no-instructions",
        "--encoding=UTF8",
        "--locale=C",
        "-U",
        USER,
    ]);
    initdb
        .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
        .arg("--pwfile")
        .arg(&password);
    run(initdb.current_dir(dir))
}

/// The command of a server on the installation under `dir`.
pub(crate) fn command(dir: &Path, port: u16, durable: bool) -> io::Result<Command> {
    let mut command = as_servant(Command::new(binary("postgres")?))?;
    command.arg("-D").arg(dir.join("data")).arg("-k").arg(dir);
    command.args([
        "-p",
        &port.to_string(),
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "max_connections=300",
    ]);
    if !durable {
        for setting in ["fsync=off", "full_page_writes=off", "synchronous_commit=off"] {
            command.args(["-c", setting]);
        }
    }
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("log"))?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir(dir);
    Ok(command)
}

/// Waits until the server takes connections, while it `lives`.
pub(crate) fn wait_ready(
    dir: &Path,
    port: u16,
    mut lives: impl FnMut() -> io::Result<bool>,
) -> io::Result<()> {
    let began = Instant::now();
    loop {
        if lives()? && is_ready(dir, port) {
            return Ok(());
        }
        if !lives()? || began.elapsed() > START {
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
            return Err(io::Error::other(format!("PostgreSQL did not start:\n{log}")));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether there is a server that takes connections.
pub(crate) fn is_ready(dir: &Path, port: u16) -> bool {
    UnixStream::connect(dir.join(format!(".s.PGSQL.{port}"))).is_ok()
        && binary("pg_isready").is_ok_and(|pg_isready| {
            let mut ask = Command::new(pg_isready);
            // One that is slow to answer, on a machine that has much else to do, is none that is gone.
            ask.args(["-q", "-t", "30"]);
            ask.arg("-h").arg(dir).args(["-p", &port.to_string()]);
            run(&mut ask).is_ok()
        })
}

/// Starts what needs a port, again where it fails: a free port may be taken by somebody else before the server has it.
pub(crate) fn on_free_port<T>(mut start: impl FnMut(u16) -> io::Result<T>) -> io::Result<T> {
    let mut again = 0..4;
    loop {
        let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        match start(free) {
            Err(_) if again.next().is_some() => {}
            ended => return ended,
        }
    }
}

/// Whom the server runs as: it refuses root.
fn servant() -> io::Result<Option<(u32, u32)>> {
    use std::os::unix::fs::MetadataExt as _;

    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let found = ["postgres", "nobody"].into_iter().find_map(ids);
    found.map(Some).ok_or_else(|| {
        io::Error::other("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")
    })
}

fn as_servant(mut command: Command) -> io::Result<Command> {
    if let Some((user, group)) = servant()? {
        command.uid(user).gid(group);
    }
    Ok(command)
}
