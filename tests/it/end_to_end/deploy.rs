//! What `examples/deploy` says, held against the real binary; and signs of life for whoever started it.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use e2e::{
    binaries::{Binary, workspace},
    process::Process,
    wait,
};
use rcgen::{CertificateParams, KeyPair};

use super::{LATE, Stage};

fn deploy(path: &str) -> PathBuf {
    workspace().join("examples/deploy").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(deploy(path)).unwrap()
}

/// A place with what the configurations of the examples read: a certificate, a key, a token.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["zoom-logs.example.com".to_owned()]).unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("tls.crt", &params.self_signed(&key).unwrap().pem());
        write("tls.key", &key.serialize_pem());
        write("admin-token", "zle_the-token-of-an-operator\n");
        write("postgres-password", "password\n");
        let made = engine(&["key", "generate"]).output().unwrap();
        assert!(made.status.success());
        fs::write(dir.path().join("vault.key"), made.stdout).unwrap();
        Self { dir }
    }

    /// A configuration whose folders are this place's.
    fn config(&self, text: &str, folders: &[&str]) -> PathBuf {
        let here = self.dir.path().to_string_lossy();
        let moved = folders.iter().fold(text.to_owned(), |text, folder| {
            assert!(text.contains(folder), "{folder} is not in it");
            text.replace(folder, &format!("{here}/"))
        });
        let path = self.dir.path().join("engine.toml");
        fs::write(&path, moved).unwrap();
        path
    }

    fn validate(&self, config: &Path, variables: &[(&str, &str)]) {
        let mut command = engine(&["validate", "--config", config.to_str().unwrap()]);
        command.env("CREDENTIALS_DIRECTORY", self.dir.path());
        let ran = command.envs(variables.iter().copied()).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{said}");
    }
}

fn engine(arguments: &[&str]) -> Command {
    let mut command = Command::new(Binary::Engine.path());
    command
        .args(arguments)
        .env_clear()
        .env("HOME", "/nowhere")
        .stdin(Stdio::null());
    command
}

#[test]
fn every_configuration_of_the_examples_is_one() {
    let place = Place::new();
    let unit = place.config(&text("systemd/engine.toml"), &["/etc/zoom-log-engine/tls/"]);
    place.validate(&unit, &[]);
    let kubernetes = text("kubernetes/engine.toml");
    let config = place.config(&kubernetes, &["/tls/", "/secrets/"]);
    place.validate(&config, &[]);

    // The container's variables, and those that its comment tells to add.
    let containerfile = text("container/Containerfile");
    let mut variables: Vec<(String, String)> = Vec::new();
    for word in containerfile.split([' ', '\n', '\t', '\\']) {
        if let Some((name, value)) = word.split_once('=')
            && name.starts_with("ZOOM_LOG_ENGINE__")
        {
            let here = place.dir.path().to_string_lossy();
            variables.push((
                name.to_owned(),
                value.trim_end_matches('.').replace("/tls/", &format!("{here}/")),
            ));
        }
    }
    assert!(variables.len() >= 5, "{variables:?}");
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let empty = place.dir.path().join("empty.toml");
    fs::write(&empty, "").unwrap();
    place.validate(&empty, &variables);
}

#[test]
fn the_deployments_name_what_there_is() {
    let unit = text("systemd/zoom-log-engine.service");
    let value = |key: &str| {
        let line = unit
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key}=")));
        line.unwrap_or_else(|| panic!("{key} is not set")).to_owned()
    };
    assert_eq!(value("Type"), "notify");
    assert!(value("ExecStart").contains("serve --config /etc/zoom-log-engine/engine.toml"));
    assert!(value("LoadCredential").starts_with("vault.key:"));
    assert!(value("WatchdogSec").parse::<u64>().unwrap() >= 30);
    for name in [
        "NoNewPrivileges",
        "ProtectHome",
        "PrivateDevices",
        "MemoryDenyWriteExecute",
    ] {
        assert_eq!(value(name), "yes", "{name}");
    }
    let containerfile = text("container/Containerfile");
    for line in ["USER 65532:65532", "\"health\"]", "CMD [\"serve\"]"] {
        assert!(containerfile.contains(line), "{line}");
    }
    let pods = text("kubernetes/engine.yaml");
    for line in [
        "replicas: 3",
        "runAsNonRoot: true",
        "readOnlyRootFilesystem: true",
        "drop: [ALL]",
        "kind: PodDisruptionBudget",
        "path: /readyz",
        "path: /healthz",
        "allowPrivilegeEscalation: false",
    ] {
        assert!(pods.contains(line), "{line}");
    }
}

/// Where systemd is installed, its own judgement of the unit.
#[test]
fn systemd_takes_the_unit_and_finds_it_confined() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let unit = text("systemd/zoom-log-engine.service");
    let path = dir.path().join("zoom-log-engine.service");
    fs::write(
        &path,
        unit.replace(
            "/usr/local/bin/zoom-log-engine",
            &Binary::Engine.path().to_string_lossy(),
        ),
    )
    .unwrap();
    for arguments in [&["verify"][..], &["security", "--offline=yes", "--threshold=20"]] {
        let ran = Command::new("systemd-analyze")
            .args(arguments)
            .arg(&path)
            .output()
            .unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
        assert!(ran.status.success(), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn the_engine_tells_its_manager_how_it_is_and_health_asks_it() {
    let mut stage = Stage::set().await;
    let health = |stage: &Stage, more: &[&str]| {
        let mut command = stage.engine.command(&[&["health"], more].concat());
        Process::spawn("health", &mut command).finish(LATE)
    };
    let well = health(&stage, &[]).await;
    assert_eq!(
        (well.code, well.stdout.as_str()),
        (Some(0), "ok\n"),
        "{}",
        well.stderr
    );
    assert_eq!(health(&stage, &["--live"]).await.code, Some(0));
    stage.engine.stop().await;
    let away = health(&stage, &[]).await;
    assert_eq!(away.code, Some(1));
    assert!(away.stderr.contains("cannot be asked"), "{}", away.stderr);

    let socket = stage.engine.data_dir().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_nonblocking(true).unwrap();
    stage
        .engine
        .set_variable("NOTIFY_SOCKET", &socket.to_string_lossy());
    stage.engine.set_variable("WATCHDOG_USEC", "200000");
    stage.engine.start_again().await;
    let mut said: Vec<String> = Vec::new();
    let hear = |said: &mut Vec<String>| {
        let mut bytes = [0; 256];
        while let Ok(length) = manager.recv(&mut bytes) {
            said.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
    };
    let watched = |said: &[String]| said.iter().filter(|text| *text == "WATCHDOG=1\n").count();
    wait::until_now(LATE, "signs of life", || {
        hear(&mut said);
        if watched(&said) >= 3 {
            Ok(())
        } else {
            Err(format!("{said:?}"))
        }
    })
    .await;
    assert!(said[0].starts_with("READY=1\nSTATUS=serving http://"), "{said:?}");
    assert!(watched(&said) >= 3);
    stage.engine.stop().await;
    hear(&mut said);
    assert!(
        said.iter().any(|text| text.starts_with("STOPPING=1\n")),
        "{said:?}"
    );
}
