//! PostgreSQL servers for tests: made from the installed binaries, seen by nobody else, gone afterwards.
//!
//! [`Server::start`] makes one that a test may restart and kill. [`Database::new`] makes a database on one that all test
//! processes of a run share: whoever needs it first starts it, and a watchdog ends it once nobody has needed it for some
//! seconds, also where test processes were killed.

mod server;
mod shared;

use std::{io, process::Command};

pub use self::server::Server;

/// An empty database on the shared server; dropped with the value.
#[derive(Debug)]
pub struct Database {
    name: String,
    server: shared::Shared,
}

impl Database {
    /// Makes one. Blocks, for some seconds where it is the first of the run.
    ///
    /// # Errors
    ///
    /// Where there are no server binaries, or the server does not start.
    pub fn new() -> io::Result<Self> {
        let server = shared::join()?;
        let random = tempfile::Builder::new().prefix("").rand_bytes(12).make(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .to_lowercase();
            Ok(format!("test_{name}"))
        })?;
        let database = Self {
            name: random.into_parts().0,
            server,
        };
        database.sql(
            "postgres",
            &format!("CREATE DATABASE {} TEMPLATE template0", database.name),
        )?;
        Ok(database)
    }

    /// Its URL, over a socket in the file system.
    pub fn url(&self) -> String {
        let socket = self.server.dir().display().to_string().replace('/', "%2F");
        format!("postgres://zoom@{socket}:{}/{}", self.server.port(), self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory of the server's socket.
    pub fn socket(&self) -> &std::path::Path {
        self.server.dir()
    }

    /// The server's port, which names the socket.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// All that is in it, as `pg_dump` writes it, with bytes as readable as they can be.
    ///
    /// # Errors
    ///
    /// Where `pg_dump` fails.
    pub fn dump(&self) -> io::Result<Vec<u8>> {
        let mut dump = Command::new(server::binary("pg_dump")?);
        dump.arg("-h").arg(self.server.dir()).args([
            "-p",
            &self.server.port().to_string(),
            "-U",
            "zoom",
            &self.name,
        ]);
        let output = dump.env("PGOPTIONS", "-c bytea_output=escape").output()?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(io::Error::other(
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ))
        }
    }

    fn sql(&self, database: &str, statement: &str) -> io::Result<()> {
        let mut psql = Command::new(server::binary("psql")?);
        let port = self.server.port().to_string();
        psql.args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "zoom",
            "-d",
            database,
            "-c",
            statement,
        ]);
        psql.arg("-h").arg(self.server.dir()).args(["-p", &port]);
        server::run(&mut psql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // What is left goes with the server.
        let _ = self.sql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}
