//! Tokens for the engine's API: what each scope is enough for, how they end, and what a change of address needs.

use e2e::{
    http,
    receiver::Receiver,
    terraform::{Feature, lacks},
};
use engine_api::{NewToken, Scope, TokenRequest};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Applied, HOOK, PROVIDER, Stage};

const ENGINE_TOKEN: &str = "ZOOM_LOG_ENGINE_TOKEN";

async fn token(stage: &Stage, scope: Scope) -> NewToken {
    let request = TokenRequest {
        name: format!("for {scope}"),
        scope,
        expires_at: None,
        ttl: Some("1h".parse().unwrap()),
    };
    stage.engine.client().create_token(&request).await.unwrap()
}

#[tokio::test]
async fn a_token_that_can_only_read_is_enough_for_a_plan_and_not_for_an_apply() {
    let mut applied = Applied::new().await;
    let (read, write) = (
        token(&applied.stage, Scope::Read).await,
        token(&applied.stage, Scope::Write).await,
    );
    applied.terraform.set(ENGINE_TOKEN, read.token.expose());
    applied.terraform.assert_settled().await;
    applied.hcl.set("name", r#""Renamed""#);
    applied.write();
    assert_eq!(applied.terraform.plan().await.ran.code, Some(2));
    let errors = applied.terraform.failing_apply().await;
    let text = format!("{errors:?}");
    assert!(
        text.contains("insufficient_scope") && text.contains("the scope `write`"),
        "{text}"
    );
    assert!(!text.contains(read.token.expose()));

    applied.terraform.set(ENGINE_TOKEN, write.token.expose());
    applied.terraform.apply().await;
    applied.terraform.assert_settled().await;
    applied.terraform.destroy().await;
    let listed = applied.stage.engine.client().token(read.view.id.as_str()).await;
    assert!(listed.unwrap().unwrap().last_used_at.is_some());
}

#[tokio::test]
async fn a_revoked_token_is_refused_by_the_next_request_and_wrong_ones_are_slowed_down() {
    let stage = Stage::set().await;
    let ask = async |token: &str| {
        let request = http::client()
            .get(format!("{}/v1/engine", stage.engine.url()))
            .bearer_auth(token);
        request.send().await.unwrap()
    };
    let made = token(&stage, Scope::Read).await;
    assert_eq!(ask(made.token.expose()).await.status(), 200);
    assert!(
        stage
            .engine
            .client()
            .revoke_token(made.view.id.as_str())
            .await
            .unwrap()
    );
    assert_eq!(ask(made.token.expose()).await.status(), 401);

    let kept = token(&stage, Scope::Read).await;
    let mut statuses = Vec::new();
    for _ in 0..30 {
        statuses.push(ask("not-a-token-of-this-engine").await.status().as_u16());
    }
    assert!(statuses.starts_with(&[401; 10]), "{statuses:?}");
    let last = ask("not-a-token-of-this-engine").await;
    assert_eq!(last.status(), 429, "{statuses:?}");
    assert!(last.headers().contains_key("retry-after"));
    assert_eq!(ask(kept.token.expose()).await.status(), 200);
}

#[tokio::test]
async fn another_server_gets_a_secret_only_when_it_is_sent_again() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let mut applied = Applied::new().await;
    let (id, stranger) = (applied.id(HOOK).await, Receiver::start().await);
    // Whoever may write, and does not know the secret, cannot have it sent to a server of their own.
    let path = format!("/v1/destinations/{id}");
    let mut spec = applied.stage.engine.get(&path).await["spec"].take();
    spec["http"]["url"] = json!(stranger.url());
    let refused = applied.stage.engine.ask(Method::PUT, &path, Some(&spec)).await;
    let problem = refused.expect(422).json();
    assert_eq!(
        (&problem["code"], &problem["field"]),
        (&json!("secret_not_resent"), &json!("http.bearer_token")),
        "{problem:#}"
    );
    assert!(stranger.received().is_empty());
    applied.terraform.assert_settled().await;

    // Terraform, which has it, sends it with the new address, also under a version that stays the same.
    for version in ["", "  secrets_version = \"1\"\n"] {
        let next = Receiver::start().await;
        let hcl = super::Hcl::new(&next, &applied.channel).text();
        let named = "  name = \"siem-hook\"\n";
        assert!(hcl.contains(named));
        let hcl = hcl.replace(named, &format!("{named}{version}"));
        if !version.is_empty() {
            let settled = hcl.replace(&next.url().to_owned(), applied.hook.url());
            applied.terraform.write("main.tf", &settled);
            applied.terraform.apply().await;
            applied.terraform.assert_settled().await;
        }
        applied.terraform.write("main.tf", &hcl);
        applied.terraform.apply().await;
        applied.terraform.assert_settled().await;
        let stored = json!({ "http.bearer_token": "hook-token-one" });
        let client = applied.stage.engine.client();
        let compared = client
            .compare(engine_api::Kind::Destination, &id, &stored)
            .await
            .unwrap();
        assert!(compared.matches["http.bearer_token"]);
        applied.hook = next;
    }
}

