//! The installed Terraform, whose certificate is on P-521 and whose rules are the real ones.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use tempfile::TempDir;
use tfplug::conformance::versions::{Feature, Terraform as Version};

use crate::host::PROVIDER;

const DOG: &str = r#"
terraform {
  required_providers {
    kennel = { source = "example/kennel" }
  }
}

provider "kennel" {
  directory = "YARD"
}

resource "kennel_dog" "rex" {
  name     = "Rex"
  weight   = 30.1
  tricks   = ["sit", "roll"]
  nap      = "60m"
  collar   = { color = "red" }
  toys     = { ball = {}, bone = { squeaks = true } }
  anything = { a = [1, "x"], b = 18446744073709551615 }
  chip     = "marker"
}

data "kennel_count" "all" {
  depends_on = [kennel_dog.rex]
}
"#;

struct Terraform(TempDir);

impl Terraform {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("bin")).unwrap();
        fs::create_dir(directory.path().join("yard")).unwrap();
        symlink(PROVIDER, directory.path().join("bin/terraform-provider-kennel")).unwrap();
        let rc = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"example/kennel\" = \"{}\"\n  }}\n  direct {{}}\n}}\n",
            directory.path().join("bin").display()
        );
        fs::write(directory.path().join("terraformrc"), rc).unwrap();
        Self(directory)
    }

    fn write(&self, configuration: &str) {
        let yard = self.0.path().join("yard");
        let mut text = configuration.replace("YARD", yard.to_str().unwrap());
        if !Version::installed().has(Feature::WriteOnly) {
            let lines = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("chip "));
            text = lines.collect::<Vec<_>>().join("\n");
        }
        fs::write(self.0.path().join("main.tf"), text).unwrap();
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], code: i32) -> String {
        let output = Command::new("terraform")
            .current_dir(self.0.path())
            .args(arguments)
            .arg("-no-color")
            .env("TF_CLI_CONFIG_FILE", self.0.path().join("terraformrc"))
            .env("CHECKPOINT_DISABLE", "1")
            .env_remove("TF_LOG")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
        assert_eq!(output.status.code(), Some(code), "{text}");
        text.split_whitespace()
            .filter(|word| !matches!(*word, "│" | "╷" | "╵"))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

#[test]
fn a_dog_lives_from_apply_to_destroy() {
    let terraform = Terraform::new();
    terraform.write(DOG);
    terraform.run(&["apply", "-auto-approve"], 0);
    terraform.run(&["plan", "-detailed-exitcode"], 0);
    // With a data source, some versions tell that there are no changes with the code for changes.
    let unchanged = i32::from(Version::installed().has(Feature::DataInRefresh)) * 2;
    let drift = terraform.run(&["plan", "-refresh-only", "-detailed-exitcode"], unchanged);
    assert!(drift.contains("No changes."), "{drift}");
    let state = fs::read_to_string(terraform.0.path().join("terraform.tfstate")).unwrap();
    assert!(state.contains("18446744073709551615") && state.contains("30.1") && !state.contains("marker"));

    terraform.write(&DOG.replace("\"60m\"", "\"1h\"").replace("30.1", "30.10"));
    terraform.run(&["plan", "-detailed-exitcode"], 0);
    terraform.write(&DOG.replace("\"red\"", "\"blue\""));
    assert!(
        terraform
            .run(&["apply", "-auto-approve"], 0)
            .contains("0 added, 1 changed, 0 destroyed")
    );
    terraform.write(&DOG.replace("Rex", "Bo"));
    assert!(
        terraform
            .run(&["apply", "-auto-approve"], 0)
            .contains("1 added, 0 changed, 1 destroyed")
    );
    terraform.run(&["destroy", "-auto-approve"], 0);
    assert_eq!(fs::read_dir(terraform.0.path().join("yard")).unwrap().count(), 0);
}

#[test]
fn a_panic_and_a_partial_failure_leave_a_tainted_dog_and_no_orphan() {
    for trick in ["panic", "fail"] {
        let terraform = Terraform::new();
        terraform.write(&DOG.replace("nap ", &format!("trick = \"{trick}\"\n  nap ")));
        terraform.run(&["apply", "-auto-approve"], 1);
        terraform.write(DOG);
        let text = terraform.run(&["apply", "-auto-approve"], 0);
        assert!(
            text.contains("is tainted, so must be replaced")
                || text.contains("1 added, 0 changed, 1 destroyed")
        );
        let yard: Vec<_> = fs::read_dir(terraform.0.path().join("yard")).unwrap().collect();
        assert_eq!(yard.len(), 1);
    }
}

#[test]
fn a_provider_whose_configuration_is_unknown_is_tolerated() {
    let terraform = Terraform::new();
    let unknown = DOG.replace("directory = \"YARD\"", "directory = terraform_data.yard.output");
    terraform.write(&format!(
        "{unknown}\nresource \"terraform_data\" \"yard\" {{\n  input = \"YARD\"\n}}\n"
    ));
    terraform.run(&["plan"], 0);
    terraform.run(&["apply", "-auto-approve"], 0);
    assert!(Path::exists(&terraform.0.path().join("yard/rex.json")));
}

const MORE: &str = r#"
ephemeral "kennel_whistle" "loud" {
  pitch = 4
}

resource "kennel_dog" "bo" {
  name = "Bo"
  nap  = provider::kennel::greet("you", "Sleep well")
  chip = ephemeral.kennel_whistle.loud.tone
}

output "heaviest" {
  value = provider::kennel::heaviest(30.1, 18446744073709551615, 2)
}
"#;

#[test]
fn functions_and_ephemeral_resources_are_used() {
    if Version::installed().lacks(Feature::WriteOnly) {
        return;
    }
    let terraform = Terraform::new();
    terraform.write(&format!("{DOG}{MORE}"));
    let text = terraform.run(&["apply", "-auto-approve"], 0);
    assert!(text.contains("heaviest = 18446744073709551615"), "{text}");
    let state = fs::read_to_string(terraform.0.path().join("terraform.tfstate")).unwrap();
    assert!(
        state.contains("Sleep well, you!") && !state.contains("fweeeep"),
        "{state}"
    );
    terraform.run(&["plan", "-detailed-exitcode"], 0);
    // Each whistle that was opened was closed.
    let yard = fs::read_dir(terraform.0.path().join("yard")).unwrap();
    let names: Vec<String> = yard
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    terraform.write(&format!("{DOG}{}", MORE.replace("\"you\"", "\"\"")));
    let text = terraform.run(&["plan"], 1);
    assert!(text.contains("Somebody has to be greeted."), "{text}");
    terraform.write(&format!("{DOG}{}", MORE.replace("pitch = 4", "pitch = 60")));
    let text = terraform.run(&["plan"], 1);
    assert!(text.contains("No dog hears it."), "{text}");
}

const PUPPY: &str = r#"
terraform {
  required_providers {
    kennel = { source = "example/kennel" }
  }
}

provider "kennel" {
  directory = "YARD"
}
"#;

#[test]
fn a_puppy_is_moved_imported_and_upgraded() {
    let terraform = Terraform::new();
    let before = "resource \"kennel_puppy\" \"bo\" {\n  id = \"bo\"\n}\n";
    terraform.write(&format!("{PUPPY}{before}"));
    terraform.run(&["apply", "-auto-approve"], 0);
    let after = "resource \"kennel_dog\" \"bo\" {\n  name = \"bo\"\n}\n";
    let moved = "moved {\n  from = kennel_puppy.bo\n  to   = kennel_dog.bo\n}\n";
    terraform.write(&format!("{PUPPY}{after}{moved}"));
    let text = terraform.run(&["apply", "-auto-approve"], 0);
    assert!(text.contains("0 added, 0 changed, 0 destroyed"), "{text}");
    terraform.run(&["plan", "-detailed-exitcode"], 0);

    terraform.run(&["state", "rm", "kennel_dog.bo"], 0);
    terraform.run(&["import", "kennel_dog.bo", "bo"], 0);
    terraform.run(&["plan", "-detailed-exitcode"], 0);
    terraform.run(&["state", "rm", "kennel_dog.bo"], 0);
    let import = "import {\n  to = kennel_dog.bo\n  id = \"bo\"\n}\n";
    terraform.write(&format!("{PUPPY}{import}"));
    terraform.run(&["plan", "-generate-config-out=generated.tf"], 0);
    let text = terraform.run(&["apply", "-auto-approve"], 0);
    assert!(
        text.contains("1 imported, 0 added, 0 changed, 0 destroyed"),
        "{text}"
    );
    fs::remove_file(terraform.0.path().join("generated.tf")).unwrap();

    // State of schema version 1, which knew the name only.
    let path = terraform.0.path().join("terraform.tfstate");
    let mut state: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let instance = &mut state["resources"][0]["instances"][0];
    instance["schema_version"] = 1.into();
    instance["attributes"] = serde_json::json!({ "name": "bo" });
    fs::write(&path, state.to_string()).unwrap();
    terraform.write(&format!("{PUPPY}{after}"));
    terraform.run(&["plan", "-detailed-exitcode"], 0);
    terraform.run(&["destroy", "-auto-approve"], 0);
    assert_eq!(fs::read_dir(terraform.0.path().join("yard")).unwrap().count(), 0);
}
