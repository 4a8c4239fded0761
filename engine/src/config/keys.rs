//! Every key of the configuration: its name, its form, its default and what it is for.
//!
//! This is the one list. The reader of files, the reader of the environment and the documentation go by it.

/// The form in which a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A text: an address, a path, a URL, a duration such as `15m`, one word of several.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A list of texts; in the environment, separated by commas.
    List,
    /// A list of tables, each under `[[its.path]]`; in the environment, a JSON array of objects.
    Tables,
}

impl Form {
    /// The form as words in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Text => "a text in quotes",
            Self::Integer => "a whole number",
            Self::Boolean => "`true` or `false`",
            Self::List => "a list of texts",
            Self::Tables => "a list of tables (in a variable, a JSON array of objects)",
        }
    }
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The path of the key in the file, such as `server.listen`.
    pub path: &'static str,
    /// How it is written.
    pub form: Form,
    /// What holds where it is not set, as it would be written in the environment.
    pub default: &'static str,
    /// What it is for, in a sentence.
    pub help: &'static str,
}

const fn key(path: &'static str, form: Form, default: &'static str, help: &'static str) -> Key {
    Key {
        path,
        form,
        default,
        help,
    }
}

use Form::{Boolean, Integer, List, Tables, Text};

/// All keys, in the order in which they are documented.
pub const KEYS: &[Key] = &[
    key(
        "data_dir",
        Text,
        "",
        "Where the engine keeps what it makes itself. Default: `$STATE_DIRECTORY`, else `$XDG_DATA_HOME/zoom-log-engine`, else `~/.local/share/zoom-log-engine`. Relative paths in other keys are taken from here.",
    ),
    key(
        "server.listen",
        Text,
        "127.0.0.1:8420",
        "The address and port of the API. Port 0 takes any free one.",
    ),
    key(
        "server.tls.cert_file",
        Text,
        "",
        "The PEM file with the API's certificate and those that lead to its authority. With `server.tls.key_file` it turns TLS on. A file that is replaced is read again.",
    ),
    key(
        "server.tls.key_file",
        Text,
        "",
        "The PEM file with that certificate's key.",
    ),
    key(
        "server.tls.client_ca_file",
        Text,
        "",
        "A PEM file of certificate authorities: whoever sends a token must show a certificate of one of them, too.",
    ),
    key(
        "server.allow_plain_http",
        Boolean,
        "false",
        "Whether the API may be served without TLS on an address that is not loopback, because something in front of it ends TLS.",
    ),
    key(
        "server.max_connections",
        Integer,
        "1024",
        "How many connections there are at once; further ones wait.",
    ),
    key(
        "server.max_connections_per_address",
        Integer,
        "256",
        "How many of them may come from one address (from one /64 network of IPv6); further ones are closed.",
    ),
    key(
        "server.public_url",
        Text,
        "",
        "The URL under which others reach the API, shown in alarms. Default: made from `server.listen`.",
    ),
    key(
        "server.shutdown_deadline",
        Text,
        "20s",
        "How long work in hand may take to end after SIGTERM.",
    ),
    key(
        "server.max_request_bytes",
        Integer,
        "1048576",
        "The largest request body that the API reads.",
    ),
    key(
        "auth.admin_token_file",
        Text,
        "admin-token",
        "The file with the admin token; made where it does not exist.",
    ),
    key(
        "auth.admin_token_only_bootstraps",
        Boolean,
        "false",
        "Whether the admin token is refused while there is a token with the scope `admin`.",
    ),
    key(
        "auth.issuers",
        Tables,
        "",
        "Whose word about a workload is taken, and what it is good for: `name`, `issuer`, `audience`, `subjects`, `claims`, `scope`, `max_ttl`.",
    ),
    key(
        "vault.key",
        Text,
        "",
        "Where the master key is: `file:` and a path, `env:` and the name of a variable, or `credential:` and the name of a systemd credential. Default: the file `vault.key_file`.",
    ),
    key(
        "vault.key_file",
        Text,
        "vault.key",
        "The file with the master key; made where it does not exist and no secret is sealed yet.",
    ),
    key(
        "vault.ref_dirs",
        List,
        "",
        "The directories from which `file:` references to secrets may read.",
    ),
    key(
        "vault.ref_env_prefixes",
        List,
        "",
        "What the names of variables in `env:` references to secrets must begin with.",
    ),
    key(
        "store.url",
        Text,
        "sqlite:engine.db",
        "The database: `sqlite:` and a path, or `postgres://user@host:5432/database`, which several engines may share. Parameters: `sslmode` (by default `verify-full`, and `disable` on this machine), `sslrootcert`, `host` for a socket's directory.",
    ),
    key(
        "store.password_file",
        Text,
        "",
        "The file with the password of PostgreSQL's role, where it is not in `store.url`.",
    ),
    key(
        "store.max_connections",
        Integer,
        "20",
        "The most connections that an engine has to PostgreSQL, from 4 on.",
    ),
    key(
        "store.connect_timeout",
        Text,
        "10s",
        "How long a connection to PostgreSQL is waited for.",
    ),
    key(
        "store.statement_timeout",
        Text,
        "30s",
        "How long PostgreSQL may work on one statement.",
    ),
    key(
        "store.lock_timeout",
        Text,
        "10s",
        "How long a statement may wait in PostgreSQL for what another one has locked.",
    ),
    key(
        "store.lease",
        Text,
        "30s",
        "How long an engine that says nothing keeps what it has claimed, before the others on the same PostgreSQL take it over, from `5s` on.",
    ),
    key(
        "store.replay_retention",
        Text,
        "7d",
        "How long delivered events can be replayed.",
    ),
    key(
        "store.audit_retention",
        Text,
        "400d",
        "How long entries of the audit log are kept, from `1d` on.",
    ),
    key(
        "zoom.api_url",
        Text,
        "https://api.zoom.us",
        "Where Zoom's API is.",
    ),
    key(
        "zoom.oauth_url",
        Text,
        "https://zoom.us",
        "Where people consent, and Zoom hands out access tokens.",
    ),
    key(
        "zoom.government_api_url",
        Text,
        "https://api.zoomgov.com",
        "Where the API of Zoom for Government is, for sources with `cloud = \"government\"`.",
    ),
    key(
        "zoom.government_oauth_url",
        Text,
        "https://zoomgov.com",
        "Where people consent, and Zoom for Government hands out access tokens.",
    ),
    key(
        "zoom.request_timeout",
        Text,
        "30s",
        "The longest that one request to Zoom may take.",
    ),
    key(
        "zoom.day_zone",
        Text,
        "UTC",
        "The time zone whose days Zoom's reports mean by `from` and `to`, such as `Asia/Tokyo`. Zoom does not document it.",
    ),
    key(
        "zoom.daily_request_budget",
        Integer,
        "10000",
        "How many report requests a day may be spent on each Zoom account, for sources that do not say it themselves. Where Zoom says that it allows fewer, that holds.",
    ),
    key(
        "zoom.late_window",
        Text,
        "48h",
        "How far back each sweep reads again for rows that Zoom shows late, up to `7d`, for sources that do not say it themselves.",
    ),
    key(
        "zoom.sweep_interval",
        Text,
        "1h",
        "How often the late window is swept, for sources that do not say it themselves.",
    ),
    key(
        "zoom.max_parallel_polls",
        Integer,
        "32",
        "How many feeds are polled at once.",
    ),
    key(
        "delivery.max_parallel",
        Integer,
        "32",
        "How many batches are being delivered at once.",
    ),
    key(
        "delivery.retry_first",
        Text,
        "1s",
        "The pause after the first failed attempt to deliver; it doubles with each further one.",
    ),
    key(
        "delivery.retry_longest",
        Text,
        "5m",
        "The longest pause between two attempts to deliver.",
    ),
    key(
        "clock.ahead",
        Text,
        "0s",
        "How far the engine's clock runs ahead of the machine's. For drills: a drop-off alarm can be seen without waiting for it.",
    ),
    key(
        "labels.disabled",
        List,
        "",
        "The ids of built-in label rules that are switched off.",
    ),
    key(
        "labels.rules",
        Tables,
        "",
        "Label rules beside the built-in ones; one with a built-in rule's id takes its place.",
    ),
    key(
        "egress.allow_private_addresses",
        Boolean,
        "false",
        "Whether Zoom, destinations and alarm channels may be at loopback, private or otherwise special addresses.",
    ),
    key(
        "egress.allow_networks",
        List,
        "",
        "Networks outside the public internet whose addresses may be connected to all the same, such as `10.1.0.0/16`. A cloud's metadata service is opened only by its very address, such as `169.254.169.254/32`.",
    ),
    key(
        "egress.allow_hosts",
        List,
        "",
        "Hosts that may be at such addresses, by name, such as `siem.corp.example` or `*.corp.example`.",
    ),
    key(
        "egress.file_roots",
        List,
        "out",
        "The directories under which `file` destinations may write; a relative path of a destination is taken from the first.",
    ),
    key(
        "egress.ca_file",
        Text,
        "",
        "A PEM file of certificate authorities to trust beside those of the system.",
    ),
    key(
        "log.format",
        Text,
        "text",
        "`text` for people, `json` for one JSON object a line.",
    ),
    key(
        "log.level",
        Text,
        "info",
        "The least severe lines that are logged: `error`, `warn`, `info`, `debug` or `trace`.",
    ),
];

