//! Workload identity: a pipeline without a stored secret, its platform's word, and what the engine makes of it.

use e2e::{
    issuer::{Issuer, REQUEST_TOKEN},
    terraform::Terraform,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{PROVIDER, Stage};

const AUDIENCE: &str = "zoom-logs";
const IDENTITY: &str = "ZOOM_LOG_ENGINE_IDENTITY";

struct Scene {
    stage: Stage,
    issuer: Issuer,
}

impl Scene {
    async fn set() -> Self {
        let issuer = Issuer::start().await;
        let rules = json!([
            {
                "name": "apply", "issuer": issuer.url(), "audience": AUDIENCE, "scope": "write", "max_ttl": "10m",
                "subjects": ["repo:acme/infra:ref:refs/heads/main"], "claims": { "repository_owner": "acme" },
            },
            {
                "name": "plan", "issuer": issuer.url(), "audience": AUDIENCE, "scope": "read", "max_ttl": "10m",
                "subjects": ["repo:acme/infra:*"],
            },
        ]);
        let stage = Stage::set_with(&[("auth.issuers", &rules.to_string())]).await;
        Self { stage, issuer }
    }

    async fn exchange(&self, token: &str) -> e2e::http::Answer {
        let body = json!({ "subject_token": token });
        self.stage
            .engine
            .ask(Method::POST, "/v1/tokens/exchange", Some(&body))
            .await
    }

    /// Terraform without a token, and a destination to apply.
    fn terraform(&self) -> Terraform {
        let mut terraform = self.stage.terraform();
        terraform.set("ZOOM_LOG_ENGINE_TOKEN", "");
        terraform.write(
            "main.tf",
            &format!(
                "{PROVIDER}\nresource \"zoom_log_destination\" \"lake\" {{\n  name = \"lake\"\n  file = {{ path = \"lake\" }}\n}}\n"
            ),
        );
        terraform
    }
}

fn in_github(terraform: &mut Terraform, issuer: &Issuer) {
    terraform.set(IDENTITY, "github_actions");
    terraform.set("ZOOM_LOG_ENGINE_IDENTITY_AUDIENCE", AUDIENCE);
    terraform.set("ACTIONS_ID_TOKEN_REQUEST_URL", &issuer.request_url());
    terraform.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", REQUEST_TOKEN);
}

#[tokio::test]
async fn a_job_of_each_platform_applies_without_a_stored_secret() {
    let scene = Scene::set().await;
    let mut github = scene.terraform();
    in_github(&mut github, &scene.issuer);
    let trace = github.trace();
    github.apply().await;
    github.assert_settled().await;
    github.destroy().await;
    let log = std::fs::read_to_string(trace).unwrap();
    assert!(!log.contains("zle_") && !log.contains(REQUEST_TOKEN));

    let token = scene.issuer.token(AUDIENCE, json!({}));
    for (platform, variable) in [
        ("gitlab", "ZOOM_LOG_ENGINE_ID_TOKEN"),
        ("hcp_terraform", "TFC_WORKLOAD_IDENTITY_TOKEN"),
    ] {
        let mut terraform = scene.terraform();
        terraform.set(IDENTITY, platform);
        terraform.set(variable, &token);
        terraform.apply().await;
        terraform.destroy().await;
    }
    let mut named = scene.terraform();
    named.set(IDENTITY, "gitlab");
    named.set("ZOOM_LOG_ENGINE_IDENTITY_TOKEN_VARIABLE", "MY_TOKEN");
    named.set("MY_TOKEN", &token);
    named.apply().await;
    // A plan can ask for less than its rules give, and then an apply is refused.
    named.set("ZOOM_LOG_ENGINE_IDENTITY_SCOPE", "read");
    named.assert_settled().await;
    let ran = named.run(&["destroy", "-auto-approve", "-no-color"]).await;
    assert!(
        ran.code == Some(1) && ran.all().contains("insufficient_scope"),
        "{}",
        ran.all()
    );

    let page = scene.stage.engine.client().tokens(None).await.unwrap();
    assert!(page.items.iter().all(|token| {
        let identity = token.identity.as_ref().unwrap();
        identity.issuer == scene.issuer.url() && token.expires_at.is_some()
    }));
}

#[tokio::test]
async fn a_token_from_a_file_is_read_anew_in_each_run() {
    let scene = Scene::set().await;
    let mut terraform = scene.terraform();
    let file = terraform.path("token");
    terraform.set("ZOOM_LOG_ENGINE_TOKEN_FILE", &file.to_string_lossy());
    let errors = terraform.failing_apply().await;
    assert!(format!("{errors:?}").contains("cannot be read"), "{errors:?}");
    std::fs::write(&file, format!("{}\n", scene.stage.engine.token())).unwrap();
    terraform.apply().await;
    std::fs::write(&file, "zle_another-token-than-the-engines").unwrap();
    let ran = terraform.run(&["plan", "-no-color"]).await;
    assert!(ran.all().contains("unauthorized"), "{}", ran.all());
    assert!(!ran.all().contains("another-token"));
}

#[tokio::test]
async fn what_a_pipeline_lacks_is_said() {
    let scene = Scene::set().await;
    let mut terraform = scene.terraform();
    let said = async |terraform: &Terraform, words: &[&str]| {
        let text = format!("{:?}", terraform.failing_apply().await);
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
    };
    said(&terraform, &["engine_token_file", "`identity`"]).await;
    terraform.set(IDENTITY, "github_actions");
    said(&terraform, &["id-token: write"]).await;
    in_github(&mut terraform, &scene.issuer);
    terraform.set("ZOOM_LOG_ENGINE_IDENTITY_AUDIENCE", "somebody-else");
    said(&terraform, &["identity_refused", "`aud`", "Request id"]).await;
    terraform.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong");
    said(&terraform, &["GitHub answers with the status 401"]).await;
    terraform.set(IDENTITY, "hcp_terraform");
    said(
        &terraform,
        &["TFC_WORKLOAD_IDENTITY_TOKEN", "TFC_WORKLOAD_IDENTITY_AUDIENCE"],
    )
    .await;
}

#[tokio::test]
async fn the_engine_takes_only_what_its_rules_take() {
    let scene = Scene::set().await;
    let refused = async |token: &str, words: &str| {
        let problem = scene.exchange(token).await.expect(401).json();
        assert_eq!(problem["code"], "identity_refused", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    };
    let token = |audience: &str, change: Value| scene.issuer.token(audience, change);
    refused(&token("somebody-else", json!({})), "`aud`").await;
    refused(&token(AUDIENCE, json!({ "sub": "repo:evil/infra:x" })), "`sub`").await;
    refused(&token(AUDIENCE, json!({ "exp": 1_700_000_000 })), "expired").await;
    refused(
        &token(AUDIENCE, json!({ "iss": "http://127.0.0.1:1" })),
        "not one that",
    )
    .await;
    refused(&scene.issuer.forged(AUDIENCE), "fits none").await;
    let (_, payload) = token(AUDIENCE, json!({}))
        .split_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let (payload, _) = payload.rsplit_once('.').unwrap();
    // {"alg":"none"}
    refused(&format!("eyJhbGciOiJub25lIn0.{payload}."), "another algorithm").await;

    let good = scene
        .exchange(&token(AUDIENCE, json!({})))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&good["scope"], &good["token_type"]),
        (&json!("write"), &json!("Bearer"))
    );
    assert_eq!(scene.issuer.asked(), 1, "the keys are kept");
}

