//! Consents: the pages, the cookie that binds them to a browser, and every way in which one ends.

use super::*;
use crate::store::consents::NewConsent;

const CALLBACK: &str = "/oauth/callback";

fn waiting(name: &str) -> Value {
    json!({
        "name": name, "authorization": "authorization_code", "client_id": "cid", "client_secret": "s3cret-marker",
    })
}

/// A browser without the token: it keeps the cookie that it was given.
struct Browser<'a> {
    stage: &'a Stage,
    cookie: String,
}

impl<'a> Browser<'a> {
    fn new(stage: &'a Stage) -> Self {
        Self {
            stage,
            cookie: String::new(),
        }
    }

    async fn open(&mut self, path: &str) -> Answer {
        let mut request = Request::builder().uri(path);
        if !self.cookie.is_empty() {
            request = request.header("cookie", format!("other=1; {}", self.cookie));
        }
        let answer = self.stage.send(request.body(Body::empty()).unwrap()).await;
        if let Some(set) = answer.headers.get("set-cookie") {
            set.to_str()
                .unwrap()
                .split(';')
                .next()
                .unwrap()
                .clone_into(&mut self.cookie);
        }
        assert_safe(&answer);
        answer
    }
}

/// What holds for every page.
#[track_caller]
fn assert_safe(answer: &Answer) {
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy");
    for rule in [
        "default-src 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "style-src 'sha256-",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("x-frame-options"), "DENY");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    for never in ["<script", "s3cret-marker", "verifier-marker", "code-marker"] {
        assert!(!answer.text.contains(never), "{never}: {}", answer.text);
    }
}

#[track_caller]
fn assert_ends(answer: &Answer, code: Code) {
    assert_eq!(answer.status.as_u16(), code.status(), "{}", answer.text);
    for text in [
        format!("<code>{code}</code>"),
        format!("<code>docs/errors/{code}.md</code>"),
        format!("<h1>{}</h1>", code.title().replace('\'', "&#39;")),
    ] {
        assert!(answer.text.contains(&text), "{text}: {}", answer.text);
    }
}

/// A stage with a waiting source, and the path of the page on which its consent begins.
async fn stage() -> (Stage, String) {
    let stage = Stage::set().await;
    let path = stage.made("sources", &waiting("corp <b>&")).await;
    let page = path.replace("/v1", "") + "/authorize";
    (stage, page)
}

async fn a_source_waits_for_a_consent_and_says_where() {
    let (stage, page) = stage().await;
    let path = page.replace("/sources", "/v1/sources").replace("/authorize", "");
    let url = format!("http://engine.example{page}");
    assert_eq!(stage.asked(), ["s3cret-marker"]);
    for view in [
        stage.get(&path).await.expect(200),
        stage.get("/v1/sources").await.expect(200)["items"][0].clone(),
    ] {
        let expected = json!({ "state": "pending_authorization", "authorization_url": url });
        assert_eq!(view["consent"], expected, "{view}");
    }
    let status = stage.get(&format!("{path}/status")).await.expect(200);
    assert_eq!(status["health"], "pending_authorization", "{status}");
    assert_eq!(status["consent"]["authorization_url"], url);
    assert_eq!(status["feeds"][0]["health"], "pending_authorization");
    // A source of the other kind has none of it.
    let other = stage.made("sources", &source("other")).await;
    assert_eq!(stage.get(&other).await.expect(200).get("consent"), None);
    let answer = Browser::new(&stage)
        .open(&(other.replace("/v1", "") + "/authorize"))
        .await;
    assert_ends(&answer, Code::NotFound);
}

