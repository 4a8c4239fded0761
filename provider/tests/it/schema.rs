//! The schema as users meet it.

use std::path::Path;

use engine_api::SourceSpec;
use terraform_provider_zoom::Zoom;
use tfplug::{provider::Provider as _, schema::Mode, value::Value};

#[test]
fn every_schema_is_one_that_terraform_accepts() {
    assert_eq!(tfplug::offers::problems(&Zoom::new()), Vec::<String>::new());
}

#[test]
fn the_source_has_the_attributes_of_its_spec() {
    let source = terraform_provider_zoom::schema::resource::<SourceSpec>();
    let attribute = |name: &str| source.attribute(name).unwrap().clone();
    assert_eq!(attribute("name").mode, Mode::Required);
    assert!(attribute("client_secret").write_only);
    assert_eq!(attribute("poll_interval").default, Some(Value::from("1m")));
    assert!(attribute("poll_interval").means_same(&"60m".into(), &"1h".into()));
    assert!(attribute("start_from").means_same(
        &"2026-01-01T00:00:00Z".into(),
        &"2026-01-01T01:00:00+01:00".into()
    ));
    assert_eq!(
        attribute("log_types").default,
        Some(Value::set(["operation", "activity"]))
    );
    assert_eq!(attribute("destination_ids").default, Some(Value::Set(Vec::new())));
    assert_eq!(attribute("credential_fingerprint").mode, Mode::Computed);
    for attribute in &source.attributes {
        assert!(!attribute.description.is_empty(), "{}", attribute.name);
    }
}

#[test]
fn every_page_is_rendered() {
    let pages = tfplug::docs::pages(&Zoom::new(), "zoom", Path::new("/nowhere")).unwrap();
    let paths: Vec<String> = pages.keys().map(|path| path.display().to_string()).collect();
    assert_eq!(
        paths,
        [
            "actions/log_source_backfill.md",
            "actions/log_source_check.md",
            "actions/log_source_poll.md",
            "data-sources/log_engine.md",
            "data-sources/log_source.md",
            "data-sources/log_source_status.md",
            "data-sources/log_sources.md",
            "ephemeral-resources/log_engine_token.md",
            "functions/labels.md",
            "functions/parse_operation_detail.md",
            "index.md",
            "list-resources/log_alarm_channel.md",
            "list-resources/log_destination.md",
            "list-resources/log_source.md",
            "resources/log_alarm_channel.md",
            "resources/log_destination.md",
            "resources/log_source.md"
        ]
    );
}

#[test]
fn every_setting_of_the_provider_can_come_from_the_environment() {
    let schema = Zoom::new().schema();
    assert!(schema.attributes.len() > 3);
    for attribute in &schema.attributes {
        let bare = attribute.name.trim_start_matches("engine_").to_uppercase();
        let variable = format!("`ZOOM_LOG_ENGINE_{bare}`");
        assert!(
            attribute.description.contains(&variable),
            "{}: no {variable} in {}",
            attribute.name,
            attribute.description
        );
    }
}
