//! What destinations receive, and how the engine bears with them.

use e2e::{
    delivered::{self, Event},
    receiver::{Received, Receiver, Reply},
    sim::Report,
    wait,
};
use ring::hmac;
use serde_json::{Value, json};

use super::{ACCOUNT, LATE, Stage};

fn now() -> String {
    format!("{:.0}", jiff::Timestamp::now())
}

/// Waits until exactly what is owed was accepted, whatever was refused before.
async fn accepted_exactly(stage: &Stage, source: &str, hook: &Receiver) -> Vec<Received> {
    let done = wait::until_now(LATE, "all rows at the receiver", || {
        let accepted = hook.accepted();
        let events: Vec<Event> = accepted
            .iter()
            .flat_map(Received::rows)
            .map(|row| Event::parse(&row))
            .collect();
        let difference = delivered::Difference::between(
            &delivered::owed(&stage.sim, ACCOUNT),
            &delivered::multiset(&events),
        );
        assert!(difference.doubled.is_empty(), "{difference}");
        if difference.is_none() {
            Ok(accepted)
        } else {
            Err(difference.to_string())
        }
    });
    stage.while_polling(source, done).await
}

#[tokio::test]
async fn an_event_is_zooms_row_and_one_object_of_ours() {
    let stage = Stage::set().await;
    let time = now();
    let role = format!(
        r#"{{"action":"Batch Update","category_type":"User","operation_detail":"Change Role  - homer.simpson@duff.io: from User to Co-Owner","operator":"a@example.com","time":"{time}"}}"#
    );
    let sso = format!(
        r#"{{"action":"Update","category_type":"Account","operation_detail":"Single Sign-On  - Vanity URL: from a to b","time":"{time}"}}"#
    );
    let billing = format!(
        r#"{{"category_type":"Billing","operation_detail":"Update billing contact information","time":"{time}"}}"#
    );
    let group = format!(
        r#"{{"action":"Update","category_type":"User Group","operation_detail":"Edit Group Recruiting ","time":"{time}"}}"#
    );
    let none = format!(
        r#"{{"action":"Update","category_type":"Channels","operation_detail":"Assign admin for channel TestChannel3  - test@test.com","time":"{time}"}}"#
    );
    for text in [&role, &sso, &billing, &group, &none] {
        stage.sim.add_text(ACCOUNT, Report::Operation, text);
    }
    let activity =
        format!(r#"{{"client_type":"Browser","email":"a@example.com","time":"{time}","type":"Sign in"}}"#);
    stage.sim.add_text(ACCOUNT, Report::Activity, &activity);
    let source = stage.source_to_file("lake", json!({})).await;
    let lake = stage.engine.out("lake");
    let done = delivered::exactly(&stage.sim, ACCOUNT, &lake, LATE);
    let events = stage.while_polling(&source, done).await;
    let own = |text: &str| {
        let event = events.iter().find(|event| event.row == text.as_bytes());
        &event.unwrap_or_else(|| panic!("{text} did not arrive")).zoom_log
    };
    let labels = |text: &str, label: &str| {
        let labels = own(text)["labels"].as_array().unwrap();
        assert!(labels.contains(&json!(label)), "{text}: {labels:?}");
    };
    labels(&role, "role_and_license");
    labels(&sso, "sso");
    labels(&billing, "billing");
    labels(&group, "account_settings");
    labels(&none, "unclassified");
    let event = own(&role);
    assert_eq!(
        (&event["source_id"], &event["source_name"]),
        (&json!(source), &json!("My Zoom logs"))
    );
    assert_eq!(
        (&event["log_type"], &event["event_time"]),
        (&json!("Zoom.Operation"), &json!(time))
    );
    let detail = json!({
        "subject": "Change Role",
        "changes": [{"field": "homer.simpson@duff.io", "from": "User", "to": "Co-Owner"}],
    });
    assert_eq!(event["detail"], detail);
    assert_eq!(
        own(&group)["detail"],
        json!({"subject": "Edit Group Recruiting", "changes": []})
    );
    assert_eq!(
        own(&none).get("detail"),
        None,
        "it does not follow the usual form"
    );
    assert_eq!(
        (&own(&activity)["log_type"], own(&activity).get("detail")),
        (&json!("Zoom.Activity"), None)
    );
    let collected: jiff::Timestamp = event["collected_at"].as_str().unwrap().parse().unwrap();
    assert!(collected >= time.parse().unwrap());
    assert!(event["occurrence"].is_u64());
}

#[tokio::test]
async fn without_metadata_a_row_is_delivered_to_the_byte() {
    let stage = Stage::set().await;
    stage.show(50, 3_600);
    let destination = json!({"name": "bare", "file": {"path": "bare"}, "metadata": false});
    let destination = stage.engine.create("destinations", destination).await;
    let source = stage.source(&[&destination], json!({})).await;
    let bare = stage.engine.out("bare");
    let done = delivered::exactly(&stage.sim, ACCOUNT, &bare, LATE);
    let events = stage.while_polling(&source, done).await;
    assert!(events.iter().all(|event| event.zoom_log == Value::Null));
}

#[tokio::test]
async fn batches_are_signed_compressed_bounded_and_authenticated() {
    let stage = Stage::set().await;
    stage.show(100, 3_600);
    let hook = Receiver::start().await;
    let http = json!({
        "url": format!("{}/in", hook.url()),
        "format": "json_array",
        "compression": "gzip",
        "signing_secret": "plain-signing-secret",
        "basic": {"username": "u", "password": "p"},
        "secret_header": {"name": "x-api-key", "value": "k"},
        "batch": {"max_events": 30},
    });
    let destination = stage
        .engine
        .create("destinations", json!({"name": "hook", "http": http}))
        .await;
    let source = stage.source(&[&destination], json!({})).await;
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"plain-signing-secret");
    for request in accepted_exactly(&stage, &source, &hook).await {
        assert!(request.rows().len() <= 30 && request.body.starts_with(b"["));
        assert_eq!(request.header("content-encoding"), "gzip");
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(
            (request.header("x-api-key"), request.header("authorization")),
            ("k", "Basic dTpw")
        );
        // Receivers verify the body that their framework hands them, compressed or not: one of the two must fit.
        let prefix = format!(
            "{}.{}.",
            request.header("webhook-id"),
            request.header("webhook-timestamp")
        );
        let fits = |body: &[u8]| {
            let tag = hmac::sign(&key, &[prefix.as_bytes(), body].concat());
            let tag = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, tag.as_ref());
            request
                .header("webhook-signature")
                .split(' ')
                .any(|signature| signature == format!("v1,{tag}"))
        };
        assert!(fits(&request.raw) || fits(&request.body), "{:?}", request.headers);
    }
}

