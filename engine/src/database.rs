//! Where the store is: what `store.url` means.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use engine_api::Secret;
use url::{Host, Url};

/// Where a store is.
#[derive(Debug, Clone)]
pub enum Database {
    /// In a SQLite file, of one engine.
    Sqlite(PathBuf),
    /// In PostgreSQL, which several engines may share.
    Postgres(Postgres),
}

/// How PostgreSQL is reached. Printed, it shows no password.
#[derive(Clone)]
pub struct Postgres {
    /// The server's name or address, or the directory of its socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// Its password, where it needs one.
    pub password: Option<Secret>,
    /// How the connection is protected.
    pub tls: Tls,
    /// A PEM file of the authorities that may have signed the server's certificate; the system's where it is not set.
    pub authorities: Option<PathBuf>,
    /// What is waited for, and how much is used.
    pub limits: Limits,
}

/// What is waited for, and how much is used.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections at once.
    pub max_connections: u32,
    /// How long a free connection is waited for, or a new one.
    pub connect_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock.
    pub lock_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 20,
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(10),
        }
    }
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    Disable,
    /// With TLS where the server offers it.
    Prefer,
    /// With TLS, whoever the server is.
    Require,
    /// With TLS, and a certificate that an authority signed.
    VerifyCa,
    /// With TLS, and a certificate that an authority signed for this host.
    VerifyFull,
}

impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            port,
            database,
            user,
            ..
        } = self;
        write!(f, "postgres://{user}@{host}:{port}/{database}")
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Database {
    /// Reads a URL; a relative path is taken from `dir`.
    ///
    /// # Errors
    ///
    /// What is wrong and what is expected. The URL itself is not in it: it may hold a password.
    pub fn parse(url: &str, dir: &Path) -> Result<Self, String> {
        match url.split_once(':') {
            Some(("sqlite", path)) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() || path.starts_with(':') || path.contains('?') {
                    return Err(
                        "must name a file, such as `sqlite:engine.db` or `sqlite:///var/lib/zoom-log-engine/engine.db`, without parameters"
                            .to_owned(),
                    );
                }
                Ok(Self::Sqlite(dir.join(path)))
            }
            Some(("postgres" | "postgresql", _)) => Postgres::parse(url).map(Self::Postgres),
            _ => Err(
                "must be `sqlite:` and a path, such as `sqlite:engine.db`, or `postgres://user@host/database`".to_owned(),
            ),
        }
    }
}

impl Postgres {
    fn parse(text: &str) -> Result<Self, String> {
        let url: Url = text
            .parse()
            .map_err(|error| format!("is no URL ({error}): write `postgres://user@host:5432/database`, other characters in it percent-encoded"))?;
        let decoded = |part: &str, what: &str| {
            let pair = format!("v={}", part.replace('+', "%2B"));
            let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
            let decoded = decoded.map(|(_, value)| value.into_owned()).unwrap_or_default();
            if decoded.is_empty() {
                Err(format!(
                    "must name the {what}: `postgres://user@host:5432/database`"
                ))
            } else {
                Ok(decoded)
            }
        };
        let mut host = url.host_str().map(|host| decoded(host, "host")).transpose()?;
        let (mut tls, mut authorities) = (None, None);
        for (name, value) in url.query_pairs() {
            match &*name {
                "host" => host = Some(value.into_owned()),
                "sslmode" => {
                    tls = Some(match &*value {
                        "disable" => Tls::Disable,
                        "prefer" => Tls::Prefer,
                        "require" => Tls::Require,
                        "verify-ca" => Tls::VerifyCa,
                        "verify-full" => Tls::VerifyFull,
                        _ => {
                            return Err("`sslmode` must be `disable`, `prefer`, `require`, `verify-ca` or `verify-full`"
                                .to_owned());
                        }
                    });
                }
                "sslrootcert" => authorities = Some(PathBuf::from(value.into_owned())),
                other => {
                    return Err(format!(
                        "knows no parameter `{}`: `sslmode`, `sslrootcert` and `host` are those it knows",
                        other.escape_default()
                    ));
                }
            }
        }
        let host = host.filter(|host| !host.is_empty()).ok_or_else(|| {
            "must name the host, or with `?host=/run/postgresql` the directory of its socket".to_owned()
        })?;
        Ok(Self {
            // Nobody listens in on this machine; anywhere else the server must show who it is.
            tls: tls.unwrap_or(if is_here(&host) {
                Tls::Disable
            } else {
                Tls::VerifyFull
            }),
            port: url.port().unwrap_or(5432),
            database: decoded(url.path().trim_start_matches('/'), "database")?,
            user: decoded(url.username(), "user")?,
            password: url
                .password()
                .map(|password| decoded(password, "password").map(Secret::from))
                .transpose()?,
            authorities,
            limits: Limits::default(),
            host,
        })
    }
}

