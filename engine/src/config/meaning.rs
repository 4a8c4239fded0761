//! What the keys mean, and what must hold between them.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use engine_api::Secret;
use url::Url;

use super::{
    Auth, Config, Delivery, Log, LogFormat, Problem, RawConfig, Server, Service, Store, Vault, Zoom, egress,
    issuers, labels, master_key, reader::Reader, tls,
};
use crate::database::{Database, Limits, Postgres};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Reads all keys. `None`, and at least one problem, where something is wrong; every key is looked at all the same.
pub(super) fn read(
    raw: &RawConfig,
    variables: &[(OsString, OsString)],
    problems: &mut Vec<Problem>,
) -> Option<Config> {
    let mut reader = Reader::new(raw, problems);
    let data_dir = reader.settle_data_dir(variables);

    let server = server(&mut reader);
    let auth = auth(&mut reader);
    let vault = vault(&mut reader, variables);
    let store = store(&mut reader);
    let egress = egress::read(&mut reader);
    let zoom = zoom(
        &mut reader,
        egress.as_ref().is_some_and(|egress| {
            egress.allow_private_addresses
                || !(egress.allow_networks.is_empty() && egress.allow_hosts.is_empty())
        }),
    );
    let delivery = delivery(&mut reader);
    // Ten years hold every kind of month and a leap day, for drills over the edges of the calendar.
    let clock_ahead = reader.duration("clock.ahead", Duration::ZERO..=3_660 * DAY);
    let log = log(&mut reader);
    #[cfg(feature = "crash-points")]
    let crash_at = crash_at(variables, reader.problems);
    let labels = labels::read(raw, problems);
    Some(Config {
        data_dir: data_dir?,
        server: server?,
        auth: auth?,
        vault: vault?,
        store: store?,
        zoom: zoom?,
        delivery: delivery?,
        clock_ahead: clock_ahead?,
        egress: egress?,
        service: service(variables),
        log: log?,
        #[cfg(feature = "crash-points")]
        crash_at,
        labels: labels?,
    })
}

/// Where a test lets the engine die; not a key, since no release knows of it.
#[cfg(feature = "crash-points")]
fn crash_at(variables: &[(OsString, OsString)], problems: &mut Vec<Problem>) -> Option<crate::crash::At> {
    let name = crate::crash::ARM_VARIABLE;
    let (_, value) = variables.iter().find(|(variable, _)| variable == name)?;
    value
        .to_string_lossy()
        .parse()
        .map_err(|message| {
            problems.push(Problem {
                place: super::Place::Variable(name.to_owned()),
                path: String::new(),
                message,
            });
        })
        .ok()
}

fn server(reader: &mut Reader<'_>) -> Option<Server> {
    let listen = reader.text("server.listen");
    let listen = listen.parse().ok().or_else(|| {
        reader.problem(
            "server.listen",
            "must be an IP address and a port, such as `127.0.0.1:8420` or `[::]:8420`",
        )
    });
    let tls = tls::read_keys(reader);
    let plain_is_meant = reader.boolean("server.allow_plain_http");
    if let Some(address) = listen.map(|listen: SocketAddr| listen.ip())
        && !address.to_canonical().is_loopback()
        && !plain_is_meant
        && matches!(tls, Some(None))
    {
        reader.problem::<()>(
            "server.listen",
            format!(
                "`{address}` can be reached from other machines, and without TLS tokens and secrets would go over the network in clear: set `server.tls.cert_file` and `server.tls.key_file`, or listen on a loopback address; where something in front of the engine ends TLS, set `server.allow_plain_http = true`"
            ),
        );
    }
    let max_connections = reader.integer("server.max_connections", 1..=1_000_000);
    let per_address = reader.integer("server.max_connections_per_address", 1..=1_000_000);
    let public_url = match reader.text("server.public_url") {
        text if text.is_empty() => Some(None),
        _ => reader.url("server.public_url").map(Some),
    };
    let shutdown_deadline = reader.duration("server.shutdown_deadline", Duration::ZERO..=HOUR);
    let max_request_bytes = reader.integer("server.max_request_bytes", 4_096..=67_108_864);
    Some(Server {
        listen: listen?,
        tls: tls?,
        max_connections: max_connections?,
        max_connections_per_address: per_address?,
        public_url: public_url?,
        shutdown_deadline: shutdown_deadline?,
        max_request_bytes: max_request_bytes?,
    })
}

