//! What the author of a data source writes.

use async_trait::async_trait;

use crate::{
    diagnostics::Diagnostics, model::Codec, provider::Context, resource::StateResponse, schema::Schema,
};

/// A data source. `D` is the provider's [`Data`](crate::provider::Provider::Data).
///
/// ```
/// use async_trait::async_trait;
/// use tfplug::{
///     data_source::DataSource,
///     model::{Model, Value},
///     provider::Context,
///     resource::StateResponse,
///     schema::Schema,
/// };
///
/// /// Counts the dogs.
/// #[derive(Model)]
/// struct Count {
///     /// How many there are.
///     #[tf(computed)]
///     dogs: Value<u64>,
/// }
///
/// struct Counter;
///
/// #[async_trait]
/// impl DataSource<Vec<String>> for Counter {
///     type Model = Count;
///
///     fn type_name(&self) -> &str {
///         "kennel_count"
///     }
///
///     fn schema(&self) -> Schema {
///         Count::schema()
///     }
///
///     async fn read(&self, context: &Context<Vec<String>>, _: &Count, response: &mut StateResponse<Count>) {
///         if let Some(dogs) = context.data() {
///             response.state = Some(Count { dogs: Value::Known(dogs.len() as u64) });
///         }
///     }
/// }
/// ```
#[async_trait]
pub trait DataSource<D: Send + Sync + 'static>: Send + Sync + 'static {
    /// Its attributes: a struct with `#[derive(Model)]`, or the untyped [`Value`](crate::value::Value).
    type Model: Codec;

    /// Returns the name of the type, such as `cloud_server_status`.
    fn type_name(&self) -> &str;

    /// Returns the schema. It is asked once and kept.
    fn schema(&self) -> Schema;

    /// Reads. The configuration is wholly known. The response's state is empty at first; private state is of no use
    /// here.
    async fn read(
        &self,
        context: &Context<D>,
        config: &Self::Model,
        response: &mut StateResponse<Self::Model>,
    );
}

/// A data source whose configurations are checked beyond the validators of single attributes.
#[async_trait]
pub trait DataSourceWithValidate<D: Send + Sync + 'static>: DataSource<D> {
    /// Checks a configuration. Values may be unknown, and the provider is not configured yet.
    async fn validate(&self, context: &Context<D>, config: &Self::Model, diagnostics: &mut Diagnostics);
}
