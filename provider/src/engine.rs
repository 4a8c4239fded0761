//! The data source `zoom_log_engine`: what a Zoom app must know of the engine before any source exists.

use async_trait::async_trait;
use engine_api::EngineView;
use serde_json::json;
use tfplug::{
    data_source::DataSource, provider::Context, resource::StateResponse, schema::Schema, value::Value,
};

use crate::{
    connection::{self, Engine},
    json as convert, problem, schema,
};

/// The data source with the engine's id, version and URLs.
#[derive(Debug, Clone, Copy)]
pub struct EngineSource;

#[async_trait]
impl DataSource<Engine> for EngineSource {
    type Model = Value;

    fn type_name(&self) -> &'static str {
        "zoom_log_engine"
    }

    fn schema(&self) -> Schema {
        schema::data_source::<EngineView>(None).describe(
            "The engine that the provider speaks to. Its `redirect_url` is what an account-level OAuth app in Zoom must \
             have as its redirect URL and on its allow list, so that the app can be made before any source is.",
        )
    }

    async fn read(&self, context: &Context<Engine>, config: &Value, response: &mut StateResponse) {
        let Some(connection) = connection::known(context, &mut response.diagnostics) else {
            return;
        };
        let schema = self.schema();
        match connection.client().engine().await {
            Ok(engine) => {
                let engine = serde_json::to_value(engine).unwrap_or_else(|_| json!({}));
                response.state = Some(convert::to_value(&engine, &schema.ty()));
            }
            Err(error) => {
                problem::report(
                    &error,
                    "describe itself",
                    &schema.attributes,
                    config,
                    &mut response.diagnostics,
                );
            }
        }
    }
}
