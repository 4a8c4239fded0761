//! The services of the plugin host beside the provider's own.

use std::{fs, path::PathBuf, process};

use futures_util::stream;
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
    server::health_reporter,
};

use crate::wire::plugin::{
    ConnInfo, Empty, StdioData, grpc_broker_server::GrpcBroker, grpc_controller_server::GrpcController,
    grpc_stdio_server::GrpcStdio,
};

/// Ends the process when the host says so.
#[derive(Debug)]
pub(super) struct Controller {
    socket: PathBuf,
}

impl Controller {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }
}

#[async_trait::async_trait]
impl GrpcController for Controller {
    /// Ends the process at once: the host waits two seconds for that and looks at no answer. By now every operation
    /// has been answered, so nothing is cut off.
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        let _ = fs::remove_file(&self.socket);
        process::exit(0)
    }
}

/// Forwards nothing: a provider writes nothing to its standard streams but log lines, which the host reads itself.
#[derive(Debug)]
pub(super) struct Stdio;

#[async_trait::async_trait]
impl GrpcStdio for Stdio {
    async fn stream_stdio(&self, _: Request<()>) -> Result<Response<BoxStream<StdioData>>, Status> {
        Ok(Response::new(Box::pin(stream::pending())))
    }
}

/// Brokers nothing: a provider has one connection.
#[derive(Debug)]
pub(super) struct Broker;

#[async_trait::async_trait]
impl GrpcBroker for Broker {
    async fn start_stream(
        &self,
        _: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<BoxStream<ConnInfo>>, Status> {
        Ok(Response::new(Box::pin(stream::pending())))
    }
}

/// Says that the service named `plugin` is serving, which hosts may ask.
pub(super) async fn health() -> HealthServer<impl Health> {
    let (reporter, server) = health_reporter();
    reporter
        .set_service_status("plugin", ServingStatus::Serving)
        .await;
    server
}
