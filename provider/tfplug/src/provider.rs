//! What the author of a provider writes: the provider itself.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::{
    data_source::DataSource, diagnostics::Diagnostics, resource::Resource, schema::Schema, value::Value,
};

/// A provider: its configuration, and what it offers.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// What [`Provider::configure`] makes of the configuration, such as an API client. Every resource and data source
    /// reaches it through its [`Context`].
    type Data: Send + Sync + 'static;

    /// Returns the schema of the provider's own configuration.
    fn schema(&self) -> Schema;

    /// Checks a configuration, without the network. Values may be unknown.
    async fn validate(&self, config: &Value, diagnostics: &mut Diagnostics) {
        let _ = (config, diagnostics);
    }

    /// Takes the configuration. At plan time values may be unknown, when they come from resources that do not exist
    /// yet: tolerate this, and complain only when something needs them.
    async fn configure(
        &self,
        request: ConfigureRequest<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self::Data>;

    /// Returns the managed resources.
    fn resources(&self) -> Vec<Box<dyn Resource<Self::Data>>>;

    /// Returns the data sources.
    fn data_sources(&self) -> Vec<Box<dyn DataSource<Self::Data>>> {
        Vec::new()
    }
}

/// What [`Provider::configure`] gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConfigureRequest<'a> {
    /// The provider's configuration.
    pub config: &'a Value,
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

    /// Returns the version of Terraform, empty before the provider is configured.
    pub fn terraform_version(&self) -> &str {
        &self.terraform_version
    }
}
