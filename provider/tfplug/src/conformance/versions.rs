//! Which Terraform can do what: the one table from which tests know what to ask of the version that they run on.
//!
//! A provider has to work on many versions, and each of its features exists where that version has it and only there.
//! A test that needs one asks [`Terraform::has`]; where the answer is no, that is noted ([`Terraform::lacks`]), so that
//! nothing is left out unseen.

use std::{env, fmt, fs, io::Write as _, process::Command, sync::OnceLock};

/// What some versions of Terraform can do and older ones cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Functions of providers: `provider::zoom::labels(row)`.
    Functions,
    /// `moved` from another type of resource.
    MovesAcrossTypes,
    /// Ephemeral resources and variables.
    Ephemeral,
    /// Write-only attributes.
    WriteOnly,
    /// Identities of resources, and imports by them.
    Identity,
    /// Lists of resources: `terraform query`, and the configuration that it generates.
    Query,
    /// Configuration that the provider generates for what is imported.
    GeneratedConfig,
    /// Actions, invoked by themselves or by a resource's change.
    Actions,
    /// `plan -refresh-only -detailed-exitcode` ends with the code for changes wherever there is a data source, although it
    /// says that there are none: seen with 1.15.5 and Terraform's own `terraform_remote_state`.
    DataInRefresh,
}

impl Feature {
    /// All of them, oldest first.
    pub const ALL: [Self; 9] = [
        Self::Functions,
        Self::MovesAcrossTypes,
        Self::Ephemeral,
        Self::WriteOnly,
        Self::Identity,
        Self::Query,
        Self::GeneratedConfig,
        Self::Actions,
        Self::DataInRefresh,
    ];

    /// Returns the first version that has it, as major and minor. Experiments do not count.
    pub const fn since(self) -> (u32, u32) {
        match self {
            Self::Functions | Self::MovesAcrossTypes => (1, 8),
            Self::Ephemeral => (1, 10),
            Self::WriteOnly => (1, 11),
            Self::Identity => (1, 12),
            Self::Query | Self::GeneratedConfig | Self::Actions => (1, 14),
            Self::DataInRefresh => (1, 15),
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Functions => "functions of providers",
            Self::MovesAcrossTypes => "moves across types",
            Self::Ephemeral => "ephemeral resources and variables",
            Self::WriteOnly => "write-only attributes",
            Self::Identity => "identities of resources",
            Self::Query => "lists of resources",
            Self::GeneratedConfig => "configuration from the provider",
            Self::Actions => "actions",
            Self::DataInRefresh => "an exit code of refreshes for data sources",
        })
    }
}

/// The variable that names a file for notes of what was left out, one line for each test and feature.
pub const LEFT_OUT: &str = "TFPLUG_LEFT_OUT";

/// A version of Terraform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terraform {
    version: String,
    minor: (u32, u32),
}

