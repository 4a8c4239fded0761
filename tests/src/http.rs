//! The HTTP client of the harness.

use std::time::Duration;

use serde_json::Value;

/// Returns a client that follows no redirect, takes no proxy from the environment and gives up late.
pub fn client() -> reqwest::Client {
    build(reqwest::Client::builder())
}

/// Returns the same client, which trusts an authority and shows a certificate, both in PEM.
pub fn client_with(authority: &str, identity: &str) -> reqwest::Client {
    let authority = reqwest::Certificate::from_pem(authority.as_bytes()).expect("an authority in PEM");
    let identity =
        reqwest::Identity::from_pem(identity.as_bytes()).expect("a certificate and its key in PEM");
    build(
        reqwest::Client::builder()
            .tls_certs_merge([authority])
            .identity(identity),
    )
}

fn build(client: reqwest::ClientBuilder) -> reqwest::Client {
    // The first caller wins; a second installation is refused and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    client
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_mins(1))
        .build()
        .expect("build an HTTP client")
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub async fn of(response: reqwest::Response) -> Result<Self, reqwest::Error> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self {
            status,
            headers,
            body: response.bytes().await?.to_vec(),
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not JSON, with the body.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in an answer of status {}: {}", self.status, self.text()))
    }

    /// Returns a header as text, or an empty one.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Returns this answer when its status is the expected one.
    ///
    /// # Panics
    ///
    /// When it is another, with the body.
    #[track_caller]
    #[expect(
        clippy::return_self_not_must_use,
        reason = "many a test wants the check and not the answer"
    )]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status,
            status,
            "unexpected status; the body was {}",
            self.text()
        );
        self
    }
}
