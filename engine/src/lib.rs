//! `zoom-log-engine`: collects Zoom's operation and activity logs exactly, stores them, delivers them, and raises an
//! alarm when they stop.
//!
//! The modules stand in levels; each may import those below it (`tests/it/tidy.rs` holds them to it):
//!
//! | level | modules |
//! |---|---|
//! | 0 pure | [`crash`] (of tests), [`encode`], [`model`], [`database`] (of the store), [`retry`], [`worker`] (what a worker is) |
//! | 1 doors | [`clock`], [`config`], [`http`], [`store`], [`telemetry`], [`vault`] |
//! | 2 adapters | [`destination`], [`zoom`] |
//! | between | [`credential`]: what joins the adapter [`zoom`] with the store and the vault |
//! | 3 workers | [`alarm`], [`delivery`], [`intake`], [`peers`] (the engines that share a store) |
//! | 4 surface | [`api`], [`labels`] (the command), [`supervisor`] |
//! | 5 root | this file and `main.rs`: they only put the parts together |

pub mod alarm;
pub mod api;
pub mod clock;
pub mod config;
pub mod crash;
pub mod credential;
pub mod database;
pub mod delivery;
pub mod destination;
pub mod encode;
pub mod health;
pub mod http;
pub mod intake;
pub mod labels;
pub mod model;
pub mod peers;
pub mod retry;
pub mod rotation;
pub mod service;
pub mod store;
pub mod supervisor;
pub mod telemetry;
pub mod vault;
pub mod worker;
pub mod zoom;

use std::{
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    sync::Arc,
    time::Duration,
};

use engine_api::EngineView;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    alarm::{AlarmWorker, NoticeOptions, NoticeWorker},
    api::{Api, Entrance, Limits, Parts},
    clock::Clock,
    config::{Config, MasterKey},
    credential::{Credentials, RenewalWorker},
    database::Database,
    delivery::{DeliveryWorker, RetentionWorker},
    destination::{Kinds, Webhooks},
    http::Http,
    intake::{Gates, Intake},
    peers::Peers,
    retry::Backoff,
    service::Manager,
    store::Store,
    supervisor::Supervisor,
    telemetry::Telemetry,
    vault::{KeyFrom, Vault},
    worker::{Wakes, Worker},
    zoom::{Place, Places, Zoom},
};

/// What a feed's lease lasts beyond the longest that one question to Zoom can take.
const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// What a claim on a refresh token, or on the right to ask for an access token, lasts beyond the longest that one question
/// to Zoom can take. Whoever needs longer, since another engine has the refresh token in hand, is fenced and looks again.
const TOKEN_LEASE_MARGIN: Duration = Duration::from_secs(15);
/// How long all destinations of a source may take nothing before it is not polled any more, at least; else as long as
/// delivered events are kept, so that what waits takes about as much room as what has been delivered.
const SHORTEST_BLOCK: Duration = Duration::from_hours(24);
/// How much longer than the API's own deadline the drain waits.
const DRAIN_MARGIN: Duration = Duration::from_secs(1);

