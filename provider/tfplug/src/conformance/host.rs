//! A plugin host: starts a provider's program as Terraform does, and connects to it with mutual TLS.
//!
//! ```no_run
//! use std::process::Command;
//!
//! use tfplug::conformance::{driver::Driver, host::Plugin};
//!
//! # async fn check() -> Result<(), tfplug::conformance::host::Error> {
//! let plugin = Plugin::start(Command::new("target/debug/terraform-provider-cloud"), true)?;
//! let driver = Driver::with_client(plugin.connect().await?.client()).await;
//! assert_eq!(driver.findings(), []);
//! # Ok(())
//! # }
//! ```

use std::{
    env, fmt, fs,
    future::Future,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    pin::Pin,
    process::{self, Child, ChildStderr, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
};
use tokio_rustls::TlsConnector;
use tonic::{body::Body, codegen::Service, codegen::http};

use crate::wire::tfplugin6::{get_metadata, provider_client::ProviderClient};

/// The cookie by which a host shows that it is one.
pub const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program or its directory could not be used.
    #[error("start the provider")]
    Start(#[from] io::Error),
    /// The program wrote something else than a handshake line.
    #[error("read the handshake line, which has {0} fields")]
    Line(usize),
    /// A certificate could not be made or read.
    #[error("make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The certificate of the provider is not one.
    #[error("read the provider's certificate: {0}")]
    Theirs(String),
    /// TLS could not be set up.
    #[error("set up TLS")]
    Tls(#[from] rustls::Error),
    /// The provider speaks no HTTP/2 on the connection, or named none in the TLS handshake.
    #[error("speak HTTP/2: {0}")]
    Http(String),
    /// The provider let us in and then did not answer: with TLS 1.3, a refused certificate shows only then.
    #[error("be answered: {0}")]
    Refused(String),
}

/// A connection, as the generated clients want it.
#[derive(Clone, Debug)]
pub struct Link(SendRequest<Body>);

impl Link {
    /// Returns a client of the provider service, without the usual bounds on messages.
    pub fn client(self) -> ProviderClient<Self> {
        ProviderClient::with_origin(self, origin())
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }
}

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

/// Returns the origin of requests, which the provider does not look at.
pub fn origin() -> http::Uri {
    http::Uri::from_static("http://localhost")
}

/// Returns a certificate with its key.
///
/// # Errors
///
/// Where none can be made.
pub fn certificate() -> Result<CertifiedKey<KeyPair>, Error> {
    Ok(generate_simple_self_signed(vec!["localhost".to_owned()])?)
}

/// A provider's program that was started. It is killed when this is dropped.
pub struct Plugin {
    child: Child,
    stderr: ChildStderr,
    line: Vec<String>,
    directory: PathBuf,
    identity: CertifiedKey<KeyPair>,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("id", &self.child.id())
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        // It may have ended by itself, and its directory may be gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Plugin {
    /// Starts the program with the environment of a host, with or without TLS, and reads its line.
    ///
    /// # Errors
    ///
    /// Where the program cannot be started. A program that ends without a line has started; see [`Plugin::line`].
    pub fn start(mut command: Command, tls: bool) -> Result<Self, Error> {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("tfplug-{}-{number}", process::id()));
        fs::create_dir_all(&directory)?;
        let identity = certificate()?;
        command
            .env(COOKIE.0, COOKIE.1)
            .env("PLUGIN_PROTOCOL_VERSIONS", "6,5")
            .env("PLUGIN_UNIX_SOCKET_DIR", &directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if tls {
            command.env("PLUGIN_CLIENT_CERT", identity.cert.pem());
        }
        let mut child = command.spawn()?;
        let missing = || io::Error::other("the program has no streams");
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or_else(missing)?).read_line(&mut line)?;
        let line = line.trim().split('|').map(str::to_owned).collect();
        Ok(Self {
            child,
            stderr,
            line,
            directory,
            identity,
        })
    }

    /// Returns the fields of the handshake line.
    pub fn line(&self) -> &[String] {
        &self.line
    }

    /// Returns the directory in which the socket is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns where the socket is.
    ///
    /// # Errors
    ///
    /// Where the line does not say it.
    pub fn socket(&self) -> Result<PathBuf, Error> {
        let address = self.line.get(3).ok_or(Error::Line(self.line.len()))?;
        Ok(PathBuf::from(address))
    }

    /// Returns the process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Connects with the certificate that the provider was given.
    ///
    /// # Errors
    ///
    /// Where the provider does not let us in.
    pub async fn connect(&self) -> Result<Link, Error> {
        self.connect_as(Some(&self.identity)).await
    }

    /// Connects with a certificate, or without one.
    ///
    /// # Errors
    ///
    /// Where the provider does not let us in.
    pub async fn connect_as(&self, identity: Option<&CertifiedKey<KeyPair>>) -> Result<Link, Error> {
        let theirs = self.line.get(5).ok_or(Error::Line(self.line.len()))?;
        let theirs = STANDARD_NO_PAD
            .decode(theirs)
            .map_err(|error| Error::Theirs(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(theirs))?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match identity {
            Some(identity) => {
                let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der());
                builder.with_client_auth_cert(vec![identity.cert.der().clone()], PrivateKeyDer::Pkcs8(key))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = UnixStream::connect(self.socket()?).await?;
        let name = ServerName::try_from("localhost").map_err(|error| Error::Theirs(error.to_string()))?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(&b"h2"[..]) {
            return Err(Error::Http("the TLS handshake does not name it".to_owned()));
        }
        open(stream).await
    }

    /// Connects without TLS.
    ///
    /// # Errors
    ///
    /// Where the provider does not answer.
    pub async fn connect_plainly(&self) -> Result<Link, Error> {
        open(UnixStream::connect(self.socket()?).await?).await
    }

    /// Kills the process.
    ///
    /// # Errors
    ///
    /// Where the system does not.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// Waits for the end, and returns the code, where it was not killed, and what was written to standard error.
    ///
    /// # Errors
    ///
    /// Where the process cannot be waited for.
    pub fn end(mut self) -> io::Result<(Option<i32>, String)> {
        let status = self.child.wait()?;
        let mut text = String::new();
        self.stderr.read_to_string(&mut text)?;
        Ok((status.code(), text))
    }
}

async fn open(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Link, Error> {
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|error| Error::Http(error.to_string()))?;
    tokio::spawn(connection);
    let link = Link(sender);
    link.clone()
        .client()
        .get_metadata(get_metadata::Request {})
        .await
        .map_err(|status| Error::Refused(status.to_string()))?;
    Ok(link)
}
