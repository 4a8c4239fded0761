//! Tokens: what each scope opens, how they end, and what becomes of wrong ones.

use std::{net::IpAddr, time::Duration};

use engine_api::{NewToken, Scope};

use super::*;
use crate::api::{access::Peer, table::table};

impl Stage {
    /// Sends a request with another token than the admin token.
    async fn with(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.from(None, token, method, path, body).await
    }

    async fn from(
        &self,
        peer: Option<&str>,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(path)
            .header("authorization", format!("Bearer {token}"));
        if let Some(peer) = peer {
            request = request.extension(Peer(peer.parse::<IpAddr>().unwrap()));
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    /// Makes a token with the admin token.
    async fn token(&self, request: Value) -> NewToken {
        let made = self.post("/v1/tokens", &request).await.expect(201);
        serde_json::from_value(made).unwrap()
    }
}

fn wish(scope: &str) -> Value {
    json!({ "name": format!("for {scope}"), "scope": scope, "ttl": "1h" })
}

async fn each_route_takes_the_scope_that_it_names_and_none_below() {
    let stage = Stage::set().await;
    let mut tokens = Vec::new();
    for scope in Scope::ALL {
        tokens.push((scope, stage.token(wish(scope.as_str())).await));
    }
    for route in table().iter().filter(|route| !route.open) {
        let path = route.path.replace("{id}", "x").replace("{backfill}", "x");
        for (scope, made) in &tokens {
            let answer = stage
                .with(made.token.expose(), route.method.as_str(), &path, None)
                .await;
            if *scope < route.scope {
                let problem = answer.problem(Code::InsufficientScope, "");
                let detail = problem["detail"].as_str().unwrap();
                assert!(
                    detail.contains(&format!("the scope `{}`", route.scope))
                        && detail.contains(&format!("has `{scope}`")),
                    "{detail}"
                );
            } else {
                assert!(
                    !matches!(answer.status.as_u16(), 401 | 403),
                    "{scope} {} {path}: {}",
                    route.method,
                    answer.text
                );
            }
        }
    }
    // What a plan asks for, a token that can only read may ask for.
    let reads: Vec<_> = table()
        .iter()
        .filter(|route| route.method == Method::GET || route.path.ends_with("/compare"))
        .filter(|route| !route.open && !["/v1/tokens", "/v1/audit"].contains(&&*route.path))
        .collect();
    assert!(reads.len() > 10 && reads.iter().all(|route| route.scope == Scope::Read));
}

async fn a_token_is_shown_once_listed_without_its_text_and_kept_as_a_digest() {
    let stage = Stage::set().await;
    let answer = stage.post("/v1/tokens", &wish("write")).await;
    let location = answer.header("location").to_owned();
    let made: NewToken = serde_json::from_value(answer.expect(201)).unwrap();
    assert_eq!(location, format!("/v1/tokens/{}", made.view.id));
    let (text, id) = (made.token.expose().to_owned(), made.view.id.as_str().to_owned());
    assert!(text.starts_with("zle_") && text.contains(id.trim_start_matches("tok_")));
    stage
        .with(&text, "POST", "/v1/destinations", Some(&lake("a")))
        .await
        .expect(201);
    let page = stage.get("/v1/tokens").await.expect(200);
    assert_eq!(page["items"][0]["id"], id.as_str());
    assert_eq!(page["items"][0]["last_used_at"], "2026-01-31T12:00:00Z");
    let shown = stage.get(&location).await.expect(200);
    assert_eq!(shown, page["items"][0]);
    let random = &text[text.len() - 43..];
    assert!(!page.to_string().contains(random));
    stage.api.store.close().await;
    for entry in std::fs::read_dir(stage.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        let found = bytes
            .windows(random.len())
            .any(|window| window == random.as_bytes());
        assert!(!found, "{} holds the token", path.display());
    }
}

async fn tokens_are_listed_in_pages() {
    let stage = Stage::set().await;
    for _ in 0..5 {
        stage.token(wish("read")).await;
    }
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let page = stage.get(&format!("/v1/tokens?limit=2{after}")).await.expect(200);
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert!(seen.len() == 5 && seen.is_sorted());
}

async fn an_ended_and_a_revoked_token_are_refused_at_once() {
    let stage = Stage::set().await;
    let (short, long) = (stage.token(wish("read")).await, stage.token(wish("read")).await);
    let ask = async |token: &NewToken| stage.with(token.token.expose(), "GET", "/v1/engine", None).await;
    ask(&short).await.expect(200);
    stage
        .ask("DELETE", &format!("/v1/tokens/{}", long.view.id), None)
        .await
        .expect(204);
    let problem = ask(&long).await.problem(Code::Unauthorized, "");
    assert!(
        problem["detail"].as_str().unwrap().contains("was revoked at"),
        "{problem}"
    );
    stage.clock.advance(Duration::from_hours(1));
    let problem = ask(&short).await.problem(Code::Unauthorized, "");
    assert!(
        problem["detail"].as_str().unwrap().contains("ended at"),
        "{problem}"
    );
    // The right id with other random bits is not the token.
    let other = stage.token(wish("admin")).await;
    let mut forged = other.token.expose().to_owned();
    forged.replace_range(
        forged.len() - 43..,
        &short.token.expose()[short.token.expose().len() - 43..],
    );
    stage
        .with(&forged, "GET", "/v1/engine", None)
        .await
        .problem(Code::Unauthorized, "");
}

async fn a_token_makes_lesser_ones_that_end_with_it() {
    let stage = Stage::set().await;
    let parent = stage.token(wish("write")).await;
    let parent_text = parent.token.expose();
    let make = async |body: Value| stage.with(parent_text, "POST", "/v1/tokens", Some(&body)).await;
    make(json!({ "name": "more", "scope": "admin" }))
        .await
        .problem(Code::InvalidSpec, "scope");
    let child: NewToken = serde_json::from_value(
        make(json!({ "name": "for ever", "scope": "read" }))
            .await
            .expect(201),
    )
    .unwrap();
    assert_eq!(child.view.expires_at, parent.view.expires_at);
    assert_eq!(child.view.created_by.as_ref(), Some(&parent.view.id));
    let short: NewToken = serde_json::from_value(
        make(json!({ "name": "s", "scope": "read", "ttl": "1m" }))
            .await
            .expect(201),
    )
    .unwrap();

    // It renews what it made, within its own life; nobody renews themselves.
    let renewal = |token: &NewToken| format!("/v1/tokens/{}/renew", token.view.id);
    let ttl = |ttl: &str| json!({ "ttl": ttl });
    let renew = async |by: &str, token: &NewToken, length: &str| {
        stage.with(by, "POST", &renewal(token), Some(&ttl(length))).await
    };
    let renewed = renew(parent_text, &short, "10m").await.expect(200);
    assert_eq!(renewed["expires_at"], "2026-01-31T12:10:00Z");
    let renewed = renew(parent_text, &short, "10d").await.expect(200);
    assert_eq!(renewed["expires_at"], "2026-01-31T13:00:00Z");
    renew(parent_text, &short, "1s")
        .await
        .problem(Code::InvalidSpec, "ttl");
    renew(short.token.expose(), &short, "10m")
        .await
        .problem(Code::InsufficientScope, "");
    renew(parent_text, &parent, "10m")
        .await
        .problem(Code::InsufficientScope, "");
    renew(TOKEN, &parent, "2h").await.expect(200);

    // A token sees itself and what it made; a stranger does not exist for it.
    let stranger = stage.token(wish("read")).await;
    let path = |token: &NewToken| format!("/v1/tokens/{}", token.view.id);
    stage
        .with(parent_text, "GET", &path(&child), None)
        .await
        .expect(200);
    stage
        .with(child.token.expose(), "GET", &path(&child), None)
        .await
        .expect(200);
    for (method, path) in [
        ("GET", path(&stranger)),
        ("DELETE", path(&stranger)),
        ("GET", "/v1/tokens/tok_x".to_owned()),
    ] {
        stage
            .with(parent_text, method, &path, None)
            .await
            .problem(Code::NotFound, "");
    }

    // Revoked with its maker; and a revoked one cannot be renewed.
    stage
        .with(parent_text, "DELETE", &path(&parent), None)
        .await
        .expect(204);
    for token in [&parent, &child, &short] {
        stage
            .with(token.token.expose(), "GET", "/v1/engine", None)
            .await
            .problem(Code::Unauthorized, "");
    }
    renew(TOKEN, &short, "1h").await.problem(Code::NotFound, "");
    stage
        .with(stranger.token.expose(), "GET", "/v1/engine", None)
        .await
        .expect(200);
}

async fn an_address_that_sends_many_wrong_tokens_waits_and_made_tokens_do_not() {
    let stage = Stage::set().await;
    let made = stage.token(wish("read")).await;
    let ask = async |peer: &str, token: &str| stage.from(Some(peer), token, "GET", "/v1/engine", None).await;
    for _ in 0..20 {
        ask("192.0.2.1", "wrong").await.problem(Code::Unauthorized, "");
    }
    // Neither a wrong one nor the right one is looked at now, so guessing goes no further.
    for token in ["wrong", TOKEN] {
        let answer = ask("192.0.2.1", token).await;
        assert_eq!(answer.header("retry-after"), "3");
        answer.problem(Code::TooManyFailures, "");
    }
    ask("192.0.2.1", made.token.expose()).await.expect(200);
    ask("192.0.2.2", TOKEN).await.expect(200);
    stage.clock.advance(Duration::from_secs(3));
    ask("192.0.2.1", TOKEN).await.expect(200);
}

async fn the_admin_token_can_be_made_to_only_bootstrap() {
    let stage = Stage::set_with(|parts, _| parts.limits.admin_token_only_bootstraps = true).await;
    let admin = stage.token(wish("admin")).await;
    let problem = stage.get("/v1/engine").await.problem(Code::Unauthorized, "");
    assert!(
        problem["detail"].as_str().unwrap().contains("only bootstraps"),
        "{problem}"
    );
    let path = format!("/v1/tokens/{}", admin.view.id);
    stage
        .with(admin.token.expose(), "DELETE", &path, None)
        .await
        .expect(204);
    // Without any other way in, it opens again.
    stage.get("/v1/engine").await.expect(200);
}

async fn a_reader_who_guesses_a_secret_is_slowed_down_and_a_writer_is_not() {
    let stage = Stage::set().await;
    let path = format!("{}/compare", stage.made("sources", &source("corp")).await);
    let reader = stage.token(wish("read")).await;
    let (other, writer) = (stage.token(wish("read")).await, stage.token(wish("write")).await);
    let guess = async |token: &NewToken, secret: &str| {
        let body = json!({ "secrets": { "client_secret": secret } });
        stage.with(token.token.expose(), "POST", &path, Some(&body)).await
    };
    // Being right costs nothing.
    for _ in 0..50 {
        let compared = guess(&reader, "s3cret").await.expect(200);
        assert_eq!(compared["matches"]["client_secret"], true);
    }
    for number in 0..20 {
        guess(&reader, &format!("guess-{number}")).await.expect(200);
    }
    let refused = guess(&reader, "s3cret").await;
    assert_eq!(refused.header("retry-after"), "60");
    refused.problem(Code::TooManyFailures, "");
    // A second token of the same scope begins nowhere else, and who may write needs no guesses.
    guess(&other, "s3cret").await.problem(Code::TooManyFailures, "");
    guess(&writer, "s3cret").await.expect(200);
    stage.clock.advance(Duration::from_mins(1));
    guess(&reader, "s3cret").await.expect(200);

    stage.zoom_refuses(Code::ZoomInvalidCredentials);
    let trial = json!({ "spec": source("trial") });
    let attempt = async || {
        let token = reader.token.expose();
        stage.with(token, "POST", "/v1/sources:try", Some(&trial)).await
    };
    for _ in 0..20 {
        attempt()
            .await
            .problem(Code::ZoomInvalidCredentials, "client_secret");
    }
    stage.asked();
    attempt().await.problem(Code::TooManyFailures, "");
    assert!(stage.asked().is_empty(), "Zoom is not asked any more");
}

crate::store::testing::on_both!(
    each_route_takes_the_scope_that_it_names_and_none_below,
    a_token_is_shown_once_listed_without_its_text_and_kept_as_a_digest,
    tokens_are_listed_in_pages,
    an_ended_and_a_revoked_token_are_refused_at_once,
    a_token_makes_lesser_ones_that_end_with_it,
    an_address_that_sends_many_wrong_tokens_waits_and_made_tokens_do_not,
    the_admin_token_can_be_made_to_only_bootstrap,
    a_reader_who_guesses_a_secret_is_slowed_down_and_a_writer_is_not,
);
