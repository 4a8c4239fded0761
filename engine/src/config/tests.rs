//! The configuration as users write it.

use std::ffi::OsString;

use proptest::prelude::*;

use super::*;
use crate::database::{Database, Tls};

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    let home = ("HOME", "/home/zoe");
    [home]
        .iter()
        .chain(pairs)
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

fn parse(text: &str, pairs: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    Config::parse(Some(("engine.toml", text)), variables(pairs))
        .map_err(|invalid| invalid.problems.iter().map(ToString::to_string).collect())
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let config = Config::parse(None, variables(&[])).unwrap();
    let data_dir = Path::new("/home/zoe/.local/share/zoom-log-engine");
    assert_eq!(config.data_dir, data_dir);
    assert_eq!(config.server.listen, "127.0.0.1:8420".parse().unwrap());
    assert_eq!(config.server.shutdown_deadline, Duration::from_secs(20));
    assert!(matches!(config.store.database, Database::Sqlite(file) if file == data_dir.join("engine.db")));
    assert_eq!(config.store.replay_retention, Duration::from_hours(7 * 24));
    assert_eq!(config.egress.file_roots, [data_dir.join("out")]);
    assert_eq!(config.auth.admin_token_file, data_dir.join("admin-token"));
    assert!(matches!(&config.vault.key, MasterKey::File(path) if *path == data_dir.join("vault.key")));
    assert_eq!(config.zoom.api_url.as_str(), "https://api.zoom.us/");
    assert_eq!(config.zoom.daily_request_budget, 10_000);
    assert_eq!(
        (config.log.format, config.log.level),
        (LogFormat::Text, Level::INFO)
    );
}

#[test]
fn the_environment_overrides_the_file_and_the_file_the_defaults() {
    let text = r#"
        data_dir = "/var/lib/engine"
        [server]
        listen = "0.0.0.0:1"
        shutdown_deadline = "1m"
        [vault]
        ref_dirs = ["/run/a"]
    "#;
    let config = parse(
        text,
        &[
            ("ZOOM_LOG_ENGINE__SERVER__LISTEN", "[::1]:0"),
            ("ZOOM_LOG_ENGINE__VAULT__REF_DIRS", "/run/b, /run/c"),
            ("ZOOM_LOG_ENGINE__VAULT__REF_ENV_PREFIXES", ""),
            ("ZOOM_LOG_ENGINE__EGRESS__FILE_ROOTS", "/srv/lake,local"),
            ("ZOOM_LOG_ENGINE__EGRESS__ALLOW_PRIVATE_ADDRESSES", "true"),
            ("ZOOM_LOG_ENGINE__ZOOM__API_URL", "http://127.0.0.1:9/base"),
            ("ZOOM_LOG_ENGINE_URL", "belongs to somebody else"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen, "[::1]:0".parse().unwrap());
    assert_eq!(config.server.shutdown_deadline, Duration::from_mins(1));
    assert_eq!(config.vault.ref_dirs, [Path::new("/run/b"), Path::new("/run/c")]);
    assert!(config.vault.ref_env_prefixes.is_empty());
    assert_eq!(
        config.egress.file_roots,
        [Path::new("/srv/lake"), Path::new("/var/lib/engine/local")]
    );
    assert_eq!(config.zoom.api_url.as_str(), "http://127.0.0.1:9/base");
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let text = "[server]\nlisen = \"0.0.0.0:1\"\nshutdown_deadline = 20\n\n[zoom]\nlate_window = \"2 days\"\n[extra]\nkey = 1\n[log]\nlevel = \"loud\"\n";
    let problems = parse(
        text,
        &[
            ("ZOOM_LOG_ENGINE__ZOOM__DAILY_REQUEST_BUDGET", "many"),
            ("ZOOM_LOG_ENGINE__DATADIR", "/x"),
            ("ZOOM_LOG_ENGINE__ZOOM__SWEEP_INTERVAL", "2d"),
        ],
    )
    .unwrap_err();
    for expected in [
        "engine.toml:2: `server.lisen`: there is no such key: did you mean `server.listen`?",
        "engine.toml:3: `server.shutdown_deadline`: must be a text in quotes, not a number",
        "engine.toml:7: `extra`: there is no such key",
        "engine.toml:10: `log.level`: must be `error`, `warn`, `info`, `debug` or `trace`",
        "ZOOM_LOG_ENGINE__ZOOM__DAILY_REQUEST_BUDGET: `zoom.daily_request_budget`: must be a whole number",
        "ZOOM_LOG_ENGINE__DATADIR: there is no such key: did you mean `ZOOM_LOG_ENGINE__DATA_DIR`?",
        "ZOOM_LOG_ENGINE__ZOOM__SWEEP_INTERVAL: `zoom.sweep_interval`: must be from `1s` to `24h`",
    ] {
        assert!(
            problems.iter().any(|problem| problem == expected),
            "{expected}\n{problems:#?}"
        );
    }
    assert!(
        problems
            .iter()
            .any(|problem| problem.starts_with("engine.toml:6: `zoom.late_window`: `2 days` is not"))
    );
    assert_eq!(problems.len(), 8, "{problems:#?}");
}

#[test]
fn a_broken_file_is_told_with_its_line() {
    let problems = parse("[server]\nlisten = \n", &[]).unwrap_err();
    assert!(problems[0].starts_with("engine.toml:2: "), "{problems:?}");
    let missing = Config::load(Some(Path::new("/nowhere/engine.toml")))
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("/nowhere/engine.toml: failed to read the configuration file: "),
        "{missing}"
    );
}

#[test]
fn postgresql_is_reached_with_a_password_from_a_file_within_limits() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s3cret\n").unwrap();
    let text = format!(
        "[store]\nurl = \"postgres://zoom@db.example/logs\"\npassword_file = \"{}\"\nmax_connections = 7\nlock_timeout = \"3s\"",
        file.path().display()
    );
    let config = parse(&text, &[]).unwrap();
    let Database::Postgres(place) = &config.store.database else {
        panic!("{config:?}")
    };
    assert_eq!(
        (place.host.as_str(), place.port, place.tls),
        ("db.example", 5432, Tls::VerifyFull)
    );
    assert_eq!(place.password.as_ref().unwrap().expose(), "s3cret");
    assert_eq!(
        (place.limits.max_connections, place.limits.lock_timeout),
        (7, Duration::from_secs(3))
    );
    assert_eq!(config.store.lease, Duration::from_secs(30));
    assert!(!format!("{config:#?}").contains("s3cret"));
}

