//! The configuration, parsed twice: what was written, then what it means, both before any port is opened.
//!
//! A key is read from its environment variable (`ZOOM_LOG_ENGINE__SERVER__LISTEN` for `server.listen`), else from
//! the TOML file given with `--config`, else it has its default; with neither file nor variables the engine starts
//! on defaults alone. Everything that is wrong is reported at once, each with its place, what is expected there and,
//! for a key that does not exist, the one that was probably meant.
//!
//! **Invariant:** nothing else in the engine reads the environment, except the vault for `env:` references.

mod egress;
mod issuers;
mod keys;
mod labels;
mod master_key;
mod meaning;
mod raw;
mod reader;
mod tables;
#[cfg(test)]
mod tests;
mod tls;

use std::{
    ffi::OsString,
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use engine_api::{Secret, label::Labeller};
use jiff::tz::TimeZone;
use rustls::pki_types::CertificateDer;
use tracing::Level;
use url::Url;

use crate::database::Database;

pub use issuers::{Issuer, safe_for_credentials};
pub use keys::{ENV_PREFIX, Form, KEYS, Key};
pub use raw::{Place, RawConfig};
pub use tls::{Stamp, Tls, TlsError};

/// What the configuration means. Every path is absolute.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the engine keeps what it makes itself.
    pub data_dir: PathBuf,
    /// The API.
    pub server: Server,
    /// Who may use the API.
    pub auth: Auth,
    /// Secrets.
    pub vault: Vault,
    /// The database.
    pub store: Store,
    /// Reading Zoom.
    pub zoom: Zoom,
    /// Writing to destinations.
    pub delivery: Delivery,
    /// How far the engine's clock runs ahead of the machine's.
    pub clock_ahead: Duration,
    /// What the engine may reach.
    pub egress: Egress,
    /// What the service manager that started the engine wants to hear.
    pub service: Service,
    /// What the engine says.
    pub log: Log,
    /// Where a test lets the engine die.
    #[cfg(feature = "crash-points")]
    pub crash_at: Option<crate::crash::At>,
    /// How events are labelled.
    pub labels: Labels,
}

/// The API.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address and port to listen on; port 0 is any free one.
    pub listen: SocketAddr,
    /// The certificate, where the API is served over TLS.
    pub tls: Option<Tls>,
    /// How many connections there are at once.
    pub max_connections: usize,
    /// How many of them may come from one address.
    pub max_connections_per_address: usize,
    /// The URL under which others reach the API, where it is not the address itself.
    pub public_url: Option<Url>,
    /// How long work in hand may take to end after SIGTERM.
    pub shutdown_deadline: Duration,
    /// The largest request body, in bytes.
    pub max_request_bytes: usize,
}

/// Who may use the API.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The file with the admin token.
    pub admin_token_file: PathBuf,
    /// Whether that token is refused while there is another one with the scope `admin`.
    pub admin_token_only_bootstraps: bool,
    /// Whose word about a workload is taken.
    pub issuers: Vec<Issuer>,
}

/// Secrets.
#[derive(Debug, Clone)]
pub struct Vault {
    /// Where the master key is.
    pub key: MasterKey,
    /// The directories from which `file:` references may read.
    pub ref_dirs: Vec<PathBuf>,
    /// What the variables of `env:` references must begin with.
    pub ref_env_prefixes: Vec<String>,
}

/// Where the master key is that seals secrets.
#[derive(Debug, Clone)]
pub enum MasterKey {
    /// In a file of the engine's own.
    File(PathBuf),
    /// In a file that somebody else provides, such as a systemd credential.
    Provided(PathBuf),
    /// In an environment variable.
    Variable {
        /// Its name.
        name: String,
        /// Its value; empty where it is not set.
        value: Secret,
    },
}

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    /// Where it is.
    pub database: Database,
    /// How long an engine that says nothing keeps what it has claimed, where several share the store.
    pub lease: Duration,
    /// How long delivered events can be replayed.
    pub replay_retention: Duration,
    /// How long entries of the audit log are kept.
    pub audit_retention: Duration,
}

