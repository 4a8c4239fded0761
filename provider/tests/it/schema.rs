//! The schema as users meet it.

use std::path::Path;

use terraform_provider_zoom::Zoom;
use tfplug::{
    provider::Provider,
    schema::{Mode, Role, problems},
    value::Value,
};

#[test]
fn every_schema_is_one_that_terraform_accepts() {
    let provider = Zoom::new();
    assert_eq!(problems(&provider.schema(), Role::Provider), Vec::<String>::new());
    for resource in provider.resources() {
        assert_eq!(problems(&resource.schema(), Role::Resource), Vec::<String>::new());
    }
    for source in provider.data_sources() {
        assert_eq!(problems(&source.schema(), Role::DataSource), Vec::<String>::new());
    }
}

#[test]
fn the_source_has_the_attributes_of_its_spec() {
    let provider = Zoom::new();
    let source = provider.resources().swap_remove(0).schema();
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
            "data-sources/log_engine.md",
            "data-sources/log_source_status.md",
            "index.md",
            "resources/log_alarm_channel.md",
            "resources/log_destination.md",
            "resources/log_source.md"
        ]
    );
}
