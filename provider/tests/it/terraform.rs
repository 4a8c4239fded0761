//! The installed Terraform, in a directory of its own, with the provider that was just built.

use std::{fs, process::Command};

use tempfile::TempDir;
use tfplug::conformance::versions;

pub(crate) use tfplug::conformance::versions::Feature;

use crate::engine::{Engine, TOKEN};

const HEAD: &str = r#"
terraform {
  required_providers {
    zoom = { source = "zoom-log/zoom" }
  }
}

variable "secret" {
  type      = string
  ephemeral = true
}
"#;

/// Whether the installed version lacks what the running test needs, which is then noted.
pub(crate) fn lacks(feature: Feature) -> bool {
    versions::Terraform::installed().lacks(feature)
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) text: String,
}

impl Outcome {
    /// Asserts how the command ended.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.text);
        self
    }

    /// Asserts what the command printed. Line breaks and the frame of a diagnostic do not count.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(
            self.flat().contains(words),
            "`{words}` is missing in:\n{}",
            self.text
        );
        self
    }

    fn flat(&self) -> String {
        self.text
            .split_whitespace()
            .filter(|word| !matches!(*word, "│" | "╷" | "╵"))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

pub(crate) struct Terraform {
    directory: TempDir,
    engine: Engine,
    secret: String,
    variables: Vec<(String, String)>,
}

impl Terraform {
    pub(crate) fn new(engine: &Engine) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let provider = env!("CARGO_BIN_EXE_terraform-provider-zoom");
        let bin = directory.path().join("bin");
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(provider, bin.join("terraform-provider-zoom")).unwrap();
        let rc = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"zoom-log/zoom\" = \"{}\"\n  }}\n  direct {{}}\n}}\n",
            bin.display()
        );
        fs::write(directory.path().join("terraformrc"), rc).unwrap();
        Self {
            directory,
            engine: engine.clone(),
            secret: "secret-marker-one".to_owned(),
            variables: Vec::new(),
        }
    }

    /// Sets a variable of the environment.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file beside the configuration, and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Writes the configuration, as the installed version can say it.
    pub(crate) fn write(&self, configuration: &str) {
        let whole = format!("{HEAD}{configuration}");
        let said = versions::Terraform::installed().say(&whole, |variable| format!("env:{variable}"));
        fs::write(self.directory.path().join("main.tf"), said).unwrap();
    }

    /// Sets the value of the ephemeral variable `secret`.
    pub(crate) fn secret(&mut self, secret: &str) {
        secret.clone_into(&mut self.secret);
    }

    /// Runs a command.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new("terraform");
        command
            .current_dir(self.directory.path())
            .args(arguments)
            .env("TF_CLI_CONFIG_FILE", self.directory.path().join("terraformrc"))
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .env_remove("TF_LOG")
            .env("ZOOM_LOG_ENGINE_URL", &self.engine.url)
            .env("ZOOM_LOG_ENGINE_TOKEN", TOKEN)
            .env("TF_VAR_secret", &self.secret)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
        Outcome {
            code: output.status.code().unwrap_or(-1),
            text,
        }
    }

    /// Applies.
    pub(crate) fn apply(&self) -> Outcome {
        self.run(&["apply", "-auto-approve", "-no-color"])
    }

    /// Plans; the code is 0 without changes, 2 with changes, 1 with errors.
    pub(crate) fn plan(&self) -> Outcome {
        self.run(&["plan", "-no-color", "-detailed-exitcode"])
    }

    /// Plans what has changed outside of Terraform; codes as for a plan, also of a version whose code is that of changes
    /// for every configuration with a data source.
    pub(crate) fn drift(&self) -> Outcome {
        let mut outcome = self.run(&["plan", "-refresh-only", "-no-color", "-detailed-exitcode"]);
        let untold = versions::Terraform::installed().has(Feature::DataInRefresh)
            && self.state().contains("\"mode\": \"data\"")
            && outcome.text.contains("No changes.");
        if outcome.code == 2 && untold {
            outcome.code = 0;
        }
        outcome
    }

    /// Returns the state as text.
    pub(crate) fn state(&self) -> String {
        fs::read_to_string(self.directory.path().join("terraform.tfstate")).unwrap_or_default()
    }

    /// Puts another state in the place of what the commands left.
    pub(crate) fn write_state(&self, state: &str) {
        fs::write(self.directory.path().join("terraform.tfstate"), state).unwrap();
    }
}
