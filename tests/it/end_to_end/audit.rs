//! The audit log of a real run: who applied what, from what to what, without a secret, and still there after a crash.

use e2e::{
    leak::Hunt,
    terraform::{Feature, lacks},
};
use engine_api::{ActorKind, AuditQuery, Scope, TokenRequest};

use super::{Applied, HOOK, SECRET};

#[tokio::test]
async fn an_apply_is_told_whole_and_holds_no_secret() {
    if lacks(Feature::WriteOnly) {
        return;
    }
    let mut applied = Applied::new().await;
    let request = TokenRequest {
        name: "pipeline".to_owned(),
        scope: Scope::Write,
        expires_at: None,
        ttl: Some("1h".parse().unwrap()),
    };
    let made = applied
        .stage
        .engine
        .client()
        .create_token(&request)
        .await
        .unwrap();
    applied
        .terraform
        .set("ZOOM_LOG_ENGINE_TOKEN", made.token.expose());
    let hook = applied.id(HOOK).await;
    let text = applied.hcl.text().replace("hook-token-one", "hook-token-two");
    applied.terraform.write("main.tf", &text);
    applied.terraform.apply().await;
    applied.stage.engine.kill_and_restart().await;

    let client = applied.stage.engine.client();
    let by_pipeline = AuditQuery {
        token_id: Some(made.view.id.clone()),
        ..AuditQuery::default()
    };
    let entries = client.audit(&by_pipeline).await.unwrap().items;
    assert_eq!(
        entries.len(),
        1,
        "an apply of one change is one entry: {entries:?}"
    );
    let entry = &entries[0];
    assert_eq!(
        (&*entry.action, entry.target.as_deref()),
        ("destination.update", Some(&*hook))
    );
    assert_eq!(
        (entry.actor.kind, &*entry.actor.name),
        (ActorKind::Token, "pipeline")
    );
    assert_eq!(entry.actor.address.as_deref(), Some("127.0.0.1"));
    let (before, after) = (entry.before.as_ref().unwrap(), entry.after.as_ref().unwrap());
    assert_eq!(before["spec"], after["spec"]);
    assert_ne!(before["credential_fingerprint"], after["credential_fingerprint"]);
    // The request that it names is the one in the engine's log.
    assert!(
        applied
            .stage
            .engine
            .log()
            .contains(entry.request_id.as_deref().unwrap())
    );

    let everything = client.audit(&AuditQuery::default()).await.unwrap().items;
    assert!(everything.len() >= 6, "{everything:?}");
    let text = serde_json::to_vec(&everything).unwrap();
    let hunt = Hunt::new([
        ("the source's secret", SECRET),
        ("the hook's token", "hook-token-one"),
        ("the hook's new token", "hook-token-two"),
        ("the pipeline's token", made.token.expose()),
        ("the administrator's token", &*applied.stage.engine.token()),
    ]);
    let found = hunt.in_bytes("the audit log", &text);
    assert!(found.is_empty(), "{found:?}");
}