fn auth(reader: &mut Reader<'_>) -> Option<Auth> {
    let admin_token_file = reader.path("auth.admin_token_file");
    let issuers = issuers::read(reader.raw, reader.problems);
    Some(Auth {
        admin_token_file: admin_token_file?,
        admin_token_only_bootstraps: reader.boolean("auth.admin_token_only_bootstraps"),
        issuers: issuers?,
    })
}

fn vault(reader: &mut Reader<'_>, variables: &[(OsString, OsString)]) -> Option<Vault> {
    let key = master_key::read(reader, variables);
    let ref_dirs: Vec<_> = reader
        .list("vault.ref_dirs")
        .into_iter()
        .map(PathBuf::from)
        .collect();
    if ref_dirs
        .iter()
        .any(|dir| !dir.is_absolute() || dir == Path::new("/"))
    {
        reader.problem::<()>(
            "vault.ref_dirs",
            "must hold absolute directories, such as `/run/secrets`, and not `/` itself, which would open the engine's own key to whoever may write a source",
        );
    }
    let ref_env_prefixes = reader.list("vault.ref_env_prefixes");
    if ref_env_prefixes.iter().any(String::is_empty) {
        reader.problem::<()>(
            "vault.ref_env_prefixes",
            "must not hold an empty prefix, which would open every variable",
        );
    }
    Some(Vault {
        key: key?,
        ref_dirs,
        ref_env_prefixes,
    })
}

fn store(reader: &mut Reader<'_>) -> Option<Store> {
    let database = match Database::parse(&reader.text("store.url"), &reader.data_dir) {
        Ok(database) => Some(database),
        Err(message) => reader.problem("store.url", message),
    };
    let max_connections = reader.integer("store.max_connections", 4..=1_000);
    let connect_timeout = reader.duration("store.connect_timeout", SECOND..=5 * MINUTE);
    let statement_timeout = reader.duration("store.statement_timeout", SECOND..=HOUR);
    let lock_timeout = reader.duration("store.lock_timeout", SECOND..=HOUR);
    let lease = reader.duration("store.lease", 5 * SECOND..=10 * MINUTE);
    let replay_retention = reader.duration("store.replay_retention", Duration::ZERO..=180 * DAY);
    let audit_retention = reader.duration("store.audit_retention", DAY..=36_600 * DAY);
    let mut database = database?;
    let limits = Limits {
        max_connections: max_connections?,
        connect_timeout: connect_timeout?,
        statement_timeout: statement_timeout?,
        lock_timeout: lock_timeout?,
    };
    if let Database::Postgres(postgres) = &mut database {
        postgres.limits = limits;
        password(reader, postgres)?;
    }
    Some(Store {
        database,
        lease: lease?,
        replay_retention: replay_retention?,
        audit_retention: audit_retention?,
    })
}

/// Takes the password of the store's role from its file, where there is one.
fn password(reader: &mut Reader<'_>, postgres: &mut Postgres) -> Option<()> {
    const KEY: &str = "store.password_file";
    if reader.text(KEY).is_empty() {
        return Some(());
    }
    if postgres.password.is_some() {
        return reader.problem(KEY, "must not be set beside a password in `store.url`");
    }
    let file = reader.path(KEY)?;
    match std::fs::read_to_string(&file) {
        Ok(text) if !text.trim_end().is_empty() => {
            postgres.password = Some(Secret::from(text.trim_end()));
            Some(())
        }
        Ok(_) => reader.problem(KEY, format!("{} must hold the password", file.display())),
        Err(error) => reader.problem(KEY, format!("failed to read {}: {error}", file.display())),
    }
}

