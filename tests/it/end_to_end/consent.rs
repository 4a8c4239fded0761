//! Sources that somebody consents to: pending, let in, collecting; drift, import and replacement of them.

use e2e::{
    delivered,
    sim::{App, Behaviour, Sim},
    terraform::{Feature, Terraform, lacks},
    visitor::Visitor,
};
use serde_json::{Value, json};

use super::{ACCOUNT, CLIENT, LATE, PROVIDER, SECRET, SOURCE, Stage, merge};

/// A stage whose Zoom has an app that people consent to, and a second account.
pub(super) struct Consented {
    pub(super) stage: Stage,
}

pub(super) const OTHER: &str = "other-account";

impl Consented {
    pub(super) async fn set(settings: &[(&str, &str)]) -> Self {
        let stage = Stage::set_with(settings).await;
        stage.sim.put_account(OTHER, Behaviour::default());
        let redirect = stage.engine.get("/v1/engine").await["redirect_url"].take();
        let app = App::general(ACCOUNT, CLIENT, SECRET, redirect.as_str().unwrap());
        stage.sim.put_app(app);
        Self { stage }
    }

    /// Creates a source that waits for a consent and writes to a file; returns its id.
    pub(super) async fn source(&self, more: Value) -> String {
        self.source_to("lake", more).await
    }

    pub(super) async fn source_to(&self, file: &str, more: Value) -> String {
        let destination = json!({"name": file, "file": {"path": file}});
        let destination = self.stage.engine.create("destinations", destination).await;
        let mut spec = json!({
            "name": "My Zoom logs",
            "authorization": "authorization_code",
            "client_id": CLIENT,
            "client_secret": SECRET,
            "destination_ids": [destination],
            "poll_interval": "15s",
        });
        merge(&mut spec, more);
        self.stage.engine.create("sources", spec).await
    }

    pub(super) fn link(&self, source: &str) -> String {
        format!("{}/sources/{source}/authorize", self.stage.engine.url())
    }

    /// Consents for a source as an admin of an account; returns the page on which it ends.
    pub(super) async fn consent(&self, source: &str, account: &str) -> String {
        let answer = Visitor::new().consent(&self.link(source), Some(account)).await;
        answer.expect(200).text()
    }

    pub(super) async fn status(&self, source: &str) -> Value {
        self.stage
            .engine
            .get(&format!("/v1/sources/{source}/status"))
            .await
    }

    /// Polls until the source's status is as wanted.
    pub(super) async fn until(&self, source: &str, good: impl Fn(&Value) -> bool) -> Value {
        let engine = &self.stage.engine;
        self.stage
            .while_polling(source, engine.source_status(source, LATE, good))
            .await
    }

    pub(super) async fn collected(&self, source: &str) {
        let out = self.stage.engine.out("lake");
        let all = delivered::exactly(self.stage.sim.world(), ACCOUNT, &out, LATE);
        self.stage.while_polling(source, all).await;
    }
}

pub(super) fn report_requests(sim: &Sim) -> u64 {
    sim.counters().to("/v2/report")
}

const HCL: &str = r#"
data "zoom_log_engine" "this" {}

resource "zoom_log_destination" "lake" {
  name = "lake"
  file = { path = "lake" }
}

resource "zoom_log_source" "corp" {
  name            = "My Zoom logs"
  authorization   = "authorization_code"
  client_id       = "cid"
  client_secret   = var.zoom_client_secret
  destination_ids = [zoom_log_destination.lake.id]
  poll_interval   = "15s"
}

data "zoom_log_source_status" "corp" {
  source_id = zoom_log_source.corp.id
}

output "redirect_url" { value = data.zoom_log_engine.this.redirect_url }
output "authorization_url" { value = zoom_log_source.corp.authorization_url }
output "health" { value = data.zoom_log_source_status.corp.health }
"#;

async fn output(terraform: &Terraform, name: &str) -> String {
    let shown = terraform.must(&["output", "-raw", name]).await;
    shown.stdout.trim().to_owned()
}

const WARNING: &str = "The source waits for somebody's consent";

