//! Sends notices to an alarm channel's webhook, by the same request as the `http` destination.

use engine_api::{AlarmChannelSpec, Code};

use super::{
    Secrets, WriteError,
    request::{Body, Endpoint},
};
use crate::{clock::Clock, http::Http};

/// Sends to alarm channels.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// What is sent through.
    pub http: Http,
    /// The time, for signatures.
    pub clock: Clock,
}

impl Webhooks {
    /// Sends one notice once; the id is the same whenever it is sent again.
    ///
    /// # Errors
    ///
    /// See [`WriteError`]; [`WriteError::Blocked`] also where the spec or a secret cannot be used.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks the request off; the receiver may have taken the notice.
    pub async fn send(
        &self,
        channel: &AlarmChannelSpec,
        secrets: &Secrets,
        id: &str,
        notice: String,
    ) -> Result<(), WriteError> {
        let Some(webhook) = &channel.webhook else {
            return Err(WriteError::blocked(
                Code::InvalidSpec,
                "the channel has no `webhook`: set it",
            ));
        };
        let body = Body {
            id: id.to_owned(),
            content_type: "application/json",
            gzip: false,
            bytes: notice.into(),
        };
        Endpoint::of_channel(webhook, secrets)?
            .post(&self.http, &self.clock, body)
            .await
    }
}
