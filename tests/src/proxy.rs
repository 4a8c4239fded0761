//! A TCP proxy that can be cut, stalled or made to swallow: what lies between an engine and its database.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use tokio_util::sync::CancellationToken;

/// What becomes of what comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is passed on.
    Pass,
    /// It is held back: connections stay, and nothing moves on them.
    Stall,
    /// Connections are closed, and new ones at once.
    Cut,
    /// It is lost, and so is all that comes later on the same connection: nobody is told.
    Swallow,
}

/// A running proxy; dropped, it cuts every connection and frees the port.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
    stop: CancellationToken,
}

impl Proxy {
    /// Starts a proxy on a free port before a server on this machine.
    pub async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound port").port();
        let (mode, modes) = watch::channel(Mode::Pass);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            loop {
                let incoming = tokio::select! {
                    incoming = listener.accept() => incoming,
                    () = stopped.cancelled() => return,
                };
                if let Ok((client, _)) = incoming
                    && *modes.borrow() != Mode::Cut
                {
                    let (modes, stopped) = (modes.clone(), stopped.clone());
                    tokio::spawn(async move {
                        tokio::select! {
                            _ = join(client, server, modes) => {}
                            () = stopped.cancelled() => {}
                        }
                    });
                }
            }
        });
        Self { port, mode, stop }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn join(client: TcpStream, server: u16, modes: watch::Receiver<Mode>) -> io::Result<()> {
    let server = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], server))).await?;
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        ended = pump(from_client, to_server, modes.clone()) => ended,
        ended = pump(from_server, to_client, modes) => ended,
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut modes: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut cuts = modes.clone();
    let mut lost = false;
    let mut bytes = vec![0; 16 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read?,
            _ = cuts.wait_for(|mode| *mode == Mode::Cut) => return Ok(()),
        };
        let mode = modes.wait_for(|mode| *mode != Mode::Stall).await;
        let mode = mode.map_or(Mode::Cut, |mode| *mode);
        if read == 0 || mode == Mode::Cut {
            return Ok(());
        }
        lost |= mode == Mode::Swallow;
        if !lost {
            to.write_all(&bytes[..read]).await?;
        }
    }
}