#[test]
fn what_cannot_work_or_would_be_unsafe_is_refused() {
    for (text, expected) in [
        (
            "store.url = \"postgres://u:marker@db/x?pool=1\"",
            "knows no parameter `pool`",
        ),
        (
            "store.url = \"postgres://u:marker@db/x\"\nstore.password_file = \"p\"",
            "must not be set beside a password",
        ),
        ("store.url = \"mysql://u:marker@db/x\"", "must be `sqlite:`"),
        ("store.url = \"sqlite::memory:\"", "must name a file"),
        (
            "zoom.api_url = \"http://zoom.example.com\"",
            "must begin with `https://`",
        ),
        (
            "zoom.api_url = \"http://127.0.0.1:1\"",
            "egress.allow_private_addresses",
        ),
        (
            "zoom.oauth_url = \"https://u:marker@zoom.us\"",
            "neither credentials",
        ),
        ("server.public_url = \"zoom\"", "must be a URL"),
        ("server.listen = \"localhost:1\"", "an IP address and a port"),
        ("vault.ref_dirs = [\"secrets\"]", "absolute"),
        ("vault.ref_dirs = [\"/\"]", "not `/` itself"),
        ("vault.ref_env_prefixes = [\"\"]", "empty prefix"),
        ("egress.file_roots = []", "at least one"),
        ("egress.ca_file = \"/nowhere\"", "failed to read /nowhere"),
        ("delivery.retry_first = \"10m\"", "must not be shorter"),
        ("auth.admin_token_file = \"\"", "must be a path"),
        ("server = 1", "is a section"),
    ] {
        let problems = parse(text, &[]).unwrap_err();
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(
            problems[0].contains(expected) && !problems[0].contains("marker"),
            "{text}: {problems:?}"
        );
    }
}

#[test]
fn the_data_directory_follows_the_machines_conventions() {
    let data_dir = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(name, value)| (name.into(), value.into()));
        Config::parse(None, pairs).map(|config| config.data_dir.display().to_string())
    };
    let all = [
        ("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"),
        ("XDG_DATA_HOME", "/x"),
        ("HOME", "/h"),
    ];
    assert_eq!(data_dir(&all).unwrap(), "/var/lib/a");
    assert_eq!(data_dir(&all[1..]).unwrap(), "/x/zoom-log-engine");
    assert_eq!(data_dir(&all[2..]).unwrap(), "/h/.local/share/zoom-log-engine");
    let error = data_dir(&[]).unwrap_err().to_string();
    assert!(error.starts_with("`data_dir`: must be set"), "{error}");
}

