//! What Zoom, the network and a crash can do to a consent: nothing is used twice, nothing is lost that need not be, and
//! what is lost is told at once.

use e2e::{
    receiver::Receiver,
    sim::{Fault, FaultRule, Permissions},
    visitor::Visitor,
    wait,
};
use serde_json::json;

use super::{
    ACCOUNT, CLIENT, LATE, SECRET,
    consent::{Consented, OTHER, report_requests},
};

fn state_is(state: &'static str) -> impl Fn(&serde_json::Value) -> bool {
    move |status| status["consent"]["state"] == state
}

#[tokio::test]
async fn each_refresh_token_is_used_once_by_two_feeds_and_over_a_kill() {
    let mut scene = Consented::set(&[]).await;
    // Good for two seconds: each poll of either feed finds it ended, or about to.
    scene.stage.sim.change_app(CLIENT, |app| app.token_life_secs = 3);
    scene.stage.show(40, 600);
    let source = scene.source(json!({})).await;
    scene.consent(&source, ACCOUNT).await;
    scene.collected(&source).await;
    let used = |scene: &Consented| scene.stage.sim.counters().refresh_tokens_used;
    scene.until(&source, |_| used(&scene) >= 4).await;
    scene.stage.engine.kill_and_restart().await;
    let before = used(&scene);
    scene.until(&source, |_| used(&scene) >= before + 3).await;
    let status = scene.until(&source, |status| status["health"] == "ok").await;
    assert_eq!(status["consent"]["state"], "authorized", "{status}");
    assert_eq!(scene.stage.sim.refresh_tokens(), 1);
    let refused = scene.stage.sim.counters().requests["/oauth/token"]
        .get(&400)
        .copied();
    assert_eq!(refused, None, "a refresh token was used twice");
}

#[tokio::test]
async fn a_lost_reply_is_told_at_the_next_use_and_healed_in_place() {
    let scene = Consented::set(&[]).await;
    scene.stage.show(20, 600);
    let source = scene.source(json!({})).await;
    scene.consent(&source, ACCOUNT).await;
    scene.collected(&source).await;
    scene
        .stage
        .sim
        .inject(FaultRule::next("POST /oauth/token", Fault::LoseAnswer));
    scene.stage.sim.revoke_tokens(None);
    let status = scene.until(&source, state_is("reauthorization_required")).await;
    assert_eq!(status["health"], "reauthorization_required", "{status}");
    let trouble = status["consent"]["trouble"].to_string();
    for text in [scene.link(&source).as_str(), "reauthorization_required", "step 8"] {
        assert!(trouble.contains(text), "{text}: {trouble}");
    }
    // Nobody asks Zoom with a token that is void.
    let asked = scene.stage.sim.counters().to("/oauth/token");
    scene.stage.poll(&source).await;
    scene
        .until(&source, |status| {
            status["feeds"][0]["trouble"]["code"] == "reauthorization_required"
                && status["feeds"][1]["trouble"]["code"] == "reauthorization_required"
        })
        .await;
    assert_eq!(scene.stage.sim.counters().to("/oauth/token"), asked);

    scene.stage.show(10, 60);
    let page = scene.consent(&source, ACCOUNT).await;
    assert_eq!(page.matches("Verified").count(), 2, "{page}");
    scene.collected(&source).await;
    scene.until(&source, |status| status["health"] == "ok").await;
}

#[tokio::test]
async fn a_consent_that_is_ended_in_zoom_is_told_with_the_link() {
    let scene = Consented::set(&[]).await;
    let source = scene.source(json!({})).await;
    scene.consent(&source, ACCOUNT).await;
    scene.until(&source, |status| status["health"] == "ok").await;
    assert_eq!(scene.stage.sim.end_consents(CLIENT), 1);
    let status = scene.until(&source, state_is("reauthorization_required")).await;
    assert_eq!(status["consent"]["authorization_url"], scene.link(&source));
    let view = scene.stage.engine.get(&format!("/v1/sources/{source}")).await;
    assert_eq!(view["consent"]["state"], "reauthorization_required", "{view}");
}

