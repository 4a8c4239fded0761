//! The provider service: wire messages in, the author's code in the middle, checked wire messages out.
//!
//! Each operation decodes its request by the schema, runs the author's code, checks the outcome against the rules that
//! core will apply, takes out write-only values, and answers. Nothing relies on an earlier `GetProviderSchema`: core
//! keeps one answer for many processes. Failures are diagnostics, never gRPC errors, which could name no attribute.
//!
//! A panic in the author's code becomes a diagnostic. What the response held by then is kept.

mod caught;
mod convert;
mod data;
mod managed;
mod service;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
};

use tokio_util::sync::CancellationToken;

use crate::{
    data_source::DataSource,
    diagnostics::Diagnostics,
    log,
    path::{Path, Step},
    provider::{ClientCapabilities, Context, Provider},
    resource::Resource,
    schema::{self, Attribute, Kind, Schema},
    value::{Type, Value},
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
    resources: BTreeMap<String, Entry<dyn Resource<P::Data>>>,
    data_sources: BTreeMap<String, Entry<dyn DataSource<P::Data>>>,
    configured: RwLock<Configured<P::Data>>,
    /// What running operations listen to. `StopProvider` cancels it and puts a fresh one in its place.
    running: Mutex<CancellationToken>,
}

impl<P: Provider> std::fmt::Debug for Inner<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// A resource or data source, and its schema once somebody has asked for it.
struct Entry<T: ?Sized> {
    item: Box<T>,
    compiled: OnceLock<Compiled>,
}

/// A schema with its type.
struct Compiled {
    schema: Schema,
    ty: Type,
}

impl Compiled {
    fn new(schema: Schema) -> Self {
        Self {
            ty: schema.ty(),
            schema,
        }
    }
}

struct Configured<D> {
    data: Option<Arc<D>>,
    terraform_version: Arc<str>,
}

