//! A real browser without a screen: Chromium, driven through `chromedriver` by the WebDriver protocol.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{http, process::Process};

/// How an element is named in WebDriver's answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window; dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    session: String,
    _driver: Process,
}

impl Browser {
    /// Starts a browser with a profile of its own.
    ///
    /// # Panics
    ///
    /// When none is installed, with how to get one.
    pub async fn start() -> Self {
        let found = |name: &str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path)
                .map(|folder| folder.join(name))
                .find(|file| file.is_file())
        };
        let missing = "this test needs Chromium and chromedriver: run `make need`, or install them (Debian: apt-get \
                       install chromium chromium-driver)";
        let driver = found("chromedriver").expect(missing);
        let chromium = ["chromium", "chromium-browser", "google-chrome"]
            .into_iter()
            .find_map(found);
        let chromium = chromium.expect(missing);

        let mut driver = Process::spawn("chromedriver", Command::new(driver).arg("--port=0"));
        let line = driver.line_with("started successfully on port").await;
        let port: u16 = line
            .rsplit("port ")
            .next()
            .and_then(|port| port.trim().trim_end_matches('.').parse().ok())
            .unwrap_or_else(|| panic!("no port in `{line}`"));
        let arguments = [
            "--headless=new",
            // Root, as in many a container, gets no sandbox, and shared memory may be small there.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-first-run",
        ];
        let options = json!({ "binary": chromium, "args": arguments });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let http = http::client();
        let base = format!("http://127.0.0.1:{port}/session");
        let begun = ask(&http, Method::POST, &base, Some(&wanted)).await;
        let id = begun["sessionId"].as_str().expect("a session");
        Self {
            http,
            session: format!("{base}/{id}"),
            _driver: driver,
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        ask(&self.http, method, &format!("{}{path}", self.session), body).await
    }

    /// Opens an address and waits until its page is there.
    pub async fn open(&self, url: &str) {
        self.ask(Method::POST, "/url", Some(&json!({ "url": url }))).await;
    }

    pub async fn url(&self) -> String {
        text(&self.ask(Method::GET, "/url", None).await)
    }

    pub async fn title(&self) -> String {
        text(&self.ask(Method::GET, "/title", None).await)
    }

    /// Returns what the page shows, as text.
    pub async fn shown(&self) -> String {
        let body = self.find("body").await;
        text(
            &self
                .ask(Method::GET, &format!("/element/{body}/text"), None)
                .await,
        )
    }

    async fn find(&self, selector: &str) -> String {
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.ask(Method::POST, "/element", Some(&wanted)).await;
        text(&found[ELEMENT])
    }

    /// Clicks what a CSS selector finds first, and waits for the page that follows.
    pub async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        self.ask(
            Method::POST,
            &format!("/element/{element}/click"),
            Some(&json!({})),
        )
        .await;
    }

    /// Returns what a CSS property of an element comes to.
    pub async fn style(&self, selector: &str, property: &str) -> String {
        let element = self.find(selector).await;
        text(
            &self
                .ask(Method::GET, &format!("/element/{element}/css/{property}"), None)
                .await,
        )
    }

    /// Returns the cookies that the current page's address would be sent, those for the server alone included.
    pub async fn cookies(&self) -> Vec<Value> {
        let cookies = self.ask(Method::GET, "/cookie", None).await;
        cookies.as_array().cloned().unwrap_or_default()
    }

    /// Closes the browser in order; a dropped one is killed with its driver.
    pub async fn close(self) {
        self.ask(Method::DELETE, "", None).await;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

async fn ask(http: &reqwest::Client, method: Method, url: &str, body: Option<&Value>) -> Value {
    let mut request = http.request(method, url);
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.expect("an answer of chromedriver's");
    let status = answer.status();
    let mut value: Value = answer.json().await.expect("JSON from chromedriver");
    assert!(status.is_success(), "chromedriver: {url}: {value:#}");
    value["value"].take()
}
