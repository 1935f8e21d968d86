//! What an operator decides.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// What an operator decides. Every field has a default except the data
/// directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Folder of database, blobs and the relay's key. Created when missing.
    pub data_dir: PathBuf,
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The origin that nodes and owners use; by default `http://` and the
    /// address that was bound. Nodes sign it when they join.
    pub origin: Option<String>,
    /// Nodes send a heartbeat for their leases at least this often.
    pub heartbeat: Duration,
    /// A lease without a heartbeat ends after this.
    pub lease_deadline: Duration,
    /// Leases of a node whose socket closed stand for this long.
    pub grace: Duration,
    /// A socket that has not joined after this is closed.
    pub join_timeout: Duration,
    /// A ping is sent when nothing else was sent for this long.
    pub ping: Duration,
    /// A socket from which nothing came for this long is closed.
    pub silence: Duration,
    /// Most node sockets at a time.
    pub max_sockets: usize,
    /// Most bytes the blob folder may hold.
    pub max_blob_bytes: u64,
}

impl Config {
    /// The defaults, for this data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8090)),
            origin: None,
            heartbeat: Duration::from_secs(10),
            lease_deadline: Duration::from_secs(60),
            grace: Duration::from_secs(30),
            join_timeout: Duration::from_secs(10),
            ping: Duration::from_secs(15),
            silence: Duration::from_secs(60),
            max_sockets: 10_000,
            max_blob_bytes: 32 << 30,
        }
    }

    /// The defaults on a free port of the loopback interface.
    pub fn for_test(data_dir: impl Into<PathBuf>) -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Self::new(data_dir) }
    }
}
