//! What is released can be installed, and the pipelines of the examples run on it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use e2e::{
    binaries::{Binary, workspace},
    process::Process,
    terraform::Terraform,
};
use serde_json::json;

use super::{CLIENT, LATE, SECRET, Stage};

const VERSION: &str = "9.8.7";

/// Who signs.
const SIGNER: &str = "release@example.com";

const CONFIGURATION: &str = r#"terraform {
  required_providers {
    zoom = {
      source  = "zoom-log/zoom"
      version = "9.8.7"
    }
  }
}

variable "zoom_client_secret" {
  type      = string
  ephemeral = true
}

resource "zoom_log_destination" "lake" {
  name = "lake"
  file = { path = "lake.ndjson" }
}

resource "zoom_log_source" "corp" {
  name            = "My Zoom logs"
  account_id      = "abc123"
  client_id       = "cid"
  client_secret   = var.zoom_client_secret
  destination_ids = [zoom_log_destination.lake.id]
}
"#;

/// Runs a command of this repository to its end.
fn must(command: &mut Command) -> String {
    let output = command.current_dir(workspace()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// The platform of this machine, as Terraform names it.
fn platform() -> String {
    let os = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux"
    };
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    format!("{os}_{arch}")
}

/// Keys to sign with, in a folder of their own. Its agent ends when this is dropped.
struct Keys(PathBuf);

impl Keys {
    fn empty(folder: PathBuf) -> Self {
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        Self(folder)
    }

    /// Makes one key.
    fn make(folder: PathBuf) -> Self {
        let keys = Self::empty(folder);
        must(keys.gpg().args([
            "--passphrase",
            "",
            "--quick-generate-key",
            SIGNER,
            "rsa2048",
            "sign",
            "1d",
        ]));
        keys
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.env("GNUPGHOME", &self.0).arg("--batch");
        gpg
    }

    /// Holds that a file's signature, which lies beside it, is good.
    fn verify(&self, file: &Path) {
        let mut signature = file.as_os_str().to_owned();
        signature.push(".sig");
        must(self.gpg().arg("--verify").arg(signature).arg(file));
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .env("GNUPGHOME", &self.0)
            .args(["--kill", "gpg-agent"])
            .status();
    }
}

/// Packs the provider that was just built, without its debug information, which nobody releases.
fn package(out: &Path) -> Command {
    fs::create_dir_all(out).unwrap();
    let stripped = out.with_file_name("stripped");
    must(
        Command::new("strip")
            .arg("-o")
            .arg(&stripped)
            .arg(Binary::Provider.path()),
    );
    // As the artifacts of a pipeline come.
    fs::set_permissions(&stripped, fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = Command::new(workspace().join(".ci/package"));
    command
        .arg(VERSION)
        .arg(out)
        .arg(format!("{}={}", platform(), stripped.display()));
    command.env_remove("GPG_FINGERPRINT");
    command
}

/// A workspace that takes the provider from what was packed, as a user without a registry would.
fn installing(stage: &Stage, out: &Path) -> Terraform {
    let mut terraform = stage.terraform();
    let mirror = out.join("mirror");
    terraform.write(
        "mirror.rc",
        &format!(
            "provider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n}}\n",
            mirror.display()
        ),
    );
    let rc = terraform.path("mirror.rc");
    terraform.set("TF_CLI_CONFIG_FILE", &rc.to_string_lossy());
    terraform.write("main.tf", CONFIGURATION);
    terraform
}

#[tokio::test]
async fn what_is_packed_is_signed_summed_and_installed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("dist");
    let keys = Keys::make(folder.path().join("keys"));
    let listed = must(
        package(&out)
            .env("GNUPGHOME", &keys.0)
            .env("GPG_FINGERPRINT", SIGNER),
    );
    let name = |rest: &str| format!("terraform-provider-zoom_{VERSION}_{rest}");
    let zip = name(&format!("{}.zip", platform()));
    let expected = [
        name("SHA256SUMS"),
        name("SHA256SUMS.sig"),
        zip.clone(),
        name("manifest.json"),
    ];
    for file in &expected {
        assert!(
            listed.lines().any(|line| line == file),
            "{file} is not in {listed}"
        );
    }
    keys.verify(&out.join(&expected[0]));
    must(Command::new("sh").arg("-c").arg(format!(
        "cd '{}' && sha256sum -c '{}'",
        out.display(),
        expected[0]
    )));
    let sums = fs::read_to_string(out.join(&expected[0])).unwrap();
    assert_eq!(sums.lines().count(), 2, "the zip and the manifest: {sums}");
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join(&expected[3])).unwrap()).unwrap();
    assert_eq!(manifest["metadata"]["protocol_versions"], json!(["6.0"]));
    // The same binary makes the same zip.
    let first = fs::read(out.join(&zip)).unwrap();
    must(&mut package(&out));
    assert_eq!(first, fs::read(out.join(&zip)).unwrap());
    assert!(
        !out.join(&expected[1]).exists(),
        "an old signature is of another file"
    );
    let stage = Stage::set().await;
    let terraform = installing(&stage, &out);
    terraform.must(&["init", "-no-color"]).await;
    let lock = fs::read_to_string(terraform.path(".terraform.lock.hcl")).unwrap();
    assert!(lock.contains(VERSION) && lock.contains("h1:"), "{lock}");
    terraform.apply().await;
    terraform.assert_settled().await;
}

