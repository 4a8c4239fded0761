//! Connections: accepted, bounded in number and in patience, and let go in order when the engine stops.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Api, access::Peer, router};

/// How many connections there are at once; further ones wait in the system's queue.
const CONNECTIONS: usize = 1024;
/// How long a caller may take to send a request's head, and how long an idle connection is kept.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// The pause after the system had no connection to give, because files or memory are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves the API until `stop` is cancelled. Requests in hand then have until the deadline to end.
///
/// Connections are tasks of their own; this future owns them, and none outlives it.
pub async fn serve(listener: TcpListener, api: Api, stop: CancellationToken) {
    let router = router(&api);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while let Some(ended) = connections.try_join_next() {
            note(ended);
        }
        let (stream, peer, place) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    api.clock.sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            connection(stream, peer, router, stop).await;
            drop(place);
        });
    }
    drop(listener);
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

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, Peer(address.ip()), place))
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, stop: CancellationToken) {
    // Answers are small and written whole: waiting for more only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot send small answers at once");
    }
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE);
    let router = TowerToHyperService::new(router);
    let named = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let serving = http.serve_connection(TokioIo::new(stream), named);
    tokio::pin!(serving);
    let ended: Result<(), hyper::Error> = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection broke off");
    }
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        warn!(%error, "a connection failed");
    }
}
