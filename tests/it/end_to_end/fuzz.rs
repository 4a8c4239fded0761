//! Random lives of our own resources on a live engine, every answer held to the rules of core.
//!
//! A few in each run of the tests; `ZOOM_LOG_FUZZ_CASES=100000` leads that many lives, `ZOOM_LOG_FUZZ_SEED` repeats them.

use std::env;

use e2e::rng::Rng;
use engine_api::{AlarmChannelSpec, DestinationSpec, SourceSpec, Spec};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tfplug::{
    conformance::driver::Step,
    schema::{Attribute, Kind, Schema},
    value::Value,
};

use super::{
    Stage,
    attributes::{Surroundings, get, set},
};

const TYPES: [&str; 3] = [
    "zoom_log_source",
    "zoom_log_destination",
    "zoom_log_alarm_channel",
];

/// How many lives, unless the environment says.
const CASES: u64 = 30;

/// What excludes what; the second of each pair is taken out where the first is there.
const EXCLUDE: [(&str, &str); 10] = [
    ("client_secret_ref", "client_secret"),
    ("http.basic.password_ref", "http.basic.password"),
    ("http.secret_header.value_ref", "http.secret_header.value"),
    ("http.bearer_token_ref", "http.bearer_token"),
    ("http.signing_secret_ref", "http.signing_secret"),
    ("webhook.bearer_token_ref", "webhook.bearer_token"),
    ("webhook.signing_secret_ref", "webhook.signing_secret"),
    ("http.basic", "http.bearer_token"),
    ("http.basic", "http.bearer_token_ref"),
    ("file", "http"),
];

fn number(name: &str, default: u64) -> u64 {
    env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// The paths of all attributes that can be configured.
fn leaves(attributes: &[Attribute], parent: &str, found: &mut Vec<String>) {
    for attribute in attributes.iter().filter(|attribute| attribute.is_configurable()) {
        let path = if parent.is_empty() {
            attribute.name.clone()
        } else {
            format!("{parent}.{}", attribute.name)
        };
        match &attribute.kind {
            Kind::Nested(_, inner) => leaves(inner, &path, found),
            Kind::Plain(_) => found.push(path),
        }
    }
}

fn remove(object: &mut Json, path: &str) {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let at = parent
        .split('.')
        .filter(|name| !name.is_empty())
        .try_fold(object, |at, name| at.get_mut(name));
    if let Some(Json::Object(members)) = at {
        members.remove(name);
    }
}

/// Whether a spec breaks no rule.
fn is_valid(type_name: &str, config: &Json) -> bool {
    fn check<S: Spec>(config: &Json) -> bool {
        serde_json::from_value::<S>(config.clone())
            .is_ok_and(|spec| spec.validate(Timestamp::now()).is_empty())
    }
    match type_name {
        "zoom_log_source" => check::<SourceSpec>(config),
        "zoom_log_destination" => check::<DestinationSpec>(config),
        _ => check::<AlarmChannelSpec>(config),
    }
}

/// Makes a configuration that the engine can take.
fn configuration(
    rng: &mut Rng,
    around: &Surroundings<'_>,
    type_name: &str,
    paths: &[String],
    name: &str,
) -> Json {
    loop {
        let mut config = Surroundings::usual(type_name, "http://127.0.0.1:9/");
        for path in paths {
            let Some(recipe) = around.recipe(type_name, path).filter(|_| rng.below(3) == 0) else {
                continue;
            };
            let value = match rng.below(3) {
                0 => &recipe.first,
                1 => &recipe.second,
                _ => &recipe.by_hand,
            };
            set(&mut config, path, value);
        }
        config["name"] = json!(name);
        // What cannot work without a secret has one.
        for (object, secret) in [("basic", "password"), ("secret_header", "value")] {
            if let Some(holder) = config["http"].get_mut(object).and_then(Json::as_object_mut) {
                holder.entry(secret).or_insert_with(|| json!("secret-marker"));
            }
        }
        for (this, other) in EXCLUDE {
            if !get(&config, this).is_null() {
                remove(&mut config, other);
            }
        }
        // Nobody consents here, and Zoom knows one app only.
        if config["authorization"] == "authorization_code" {
            remove(&mut config, "allow_account_change");
        }
        config
            .as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        if type_name == TYPES[0] {
            config["verify"] = json!(false);
        }
        if is_valid(type_name, &config) {
            return config;
        }
    }
}

/// A step to a configuration, of which some may not be known while it is planned.
fn step(rng: &mut Rng, schema: &Schema, config: &Json) -> Step {
    let applied = Value::from_stored_json(config.to_string().as_bytes(), &schema.ty()).unwrap();
    let mut planned = applied.clone();
    for attribute in &schema.attributes {
        if rng.below(8) == 0 && applied.get(&attribute.name).is_known() {
            planned.set_attribute(&attribute.name, Value::Unknown);
        }
    }
    Step { planned, applied }
}

#[tokio::test]
async fn random_lives_of_our_resources_break_no_rule() {
    let seed = number(
        "ZOOM_LOG_FUZZ_SEED",
        u64::from(Timestamp::now().subsec_nanosecond().unsigned_abs()),
    );
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::set_with(&[("vault.ref_dirs", &folder.path().to_string_lossy())]).await;
    let around = Surroundings::make(&stage, folder.path()).await;
    let mut plugin = stage.plugin().await;
    for case in 0..number("ZOOM_LOG_FUZZ_CASES", CASES) {
        let mut rng = Rng::new(seed.wrapping_add(case));
        let type_name = TYPES[usize::try_from(rng.below(3)).unwrap()];
        let schema = plugin.driver.contract(type_name).unwrap().schema.clone();
        let mut paths = Vec::new();
        leaves(&schema.attributes, "", &mut paths);
        let steps: Vec<Step> = (0..=rng.below(3))
            .map(|number| {
                let name = format!("life-{case}-{}", number / 2);
                let config = configuration(&mut rng, &around, type_name, &paths, &name);
                step(&mut rng, &schema, &config)
            })
            .collect();
        plugin.driver.live(type_name, &steps).await;
        let found: Vec<String> = plugin.driver.findings().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [""; 0],
            "ZOOM_LOG_FUZZ_SEED={} ZOOM_LOG_FUZZ_CASES=1 repeats it:\n{steps:#?}",
            seed.wrapping_add(case)
        );
    }
    for kind in ["sources", "destinations", "alarm-channels"] {
        let left = stage.engine.list(kind).await;
        assert!(
            !left
                .iter()
                .any(|view| view["spec"]["name"].as_str().unwrap().starts_with("life-")),
            "{left:?}"
        );
    }
}