async fn a_consent_is_taken_once_from_the_browser_that_began_it() {
    let (stage, page) = stage().await;
    let mut browser = Browser::new(&stage);
    let answer = browser.open(&page).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let cookie = answer.header("set-cookie");
    for rule in ["Path=/oauth/callback", "Max-Age=900", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.contains(rule), "{cookie}");
    }
    assert!(
        !cookie.contains("Secure"),
        "the engine's URL is plain HTTP: {cookie}"
    );
    assert!(!cookie.contains("marker"), "{cookie}");
    assert!(answer.text.contains("corp &lt;b&gt;&amp;"), "{}", answer.text);
    let link = "href=\"https://zoom.example/oauth/authorize?client_id=%3C%26%3E&amp;state=state-marker\"";
    assert!(answer.text.contains(link), "{}", answer.text);
    stage.wakes();

    let back = format!("{CALLBACK}?code=code-marker&state=state-marker");
    let answer = browser.open(&back).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.text.matches("Verified").count(), 2, "{}", answer.text);
    assert!(answer.text.contains("<code>acc-1</code>"), "{}", answer.text);
    assert_eq!(stage.wakes(), 1);
    let id = page.split('/').nth(2).unwrap();
    assert_eq!(
        *stage.zoom.taken.lock().unwrap(),
        [[id, "s3cret-marker", "code-marker", "verifier-marker"].map(str::to_owned)]
    );
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    let answer = browser.open(&back).await;
    assert_ends(&answer, Code::ConsentMismatch);
    assert_eq!(stage.zoom.taken.lock().unwrap().len(), 1);
}

async fn an_answer_that_is_not_proved_is_refused() {
    let (stage, page) = stage().await;
    let back = format!("{CALLBACK}?code=code-marker&state=state-marker");
    let answer = Browser::new(&stage).open(&back).await;
    assert_ends(&answer, Code::ConsentMismatch);

    let mut browser = Browser::new(&stage);
    browser.open(&page).await;
    let cookie = browser.cookie.clone();
    for query in [
        "code=c",
        "code=c&state=other",
        "code=c&state=state-marker&state=state-marker",
        "",
    ] {
        let answer = browser.open(&format!("{CALLBACK}?{query}")).await;
        assert_ends(&answer, Code::ConsentMismatch);
    }
    assert_eq!(
        browser.cookie, cookie,
        "somebody else's answer does not end the consent"
    );
    browser.cookie = format!("{cookie}x");
    assert_ends(&browser.open(&back).await, Code::ConsentMismatch);

    // The same answer from a copy of the browser, too late, and used.
    browser.cookie.clone_from(&cookie);
    assert_eq!(browser.open(&back).await.status, StatusCode::OK);
    browser.cookie.clone_from(&cookie);
    assert_ends(&browser.open(&back).await, Code::ConsentUsed);
    browser.cookie.clone_from(&cookie);
    stage.clock.advance(std::time::Duration::from_mins(16));
    assert_ends(&browser.open(&back).await, Code::ConsentExpired);
    assert_eq!(stage.zoom.taken.lock().unwrap().len(), 1);
}

async fn every_refusal_is_a_page_with_the_way_on() {
    let (stage, page) = stage().await;
    for (error, code) in [
        ("access_denied", Code::ConsentDenied),
        ("unauthorized_client", Code::ZoomWrongAppType),
        ("invalid_redirect", Code::ZoomRedirectMismatch),
        ("invalid_scope", Code::ZoomMissingScope),
        ("temporarily_unavailable", Code::ZoomUnavailable),
        ("<script>alert(1)</script>", Code::ZoomRefused),
    ] {
        let mut browser = Browser::new(&stage);
        browser.open(&page).await;
        // Each answer is used once, so each round needs a time of its own.
        stage.clock.advance(std::time::Duration::from_mins(20));
        browser.open(&page).await;
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("error", error),
                ("error_description", "<i>no</i>"),
                ("state", "state-marker"),
            ])
            .finish();
        let answer = browser.open(&format!("{CALLBACK}?{query}")).await;
        assert_ends(&answer, code);
        assert!(answer.text.contains("id=\"again\""), "{}", answer.text);
        assert!(!answer.text.contains("<i>no"), "{}", answer.text);
    }
    for code in [
        Code::ZoomCodeRefused,
        Code::ZoomRedirectMismatch,
        Code::ZoomOtherAccount,
        Code::ZoomInvalidCredentials,
    ] {
        *stage.zoom.accepts.lock().unwrap() = Some(Err(CheckFault {
            code,
            detail: "zoom says so".to_owned(),
            field: None,
        }));
        stage.clock.advance(std::time::Duration::from_mins(20));
        let mut browser = Browser::new(&stage);
        browser.open(&page).await;
        let answer = browser
            .open(&format!("{CALLBACK}?code=code-marker&state=state-marker"))
            .await;
        assert_ends(&answer, code);
        let step = format!("Step {} of the guide", code.guide_step().unwrap());
        assert!(answer.text.contains(&step), "{}", answer.text);
    }
}