impl Terraform {
    /// Returns the version that is on the path, which is asked for once in a process.
    ///
    /// # Panics
    ///
    /// Where there is none: a test that needs Terraform cannot go on without.
    pub fn installed() -> &'static Self {
        static INSTALLED: OnceLock<Terraform> = OnceLock::new();
        INSTALLED.get_or_init(|| {
            let asked = Command::new("terraform")
                .args(["version", "-json"])
                .env("CHECKPOINT_DISABLE", "1")
                .env("TF_CLI_CONFIG_FILE", "/dev/null")
                .output();
            let told = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            match told.as_deref().map(Self::read) {
                Ok(Some(terraform)) => terraform,
                Ok(None) => panic!("`terraform version -json` tells no version: {told:?}"),
                Err(error) => panic!("`terraform` cannot be started; these tests need it installed: {error}"),
            }
        })
    }

    /// Reads what `terraform version -json` tells.
    fn read(told: &str) -> Option<Self> {
        let told: serde_json::Value = serde_json::from_str(told).ok()?;
        Self::of(told.get("terraform_version")?.as_str()?)
    }

    /// Reads a version such as `1.11.4`; none where it is not one.
    pub fn of(version: &str) -> Option<Self> {
        let mut parts = version.split(['.', '-']).map(str::parse);
        match (parts.next()?, parts.next()?) {
            (Ok(major), Ok(minor)) => Some(Self {
                version: version.to_owned(),
                minor: (major, minor),
            }),
            _ => None,
        }
    }

    /// Returns the version as it names itself.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns whether it has a feature.
    pub fn has(&self, feature: Feature) -> bool {
        self.minor >= feature.since()
    }

    /// Returns whether it lacks a feature that the running test needs; and says so where it does, by the test's name.
    ///
    /// # Panics
    ///
    /// Where [`LEFT_OUT`] names a file that cannot be written: nothing is left out unseen.
    pub fn lacks(&self, feature: Feature) -> bool {
        if self.has(feature) {
            return false;
        }
        let (major, minor) = feature.since();
        let thread = std::thread::current();
        let what = thread.name().unwrap_or("a test");
        let note = format!(
            "Terraform {} has no {feature} (from {major}.{minor}): {what} is left out\n",
            self.version
        );
        // Tests run side by side, and one write of one line is whole.
        let _ = std::io::stderr().lock().write_all(note.as_bytes());
        if let Some(path) = env::var_os(LEFT_OUT) {
            let written = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .and_then(|mut file| file.write_all(note.as_bytes()));
            assert!(
                written.is_ok(),
                "cannot note what is left out in {}: {written:?}",
                path.display()
            );
        }
        true
    }

    /// Returns a configuration as this version can say it: variables are sensitive where they cannot be ephemeral, and
    /// where there are no write-only attributes, a secret that comes from a variable comes from the place that
    /// `reference` names for this variable.
    pub fn say(&self, configuration: &str, reference: impl Fn(&str) -> String) -> String {
        let lines = configuration.split_inclusive('\n').map(|line| {
            let mut line = line.to_owned();
            if !self.has(Feature::Ephemeral) {
                line = line.replace("ephemeral = true", "sensitive = true");
                line = line.replace("ephemeral   = true", "sensitive   = true");
            }
            match line.split_once('=') {
                Some((name, value)) if !self.has(Feature::WriteOnly) && is_secret(name.trim()) => {
                    // What follows the variable, a comment for one, is left out.
                    let ends = |character: char| !(character.is_alphanumeric() || character == '_');
                    let variable = value
                        .trim()
                        .strip_prefix("var.")
                        .and_then(|rest| rest.split(ends).next());
                    let referred = variable
                        .map(|variable| format!("{}_ref = \"{}\"\n", name.trim_end(), reference(variable)));
                    referred.unwrap_or(line)
                }
                _ => line,
            }
        });
        lines.collect()
    }
}

/// Whether an attribute is one of those that hold a secret and have a reference beside them.
fn is_secret(name: &str) -> bool {
    matches!(
        name,
        "client_secret" | "bearer_token" | "signing_secret" | "password"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_where_it_came_and_ever_after() {
        let has = |version: &str| -> usize {
            let terraform = Terraform::of(version).unwrap();
            Feature::ALL
                .iter()
                .filter(|feature| terraform.has(**feature))
                .count()
        };
        assert_eq!(
            [
                "1.7.5",
                "1.8.4",
                "1.10.5",
                "1.11.4",
                "1.12.2",
                "1.13.5",
                "1.14.0-rc1",
                "2.0.0"
            ]
            .map(has),
            [0, 2, 3, 4, 5, 5, 8, 9]
        );
        assert!(Feature::ALL.is_sorted_by_key(|feature| feature.since()));
        assert_eq!(Terraform::of("one"), None);
        let say = |version: &str| {
            let text = "variable \"s\" { ephemeral = true }\n  client_secret   = var.s # kept out of state\n  name = var.s\n";
            Terraform::of(version)
                .unwrap()
                .say(text, |variable| format!("env:{variable}"))
        };
        assert_eq!(say("1.11.0"), say("1.15.0"));
        let older = "variable \"s\" { sensitive = true }\n  client_secret_ref = \"env:s\"\n  name = var.s\n";
        assert_eq!(say("1.8.0"), older);
        let told = r#"{"terraform_version": "1.12.2", "platform": "linux_amd64"}"#;
        assert_eq!(Terraform::read(told).unwrap().version(), "1.12.2");
    }
}
