//! What Zoom refuses fails the apply at the right attribute, in words that help, and leaves nothing behind.

use e2e::{
    receiver::Receiver,
    sim::{App, Behaviour, Permissions, Plan, ScopeRefusal},
    terraform::{Feature, Terraform, lacks},
};
use serde_json::{Value, json};

use super::{ACCOUNT, Applied, CHANNEL, CLIENT, Hcl, LAKE, Stage};

struct Refused {
    stage: Stage,
    terraform: Terraform,
    hcl: Hcl,
}

impl Refused {
    async fn new() -> Self {
        let receiver = Receiver::start().await;
        let stage = Stage::set().await;
        let terraform = stage.terraform();
        let hcl = Hcl::new(&receiver, &receiver);
        Self {
            stage,
            terraform,
            hcl,
        }
    }

    /// Applies, and expects one error whose source line holds `attribute` and whose text holds `words`.
    async fn at(&self, attribute: &str, words: &[&str]) -> Value {
        self.terraform.write("main.tf", &self.hcl.text());
        let mut errors = self.terraform.failing_apply().await;
        assert_eq!(errors.len(), 1, "{errors:#?}");
        let error = errors.remove(0);
        let line = error["snippet"]["code"].as_str().unwrap_or_default();
        assert!(
            line.trim_start().starts_with(attribute),
            "not at `{attribute}`: {error:#}"
        );
        let text = format!("{} {}", error["summary"], error["detail"]);
        for word in words {
            assert!(text.contains(word), "`{word}` is not in {error:#}");
        }
        assert!(
            self.stage.engine.list("sources").await.is_empty(),
            "a source was left behind"
        );
        error
    }
}

#[tokio::test]
async fn a_wrong_secret() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let mut refused = Refused::new().await;
    refused.terraform.variable("zoom_client_secret", "not-the-secret");
    let error = refused.at("client_secret", &["zoom_invalid_credentials"]).await;
    assert!(!error.to_string().contains("not-the-secret"), "{error:#}");
    // With the right one, the same configuration is applied.
    refused.terraform.variable("zoom_client_secret", super::SECRET);
    refused.terraform.apply().await;
    refused.terraform.assert_settled().await;
}

