//! Every folder of `examples/` works as it stands, and none is missing.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use e2e::{
    binaries,
    receiver::Receiver,
    terraform::{Feature, Terraform, lacks, version},
    visitor::Visitor,
};
use serde_json::{Value, json};

use super::{ACCOUNT, CLIENT, SECRET, SOURCE, Stage, consent::Consented};

/// What a registry page leaves to its reader, since `examples/provider` shows it.
const PROVIDER: &str = r#"
terraform {
  required_providers {
    zoom = { source = "zoom-log/zoom" }
  }
}

provider "zoom" {}
"#;

fn examples() -> PathBuf {
    binaries::workspace().join("examples")
}

/// Returns the folders below `examples/` that hold a configuration, by their path from the root of the tree.
fn folders() -> BTreeSet<String> {
    let root = binaries::workspace();
    let configurations = binaries::files(&examples())
        .into_iter()
        .filter(|path| is_hcl(path));
    let folders: BTreeSet<String> = configurations
        .map(|path| {
            let folder = path.parent().unwrap().strip_prefix(&root).unwrap();
            folder.to_string_lossy().into_owned()
        })
        .collect();
    assert!(!folders.is_empty(), "no examples in {}", examples().display());
    folders
}

fn is_hcl(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tf")
}

/// The file of an example that takes an existing object over; on its own it would find none.
const IMPORT_BLOCK: &str = "import-by-string-id.tf";

/// The same by identity, for Terraform from 1.12.
const IDENTITY_BLOCK: &str = "import-by-identity.tf";

/// What not every Terraform knows, by where its examples are.
const NEWER: [(&str, Feature); 2] = [
    ("examples/actions/", Feature::Actions),
    ("examples/ephemeral-resources/", Feature::Ephemeral),
];

/// The examples that are configurations of their own, beside those of the registry's pages.
const WHOLE: [&str; 2] = ["examples/quickstart", "examples/authorization-code"];

/// Whether an example says itself that it is for newer versions: where it shows how a secret is best given.
fn needs_newer(folder: &str) -> bool {
    let sources = binaries::files(&binaries::workspace().join(folder));
    let mut sources = sources.iter().filter(|path| is_hcl(path));
    let says = |path: &PathBuf| {
        fs::read_to_string(path)
            .unwrap()
            .contains("required_version = \">= 1.11\"")
    };
    sources.any(says) && lacks(Feature::WriteOnly)
}

/// Copies an example into a workspace, and names the provider where it leaves that out.
fn lay_out(terraform: &Terraform, folder: &str) {
    terraform.copy(folder);
    let _ = fs::remove_file(terraform.path(IDENTITY_BLOCK));
    let text: String = binaries::files(&binaries::workspace().join(folder))
        .iter()
        .filter(|path| is_hcl(path))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    if !text.contains("required_providers") {
        terraform.write("only-in-this-test.tf", PROVIDER);
    }
}