#[test]
fn authorities_are_read_from_pem() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let text = format!("egress.ca_file = \"{}\"", file.display());
    std::fs::write(&file, certificate.pem()).unwrap();
    assert_eq!(
        parse(&text, &[]).unwrap().egress.authorities,
        [certificate.der().clone()]
    );
    std::fs::write(&file, "nothing of the kind").unwrap();
    assert!(parse(&text, &[]).unwrap_err()[0].contains("must hold certificates in PEM"));
}

#[test]
fn label_rules_are_added_to_the_built_in_ones() {
    let text = r#"
        [labels]
        disabled = ["sso.certificate"]
        [[labels.rules]]
        id = "users.deleted"
        label = "user_deleted"
        category = ["User"]
        action_contains = ["delete"]
    "#;
    let built_in = engine_api::label::built_in().len();
    let rules = |config: &Config| config.labels.labeller.rules().len();
    assert_eq!(rules(&parse("", &[]).unwrap()), built_in);
    let config = parse(text, &[]).unwrap();
    assert_eq!(rules(&config), built_in);
    assert!(config.labels.labeller.knows("user_deleted"));
    let variable = (
        "ZOOM_LOG_ENGINE__LABELS__RULES",
        r#"[{"id":"x","label":"own","field":["Plan"]}]"#,
    );
    let config = parse(text, &[variable]).unwrap();
    assert!(config.labels.labeller.knows("own") && !config.labels.labeller.knows("user_deleted"));
}

#[test]
fn what_is_wrong_with_a_label_rule_is_told_at_its_line() {
    for (text, expected) in [
        (
            "[labels]\ndisabled = [\"sso.wrods\"]",
            "engine.toml:2: `labels.disabled[0]`: `sso.wrods` is no built-in rule; those are `sso.words`",
        ),
        (
            "[[labels.rules]]\nid = \"a\"\nlabel = \"A b\"\nfield = [\"x\"]",
            "engine.toml:3: `labels.rules[0].label`: must be small letters",
        ),
        (
            "[[labels.rules]]\nid = \"a\"\nlabel = \"a\"\ndetail_contain = [\"x\"]",
            "engine.toml:4: `labels.rules[0].detail_contain`: there is no such key: did you mean `detail_contains`?",
        ),
        (
            "[[labels.rules]]\nid = \"a\"\nlabel = \"a\"\nfield = [\n\"x\",\n\"-\"]",
            "engine.toml:6: `labels.rules[0].field[1]`: holds no letter",
        ),
        (
            "[[labels.rules]]\nid = \"a\"\nlabel = \"a\"\nfield = [\"x\"]\n\n[[labels.rules]]\nlabel = \"a\"",
            "engine.toml:6: `labels.rules[1]`: missing field `id`",
        ),
        (
            "[[labels.rules]]\nid = \"a\"\nlabel = \"a\"\nfield = \"x\"",
            "engine.toml:4: `labels.rules[0].field`: invalid type: string \"x\", expected a sequence",
        ),
        (
            "[[labels.rules]]\nid = \"a\"\nlabel = \"a\"\nfield = [\"x\", 7]",
            "engine.toml:4: `labels.rules[0].field[1]`: invalid type: integer `7`, expected a string",
        ),
        (
            "labels.rules = [\"x\"]",
            "engine.toml:1: `labels.rules`: must be a list of tables (in a variable, a JSON array of objects), not one that \
             holds other things",
        ),
        (
            "[[labels.rules]]\nid = \"a\"\nlabel = \"a\"",
            "engine.toml:1: `labels.rules[0]`: has no condition",
        ),
    ] {
        let problems = parse(text, &[]).unwrap_err();
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].starts_with(expected), "{text}: {problems:?}");
    }
}

#[test]
fn every_default_is_valid_and_every_key_can_be_set_by_a_variable() {
    for key in KEYS {
        let variable = key.variable();
        // Where the default is "none", so is what an empty variable says.
        let pairs = [(variable.as_str(), key.default)];
        assert!(parse("", &pairs).is_ok(), "{variable}: {:?}", parse("", &pairs));
    }
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused(text: String, key in prop::sample::select(KEYS), value: String) {
        let _ = parse(&text, &[]);
        let _ = parse(&format!("{} = {value}", key.path), &[(&key.variable(), &text)]);
    }
}
