//! The operations on data sources.

use super::{Inner, caught, convert, run_validators};
use crate::{
    diagnostics::Diagnostics, provider::Provider, resource::StateResponse, rules, wire::tfplugin6 as wire,
};

impl<P: Provider> Inner<P> {
    pub(super) async fn validate_data_source(
        &self,
        request: wire::validate_data_resource_config::Request,
    ) -> wire::validate_data_resource_config::Response {
        let mut diagnostics = Diagnostics::new();
        self.validate_data_source_into(&request, &mut diagnostics).await;
        wire::validate_data_resource_config::Response {
            diagnostics: convert::diagnostics(diagnostics),
        }
    }

    async fn validate_data_source_into(
        &self,
        request: &wire::validate_data_resource_config::Request,
        diagnostics: &mut Diagnostics,
    ) -> Option<()> {
        let (source, compiled) = self.data_source(&request.type_name, diagnostics)?;
        let config = convert::decode(
            request.config.as_ref(),
            &compiled.ty,
            "configuration",
            diagnostics,
        )?;
        run_validators(&compiled.schema.attributes, &config, diagnostics);
        let context = self.context(None);
        let caught = caught::run(source.validate(&context, &config, diagnostics)).await;
        convert::report_panic("validating a configuration", caught, diagnostics)
    }

    pub(super) async fn read_data_source(
        &self,
        request: wire::read_data_source::Request,
    ) -> wire::read_data_source::Response {
        let mut diagnostics = Diagnostics::new();
        let state = self.read_data_source_into(&request, &mut diagnostics).await;
        wire::read_data_source::Response {
            state: Some(state.unwrap_or_else(convert::null)),
            diagnostics: convert::diagnostics(diagnostics),
            deferred: None,
        }
    }

    async fn read_data_source_into(
        &self,
        request: &wire::read_data_source::Request,
        diagnostics: &mut Diagnostics,
    ) -> Option<wire::DynamicValue> {
        let (source, compiled) = self.data_source(&request.type_name, diagnostics)?;
        let config = convert::decode(
            request.config.as_ref(),
            &compiled.ty,
            "configuration",
            diagnostics,
        )?;
        let context = self.context(request.client_capabilities);
        let mut response = StateResponse::default();
        let caught = caught::run(source.read(&context, &config, &mut response)).await;
        diagnostics.extend(response.diagnostics);
        convert::report_panic("reading a data source", caught, diagnostics);
        let Some(state) = response.state else {
            if !diagnostics.has_errors() {
                diagnostics.error(
                    "Provider bug",
                    format!(
                        "D2: the provider read the data source `{}` and returned nothing. This is a bug in the \
                         provider. Please report it.",
                        request.type_name
                    ),
                );
            }
            return None;
        };
        let broken = rules::settled(&compiled.schema, &state, ["D1", "D3", "D1"]);
        rules::report(&request.type_name, "read", &broken, diagnostics);
        Some(convert::encode(&state, &compiled.ty, "data source", diagnostics))
    }
}
