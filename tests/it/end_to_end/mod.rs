//! The whole way on real parts: Terraform, provider, engine, and the simulated Zoom at its end.

mod access;
mod actions;
mod alarm;
mod api;
mod attributes;
mod audit;
mod backfill;
mod consent;
mod consent_faults;
mod consent_pages;
mod crash;
mod database;
mod delivery;
mod deploy;
mod disk;
mod drift;
mod exactly_once;
mod examples;
mod faults;
mod fleet;
mod fuzz;
mod identity;
mod import;
mod interrupt;
mod labels;
mod lifecycle;
mod moving;
mod newer;
mod query;
mod refusals;
mod release;
mod rotation;
mod secrets;
mod tls;
mod tokens;
mod trouble;

use std::time::Duration;

use e2e::{
    engine::{Engine, reference},
    plugin::Plugin,
    receiver::Receiver,
    sim::{Bulk, Mix, Report, Sim},
    terraform::{Feature, Terraform, version},
};
use serde_json::{Value, json};

pub(super) const ACCOUNT: &str = "abc123";
pub(super) const CLIENT: &str = "cid";
pub(super) const SECRET: &str = "zoom-secret-one";

/// How long a poll, a sweep and a delivery may take together before a test gives up.
pub(super) const LATE: Duration = Duration::from_mins(2);

/// A Zoom with one account, and an engine that may ask it.
pub(super) struct Stage {
    pub(super) sim: Sim,
    pub(super) engine: Engine,
}

impl Stage {
    pub(super) async fn set() -> Self {
        Self::set_with(&[]).await
    }

    pub(super) async fn set_with(settings: &[(&str, &str)]) -> Self {
        let sim = Sim::start().await;
        sim.simple_account(ACCOUNT, CLIENT, SECRET);
        let engine = Engine::start_with(&sim.url(), settings).await;
        Self { sim, engine }
    }

    /// Shows `rows` rows in each report, over the last `span_secs`.
    pub(super) fn show(&self, rows: u64, span_secs: u64) {
        for report in Report::ALL {
            let mix = Mix {
                seed: 11,
                twin_percent: 2.0,
                ..Mix::default()
            };
            self.sim.generate(ACCOUNT, report, Bulk { rows, span_secs, mix });
        }
    }

    /// Creates a file destination and a source that writes to it; returns the source's id.
    pub(super) async fn source_to_file(&self, path: &str, spec: Value) -> String {
        let destination = json!({"name": path, "file": {"path": path}});
        let destination = self.engine.create("destinations", destination).await;
        self.source(&[&destination], spec).await
    }

    /// Creates a source with the given members beside the usual ones; returns its id.
    pub(super) async fn source(&self, destinations: &[&str], spec: Value) -> String {
        let mut whole = json!({
            "name": "My Zoom logs",
            "account_id": ACCOUNT,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "destination_ids": destinations,
            "poll_interval": "15s",
        });
        merge(&mut whole, spec);
        self.engine.create("sources", whole).await
    }

    /// Asks for a poll now; the engine may be down, and then it is none.
    pub(super) async fn poll(&self, source: &str) {
        let _ = self.engine.client().poll_source(source).await;
    }

    /// Waits for `what`, and asks for a poll of the source again and again meanwhile.
    pub(super) async fn while_polling<T>(&self, source: &str, what: impl Future<Output = T>) -> T {
        let polls = async {
            let mut beat = tokio::time::interval(Duration::from_millis(250));
            loop {
                beat.tick().await;
                self.poll(source).await;
            }
        };
        tokio::select! {
            done = what => done,
            () = polls => unreachable!("polls go on until the wait is over"),
        }
    }

    /// Starts the provider for what the installed Terraform cannot ask.
    pub(super) async fn plugin(&self) -> Plugin {
        Plugin::start(self.engine.url(), &self.engine.token()).await
    }

    pub(super) fn terraform(&self) -> Terraform {
        let mut terraform = Terraform::new(self.engine.url(), &self.engine.token());
        terraform.variable("zoom_client_secret", SECRET);
        terraform
    }
}

