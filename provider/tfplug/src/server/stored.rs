//! The operations on what is stored, or is to be: upgrade, move, import, and generated configuration.

use super::{
    Inner, convert,
    identity::{Leave, is_empty},
    managed::{IMPORTED, finish},
};
use crate::{
    conformance::rules,
    diagnostics::Diagnostics,
    private::Private,
    provider::{Deferred, Provider},
    resource::{MoveRequest, StateResponse, StoredState, UpgradeRequest},
    schema::generated,
    value::Value,
    wire::tfplugin6 as wire,
};

impl<P: Provider> Inner<P> {
    pub(super) async fn upgrade_resource(
        &self,
        request: wire::upgrade_resource_state::Request,
    ) -> wire::upgrade_resource_state::Response {
        let mut diagnostics = Diagnostics::new();
        let state = self.upgrade_into(&request, &mut diagnostics).await;
        wire::upgrade_resource_state::Response {
            upgraded_state: Some(state.unwrap_or_else(convert::null)),
            diagnostics: convert::diagnostics(diagnostics),
        }
    }

    async fn upgrade_into(
        &self,
        request: &wire::upgrade_resource_state::Request,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::DynamicValue> {
        let type_name = &request.type_name;
        let begun = self.begin(&self.offers.resources, type_name, None, diagnostics)?;
        let stored = stored(request.raw_state.as_ref(), diagnostics)?;
        let state = if request.version == begun.compiled.schema.version {
            match Value::from_stored_json(stored, &begun.compiled.ty) {
                Ok(state) => state,
                Err(error) => {
                    diagnostics.error(
                        "State cannot be read",
                        format!("The stored state does not fit the provider's schema: {error}."),
                    );
                    return None;
                }
            }
        } else {
            let mut response = StateResponse::default();
            if let Some(upgrades) = &begun.parts.upgrade {
                let upgrade = UpgradeRequest {
                    version: request.version,
                    stored: StoredState(stored),
                };
                upgrades.upgrade(upgrade, &mut response).await;
            }
            diagnostics.extend(response.diagnostics);
            let Some(state) = response.state else {
                if !diagnostics.has_errors() {
                    diagnostics.error(
                        "State cannot be upgraded",
                        format!(
                            "The state of this `{type_name}` was written with schema version {}, from which this \
                             version of the provider knows no way to its own.",
                            request.version
                        ),
                    );
                }
                return None;
            };
            state
        };
        let rules = ["U2", "U1", "U3"];
        Some(finish(
            begun.compiled,
            type_name,
            "upgraded",
            state,
            rules,
            diagnostics,
        ))
    }

    pub(super) async fn move_resource(
        &self,
        request: wire::move_resource_state::Request,
    ) -> wire::move_resource_state::Response {
        let mut diagnostics = Diagnostics::new();
        let mut private = Private::read(&request.source_private);
        let mut identity = None;
        let state = self
            .move_into(&request, &mut private, &mut identity, &mut diagnostics)
            .await;
        wire::move_resource_state::Response {
            target_state: state,
            diagnostics: convert::diagnostics(diagnostics),
            target_private: private.write_after(&request.source_private),
            target_identity: identity,
        }
    }

    async fn move_into(
        &self,
        request: &wire::move_resource_state::Request,
        private: &mut Private,
        identity: &mut Option<wire::ResourceIdentityData>,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::DynamicValue> {
        let type_name = &request.target_type_name;
        let begun = self.begin(&self.offers.resources, type_name, None, diagnostics)?;
        let stored = stored(request.source_state.as_ref(), diagnostics)?;
        let mut response = StateResponse::default();
        if let Some(moves) = &begun.parts.take_over {
            let asked = MoveRequest {
                provider_address: &request.source_provider_address,
                type_name: &request.source_type_name,
                schema_version: request.source_schema_version,
                stored: StoredState(stored),
                identity: request
                    .source_identity
                    .as_ref()
                    .filter(|raw| !raw.json.is_empty())
                    .map(|raw| StoredState(&raw.json)),
                private,
            };
            moves.take_over(asked, &mut response).await;
        }
        diagnostics.extend(response.diagnostics);
        if diagnostics.has_errors() {
            return None;
        }
        let Some(state) = response.state else {
            diagnostics.error(
                "Move is not supported",
                format!(
                    "A `{}` of the provider `{}` cannot become a `{type_name}`.",
                    request.source_type_name, request.source_provider_address
                ),
            );
            return None;
        };
        // What another type remembered means nothing to this one.
        *private = response.private;
        let leave = Leave {
            change: true,
            unknown: false,
        };
        *identity = begun.identify(type_name, &state, None, &leave, diagnostics).await;
        let rules = ["M4", "M1", "M2"];
        Some(finish(
            begun.compiled,
            type_name,
            "moved",
            state,
            rules,
            diagnostics,
        ))
    }

    pub(super) async fn import_resource(
        &self,
        request: wire::import_resource_state::Request,
    ) -> wire::import_resource_state::Response {
        let mut diagnostics = Diagnostics::new();
        let mut deferred = None;
        let imported = self.import_into(&request, &mut deferred, &mut diagnostics).await;
        wire::import_resource_state::Response {
            imported_resources: imported.into_iter().collect(),
            diagnostics: convert::diagnostics(diagnostics),
            deferred: convert::deferred(deferred),
        }
    }

    async fn import_into(
        &self,
        request: &wire::import_resource_state::Request,
        deferred: &mut Option<Deferred>,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::import_resource_state::ImportedResource> {
        let type_name = &request.type_name;
        let begun = self.begin(
            &self.offers.resources,
            type_name,
            request.client_capabilities,
            diagnostics,
        )?;
        let mut response = StateResponse::default();
        let by_identity = request.id.is_empty() && request.identity.is_some();
        if by_identity {
            let Some(imports) = &begun.parts.import_by_identity else {
                return refuse_import(type_name, "by its identity", diagnostics);
            };
            let ty = begun.parts.identity.as_ref()?.schema().ty();
            let data = request
                .identity
                .as_ref()
                .and_then(|data| data.identity_data.as_ref());
            let identity = convert::decode(data, &ty, "identity", diagnostics)?;
            imports.import(&begun.context, &identity, &mut response).await;
        } else {
            let Some(imports) = &begun.parts.import else {
                return refuse_import(type_name, "by an id", diagnostics);
            };
            imports.import(&begun.context, &request.id, &mut response).await;
        }
        *deferred = response.deferred;
        diagnostics.extend(response.diagnostics);
        if diagnostics.has_errors() {
            return None;
        }
        let Some(found) = response.state.filter(Value::is_known) else {
            if deferred.is_none() {
                diagnostics.error(
                    "Nothing to import",
                    format!("There is no `{type_name}` for what was given to import."),
                );
            }
            return None;
        };
        // Untyped resources may leave out what the read will find.
        let mut state = begun.compiled.schema.null_object();
        if let (Value::Object(all), Value::Object(found)) = (&mut state, found) {
            all.extend(found);
        }
        let mut identity = request.identity.clone();
        if let Some(names) = &begun.parts.identity
            && let Some(named) = names.identity(&begun.context, &state, diagnostics).await
            && !is_empty(&named)
        {
            identity = Some(super::identity::encode(&named, &names.schema().ty(), diagnostics));
        }
        let mut private = response.private;
        private.set(&IMPORTED, &true);
        let rules = ["I2", "I4", "I3"];
        Some(wire::import_resource_state::ImportedResource {
            type_name: type_name.clone(),
            state: Some(finish(
                begun.compiled,
                type_name,
                "imported",
                state,
                rules,
                diagnostics,
            )),
            private: private.write(),
            identity,
        })
    }

    pub(super) async fn generate_config(
        &self,
        request: wire::generate_resource_config::Request,
    ) -> wire::generate_resource_config::Response {
        let mut diagnostics = Diagnostics::new();
        let config = self.generate_config_into(&request, &mut diagnostics).await;
        wire::generate_resource_config::Response {
            config,
            diagnostics: convert::diagnostics(diagnostics),
        }
    }

    async fn generate_config_into(
        &self,
        request: &wire::generate_resource_config::Request,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::DynamicValue> {
        let type_name = &request.type_name;
        let begun = self.begin(&self.offers.resources, type_name, None, diagnostics)?;
        let state = begun.decode(request.state.as_ref(), "state", diagnostics)?;
        let schema = &begun.compiled.schema;
        let mut config = generated(&schema.attributes, &state);
        if let Some(generates) = &begun.parts.generate {
            generates.generate(&state, &mut config, diagnostics).await;
        }
        schema.null_write_only(&mut config);
        let broken = rules::is_configuration(schema, &config);
        rules::report(type_name, "generated a configuration for", &broken, diagnostics);
        Some(convert::encode(
            &config,
            &begun.compiled.ty,
            "configuration",
            diagnostics,
        ))
    }
}

/// Returns stored JSON, or says that there is none.
fn stored<'a>(raw: Option<&'a wire::RawState>, diagnostics: &mut Diagnostics) -> Option<&'a [u8]> {
    let stored = raw.map(|raw| raw.json.as_slice()).filter(|json| !json.is_empty());
    if stored.is_none() {
        diagnostics.error(
            "State cannot be read",
            "The state was written by a Terraform before 0.12 and has no form that this provider reads.",
        );
    }
    stored
}

fn refuse_import<T>(type_name: &str, how: &str, diagnostics: &mut Diagnostics) -> Option<T> {
    diagnostics.error(
        "Import is not supported",
        format!("The resource type `{type_name}` cannot be imported {how}."),
    );
    None
}