#[tokio::test]
async fn a_token_of_a_run_is_used_renewed_and_revoked_with_it() {
    if lacks(Feature::Ephemeral) {
        return;
    }
    let stage = Stage::set().await;
    let own = token(&stage, Scope::Write).await;
    let mut terraform = stage.terraform();
    terraform.set(ENGINE_TOKEN, own.token.expose());
    let trace = terraform.trace();
    // The run lasts beyond the token's first end, so without a renewal the second request would be refused.
    terraform.write(
        "main.tf",
        &format!(
            r#"{PROVIDER}
ephemeral "zoom_log_engine_token" "run" {{
  name  = "this run"
  scope = "read"
  ttl   = "10s"
}}

resource "terraform_data" "use" {{
  provisioner "local-exec" {{
    command = <<-EOT
      set -eu
      ask() {{ curl -sS -o /dev/null -w '%%{{http_code}}\n' -H "Authorization: Bearer $TOKEN" "$URL/v1/engine"; }}
      ask >>statuses
      sleep 11
      ask >>statuses
    EOT
    environment = {{
      TOKEN = ephemeral.zoom_log_engine_token.run.token
      URL   = "{}"
    }}
  }}
}}
"#,
            stage.engine.url()
        ),
    );
    terraform.variable("zoom_client_secret", "unused");
    terraform.apply().await;
    let statuses = std::fs::read_to_string(terraform.path("statuses")).unwrap();
    assert_eq!(statuses, "200\n200\n");
    let page = stage.engine.client().tokens(None).await.unwrap();
    let of_run: Vec<_> = page
        .items
        .iter()
        .filter(|token| token.name == "this run")
        .collect();
    assert!(!of_run.is_empty());
    for token in of_run {
        assert!(token.revoked_at.is_some(), "{token:?}");
        assert_eq!(token.created_by.as_ref(), Some(&own.view.id));
    }
    let state = std::fs::read_to_string(terraform.path("terraform.tfstate")).unwrap();
    let log = std::fs::read_to_string(trace).unwrap();
    assert!(!state.contains("zle_"));
    assert!(!log.contains(own.token.expose()));

    // More than the provider's own token may do is refused at its attribute.
    let more = terraform_text(&terraform).replace(r#"scope = "read""#, r#"scope = "admin""#);
    terraform.write("main.tf", &more);
    let errors: Vec<Value> = terraform.failing_apply().await;
    let text = format!("{errors:?}");
    assert!(text.contains("is more than the token `for write` has"), "{text}");
}

fn terraform_text(terraform: &e2e::terraform::Terraform) -> String {
    std::fs::read_to_string(terraform.path("main.tf")).unwrap()
}
