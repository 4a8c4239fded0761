//! `make demo`: the main job from `terraform apply` to a delivered event, drift, and `terraform destroy`.
//!
//! It runs `examples/quickstart` as it stands, with the real `terraform`, provider and engine, against the simulator;
//! with `ZOOM_ACCOUNT_ID`, `ZOOM_CLIENT_ID` and `ZOOM_CLIENT_SECRET` set, against the real Zoom.

#![expect(clippy::print_stdout, reason = "this program's work is to show")]

use std::{env, path::Path, time::Duration};

use e2e::{
    delivered::{self, Event},
    engine::Engine,
    process::Ran,
    sim::{Bulk, Mix, Report, Sim, Traffic},
    terraform::Terraform,
    wait,
};
use serde_json::{Value, json};

const SOURCE: &str = "zoom_log_source.corp";
/// How long an event may take from Zoom to the file: a poll is made every 15 seconds.
const LATE: Duration = Duration::from_mins(2);

/// Whom the demo asks, and as whom.
struct Zoom {
    /// Absent when the real Zoom is asked.
    sim: Option<Sim>,
    api_url: String,
    oauth_url: String,
    account_id: String,
    client_id: String,
    client_secret: String,
}

#[tokio::main]
async fn main() {
    let zoom = Zoom::from_environment().await;
    let settings = [("zoom.oauth_url", zoom.oauth_url.as_str()), ("log.level", "info")];
    let mut engine = Engine::start_with(&zoom.api_url, &settings).await;
    done(&format!(
        "zoom-log-engine runs at {} on an embedded SQLite store",
        engine.url()
    ));

    let mut terraform = Terraform::new(engine.url(), &engine.token());
    terraform.copy("examples/quickstart");
    terraform.variable("zoom_account_id", &zoom.account_id);
    terraform.variable("zoom_client_id", &zoom.client_id);
    terraform.variable("zoom_client_secret", &zoom.client_secret);

    step("terraform apply: the engine checks access to Zoom before it accepts the source");
    let applied = terraform.apply().await;
    show(&applied, &["created", "Creation complete", "Apply complete"]);
    let source = terraform.attributes(SOURCE).await;
    let id = text(&source["id"]).to_owned();
    done(&format!(
        "{SOURCE} is {id}; state knows its secret only as fingerprint {}",
        source["credential_fingerprint"]
    ));

    step("events arrive in the file destination, each with an id, labels and times");
    let file = engine.out("lake.ndjson");
    let events = arrived(&file).await;
    for line in samples(&events) {
        println!("      {line}");
    }
    let status = engine.get(&format!("/v1/sources/{id}/status")).await;
    for feed in status["feeds"].as_array().into_iter().flatten() {
        done(&format!(
            "{} feed: {}, {} events, alarm {}",
            text(&feed["log_type"]),
            text(&feed["health"]),
            feed["events"],
            text(&feed["alarm"]["state"])
        ));
    }

    if let Some(sim) = &zoom.sim {
        step("the simulator's ledger against the file, row by row");
        sim.stop_traffic(&zoom.account_id);
        let events = delivered::exactly(sim.world(), &zoom.account_id, &file, LATE).await;
        done(&format!(
            "all {} rows that Zoom showed were delivered, each exactly once",
            events.len()
        ));
    }

    step("terraform plan: nothing to do");
    terraform.assert_settled().await;
    done("no changes");

    step("somebody changes the source behind Terraform's back");
    engine
        .change("sources", &id, |spec| {
            spec["poll_interval"] = json!("6h");
            spec["log_types"] = json!(["operation"]);
            spec["drop_off_alarm"] = Value::Null;
        })
        .await;
    let plan = terraform.plan().await;
    show(&plan.ran, &["~", "+ drop_off_alarm", "+ \"activity\"", "Plan:"]);
    assert_eq!(plan.only_change().actions, ["update"], "{}", plan.ran.all());
    done("terraform plan found it");

    step("terraform apply puts it back, terraform destroy leaves nothing");
    terraform.apply().await;
    terraform.assert_settled().await;
    show(&terraform.destroy().await, &["Destroy complete"]);
    for kind in ["sources", "destinations", "alarm-channels"] {
        assert!(engine.list(kind).await.is_empty(), "{kind} are left");
    }
    engine.stop().await;
    done("the engine holds no source, destination or alarm channel; it is stopped and its data removed");
}

impl Zoom {
    async fn from_environment() -> Self {
        let get = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let real = (
            get("ZOOM_ACCOUNT_ID"),
            get("ZOOM_CLIENT_ID"),
            get("ZOOM_CLIENT_SECRET"),
        );
        if let (Some(account_id), Some(client_id), Some(client_secret)) = real {
            done(
                "Zoom itself is asked, with the credentials in ZOOM_ACCOUNT_ID, ZOOM_CLIENT_ID and ZOOM_CLIENT_SECRET",
            );
            let (api_url, oauth_url) = ("https://api.zoom.us".to_owned(), "https://zoom.us".to_owned());
            return Self {
                sim: None,
                api_url,
                oauth_url,
                account_id,
                client_id,
                client_secret,
            };
        }
        let sim = Sim::start().await;
        let (account_id, client_id) = ("demo-account".to_owned(), "demo-client".to_owned());
        let client_secret = "demo-secret".to_owned();
        sim.simple_account(&account_id, &client_id, &client_secret);
        let mix = Mix {
            seed: 7,
            twin_percent: 2.0,
            ..Mix::default()
        };
        for report in Report::ALL {
            sim.generate(
                &account_id,
                report,
                Bulk {
                    rows: 400,
                    span_secs: 12 * 3_600,
                    mix,
                },
            );
        }
        sim.world().start_traffic(
            &account_id,
            Traffic {
                rate: 2.0,
                limit: None,
                mix,
            },
        );
        done(&format!(
            "zoom-sim stands in for Zoom at {}: 400 rows in each report, 2 more a second",
            sim.url()
        ));
        let url = sim.url();
        Self {
            sim: Some(sim),
            api_url: url.clone(),
            oauth_url: url,
            account_id,
            client_id,
            client_secret,
        }
    }
}

async fn arrived(file: &Path) -> Vec<Event> {
    wait::until(LATE, "events in the file", async || {
        let events = if file.exists() {
            delivered::read_file(file)
        } else {
            Vec::new()
        };
        if events.is_empty() {
            Err("none yet")
        } else {
            Ok(events)
        }
    })
    .await
}

/// One event of each label that is there.
fn samples(events: &[Event]) -> Vec<String> {
    let mut seen = Vec::new();
    let mut lines = Vec::new();
    for event in events {
        let labels = event.zoom_log["labels"].clone();
        if seen.contains(&labels) {
            continue;
        }
        let row: Value = serde_json::from_slice(&event.row).unwrap_or_default();
        let what = row
            .get("operation_detail")
            .or_else(|| row.get("type"))
            .map(text)
            .unwrap_or_default();
        let who = row
            .get("operator")
            .or_else(|| row.get("email"))
            .map(text)
            .unwrap_or_default();
        lines.push(format!(
            "{} {who}: {what}  {labels}",
            text(&event.zoom_log["event_time"])
        ));
        seen.push(labels);
    }
    lines
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn step(what: &str) {
    println!("\n==> {what}");
}

fn done(what: &str) {
    println!("    {what}");
}

/// Shows the lines of Terraform's output that matter.
fn show(ran: &Ran, parts: &[&str]) {
    let lines = ran
        .stdout
        .lines()
        .filter(|line| parts.iter().any(|part| line.contains(part)));
    for line in lines {
        println!("      {}", line.trim_end());
    }
}
