//! The service's methods, each handed to the part that does it. What is never advertised stays unimplemented.

use tonic::{Request, Response, Status};

use super::{Server, convert};
use crate::{log, provider::Provider, wire::tfplugin6 as wire};

/// The answer of every method: failures are diagnostics in it, never gRPC errors.
type Answer<T> = Result<Response<T>, Status>;

#[async_trait::async_trait]
impl<P: Provider> wire::provider_server::Provider for Server<P> {
    async fn get_metadata(
        &self,
        _: Request<wire::get_metadata::Request>,
    ) -> Answer<wire::get_metadata::Response> {
        Ok(Response::new(self.0.metadata()))
    }

    async fn get_provider_schema(
        &self,
        _: Request<wire::get_provider_schema::Request>,
    ) -> Answer<wire::get_provider_schema::Response> {
        log::trace("received GetProviderSchema", &[]);
        Ok(Response::new(self.0.provider_schema()))
    }

    async fn validate_provider_config(
        &self,
        request: Request<wire::validate_provider_config::Request>,
    ) -> Answer<wire::validate_provider_config::Response> {
        log::trace("received ValidateProviderConfig", &[]);
        let diagnostics = self.0.validate_provider(request.into_inner()).await;
        Ok(Response::new(wire::validate_provider_config::Response {
            diagnostics: convert::diagnostics(diagnostics),
        }))
    }

    async fn configure_provider(
        &self,
        request: Request<wire::configure_provider::Request>,
    ) -> Answer<wire::configure_provider::Response> {
        log::trace("received ConfigureProvider", &[]);
        let diagnostics = self.0.configure(request.into_inner()).await;
        Ok(Response::new(wire::configure_provider::Response {
            diagnostics: convert::diagnostics(diagnostics),
        }))
    }

    async fn validate_resource_config(
        &self,
        request: Request<wire::validate_resource_config::Request>,
    ) -> Answer<wire::validate_resource_config::Response> {
        let request = request.into_inner();
        log::trace("received ValidateResourceConfig", &[("type", &request.type_name)]);
        Ok(Response::new(self.0.validate_resource(request).await))
    }

    async fn validate_data_resource_config(
        &self,
        request: Request<wire::validate_data_resource_config::Request>,
    ) -> Answer<wire::validate_data_resource_config::Response> {
        let request = request.into_inner();
        log::trace(
            "received ValidateDataResourceConfig",
            &[("type", &request.type_name)],
        );
        Ok(Response::new(self.0.validate_data_source(request).await))
    }

    async fn upgrade_resource_state(
        &self,
        request: Request<wire::upgrade_resource_state::Request>,
    ) -> Answer<wire::upgrade_resource_state::Response> {
        let request = request.into_inner();
        log::trace("received UpgradeResourceState", &[("type", &request.type_name)]);
        Ok(Response::new(self.0.upgrade_resource(request).await))
    }

    async fn get_resource_identity_schemas(
        &self,
        _: Request<wire::get_resource_identity_schemas::Request>,
    ) -> Answer<wire::get_resource_identity_schemas::Response> {
        Ok(Response::new(
            wire::get_resource_identity_schemas::Response::default(),
        ))
    }

    async fn read_resource(
        &self,
        request: Request<wire::read_resource::Request>,
    ) -> Answer<wire::read_resource::Response> {
        let request = request.into_inner();
        log::trace("received ReadResource", &[("type", &request.type_name)]);
        Ok(Response::new(self.0.read_resource(request).await))
    }

    async fn plan_resource_change(
        &self,
        request: Request<wire::plan_resource_change::Request>,
    ) -> Answer<wire::plan_resource_change::Response> {
        let request = request.into_inner();
        log::trace("received PlanResourceChange", &[("type", &request.type_name)]);
        Ok(Response::new(self.0.plan_resource(request).await))
    }

    async fn apply_resource_change(
        &self,
        request: Request<wire::apply_resource_change::Request>,
    ) -> Answer<wire::apply_resource_change::Response> {
        let request = request.into_inner();
        log::trace("received ApplyResourceChange", &[("type", &request.type_name)]);
        Ok(Response::new(self.0.apply_resource(request).await))
    }

    async fn import_resource_state(
        &self,
        request: Request<wire::import_resource_state::Request>,
    ) -> Answer<wire::import_resource_state::Response> {
        let request = request.into_inner();
        log::trace("received ImportResourceState", &[("type", &request.type_name)]);
        Ok(Response::new(self.0.import_resource(request).await))
    }

    async fn read_data_source(
        &self,
        request: Request<wire::read_data_source::Request>,
    ) -> Answer<wire::read_data_source::Response> {
        let request = request.into_inner();
        log::trace("received ReadDataSource", &[("type", &request.type_name)]);
        Ok(Response::new(self.0.read_data_source(request).await))
    }

    async fn get_functions(
        &self,
        _: Request<wire::get_functions::Request>,
    ) -> Answer<wire::get_functions::Response> {
        Ok(Response::new(wire::get_functions::Response::default()))
    }

    async fn stop_provider(
        &self,
        _: Request<wire::stop_provider::Request>,
    ) -> Answer<wire::stop_provider::Response> {
        log::debug("told to stop; running operations are cancelled", &[]);
        self.0.stop();
        Ok(Response::new(wire::stop_provider::Response::default()))
    }
}
