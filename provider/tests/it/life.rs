//! Create, read, update, replace, delete, import: what each plans and does.

use serde_json::json;

use crate::{
    engine::Engine,
    terraform::{Feature, Terraform, lacks},
};

const SOURCE: &str = r#"
resource "zoom_log_destination" "lake" {
  name = "lake"
  file = { path = "lake" }
}

resource "zoom_log_destination" "hook" {
  name = "siem-hook"
  http = {
    url          = "https://siem.example.com/ingest"
    headers      = { "x-team" = "secops" }
    bearer_token = var.secret
    batch        = { max_events = 100 }
  }
}

resource "zoom_log_alarm_channel" "oncall" {
  name    = "oncall"
  webhook = { url = "https://hooks.example.com/zoom" }
}

resource "zoom_log_source" "corp" {
  name            = "My Zoom logs"
  account_id      = "abc123"
  client_id       = "cid"
  client_secret   = var.secret
  log_types       = ["operation", "activity"]
  destination_ids = [zoom_log_destination.lake.id, zoom_log_destination.hook.id]
  poll_interval   = "60m"
  drop_off_alarm  = { after = "24h", channel_ids = [zoom_log_alarm_channel.oncall.id] }
}

data "zoom_log_source_status" "corp" {
  source_id = zoom_log_source.corp.id
}

output "health" {
  value = data.zoom_log_source_status.corp.feeds[0].trouble.code
}
"#;

