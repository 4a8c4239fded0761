//! Somebody interrupts an apply: what exists is what the state knows.

use std::{collections::BTreeSet, time::Duration};

use e2e::{
    process::Process,
    sim::{Fault, FaultRule},
    wait,
};
use serde_json::Value;

use super::{LATE, PROVIDER, Stage};

const SOURCES: usize = 50;

#[tokio::test]
async fn an_interrupt_in_the_middle_of_an_apply_leaves_no_source_that_the_state_does_not_know() {
    let stage = Stage::set().await;
    // The engine checks each source at Zoom, which takes its time, so that the interrupt meets some half made.
    let slow = Fault::Delay { millis: 40 };
    stage
        .sim
        .inject(FaultRule::times("GET /v2/report", 100_000, slow));
    let terraform = stage.terraform();
    let many = format!(
        "{PROVIDER}\nresource \"zoom_log_source\" \"many\" {{\n  count = {SOURCES}\n  name = \"n-${{count.index}}\"\n  \
         account_id = \"abc123\"\n  client_id = \"cid\"\n  client_secret = var.zoom_client_secret\n  poll_interval = \
         \"24h\"\n}}\n"
    );
    terraform.write("main.tf", &many);
    let mut command = terraform.command(&["apply", "-auto-approve", "-no-color"]);
    let apply = Process::spawn("terraform apply", &mut command);
    wait::until(LATE, "some sources", async || {
        let there = stage.engine.list("sources").await.len();
        if there >= 5 {
            Ok(())
        } else {
            Err(format!("{there} sources"))
        }
    })
    .await;
    apply.signal("INT");
    let ran = apply.finish(Duration::from_mins(1)).await;
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    assert!(ran.all().contains("Interrupt received"), "{}", ran.all());

    let names = |list: &[Value], member: &str| -> BTreeSet<String> {
        let id = |item: &Value| {
            item[member]["id"]
                .as_str()
                .or(item["id"].as_str())
                .unwrap()
                .to_owned()
        };
        list.iter().map(id).collect()
    };
    let there = names(&stage.engine.list("sources").await, "");
    let state = terraform.state().await;
    let known = state["values"]["root_module"]["resources"].as_array().cloned();
    let known = names(&known.unwrap_or_default(), "values");
    assert_eq!(there, known);
    assert!(
        (5..SOURCES).contains(&there.len()),
        "{} sources: not in the middle",
        there.len()
    );

    // What is left is made by the next apply, and nothing twice.
    stage.sim.clear_faults();
    let rest = terraform.apply().await;
    let told = format!("{} added, 0 changed, 0 destroyed", SOURCES - known.len());
    assert!(rest.stdout.contains(&told), "{}", rest.all());
    assert_eq!(stage.engine.list("sources").await.len(), SOURCES);
}