fn zoom(reader: &mut Reader<'_>, allow_private_addresses: bool) -> Option<Zoom> {
    let api_url = zoom_url(reader, "zoom.api_url", allow_private_addresses);
    let oauth_url = zoom_url(reader, "zoom.oauth_url", allow_private_addresses);
    let government_api_url = zoom_url(reader, "zoom.government_api_url", allow_private_addresses);
    let government_oauth_url = zoom_url(reader, "zoom.government_oauth_url", allow_private_addresses);
    let request_timeout = reader.duration("zoom.request_timeout", SECOND..=10 * MINUTE);
    let day_zone = reader.zone("zoom.day_zone");
    let daily_request_budget = reader.integer("zoom.daily_request_budget", 1..=10_000_000);
    let late_window = reader.duration("zoom.late_window", HOUR..=7 * DAY);
    let sweep_interval = reader.duration("zoom.sweep_interval", SECOND..=DAY);
    let max_parallel_polls = reader.integer("zoom.max_parallel_polls", 1..=10_000);
    Some(Zoom {
        api_url: api_url?,
        oauth_url: oauth_url?,
        government_api_url: government_api_url?,
        government_oauth_url: government_oauth_url?,
        request_timeout: request_timeout?,
        day_zone: day_zone?,
        daily_request_budget: daily_request_budget?,
        late_window: late_window?,
        sweep_interval: sweep_interval?,
        max_parallel_polls: max_parallel_polls?,
    })
}

/// A URL of Zoom: client secrets and tokens are sent there.
fn zoom_url(reader: &mut Reader<'_>, path: &str, allow_private_addresses: bool) -> Option<Url> {
    let url = reader.url(path)?;
    if issuers::is_loopback(&url) && !allow_private_addresses {
        return reader.problem(
            path,
            "is a loopback address, which `egress.allow_networks` or `egress.allow_private_addresses = true` must allow",
        );
    }
    if issuers::safe_for_credentials(&url).is_err() {
        return reader.problem(path, "must begin with `https://`, because client secrets are sent there; `http://` is for loopback addresses only");
    }
    Some(url)
}

fn delivery(reader: &mut Reader<'_>) -> Option<Delivery> {
    let max_parallel = reader.integer("delivery.max_parallel", 1..=10_000);
    let retry_first = reader.duration("delivery.retry_first", Duration::from_millis(10)..=HOUR);
    let retry_longest = reader.duration("delivery.retry_longest", Duration::from_millis(10)..=DAY);
    if retry_first
        .zip(retry_longest)
        .is_some_and(|(first, longest)| first > longest)
    {
        reader.problem::<()>(
            "delivery.retry_longest",
            "must not be shorter than `delivery.retry_first`",
        );
    }
    Some(Delivery {
        max_parallel: max_parallel?,
        retry_first: retry_first?,
        retry_longest: retry_longest?,
    })
}

/// The variables of systemd's protocol: see `sd_notify(3)`. What is not as it should be is as if it were not set, since no
/// user wrote it.
fn service(variables: &[(OsString, OsString)]) -> Service {
    let variable = |name: &str| {
        variables
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let number = |name: &str| variable(name).and_then(|value| value.to_str()?.parse::<u64>().ok());
    let for_us =
        variable("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(std::process::id().into());
    Service {
        notify_socket: variable("NOTIFY_SOCKET")
            .filter(|socket| !socket.is_empty())
            .cloned(),
        watchdog: number("WATCHDOG_USEC")
            .filter(|length| *length > 0 && for_us)
            .map(Duration::from_micros),
    }
}

fn log(reader: &mut Reader<'_>) -> Option<Log> {
    let format = match reader.text("log.format").as_str() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => reader.problem("log.format", "must be `text` or `json`"),
    };
    let level = match reader.text("log.level").as_str() {
        word @ ("error" | "warn" | "info" | "debug" | "trace") => word.parse().ok(),
        _ => reader.problem("log.level", "must be `error`, `warn`, `info`, `debug` or `trace`"),
    };
    Some(Log {
        format: format?,
        level: level?,
    })
}