async fn what_one_log_type_lacks_is_told_beside_what_works() {
    let (stage, page) = stage().await;
    stage.zoom_refuses(Code::ZoomMissingPermission);
    let mut browser = Browser::new(&stage);
    browser.open(&page).await;
    let answer = browser
        .open(&format!("{CALLBACK}?code=code-marker&state=state-marker"))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.text.matches("class=\"no\"").count(), 2, "{}", answer.text);
    for text in ["zoom_missing_permission", "do something", "something is missing"] {
        assert!(answer.text.contains(text), "{}", answer.text);
    }
}

async fn a_consent_that_came_for_another_app_is_not_taken() {
    let (stage, page) = stage().await;
    let path = page.replace("/sources", "/v1/sources").replace("/authorize", "");
    let mut browser = Browser::new(&stage);
    browser.open(&page).await;
    let mut spec = waiting("corp");
    spec["client_id"] = json!("another");
    stage.put(&path, &spec).await.expect(200);
    let answer = browser
        .open(&format!("{CALLBACK}?code=code-marker&state=state-marker"))
        .await;
    assert_ends(&answer, Code::ConsentMismatch);

    stage.ask("DELETE", &path, None).await.expect(204);
    assert_ends(&browser.open(&page).await, Code::NotFound);
}

async fn what_was_given_shows_in_view_and_status_without_its_token() {
    let (stage, page) = stage().await;
    let path = page.replace("/sources", "/v1/sources").replace("/authorize", "");
    let id = path.rsplit('/').next().unwrap();
    let new = NewConsent {
        client_id: "cid",
        account_id: Some("acc-9"),
        token: b"sealed-marker",
        due_at: stage.api.clock.now(),
    };
    stage.api.store.take_consent(id, &new).await.unwrap().unwrap();
    let status = stage.get(&format!("{path}/status")).await;
    assert!(!status.text.contains("sealed-marker"));
    let status = status.expect(200);
    assert_eq!(status["consent"]["state"], "authorized", "{status}");
    assert_eq!(status["consent"]["account_id"], "acc-9");
    assert_eq!(status["health"], "pending");
    let answer = Browser::new(&stage).open(&page).await;
    assert!(answer.text.contains("<code>acc-9</code>"), "{}", answer.text);
    // Another app has no consent, so the source waits again.
    let mut spec = waiting("corp");
    spec["client_id"] = json!("another");
    let view = stage.put(&path, &spec).await.expect(200);
    assert_eq!(view["consent"]["state"], "pending_authorization");
}

crate::store::testing::on_both!(
    a_source_waits_for_a_consent_and_says_where,
    a_consent_is_taken_once_from_the_browser_that_began_it,
    an_answer_that_is_not_proved_is_refused,
    every_refusal_is_a_page_with_the_way_on,
    what_one_log_type_lacks_is_told_beside_what_works,
    a_consent_that_came_for_another_app_is_not_taken,
    what_was_given_shows_in_view_and_status_without_its_token,
);