#[tokio::test]
async fn a_destination_in_trouble_is_tried_again_with_the_same_batch() {
    let stage = Stage::set_with(&[("delivery.retry_first", "100ms")]).await;
    let hook = Receiver::start().await;
    hook.script([
        Reply::status(503),
        Reply::Reset,
        Reply::retry_after(429, "1"),
        Reply::status(500),
    ]);
    stage.sim.add_text(
        ACCOUNT,
        Report::Activity,
        &format!(r#"{{"email":"a@example.com","time":"{}"}}"#, now()),
    );
    let http = json!({"name": "hook", "http": {"url": hook.url()}});
    let destination = stage.engine.create("destinations", http).await;
    let source = stage.source(&[&destination], json!({})).await;
    accepted_exactly(&stage, &source, &hook).await;
    let received = hook.received();
    assert_eq!(received.len(), 5);
    assert!(received.iter().all(|request| request.raw == received[0].raw));
    let ids: Vec<&str> = received
        .iter()
        .map(|request| request.header("webhook-id"))
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let waited = received[3].at.duration_since(received[2].at);
    assert!(
        waited >= jiff::SignedDuration::from_millis(900),
        "{waited:?} after `Retry-After: 1`"
    );
}

#[tokio::test]
async fn an_event_that_is_refused_for_good_is_kept_and_can_be_sent_again() {
    let stage = Stage::set().await;
    let hook = Receiver::start().await;
    hook.always(Reply::status(400));
    for number in 0..3 {
        let text = format!(r#"{{"email":"{number}@example.com","time":"{}"}}"#, now());
        stage.sim.add_text(ACCOUNT, Report::Activity, &text);
    }
    let http = json!({"name": "hook", "http": {"url": hook.url()}});
    let destination = stage.engine.create("destinations", http).await;
    let source = stage.source(&[&destination], json!({})).await;
    let dead = wait::until(LATE, "dead letters", async || {
        let dead = stage
            .engine
            .client()
            .dead_letters(Some(&destination), None)
            .await
            .unwrap();
        if dead.items.len() == 3 {
            Ok(dead.items)
        } else {
            Err(format!("{dead:?}"))
        }
    });
    let dead = stage.while_polling(&source, dead).await;
    assert!(
        dead.iter().all(|letter| letter.reason.contains("400")),
        "{dead:?}"
    );

    hook.always(Reply::status(200));
    let request = engine_api::ReplayRequest {
        destination_id: Some(destination.parse().unwrap()),
        source_id: None,
    };
    assert_eq!(stage.engine.client().replay(&request).await.unwrap().queued, 3);
    accepted_exactly(&stage, &source, &hook).await;
    wait::until(LATE, "no dead letter", async || {
        let dead = stage.engine.client().dead_letters(None, None).await.unwrap();
        if dead.items.is_empty() {
            Ok(())
        } else {
            Err(format!("{dead:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_file_stays_under_its_root_and_an_address_is_checked() {
    let stage = Stage::set().await;
    for (spec, code, field) in [
        (
            json!({"name": "x", "file": {"path": "/etc/cron.d/x"}}),
            "path_refused",
            "file.path",
        ),
        (
            json!({"name": "x", "file": {"path": "../x"}}),
            "invalid_spec",
            "file.path",
        ),
        (
            json!({"name": "x", "http": {"url": "ftp://example.com"}}),
            "invalid_spec",
            "http.url",
        ),
        (
            json!({"name": "x", "http": {"url": "http://u:p@example.com"}}),
            "invalid_spec",
            "http.url",
        ),
    ] {
        let answer = stage
            .engine
            .ask(reqwest::Method::POST, "/v1/destinations", Some(&spec))
            .await
            .expect(422)
            .json();
        assert_eq!(answer["code"], code, "{answer}");
        let named = answer["field"] == field || answer["errors"][0]["field"] == field;
        assert!(named, "{answer}");
    }
    // A Zoom on loopback would itself need the permission; this engine never asks Zoom anything.
    let strict = e2e::engine::Engine::start_with(
        "https://api.zoom.us",
        &[
            ("zoom.oauth_url", "https://zoom.us"),
            ("egress.allow_private_addresses", "false"),
        ],
    )
    .await;
    let inside = json!({"name": "x", "http": {"url": "http://169.254.169.254/latest"}});
    let answer = strict
        .ask(reqwest::Method::POST, "/v1/destinations", Some(&inside))
        .await
        .expect(422)
        .json();
    assert_eq!(answer["code"], "address_refused", "{answer}");
}