/// Puts the members of one object over those of another.
fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

const PROVIDER: &str = r#"
terraform {
  required_providers {
    zoom = { source = "zoom-log/zoom" }
  }
}

provider "zoom" {}

variable "zoom_client_secret" {
  type      = string
  ephemeral = true
}
"#;

/// The usual configuration: a file and an HTTP destination, a channel, a source over all of them, its status.
pub(super) struct Hcl {
    hook: String,
    channel: String,
    /// The source's arguments as they stand in the text, by name.
    source: Vec<(String, String)>,
}

impl Hcl {
    pub(super) fn new(hook: &Receiver, channel: &Receiver) -> Self {
        let arguments = [
            ("name", r#""My Zoom logs""#),
            ("account_id", r#""abc123""#),
            ("client_id", r#""cid""#),
            ("client_secret", "var.zoom_client_secret"),
            ("log_types", r#"["operation", "activity"]"#),
            (
                "destination_ids",
                "[zoom_log_destination.lake.id, zoom_log_destination.hook.id]",
            ),
            ("poll_interval", r#""1m""#),
            (
                "drop_off_alarm",
                r#"{ after = "24h", channel_ids = [zoom_log_alarm_channel.oncall.id] }"#,
            ),
        ];
        let source = arguments
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        Self {
            hook: format!("{}/ingest", hook.url()),
            channel: format!("{}/zoom", channel.url()),
            source,
        }
    }

    /// Sets an argument of the source, given as it stands in HCL.
    pub(super) fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.source.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.source.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    fn remove(&mut self, name: &str) -> &mut Self {
        self.source.retain(|(known, _)| known != name);
        self
    }

    pub(super) fn text(&self) -> String {
        let Self {
            hook,
            channel,
            source,
        } = self;
        let bearer = if version().has(Feature::WriteOnly) {
            "bearer_token = \"hook-token-one\"".to_owned()
        } else {
            format!("bearer_token_ref = \"{}\"", reference("hook_token_one"))
        };
        let source: Vec<String> = source
            .iter()
            .map(|(name, value)| format!("  {name} = {value}"))
            .collect();
        let source = source.join(
            "
",
        );
        format!(
            r#"{PROVIDER}
resource "zoom_log_destination" "lake" {{
  name = "lake"
  file = {{ path = "lake" }}
}}

resource "zoom_log_destination" "hook" {{
  name = "siem-hook"
  http = {{
    url          = "{hook}"
    headers      = {{ "x-team" = "secops" }}
    {bearer}
  }}
}}

resource "zoom_log_alarm_channel" "oncall" {{
  name    = "oncall"
  webhook = {{ url = "{channel}" }}
}}

resource "zoom_log_source" "corp" {{
{source}
}}

data "zoom_log_source_status" "corp" {{
  source_id = zoom_log_source.corp.id
}}
"#
        )
    }
}

pub(super) const SOURCE: &str = "zoom_log_source.corp";
const LAKE: &str = "zoom_log_destination.lake";
const HOOK: &str = "zoom_log_destination.hook";
const CHANNEL: &str = "zoom_log_alarm_channel.oncall";

/// A stage with Terraform on it, and everything of the usual configuration applied.
struct Applied {
    stage: Stage,
    hook: Receiver,
    channel: Receiver,
    hcl: Hcl,
    terraform: Terraform,
}

impl Applied {
    async fn new() -> Self {
        let (hook, channel) = (Receiver::start().await, Receiver::start().await);
        let stage = Stage::set().await;
        let terraform = stage.terraform();
        let hcl = Hcl::new(&hook, &channel);
        terraform.write("main.tf", &hcl.text());
        terraform.apply().await;
        Self {
            stage,
            hook,
            channel,
            hcl,
            terraform,
        }
    }

    /// Writes the configuration as it is now.
    fn write(&self) {
        self.terraform.write("main.tf", &self.hcl.text());
    }

    async fn id(&self, address: &str) -> String {
        let attributes = self.terraform.attributes(address).await;
        attributes["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{address} is not in the state"))
            .to_owned()
    }
}
