//! Calls of a workload that has no token yet: what its platform says of it, and what the engine gives for that.

use reqwest::{Method, header};
use serde::Deserialize;
use serde_json::json;

use super::{Client, Error, Tries};
use crate::{ExchangedToken, Scope, Secret};

/// GitHub's answer to who asks for a token of a job.
#[derive(Deserialize)]
struct GithubToken {
    value: Secret,
}

impl Client {
    /// The same connection with another token.
    #[must_use]
    pub fn with_token(mut self, token: Secret) -> Self {
        self.token = token;
        self
    }

    /// Exchanges what a platform says of a workload for a token of the engine; `scope` is what it has to be good for.
    pub async fn exchange(&self, identity: &Secret, scope: Option<Scope>) -> Result<ExchangedToken, Error> {
        let mut body = json!({ "subject_token": identity.expose() });
        if let Some(scope) = scope {
            body["scope"] = json!(scope);
        }
        self.json(
            Method::POST,
            "/v1/tokens/exchange",
            &[],
            Some(&body),
            Tries::Several,
        )
        .await
    }

    /// Asks GitHub for the token of the job that this runs in, for an audience. `url` and `token` are what GitHub sets as
    /// `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
    ///
    /// # Errors
    ///
    /// A sentence fragment that says what went wrong, without either of them.
    pub async fn github_identity(&self, url: &str, token: &Secret, audience: &str) -> Result<Secret, String> {
        let mut url =
            url::Url::parse(url).map_err(|_| "`ACTIONS_ID_TOKEN_REQUEST_URL` is not a URL".to_owned())?;
        url.query_pairs_mut().append_pair("audience", audience);
        let asked = self
            .http
            .get(url)
            .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
            .send()
            .await;
        let answer = asked.map_err(|error| match Error::unreachable(error, "") {
            Error::Unreachable { cause, .. } => format!("GitHub cannot be reached: {cause}"),
            _ => "GitHub cannot be reached".to_owned(),
        })?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("GitHub answers with the status {}", status.as_u16()));
        }
        let answer: GithubToken = answer
            .json()
            .await
            .map_err(|_| "GitHub's answer holds no token".to_owned())?;
        Ok(answer.value)
    }
}
