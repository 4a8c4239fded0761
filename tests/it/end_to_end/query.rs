//! What exists is found, named for good, and written down as a configuration that imports to an empty plan.

use e2e::{
    plugin::{Plugin, object},
    receiver::Receiver,
};
use serde_json::{Value as Json, json};
use tfplug::{conformance::driver::Listed, value::Value};

use super::{ACCOUNT, CLIENT, PROVIDER, Stage};

const KINDS: [&str; 3] = [
    "zoom_log_destination",
    "zoom_log_alarm_channel",
    "zoom_log_source",
];

/// A stage on which somebody has made a bit of everything by hand.
pub(super) async fn made_by_hand() -> Stage {
    let stage = Stage::set().await;
    let hook = Receiver::start().await;
    let http = json!({
        "name": "siem",
        "secrets_version": "7",
        "http": {
            "url": format!("{}/ingest", hook.url()),
            "headers": {"x-team": "secops"},
            "secret_header": {"name": "x-api-key", "value": "header-marker"},
            "batch": {"max_events": 7},
            "timeout": "3s",
        },
    });
    let siem = stage.engine.create("destinations", http).await;
    let channel = json!({"name": "oncall", "webhook": {"url": hook.url(), "signing_secret": "whsec_bWFya2VyLW1hcmtlci1tYXJrZXItbWFya2Vy"}});
    let channel = stage.engine.create("alarm-channels", channel).await;
    let alarm = json!({"after": "48h", "channel_ids": [channel]});
    let spec = json!({"name": "corp-eu", "poll_interval": "2m", "drop_off_alarm": alarm});
    stage.source(&[&siem], spec).await;
    let quiet =
        json!({"name": "corp-us", "enabled": false, "log_types": ["activity"], "daily_request_budget": 500});
    stage.source_to_file("lake", quiet).await;
    stage
}

async fn list(plugin: &mut Plugin, kind: &str, filter: &[(&str, Value)]) -> Vec<Listed> {
    let found = plugin.driver.list(kind, &object(filter), true, 100).await;
    assert_eq!(plugin.driver.findings(), []);
    found.unwrap_or_else(|| panic!("no list of {kind}"))
}

fn names(found: &[Listed]) -> Vec<&str> {
    let mut names: Vec<&str> = found.iter().map(|found| &*found.display_name).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn lists_are_filtered_paged_and_cut_where_the_host_says() {
    let stage = made_by_hand().await;
    let mut plugin = stage.plugin().await;
    assert_eq!(names(&list(&mut plugin, KINDS[0], &[]).await), ["lake", "siem"]);
    let siem = list(&mut plugin, KINDS[0], &[("name_prefix", "si".into())]).await;
    assert_eq!(names(&siem), ["siem"]);
    assert_eq!(names(&list(&mut plugin, KINDS[1], &[]).await), ["oncall"]);
    assert_eq!(
        names(&list(&mut plugin, KINDS[2], &[]).await),
        ["corp-eu", "corp-us"]
    );
    for (filter, value) in [
        ("name", Value::from("corp-eu")),
        ("enabled", true.into()),
        ("poll_interval", "120s".into()),
        ("log_types", Value::set(["operation"])),
        (
            "destination_ids",
            Value::set([siem[0].identity.get("id").clone()]),
        ),
    ] {
        let found = list(&mut plugin, KINDS[2], &[(filter, value)]).await;
        assert_eq!(names(&found), ["corp-eu"], "{filter}");
    }
    let none = list(&mut plugin, KINDS[2], &[("account_id", "another".into())]).await;
    assert_eq!(none, []);

    // More than a page of the engine's, and no more than the host reads.
    for number in 0..210 {
        let spec = json!({"name": format!("bulk-{number}"), "file": {"path": format!("bulk-{number}")}});
        stage.engine.create("destinations", spec).await;
    }
    let config = object(&[("name_prefix", "bulk-".into())]);
    for limit in [1, 7, 205] {
        let found = plugin.driver.list(KINDS[0], &config, false, limit).await.unwrap();
        assert_eq!(found.len(), limit as usize);
        assert!(found.iter().all(|found| found.resource.is_none()));
    }
    let all = plugin.driver.list(KINDS[0], &config, false, 1_000).await.unwrap();
    assert_eq!(all.len(), 210);
    assert_eq!(plugin.driver.findings(), []);
}

/// Writes a value as JSON for a configuration, without what is null.
fn written(config: &Value) -> Json {
    let all = |elements: &[Value]| elements.iter().map(written).collect();
    match config {
        Value::Null | Value::Unknown | Value::Dynamic(_) => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Number(number) => json!(number.to_f64()),
        Value::String(text) => json!(text),
        Value::List(elements) | Value::Set(elements) | Value::Tuple(elements) => Json::Array(all(elements)),
        Value::Map(entries) | Value::Object(entries) => entries
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), written(value)))
            .collect(),
    }
}

