//! How often the engine is asked, and that what is asked once is never too old.

use serde_json::{Value as Json, json};

use crate::{
    engine::Engine,
    terraform::{Feature, Terraform, lacks},
};

/// What a run may ask beside the objects: who the engine is, and what troubles it has.
const OF_THE_RUN: usize = 2;

fn many(count: usize) -> String {
    format!(
        "resource \"zoom_log_source\" \"many\" {{\n  count = {count}\n  name = \"n-${{count.index}}\"\n  account_id = \
         \"a\"\n  client_id = \"c\"\n  client_secret_ref = \"env:ZOOM\"\n}}\n"
    )
}

/// Makes a state and an engine with `count` sources of the one that was applied: applying so many is slow, which is
/// Terraform's own doing, since it writes the whole state after each.
fn multiply(engine: &Engine, terraform: &Terraform, count: usize) {
    let mut state: Json = serde_json::from_str(&terraform.state()).unwrap();
    let instances = state["resources"][0]["instances"].as_array_mut().unwrap();
    let (first, stored) = (
        instances[0].clone(),
        engine.catalog().objects.values().next().unwrap().clone(),
    );
    for number in 1..count {
        let (id, name) = (format!("src_{:026}", number * 7_919), format!("n-{number}"));
        let mut instance = first.clone();
        instance["index_key"] = json!(number);
        instance["attributes"]["id"] = json!(id);
        instance["attributes"]["name"] = json!(name);
        // Where this version keeps one.
        if let Some(identity) = instance.get_mut("identity") {
            identity["id"] = json!(id);
        }
        instances.push(instance);
        let mut stored = stored.clone();
        stored.spec["name"] = json!(name);
        engine.catalog().objects.insert(id, stored);
    }
    terraform.write_state(&state.to_string());
    terraform.write(&many(count));
}

#[test]
fn a_thousand_sources_are_refreshed_with_a_handful_of_requests() {
    const MANY: usize = 1_000;
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(&many(1));
    terraform.apply().code(0);
    multiply(&engine, &terraform, MANY);
    engine.requests();

    // No secret is in the configuration, so a plan has nothing to compare.
    terraform.plan().code(0);
    let asked = engine.requests();
    // Three short stretches and all sources in two pages, beside what a run asks anyway.
    assert!(
        asked.len() <= OF_THE_RUN + 6,
        "{} requests: {asked:#?}",
        asked.len()
    );
    assert!(
        asked.iter().all(|request| request.starts_with("GET ")),
        "{asked:#?}"
    );

    // What somebody changed or removed in the middle of it is seen, and only that.
    let ids: Vec<String> = engine.catalog().objects.keys().cloned().collect();
    engine.catalog().objects.get_mut(&ids[617]).unwrap().spec["enabled"] = json!(false);
    engine.catalog().objects.remove(&ids[618]);
    terraform
        .plan()
        .code(2)
        .says("1 to add, 1 to change, 0 to destroy");
}

#[test]
fn a_few_sources_fetch_few_others() {
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(&many(3));
    terraform.apply().code(0);
    engine.requests();
    terraform.drift().code(0);
    assert!(engine.requests().len() <= OF_THE_RUN + 3);
}

/// Sources with a secret each in the configuration.
fn with_secrets(count: usize) -> String {
    many(count).replace("client_secret_ref = \"env:ZOOM\"", "client_secret = var.secret")
}

/// How many requests compare, of several sources at once and of one.
fn comparing(requests: &[String]) -> (usize, usize) {
    let ending = |end: &str| requests.iter().filter(|request| request.ends_with(end)).count();
    (ending("sources:compare"), ending("/compare"))
}

#[test]
fn the_secrets_of_many_sources_are_compared_together() {
    const MANY: usize = 300;
    if lacks(Feature::WriteOnly) {
        return;
    }
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(&with_secrets(1));
    terraform.apply().code(0);
    multiply(&engine, &terraform, MANY);
    terraform.write(&with_secrets(MANY));
    engine.requests();
    terraform.plan().code(0);
    let (together, alone) = comparing(&engine.requests());
    // As many as plan at once, which is ten, can share one; how many do is up to the machine.
    assert!(
        together > 0 && together + alone < MANY * 2 / 3,
        "{together} for several sources and {alone} for one"
    );

    // Each answer belongs to its source.
    let ids: Vec<String> = engine.catalog().objects.keys().cloned().collect();
    let change = |id: &str| {
        let mut catalog = engine.catalog();
        let secrets = &mut catalog.objects.get_mut(id).unwrap().secrets;
        secrets.insert("client_secret".to_owned(), "theirs".to_owned());
    };
    change(&ids[61]);
    change(&ids[217]);
    terraform
        .plan()
        .code(2)
        .says("0 to add, 2 to change, 0 to destroy");
    terraform.apply().code(0);
    assert!(
        engine
            .catalog()
            .objects
            .values()
            .all(|stored| stored.secrets["client_secret"] == "secret-marker-one")
    );
    terraform.plan().code(0);

    // What an engine cannot take at once is asked in parts.
    engine.catalog().takes = 1;
    terraform.plan().code(0);
}

#[test]
fn an_older_engine_is_asked_for_each_source() {
    const MANY: usize = 30;
    if lacks(Feature::WriteOnly) {
        return;
    }
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(&with_secrets(MANY));
    terraform.apply().code(0);
    engine.catalog().old = true;
    engine.requests();
    terraform.plan().code(0);
    let (together, alone) = comparing(&engine.requests());
    // At most once it is found out that it is older.
    assert!(together <= 1 && alone == MANY, "{together} and {alone}");
}

#[test]
fn of_many_sources_only_the_one_that_is_gone_fails() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(&with_secrets(20));
    terraform.apply().code(0);
    let gone = engine.catalog().objects.keys().nth(7).cloned().unwrap();
    // Without a refresh nobody notices that one is gone until its secret is compared.
    engine.catalog().objects.remove(&gone);
    let plan = ["plan", "-no-color", "-detailed-exitcode", "-refresh=false"];
    let outcome = terraform.run(&plan).code(1).says("There is no such object.");
    assert_eq!(outcome.text.matches("Error:").count(), 1, "{}", outcome.text);
}
