//! The installed `terraform` over a workspace of its own, with the provider that was just built.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tfplug::conformance::versions;

use crate::{
    binaries::{self, Binary},
    engine,
    process::{Process, Ran},
};

/// Terraform itself may wait for the engine, which may wait for Zoom.
const LATE: Duration = Duration::from_mins(3);

pub use versions::Feature;

/// The installed Terraform.
pub fn version() -> &'static versions::Terraform {
    versions::Terraform::installed()
}

/// Whether the installed version lacks what the running test needs, which is then noted.
pub fn lacks(feature: Feature) -> bool {
    version().lacks(feature)
}

/// A Terraform workspace in a temporary directory.
///
/// It needs no `terraform init`: development overrides take the provider straight from the build's folder. Nothing of
/// the caller's environment reaches it.
#[derive(Debug)]
pub struct Terraform {
    directory: TempDir,
    environment: BTreeMap<String, String>,
}

/// A plan that was saved, and what it says.
#[derive(Debug, Clone)]
pub struct Plan {
    pub ran: Ran,
    /// As `terraform show -json` shows the saved plan.
    pub json: Value,
}

/// One planned change to a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub address: String,
    /// `create`, `update`, `delete`, or `delete` and `create` for a replacement.
    pub actions: Vec<String>,
    pub before: Value,
    pub after: Value,
    pub after_unknown: Value,
}

impl Terraform {
    /// Prepares a workspace that reaches the engine at `engine_url` with `token`.
    ///
    /// # Panics
    ///
    /// When no `terraform` is installed, or the provider cannot be built.
    pub fn new(engine_url: &str, token: &str) -> Self {
        Self::with_provider(Binary::Provider, engine_url, token)
    }

    /// Prepares the same with another provider of this workspace, `zoom-log/` and what its binary's name ends in.
    ///
    /// # Panics
    ///
    /// As [`Self::new`].
    pub fn with_provider(binary: Binary, engine_url: &str, token: &str) -> Self {
        let provider = binary.path();
        let name = binary.name().trim_start_matches("terraform-provider-");
        let overrides = provider.parent().expect("a folder around the provider");
        let directory = tempfile::Builder::new()
            .prefix("ztf-")
            .tempdir()
            .expect("a temporary directory");
        let configuration = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"zoom-log/{name}\" = \"{}\"\n  }}\n  direct {{}}\n}}\n",
            overrides.display()
        );
        let rc = directory.path().join("terraform.rc");
        fs::write(&rc, configuration).expect("write Terraform's configuration");
        let mut environment = BTreeMap::new();
        let mut set = |name: &str, value: String| environment.insert(name.to_owned(), value);
        set("TF_CLI_CONFIG_FILE", rc.to_string_lossy().into_owned());
        set("CHECKPOINT_DISABLE", "1".into());
        set("TF_IN_AUTOMATION", "1".into());
        set("TF_INPUT", "0".into());
        set("HOME", directory.path().to_string_lossy().into_owned());
        set("PATH", std::env::var("PATH").unwrap_or_default());
        set("ZOOM_LOG_ENGINE_URL", engine_url.to_owned());
        set("ZOOM_LOG_ENGINE_TOKEN", token.to_owned());
        Self {
            directory,
            environment,
        }
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file of the configuration, `main.tf` for one, as the installed version can say it.
    pub fn write(&self, name: &str, text: &str) {
        let text = version().say(text, engine::reference);
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder around a file")).expect("make a folder");
        fs::write(path, text).expect("write a file of the configuration");
    }

    /// Copies a folder of the repository, an example for one, into the workspace.
    pub fn copy(&self, folder: &str) {
        let from = binaries::workspace().join(folder);
        for path in binaries::files(&from) {
            let name = path
                .strip_prefix(&from)
                .expect("a file of the folder")
                .to_string_lossy()
                .into_owned();
            self.write(&name, &fs::read_to_string(&path).expect("read an example"));
        }
    }

    /// Sets an input variable.
    pub fn variable(&mut self, name: &str, value: &str) {
        self.set(&format!("TF_VAR_{name}"), value);
    }

    /// Sets a variable of the environment.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Logs everything that Terraform and the provider can log into a file, for searches.
    pub fn trace(&mut self) -> PathBuf {
        let path = self.path("trace.log");
        self.set("TF_LOG", "TRACE");
        self.set("TF_LOG_PATH", &path.to_string_lossy());
        path
    }

