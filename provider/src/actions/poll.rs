//! `zoom_log_source_poll`: asks Zoom now instead of at the source's next turn.

use async_trait::async_trait;
use tfplug::{
    action::{Action, Progress},
    diagnostics::Diagnostics,
    model::{self, Codec as _, Model},
    provider::Context,
    schema::Schema,
};

use crate::{
    connection::{self, Engine},
    problem,
};

/// Polls a source now instead of at its next turn. It returns as soon as the engine has taken it up; what was collected
/// shows in `zoom_log_source_status`.
#[derive(Debug, Model)]
pub struct PollRequest {
    /// The source's id.
    #[tf(required)]
    source_id: model::Value<String>,
}

/// The action.
#[derive(Debug, Clone, Copy)]
pub struct Poll;

#[async_trait]
impl Action<Engine> for Poll {
    type Model = PollRequest;

    fn type_name(&self) -> &'static str {
        "zoom_log_source_poll"
    }

    fn schema(&self) -> Schema {
        PollRequest::schema()
    }

    async fn invoke(
        &self,
        context: &Context<Engine>,
        config: &PollRequest,
        progress: &Progress,
        diagnostics: &mut Diagnostics,
    ) {
        let Some(connection) = connection::known(context, diagnostics) else {
            return;
        };
        let id = config.source_id.as_deref().unwrap_or_default();
        match connection.client().poll_source(id).await {
            Ok(()) => progress.report(format!("`{id}` is polled now.")).await,
            Err(error) => problem::report(
                &error,
                "poll the source",
                &Self.schema().attributes,
                &config.write(),
                diagnostics,
            ),
        }
    }
}