/// What every variable that sets a key begins with.
pub const ENV_PREFIX: &str = "ZOOM_LOG_ENGINE__";

impl Key {
    /// The key of that path.
    pub fn find(path: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.path == path)
    }

    /// The variable that sets the key: `ZOOM_LOG_ENGINE__SERVER__LISTEN`.
    pub fn variable(&self) -> String {
        format!(
            "{ENV_PREFIX}{}",
            self.path.replace('.', "__").to_ascii_uppercase()
        )
    }

    /// Whether the path is that of a section that holds keys.
    pub(super) fn is_section(path: &str) -> bool {
        KEYS.iter().any(|key| {
            key.path
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('.'))
        })
    }

    /// The key that was probably meant by a path that is none.
    pub(super) fn nearest(path: &str) -> Option<&'static Self> {
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
        // A key in the wrong section is as good a guess as a key with a slip in it.
        let distance = |key: &Key| {
            edits(path, key.path).min(if last(path) == last(key.path) {
                1
            } else {
                usize::MAX
            })
        };
        KEYS.iter()
            .map(|key| (distance(key), key))
            .min_by_key(|(distance, _)| *distance)
            .and_then(|(distance, key)| (distance <= 1 + path.len() / 4).then_some(key))
    }
}

/// The name that was probably meant by one that is none.
pub(super) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (edits(name, known), known))
        .min()
        .and_then(|(distance, known)| (distance <= 1 + name.len() / 4).then_some(known))
}

/// How many letters must be put in, taken out or changed to make one text of the other.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in right.iter().enumerate() {
            let change = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_wrong_sections_find_their_key() {
        let nearest = |path| Key::nearest(path).map(|key| key.path);
        assert_eq!(nearest("server.lisen"), Some("server.listen"));
        assert_eq!(nearest("listen"), Some("server.listen"));
        assert_eq!(
            nearest("egress.allow_private_address"),
            Some("egress.allow_private_addresses")
        );
        assert_eq!(nearest("database.url"), Some("store.url"));
        assert_eq!(nearest("extra.colour"), None);
    }

    #[test]
    fn edits_are_counted() {
        for (left, right, count) in [
            ("", "", 0),
            ("abc", "", 3),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edits(left, right), count);
            assert_eq!(edits(right, left), count);
        }
    }

    #[test]
    fn every_key_has_a_name_of_its_own_and_a_sentence() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(
                KEYS[..at].iter().all(|other| other.path != key.path),
                "{}",
                key.path
            );
            assert!(
                !Key::is_section(key.path) && key.help.ends_with('.'),
                "{}",
                key.path
            );
        }
    }
}