#[tokio::test]
async fn another_account_is_refused_and_the_consent_that_works_stays() {
    let scene = Consented::set(&[]).await;
    let source = scene.source(json!({})).await;
    for in_token in [true, false] {
        scene.stage.sim.change_app(CLIENT, |app| {
            app.account_in_token = in_token;
            // Without the claim, the user's own record tells.
            app.scopes.retain(|scope| !scope.starts_with("user:"));
            app.scopes
                .extend((!in_token).then(|| "user:read:user:admin".to_owned()));
        });
        scene.consent(&source, ACCOUNT).await;
        let answer = Visitor::new().consent(&scene.link(&source), Some(OTHER)).await;
        let page = answer.expect(422).text();
        for text in ["zoom_other_account", ACCOUNT, OTHER, "allow_account_change"] {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert_eq!(
            scene.stage.sim.refresh_tokens(),
            1,
            "the refused consent is ended at Zoom"
        );
        let status = scene.until(&source, |status| status["health"] == "ok").await;
        assert_eq!(status["consent"]["account_id"], ACCOUNT, "{status}");
    }
    // Where Zoom tells nobody, that is said.
    scene.stage.sim.change_app(CLIENT, |app| {
        app.scopes.retain(|scope| !scope.starts_with("user:"));
    });
    let page = scene.consent(&source, ACCOUNT).await;
    assert!(page.contains("does not tell which account"), "{page}");

    scene
        .stage
        .engine
        .change("sources", &source, |spec| {
            spec["allow_account_change"] = json!(true);
        })
        .await;
    scene
        .stage
        .sim
        .change_app(CLIENT, |app| app.account_in_token = true);
    scene.consent(&source, OTHER).await;
    assert_eq!(scene.status(&source).await["consent"]["account_id"], OTHER);
}

#[tokio::test]
async fn what_one_feed_lacks_is_named_and_heals_without_an_apply() {
    let scene = Consented::set(&[]).await;
    scene.stage.sim.tune(ACCOUNT, |account| {
        account.permissions = Permissions {
            sign_in_sign_out: false,
            ..Permissions::default()
        };
    });
    let source = scene.source(json!({})).await;
    let page = scene.consent(&source, ACCOUNT).await;
    assert_eq!(page.matches("class=\"ok\"").count(), 1, "{page}");
    for text in ["zoom_missing_permission", "Sign In/Sign Out", "step 2"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let by = |status: &serde_json::Value, log_type: &str| {
        let feeds = status["feeds"].as_array().unwrap();
        feeds
            .iter()
            .find(|feed| feed["log_type"] == log_type)
            .unwrap()
            .clone()
    };
    let status = scene
        .until(&source, |status| {
            by(status, "operation")["health"] == "ok" && by(status, "activity")["health"] == "failing"
        })
        .await;
    let trouble = by(&status, "activity")["trouble"].to_string();
    assert!(trouble.contains("Sign In/Sign Out"), "{trouble}");
    scene
        .stage
        .sim
        .tune(ACCOUNT, |account| account.permissions = Permissions::default());
    scene.until(&source, |status| status["health"] == "ok").await;

    // A scope needs another consent, and that heals at once.
    scene.stage.sim.change_app(CLIENT, |app| {
        app.scopes = vec!["report:read:user_activities:admin".to_owned()];
    });
    let page = scene.consent(&source, ACCOUNT).await;
    for text in ["zoom_missing_scope", "report:read:operation_logs:admin", "step 5"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    scene
        .until(&source, |status| by(status, "operation")["health"] == "failing")
        .await;
    scene
        .stage
        .sim
        .change_app(CLIENT, |app| app.scopes = vec!["report:read:admin".to_owned()]);
    assert_eq!(
        scene.consent(&source, ACCOUNT).await.matches("Verified").count(),
        2
    );
    scene.until(&source, |status| status["health"] == "ok").await;
}

#[tokio::test]
async fn a_token_answer_that_names_another_host_leads_nobody_there() {
    let scene = Consented::set(&[]).await;
    let hostile = Receiver::start().await;
    scene
        .stage
        .sim
        .change_app(CLIENT, |app| app.api_url = Some(hostile.url().to_owned()));
    let source = scene.source(json!({})).await;
    let page = scene.consent(&source, ACCOUNT).await;
    assert_eq!(page.matches("Verified").count(), 2, "{page}");
    scene.until(&source, |status| status["health"] == "ok").await;
    assert_eq!(hostile.received().len(), 0);
    assert!(report_requests(&scene.stage.sim) >= 4);
    let log = scene.stage.engine.log();
    assert!(log.contains("names an API host that is not followed"), "{log}");
}

#[tokio::test]
async fn a_source_that_does_without_its_consent_ends_it_at_zoom() {
    let scene = Consented::set(&[]).await;
    let source = scene.source(json!({"account_id": ACCOUNT})).await;
    scene.consent(&source, ACCOUNT).await;
    let change = async |change: serde_json::Value| {
        let engine = &scene.stage.engine;
        engine
            .change("sources", &source, |spec| super::merge(spec, change))
            .await
    };
    change(json!({"name": "renamed"})).await;
    assert_eq!(
        scene.stage.sim.refresh_tokens(),
        1,
        "a name has nothing to do with it"
    );
    change(json!({"client_id": "another-app", "client_secret": "another", "verify": false})).await;
    assert_eq!(
        scene.stage.sim.refresh_tokens(),
        0,
        "that consent was given to another app"
    );

    change(json!({"client_id": CLIENT, "client_secret": SECRET})).await;
    scene.consent(&source, ACCOUNT).await;
    assert_eq!(scene.stage.sim.refresh_tokens(), 1);
    change(json!({"authorization": "server_to_server", "verify": false})).await;
    assert_eq!(scene.stage.sim.refresh_tokens(), 0);
}

#[tokio::test]
async fn a_removed_source_ends_its_consent_at_zoom() {
    let mut scene = Consented::set(&[]).await;
    let source = scene.source(json!({})).await;
    scene.consent(&source, ACCOUNT).await;
    assert_eq!(scene.stage.sim.refresh_tokens(), 1);
    // Without the token in memory, one is got for it.
    scene.stage.engine.restart().await;
    scene.stage.engine.delete("sources", &source).await;
    assert_eq!(scene.stage.sim.refresh_tokens(), 0);

    // A Zoom that does not answer keeps nobody from removing a source.
    let source = scene.source_to("second", json!({"name": "second"})).await;
    scene.consent(&source, ACCOUNT).await;
    scene
        .stage
        .sim
        .inject(FaultRule::next("POST /oauth/revoke", Fault::Reset));
    scene.stage.engine.delete("sources", &source).await;
    wait::until_now(LATE, "the log to say so", || {
        let log = scene.stage.engine.log();
        if log.contains("was not revoked at Zoom") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    assert!(!scene.stage.engine.log().contains(SECRET));
}
