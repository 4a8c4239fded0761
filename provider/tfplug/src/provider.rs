//! What the author of a provider writes: the provider itself.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::{diagnostics::Diagnostics, model::Codec, offers::Offers, schema::Schema, value::Value};

/// A provider: its configuration, and what it offers.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// What [`Provider::configure`] makes of the configuration, such as an API client. Every resource and data source
    /// reaches it through its [`Context`].
    type Data: Send + Sync + 'static;
    /// Its configuration: a struct with `#[derive(Model)]`, or the untyped [`Value`].
    type Model: Codec;

    /// Returns the schema of the provider's own configuration.
    fn schema(&self) -> Schema;

    /// Checks a configuration, without the network. Values may be unknown.
    async fn validate(&self, config: &Self::Model, diagnostics: &mut Diagnostics) {
        let _ = (config, diagnostics);
    }

    /// Takes the configuration. At plan time values may be unknown, when they come from resources that do not exist
    /// yet: tolerate this, and complain only when something needs them.
    async fn configure(
        &self,
        request: ConfigureRequest<'_, Self::Model>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self::Data>;

    /// Says what there is. It is asked at each start of the process, so it does nothing else; schemas are built when
    /// they are first needed.
    fn offer(&self, offers: &mut Offers<Self::Data>);
}

/// What [`Provider::configure`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConfigureRequest<'a, M = Value> {
    /// The provider's configuration.
    pub config: &'a M,
    /// The version of Terraform that runs the provider.
    pub terraform_version: &'a str,
}

/// What the host can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientCapabilities {
    /// It understands that a resource waits for something.
    pub deferral: bool,
    /// It understands write-only attributes: Terraform and OpenTofu from 1.11.
    pub write_only: bool,
}

/// What an operation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The resource's configuration is not known yet.
    ResourceConfigUnknown,
    /// The provider's configuration is not known yet.
    ProviderConfigUnknown,
    /// Something that has to exist before does not exist yet.
    AbsentPrerequisite,
}

/// That an operation waits. Only [`MayDefer::because`] makes it, so that nothing waits where the host does not know
/// what that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deferred(pub(crate) Reason);

/// The host's leave to wait, from [`Context::may_defer`].
#[derive(Debug, Clone, Copy)]
pub struct MayDefer(());

impl MayDefer {
    /// Returns what to put into a response.
    pub fn because(self, reason: Reason) -> Deferred {
        Deferred(reason)
    }
}

/// What every operation may use beside its request.
#[derive(Debug)]
pub struct Context<D> {
    data: Option<Arc<D>>,
    cancelled: CancellationToken,
    client: ClientCapabilities,
    terraform_version: Arc<str>,
}

impl<D> Context<D> {
    pub(crate) fn new(
        data: Option<Arc<D>>,
        cancelled: CancellationToken,
        client: ClientCapabilities,
        terraform_version: Arc<str>,
    ) -> Self {
        Self {
            data,
            cancelled,
            client,
            terraform_version,
        }
    }

    /// Returns the same with a cancellation of its own, which the given one cancels, too.
    pub(crate) fn cancelled_by(&self, cancelled: CancellationToken) -> Self {
        Self {
            data: self.data.clone(),
            cancelled,
            client: self.client,
            terraform_version: Arc::clone(&self.terraform_version),
        }
    }

    /// Returns what [`Provider::configure`] made. There is nothing while configurations are only validated.
    pub fn data(&self) -> Option<&Arc<D>> {
        self.data.as_ref()
    }

    /// Returns a token that is cancelled when the practitioner interrupts Terraform. An operation that then ends
    /// early must still return what exists.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// Returns what the host can do.
    pub fn client(&self) -> ClientCapabilities {
        self.client
    }

    /// Returns the host's leave to wait for something, where it gives it: with experimental versions of Terraform.
    ///
    /// ```
    /// # use tfplug::{provider::{Context, Reason}, resource::StateResponse};
    /// # fn read(context: &Context<()>, response: &mut StateResponse) {
    /// if let Some(leave) = context.may_defer() {
    ///     response.deferred = Some(leave.because(Reason::ProviderConfigUnknown));
    /// }
    /// # }
    /// ```
    pub fn may_defer(&self) -> Option<MayDefer> {
        self.client.deferral.then_some(MayDefer(()))
    }

    /// Returns the version of Terraform, empty before the provider is configured.
    pub fn terraform_version(&self) -> &str {
        &self.terraform_version
    }
}
