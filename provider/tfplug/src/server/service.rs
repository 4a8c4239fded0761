//! The service's methods, each handed to the part that does it. None is left out.

use futures_util::{StreamExt as _, stream};
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

use super::{Server, state_store};
use crate::{log, provider::Provider, wire::tfplugin6 as wire};

/// The answer of every method: failures are diagnostics in it, never gRPC errors.
type Answer<T> = Result<Response<T>, Status>;

/// Implements the service: methods that answer at once, those that await, those about state stores, and streams.
macro_rules! service {
    (
        at_once { $($quick:ident($quick_message:ident) => $answer:ident;)* }
        methods { $($name:ident($message:ident) => $method:ident;)* }
        state_stores { $($store:ident($store_message:ident) => $refuse:ident;)* }
        $($streams:tt)*
    ) => {
        #[async_trait::async_trait]
        impl<P: Provider> wire::provider_server::Provider for Server<P> {
            $(
                async fn $quick(
                    &self,
                    request: Request<wire::$quick_message::Request>,
                ) -> Answer<wire::$quick_message::Response> {
                    log::trace("received a request", &[("rpc", stringify!($quick))]);
                    Ok(Response::new(self.0.$answer(request.into_inner())))
                }
            )*
            $(
                async fn $name(
                    &self,
                    request: Request<wire::$message::Request>,
                ) -> Answer<wire::$message::Response> {
                    log::trace("received a request", &[("rpc", stringify!($name))]);
                    Ok(Response::new(self.0.$method(request.into_inner()).await))
                }
            )*
            $(
                async fn $store(
                    &self,
                    request: Request<wire::$store_message::Request>,
                ) -> Answer<wire::$store_message::Response> {
                    Ok(Response::new(state_store::$refuse(request.get_ref())))
                }
            )*
            $($streams)*
        }
    };
}

service! {
    at_once {
        get_metadata(get_metadata) => metadata;
        get_provider_schema(get_provider_schema) => provider_schema;
        get_resource_identity_schemas(get_resource_identity_schemas) => identity_schemas;
        get_functions(get_functions) => get_functions;
        stop_provider(stop_provider) => stop;
    }
    methods {
        validate_provider_config(validate_provider_config) => validate_provider;
        configure_provider(configure_provider) => configure;
        upgrade_resource_identity(upgrade_resource_identity) => upgrade_identity;
        validate_resource_config(validate_resource_config) => validate_resource;
        upgrade_resource_state(upgrade_resource_state) => upgrade_resource;
        read_resource(read_resource) => read_resource;
        plan_resource_change(plan_resource_change) => plan_resource;
        apply_resource_change(apply_resource_change) => apply_resource;
        import_resource_state(import_resource_state) => import_resource;
        move_resource_state(move_resource_state) => move_resource;
        generate_resource_config(generate_resource_config) => generate_config;
        validate_data_resource_config(validate_data_resource_config) => validate_data_source;
        read_data_source(read_data_source) => read_data_source;
        validate_ephemeral_resource_config(validate_ephemeral_resource_config) => validate_ephemeral;
        open_ephemeral_resource(open_ephemeral_resource) => open_ephemeral;
        renew_ephemeral_resource(renew_ephemeral_resource) => renew_ephemeral;
        close_ephemeral_resource(close_ephemeral_resource) => close_ephemeral;
        validate_list_resource_config(validate_list_resource_config) => validate_list;
        call_function(call_function) => call_function;
        validate_action_config(validate_action_config) => validate_action;
        plan_action(plan_action) => plan_action;
    }
    state_stores {
        validate_state_store_config(validate_state_store) => validate;
        configure_state_store(configure_state_store) => configure;
        lock_state(lock_state) => lock;
        unlock_state(unlock_state) => unlock;
        get_states(get_states) => list;
        delete_state(delete_state) => delete;
    }

    async fn list_resource(
        &self,
        request: Request<wire::list_resource::Request>,
    ) -> Answer<BoxStream<wire::list_resource::Event>> {
        log::trace("received a request", &[("rpc", "list_resource")]);
        Ok(Response::new(self.0.list(request.into_inner())))
    }

    async fn invoke_action(
        &self,
        request: Request<wire::invoke_action::Request>,
    ) -> Answer<BoxStream<wire::invoke_action::Event>> {
        log::trace("received a request", &[("rpc", "invoke_action")]);
        Ok(Response::new(self.0.invoke_action(request.into_inner())))
    }

    async fn read_state_bytes(
        &self,
        request: Request<wire::read_state_bytes::Request>,
    ) -> Answer<BoxStream<wire::read_state_bytes::Response>> {
        let only = state_store::read(request.get_ref());
        Ok(Response::new(stream::iter([Ok(only)]).boxed()))
    }

    async fn write_state_bytes(
        &self,
        request: Request<Streaming<wire::write_state_bytes::RequestChunk>>,
    ) -> Answer<wire::write_state_bytes::Response> {
        let first = request.into_inner().message().await?;
        Ok(Response::new(state_store::write(first.as_ref())))
    }
}