impl<P: Provider> Server<P> {
    /// Makes the service. Schemas are built when they are first needed.
    pub fn new(provider: P) -> Self {
        let resources = provider
            .resources()
            .into_iter()
            .map(|item| {
                (
                    item.type_name().to_owned(),
                    Entry {
                        item,
                        compiled: OnceLock::new(),
                    },
                )
            })
            .collect();
        let data_sources = provider
            .data_sources()
            .into_iter()
            .map(|item| {
                (
                    item.type_name().to_owned(),
                    Entry {
                        item,
                        compiled: OnceLock::new(),
                    },
                )
            })
            .collect();
        Self(Arc::new(Inner {
            provider,
            config: OnceLock::new(),
            resources,
            data_sources,
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

    /// Returns the resource of that type and its schema, or says that there is none.
    fn resource(
        &self,
        type_name: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<(&dyn Resource<P::Data>, &Compiled)> {
        let Some(entry) = self.resources.get(type_name) else {
            diagnostics.error(
                "Unknown resource type",
                format!("This provider has no resource type `{type_name}`."),
            );
            return None;
        };
        let compiled = entry.compiled.get_or_init(|| Compiled::new(entry.item.schema()));
        Some((entry.item.as_ref(), compiled))
    }

    /// Returns the data source of that type and its schema, or says that there is none.
    fn data_source(
        &self,
        type_name: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<(&dyn DataSource<P::Data>, &Compiled)> {
        let Some(entry) = self.data_sources.get(type_name) else {
            diagnostics.error(
                "Unknown data source type",
                format!("This provider has no data source type `{type_name}`."),
            );
            return None;
        };
        let compiled = entry.compiled.get_or_init(|| Compiled::new(entry.item.schema()));
        Some((entry.item.as_ref(), compiled))
    }

    async fn validate_provider(&self, request: wire::validate_provider_config::Request) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        let compiled = self.config();
        if let Some(config) = convert::decode(
            request.config.as_ref(),
            &compiled.ty,
            "configuration",
            &mut diagnostics,
        ) {
            run_validators(&compiled.schema.attributes, &config, &mut diagnostics);
            let caught = caught::run(self.provider.validate(&config, &mut diagnostics)).await;
            convert::report_panic(
                "validating the provider's configuration",
                caught,
                &mut diagnostics,
            );
        }
        diagnostics
    }

    async fn configure(&self, request: wire::configure_provider::Request) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        let compiled = self.config();
        let Some(config) = convert::decode(
            request.config.as_ref(),
            &compiled.ty,
            "configuration",
            &mut diagnostics,
        ) else {
            return diagnostics;
        };
        let request_for_author = crate::provider::ConfigureRequest {
            config: &config,
            terraform_version: &request.terraform_version,
        };
        let caught = caught::run(self.provider.configure(request_for_author, &mut diagnostics)).await;
        let data = convert::report_panic("configuring the provider", caught, &mut diagnostics).flatten();
        let mut configured = self.configured.write().unwrap_or_else(PoisonError::into_inner);
        configured.data = data.map(Arc::new);
        configured.terraform_version = Arc::from(request.terraform_version.as_str());
        drop(configured);
        log::debug("configured", &[("terraform_version", &request.terraform_version)]);
        diagnostics
    }

    fn stop(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.cancel();
        *running = CancellationToken::new();
    }

    fn provider_schema(&self) -> wire::get_provider_schema::Response {
        let mut diagnostics = Diagnostics::new();
        let mut check = |name: &str, schema: &Schema, role| {
            if cfg!(debug_assertions) {
                for problem in schema::problems(schema, role) {
                    diagnostics.error(
                        "Provider bug",
                        format!("The schema of `{name}` is invalid. {problem}."),
                    );
                }
            }
        };
        let config = &self.config().schema;
        check("provider", config, schema::Role::Provider);
        let mut ignored = Diagnostics::new();
        let mut resource_schemas = std::collections::HashMap::new();
        for name in self.resources.keys() {
            if let Some((_, compiled)) = self.resource(name, &mut ignored) {
                check(name, &compiled.schema, schema::Role::Resource);
                resource_schemas.insert(name.clone(), convert::schema(&compiled.schema));
            }
        }
        let mut data_source_schemas = std::collections::HashMap::new();
        for name in self.data_sources.keys() {
            if let Some((_, compiled)) = self.data_source(name, &mut ignored) {
                check(name, &compiled.schema, schema::Role::DataSource);
                data_source_schemas.insert(name.clone(), convert::schema(&compiled.schema));
            }
        }
        wire::get_provider_schema::Response {
            provider: Some(convert::schema(config)),
            resource_schemas,
            data_source_schemas,
            diagnostics: convert::diagnostics(diagnostics),
            server_capabilities: Some(convert::capabilities()),
            ..Default::default()
        }
    }

    fn metadata(&self) -> wire::get_metadata::Response {
        wire::get_metadata::Response {
            server_capabilities: Some(convert::capabilities()),
            resources: self
                .resources
                .keys()
                .map(|type_name| wire::get_metadata::ResourceMetadata {
                    type_name: type_name.clone(),
                })
                .collect(),
            data_sources: self
                .data_sources
                .keys()
                .map(|type_name| wire::get_metadata::DataSourceMetadata {
                    type_name: type_name.clone(),
                })
                .collect(),
            ..Default::default()
        }
    }
}

/// Runs the validators of every attribute that is configured and known.
fn run_validators(attributes: &[Attribute], config: &Value, diagnostics: &mut Diagnostics) {
    schema::visit(
        attributes,
        config,
        &mut Path::root(),
        &mut |path, attribute, value| {
            if value.is_known() {
                for validator in &attribute.validators {
                    validator.validate(path, value, diagnostics);
                }
            }
        },
    );
}

/// Says that a write-only attribute needs a newer Terraform, and which attribute works without.
fn refuse_write_only(schema: &Schema, config: &Value, diagnostics: &mut Diagnostics) {
    for path in schema.write_only_set(config) {
        let instead = sibling_reference(schema, &path)
            .map(|name| format!(" With this version, set `{name}` instead."))
            .unwrap_or_default();
        diagnostics.attribute_error(
            path.clone(),
            "Write-only attributes need Terraform 1.11",
            format!(
                "`{path}` is a write-only attribute, so that it never stands in plan or state. Terraform and OpenTofu \
                 support this from version 1.11.{instead}"
            ),
        );
    }
}

/// Returns the name of the attribute beside the one at `path` that refers to the same secret: its name and `_ref`.
fn sibling_reference(schema: &Schema, path: &Path) -> Option<String> {
    let (last, parents) = path.steps().split_last()?;
    let Step::Attribute(name) = last else { return None };
    let wanted = format!("{name}_ref");
    let parent: Path = parents.iter().cloned().collect();
    let siblings = if parents.is_empty() {
        &schema.attributes
    } else {
        match &schema.at(&parent)?.kind {
            Kind::Nested(_, inner) => inner,
            Kind::Plain(_) => return None,
        }
    };
    siblings
        .iter()
        .any(|sibling| sibling.name == wanted)
        .then_some(wanted)
}
