//! The provider: where the engine is, and how to speak to it.

use async_trait::async_trait;
use engine_api::{AlarmChannelSpec, DestinationSpec, Secret, SourceSpec, client::Client};
use tfplug::{
    diagnostics::Diagnostics,
    offers::Offers,
    provider::{ConfigureRequest, Provider},
    schema::Schema,
    value::Value,
};

use crate::{
    actions::{Backfill, Check, Poll},
    catalog::{Catalog, Listing},
    connection::{Connection, Engine, Kept},
    engine::EngineSource,
    functions::{Labels, ParseOperationDetail},
    settings::{self, Credential, Environment, Settings},
    sources::{SourceSource, SourcesSource},
    status::SourceStatusSource,
    token::EngineToken,
};

/// The provider.
#[derive(Debug, Clone)]
pub struct Zoom {
    environment: Environment,
}

impl Default for Zoom {
    fn default() -> Self {
        Self::new()
    }
}

impl Zoom {
    /// Returns the provider with the environment of the process.
    pub fn new() -> Self {
        Self::with_environment(Environment::of_the_process())
    }

    /// Returns the provider with another environment.
    pub fn with_environment(environment: Environment) -> Self {
        Self { environment }
    }
}

#[async_trait]
impl Provider for Zoom {
    type Data = Engine;
    type Model = Value;

    fn schema(&self) -> Schema {
        Schema::new(settings::attributes())
        .describe(
            "Zoom's audit logs as code. The provider manages what `zoom-log-engine` collects from Zoom, where it \
             delivers it, and whom it tells when logs stop.\n\nThe engine is the server that holds the credentials, \
             asks Zoom, and stores and delivers every event. `zoom-log-engine serve` starts one, without any \
             configuration. Whatever is changed at the engine behind Terraform's back, a secret included, is found \
             by the next plan.",
        )
    }

    async fn configure(
        &self,
        request: ConfigureRequest<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Engine> {
        let settings = settings::read(&self.environment, request.config, diagnostics);
        if diagnostics.has_errors() {
            return None;
        }
        let Some(settings) = settings else {
            return Some(Engine::Unknown);
        };
        let agent = format!(
            "terraform-provider-zoom/{} Terraform/{}",
            env!("CARGO_PKG_VERSION"),
            request.terraform_version
        );
        let Settings {
            url,
            credential,
            trust,
        } = settings;
        match Client::with_trust(&url, Secret::default(), &agent, &trust) {
            Ok(client) => {
                let token = match credential {
                    Credential::Token(token) => token,
                    Credential::Pipeline(pipeline) => {
                        let attributes: Vec<_> = settings::attributes().collect();
                        pipeline
                            .token(&client, &url, &self.environment, &attributes, diagnostics)
                            .await?
                    }
                };
                let client = client.with_token(token);
                Some(Engine::Known(Box::new(Connection::new(client, &url))))
            }
            Err(error) => {
                diagnostics.error(
                    "The engine cannot be connected to",
                    format!("Neither request was sent nor answer awaited: {error}. Check `engine_url`, `engine_ca_file` and `engine_client_certificate_file`."),
                );
                None
            }
        }
    }

    fn offer(&self, offers: &mut Offers<Engine>) {
        kept::<SourceSpec>(offers);
        kept::<DestinationSpec>(offers);
        kept::<AlarmChannelSpec>(offers);
        offers.data_source(EngineSource);
        offers.data_source(SourceSource).with_validate();
        offers.data_source(SourcesSource);
        offers.data_source(SourceStatusSource);
        offers.ephemeral(EngineToken).with_renew().with_close();
        offers.action(Poll);
        offers.action(Backfill).with_validate();
        offers.action(Check);
        offers.function(Labels);
        offers.function(ParseOperationDetail);
    }
}

/// Offers the resource for the objects that the engine keeps of a spec.
fn kept<S: Kept>(offers: &mut Offers<Engine>) {
    offers
        .resource(Catalog::<S>::new())
        .with_validate()
        .with_modify_plan()
        .with_import()
        .with_import_by_identity()
        .with_list(Listing::<S>::new());
}