/// Sets every variable that an example asks for; Terraform passes over those that it does not.
fn answer(terraform: &mut Terraform, alarms: &Receiver) {
    terraform.variable("zoom_account_id", ACCOUNT);
    terraform.variable("zoom_client_id", CLIENT);
    terraform.variable("zoom_client_secret", SECRET);
    terraform.variable("alarm_webhook_url", &format!("{}/zoom", alarms.url()));
    terraform.variable("hook_token", "hook-token");
    terraform.variable("signing_secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
}

#[tokio::test]
async fn every_example_is_valid() {
    for folder in &folders() {
        let newer = NEWER.iter().find(|(newer, _)| folder.starts_with(newer));
        if newer.is_some_and(|(_, feature)| lacks(*feature)) || needs_newer(folder) {
            continue;
        }
        let terraform = Terraform::new("http://127.0.0.1:1", "none");
        lay_out(&terraform, folder);
        let answer = terraform.validate().await;
        assert_eq!(answer["valid"], true, "{folder}: {answer:#}");
    }
}

#[tokio::test]
async fn every_example_that_makes_something_is_applied_settles_and_leaves_nothing() {
    let alarms = Receiver::start().await;
    let mut applied = 0;
    for folder in folders() {
        if !WHOLE.contains(&&*folder) && !folder.starts_with("examples/resources/") {
            continue;
        }
        if needs_newer(&folder) {
            continue;
        }
        let stage = Stage::set().await;
        let mut terraform = Terraform::new(stage.engine.url(), &stage.engine.token());
        answer(&mut terraform, &alarms);
        lay_out(&terraform, &folder);
        let _ = fs::remove_file(terraform.path(IMPORT_BLOCK));
        terraform.apply().await;
        terraform.assert_settled().await;
        imports(&terraform, &folder).await;
        import_block(&terraform, &folder, IMPORT_BLOCK).await;
        if !lacks(Feature::Identity) {
            import_block(&terraform, &folder, IDENTITY_BLOCK).await;
        }
        terraform.destroy().await;
        for kind in ["sources", "destinations", "alarm-channels"] {
            assert!(
                stage.engine.list(kind).await.is_empty(),
                "{folder} leaves {kind} behind"
            );
        }
        applied += 1;
    }
    assert!(applied > 1, "only {applied} examples were applied");
}

#[tokio::test]
async fn the_example_of_a_consent_leads_to_a_source_that_works() {
    if needs_newer("examples/authorization-code") {
        return;
    }
    let scene = Consented::set(&[]).await;
    let mut terraform = scene.stage.terraform();
    answer(&mut terraform, &Receiver::start().await);
    lay_out(&terraform, "examples/authorization-code");
    terraform
        .must(&[
            "apply",
            "-auto-approve",
            "-no-color",
            "-target=data.zoom_log_engine.this",
        ])
        .await;
    assert!(scene.stage.engine.list("sources").await.is_empty());
    terraform.apply().await;
    let source = terraform.attributes(SOURCE).await;
    let link = source["authorization_url"].as_str().unwrap();
    let page = Visitor::new()
        .consent(link, Some(ACCOUNT))
        .await
        .expect(200)
        .text();
    assert_eq!(page.matches("Verified").count(), 2, "{page}");
    scene
        .until(source["id"].as_str().unwrap(), |status| status["health"] == "ok")
        .await;
    terraform.assert_settled().await;
}

/// Runs each import that an example shows, with a real id in the place of the one shown.
async fn imports(terraform: &Terraform, folder: &str) {
    let script = binaries::workspace().join(folder).join("import.sh");
    let Ok(script) = fs::read_to_string(script) else {
        assert!(WHOLE.contains(&folder), "a resource's example shows no import");
        return;
    };
    let mut imported = 0;
    for line in script.lines().filter(|line| !line.starts_with('#')) {
        let words = line.strip_prefix("terraform import ");
        let (address, id) = words.and_then(|words| words.split_once(' ')).unwrap();
        let before = terraform.attributes(address).await;
        let real = before["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{folder}: `{address}` is not in the example"));
        let prefix = &real[..=real.find('_').unwrap()];
        let id = if id.starts_with(prefix) {
            real
        } else {
            id.trim_matches('"')
        };
        terraform.must(&["state", "rm", address]).await;
        terraform.import(address, id).await;
        assert_eq!(
            terraform.attributes(address).await["id"],
            before["id"],
            "{folder}: {line}"
        );
        terraform.assert_imported().await;
        imported += 1;
    }
    assert!(imported > 0, "{folder}: no import is shown");
}

/// Plans and applies the import block that an example shows, with a real id in the place of the one shown.
async fn import_block(terraform: &Terraform, folder: &str, file: &str) {
    let block = binaries::workspace().join(folder).join(file);
    let Ok(block) = fs::read_to_string(block) else {
        assert!(
            WHOLE.contains(&folder),
            "a resource's example shows no import block"
        );
        return;
    };
    let word = |after: &str| {
        block
            .split(after)
            .nth(1)
            .unwrap()
            .split(['"', '\n'])
            .next()
            .unwrap()
    };
    let (address, id) = (word("to = "), word("id = \""));
    let before = terraform.attributes(address).await;
    let real = before["id"].as_str().unwrap();
    terraform.must(&["state", "rm", address]).await;
    terraform.write(file, &block.replace(id, real));
    let applied = terraform.apply().await;
    assert!(
        applied
            .stdout
            .contains("1 imported, 0 added, 0 changed, 0 destroyed"),
        "{folder}: {}",
        applied.all()
    );
    assert_eq!(terraform.attributes(address).await, before, "{folder}");
    terraform.assert_settled().await;
    fs::remove_file(terraform.path(file)).unwrap();
}

