//! The provider service: wire messages in, the author's code in the middle, checked wire messages out.
//!
//! Each operation decodes its request by the schema, runs the author's code, checks the outcome against the rules that
//! core will apply, takes out write-only values, and answers. Nothing relies on an earlier `GetProviderSchema`: core
//! keeps one answer for many processes. Failures are diagnostics, never gRPC errors, which could name no attribute.
//!
//! A panic in the author's code becomes a diagnostic. What the response held by then is kept.

mod actions;
mod begin;
pub(crate) mod caught;
mod convert;
mod data;
mod describe;
mod functions;
mod identity;
mod lists;
mod managed;
mod service;
mod state_store;
mod stored;

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;

use crate::{
    diagnostics::Diagnostics,
    log,
    model::Codec,
    offers::{Offers, outcome},
    provider::{ClientCapabilities, ConfigureRequest, Context, Provider},
    schema::Compiled,
    value::Value,
    wire::tfplugin6 as wire,
};

pub(crate) use caught::{
    describe as describe_panic, expecting as panic_is_expected, take_note as note_panic,
};

/// The provider service over an author's provider.
#[derive(Debug, Clone)]
pub struct Server<P: Provider>(Arc<Inner<P>>);

struct Inner<P: Provider> {
    provider: P,
    config: OnceLock<Compiled>,
    offers: Offers<P::Data>,
    configured: RwLock<Configured<P::Data>>,
    /// What running operations listen to. `StopProvider` cancels it and puts a fresh one in its place.
    running: Mutex<CancellationToken>,
}

impl<P: Provider> std::fmt::Debug for Inner<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

struct Configured<D> {
    data: Option<Arc<D>>,
    terraform_version: Arc<str>,
}

impl<P: Provider> Server<P> {
    /// Makes the service. Schemas are built when they are first needed.
    pub fn new(provider: P) -> Self {
        let mut offers = Offers::new();
        provider.offer(&mut offers);
        Self(Arc::new(Inner {
            provider,
            config: OnceLock::new(),
            offers,
            configured: RwLock::new(Configured {
                data: None,
                terraform_version: Arc::from(""),
            }),
            running: Mutex::new(CancellationToken::new()),
        }))
    }
}

impl<P: Provider> Inner<P> {
    fn config(&self) -> &Compiled {
        self.config.get_or_init(|| Compiled::new(self.provider.schema()))
    }

    fn context(&self, client: Option<wire::ClientCapabilities>) -> Context<P::Data> {
        let configured = self.configured.read().unwrap_or_else(PoisonError::into_inner);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let client = client.unwrap_or_default();
        Context::new(
            configured.data.clone(),
            running.clone(),
            ClientCapabilities {
                deferral: client.deferral_allowed,
                write_only: client.write_only_attributes_allowed,
            },
            Arc::clone(&configured.terraform_version),
        )
    }

    /// Reads the provider's own configuration, as a value and as a model.
    fn own_config(
        &self,
        config: Option<&wire::DynamicValue>,
        diagnostics: &mut Diagnostics,
    ) -> Option<(Value, P::Model)> {
        let value = convert::decode(config, &self.config().ty, "configuration", diagnostics)?;
        let model = crate::offers::read(&value, diagnostics)?;
        Some((value, model))
    }

    async fn validate_provider(
        &self,
        request: wire::validate_provider_config::Request,
    ) -> wire::validate_provider_config::Response {
        const {
            assert!(
                !P::Model::TRAITS.write_only,
                "only resources have write-only values"
            );
        };
        let mut diagnostics = Diagnostics::new();
        if let Some((value, model)) = self.own_config(request.config.as_ref(), &mut diagnostics) {
            begin::run_validators(&self.config().schema.attributes, &value, &mut diagnostics);
            let caught = caught::run(self.provider.validate(&model, &mut diagnostics)).await;
            outcome(
                "validating the provider's configuration",
                caught,
                &mut diagnostics,
            );
        }
        wire::validate_provider_config::Response {
            diagnostics: convert::diagnostics(diagnostics),
        }
    }

    async fn configure(
        &self,
        request: wire::configure_provider::Request,
    ) -> wire::configure_provider::Response {
        let mut diagnostics = Diagnostics::new();
        if let Some((_, model)) = self.own_config(request.config.as_ref(), &mut diagnostics) {
            let asked = ConfigureRequest {
                config: &model,
                terraform_version: &request.terraform_version,
            };
            let caught = caught::run(self.provider.configure(asked, &mut diagnostics)).await;
            let data = outcome("configuring the provider", caught, &mut diagnostics).flatten();
            let mut configured = self.configured.write().unwrap_or_else(PoisonError::into_inner);
            configured.data = data.map(Arc::new);
            configured.terraform_version = Arc::from(request.terraform_version.as_str());
            drop(configured);
            log::debug("configured", &[("terraform_version", &request.terraform_version)]);
        }
        wire::configure_provider::Response {
            diagnostics: convert::diagnostics(diagnostics),
        }
    }

    fn stop(&self, _: wire::stop_provider::Request) -> wire::stop_provider::Response {
        log::debug("told to stop; running operations are cancelled", &[]);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.cancel();
        *running = CancellationToken::new();
        wire::stop_provider::Response::default()
    }
}