#[tokio::test]
async fn pending_then_let_in_then_collecting_then_gone() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let scene = Consented::set(&[]).await;
    let stage = &scene.stage;
    stage.show(40, 600);
    let mut terraform = stage.terraform();
    // The redirect URL is known before there is any source.
    terraform.write(
        "main.tf",
        &format!("{PROVIDER}\ndata \"zoom_log_engine\" \"this\" {{}}\noutput \"redirect_url\" {{ value = data.zoom_log_engine.this.redirect_url }}\n"),
    );
    terraform.apply().await;
    let expected = format!("{}/oauth/callback", stage.engine.url());
    assert_eq!(output(&terraform, "redirect_url").await, expected);

    terraform.write("main.tf", &format!("{PROVIDER}{HCL}"));
    let applied = terraform.apply().await;
    assert!(applied.all().contains(WARNING), "{}", applied.all());
    let link = output(&terraform, "authorization_url").await;
    assert_eq!(output(&terraform, "health").await, "pending_authorization");
    let plan = terraform.plan().await;
    for text in [WARNING, "pending_authorization", &link, "step 8"] {
        assert!(plan.ran.all().contains(text), "{text}: {}", plan.ran.all());
    }
    terraform.assert_settled().await;
    let source = terraform.attributes(SOURCE).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    scene
        .until(&source, |status| {
            status["feeds"][1]["trouble"]["code"] == "pending_authorization"
        })
        .await;
    assert_eq!(
        report_requests(&stage.sim),
        0,
        "a source that waits asks Zoom for nothing"
    );

    let page = Visitor::new()
        .consent(&link, Some(ACCOUNT))
        .await
        .expect(200)
        .text();
    assert_eq!(page.matches("Verified").count(), 2, "{page}");
    scene.collected(&source).await;
    let status = scene.until(&source, |status| status["health"] == "ok").await;
    assert_eq!(status["consent"]["state"], "authorized", "{status}");
    assert_eq!(status["consent"]["account_id"], ACCOUNT);
    let plan = terraform.plan().await;
    assert!(!plan.ran.all().contains(WARNING), "{}", plan.ran.all());
    // The status is an output here, and no resource: it alone has changed.
    assert_eq!(plan.changes().len(), 0, "{}", plan.ran.all());
    terraform.apply().await;
    terraform.assert_settled().await;

    // Drift, also of a secret; the consent stays.
    stage
        .engine
        .change("sources", &source, |spec| {
            spec["allow_account_change"] = json!(true);
        })
        .await;
    let plan = terraform.plan().await;
    assert_eq!(plan.only_change().address, SOURCE);
    terraform.apply().await;
    stage
        .sim
        .change_app(CLIENT, |app| app.client_secret = "rotated".into());
    terraform.variable("zoom_client_secret", "rotated");
    terraform.apply().await;
    terraform.assert_settled().await;
    assert_eq!(scene.status(&source).await["consent"]["state"], "authorized");

    // Import keeps it, too.
    terraform.must(&["state", "rm", SOURCE]).await;
    terraform.import(SOURCE, &source).await;
    terraform.apply().await;
    terraform.assert_settled().await;
    assert_eq!(
        terraform.attributes(SOURCE).await["authorization_url"],
        link.as_str()
    );

    // Another account is another source, and it waits again.
    let named = HCL.replace("client_id  ", "account_id      = \"abc123\"\n  client_id  ");
    terraform.write("main.tf", &format!("{PROVIDER}{named}"));
    let plan = terraform.plan().await;
    assert_eq!(plan.only_change().actions, ["delete", "create"]);
    let applied = terraform.apply().await;
    assert!(applied.all().contains(WARNING), "{}", applied.all());
    assert_ne!(output(&terraform, "authorization_url").await, link);
    assert_eq!(
        stage.sim.refresh_tokens(),
        0,
        "the removed source's consent is ended at Zoom"
    );
    terraform.destroy().await;
}

#[tokio::test]
async fn a_source_takes_up_a_consent_in_place_of_a_server_to_server_app() {
    let scene = Consented::set(&[]).await;
    let stage = &scene.stage;
    stage.sim.put_app(App::new(ACCOUNT, "s2s", SECRET));
    let terraform = stage.terraform();
    let write = |arguments: &str| {
        let text = format!(
            "{PROVIDER}\nresource \"zoom_log_source\" \"corp\" {{\n  name = \"n\"\n  account_id = \"{ACCOUNT}\"\n  \
             client_secret = var.zoom_client_secret\n{arguments}}}\n"
        );
        terraform.write("main.tf", &text);
    };
    write("  client_id = \"s2s\"\n");
    terraform.apply().await;
    let before = terraform.attributes(SOURCE).await;
    assert_eq!(before["authorization_url"], Value::Null);
    write("  client_id = \"cid\"\n  authorization = \"authorization_code\"\n");
    let plan = terraform.plan().await;
    assert_eq!(plan.only_change().actions, ["update"]);
    terraform.apply().await;
    terraform.assert_settled().await;
    let after = terraform.attributes(SOURCE).await;
    assert_eq!(after["id"], before["id"]);
    let source = after["id"].as_str().unwrap();
    assert_eq!(after["authorization_url"], scene.link(source));
    assert!(scene.consent(source, ACCOUNT).await.contains("Verified"));
    terraform.assert_settled().await;
    // And back: the consent is forgotten.
    write("  client_id = \"s2s\"\n");
    terraform.apply().await;
    terraform.assert_settled().await;
    assert_eq!(
        terraform.attributes(SOURCE).await["authorization_url"],
        Value::Null
    );
    assert_eq!(scene.status(source).await.get("consent"), None);
}

#[tokio::test]
async fn an_account_in_zooms_government_cloud_is_asked_there() {
    let government = Sim::start().await;
    let url = government.url();
    let settings = [
        ("zoom.government_api_url", url.as_str()),
        ("zoom.government_oauth_url", url.as_str()),
    ];
    let scene = Consented::set(&settings).await;
    let redirect = format!("{}/oauth/callback", scene.stage.engine.url());
    government.put_account(ACCOUNT, Behaviour::default());
    government.put_app(App::general(ACCOUNT, "gov", SECRET, &redirect));
    government.put_app(App::new(ACCOUNT, "gov-s2s", SECRET));
    let source = scene
        .source(json!({"client_id": "gov", "cloud": "government"}))
        .await;
    let page = scene.consent(&source, ACCOUNT).await;
    assert_eq!(page.matches("Verified").count(), 2, "{page}");
    scene.until(&source, |status| status["health"] == "ok").await;
    let spec = json!({"name": "by server", "client_id": "gov-s2s", "cloud": "government"});
    let server = scene.stage.source(&[], spec).await;
    scene.until(&server, |status| status["health"] == "ok").await;
    assert!(report_requests(&government) >= 4);
    assert_eq!(
        scene.stage.sim.counters().to("/"),
        0,
        "the commercial cloud is not asked"
    );
}
