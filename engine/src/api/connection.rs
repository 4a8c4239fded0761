//! One connection: TLS where it is on, then requests one after the other, with little patience for whoever is slow.

use std::{sync::Arc, time::Duration};

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
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    access::{Certified, Peer},
    patient::Patient,
};
use crate::clock::Clock;

/// How long a caller may take to send a request's head, and how long an idle connection is kept.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// How long the TLS handshake may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// The longest head of a request: the request line and all headers.
const LONGEST_HEAD: usize = 64 << 10;
/// The most headers of a request.
const MOST_HEADERS: usize = 100;

/// Serves a connection to its end, or until `stop` is cancelled and the request in hand is answered.
pub(super) async fn connection(
    stream: TcpStream,
    peer: Peer,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    clock: &Clock,
    stop: CancellationToken,
) {
    // Answers are small and written whole: waiting for more only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot send small answers at once");
    }
    let stream = Patient::new(stream, clock.clone());
    let Some(tls) = tls else {
        return requests(stream, (peer, None), router, stop).await;
    };
    let handshake = clock.timeout(HANDSHAKE_PATIENCE, TlsAcceptor::from(tls).accept(stream));
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        () = stop.cancelled() => return,
    };
    match shaken {
        Ok(Ok(stream)) => {
            let shown = stream.get_ref().1.peer_certificates();
            let certified = shown.is_some_and(|chain| !chain.is_empty()).then_some(Certified);
            requests(stream, (peer, certified), router, stop).await;
        }
        Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
        Err(_) => debug!("a TLS handshake took too long"),
    }
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    (peer, certified): (Peer, Option<Certified>),
    router: Router,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(MOST_HEADERS);
    let router = TowerToHyperService::new(router);
    let named = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        if let Some(certified) = certified {
            request.extensions_mut().insert(certified);
        }
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
