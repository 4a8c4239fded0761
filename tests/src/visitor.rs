//! A person with a browser, as far as a consent needs one: pages are read, links followed, the cookie kept.

use url::Url;

use crate::http::{self, Answer};

/// Somebody who consents, or does not. Has no token of the engine's.
#[derive(Debug)]
pub struct Visitor {
    http: reqwest::Client,
    cookie: Option<String>,
}

impl Default for Visitor {
    fn default() -> Self {
        Self::new()
    }
}

impl Visitor {
    pub fn new() -> Self {
        Self {
            http: http::client(),
            cookie: None,
        }
    }

    /// Opens an address, and keeps the engine's cookie.
    ///
    /// # Panics
    ///
    /// When no answer comes.
    pub async fn open(&mut self, url: &str) -> Answer {
        let mut request = self.http.get(url);
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let response = request.send().await.expect("an answer");
        let answer = Answer::of(response).await.expect("a whole answer");
        if let Some((cookie, _)) = answer.header("set-cookie").split_once(';') {
            self.cookie = Some(cookie.to_owned());
        }
        answer
    }

    /// Begins a consent; returns the address of Zoom's page.
    pub async fn begin(&mut self, authorization_url: &str) -> String {
        let page = self.open(authorization_url).await.expect(200);
        link(authorization_url, &page.text(), "continue")
    }

    /// Consents at Zoom's page as an admin of an account, or declines; returns the address that Zoom sends back to.
    pub async fn decide(&mut self, zoom: &str, account: Option<&str>) -> String {
        let page = self.open(zoom).await.expect(200);
        let id = account.map_or_else(|| "decline".to_owned(), |account| format!("allow-{account}"));
        let decision = link(zoom, &page.text(), &id);
        self.open(&decision)
            .await
            .expect(303)
            .header("location")
            .to_owned()
    }

    /// The whole way; returns the page on which it ends.
    pub async fn consent(&mut self, authorization_url: &str, account: Option<&str>) -> Answer {
        let zoom = self.begin(authorization_url).await;
        let back = self.decide(&zoom, account).await;
        self.open(&back).await
    }
}

/// The address of the link with this id.
fn link(page: &str, text: &str, id: &str) -> String {
    let found = text
        .split("<a ")
        .find(|piece| piece.contains(&format!("id=\"{id}\"")))
        .and_then(|piece| piece.split("href=\"").nth(1)?.split('"').next());
    let href = found
        .unwrap_or_else(|| panic!("no link `{id}` on the page:\n{text}"))
        .replace("&amp;", "&");
    let base = Url::parse(page).expect("the page's address");
    base.join(&href).expect("a link's address").to_string()
}
