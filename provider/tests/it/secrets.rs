//! Secrets: never seen anywhere, and still compared.

use serde_json::json;

use crate::{
    engine::Engine,
    terraform::{Feature, Terraform, lacks},
};

const SOURCE: &str = r#"
resource "zoom_log_source" "corp" {
  name          = "n"
  account_id    = "a"
  client_id     = "c"
  client_secret = var.secret
}
"#;

fn stored_secret(engine: &Engine) -> String {
    engine.catalog().objects.values().next().unwrap().secrets["client_secret"].clone()
}

#[test]
fn a_rotated_secret_is_an_update_in_place() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let engine = Engine::start();
    let mut terraform = Terraform::new(&engine);
    terraform.write(SOURCE);
    terraform.apply().code(0);
    assert!(!terraform.state().contains("secret-marker"));

    terraform.secret("secret-marker-two");
    terraform
        .plan()
        .code(2)
        .says("credential_fingerprint")
        .says("(known after apply)")
        .says("1 to change");
    terraform.apply().code(0);
    assert_eq!(stored_secret(&engine), "secret-marker-two");
    terraform.plan().code(0);
    assert!(!terraform.state().contains("secret-marker"));
}

#[test]
fn a_secret_that_was_changed_at_the_engine_is_drift_and_planned_back() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(SOURCE);
    terraform.apply().code(0);

    let change = |secret: &str| {
        engine.change("src_", |stored| {
            stored
                .secrets
                .insert("client_secret".to_owned(), secret.to_owned());
        });
    };
    change("theirs");
    terraform.drift().code(2).says("credential_fingerprint");
    terraform.plan().code(2).says("1 to change");
    terraform.apply().code(0);
    assert_eq!(stored_secret(&engine), "secret-marker-one");
    terraform.plan().code(0);

    // Without a secret in the configuration there is nothing to plan back.
    terraform.write(&SOURCE.replace("client_secret = var.secret", ""));
    change("theirs");
    terraform.apply().code(0);
    assert_eq!(stored_secret(&engine), "theirs");
}

#[test]
fn a_version_gates_the_sending() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let engine = Engine::start();
    let mut terraform = Terraform::new(&engine);
    let versioned = |version: &str| {
        SOURCE.replace(
            "var.secret",
            &format!("var.secret\n  client_secret_version = \"{version}\""),
        )
    };
    terraform.write(&versioned("1"));
    terraform.apply().code(0);
    engine.requests();

    // New at every run, and still nothing to do.
    terraform.secret("secret-marker-two");
    terraform.plan().code(0);
    assert!(
        !engine
            .requests()
            .iter()
            .any(|request| request.ends_with("compare"))
    );

    // Another attribute changes: the secret is not sent along.
    terraform.write(&versioned("1").replace("\"c\"", "\"d\""));
    terraform.apply().code(0);
    assert_eq!(stored_secret(&engine), "secret-marker-one");

    terraform.write(&versioned("2"));
    terraform.plan().code(2);
    terraform.apply().code(0);
    assert_eq!(stored_secret(&engine), "secret-marker-two");
    terraform.plan().code(0);

    // Changed at the engine: sent although the version is the same.
    engine.change("src_", |stored| {
        stored
            .secrets
            .insert("client_secret".to_owned(), "theirs".to_owned());
    });
    terraform.plan().code(2).says("1 to change");
    terraform.apply().code(0);
    assert_eq!(stored_secret(&engine), "secret-marker-two");
    terraform.plan().code(0);

    // Another version at the engine: nobody knows which secret it stands for, so ours is sent.
    let set_version = |version: &str| {
        engine.change("src_", |stored| {
            stored.spec["client_secret_version"] = json!(version);
        });
    };
    set_version("theirs");
    terraform
        .plan()
        .code(2)
        .says("\"theirs\" -> \"2\"")
        .says("(known after apply)");
    terraform.apply().code(0);
    terraform.plan().code(0);

    // A version that the configuration does not set is planned away, and gates nothing.
    terraform.write(SOURCE);
    terraform.apply().code(0);
    set_version("theirs");
    let outcome = terraform.plan().code(2).says("\"theirs\" -> null");
    assert!(!outcome.text.contains("known after apply"), "{}", outcome.text);
    terraform.apply().code(0);
    terraform.plan().code(0);
}

#[test]
fn nested_secrets_are_compared_each_at_its_field() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let engine = Engine::start();
    let mut terraform = Terraform::new(&engine);
    let hook = r#"
resource "zoom_log_destination" "hook" {
  name = "hook"
  http = {
    url            = "https://siem.example.com/"
    signing_secret = "signing-marker"
    secret_header  = { name = "x-api-key", value = var.secret }
  }
}
"#;
    terraform.write(hook);
    terraform.apply().code(0);
    terraform.plan().code(0);
    assert!(!terraform.state().contains("marker"));

    terraform.secret("header-marker");
    terraform.plan().code(2);
    terraform.apply().code(0);
    let secrets = engine.catalog().objects.values().next().unwrap().secrets.clone();
    assert_eq!(secrets["http.secret_header.value"], "header-marker");
    assert_eq!(secrets["http.signing_secret"], "signing-marker");

    // The whole header goes, and its secret with it.
    let header = "    secret_header  = { name = \"x-api-key\", value = var.secret }\n";
    terraform.write(&hook.replace(header, ""));
    terraform.plan().code(2);
    terraform.apply().code(0);
    terraform.plan().code(0);
    assert_eq!(engine.catalog().objects.values().next().unwrap().secrets.len(), 1);

    // A reference instead of the secret.
    let reference = "signing_secret_ref = \"env:ZOOM_SIGNING\"";
    terraform.write(
        &hook
            .replace(header, "")
            .replace("signing_secret = \"signing-marker\"", reference),
    );
    terraform.apply().code(0);
    terraform.plan().code(0);
}

#[test]
fn no_secret_is_in_a_plan_or_its_output() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(SOURCE);
    let outcome = terraform.run(&["plan", "-no-color", "-out=plan.bin"]).code(0);
    assert!(!outcome.text.contains("marker"));
    let shown = terraform.run(&["show", "-json", "plan.bin"]).code(0);
    assert!(!shown.text.contains("secret-marker") && !shown.text.contains("engine-token-marker"));
    terraform.run(&["apply", "-no-color", "plan.bin"]).code(0);
    assert_eq!(stored_secret(&engine), "secret-marker-one");
}

#[test]
fn what_may_turn_out_to_have_secrets_leaves_the_fingerprint_open() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(
        "resource \"zoom_log_destination\" \"hook\" {\n  name = \"hook\"\n  file = { path = \"hook\" }\n}\n",
    );
    terraform.apply().code(0);
    terraform.write(
        r#"
resource "terraform_data" "late" {
  input = "http"
}

resource "zoom_log_destination" "hook" {
  name = "hook"
  http = terraform_data.late.output == "http" ? { url = "https://siem.example.com/", bearer_token = "marker" } : null
}
"#,
    );
    terraform
        .plan()
        .code(2)
        .says("+ credential_fingerprint = (known after apply)");
    terraform.apply().code(0);
    terraform.plan().code(0);
}