/// Why the engine does not start. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be made.
    #[error(
        "cannot make the data directory `{path}`: {error}; set `data_dir` to a place that can be written"
    )]
    DataDir {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}; set `server.listen` to a free address")]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The store cannot be opened.
    #[error("{}", .0.chain())]
    Store(#[from] store::Error),
    /// The token cannot be had.
    #[error("{0}")]
    Vault(#[from] vault::Error),
    /// The master key cannot be had.
    #[error("{0}")]
    MasterKey(#[from] rotation::Error),
    /// The certificate of the API cannot be used.
    #[error("the API cannot be served over TLS: {0}")]
    Tls(#[from] config::TlsError),
    /// The outbound client cannot be built.
    #[error("{0}")]
    Http(#[from] http::Error),
    /// There is no source of random bytes.
    #[error("the system has no random bytes to give: {0}")]
    Random(getrandom::Error),
}

/// Runs the engine until `stop` is cancelled, and then lets work in hand end within the deadline.
///
/// # Errors
///
/// [`StartError`], before anything is served or polled.
pub async fn serve(config: Config, stop: CancellationToken) -> Result<(), StartError> {
    let clock = Clock::ahead(config.clock_ahead);
    let telemetry = Telemetry::new();
    #[cfg(feature = "crash-points")]
    config.crash_at.into_iter().for_each(crash::arm);
    telemetry.expect_labels(config.labels.labeller.all());
    make_data_dir(&config)?;
    let store = Store::at(&config.store.database, clock.clone()).await?;
    let engine_id = store.engine_id(&format!("eng_{}", random_hex()?)).await?;
    let vault = rotation::open_vault(vault_options(&config), &store).await?;
    let key_created = vault.key_created();
    let token = vault::admin_token(&config.auth.admin_token_file)?;
    let http = Http::new(http_options(&config), clock.clone())?;
    let entrance = Entrance::new(&config.server)?;
    let listener = listen(&config).await?;
    let url = public_url(&config, &listener);
    let zoom = Zoom::new(
        zoom_options(&config),
        http.clone(),
        clock.clone(),
        telemetry.clone(),
    );
    let wakes = Wakes::default();
    let owner = format!("{engine_id}/{}", random_hex()?);
    let engine = EngineView {
        engine_id,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        public_url: url.clone(),
        redirect_url: credential::redirect_url(&url),
    };
    for warning in labels::unknown(&store, &config.labels.labeller).await? {
        warn!("{warning}");
    }
    let peers = store.is_shared().then(|| {
        Peers::new(
            store.clone(),
            clock.clone(),
            wakes.clone(),
            &owner,
            config.store.lease,
        )
    });
    match &peers {
        // The first word of this engine: from here on it goes by the database's clock.
        Some(peers) => peers.join().await?,
        // An embedded store has one engine: whoever held a lease before this start is gone.
        None => store.break_leases().await?,
    }

    let supervisor = Supervisor::new(clock.clone(), telemetry.clone(), wakes.clone(), stop.clone());
    let whole = supervisor.spawner();
    let credentials = Credentials::new(credential::Parts {
        store: store.clone(),
        vault: vault.clone(),
        zoom,
        clock: clock.clone(),
        owner: owner.as_str().into(),
        lease: config.zoom.request_timeout + TOKEN_LEASE_MARGIN,
        public_url: url.as_str().into(),
        whole: Arc::new(move |work| whole.spawn(work)),
    });
    let parts = Doors {
        store,
        vault,
        http,
        clock,
        telemetry,
        wakes,
    };
    if let Some(peers) = &peers {
        supervisor.run(&(Arc::new(peers.clone()) as Arc<dyn Worker>), 1);
        supervisor.spawn(peers.clone().tell(stop.clone()));
        supervisor.spawn(peers.clone().listen(stop.clone()));
        supervisor.spawn(peers.clone().retire(stop.clone()));
    }
    for (worker, copies) in workers(&config, &parts, &credentials, &owner, &engine) {
        supervisor.run(&worker, copies);
    }
    let Doors {
        store,
        vault,
        http,
        clock,
        telemetry,
        wakes,
    } = parts;
    let (beats, watched_beats, watched) = (supervisor.beats(), supervisor.beats(), clock.clone());
    let api = Api::new(Parts {
        store: store.clone(),
        vault,
        clock,
        telemetry,
        http,
        token: token.token,
        engine,
        limits: Limits::from(&config),
        source_check: Arc::new(credentials.clone()),
        consents: Arc::new(credentials),
        wake: Arc::new(move || wakes.wake()),
        stalled: Arc::new(move || beats.stalled()),
    });
    supervisor.spawn(api::serve(listener, api, entrance, stop.clone()));
    announce(&config, &url, key_created, token.created);
    let manager = Manager::find(&config.service);
    manager.ready(&format!("serving {url}"));

    // Until the engine is to stop: while it ends, the manager has another limit.
    tokio::join!(
        manager.watch(&watched, &stop, || watched_beats.stalled()),
        stop.cancelled()
    );
    manager.stopping();
    info!("stopping: work in hand ends, nothing new begins");
    // The API keeps the deadline itself; whoever is still there a moment later is left behind.
    supervisor
        .drain(config.server.shutdown_deadline + DRAIN_MARGIN)
        .await;
    if let Some(peers) = peers {
        peers.leave().await;
    }
    store.close().await;
    info!("stopped");
    Ok(())
}

/// Replaces the master key, or finishes what an earlier call began; engines may run on the same store.
///
/// # Errors
///
/// [`StartError`]; both keys are needed until a later call ends well.
pub async fn rotate_key(config: &Config, out: &mut (dyn io::Write + Send)) -> Result<(), StartError> {
    #[cfg(feature = "crash-points")]
    config.crash_at.into_iter().for_each(crash::arm);
    let (store, vault) = open_to_rotate(config).await?;
    rotation::rotate(&store, &vault, out).await?;
    store.close().await;
    Ok(())
}

/// Says which master keys there are, and how many secrets need each.
///
/// # Errors
///
/// [`StartError`].
pub async fn key_status(config: &Config, out: &mut (dyn io::Write + Send)) -> Result<(), StartError> {
    let (store, vault) = open_to_rotate(config).await?;
    rotation::status(&store, &vault, out).await?;
    store.close().await;
    Ok(())
}

/// A store that was used before, and its vault: nothing is made here.
async fn open_to_rotate(config: &Config) -> Result<(Store, Vault), StartError> {
    let unused = || StartError::MasterKey(rotation::Error::Unused);
    if let Database::Sqlite(file) = &config.store.database
        && !file.exists()
    {
        return Err(unused());
    }
    let store = Store::at(&config.store.database, Clock::ahead(config.clock_ahead)).await?;
    if store.key_state().await?.is_none() {
        return Err(unused());
    }
    let vault = rotation::open_vault(vault_options(config), &store).await?;
    Ok((store, vault))
}

/// The doors that workers and the API share.
struct Doors {
    store: Store,
    vault: Vault,
    http: Http,
    clock: Clock,
    telemetry: Telemetry,
    wakes: Wakes,
}

/// All workers, and in how many copies each runs.
fn workers(
    config: &Config,
    doors: &Doors,
    credentials: &Credentials,
    owner: &str,
    engine: &EngineView,
) -> Vec<(Arc<dyn Worker>, usize)> {
    let Doors {
        store,
        vault,
        http,
        clock,
        telemetry,
        wakes,
    } = doors;
    let backoff = Backoff {
        first: config.delivery.retry_first,
        longest: config.delivery.retry_longest,
    };
    let intake = Intake {
        store: store.clone(),
        credentials: credentials.clone(),
        zoom: credentials.zoom().clone(),
        labeller: config.labels.labeller.clone(),
        clock: clock.clone(),
        telemetry: telemetry.clone(),
        gates: Gates::default(),
        wakes: wakes.clone(),
        owner: owner.into(),
        // A page may need a token before it, and both once more when Zoom no longer honours the token. Where another engine
        // asks for that token and takes all of its time, the poll is fenced in the worst case, and made again.
        lease: config.zoom.request_timeout * 4 + LEASE_MARGIN,
        late_window: config.zoom.late_window,
        sweep_interval: config.zoom.sweep_interval,
        blocked_after: config.store.replay_retention.max(SHORTEST_BLOCK),
        daily_request_budget: config.zoom.daily_request_budget.into(),
        herd: u32::try_from(config.zoom.max_parallel_polls * 2).unwrap_or(u32::MAX),
        backfills: Arc::new(Semaphore::new((config.zoom.max_parallel_polls / 2).max(1))),
    };
    let delivery = DeliveryWorker::new(
        store.clone(),
        vault.clone(),
        clock.clone(),
        telemetry.clone(),
        Arc::new(Kinds {
            http: http.clone(),
            clock: clock.clone(),
            file_roots: config.egress.file_roots.as_slice().into(),
        }),
        delivery::Options::new(owner.to_owned(), backoff),
    );
    let noticed = wakes.clone();
    let alarm = AlarmWorker::new(
        store.clone(),
        clock.clone(),
        telemetry.clone(),
        engine.clone(),
        move || noticed.wake(),
    );
    let notices = NoticeWorker::new(
        store.clone(),
        vault.clone(),
        Webhooks {
            http: http.clone(),
            clock: clock.clone(),
        },
        clock.clone(),
        telemetry.clone(),
        NoticeOptions::new(owner.to_owned(), backoff),
    );
    let retention = RetentionWorker::new(store.clone(), clock.clone(), config.store.replay_retention)
        .with_audit_retention(config.store.audit_retention);
    vec![
        (Arc::new(intake), config.zoom.max_parallel_polls),
        (Arc::new(delivery), config.delivery.max_parallel),
        (Arc::new(alarm), 1),
        (Arc::new(notices), 1),
        (Arc::new(retention), 1),
        (Arc::new(RenewalWorker::new(credentials.clone())), 1),
    ]
}

/// Says where things are, for whoever starts the engine by hand or waits for it.
fn announce(config: &Config, url: &str, key_created: bool, token_created: bool) {
    let made = |created| if created { "made" } else { "read" };
    let text = format!(
        "zoom-log-engine {}\n  data         {}\n  vault key    {} ({})\n  admin token  {} ({})\n  listening on {url}\n",
        env!("CARGO_PKG_VERSION"),
        config.data_dir.display(),
        key_from(config).place(),
        made(key_created),
        config.auth.admin_token_file.display(),
        made(token_created),
    );
    // A standard output that nobody reads is no reason not to serve.
    let _ = io::stdout().write_all(text.as_bytes());
    info!(url, "serving");
}

fn make_data_dir(config: &Config) -> Result<(), StartError> {
    // Events and sealed secrets are nobody else's to read.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir)
        .map_err(|error| StartError::DataDir {
            path: config.data_dir.display().to_string(),
            error,
        })
}

fn vault_options(config: &Config) -> vault::Options {
    vault::Options {
        key: key_from(config),
        ref_dirs: config.vault.ref_dirs.clone(),
        ref_env_prefixes: config.vault.ref_env_prefixes.clone(),
    }
}

fn key_from(config: &Config) -> KeyFrom {
    match config.vault.key.clone() {
        MasterKey::File(path) => KeyFrom::File(path),
        MasterKey::Provided(path) => KeyFrom::Provided(path),
        MasterKey::Variable { name, value } => KeyFrom::Text {
            place: format!("the variable `{name}`"),
            text: value,
        },
    }
}

fn http_options(config: &Config) -> http::Options {
    http::Options {
        egress: http::Rule {
            private: config.egress.allow_private_addresses,
            networks: config.egress.allow_networks.clone(),
            hosts: config.egress.allow_hosts.clone(),
        },
        authorities: config.egress.authorities.clone(),
        ..http::Options::default()
    }
}

fn zoom_options(config: &Config) -> zoom::Options {
    zoom::Options {
        places: Places {
            commercial: Place {
                api: config.zoom.api_url.clone(),
                oauth: config.zoom.oauth_url.clone(),
            },
            government: Place {
                api: config.zoom.government_api_url.clone(),
                oauth: config.zoom.government_oauth_url.clone(),
            },
        },
        request_timeout: config.zoom.request_timeout,
        day_zone: config.zoom.day_zone.clone(),
    }
}

async fn listen(config: &Config) -> Result<TcpListener, StartError> {
    let address = config.server.listen;
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Listen { address, error })
}

fn public_url(config: &Config, listener: &TcpListener) -> String {
    let scheme = if config.server.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let own = || listener.local_addr().unwrap_or(config.server.listen);
    let url = config
        .server
        .public_url
        .as_ref()
        .map_or_else(|| format!("{scheme}://{}", own()), ToString::to_string);
    url.trim_end_matches('/').to_owned()
}

fn random_hex() -> Result<String, StartError> {
    let mut bytes = [0_u8; 8];
    getrandom::fill(&mut bytes).map_err(StartError::Random)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}