#[tokio::test]
async fn a_rotated_key_is_found_and_an_issuer_that_is_down_is_told() {
    let scene = Scene::set().await;
    let Scene { stage, issuer } = scene;
    let exchange = async |token: &str| {
        let body = json!({ "subject_token": token });
        stage
            .engine
            .ask(Method::POST, "/v1/tokens/exchange", Some(&body))
            .await
    };
    let old = issuer.token(AUDIENCE, json!({}));
    exchange(&old).await.expect(200);
    issuer.rotate();
    let new = issuer.token(AUDIENCE, json!({}));
    e2e::wait::until(super::LATE, "the new key to be found", async || {
        let answer = exchange(&new).await;
        if answer.status == 200 {
            Ok(())
        } else {
            Err(answer.text())
        }
    })
    .await;
    e2e::wait::until(super::LATE, "the old key to be forgotten", async || {
        let answer = exchange(&old).await;
        if answer.status == 401 {
            Ok(())
        } else {
            Err(answer.text())
        }
    })
    .await;
    // The keys at hand serve on when the platform is away, and another engine has none.
    let url = issuer.url().to_owned();
    drop(issuer);
    exchange(&new).await.expect(200);
    let rules = json!([{
        "name": "plan", "issuer": url, "audience": AUDIENCE, "scope": "read", "subjects": ["repo:acme/infra:**"],
    }]);
    let other = Stage::set_with(&[("auth.issuers", &rules.to_string())]).await;
    let body = json!({ "subject_token": new });
    let answer = other
        .engine
        .ask(Method::POST, "/v1/tokens/exchange", Some(&body))
        .await;
    assert_eq!(answer.expect(503).json()["code"], "issuer_unavailable");
}
