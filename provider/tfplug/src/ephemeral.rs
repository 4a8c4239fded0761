//! What the author of an ephemeral resource writes: something that is opened for one run and closed after it.
//!
//! Its values stand in no state and no plan. Terraform has them from 1.10.

use std::time::SystemTime;

use async_trait::async_trait;

use crate::{
    diagnostics::Diagnostics,
    model::Codec,
    private::Private,
    provider::{Context, Deferred},
    schema::Schema,
    value::Value,
};

/// An ephemeral resource. `D` is the provider's [`Data`](crate::provider::Provider::Data).
///
/// ```
/// use async_trait::async_trait;
/// use tfplug::{
///     ephemeral::{EphemeralResource, OpenResponse},
///     model::{Model, Value},
///     provider::Context,
///     schema::Schema,
/// };
///
/// /// A whistle that only this run hears.
/// #[derive(Model)]
/// struct Whistle {
///     /// How high it is.
///     #[tf(required)]
///     pitch: Value<u32>,
///     /// What to blow.
///     #[tf(computed, sensitive)]
///     tone: Value<String>,
/// }
///
/// struct Whistles;
///
/// #[async_trait]
/// impl EphemeralResource<()> for Whistles {
///     type Model = Whistle;
///
///     fn type_name(&self) -> &str {
///         "kennel_whistle"
///     }
///
///     fn schema(&self) -> Schema {
///         Whistle::schema()
///     }
///
///     async fn open(&self, _: &Context<()>, config: &Whistle, response: &mut OpenResponse<Whistle>) {
///         response.result = Some(Whistle {
///             pitch: config.pitch.clone(),
///             tone: "fweep".into(),
///         });
///     }
/// }
/// ```
#[async_trait]
pub trait EphemeralResource<D: Send + Sync + 'static>: Send + Sync + 'static {
    /// Its attributes: a struct with `#[derive(Model)]`, or the untyped [`Value`].
    type Model: Codec;

    /// Returns the name of the type, such as `cloud_token`.
    fn type_name(&self) -> &str;

    /// Returns the schema. It is asked once and kept.
    fn schema(&self) -> Schema;

    /// Opens it. The configuration is wholly known. The result holds what is configured, and what is computed.
    async fn open(
        &self,
        context: &Context<D>,
        config: &Self::Model,
        response: &mut OpenResponse<Self::Model>,
    );
}

/// An ephemeral resource whose configurations are checked beyond the validators of single attributes.
#[async_trait]
pub trait EphemeralResourceWithValidate<D: Send + Sync + 'static>: EphemeralResource<D> {
    /// Checks a configuration. Values may be unknown, and the provider is not configured yet.
    async fn validate(&self, context: &Context<D>, config: &Self::Model, diagnostics: &mut Diagnostics);
}

/// An ephemeral resource that has to be renewed while the run lasts.
#[async_trait]
pub trait EphemeralResourceWithRenew<D: Send + Sync + 'static>: EphemeralResource<D> {
    /// Renews it, by what [`EphemeralResource::open`] or an earlier renewal remembered, which the response still holds.
    async fn renew(&self, context: &Context<D>, private: &Private, response: &mut RenewResponse);
}

/// An ephemeral resource that has to be closed after the run.
#[async_trait]
pub trait EphemeralResourceWithClose<D: Send + Sync + 'static>: EphemeralResource<D> {
    /// Closes it, by what [`EphemeralResource::open`] or the last renewal remembered.
    async fn close(&self, context: &Context<D>, private: &Private, diagnostics: &mut Diagnostics);
}

/// What [`EphemeralResource::open`] fills.
#[derive(Debug)]
#[non_exhaustive]
pub struct OpenResponse<M = Value> {
    /// What was opened.
    pub result: Option<M>,
    /// When Terraform has to renew it, if ever.
    pub renew_at: Option<SystemTime>,
    /// What renewing and closing need to know. It is kept for this run only, and logged nowhere.
    pub private: Private,
    /// What it waits for, where the host allows it.
    pub deferred: Option<Deferred>,
    /// What to tell the practitioner.
    pub diagnostics: Diagnostics,
}

impl<M> Default for OpenResponse<M> {
    fn default() -> Self {
        Self {
            result: None,
            renew_at: None,
            private: Private::default(),
            deferred: None,
            diagnostics: Diagnostics::new(),
        }
    }
}

/// What [`EphemeralResourceWithRenew::renew`] fills.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct RenewResponse {
    /// When Terraform has to renew it again, if ever.
    pub renew_at: Option<SystemTime>,
    /// What the next renewal and closing need to know: at first what this one was given.
    pub private: Private,
    /// What to tell the practitioner.
    pub diagnostics: Diagnostics,
}
