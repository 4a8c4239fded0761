//! The provider: where the engine is, and how to speak to it.

use std::{env, fmt, sync::Arc};

use async_trait::async_trait;
use engine_api::{AlarmChannelSpec, DestinationSpec, Secret, SourceSpec, Spec, client::Client};
use tfplug::{
    diagnostics::Diagnostics,
    offers::Offers,
    provider::{ConfigureRequest, Provider},
    schema::{Attribute, Schema},
    value::Value,
};

use crate::{
    catalog::Catalog,
    engine::EngineSource,
    identity::{self, Found, Settings, TOKEN},
    status::SourceStatusSource,
    token::EngineToken,
};

const URL: (&str, &str) = ("engine_url", "ZOOM_LOG_ENGINE_URL");

/// Reads a variable of the environment; a test brings its own.
type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The provider.
#[derive(Clone)]
pub struct Zoom {
    environment: Environment,
}

impl fmt::Debug for Zoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zoom").finish_non_exhaustive()
    }
}

impl Default for Zoom {
    fn default() -> Self {
        Self::new()
    }
}

impl Zoom {
    /// Returns the provider with the environment of the process.
    pub fn new() -> Self {
        Self::with_environment(|name| env::var(name).ok())
    }

    /// Returns the provider with another environment.
    pub fn with_environment(environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self {
            environment: Arc::new(environment),
        }
    }

    /// Returns a setting from the configuration, else from the environment; nothing while it is unknown.
    fn setting(
        &self,
        config: &Value,
        (attribute, variable): (&str, &str),
        diagnostics: &mut Diagnostics,
    ) -> Option<String> {
        let value = config.get(attribute);
        if value.is_unknown() {
            return None;
        }
        let found = value
            .as_str()
            .map(str::to_owned)
            .or_else(|| (self.environment)(variable));
        let found = found.filter(|text| !text.is_empty());
        if found.is_none() {
            diagnostics.attribute_error(
                attribute,
                "The provider is not configured",
                format!(
                    "Set `{attribute}` in the provider's configuration, or `{variable}` in the environment."
                ),
            );
        }
        found
    }
}

/// What the configuration says about the engine.
#[derive(Debug)]
pub enum Engine {
    /// It can be spoken to.
    Known(Client),
    /// Its URL or token comes from something that does not exist yet.
    Unknown,
}

impl Engine {
    /// Returns the client, or says that there is none yet.
    pub fn client(&self, diagnostics: &mut Diagnostics) -> Option<&Client> {
        match self {
            Self::Known(client) => Some(client),
            Self::Unknown => {
                diagnostics.error(
                    "The engine is not known yet",
                    format!(
                        "`{}` or `{}` of the provider depends on something that has not been created yet. Create that \
                         first, for example with `-target`.",
                        URL.0, TOKEN.0
                    ),
                );
                None
            }
        }
    }
}

#[async_trait]
impl Provider for Zoom {
    type Data = Engine;
    type Model = Value;

    fn schema(&self) -> Schema {
        let url = Attribute::string(URL.0).describe(format!(
            "The URL of the engine's API, such as `http://127.0.0.1:8420`. Needed here or in the environment, as `{}`.",
            URL.1
        ));
        Schema::new([url].into_iter().chain(identity::attributes()))
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
        let url = self.setting(request.config, URL, diagnostics);
        if diagnostics.has_errors() {
            return None;
        }
        let Some(url) = url else {
            return Some(Engine::Unknown);
        };
        let agent = format!(
            "terraform-provider-zoom/{} Terraform/{}",
            env!("CARGO_PKG_VERSION"),
            request.terraform_version
        );
        match Client::new(&url, Secret::default(), &agent) {
            Ok(client) => {
                let settings = Settings {
                    config: request.config,
                    environment: &*self.environment,
                };
                match settings.token(&client, &url, diagnostics).await {
                    Found::Token(token) => Some(Engine::Known(client.with_token(token))),
                    Found::Unknown => Some(Engine::Unknown),
                    Found::Failed => None,
                }
            }
            Err(error) => {
                diagnostics.attribute_error(
                    URL.0,
                    "The engine's URL cannot be used",
                    format!("The URL of the engine is not one that can be connected to: {error}."),
                );
                None
            }
        }
    }

    fn offer(&self, offers: &mut Offers<Engine>) {
        kept::<SourceSpec>(offers, "zoom_log_source", "client_secret_version");
        kept::<DestinationSpec>(offers, "zoom_log_destination", "secrets_version");
        kept::<AlarmChannelSpec>(offers, "zoom_log_alarm_channel", "secrets_version");
        offers.data_source(EngineSource);
        offers.data_source(SourceStatusSource);
        offers.ephemeral(EngineToken).with_renew().with_close();
    }
}

/// Offers the resource for the objects that the engine keeps of a spec.
fn kept<S: Spec>(offers: &mut Offers<Engine>, type_name: &'static str, version: &'static str) {
    offers
        .resource(Catalog::<S>::new(type_name, version))
        .with_validate()
        .with_modify_plan()
        .with_import();
}
