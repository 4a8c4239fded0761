//! Signs of life for the service manager: systemd's notify protocol, a datagram for each change of state.

use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::Arc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{clock::Clock, config::Service};

/// The service manager, where there is one that listens.
#[derive(Debug, Clone, Default)]
pub struct Manager {
    socket: Option<Arc<UnixDatagram>>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// Finds the service manager. One that cannot be reached is warned of and then not spoken to.
    pub fn find(service: &Service) -> Self {
        let socket = service.notify_socket.as_deref().map(connect);
        match socket.transpose() {
            Ok(socket) => Self {
                socket: socket.map(Arc::new),
                watchdog: service.watchdog,
            },
            Err(error) => {
                warn!(%error, "the service manager's NOTIFY_SOCKET cannot be reached");
                Self::default()
            }
        }
    }

    /// The engine serves and polls.
    pub fn ready(&self, status: &str) {
        self.say(&format!("READY=1\nSTATUS={status}\n"));
    }

    /// The engine ends.
    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=work in hand ends\n");
    }

    /// Says twice in each of the manager's intervals that the engine is alive, for as long as `stalled` tells nothing
    /// that keeps it from working; until `stop` is cancelled.
    pub async fn watch(&self, clock: &Clock, stop: &CancellationToken, stalled: impl Fn() -> Option<String>) {
        let Some(interval) = self.watchdog.filter(|_| self.socket.is_some()) else {
            return;
        };
        loop {
            match stalled() {
                None => self.say("WATCHDOG=1\n"),
                Some(why) => warn!(why, "no sign of life is given to the service manager"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep(interval / 2) => {}
            }
        }
    }

    fn say(&self, text: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(text.as_bytes())
        {
            // A manager that does not listen for a moment must not hold anything up.
            debug!(%error, "the service manager was not told");
        }
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[tokio::test]
    async fn signs_of_life_are_given_while_the_engine_works() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let abstract_name = format!("zoom-log-engine-test-{}", std::process::id());
        let by_name = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        for (name, manager) in [
            (path.clone().into_os_string(), UnixDatagram::bind(&path).unwrap()),
            (
                format!("@{abstract_name}").into(),
                UnixDatagram::bind_addr(&by_name).unwrap(),
            ),
        ] {
            manager.set_nonblocking(true).unwrap();
            let service = Service {
                notify_socket: Some(name),
                watchdog: Some(Duration::from_secs(10)),
            };
            let found = Manager::find(&service);
            found.ready("polling 2 sources");
            assert_eq!(heard(&manager), "READY=1\nSTATUS=polling 2 sources\n");
            let (clock, time) = Clock::simulated(jiff::Timestamp::UNIX_EPOCH);
            let stop = CancellationToken::new();
            let stalled = std::cell::Cell::new(false);
            let watch = found.watch(&clock, &stop, || stalled.get().then(|| "it hangs".to_owned()));
            let listen = async {
                // Waits for the next beat, whichever of the two is polled first.
                let beat = async |passed: Duration| {
                    time.advance(passed);
                    while time.next_wake().is_none_or(|wake| wake.is_zero()) {
                        tokio::task::yield_now().await;
                    }
                };
                beat(Duration::ZERO).await;
                for round in 0..4 {
                    assert_eq!(heard(&manager), "WATCHDOG=1\n", "{round}");
                    beat(Duration::from_secs(5)).await;
                }
                // Whoever is stalled says nothing, and is started again.
                assert_eq!(heard(&manager), "WATCHDOG=1\n");
                stalled.set(true);
                beat(Duration::from_secs(5)).await;
                assert!(manager.recv(&mut [0; 8]).is_err());
                stop.cancel();
            };
            tokio::join!(watch, listen);
            found.stopping();
            assert!(heard(&manager).starts_with("STOPPING=1\n"));
        }
    }

    #[tokio::test]
    async fn without_a_manager_nothing_happens() {
        let (clock, _) = Clock::simulated(jiff::Timestamp::UNIX_EPOCH);
        for socket in [None, Some("/nowhere/notify".into())] {
            let manager = Manager::find(&Service {
                notify_socket: socket,
                watchdog: Some(Duration::from_secs(1)),
            });
            manager.ready("x");
            manager.watch(&clock, &CancellationToken::new(), || None).await;
        }
    }
}
