//! Connections that can be broken on purpose.
//!
//! A fault that resets needs the socket beneath the HTTP server, and a simulator that stops must cut requests which
//! hang for ever; so every connection's reads and writes go through one that can be told to fail.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Accepts connections until the simulator stops.
#[derive(Debug)]
pub(crate) struct WireListener {
    inner: TcpListener,
    addr: SocketAddr,
    stop: CancellationToken,
}

impl WireListener {
    pub(crate) async fn bind(addr: SocketAddr, stop: CancellationToken) -> io::Result<Self> {
        let inner = TcpListener::bind(addr).await?;
        let addr = inner.local_addr()?;
        Ok(Self { inner, addr, stop })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Listener for WireListener {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.inner).await;
        // Without it a page that is written in two parts waits for the peer's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let conn = Conn {
            cut: self.stop.child_token(),
            reset: Arc::default(),
        };
        (
            Wire {
                inner: stream,
                broken: Box::pin(conn.cut.clone().cancelled_owned()),
                conn,
            },
            peer,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.addr)
    }
}

/// A handle on the connection that a request came in by.
#[derive(Debug, Clone)]
pub(crate) struct Conn {
    cut: CancellationToken,
    reset: Arc<AtomicBool>,
}

impl Conn {
    /// Ends the connection with a reset rather than in order.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
        self.cut.cancel();
    }
}

impl Connected<IncomingStream<'_, WireListener>> for Conn {
    fn connect_info(stream: IncomingStream<'_, WireListener>) -> Self {
        stream.io().conn.clone()
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    inner: TcpStream,
    conn: Conn,
    broken: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Wire {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.broken.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        if self.conn.reset.load(Ordering::SeqCst) {
            // Closing with no linger is what makes the kernel send a reset.
            let _ = self.inner.set_zero_linger();
        }
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
