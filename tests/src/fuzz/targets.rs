//! The targets.

use std::{collections::BTreeMap, ffi::OsString, str};

use tfplug::value::{Type, Value};
use zoom_log_engine::{api, config::Config, model::scan::Scanner, zoom};

/// A parser, and the name of its corpus.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    pub parse: fn(&[u8]),
}

const fn target(name: &'static str, parse: fn(&[u8])) -> Target {
    Target { name, parse }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("api_body", api::fuzz::body),
    target("api_callback", api::fuzz::callback),
    target("api_headers", api::fuzz::headers),
    target("api_jwt", api::fuzz::jwt),
    target("config", config),
    target("label_rules", rules),
    target("operation_detail", detail),
    target("row", row),
    target("tfplug_json", tfplug_json),
    target("tfplug_msgpack", tfplug_msgpack),
    target("tfplug_type", tfplug_type),
    target("zoom_report", zoom::fuzz::report),
    target("zoom_retry_after", zoom::fuzz::retry_after),
    target("zoom_token", zoom::fuzz::token),
];

/// The configuration file, and a variable.
fn config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let home = (OsString::from("HOME"), OsString::from("/nowhere"));
    let (file, variable) = text.split_once('\0').unwrap_or((text, ""));
    let mut variables = vec![home];
    if let Some((name, value)) = variable.split_once('=') {
        variables.push((format!("ZOOM_LOG_ENGINE__{name}").into(), value.into()));
    }
    if let Err(invalid) = Config::parse(Some(("engine.toml", file)), variables) {
        assert!(!invalid.problems.is_empty() && !invalid.to_string().is_empty());
        for problem in invalid.problems {
            assert!(
                !problem.message.is_empty(),
                "a problem without words: {problem:?}"
            );
        }
    }
}

/// A row of Zoom's, by the scanner that reads it, held against the reader of everybody else.
fn row(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut scanner = Scanner::new(text);
    let taken = scanner.value().is_some() && scanner.is_at_end();
    let json = serde_json::from_str::<serde_json::Value>(text);
    // Serde goes 128 deep and keeps numbers that it can hold; ours may take what only that keeps out.
    if taken && let Err(error) = &json {
        assert!(
            error.to_string().contains("recursion limit")
                || error.to_string().contains("number out of range"),
            "taken for JSON: {text:?}: {error}"
        );
    }
    for log_type in engine_api::LogType::ALL {
        let row = zoom_log_engine::model::Row::parse(log_type, text);
        let _ = (row.print(), row.mark());
    }
}

/// Zoom's sentences about what an operation changed.
fn detail(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Some(detail) = engine_api::detail::Detail::parse(text) {
        assert!(
            detail.changes().count() <= text.len() + 1,
            "more changes than letters"
        );
    }
}

/// Label rules as a user writes them.
fn rules(bytes: &[u8]) {
    let Ok(rules) = serde_json::from_slice::<Vec<engine_api::label::Rule>>(bytes) else {
        return;
    };
    let _ = engine_api::label::Labeller::new(rules);
}

/// Types of every shape that Terraform may send values of.
fn types() -> Vec<Type> {
    let object = Type::object(BTreeMap::from([
        ("name".to_owned(), Type::String),
        ("count".to_owned(), Type::Number),
        ("tags".to_owned(), Type::set(Type::String)),
        ("any".to_owned(), Type::Dynamic),
    ]));
    vec![
        Type::String,
        Type::Number,
        Type::Bool,
        Type::Dynamic,
        Type::list(Type::map(Type::Number)),
        Type::set(object.clone()),
        object,
    ]
}

fn tfplug_msgpack(bytes: &[u8]) {
    for ty in types() {
        let Ok(value) = Value::from_msgpack(bytes, &ty) else {
            continue;
        };
        value.conforms(&ty).expect("what was read is of its type");
        let written = value.to_msgpack(&ty).expect("what was read can be written");
        let again = Value::from_msgpack(&written, &ty).expect("what was written can be read");
        assert_eq!(again, value, "a value changes on its way");
    }
}

fn tfplug_json(bytes: &[u8]) {
    for ty in types() {
        let _ = Value::from_stored_json(bytes, &ty);
        let Ok(value) = Value::from_json(bytes, &ty) else {
            continue;
        };
        value.conforms(&ty).expect("what was read is of its type");
        let written = value.to_json(&ty).expect("what was read can be written");
        let again = Value::from_json(written.as_bytes(), &ty).expect("what was written can be read");
        assert_eq!(again, value, "a value changes on its way");
    }
}

fn tfplug_type(bytes: &[u8]) {
    if let Ok(ty) = Type::from_json(bytes) {
        let again = Type::from_json(ty.to_json().as_bytes()).expect("what was written can be read");
        assert_eq!(again, ty, "a type changes on its way");
    }
}
