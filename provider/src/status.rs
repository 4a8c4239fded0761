//! The data source `zoom_log_source_status`: what changes by itself.

use async_trait::async_trait;
use engine_api::SourceStatus;
use serde_json::json;
use tfplug::{
    data_source::DataSource, provider::Context, resource::StateResponse, schema::Schema, value::Value,
};

use crate::{
    connection::{self, Engine},
    json as convert, problem, schema,
};

/// The data source with a source's health, positions and alarms.
#[derive(Debug, Clone, Copy)]
pub struct SourceStatusSource;

const ARGUMENT: &str = "source_id";

#[async_trait]
impl DataSource<Engine> for SourceStatusSource {
    type Model = Value;

    fn type_name(&self) -> &'static str {
        "zoom_log_source_status"
    }

    fn schema(&self) -> Schema {
        schema::data_source::<SourceStatus>(Some(ARGUMENT)).describe(
            "How a source is doing: the health of each of its feeds, how far it has collected and delivered, and its \
             alarms. All of it changes by itself, so none of it is part of the resource.",
        )
    }

    async fn read(&self, context: &Context<Engine>, config: &Value, response: &mut StateResponse) {
        let Some(connection) = connection::known(context, &mut response.diagnostics) else {
            return;
        };
        let schema = self.schema();
        let id = config.get(ARGUMENT).as_str().unwrap_or_default();
        match connection.client().source_status(id).await {
            Ok(Some(status)) => {
                let status = serde_json::to_value(status).unwrap_or_else(|_| json!({}));
                response.state = Some(convert::to_value(&status, &schema.ty()));
            }
            Ok(None) => response.diagnostics.attribute_error(
                ARGUMENT,
                "No such source",
                "The engine has no source with this id.",
            ),
            Err(error) => {
                problem::report(
                    &error,
                    "show the status",
                    &schema.attributes,
                    config,
                    &mut response.diagnostics,
                );
            }
        }
    }
}
