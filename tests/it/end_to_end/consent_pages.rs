//! The pages of a consent in a real browser, every way in which one ends, and the search for what may not stay.

use e2e::{
    browser::Browser,
    leak::Hunt,
    sim::{Fault, FaultRule},
    terraform::{Feature, lacks},
    visitor::Visitor,
};
use serde_json::json;

use super::{ACCOUNT, CLIENT, PROVIDER, SECRET, consent::Consented};

#[tokio::test]
async fn a_consent_in_a_real_browser() {
    let scene = Consented::set(&[]).await;
    let source = scene.source(json!({"name": "<b>corp</b> & more"})).await;
    let browser = Browser::start().await;
    browser.open(&scene.link(&source)).await;
    assert_eq!(browser.title().await, "Let the engine read Zoom's logs");
    let shown = browser.shown().await;
    for text in [
        "<b>corp</b> & more",
        "report:read:operation_logs:admin",
        "Sign In/Sign Out",
        "service account",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    // The policy lets the page's own style pass.
    assert_eq!(browser.style("a.button", "text-decoration-line").await, "none");

    browser.click("#continue").await;
    assert!(
        browser.url().await.starts_with(&scene.stage.sim.url()),
        "{}",
        browser.url().await
    );
    browser.click("#decline").await;
    assert!(browser.url().await.starts_with(scene.stage.engine.url()));
    let shown = browser.shown().await;
    assert!(
        shown.contains("consent_denied") && shown.contains("docs/errors/consent_denied.md"),
        "{shown}"
    );

    browser.click("#again").await;
    browser.click("#continue").await;
    browser.click(&format!("#allow-{ACCOUNT}")).await;
    assert_eq!(browser.title().await, "The engine is let in to Zoom");
    let shown = browser.shown().await;
    assert_eq!(shown.matches("Verified").count(), 2, "{shown}");
    assert!(shown.contains(ACCOUNT), "{shown}");
    assert_eq!(
        browser.cookies().await,
        Vec::<serde_json::Value>::new(),
        "the cookie is gone"
    );
    scene.until(&source, |status| status["health"] == "ok").await;

    // Loading the page again takes nothing twice.
    let back = browser.url().await;
    browser.open(&back).await;
    let shown = browser.shown().await;
    assert!(shown.contains("consent_mismatch"), "{shown}");
    assert_eq!(scene.status(&source).await["consent"]["state"], "authorized");
    browser.close().await;
}

#[tokio::test]
async fn every_way_in_which_zoom_refuses_is_a_page() {
    let scene = Consented::set(&[]).await;
    let source = scene.source(json!({})).await;
    let link = scene.link(&source);
    let answer = Visitor::new().consent(&link, None).await.expect(403);
    assert!(answer.text().contains("consent_denied"));

    // A code that is too old.
    let mut visitor = Visitor::new();
    let zoom = visitor.begin(&link).await;
    let back = visitor.decide(&zoom, Some(ACCOUNT)).await;
    scene
        .stage
        .sim
        .clock()
        .advance(jiff::SignedDuration::from_mins(6));
    let answer = visitor.open(&back).await.expect(422);
    assert!(answer.text().contains("zoom_code_refused"), "{}", answer.text());

    // What the app's page in Zoom decides.
    let cases = [
        (
            r#"{"reason":"Redirect URI mismatch","error":"invalid_request","code":4709}"#,
            "zoom_redirect_mismatch",
        ),
        (
            r#"{"reason":"unsupported grant type","error":"unsupported_grant_type"}"#,
            "zoom_wrong_app_type",
        ),
        (
            r#"{"reason":"Invalid client_id or client_secret","error":"invalid_client"}"#,
            "zoom_invalid_credentials",
        ),
        (r#"{"reason":"x","error":"y","code":4735}"#, "zoom_owner_gone"),
    ];
    for (body, code) in cases {
        let fault = Fault::Respond {
            status: 400,
            headers: std::collections::BTreeMap::default(),
            body: body.to_owned(),
        };
        scene
            .stage
            .sim
            .inject(FaultRule::next("POST /oauth/token", fault));
        let answer = Visitor::new().consent(&link, Some(ACCOUNT)).await.expect(422);
        assert!(answer.text().contains(code), "{code}: {}", answer.text());
    }
    // Zoom itself shows where the redirect URL is not the app's.
    scene.stage.sim.change_app(CLIENT, |app| {
        app.redirect_urls = vec!["https://elsewhere.example/cb".into()];
    });
    let mut visitor = Visitor::new();
    let zoom = visitor.begin(&link).await;
    assert!(!zoom.contains("scope="), "{zoom}");
    visitor.open(&zoom).await.expect(400);
    assert_eq!(
        scene.status(&source).await["consent"]["state"],
        "pending_authorization"
    );
}

#[tokio::test]
async fn nothing_of_a_consent_is_found_anywhere() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    const MARKER: &str = "MARKERconsentSecret83hQ";
    let mut scene = Consented::set(&[("log.level", "trace")]).await;
    scene
        .stage
        .sim
        .change_app(CLIENT, |app| app.client_secret = MARKER.into());
    let mut terraform = scene.stage.terraform();
    terraform.trace();
    terraform.variable("zoom_client_secret", MARKER);
    terraform.write(
        "main.tf",
        &format!(
            "{PROVIDER}\nresource \"zoom_log_source\" \"corp\" {{\n  name = \"n\"\n  authorization = \
             \"authorization_code\"\n  client_id = \"{CLIENT}\"\n  client_secret = var.zoom_client_secret\n}}\n"
        ),
    );
    let mut seen = vec![terraform.apply().await.all()];
    let source = terraform.attributes(super::SOURCE).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let link = scene.link(&source);
    seen.push(Visitor::new().consent(&link, None).await.text());
    seen.push(scene.consent(&source, ACCOUNT).await);
    scene.until(&source, |status| status["health"] == "ok").await;
    // Renewed, refused, given again.
    scene.stage.sim.revoke_tokens(None);
    scene
        .until(&source, |status| {
            status["health"] == "ok" && scene.stage.sim.counters().refresh_tokens_used > 0
        })
        .await;
    scene.stage.sim.end_consents(CLIENT);
    let void = |status: &serde_json::Value| status["consent"]["state"] == "reauthorization_required";
    seen.push(scene.until(&source, void).await.to_string());
    seen.push(terraform.plan().await.ran.all());
    seen.push(scene.consent(&source, ACCOUNT).await);
    seen.push(terraform.must(&["state", "pull"]).await.all());
    for path in ["/v1/sources", "/metrics"] {
        seen.push(
            scene
                .stage
                .engine
                .ask(reqwest::Method::GET, path, None)
                .await
                .text(),
        );
    }
    scene.stage.engine.stop().await;
    seen.push(scene.stage.engine.log());

    let (minted, given) = (scene.stage.sim.minted_tokens(), scene.stage.sim.consent_secrets());
    assert!(!minted.is_empty() && given.len() >= 8, "{}", given.len());
    let secrets = [("the client secret", MARKER), ("the usual secret", SECRET)];
    let tokens = minted.iter().map(|token| ("an access token", token.as_str()));
    let given = given
        .iter()
        .map(|text| ("a state, code, verifier or refresh token", text.as_str()));
    let hunt = Hunt::new(secrets.into_iter().chain(tokens).chain(given));
    let mut found = Vec::new();
    for (number, text) in seen.iter().enumerate() {
        assert!(!text.is_empty());
        found.extend(hunt.in_bytes(&format!("output {number}"), text.as_bytes()));
    }
    found.extend(hunt.in_directory(scene.stage.engine.data_dir(), &["admin-token", "vault.key"]));
    found.extend(hunt.in_directory(terraform.directory(), &[]));
    assert!(found.is_empty(), "{found:#?}");
}