#[tokio::test]
async fn what_is_found_becomes_a_configuration_that_imports_to_an_empty_plan() {
    let stage = made_by_hand().await;
    let mut plugin = stage.plugin().await;
    let (mut resources, mut imports) = (json!({}), Vec::new());
    for kind in KINDS {
        for found in list(&mut plugin, kind, &[]).await {
            let state = found.resource.expect("a whole resource");
            let imported = plugin.driver.import(kind, &found.identity).await.unwrap();
            assert_eq!(imported, state, "{kind}");
            let label = found.display_name.replace('-', "_");
            let config = plugin
                .driver
                .generate(kind, &state)
                .await
                .expect("a configuration");
            resources[kind][&label] = written(&config);
            let id = state.get("id").as_str().unwrap();
            imports.push(json!({"to": format!("{kind}.{label}"), "id": id}));
        }
    }
    assert_eq!(plugin.driver.findings(), []);
    let text = json!({"resource": resources, "import": imports}).to_string();
    assert!(!text.contains("marker"), "{text}");

    let terraform = stage.terraform();
    terraform.write("provider.tf", PROVIDER);
    terraform.write("found.tf.json", &text);
    let applied = terraform.apply().await;
    assert!(
        applied
            .stdout
            .contains("5 imported, 0 added, 0 changed, 0 destroyed"),
        "{}",
        applied.all()
    );
    terraform.assert_settled().await;
}

#[tokio::test]
async fn an_identity_names_one_object_of_one_engine() {
    let stage = made_by_hand().await;
    let mut plugin = stage.plugin().await;
    let source = list(&mut plugin, KINDS[2], &[("name", "corp-eu".into())])
        .await
        .remove(0);
    let here = stage.engine.client().engine().await.unwrap().engine_id;
    assert_eq!(source.identity.get("engine_id").as_str(), Some(&*here));

    let by = |id: &str, engine: Value| object(&[("id", id.into()), ("engine_id", engine)]);
    let id = source.identity.get("id").as_str().unwrap().to_owned();
    let short = plugin
        .driver
        .import(KINDS[2], &by(&id, Value::Null))
        .await
        .unwrap();
    assert_eq!(Some(short), source.resource);
    let refused = plugin.driver.import(KINDS[2], &by(&id, "eng_other".into())).await;
    let refused = refused.unwrap_err().join("\n");
    assert!(
        refused.contains("is on the engine `eng_other`") && refused.contains(&here),
        "{refused}"
    );
    let gone = plugin
        .driver
        .import(KINDS[2], &by("src_00000000000000000000000000", Value::Null))
        .await;
    assert!(gone.unwrap_err().join("\n").contains("No such source"));
    assert_eq!(plugin.driver.findings(), []);
}

#[tokio::test]
async fn data_sources_show_what_exists_and_no_secret() {
    let stage = made_by_hand().await;
    let mut terraform = stage.terraform();
    terraform.write("provider.tf", PROVIDER);
    terraform.write(
        "main.tf",
        r#"
data "zoom_log_source" "by_name" { name = "corp-eu" }
data "zoom_log_source" "by_id" { id = data.zoom_log_source.by_name.id }
data "zoom_log_sources" "all" {}
data "zoom_log_sources" "on" { enabled = true }
"#,
    );
    let trace = terraform.trace();
    terraform.apply().await;
    let by_name = terraform.attributes("data.zoom_log_source.by_name").await;
    assert_eq!(by_name, terraform.attributes("data.zoom_log_source.by_id").await);
    assert_eq!(by_name["account_id"], ACCOUNT);
    assert_eq!(by_name["client_id"], CLIENT);
    assert_eq!(by_name["drop_off_alarm"]["after"], "48h");
    assert!(by_name.get("client_secret").is_none() && by_name["credential_fingerprint"].is_string());
    let all = terraform.attributes("data.zoom_log_sources.all").await;
    assert_eq!(all["sources"].as_array().unwrap().len(), 2);
    let on = terraform.attributes("data.zoom_log_sources.on").await;
    assert_eq!(on["sources"][0]["name"], "corp-eu");
    assert_eq!(on["sources"].as_array().unwrap().len(), 1);
    let state = std::fs::read_to_string(terraform.path("terraform.tfstate")).unwrap();
    let log = std::fs::read_to_string(trace).unwrap();
    for (place, text) in [("state", state), ("trace", log)] {
        assert!(
            !text.contains(super::SECRET) && !text.contains("header-marker"),
            "in the {place}"
        );
    }

    for (arguments, words) in [
        ("", "Set `id` or `name`"),
        ("name = \"a\"\n  id = \"b\"", "not both"),
        ("name = \"nobody\"", "no source with the name `nobody`"),
        ("id = \"src_x\"", "no source with the id `src_x`"),
    ] {
        let text = format!("data \"zoom_log_source\" \"one\" {{\n  {arguments}\n}}\n");
        terraform.write("main.tf", &text);
        let ran = terraform.run(&["plan", "-no-color"]).await;
        let flat = ran
            .all()
            .split_whitespace()
            .filter(|word| *word != "│")
            .collect::<Vec<_>>()
            .join(" ");
        assert!(ran.code == Some(1) && flat.contains(words), "{}", ran.all());
    }
}
