//! What the author of a data source writes.

use async_trait::async_trait;

use crate::{
    diagnostics::Diagnostics, provider::Context, resource::StateResponse, schema::Schema, value::Value,
};

/// A data source. `D` is the provider's [`Data`](crate::provider::Provider::Data).
#[async_trait]
pub trait DataSource<D: Send + Sync + 'static>: Send + Sync {
    /// Returns the name of the type, such as `cloud_server_status`.
    fn type_name(&self) -> &str;

    /// Returns the schema. It is asked once and kept.
    fn schema(&self) -> Schema;

    /// Checks a configuration beyond the validators of single attributes. Values may be unknown, and the provider is
    /// not configured yet.
    async fn validate(&self, context: &Context<D>, config: &Value, diagnostics: &mut Diagnostics) {
        let _ = (context, config, diagnostics);
    }

    /// Reads. The configuration is wholly known. The response's state is empty at first.
    async fn read(&self, context: &Context<D>, config: &Value, response: &mut StateResponse);
}