/// Returns the shell steps of a pipeline in the repository: what stands in blocks of several lines.
fn steps(file: &str) -> Vec<String> {
    let text = fs::read_to_string(workspace().join(file)).unwrap();
    let mut lines = text.lines().peekable();
    let mut steps = Vec::new();
    while let Some(line) = lines.next() {
        let begins = line.trim_end().ends_with("run: |") || line.trim() == "- |";
        if !begins {
            continue;
        }
        let outer = line.len() - line.trim_start().len();
        let mut step = String::new();
        while let Some(inner) =
            lines.next_if(|inner| inner.trim().is_empty() || inner.len() - inner.trim_start().len() > outer)
        {
            step.push_str(inner.trim_start());
            step.push('\n');
        }
        steps.push(step);
    }
    steps
}

/// Returns the only step, among equal ones, that holds these words.
fn step<'a>(steps: &'a [String], words: &str) -> &'a str {
    let mut found: Vec<&String> = steps.iter().filter(|step| step.contains(words)).collect();
    found.dedup();
    assert_eq!(found.len(), 1, "`{words}` in {steps:?}");
    found[0]
}

/// Runs a step as a pipeline does, and returns its code and what it wrote.
async fn run(terraform: &Terraform, step: &str) -> (Option<i32>, String) {
    let as_terraform = terraform.command(&[]);
    let mut command = Command::new("bash");
    command
        .args(["-e", "-c", step])
        .current_dir(terraform.directory())
        .env_clear();
    for (name, value) in as_terraform.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env("GITHUB_STEP_SUMMARY", terraform.path("summary.md"));
    let ran = Process::spawn("a step", &mut command).finish(LATE).await;
    (ran.code, ran.all())
}