/// Reading Zoom.
#[derive(Debug, Clone)]
pub struct Zoom {
    /// Where Zoom's API is.
    pub api_url: Url,
    /// Where people consent, and Zoom hands out access tokens.
    pub oauth_url: Url,
    /// Where the API of Zoom for Government is.
    pub government_api_url: Url,
    /// Where people consent, and Zoom for Government hands out access tokens.
    pub government_oauth_url: Url,
    /// The longest that one request may take.
    pub request_timeout: Duration,
    /// The zone whose days Zoom's reports mean.
    pub day_zone: TimeZone,
    /// Report requests a day and Zoom account, where Zoom names no limit.
    pub daily_request_budget: u32,
    /// How far back a sweep reads.
    pub late_window: Duration,
    /// How often there is a sweep.
    pub sweep_interval: Duration,
    /// How many feeds are polled at once.
    pub max_parallel_polls: usize,
}

/// Writing to destinations.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// How many batches are being delivered at once.
    pub max_parallel: usize,
    /// The pause after the first failed attempt.
    pub retry_first: Duration,
    /// The longest pause between two attempts.
    pub retry_longest: Duration,
}

/// What the engine may reach.
#[derive(Debug, Clone)]
pub struct Egress {
    /// Whether addresses outside the public internet may be connected to.
    pub allow_private_addresses: bool,
    /// Networks whose addresses may be connected to all the same: an address, and how many of its bits count.
    pub allow_networks: Vec<(IpAddr, u8)>,
    /// Hosts that may be at such addresses, by their names in lower case; `*.` at the start means every host below.
    pub allow_hosts: Vec<String>,
    /// The directories under which `file` destinations may write; at least one.
    pub file_roots: Vec<PathBuf>,
    /// Certificate authorities to trust beside those of the system.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// What the engine says.
#[derive(Debug, Clone)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// The least severe lines that are logged.
    pub level: Level,
}

/// What the service manager that started the engine wants to hear: systemd, by its variables. Not a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Where it listens: a path, or a name that begins with `@`.
    pub notify_socket: Option<OsString>,
    /// How long it waits for a sign of life before it starts the engine again.
    pub watchdog: Option<Duration>,
}

/// How events are labelled.
#[derive(Debug, Clone)]
pub struct Labels {
    /// The built-in rules that are not switched off, and the user's own.
    pub labeller: Labeller,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads the file, where one is given, and the environment.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    pub fn load(file: Option<&Path>) -> Result<Self, Invalid> {
        let variables: Vec<_> = std::env::vars_os().collect();
        let Some(path) = file else {
            return Self::parse(None, variables);
        };
        let (name, text) = text_of(path)?;
        Self::parse(Some((&name, &text)), variables)
    }

    /// Reads a configuration from the text of a file (with its name) and from variables.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn parse(
        file: Option<(&str, &str)>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Invalid> {
        let variables: Vec<_> = variables.into_iter().collect();
        let mut problems = Vec::new();
        let mut raw = RawConfig::default();
        if let Some((name, text)) = file {
            raw.add_file(name, text, &mut problems);
        }
        raw.add_environment(variables.iter().cloned(), &mut problems);
        let config = meaning::read(&raw, &variables, &mut problems);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(Invalid { problems }),
        }
    }
}

impl Labels {
    /// Reads the section `labels` of a file, and nothing else: neither its other keys nor the environment.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn load(file: &Path) -> Result<Self, Invalid> {
        let (name, text) = text_of(file)?;
        let mut problems = Vec::new();
        let mut raw = RawConfig::default();
        raw.add_file(&name, &text, &mut problems);
        match labels::read(&raw, &mut problems) {
            Some(labels) if problems.is_empty() => Ok(labels),
            _ => Err(Invalid { problems }),
        }
    }
}

/// The name and the text of a file.
fn text_of(path: &Path) -> Result<(String, String), Invalid> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(error) => Err(Invalid {
            problems: vec![Problem {
                place: Place::File { name, line: 0 },
                path: String::new(),
                message: format!("failed to read the configuration file: {error}"),
            }],
        }),
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The key; empty where the trouble is not with one key.
    pub path: String,
    /// What is wrong and what is expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { name, line: 0 } => write!(f, "{name}: ")?,
            Place::File { .. } | Place::Variable(_) => write!(f, "{}: ", self.place)?,
            Place::Default => {}
        }
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// A configuration that cannot be used; its text has a line for each problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong; never empty.
    pub problems: Vec<Problem>,
}

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}
