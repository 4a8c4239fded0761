//! The operations on data sources and ephemeral resources: what is read or opened, and kept in no state.

use super::{Inner, convert};
use crate::{
    conformance::rules,
    diagnostics::Diagnostics,
    ephemeral::{OpenResponse, RenewResponse},
    private::Private,
    provider::{Deferred, Provider},
    resource::StateResponse,
    value::Value,
    wire::tfplugin6 as wire,
};

impl<P: Provider> Inner<P> {
    pub(super) async fn validate_data_source(
        &self,
        request: wire::validate_data_resource_config::Request,
    ) -> wire::validate_data_resource_config::Response {
        let (name, config) = (&request.type_name, request.config.as_ref());
        wire::validate_data_resource_config::Response {
            diagnostics: self.validate(&self.offers.data_sources, name, config, None).await,
        }
    }

    pub(super) async fn read_data_source(
        &self,
        request: wire::read_data_source::Request,
    ) -> wire::read_data_source::Response {
        let mut diagnostics = Diagnostics::new();
        let mut deferred = None;
        let state = self
            .read_data_source_into(&request, &mut deferred, &mut diagnostics)
            .await;
        wire::read_data_source::Response {
            state: Some(state.unwrap_or_else(convert::null)),
            diagnostics: convert::diagnostics(diagnostics),
            deferred: convert::deferred(deferred),
        }
    }

    async fn read_data_source_into(
        &self,
        request: &wire::read_data_source::Request,
        deferred: &mut Option<Deferred>,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::DynamicValue> {
        let begun = self.begin(
            &self.offers.data_sources,
            &request.type_name,
            request.client_capabilities,
            diagnostics,
        )?;
        let config = begun.config(request.config.as_ref(), diagnostics)?;
        let mut response = StateResponse::default();
        begun
            .parts
            .core
            .read(&begun.context, &config, &mut response)
            .await;
        diagnostics.extend(response.diagnostics);
        *deferred = response.deferred;
        let Some(state) = response.state else {
            if !diagnostics.has_errors() && deferred.is_none() {
                missing("D2", "read the data source", &request.type_name, diagnostics);
            }
            return None;
        };
        let broken = rules::settled(&begun.compiled.schema, &state, ["D1", "D3", "D1"]);
        if deferred.is_none() {
            rules::report(&request.type_name, "read", &broken, diagnostics);
        }
        Some(convert::encode(
            &state,
            &begun.compiled.ty,
            "data source",
            diagnostics,
        ))
    }

    pub(super) async fn validate_ephemeral(
        &self,
        request: wire::validate_ephemeral_resource_config::Request,
    ) -> wire::validate_ephemeral_resource_config::Response {
        let (name, config) = (&request.type_name, request.config.as_ref());
        wire::validate_ephemeral_resource_config::Response {
            diagnostics: self.validate(&self.offers.ephemerals, name, config, None).await,
        }
    }

    pub(super) async fn open_ephemeral(
        &self,
        request: wire::open_ephemeral_resource::Request,
    ) -> wire::open_ephemeral_resource::Response {
        let mut diagnostics = Diagnostics::new();
        let mut response = OpenResponse::default();
        let result = self
            .open_ephemeral_into(&request, &mut response, &mut diagnostics)
            .await;
        wire::open_ephemeral_resource::Response {
            diagnostics: convert::diagnostics(diagnostics),
            renew_at: response.renew_at.map(convert::timestamp),
            result: Some(result.unwrap_or_else(convert::null)),
            private: Some(response.private.write()),
            deferred: convert::deferred(response.deferred),
        }
    }

    async fn open_ephemeral_into(
        &self,
        request: &wire::open_ephemeral_resource::Request,
        response: &mut OpenResponse,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::DynamicValue> {
        let begun = self.begin(
            &self.offers.ephemerals,
            &request.type_name,
            request.client_capabilities,
            diagnostics,
        )?;
        let config = begun.config(request.config.as_ref(), diagnostics)?;
        begun.parts.core.open(&begun.context, &config, response).await;
        diagnostics.extend(std::mem::take(&mut response.diagnostics));
        let Some(result) = response.result.take() else {
            if !diagnostics.has_errors() && response.deferred.is_none() {
                missing(
                    "E1",
                    "opened the ephemeral resource",
                    &request.type_name,
                    diagnostics,
                );
            }
            return None;
        };
        if response.deferred.is_none() && !diagnostics.has_errors() {
            let schema = &begun.compiled.schema;
            let mut broken = rules::plan_follows(schema, &Value::Null, &config, &result);
            broken.extend(rules::settled(schema, &result, ["E1", "E1", "E1"]));
            rules::report(&request.type_name, "opened", &broken, diagnostics);
        }
        Some(convert::encode(
            &result,
            &begun.compiled.ty,
            "result",
            diagnostics,
        ))
    }

    pub(super) async fn renew_ephemeral(
        &self,
        request: wire::renew_ephemeral_resource::Request,
    ) -> wire::renew_ephemeral_resource::Response {
        let mut diagnostics = Diagnostics::new();
        let private = Private::read(request.private.as_deref().unwrap_or_default());
        let mut response = RenewResponse {
            private: private.clone(),
            ..RenewResponse::default()
        };
        if let Some(begun) = self.begin(
            &self.offers.ephemerals,
            &request.type_name,
            None,
            &mut diagnostics,
        ) {
            match &begun.parts.renew {
                Some(renews) => {
                    renews.renew(&begun.context, &private, &mut response).await;
                }
                None => diagnostics.error(
                    "Ephemeral resource cannot be renewed",
                    format!(
                        "The ephemeral resource type `{}` is never renewed.",
                        request.type_name
                    ),
                ),
            }
        }
        diagnostics.extend(response.diagnostics);
        wire::renew_ephemeral_resource::Response {
            diagnostics: convert::diagnostics(diagnostics),
            renew_at: response.renew_at.map(convert::timestamp),
            private: Some(response.private.write()),
        }
    }

    pub(super) async fn close_ephemeral(
        &self,
        request: wire::close_ephemeral_resource::Request,
    ) -> wire::close_ephemeral_resource::Response {
        let mut diagnostics = Diagnostics::new();
        if let Some(begun) = self.begin(&self.offers.ephemerals, &request.type_name, None, &mut diagnostics)
            // One that needs no closing is closed.
            && let Some(closes) = &begun.parts.close
        {
            let private = Private::read(request.private.as_deref().unwrap_or_default());
            closes.close(&begun.context, &private, &mut diagnostics).await;
        }
        wire::close_ephemeral_resource::Response {
            diagnostics: convert::diagnostics(diagnostics),
        }
    }
}

fn missing(rule: &str, did: &str, type_name: &str, diagnostics: &mut Diagnostics) {
    diagnostics.error(
        "Provider bug",
        format!(
            "{rule}: the provider {did} `{type_name}` and returned nothing. This is a bug in the provider. Please \
             report it."
        ),
    );
}