#[tokio::test]
async fn the_pipelines_of_the_examples_plan_apply_and_find_drift() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("dist");
    must(&mut package(&out));
    for file in ["examples/ci/github-actions.yml", "examples/ci/gitlab-ci.yml"] {
        let steps = steps(file);
        let stage = Stage::set().await;
        let terraform = installing(&stage, &out);
        // An older version says the configuration in other words, and a step looks at its form.
        terraform.must(&["fmt", "-no-color"]).await;
        let good = async |words: &str| {
            let (code, text) = run(&terraform, step(&steps, words)).await;
            assert_eq!(code, Some(0), "{file}: `{words}`: {text}");
            text
        };
        good("terraform init").await;
        good("terraform validate").await;
        assert!(good("plan.txt").await.contains("2 to add"));
        good("terraform apply").await;
        let drift = step(&steps, "-detailed-exitcode");
        let (code, text) = run(&terraform, drift).await;
        assert_eq!(code, Some(0), "{file}: {text}");

        let source = stage.engine.list("sources").await.remove(0)["id"]
            .as_str()
            .unwrap()
            .to_owned();
        stage
            .engine
            .change("sources", &source, |spec| spec["poll_interval"] = json!("9m"))
            .await;
        let (code, text) = run(&terraform, drift).await;
        assert_eq!(code, Some(2), "{file}: {text}");
        assert!(
            text.contains("9m") && text.contains("hat the engine has is not what is declared here"),
            "{text}"
        );

        // A plan that fails fails its step, and is not taken for drift.
        terraform.write(
            "main.tf",
            &CONFIGURATION.replace(&format!("\"{CLIENT}\""), "\"another-app\""),
        );
        assert_eq!(
            run(&terraform, step(&steps, "plan.txt")).await.0,
            Some(1),
            "{file}"
        );
        assert_eq!(run(&terraform, drift).await.0, Some(1), "{file}");
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn the_release_workflow_publishes_what_its_builds_made() {
    let folder = tempfile::tempdir().unwrap();
    let (checkout, bin) = (folder.path().join("checkout"), folder.path().join("bin"));
    let write = |path: PathBuf, text: &str| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    // What the steps use of the repository.
    for file in [
        ".ci/package",
        "Cargo.toml",
        "provider/terraform-registry-manifest.json",
    ] {
        fs::create_dir_all(checkout.join(file).parent().unwrap()).unwrap();
        fs::copy(workspace().join(file), checkout.join(file)).unwrap();
    }
    for target in ["linux_amd64", "darwin_arm64"] {
        let binary = format!("binaries/{target}/terraform-provider-zoom");
        write(checkout.join(binary), target);
    }
    write(bin.join("gh"), "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
    fs::set_permissions(bin.join("gh"), fs::Permissions::from_mode(0o755)).unwrap();
    let keys = Keys::make(folder.path().join("keys"));
    let key = must(keys.gpg().args([
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
        "--armor",
        "--export-secret-keys",
    ]));
    let runner = Keys::empty(folder.path().join("runner"));
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());

    let steps = steps(".github/workflows/release.yml");
    let run = |words: &str, tag: &str| {
        let output = Command::new("bash")
            .args(["-eo", "pipefail", "-c", step(&steps, words)])
            .current_dir(&checkout)
            .env_clear()
            .env("PATH", &path)
            .env("GNUPGHOME", &runner.0)
            .env("GITHUB_REF_NAME", tag)
            .env("GPG_PRIVATE_KEY", &key)
            .env("GPG_FINGERPRINT", SIGNER)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.success(), text.concat())
    };
    let version = env!("CARGO_PKG_VERSION");
    let tag = format!("v{version}");
    assert_eq!(run("The tag is", &tag), (true, String::new()));
    let (passed, said) = run("The tag is", "v0.0.0");
    assert!(!passed && said.contains(version), "{said}");
    let (passed, said) = run(".ci/package", &tag);
    assert!(passed, "{said}");
    let (passed, said) = run("gh release create", &tag);
    assert!(passed, "{said}");
    let published: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("dist/terraform-provider-zoom_"))
        .collect();
    let expected = [
        "SHA256SUMS",
        "SHA256SUMS.sig",
        "darwin_arm64.zip",
        "linux_amd64.zip",
        "manifest.json",
    ];
    assert_eq!(
        published,
        expected.map(|rest| format!("{version}_{rest}")),
        "{said}"
    );
    let sums = checkout.join(format!("dist/terraform-provider-zoom_{version}_SHA256SUMS"));
    runner.verify(&sums);
    assert_eq!(fs::read_to_string(sums).unwrap().lines().count(), 3);
}
