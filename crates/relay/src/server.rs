//! Starting and stopping a relay.

use crate::inference::Inference;
use crate::log::{Log, LogError};
use crate::operator::{self, OperatorError, Paths};
use crate::people::read_rewards;
use crate::referee::{self, Referee};
use crate::socket::Peer;
use crate::state::{Parts, Shared};
use crate::store::{Blobs, ModelRow, Reads, SqliteStore, Store, StoreError};
use crate::writer::{self, Request, Writer};
use crate::{Config, ConfigError, api};
use grid_protocol::{PublicKey, RefuseCode};
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_io_timeout::TimeoutStream;

/// How often leases are looked at for having expired.
const TICK: Duration = Duration::from_millis(100);
/// How often the log looks for entries that this process did not write.
const FOLLOW: Duration = Duration::from_secs(1);
/// How often blob files that nothing refers to are deleted, and how old they
/// must be: uploads whose receipt never came.
const SWEEP: Duration = Duration::from_secs(3600);
/// A client that takes longer to send a request's head is disconnected.
const HEAD: Duration = Duration::from_secs(15);
/// Connections beyond node sockets.
const HTTP_CONNECTIONS: usize = 1024;
/// How long a shutdown waits for what is pending.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Why a relay could not start, or an operator's command failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The address could not be bound, or a file not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What came of it.
        source: io::Error,
    },
    /// The store could not be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blob folder could not be opened.
    #[error(transparent)]
    Blobs(#[from] crate::store::BlobError),
    /// The log could not be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Something about owners.
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

pub(crate) fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> RelayError {
    let what = what.into();
    move |source| RelayError::Io { what, source }
}

/// A relay, before it was started.
#[derive(Debug)]
pub struct Relay;

/// A running relay. [`RelayHandle::shutdown`] ends it in order; dropping it
/// leaves it running for as long as the runtime does.
#[derive(Debug)]
pub struct RelayHandle {
    address: SocketAddr,
    shared: Arc<Shared>,
    writing: std::thread::JoinHandle<()>,
}

impl Relay {
    /// Opens the store, recovers what a crash or shutdown left unfinished,
    /// binds, and serves. Once this returns, connections are accepted.
    pub async fn start(config: Config) -> Result<RelayHandle, RelayError> {
        Self::launch(config, None, |store| store).await
    }

    /// The same, with this runtime `infer` for the relay's own runs.
    pub async fn start_inferring(
        config: Config,
        inference: Arc<dyn Inference>,
    ) -> Result<RelayHandle, RelayError> {
        Self::launch(config, Some(inference), |store| store).await
    }

    /// The same, with a store that `wrap` makes of the relay's own: for tests
    /// of what happens when a store fails.
    pub async fn start_with(
        config: Config,
        wrap: impl FnOnce(Box<dyn Store>) -> Box<dyn Store> + Send + 'static,
    ) -> Result<RelayHandle, RelayError> {
        Self::launch(config, None, wrap).await
    }

    async fn launch(
        config: Config,
        inference: Option<Arc<dyn Inference>>,
        wrap: impl FnOnce(Box<dyn Store>) -> Box<dyn Store> + Send + 'static,
    ) -> Result<RelayHandle, RelayError> {
        let (paths, lock, key, secret, store, blobs, config) =
            tokio::task::spawn_blocking(move || {
                let paths = Paths::create(&config.data_dir)?;
                let lock = paths.lock()?;
                let key = operator::relay_key(&paths)?;
                let secret = operator::log_secret(&paths)?;
                let store = SqliteStore::open(&paths.database, secret)?;
                let blobs = Blobs::open(&paths.blobs, config.max_blob_bytes)?;
                Ok::<_, RelayError>((
                    paths,
                    lock,
                    key,
                    secret,
                    wrap(Box::new(store)),
                    blobs,
                    config,
                ))
            })
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;

        let what = format!("can't listen on {}", config.listen);
        let listener = TcpListener::bind(config.listen).await.map_err(io_error(what))?;
        let address = listener.local_addr().map_err(io_error("can't listen"))?;
        let origin = config.origin.clone().unwrap_or_else(|| format!("http://{address}"));
        let (writer, queue) = Writer::channel();
        let reads = Reads::new(&paths.database);
        let named = operator::log_origin(&paths, config.log_origin.as_deref(), &origin)?;
        let (relay, followed) = (key.clone(), reads.clone());
        let opening = move || Log::open(&paths.log, &named, relay, secret, followed);
        let log = tokio::task::spawn_blocking(opening)
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let (referee, asked) = Referee::channel();
        let (follow_ups, following) = mpsc::unbounded_channel();
        let parts = Parts { writer, reads, blobs, log, referee, inference, follow_ups };
        let shared = Shared::new(config, lock, &key, origin, parts);
        let shared = Arc::new(shared);
        let recovering = shared.clone();
        tokio::task::spawn_blocking(move || recovering.recover())
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let writing = writer::spawn(store, queue, Arc::downgrade(&shared))
            .map_err(io_error("can't start the writer's thread"))?;
        tokio::spawn(forward(shared.writer.clone(), following));
        shared.tracker.spawn(referee::serve(shared.clone(), asked));
        tokio::spawn(tick(shared.clone()));
        tokio::spawn(sweep(shared.clone()));
        tokio::spawn(follow(shared.clone()));
        tokio::spawn(crate::log::ask_witnesses(shared.clone()));
        // Tracked: once the relay has shut down, its address is free.
        shared.tracker.spawn(accept(listener, shared.clone()));
        tracing::info!(relay = %shared.relay, "the relay serves");
        Ok(RelayHandle { address, shared, writing })
    }
}

impl RelayHandle {
    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The origin that nodes sign when they join.
    pub fn origin(&self) -> &str {
        &self.shared.origin
    }

    /// The relay's key.
    pub fn key(&self) -> PublicKey {
        self.shared.relay
    }

    /// Installs a model file, as `grid-relay model add` does.
    pub async fn add_model(&self, file: &Path, name: &str) -> Result<ModelRow, RelayError> {
        let shared = self.shared.clone();
        let (file, name) = (file.to_owned(), name.to_owned());
        let adding = move || operator::add_model(&shared.config.data_dir, &file, &name);
        tokio::task::spawn_blocking(adding)
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// Adds an owner with this budget in fuel; gives back the owner's key.
    pub async fn add_owner(&self, name: &str, budget: u64) -> Result<String, RelayError> {
        let (key, write) = operator::new_owner(name, budget)?;
        let request = writer::Request { write, then: writer::Then::Nothing };
        let outcome = self.shared.writer.ask(request).await;
        operator::done(outcome.map_err(|_| OperatorError::Closed)?)?;
        Ok(key)
    }

    /// Reads the rules of rewards again, and logs them where they changed;
    /// true then. What can't be read leaves those that hold; without the usual
    /// file they are the defaults.
    pub fn reload_rewards(&self) -> Result<bool, ConfigError> {
        let Config { rewards_file, data_dir, .. } = &self.shared.config;
        let read = read_rewards(rewards_file.as_deref(), data_dir)?;
        let rules = read.unwrap_or_default();
        let held = *self.shared.people.rewards();
        self.shared.log_rewards(held, rules);
        Ok(held != rules)
    }

    /// Gives and takes no more work, waits until pending results are durable
    /// and acknowledged, tells nodes, closes everything.
    pub async fn shutdown(self) {
        let shared = self.shared;
        shared.stopping.store(true, Ordering::Relaxed);
        tracing::info!("the relay stops");
        // A store that failed can't take what is pending: nodes keep it.
        let _ = timeout(SHUTDOWN, shared.writer.drained()).await;
        shared.core().close_all(RefuseCode::Closing);
        shared.stop.send_replace(true);
        shared.tracker.close();
        let _ = timeout(SHUTDOWN, shared.tracker.wait()).await;
        // Results that came while sockets closed are committed before this.
        shared.writer.stop().await;
        let writing = self.writing;
        let ended = tokio::task::spawn_blocking(move || writing.join());
        let _ = timeout(SHUTDOWN, ended).await;
        let closing = shared.clone();
        let closed = tokio::task::spawn_blocking(move || closing.log.close());
        let _ = timeout(SHUTDOWN, closed).await;
        // The system does it in any case when the last task lets go of the file.
        let _ = shared.lock.unlock();
        tracing::info!("the relay stopped");
    }
}

/// What follows from commits is written in order, beside what comes from
/// sockets.
async fn forward(writer: Writer, mut following: mpsc::UnboundedReceiver<Request>) {
    while let Some(request) = following.recv().await {
        if writer.send(request).await.is_err() {
            return;
        }
    }
}

async fn tick(shared: Arc<Shared>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = shared.stop.subscribe();
    loop {
        tokio::select! {
            _ = ticks.tick() => shared.tick(),
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Entries come from other processes too: `grid-relay owner`.
async fn follow(shared: Arc<Shared>) {
    let mut ticks = interval(FOLLOW);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = shared.stop.subscribe();
    loop {
        tokio::select! {
            _ = ticks.tick() => shared.writer.follow(),
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Deletes blob files of uploads whose receipt never came.
async fn sweep(shared: Arc<Shared>) {
    let mut ticks = interval(SWEEP);
    let mut stop = shared.stop.subscribe();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let (reads, blobs) = (shared.reads.clone(), shared.blobs.clone());
        let swept = tokio::task::spawn_blocking(move || operator::sweep(&reads, &blobs, SWEEP));
        match swept.await {
            Ok(Ok(0)) => {}
            Ok(Ok(deleted)) => tracing::info!(deleted, "blobs that nothing refers to are gone"),
            Ok(Err(error)) => tracing::error!(%error, "the sweep of blobs failed"),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let app = TowerToHyperService::new(api::router(shared.clone()));
    let room = Arc::new(Semaphore::new(shared.config.max_sockets + HTTP_CONNECTIONS));
    let mut stop = shared.stop.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, Peer(peer.ip())),
            Err(error) => {
                // Out of file descriptors, mostly: what is open goes on.
                tracing::warn!(%error, "a connection can't be accepted");
                sleep(TICK).await;
                continue;
            }
        };
        // Beyond the bound a connection is closed at once.
        let Ok(permit) = room.clone().try_acquire_owned() else { continue };
        let (app, shared) = (app.clone(), shared.clone());
        let tracker = shared.tracker.clone();
        tracker.spawn(async move {
            serve(stream, peer, app, shared).await;
            drop(permit);
        });
    }
}

type App = TowerToHyperService<axum::Router>;

async fn serve(stream: TcpStream, peer: Peer, app: App, shared: Arc<Shared>) {
    // Messages are gathered before they are written; waiting for more only
    // costs time. A socket that can't be set is broken, and read as such.
    let _ = stream.set_nodelay(true);
    // Runs while something waits to be written, and begins anew with each byte
    // that is taken: who asks and never reads keeps nothing here.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(shared.config.patience.unread));
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        app.call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let mut stop = shared.stop.subscribe();
    // Errors are the peer's: a connection that broke, or was not HTTP.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
