//! The process that Terraform starts: handshake, TLS, services, and its end.
//!
//! Terraform starts a provider for each of its walks, several times for one plan. The contract: the environment says
//! who started us and with which certificate; we listen, write one line to standard output, and serve. `Shutdown` ends
//! the process at once, since the host waits two seconds for it. An interrupt from the terminal reaches us, too, and is
//! ignored, since the host decides what is finished. Nothing else is ever written to standard output.

mod handshake;
mod hook;
mod listen;
mod p521;
mod services;
mod tls;

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::server::{Router, Server as Transport};

use crate::{
    log,
    provider::Provider,
    server::Server,
    wire::{
        plugin::{
            grpc_broker_server::GrpcBrokerServer, grpc_controller_server::GrpcControllerServer,
            grpc_stdio_server::GrpcStdioServer,
        },
        tfplugin6::provider_server::ProviderServer,
    },
};
use handshake::Start;

/// The largest message in either direction. Large configurations exceed the usual 4 MiB.
const MAX_MESSAGE: usize = 256 * 1024 * 1024;

/// Why the provider could not serve.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("listen on a socket")]
    Listen(#[source] io::Error),
    #[error("set up TLS with the host's certificate")]
    Tls(#[from] tls::Error),
    #[error("write the handshake")]
    Handshake(#[source] io::Error),
    #[error("serve")]
    Serve(#[from] tonic::transport::Error),
    #[error("start the runtime")]
    Runtime(#[source] io::Error),
    #[error("listen to interrupts")]
    Signals(#[source] io::Error),
}

/// How the process was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// By Terraform, which speaks to us through the handshake.
    Plugin,
    /// By hand, to be attached to: for debuggers and quick tests.
    Debug,
}

/// Serves the provider until it is told to end. `address` is the provider's address in a registry.
pub(crate) fn serve<P: Provider>(provider: P, address: &str, mode: Mode) -> ExitCode {
    hook::install();
    let start = match mode {
        Mode::Debug => None,
        Mode::Plugin => match handshake::read(&|name| env::var(name).ok()) {
            Ok(start) => Some(start),
            Err(sentence) => {
                tell(&sentence);
                return ExitCode::FAILURE;
            }
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("tfplug")
        .enable_all()
        .build()
        .map_err(Error::Runtime);
    match runtime.and_then(|runtime| runtime.block_on(run(provider, address, start))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut chain = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                chain = format!("{chain}: {inner}");
                cause = inner.source();
            }
            tell(&format!("The provider cannot serve. It failed to {chain}."));
            ExitCode::FAILURE
        }
    }
}

async fn run<P: Provider>(provider: P, address: &str, start: Option<Start>) -> Result<(), Error> {
    let mut interrupts = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let directory = start
        .as_ref()
        .and_then(|start| start.socket_dir.clone())
        .unwrap_or_else(env::temp_dir);
    let socket = listen::Socket::bind(&directory).map_err(Error::Listen)?;
    let path = socket.path().to_owned();

    let Some(start) = start else {
        let router = router(provider, path.clone()).await;
        announce(&handshake::reattach(address, std::process::id(), &path)).map_err(Error::Handshake)?;
        let ended = async {
            interrupts.recv().await;
        };
        router.serve_with_incoming_shutdown(socket.plain(), ended).await?;
        return Ok(());
    };

    tokio::spawn(async move {
        while interrupts.recv().await.is_some() {
            log::info("interrupted; the host decides when to stop", &[]);
        }
    });
    let identity = start
        .client_certificate
        .as_deref()
        .map(tls::identity)
        .transpose()?;
    let router = router(provider, path.clone()).await;
    let line = handshake::line(
        &start,
        &path,
        identity.as_ref().map(|identity| identity.certificate.as_slice()),
    );
    if let Some(identity) = identity {
        let incoming = socket.encrypted(Arc::new(identity.config));
        announce(&line).map_err(Error::Handshake)?;
        router.serve_with_incoming(incoming).await?;
    } else {
        announce(&line).map_err(Error::Handshake)?;
        router.serve_with_incoming(socket.plain()).await?;
    }
    Ok(())
}

async fn router<P: Provider>(provider: P, socket: PathBuf) -> Router {
    let provider = ProviderServer::new(Server::new(provider))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    Transport::builder()
        .add_service(provider)
        .add_service(GrpcControllerServer::new(services::Controller::new(socket)))
        .add_service(GrpcStdioServer::new(services::Stdio))
        .add_service(GrpcBrokerServer::new(services::Broker))
        .add_service(services::health().await)
}

/// Writes to standard output, where the host waits for a line.
fn announce(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes to standard error, for whoever started the process.
fn tell(sentence: &str) {
    // With standard error gone there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "{sentence}");
}