#[tokio::test]
async fn an_unknown_account() {
    let mut refused = Refused::new().await;
    refused.hcl.set("account_id", r#""nobody""#);
    refused.at("account_id", &["zoom_unknown_account"]).await;
}

#[tokio::test]
async fn an_app_that_is_disabled_or_of_another_kind() {
    let refused = Refused::new().await;
    refused.stage.sim.change_app(CLIENT, |app| app.disabled = true);
    refused.at("client_id", &["zoom_app_disabled"]).await;
    refused.stage.sim.change_app(CLIENT, |app| {
        app.disabled = false;
        app.server_to_server = false;
    });
    refused
        .at("client_id", &["zoom_wrong_app_type", "Server-to-Server"])
        .await;
}

#[tokio::test]
async fn a_scope_that_is_missing_is_named() {
    let refused = Refused::new().await;
    let only = |scope: &str| vec![scope.to_owned()];
    let granular = [
        "report:read:operation_logs:admin",
        "report:read:user_activities:admin",
    ];
    refused
        .stage
        .sim
        .change_app(CLIENT, |app| app.scopes = only(granular[0]));
    refused.at("", &["zoom_missing_scope", granular[1]]).await;
    refused
        .stage
        .sim
        .change_app(CLIENT, |app| app.scopes = only(granular[1]));
    for form in [ScopeRefusal::Named, ScopeRefusal::Older, ScopeRefusal::Malformed] {
        refused
            .stage
            .sim
            .tune(ACCOUNT, |behaviour| behaviour.scope_refusal = form);
        refused.at("", &["zoom_missing_scope", granular[0]]).await;
    }
}

#[tokio::test]
async fn each_log_type_that_is_refused_is_told_by_itself() {
    let refused = Refused::new().await;
    let words = |errors: &[Value]| -> Vec<(String, String)> {
        errors
            .iter()
            .map(|error| {
                let line = error["snippet"]["code"].as_str().unwrap_or_default();
                assert!(line.trim_start().starts_with("log_types"), "{error:#}");
                let word = |member: &str| error[member].as_str().unwrap().to_owned();
                (word("summary"), word("detail"))
            })
            .collect()
    };
    let told = |errors: &[(String, String)], summary: &str, detail: [&str; 2]| {
        errors.iter().any(|(title, text)| {
            let ends = format!("Code: `{}`. Request id", detail[1]);
            title == summary && text.starts_with("The ") && text.contains(detail[0]) && text.contains(&ends)
        })
    };

    refused.terraform.write("main.tf", &refused.hcl.text());
    refused
        .stage
        .sim
        .change_app(CLIENT, |app| app.scopes = Vec::new());
    let errors = words(&refused.terraform.failing_apply().await);
    assert_eq!(errors.len(), 2, "{errors:#?}");
    let title = "The Zoom app lacks a scope";
    for scope in ["operation_logs", "user_activities"] {
        assert!(told(&errors, title, [scope, "zoom_missing_scope"]), "{errors:#?}");
    }

    // For two reasons, each with its own title and code.
    let permissions = Permissions {
        sign_in_sign_out: false,
        ..Permissions::default()
    };
    refused.stage.sim.change_app(CLIENT, |app| {
        app.scopes = vec!["report:read:user_activities:admin".to_owned()];
    });
    refused
        .stage
        .sim
        .tune(ACCOUNT, |behaviour| behaviour.permissions = permissions);
    let errors = words(&refused.terraform.failing_apply().await);
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(
        told(&errors, title, ["operation_logs", "zoom_missing_scope"]),
        "{errors:#?}"
    );
    let permission = ["activity report", "zoom_missing_permission"];
    assert!(
        told(&errors, "The Zoom role lacks a permission", permission),
        "{errors:#?}"
    );
}

#[tokio::test]
async fn a_role_permission_or_a_plan_that_is_too_small() {
    let refused = Refused::new().await;
    let permissions = Permissions {
        sign_in_sign_out: false,
        ..Permissions::default()
    };
    refused
        .stage
        .sim
        .tune(ACCOUNT, |behaviour| behaviour.permissions = permissions);
    refused
        .at("", &["zoom_missing_permission", "Sign In/Sign Out"])
        .await;
    refused.stage.sim.put_account(
        ACCOUNT,
        Behaviour {
            plan: Plan::Free,
            ..Behaviour::default()
        },
    );
    refused.at("", &["zoom_plan_too_low"]).await;
}

#[tokio::test]
async fn a_spec_that_breaks_a_rule_fails_before_anything_is_made() {
    let mut refused = Refused::new().await;
    refused.hcl.set("poll_interval", r#""5s""#);
    refused.terraform.write("main.tf", &refused.hcl.text());
    let report = refused.terraform.validate().await;
    assert_eq!(report["valid"], false, "{report:#}");
    let line = report["diagnostics"][0]["snippet"]["code"].as_str().unwrap();
    assert!(line.contains("poll_interval"), "{report:#}");
    assert!(refused.stage.engine.list("destinations").await.is_empty());
}

#[tokio::test]
async fn without_a_check_a_source_is_taken_and_its_status_says_what_is_wrong() {
    let mut refused = Refused::new().await;
    let secret = |secret: &str| {
        let secret = secret.to_owned();
        move |app: &mut App| app.client_secret = secret
    };
    refused.stage.sim.change_app(CLIENT, secret("another-secret"));
    refused.hcl.set("verify", "false");
    refused.terraform.write("main.tf", &refused.hcl.text());
    refused.terraform.apply().await;
    let source = refused.stage.engine.list("sources").await.remove(0);
    let id = source["id"].as_str().unwrap();
    let failing = |status: &Value| status["health"] == "failing";
    let status = refused.stage.engine.source_status(id, super::LATE, failing).await;
    assert_eq!(
        status["feeds"][0]["trouble"]["code"], "zoom_invalid_credentials",
        "{status:#}"
    );
    // A refused secret is no reason to knock again and again.
    let asked = refused.stage.sim.counters().requests["/oauth/token"].clone();
    assert!(asked.values().sum::<u64>() < 20, "{asked:?}");

    let check = refused.stage.engine.client().check_source(id).await.unwrap();
    assert!(!check.ok);
    refused.stage.sim.change_app(CLIENT, secret(super::SECRET));
    assert!(refused.stage.engine.client().check_source(id).await.unwrap().ok);
}

#[tokio::test]
async fn what_somebody_still_uses_is_not_deleted_and_its_users_are_named() {
    let applied = Applied::new().await;
    let (lake, channel) = (applied.id(LAKE).await, applied.id(CHANNEL).await);
    let alarm = json!({"after": "24h", "channel_ids": [channel]});
    let user = json!({"name": "made by hand", "drop_off_alarm": alarm});
    let user = applied.stage.source(&[&lake], user).await;
    let ran = applied
        .terraform
        .run(&["destroy", "-auto-approve", "-no-color"])
        .await;
    assert_eq!(ran.code, Some(1), "{}", ran.all());
    let words: Vec<&str> = ran
        .stderr
        .split_whitespace()
        .filter(|word| *word != "│")
        .collect();
    let text = words.join(" ");
    for kind in ["destination", "alarm channel"] {
        let told =
            format!("The {kind} is still used by the source `made by hand`: take it out of there first");
        assert!(text.contains(&told), "{told} is not in {}", ran.all());
    }
    assert_eq!(applied.id(LAKE).await, lake);
    applied.stage.engine.delete("sources", &user).await;
    applied.terraform.destroy().await;
}