    /// Returns a command of Terraform in this workspace, for who runs it in their own way.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("terraform");
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .envs(&self.environment);
        command
    }

    /// Runs any command of Terraform to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        Process::spawn("terraform, which these tests need installed", &mut command)
            .finish(LATE)
            .await
    }

    /// Runs a command that must succeed.
    ///
    /// # Panics
    ///
    /// When it does not, with its output.
    pub async fn must(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments).await;
        assert_eq!(ran.code, Some(0), "terraform {arguments:?}:\n{}", ran.all());
        ran
    }

    pub async fn apply(&self) -> Ran {
        self.must(&["apply", "-auto-approve", "-no-color"]).await
    }

    /// Applies, whatever comes of it.
    pub async fn try_apply(&self) -> Ran {
        self.run(&["apply", "-auto-approve", "-no-color"]).await
    }

    pub async fn destroy(&self) -> Ran {
        self.must(&["destroy", "-auto-approve", "-no-color"]).await
    }

    pub async fn import(&self, address: &str, id: &str) -> Ran {
        self.must(&["import", "-no-color", address, id]).await
    }

    /// Plans, saves the plan, and reads it.
    pub async fn plan(&self) -> Plan {
        self.plan_with(&[]).await
    }

    pub async fn plan_with(&self, further: &[&str]) -> Plan {
        let arguments = [
            &["plan", "-no-color", "-detailed-exitcode", "-out=tfplan"],
            further,
        ]
        .concat();
        let ran = self.run(&arguments).await;
        assert!(
            matches!(ran.code, Some(0 | 2)),
            "terraform {arguments:?}:\n{}",
            ran.all()
        );
        let json = json(&self.must(&["show", "-json", "tfplan"]).await);
        Plan { ran, json }
    }

    /// Holds that nothing is to be done, in both of Terraform's ways to ask.
    ///
    /// # Panics
    ///
    /// When something is.
    pub async fn assert_settled(&self) {
        let plan = self.plan().await;
        assert_eq!(
            plan.ran.code,
            Some(0),
            "the plan is not empty:\n{}",
            plan.ran.all()
        );
        let refresh = self
            .run(&[
                "plan",
                "-refresh-only",
                "-no-color",
                "-detailed-exitcode",
                "-out=refresh",
            ])
            .await;
        if refresh.code == Some(2) && version().has(Feature::DataInRefresh) {
            // The code is the same with and without changes where there is a data source.
            let refreshed = json(&self.must(&["show", "-json", "refresh"]).await);
            assert_eq!(
                managed(&refreshed["prior_state"]),
                managed(&self.state().await),
                "a refresh changes a resource:\n{}",
                refresh.all()
            );
            assert!(
                refreshed.get("resource_drift").is_none() && refresh.stdout.contains("No changes."),
                "a refresh finds changes:\n{}",
                refresh.all()
            );
            return;
        }
        assert_eq!(
            refresh.code,
            Some(0),
            "a refresh finds changes:\n{}",
            refresh.all()
        );
    }

    /// Holds that an import left nothing to be done.
    ///
    /// An import records a resource, and not what it depends on in the configuration. Terraform adds that at the next
    /// apply, which changes nothing else; until then `plan -refresh-only` would find the state behind, even that of a
    /// `terraform_data`.
    ///
    /// # Panics
    ///
    /// When something is.
    pub async fn assert_imported(&self) {
        let plan = self.plan().await;
        assert_eq!(
            plan.ran.code,
            Some(0),
            "the plan after an import is not empty:\n{}",
            plan.ran.all()
        );
        let applied = self.apply().await;
        assert!(
            applied.stdout.contains("0 added, 0 changed, 0 destroyed"),
            "{}",
            applied.all()
        );
        self.assert_settled().await;
    }

    /// Returns the state as `terraform show -json` has it.
    pub async fn state(&self) -> Value {
        json(&self.must(&["show", "-json"]).await)
    }

    /// Returns the attributes of a resource or data source in the state; null where it is not there.
    pub async fn attributes(&self, address: &str) -> Value {
        let state = self.state().await;
        let resources = state["values"]["root_module"]["resources"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = resources
            .into_iter()
            .find(|resource| resource["address"] == address);
        found.map_or(Value::Null, |mut resource| resource["values"].take())
    }

    /// Validates, and returns the diagnostics as Terraform's JSON has them.
    pub async fn validate(&self) -> Value {
        json(&self.run(&["validate", "-json"]).await)
    }

    /// Applies with JSON output and returns its error diagnostics.
    ///
    /// # Panics
    ///
    /// When it succeeds.
    pub async fn failing_apply(&self) -> Vec<Value> {
        let ran = self.run(&["apply", "-auto-approve", "-json"]).await;
        assert_ne!(ran.code, Some(0), "the apply should fail:\n{}", ran.all());
        let lines = ran
            .stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let diagnostics = lines
            .filter(|line| line["@level"] == "error")
            .map(|mut line| line["diagnostic"].take());
        diagnostics.collect()
    }
}

impl Plan {
    /// Returns the changes that the plan would make, in the order of their addresses.
    pub fn changes(&self) -> Vec<Change> {
        let mut changes: Vec<Change> = read_changes(&self.json["resource_changes"]);
        changes.retain(|change| change.actions != ["no-op"] && change.actions != ["read"]);
        changes
    }

    /// Returns what was found changed outside of Terraform.
    pub fn drift(&self) -> Vec<Change> {
        read_changes(&self.json["resource_drift"])
    }

    /// Returns the one change of the plan.
    ///
    /// # Panics
    ///
    /// When there is none or more than one.
    #[track_caller]
    pub fn only_change(&self) -> Change {
        let mut changes = self.changes();
        assert_eq!(changes.len(), 1, "{}", self.ran.all());
        changes.remove(0)
    }

    pub fn is_empty(&self) -> bool {
        self.ran.code == Some(0)
    }
}

/// Returns the managed resources of a state as `terraform show -json` has it.
fn managed(state: &Value) -> Vec<Value> {
    let resources = state["values"]["root_module"]["resources"].as_array();
    let managed = resources
        .into_iter()
        .flatten()
        .filter(|resource| resource["mode"] == "managed");
    managed.cloned().collect()
}

fn read_changes(list: &Value) -> Vec<Change> {
    let words = |value: &Value| {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let read = |entry: &Value| Change {
        address: entry["address"].as_str().unwrap_or_default().to_owned(),
        actions: words(&entry["change"]["actions"]),
        before: entry["change"]["before"].clone(),
        after: entry["change"]["after"].clone(),
        after_unknown: entry["change"]["after_unknown"].clone(),
    };
    let mut changes: Vec<Change> = list.as_array().into_iter().flatten().map(read).collect();
    changes.sort_by(|left, right| left.address.cmp(&right.address));
    changes
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error} in {}", ran.all()))
}
