//! The socket: where it is, who may open it, and the connections that come in.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, stream};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixListener, UnixStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected;

use crate::log;

/// How long a client may take for its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A listening socket in the file system, removed when it is dropped.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_file(&self.0);
    }
}

impl Socket {
    /// Listens on a new socket in the directory, which only this user may open.
    pub(super) fn bind(directory: &Path) -> io::Result<Self> {
        let mut random = [0_u8; 8];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| io::Error::other("no random numbers"))?;
        let path = directory.join(format!("plugin{:016x}", u64::from_be_bytes(random)));
        let listener = UnixListener::bind(&path)?;
        let file = SocketFile(path);
        fs::set_permissions(&file.0, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, file })
    }

    /// Returns where the socket is.
    pub(super) fn path(&self) -> &Path {
        &self.file.0
    }

    /// Returns the connections as they come in.
    pub(super) fn plain(self) -> impl Stream<Item = io::Result<Connection>> {
        stream::unfold(self, |socket| async {
            let accepted = socket.listener.accept().await;
            Some((accepted.map(|(stream, _)| Connection::Plain(stream)), socket))
        })
    }

    /// Returns the connections whose TLS handshake succeeds. One that fails ends alone.
    pub(super) fn encrypted(self, config: Arc<ServerConfig>) -> impl Stream<Item = io::Result<Connection>> {
        let acceptor = TlsAcceptor::from(config);
        stream::unfold((self, acceptor), |(socket, acceptor)| async {
            loop {
                let accepted = socket.listener.accept().await;
                let stream = match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => return Some((Err(error), (socket, acceptor))),
                };
                match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        return Some((Ok(Connection::Encrypted(Box::new(stream))), (socket, acceptor)));
                    }
                    Ok(Err(error)) => log::warn("refused a connection", &[("reason", &error.to_string())]),
                    Err(_) => log::warn(
                        "refused a connection",
                        &[("reason", "the handshake took too long")],
                    ),
                }
            }
        })
    }
}

/// A connection, encrypted or not.
#[derive(Debug)]
pub(super) enum Connection {
    Plain(UnixStream),
    Encrypted(Box<TlsStream<UnixStream>>),
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
