//! What a plan already knows: another engine, credentials that Zoom refuses, sources that are refused.

use serde_json::json;

use crate::{
    engine::Engine,
    terraform::{Feature, Terraform, lacks},
};

const SOURCE: &str = r#"
resource "zoom_log_source" "corp" {
  name          = "corp"
  account_id    = "a"
  client_id     = "c"
  client_secret = var.secret
}
"#;

#[test]
fn another_engine_is_an_error_before_anything_is_planned() {
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(SOURCE);
    terraform.apply().code(0);
    assert!(terraform.state().contains("\"engine_id\": \"eng_one\""));

    "eng_two".clone_into(&mut engine.catalog().engine_id);
    let before = engine.catalog().objects.clone();
    let words =
        "The source is on the engine `eng_one`, and the provider is configured for the engine `eng_two`";
    for arguments in [
        &["plan", "-no-color"][..],
        &["plan", "-no-color", "-refresh-only"],
        &["plan", "-no-color", "-refresh=false"],
        &["plan", "-no-color", "-refresh=false", "-destroy"],
        &["destroy", "-no-color", "-auto-approve"],
    ] {
        engine.requests();
        let outcome = terraform
            .run(arguments)
            .code(1)
            .says(words)
            .says("terraform state rm");
        assert!(
            !outcome.text.contains("Terraform will perform"),
            "{}",
            outcome.text
        );
        let asked = engine.requests();
        assert!(
            asked.iter().all(|request| request == "GET /v1/engine"),
            "{asked:?}"
        );
    }
    assert_eq!(format!("{before:?}"), format!("{:?}", engine.catalog().objects));
}

#[test]
fn what_zoom_refuses_fails_the_plan_at_its_attribute() {
    let engine = Engine::start();
    let mut terraform = Terraform::new(&engine);
    terraform.write(&SOURCE.replace("\"a\"", "\"nobody\""));
    terraform
        .plan()
        .code(1)
        .says("Zoom does not know the account")
        .says("account_id = \"nobody\"")
        .says("Request id: `req-7`");
    // Who says not to verify is not asked.
    terraform.write(&SOURCE.replace("\"a\"", "\"nobody\"\n  verify = false"));
    terraform.plan().code(2);

    terraform.write(SOURCE);
    terraform.apply().code(0);
    engine.requests();
    terraform.write(&SOURCE.replace("\"corp\"\n", "\"renamed\"\n"));
    terraform.plan().code(2);
    let asked = |engine: &Engine| {
        let requests = engine.requests();
        requests
            .iter()
            .filter(|request| request.ends_with(":try"))
            .count()
    };
    assert_eq!(asked(&engine), 0, "nothing changes that Zoom judges");
    if lacks(Feature::WriteOnly) {
        return;
    }
    terraform.secret("wrong");
    let outcome = terraform
        .plan()
        .code(1)
        .says("Zoom refuses the client id or secret");
    assert!(!outcome.text.contains("secret-marker"), "{}", outcome.text);
    assert_eq!(asked(&engine), 1);
}

#[test]
fn credentials_that_cannot_be_tried_out_now_are_a_warning() {
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    engine.catalog().away = true;
    terraform.write(SOURCE);
    terraform
        .plan()
        .code(2)
        .says("Warning: The source's credentials are not checked yet")
        .says("1 to add");
}

#[test]
fn a_source_that_is_refused_is_warned_of_in_the_plan() {
    let engine = Engine::start();
    let terraform = Terraform::new(&engine);
    terraform.write(SOURCE);
    terraform.apply().code(0);
    let id = engine.catalog().objects.keys().next().unwrap().clone();
    let trouble = |log_type: &str, health: &str, code: &str| {
        json!({
            "source_id": id,
            "log_type": log_type,
            "health": health,
            "trouble": { "code": code, "detail": "add the scope in Zoom", "since": "2026-01-02T03:04:05Z" },
        })
    };
    engine.catalog().troubles = vec![trouble("operation", "degraded", "zoom_unavailable")];
    let calm = terraform.plan().code(0);
    assert!(
        !calm.text.contains("collects nothing"),
        "it may pass by itself: {}",
        calm.text
    );
    engine.catalog().troubles = ["operation", "activity"]
        .map(|log_type| trouble(log_type, "failing", "zoom_missing_scope"))
        .to_vec();
    terraform
        .plan()
        .code(0)
        .says("Of the source `corp`, what is collected as operation and activity has been refused since 2026-01-02 03:04 UTC.")
        .says("Add the scope in Zoom.")
        .says("`docs/errors/zoom_missing_scope.md`");
}
