//! The ephemeral resource `zoom_log_engine_token`: a token for the engine's API that lasts as long as the run.
//!
//! It is made with the provider's own token, has at most that token's scope, is renewed while the run lasts, and is
//! revoked when the run ends. Where the run dies, it ends by itself after its `ttl`.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use engine_api::{HumanDuration, RenewRequest, Scope, TokenRequest, client::Client};
use jiff::Timestamp;
use tfplug::{
    diagnostics::Diagnostics,
    ephemeral::{
        EphemeralResource, EphemeralResourceWithClose, EphemeralResourceWithRenew, OpenResponse,
        RenewResponse,
    },
    private::{Key, Private},
    provider::Context,
    schema::{Attribute, Schema, one_of},
    value::Value,
};

use crate::{
    connection::{self, Engine},
    problem,
};

const NAME: &str = "name";
const SCOPE: &str = "scope";
const TTL: &str = "ttl";

/// How long a token lasts where nothing is said.
const USUAL_TTL: &str = "15m";
/// What a token is called where nothing is said.
const USUAL_NAME: &str = "terraform run";

/// What renewing and revoking need; none of it is secret.
const ID: Key<String> = Key::new("id");
const LIFE: Key<HumanDuration> = Key::new("ttl");

/// The ephemeral resource with a short-lived token.
#[derive(Debug, Clone, Copy)]
pub struct EngineToken;

fn client<'a>(context: &'a Context<Engine>, diagnostics: &mut Diagnostics) -> Option<&'a Client> {
    connection::known(context, diagnostics).map(connection::Connection::client)
}

#[async_trait]
impl EphemeralResource<Engine> for EngineToken {
    type Model = Value;

    fn type_name(&self) -> &'static str {
        "zoom_log_engine_token"
    }

    fn schema(&self) -> Schema {
        Schema::new([
            Attribute::string(SCOPE)
                .required()
                .validate(one_of(Scope::ALL.map(Scope::as_str)))
                .describe(
                    "What the token may do: `read` (enough for a plan), `write` or `admin`; at most what the provider's own \
                     token may.",
                ),
            Attribute::string(NAME).optional().describe(format!(
                "What the token is called in the engine's lists and audit log. Default: `{USUAL_NAME}`."
            )),
            Attribute::string(TTL).optional().describe(format!(
                "After how long the token ends by itself where the run does not come to revoke it, such as `15m`. It is \
                 renewed while the run lasts. Default: `{USUAL_TTL}`."
            )),
            Attribute::string("id").computed().describe("The token's id."),
            Attribute::string("token")
                .computed()
                .sensitive()
                .describe("The token, for the header `Authorization: Bearer`."),
            Attribute::string("expires_at")
                .computed()
                .describe("When the token would end if it were not renewed, in RFC 3339."),
        ])
        .describe(
            "A token for the engine's API that lasts as long as the run: it is revoked when the run ends, and stands in no \
             state and no plan. It is made with the provider's own token and may do no more than that.",
        )
    }

    async fn open(&self, context: &Context<Engine>, config: &Value, response: &mut OpenResponse) {
        let Some(client) = client(context, &mut response.diagnostics) else {
            return;
        };
        let Some(ttl) = ttl(config, &mut response.diagnostics) else {
            return;
        };
        let request = TokenRequest {
            name: config.get(NAME).as_str().unwrap_or(USUAL_NAME).to_owned(),
            scope: config
                .get(SCOPE)
                .as_str()
                .and_then(Scope::from_word)
                .unwrap_or(Scope::Read),
            expires_at: None,
            ttl: Some(ttl.clone()),
        };
        match client.create_token(&request).await {
            Ok(made) => {
                let mut result = config.clone();
                result.set_attribute("id", made.view.id.as_str());
                result.set_attribute("token", made.token.expose());
                let end = made.view.expires_at;
                result.set_attribute("expires_at", end.map(|end| end.to_string()));
                response.private.set(&ID, &made.view.id.to_string());
                response.private.set(&LIFE, &ttl);
                response.renew_at = Some(renewal(made.view.created_at, end));
                response.result = Some(result);
            }
            Err(error) => {
                let attributes = self.schema().attributes;
                problem::report(
                    &error,
                    "make the token",
                    &attributes,
                    config,
                    &mut response.diagnostics,
                );
            }
        }
    }
}

#[async_trait]
impl EphemeralResourceWithRenew<Engine> for EngineToken {
    async fn renew(&self, context: &Context<Engine>, private: &Private, response: &mut RenewResponse) {
        let Some(client) = client(context, &mut response.diagnostics) else {
            return;
        };
        let (Some(id), Some(ttl)) = (private.get(&ID), private.get(&LIFE)) else {
            return;
        };
        match client.renew_token(&id, &RenewRequest { ttl }).await {
            Ok(renewed) => response.renew_at = Some(renewal(Timestamp::now(), renewed.expires_at)),
            Err(error) => {
                let attributes = self.schema().attributes;
                problem::report(
                    &error,
                    "renew the token",
                    &attributes,
                    &Value::Null,
                    &mut response.diagnostics,
                );
            }
        }
    }
}

#[async_trait]
impl EphemeralResourceWithClose<Engine> for EngineToken {
    async fn close(&self, context: &Context<Engine>, private: &Private, diagnostics: &mut Diagnostics) {
        let Some(client) = client(context, diagnostics) else {
            return;
        };
        let Some(id) = private.get(&ID) else { return };
        // One that is gone already is as good as revoked.
        if let Err(error) = client.revoke_token(&id).await {
            let attributes = self.schema().attributes;
            problem::report(&error, "revoke the token", &attributes, &Value::Null, diagnostics);
        }
    }
}

fn ttl(config: &Value, diagnostics: &mut Diagnostics) -> Option<HumanDuration> {
    let text = config.get(TTL).as_str().unwrap_or(USUAL_TTL);
    text.parse()
        .map_err(|message: String| {
            diagnostics.attribute_error(TTL, "Not a duration", problem::sentence("", &message));
        })
        .ok()
}

/// Half of a life later: early enough to try again before it ends. The lengths come from the engine's clock, the
/// instant from ours, so that clocks that differ do no harm.
fn renewal(now: Timestamp, end: Option<Timestamp>) -> SystemTime {
    let life = end.map_or(Duration::ZERO, |end| {
        Duration::try_from(end.duration_since(now)).unwrap_or_default()
    });
    SystemTime::now() + life / 2
}