/// Whether a host is this machine.
fn is_here(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.starts_with('/')
        || address.is_ok_and(|address| address.is_loopback())
        || matches!(Host::parse(host), Ok(Host::Domain(name)) if name == "localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(url: &str) -> Postgres {
        match Database::parse(url, Path::new("/data")).unwrap() {
            Database::Postgres(postgres) => postgres,
            Database::Sqlite(file) => panic!("{}", file.display()),
        }
    }

    #[test]
    fn a_url_tells_all_that_is_needed() {
        let place =
            postgres("postgres://zoom:p%40ss+1@db.example:5433/logs?sslmode=require&sslrootcert=/etc/ca.pem");
        assert_eq!((place.host.as_str(), place.port), ("db.example", 5433));
        assert_eq!((place.user.as_str(), place.database.as_str()), ("zoom", "logs"));
        assert_eq!(place.password.as_ref().unwrap().expose(), "p@ss+1");
        assert_eq!(place.tls, Tls::Require);
        assert_eq!(place.authorities.as_deref(), Some(Path::new("/etc/ca.pem")));
        assert!(!format!("{place} {place:?} {:#?}", Database::Postgres(place.clone())).contains("p@ss"));
    }

    #[test]
    fn only_this_machine_is_reached_in_clear_by_default() {
        for (url, tls) in [
            ("postgres://u@db.example/d", Tls::VerifyFull),
            ("postgres://u@10.0.0.7/d", Tls::VerifyFull),
            ("postgres://u@localhost/d", Tls::Disable),
            ("postgres://u@127.0.0.1/d", Tls::Disable),
            ("postgres://u@[::1]/d", Tls::Disable),
            ("postgresql://u@%2Frun%2Fpostgresql/d", Tls::Disable),
            ("postgres:///d?host=/run/postgresql&sslmode=disable", Tls::Disable),
        ] {
            let Ok(Database::Postgres(place)) = Database::parse(url, Path::new("/")) else {
                // Without a user.
                assert!(url.contains(":///"), "{url}");
                continue;
            };
            assert_eq!(place.tls, tls, "{url}");
        }
        assert_eq!(
            postgres("postgres://u@%2Frun%2Fpostgresql/d").host,
            "/run/postgresql"
        );
    }

    #[test]
    fn what_is_wrong_is_told_without_the_url() {
        for (url, said) in [
            ("postgres://secret@h/", "must name the database"),
            ("postgres://h/d", "must name the user"),
            ("postgres://u:secret@h/d?sslmode=maybe", "`sslmode` must be"),
            ("postgres://u:secret@h/d?pool=9", "no parameter `pool`"),
            ("postgres://u:secret@h:port/d", "is no URL"),
            ("mysql://u:secret@h/d", "must be `sqlite:`"),
            ("sqlite:", "must name a file"),
            ("sqlite::memory:", "must name a file"),
        ] {
            let error = Database::parse(url, Path::new("/")).unwrap_err();
            assert!(
                error.contains(said) && !error.contains("secret"),
                "{url}: {error}"
            );
        }
    }
}
