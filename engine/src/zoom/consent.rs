//! The authorization-code grant: where a person consents, and what becomes of the code that their browser brings back.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use engine_api::{Cloud, Secret};
use oauth2::{
    AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, basic::BasicClient,
};
use serde::Deserialize;
use url::Url;

use super::{AccessToken, App, Error, Given, Zoom, error::Asked};
use crate::http::Request;

/// Bytes of chance in a `state`.
const STATE_BYTES: u32 = 32;
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// A consent that is to be asked for: where, and what proves afterwards that it was we who asked.
#[derive(Debug)]
pub struct Begun {
    /// Where to send the browser.
    pub url: Url,
    /// What Zoom sends back unchanged.
    pub state: Secret,
    /// What proves that who brings the code is who asked for it (PKCE); its hash is in the URL.
    pub verifier: Secret,
}

impl Zoom {
    /// Makes the URL at which a person consents. No scope is asked for by name: the app's own are what is granted, and
    /// classic apps refuse the parameter.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the engine's own URL cannot be one to come back to.
    pub fn begin_consent(&self, cloud: Cloud, client_id: &str, redirect: &str) -> Result<Begun, Error> {
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|error| Error::Refused {
            code: engine_api::Code::ZoomRedirectMismatch,
            detail: format!("the engine's own `server.public_url` makes no redirect URL: {error}"),
        })?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let authorize = AuthUrl::from_url(self.oauth_url(cloud, "authorize"));
        let client = BasicClient::new(ClientId::new(client_id.to_owned()))
            .set_auth_uri(authorize)
            .set_redirect_uri(redirect);
        let (url, state) = client
            .authorize_url(|| CsrfToken::new_random_len(STATE_BYTES))
            .set_pkce_challenge(challenge)
            .url();
        Ok(Begun {
            url,
            state: state.into_secret().into(),
            verifier: PkceCodeVerifier::into_secret(verifier).into(),
        })
    }

    /// Exchanges the code that a browser brought back.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    ///
    /// # Cancel safety
    ///
    /// None: dropping the future may lose what Zoom has given, and the code works once.
    pub async fn exchange(
        &self,
        app: &App,
        code: &Secret,
        verifier: &Secret,
        redirect: &str,
    ) -> Result<Given, Error> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", redirect),
            ("code_verifier", verifier.expose()),
        ];
        self.ask_for_token(app, Asked::Code, form).await?.given()
    }

    /// Exchanges a refresh token for the next one.
    ///
    /// # Errors
    ///
    /// See [`Error`]; `reauthorization_required` where the token is void.
    ///
    /// # Cancel safety
    ///
    /// None: dropping the future may lose the token that Zoom has given in place of this one.
    pub async fn refresh(&self, app: &App, token: &Secret) -> Result<Given, Error> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token.expose())];
        self.ask_for_token(app, Asked::Refresh, form).await?.given()
    }

    /// Ends a consent at Zoom: the access token and its refresh token are void from then on.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn revoke(&self, app: &App, token: &AccessToken) -> Result<(), Error> {
        let request = self
            .oauth_request(app, "revoke")?
            .form([("token", token.secret().expose())])
            .max_response_bytes(MAX_ANSWER_BYTES);
        let asked_at = self.now();
        let answer = self.send("revoke", &request).await?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(Error::of_token(&answer, Asked::Refresh, asked_at))
        }
    }

    /// The account of the user who consented, by the user's own record, which only an app with a further scope may read.
    ///
    /// # Errors
    ///
    /// See [`Error`]; refusals are ordinary here, and all told as [`Error::Unavailable`].
    pub async fn account_by_user(&self, token: &AccessToken) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct User {
            account_id: String,
        }
        let mut url = token.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v2", "users", "me"]);
        }
        let request = Request::get(url)?
            .bearer(token.secret())?
            .total_timeout(self.shared.timeout)
            .max_response_bytes(MAX_ANSWER_BYTES);
        let answer = self.send("user", &request).await?;
        if !answer.status.is_success() {
            return Err(Error::Unavailable {
                detail: format!("Zoom answers with status {}", answer.status.as_u16()),
            });
        }
        let user: User = answer.json().map_err(|_| Error::Malformed {
            detail: "the answer about the user names no account".to_owned(),
        })?;
        if user.account_id.is_empty() {
            return Err(Error::Malformed {
                detail: "the answer about the user names no account".to_owned(),
            });
        }
        Ok(user.account_id)
    }
}

impl AccessToken {
    /// The account that the token names in its claims, where it is of a form that has any; Zoom promises none. They came
    /// from Zoom itself a moment ago, and nothing rests on them but whose account it is.
    pub fn account(&self) -> Option<String> {
        account_in(self.secret())
    }
}

fn account_in(token: &Secret) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        aid: String,
    }
    let claims = token.expose().split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    (!claims.aid.is_empty()).then_some(claims.aid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_its_account_only_where_it_has_claims() {
        let token = |claims: &str| Secret::from(format!("eyJh.{}.sig", URL_SAFE_NO_PAD.encode(claims)));
        assert_eq!(
            account_in(&token(r#"{"aid":"acc1","uid":"u"}"#)).as_deref(),
            Some("acc1")
        );
        for none in [
            token("{}"),
            token(r#"{"aid":""}"#),
            token("no json"),
            "opaque".into(),
            "a.%%.c".into(),
        ] {
            assert_eq!(account_in(&none), None);
        }
    }
}
