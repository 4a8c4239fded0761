//! A Zoom that keeps a ledger.
//!
//! The simulator answers the OAuth endpoints and both report endpoints as Zoom does, with Zoom's limits, errors and
//! headers, and it knows every row that it could have shown. A test makes it misbehave (shift pages, void tokens,
//! limit, cut, hang, lie) and then compares what was delivered with the ledger, as a multiset of exact bytes.
//!
//! Who takes part: [`World`] holds accounts, apps, tokens, rows, faults and the clock, behind one lock that is held
//! for microseconds; `oauth` (with `consent`) and `report` are the two Zoom doors, `control` is the door under `/_sim` for tests
//! and the demo that run it as a process. Tests in the same process call [`World`]'s methods instead.
//!
//! What no public source settles (`to` of tomorrow, the day's zone, the transport status of code 300, whether page
//! tokens are snapshots) is a switch in [`Behaviour`], with the likelier answer as its default.

mod account;
mod clock;
mod consent;
mod control;
mod counters;
mod fault;
mod feed;
mod generate;
mod limits;
mod oauth;
mod page_token;
mod report;
mod rows;
mod traffic;
mod vocabulary;
mod wording;
mod world;

pub use account::{
    App, Behaviour, Daily429, EndToken, Order, PageTokens, Permissions, Plan, RetryAfter, ScopeRefusal,
    TokenLifeFrom, TokenRefusal,
};
pub use clock::SimClock;
pub use counters::{Counters, Seen};
pub use fault::{Fault, FaultRule};
pub use generate::{Bulk, Mix, RowMaker};
pub use limits::Limits;
pub use rows::{Report, Row};
pub use traffic::Traffic;
pub use wording::{TimeForm, Wording};
pub use world::{Drip, Summary, World};

use std::{io, net::SocketAddr, sync::Arc};

use tokio_util::sync::CancellationToken;

/// A running simulator; dropping it cuts every connection and frees the port.
#[derive(Debug)]
pub struct Sim {
    world: Arc<World>,
    addr: SocketAddr,
    stop: CancellationToken,
}

impl Sim {
    /// Starts a simulator on a free port of the loopback interface.
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1:0".parse().expect("a literal address"))
            .await
            .expect("start the simulator")
    }

    pub async fn start_on(addr: SocketAddr) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let listener = crate::wire::WireListener::bind(addr, stop.clone()).await?;
        let addr = listener.addr();
        let world = World::new(format!("http://{addr}"), stop.clone());
        let router = control::router().merge(fault::layer(oauth::router().merge(report::router()), &world));
        let service = router
            .with_state(Arc::clone(&world))
            .into_make_service_with_connect_info::<crate::wire::Conn>();
        let served = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move { served.await });
        Ok(Self { world, addr, stop })
    }

    /// Returns the base URL, which serves as both the OAuth and the API host.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// Cuts every connection and closes the port, so that Zoom is gone for whoever still polls.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl std::ops::Deref for Sim {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.stop();
    }
}
