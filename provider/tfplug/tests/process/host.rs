//! A plugin host: starts the provider, reads its line, connects, and speaks the protocol.

use std::{
    future::Future,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    pin::Pin,
    process::{Child, ChildStderr, Command, Stdio},
    sync::Arc,
    task::{Context, Poll},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tempfile::TempDir;
use tfplug::{
    value::{Type, Value},
    wire::tfplugin6::{ClientCapabilities, DynamicValue, provider_client::ProviderClient},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
};
use tokio_rustls::TlsConnector;
use tonic::{body::Body, codegen::Service, codegen::http};

pub(crate) const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";
pub(crate) const PROVIDER: &str = env!("CARGO_BIN_EXE_terraform-provider-kennel");

/// A connection as the generated clients want it.
#[derive(Clone)]
pub(crate) struct Link(SendRequest<Body>);

impl Service<http::Request<Body>> for Link {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

pub(crate) fn origin() -> http::Uri {
    http::Uri::from_static("http://localhost")
}

/// A certificate with its key.
pub(crate) fn certificate() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

/// A provider that was started, and the directory in which its socket and its dogs live.
pub(crate) struct Host {
    pub(crate) child: Child,
    pub(crate) line: Vec<String>,
    pub(crate) directory: TempDir,
    pub(crate) identity: CertifiedKey<KeyPair>,
    stderr: ChildStderr,
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Host {
    /// Starts the provider with mutual TLS.
    pub(crate) fn start() -> Self {
        Self::start_with(true, &[])
    }

    /// Starts the provider, with or without TLS, with these further variables.
    pub(crate) fn start_with(tls: bool, variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let identity = certificate();
        let mut command = Command::new(PROVIDER);
        command
            .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
            .env("PLUGIN_PROTOCOL_VERSIONS", "6,5")
            .env("PLUGIN_UNIX_SOCKET_DIR", directory.path())
            .env_remove("TF_LOG")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if tls {
            command.env("PLUGIN_CLIENT_CERT", identity.cert.pem());
        }
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let line = line.trim().split('|').map(str::to_owned).collect();
        Self {
            child,
            line,
            directory,
            identity,
            stderr,
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        PathBuf::from(&self.line[3])
    }

    /// Connects with the certificate that the provider was given.
    pub(crate) async fn connect(&self) -> Link {
        self.connect_as(Some(&self.identity)).await.unwrap()
    }

    /// Connects with a certificate, or without one.
    pub(crate) async fn connect_as(&self, identity: Option<&CertifiedKey<KeyPair>>) -> Result<Link, String> {
        let mut roots = RootCertStore::empty();
        let server = STANDARD_NO_PAD.decode(&self.line[5]).unwrap();
        roots.add(CertificateDer::from(server)).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            Some(identity) => {
                let key =
                    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der()));
                builder
                    .with_client_auth_cert(vec![identity.cert.der().clone()], key)
                    .unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = UnixStream::connect(self.socket()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .map_err(|error| error.to_string())?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        open(stream).await
    }

    /// Connects without TLS.
    pub(crate) async fn connect_plainly(&self) -> Link {
        open(UnixStream::connect(self.socket()).await.unwrap())
            .await
            .unwrap()
    }

    /// Waits for the end, and returns the code and what was written to standard error.
    pub(crate) fn end(mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        let mut text = String::new();
        self.stderr.read_to_string(&mut text).unwrap();
        (status.code().unwrap_or(-1), text)
    }

    /// Interrupts the provider, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        interrupt(self.child.id());
    }
}

/// Sends the signal of Ctrl-C.
pub(crate) fn interrupt(pid: u32) {
    assert!(
        Command::new("kill")
            .args(["-INT", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

async fn open(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Link, String> {
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    // With TLS 1.3 a refusal of our certificate comes only after the handshake, with the first answer.
    let mut client = ProviderClient::with_origin(Link(sender.clone()), origin());
    client
        .get_metadata(tfplug::wire::tfplugin6::get_metadata::Request {})
        .await
        .map_err(|status| status.to_string())?;
    Ok(Link(sender))
}

/// The client of the provider service, without the usual bounds on messages.
pub(crate) fn client(link: Link) -> ProviderClient<Link> {
    ProviderClient::with_origin(link, origin())
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX)
}

/// Writes a value as Terraform does.
pub(crate) fn encode(value: &Value, ty: &Type) -> Option<DynamicValue> {
    let msgpack = value.to_msgpack(ty).ok()?.into();
    Some(DynamicValue {
        msgpack,
        json: Vec::new().into(),
    })
}

/// Reads a value that the provider wrote.
pub(crate) fn decode(value: Option<&DynamicValue>, ty: &Type) -> Value {
    Value::from_msgpack(&value.unwrap().msgpack, ty).unwrap()
}

/// What Terraform from 1.11 can do.
pub(crate) const CAPABILITIES: Option<ClientCapabilities> = Some(ClientCapabilities {
    deferral_allowed: false,
    write_only_attributes_allowed: true,
    store_planned_private: false,
    computed_blocks_allowed: false,
});
