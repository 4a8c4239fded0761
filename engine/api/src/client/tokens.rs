//! Calls about tokens.

use reqwest::Method;
use serde_json::Value;

use super::{Client, Error, Tries, absent_is_none, with_query};
use crate::{Items, NewToken, RenewRequest, TokenRequest, TokenView};

const ALL: &str = "/v1/tokens";

impl Client {
    /// Makes a token. Its text is in this answer and in no other.
    pub async fn create_token(&self, request: &TokenRequest) -> Result<NewToken, Error> {
        // Not several times: each would be a token of its own.
        self.json(Method::POST, ALL, &[], Some(&body(request)), Tries::One)
            .await
    }

    /// One page of all tokens.
    pub async fn tokens(&self, after: Option<&str>) -> Result<Items<TokenView>, Error> {
        let path = with_query(ALL, [("after", after), ("limit", None)]);
        self.json(Method::GET, &path, &[], None, Tries::Several).await
    }

    /// A token; `None` when it does not exist.
    pub async fn token(&self, id: &str) -> Result<Option<TokenView>, Error> {
        absent_is_none(self.json(Method::GET, &one(id), &[], None, Tries::Several).await)
    }

    /// Lets a token last longer.
    pub async fn renew_token(&self, id: &str, request: &RenewRequest) -> Result<TokenView, Error> {
        let path = format!("{}/renew", one(id));
        self.json(Method::POST, &path, &[], Some(&body(request)), Tries::Several)
            .await
    }

    /// Revokes a token and all that it made; `false` when it did not exist.
    pub async fn revoke_token(&self, id: &str) -> Result<bool, Error> {
        let revoked = self
            .answer(Method::DELETE, &one(id), &[], None, Tries::Several)
            .await;
        Ok(absent_is_none(revoked)?.is_some())
    }
}

fn one(id: &str) -> String {
    let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("{ALL}/{id}")
}

fn body(request: &impl serde::Serialize) -> Value {
    serde_json::to_value(request).unwrap_or_default()
}
