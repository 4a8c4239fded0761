//! How often the engine is asked, and that what is asked once is never too old.

use serde_json::{Value as Json, json};

use crate::{engine::Engine, terraform::Terraform};

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
        instances.push(instance);
        let mut stored = stored.clone();
        stored.spec["name"] = json!(name);
        engine.catalog().objects.insert(id, stored);
    }
    terraform.write_state(&state.to_string());
    terraform.write(&many(count));
}

#[test]
fn a_thousand_sources_are_refreshed_with_some_twenty_requests() {
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
    // Terraform reads in an order of its own, on which the number depends; twenty is the mean.
    assert!(asked.len() < 60, "{} requests: {asked:#?}", asked.len());
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

#[test]
fn a_secret_is_compared_for_each_source_that_has_it_in_the_configuration() {
    const MANY: usize = 30;
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(&many(MANY).replace("client_secret_ref = \"env:ZOOM\"", "client_secret = var.secret"));
    terraform.apply().code(0);
    engine.requests();
    terraform.plan().code(0);
    let compared = |request: &&String| request.ends_with("/compare");
    assert_eq!(engine.requests().iter().filter(compared).count(), MANY);
}