#[tokio::test]
async fn the_status_example_reads_a_source() {
    let stage = Stage::set().await;
    let source = stage.source_to_file("lake.ndjson", json!({"name": "corp"})).await;
    let mut terraform = Terraform::new(stage.engine.url(), &stage.engine.token());
    terraform.variable("source_id", &source);
    lay_out(&terraform, "examples/data-sources/zoom_log_source_status");
    let ran = terraform.apply().await;
    // A failed `check` is a warning, and leaves the exit code alone.
    assert!(
        !ran.all().contains("Check block assertion failed"),
        "{}",
        ran.all()
    );
    let status = terraform.attributes("data.zoom_log_source_status.corp").await;
    assert_eq!(status["source_id"], *source);
}

#[tokio::test]
async fn examples_are_formatted() {
    let terraform = Terraform::new("http://127.0.0.1:1", "none");
    let folder = examples();
    let ran = terraform
        .run(&["fmt", "-check", "-diff", "-recursive", &folder.to_string_lossy()])
        .await;
    assert_eq!(ran.code, Some(0), "{}", ran.all());
}

#[tokio::test]
async fn everything_in_the_schema_has_an_example_and_a_page_and_nothing_else_has() {
    let terraform = Terraform::new("http://127.0.0.1:1", "none");
    terraform.write("main.tf", PROVIDER);
    let schema = terraform.must(&["providers", "schema", "-json"]).await.stdout;
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let ours = &schema["provider_schemas"]["registry.terraform.io/zoom-log/zoom"];
    let mut broken = Vec::new();
    let named =
        |member: &str| -> BTreeSet<String> { ours[member].as_object().unwrap().keys().cloned().collect() };
    // An older Terraform does not ask for lists and actions: each kind of object can be listed, and actions are told here.
    let actions: BTreeSet<String> = ["backfill", "check", "poll"]
        .map(|name| format!("zoom_log_source_{name}"))
        .into();
    if version().has(Feature::Actions) {
        assert_eq!(named("action_schemas"), actions);
        assert_eq!(named("list_resource_schemas"), named("resource_schemas"));
    }
    let ephemerals = if version().has(Feature::Ephemeral) {
        named("ephemeral_resource_schemas")
    } else {
        BTreeSet::from(["zoom_log_engine_token".to_owned()])
    };
    let kinds = [
        (named("resource_schemas"), ("resources", "resource.tf")),
        (named("data_source_schemas"), ("data-sources", "data-source.tf")),
        (ephemerals, ("ephemeral-resources", "ephemeral-resource.tf")),
        (named("functions"), ("functions", "function.tf")),
        (
            named("resource_schemas"),
            ("list-resources", "list-resource.tfquery.hcl"),
        ),
        (actions, ("actions", "action.tf")),
    ];
    for (names, (kind, file)) in kinds {
        assert!(!names.is_empty(), "no {kind} in {ours}");
        for name in &names {
            let short = name.strip_prefix("zoom_").unwrap_or(name);
            let page = format!("docs/{kind}/{short}.md");
            for path in [format!("examples/{kind}/{name}/{file}"), page] {
                if !binaries::workspace().join(&path).is_file() {
                    broken.push(format!("{name} has no {path}"));
                }
            }
        }
        let shown: BTreeSet<String> = fs::read_dir(examples().join(kind))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        broken.extend(
            shown
                .difference(&names)
                .map(|name| format!("examples/{kind}/{name} is of nothing that there is")),
        );
    }
    for path in ["examples/provider/provider.tf", "docs/index.md"] {
        if !binaries::workspace().join(path).is_file() {
            broken.push(format!("the provider has no {path}"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