#[test]
fn a_configuration_lives_from_apply_to_destroy() {
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(SOURCE);
    terraform.apply().code(0).says("4 added").says("zoom_unavailable");
    terraform.plan().code(0);
    terraform.drift().code(0);

    // The same duration, the same set, and the default written out are no change.
    let same = SOURCE
        .replace("60m", "1h")
        .replace(r#"["operation", "activity"]"#, r#"["activity", "operation"]"#);
    terraform.write(&same.replace("  client_id  ", "  verify          = true\n  client_id  "));
    terraform.plan().code(0);

    terraform.write(&SOURCE.replace("\"24h\"", "\"48h\""));
    terraform
        .plan()
        .code(2)
        .says("0 to add, 1 to change, 0 to destroy");
    terraform.apply().code(0);
    assert!(terraform.state().contains("48h"));
    terraform.plan().code(0);

    terraform.write(&SOURCE.replace("abc123", "abc456"));
    terraform
        .plan()
        .code(2)
        .says("forces replacement")
        .says("1 to add, 0 to change, 1 to destroy");
    terraform.apply().code(0);
    terraform.plan().code(0);

    terraform.run(&["destroy", "-auto-approve", "-no-color"]).code(0);
    assert!(engine.catalog().objects.is_empty());
}

#[test]
fn what_somebody_else_changed_or_deleted_is_planned_back() {
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(SOURCE);
    terraform.apply().code(0);

    engine.change("src_", |stored| stored.spec["poll_interval"] = json!("2h"));
    terraform.drift().code(2).says("2h");
    terraform.plan().code(2).says("1 to change");
    terraform.apply().code(0);
    assert!(
        engine
            .catalog()
            .objects
            .values()
            .any(|stored| stored.spec["poll_interval"] == "60m")
    );

    engine.change("src_", |stored| stored.spec["destination_ids"] = json!([]));
    terraform.plan().code(2).says("1 to change");
    terraform.apply().code(0);

    engine.catalog().objects.retain(|id, _| !id.starts_with("src_"));
    terraform.plan().code(2).says("1 to add");
    terraform.apply().code(0);
    terraform.plan().code(0);
}

#[test]
fn an_import_by_id_or_by_name_is_followed_by_an_empty_plan() {
    let engine = Engine::start();
    let first = Terraform::new(&engine);
    first.write(SOURCE);
    first.apply().code(0);
    let id = |prefix: &str| {
        let catalog = engine.catalog();
        catalog
            .objects
            .keys()
            .find(|id| id.starts_with(prefix))
            .unwrap()
            .clone()
    };

    let second = Terraform::new(&engine);
    second.write(SOURCE);
    second
        .run(&["import", "-no-color", "zoom_log_destination.lake", "lake"])
        .code(0);
    second
        .run(&["import", "-no-color", "zoom_log_destination.hook", "siem-hook"])
        .code(0);
    second
        .run(&[
            "import",
            "-no-color",
            "zoom_log_alarm_channel.oncall",
            &id("ach_"),
        ])
        .code(0);
    second
        .run(&["import", "-no-color", "zoom_log_source.corp", &id("src_")])
        .code(0);
    second.plan().code(0);

    // Without the secret in the configuration, the stored one is kept.
    if !lacks(Feature::WriteOnly) {
        second.write(&SOURCE.replace("  client_secret   = var.secret\n", ""));
        second.plan().code(0);
    }

    second.run(&["state", "rm", "zoom_log_source.corp"]).code(0);
    second
        .run(&[
            "import",
            "-no-color",
            "zoom_log_source.corp",
            "nothing of that name",
        ])
        .code(1)
        .says("No such source");
}

#[test]
fn what_is_wrong_is_said_at_its_attribute() {
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);

    for (find, replace, words) in [
        (
            r#""24h""#,
            r#""5m""#,
            "`drop_off_alarm.after` must be from `15m` to `30d`",
        ),
        (r#""60m""#, r#""1 hour""#, "must be a duration such as"),
        (
            r#""60m""#,
            r#""1s""#,
            "`poll_interval` must be from `15s` to `24h`",
        ),
        (
            r#"["operation", "activity"]"#,
            r#"["audit"]"#,
            "must hold nothing but `operation`, `activity`",
        ),
        (r#"["operation", "activity"]"#, "[]", "must name at least one of"),
        ("max_events = 100", "max_events = 1.5", "must be a whole number"),
        (
            "max_events = 100",
            "max_events = 0",
            "`http.batch.max_events` must be from 1 to 10000",
        ),
        (
            "https://siem",
            "ftp://siem",
            "only `https` and `http` can be sent to",
        ),
        (
            "[zoom_log_destination.lake.id, zoom_log_destination.hook.id]",
            "[\"lake\"]",
            "is not an id of this kind",
        ),
        (
            r#"file = { path = "lake" }"#,
            "",
            "One of `file` and `http` must be set",
        ),
    ] {
        terraform.write(&SOURCE.replace(find, replace));
        let outcome = terraform.plan().code(1).says(words);
        assert!(engine.catalog().objects.is_empty(), "{}", outcome.text);
    }

    terraform.write(&SOURCE.replace("abc123", "nobody"));
    terraform
        .apply()
        .code(1)
        .says("Zoom does not know the account")
        .says("account_id = \"nobody\"")
        .says("Code: `zoom_unknown_account`. Request id: `req-7`.");
    assert!(!engine.catalog().objects.keys().any(|id| id.starts_with("src_")));

    if lacks(Feature::WriteOnly) {
        return;
    }
    terraform.write(&SOURCE.replace("client_secret   = var.secret", "client_secret   = \"wrong\""));
    terraform
        .apply()
        .code(1)
        .says("Zoom refuses the client id or secret")
        .says("client_secret = \"wrong\"");
    assert!(!engine.catalog().objects.keys().any(|id| id.starts_with("src_")));
}

#[test]
fn an_old_start_is_no_mistake_once_it_is_in_the_state() {
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    let old = "resource \"zoom_log_source\" \"corp\" {\n  name = \"n\"\n  account_id = \"a\"\n  client_id = \"c\"\n  \
               client_secret = var.secret\n  start_from = \"2020-01-01T00:00:00Z\"\n}\n";
    terraform.write(old);
    terraform.plan().code(1).says("is older than Zoom keeps");

    terraform.write(&old.replace("  start_from = \"2020-01-01T00:00:00Z\"\n", ""));
    terraform.apply().code(0);
    engine.change("src_", |stored| {
        stored.spec["start_from"] = json!("2020-01-01T00:00:00Z");
    });
    let respelled = old.replace("00:00:00Z", "01:00:00+01:00");
    terraform.write(&respelled);
    terraform.plan().code(0);

    // It stands in the way of no other change, and another instant is judged anew.
    terraform.write(&respelled.replace("\"n\"", "\"renamed\""));
    terraform.plan().code(2).says("1 to change");
    terraform.apply().code(0);
    terraform.plan().code(0);
    let stored = engine.catalog().objects.values().next().unwrap().spec.clone();
    assert_eq!(
        (&stored["name"], &stored["start_from"]),
        (&json!("renamed"), &json!("2020-01-01T00:00:00Z"))
    );
    terraform.write(&old.replace("2020-01-01T00", "2020-01-01T05"));
    terraform.plan().code(1).says("is older than Zoom keeps");
}

#[test]
fn a_kind_of_authorization_that_is_not_known_yet_is_no_mistake() {
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    let source = |authorization: &str| {
        format!(
            "resource \"terraform_data\" \"kind\" {{\n  input = \"authorization_code\"\n}}\n\nresource \
             \"zoom_log_source\" \"corp\" {{\n  name = \"n\"\n  authorization = {authorization}\n  client_id = \"c\"\n  \
             client_secret = var.secret\n}}\n"
        )
    };
    terraform.write(&source("\"server_to_server\""));
    terraform.plan().code(1).says("`account_id` must be set with");
    // Only one of the two kinds needs the account, so nothing can be said before it is known which one it is.
    terraform.write(&source("terraform_data.kind.output"));
    terraform.plan().code(2).says("2 to add");
    terraform.apply().code(0);
    terraform.plan().code(0);
}

#[test]
fn an_engine_that_is_away_or_refuses_the_token_is_said_plainly() {
    let engine = Engine::start();
    let mut terraform = Terraform::new(&engine);
    terraform.write(&format!(
        "provider \"zoom\" {{\n  engine_token = \"another\"\n}}\n{SOURCE}"
    ));
    terraform.apply().code(1).says("The token is missing or wrong");
    terraform.write(&format!(
        "provider \"zoom\" {{\n  engine_url = \"gopher://x\"\n}}\n{SOURCE}"
    ));
    terraform.plan().code(1).says("is not an `http` or `https` URL");
    terraform.write(&format!(
        "provider \"zoom\" {{\n  engine_url = \"\"\n}}\n{SOURCE}"
    ));
    terraform.set("ZOOM_LOG_ENGINE_URL", "");
    terraform.plan().code(1).says("Set `engine_url`");
}
