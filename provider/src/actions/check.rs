//! `zoom_log_source_check`: asks Zoom now whether a source can be read.

use async_trait::async_trait;
use tfplug::{
    action::{Action, Progress},
    diagnostics::Diagnostics,
    model::{self, Codec as _, Model},
    provider::Context,
    schema::Schema,
};

use super::SOURCE_ID;
use crate::{
    connection::{self, Engine},
    problem::{self, sentence},
};

/// Asks Zoom now whether each log type of a source can be read, with the credentials that the engine holds, and fails
/// where one cannot: with what Zoom refuses and what to do.
#[derive(Debug, Model)]
pub struct CheckRequest {
    /// The source's id.
    #[tf(required)]
    source_id: model::Value<String>,
}

/// The action.
#[derive(Debug, Clone, Copy)]
pub struct Check;

#[async_trait]
impl Action<Engine> for Check {
    type Model = CheckRequest;

    fn type_name(&self) -> &'static str {
        "zoom_log_source_check"
    }

    fn schema(&self) -> Schema {
        CheckRequest::schema()
    }

    async fn invoke(
        &self,
        context: &Context<Engine>,
        config: &CheckRequest,
        progress: &Progress,
        diagnostics: &mut Diagnostics,
    ) {
        let Some(connection) = connection::known(context, diagnostics) else {
            return;
        };
        let id = config.source_id.as_deref().unwrap_or_default();
        let report = match connection.client().check_source(id).await {
            Ok(report) => report,
            Err(error) => {
                problem::report(
                    &error,
                    "check the source",
                    &Self.schema().attributes,
                    &config.write(),
                    diagnostics,
                );
                return;
            }
        };
        for feed in report.feeds {
            let Some(trouble) = feed.trouble else {
                progress.report(format!("`{}` can be read.", feed.log_type)).await;
                continue;
            };
            diagnostics.attribute_error(
                SOURCE_ID,
                format!("`{}` cannot be read", feed.log_type),
                format!(
                    "{}\n\nCode: `{}`, see `docs/errors/{}.md`.",
                    sentence("", &trouble.detail),
                    trouble.code,
                    trouble.code
                ),
            );
        }
    }
}
