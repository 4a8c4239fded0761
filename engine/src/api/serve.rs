//! Connections: accepted, bounded in number and in patience, and let go in order when the engine stops.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    Api,
    access::Peer,
    certificate::Certificate,
    connection::connection,
    places::{Place, Places},
    router,
};
use crate::config;

/// The pause after the system had no connection to give, because files or memory are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How the API is entered.
#[derive(Debug)]
pub struct Entrance {
    /// The certificate; without one it is plain HTTP.
    certificate: Option<Certificate>,
    /// How many connections there are at once; further ones wait in the system's queue.
    connections: usize,
    /// How many of them may come from one address; further ones are closed.
    connections_per_address: usize,
}

impl Entrance {
    /// Reads the certificate, where there is one.
    ///
    /// # Errors
    ///
    /// What is wrong with its files.
    pub fn new(server: &config::Server) -> Result<Self, config::TlsError> {
        Ok(Self {
            certificate: server.tls.clone().map(Certificate::load).transpose()?,
            connections: server.max_connections,
            connections_per_address: server.max_connections_per_address,
        })
    }

    /// Plain HTTP for so many connections, and so many of one address.
    #[cfg(test)]
    pub(super) fn plain(connections: usize, connections_per_address: usize) -> Self {
        Self {
            certificate: None,
            connections,
            connections_per_address,
        }
    }
}

/// Serves the API until `stop` is cancelled. Requests in hand then have until the deadline to end.
///
/// Connections are tasks of their own; this future owns them, and none outlives it.
pub async fn serve(listener: TcpListener, api: Api, entrance: Entrance, stop: CancellationToken) {
    let router = router(&api);
    let certificate = entrance.certificate;
    let all = Arc::new(Semaphore::new(entrance.connections));
    let places = Places::new(entrance.connections_per_address);
    let mut connections = JoinSet::new();
    let watching = async {
        match &certificate {
            Some(certificate) => certificate.watch(&api.clock).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(watching);
    loop {
        while let Some(ended) = connections.try_join_next() {
            note(ended);
        }
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            () = &mut watching => continue,
            accepted = accept(&listener, &all, &places) => accepted,
        };
        let (stream, peer, place) = match accepted {
            Ok(Some(accepted)) => accepted,
            Ok(None) => continue,
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                api.clock.sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (router, stop, clock) = (router.clone(), stop.clone(), api.clock.clone());
        let tls = certificate.as_ref().map(Certificate::acceptor);
        connections.spawn(async move {
            connection(stream, peer, tls, router, &clock, stop).await;
            drop(place);
        });
    }
    drop(listener);
    end(&api, connections).await;
}

/// The next connection, once there is a place for it; `None` where its address has as many as it may.
async fn accept(
    listener: &TcpListener,
    all: &Arc<Semaphore>,
    places: &Places,
) -> io::Result<Option<(TcpStream, Peer, (Place, OwnedSemaphorePermit))>> {
    let one = Arc::clone(all).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    let Some(place) = places.take(address.ip()) else {
        debug!(address = %address.ip(), "an address has as many connections as it may (`server.max_connections_per_address`)");
        return Ok(None);
    };
    Ok(Some((stream, Peer(address.ip()), (place, one))))
}

/// Lets requests in hand end within the deadline.
async fn end(api: &Api, mut connections: JoinSet<()>) {
    let ending = async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    };
    if api
        .clock
        .timeout(api.limits.shutdown_deadline, ending)
        .await
        .is_err()
    {
        warn!(
            left = connections.len(),
            "requests did not end within the deadline and are broken off"
        );
        connections.shutdown().await;
    }
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        warn!(%error, "a connection failed");
    }
}
