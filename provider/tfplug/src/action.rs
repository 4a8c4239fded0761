//! What the author of an action writes: something to do that leaves no state. Terraform has them from 1.14.

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::{
    diagnostics::Diagnostics,
    model::Codec,
    provider::{Context, Deferred},
    schema::Schema,
};

/// An action. `D` is the provider's [`Data`](crate::provider::Provider::Data).
///
/// ```
/// use async_trait::async_trait;
/// use tfplug::{
///     action::{Action, Progress},
///     diagnostics::Diagnostics,
///     model::{Model, Value},
///     provider::Context,
///     schema::Schema,
/// };
///
/// /// Calls a dog.
/// #[derive(Model)]
/// struct Call {
///     /// The dog's name.
///     #[tf(required)]
///     name: Value<String>,
/// }
///
/// struct Caller;
///
/// #[async_trait]
/// impl Action<()> for Caller {
///     type Model = Call;
///
///     fn type_name(&self) -> &str {
///         "kennel_call"
///     }
///
///     fn schema(&self) -> Schema {
///         Call::schema()
///     }
///
///     async fn invoke(&self, _: &Context<()>, config: &Call, progress: &Progress, _: &mut Diagnostics) {
///         progress.report(format!("{}!", config.name.as_deref().unwrap_or("Hey"))).await;
///     }
/// }
/// ```
#[async_trait]
pub trait Action<D: Send + Sync + 'static>: Send + Sync + 'static {
    /// Its attributes: a struct with `#[derive(Model)]`, or the untyped [`Value`](crate::value::Value).
    type Model: Codec;

    /// Returns the name of the type, such as `cloud_restart`.
    fn type_name(&self) -> &str;

    /// Returns the schema. It is asked once and kept.
    fn schema(&self) -> Schema;

    /// Does it. The configuration is wholly known. It failed if there is an error among the diagnostics at the end.
    async fn invoke(
        &self,
        context: &Context<D>,
        config: &Self::Model,
        progress: &Progress,
        diagnostics: &mut Diagnostics,
    );
}

/// An action whose configurations are checked beyond the validators of single attributes.
#[async_trait]
pub trait ActionWithValidate<D: Send + Sync + 'static>: Action<D> {
    /// Checks a configuration. Values may be unknown, and the provider is not configured yet.
    async fn validate(&self, context: &Context<D>, config: &Self::Model, diagnostics: &mut Diagnostics);
}

/// An action that looks at its configuration when Terraform plans.
#[async_trait]
pub trait ActionWithPlan<D: Send + Sync + 'static>: Action<D> {
    /// Looks at the plan to invoke the action, to warn of it or to refuse it. Values may be unknown.
    async fn plan(&self, context: &Context<D>, config: &Self::Model, response: &mut PlanActionResponse);
}

/// What [`ActionWithPlan::plan`] fills.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct PlanActionResponse {
    /// What it waits for, where the host allows it. An action can only wait for the provider's configuration.
    pub deferred: Option<Deferred>,
    /// What to tell the practitioner.
    pub diagnostics: Diagnostics,
}

/// Where an action tells how far it is.
#[derive(Debug, Clone)]
pub struct Progress(mpsc::Sender<String>);

impl Progress {
    pub(crate) fn new(sender: mpsc::Sender<String>) -> Self {
        Self(sender)
    }

    /// Shows a line to the practitioner. It waits while the host is slow to read.
    ///
    /// # Cancel safety
    ///
    /// Where the future is dropped, the line may be lost.
    pub async fn report(&self, text: impl Into<String>) {
        // With the host gone there is nobody left to tell.
        let _ = self.0.send(text.into()).await;
    }
}
