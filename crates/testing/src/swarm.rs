//! Many simulated nodes in one process.

use crate::driver::{NodeHandle, NodeSetup, start_node};
use crate::executor::Executor;
use grid_node::{Config, Settings};
use grid_protocol::{Ack, Digest, PublicKey, Signature, SignatureError, SigningKey};
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, sleep};

/// Nodes that join at a time: more would overflow the relay's backlog.
const JOINING: usize = 200;

/// Why a swarm did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SwarmError {
    /// Simulated nodes work for relays on this machine only.
    #[error("{0} is not a loopback address: a swarm joins relays on this machine only")]
    NotLoopback(String),
    /// Fewer nodes joined in time than were asked for.
    #[error("{joined} of {asked} nodes joined in {seconds} s")]
    Late {
        /// Nodes that joined.
        joined: usize,
        /// Nodes that were to join.
        asked: usize,
        /// How long it took.
        seconds: u64,
    },
    /// No HTTP client could be made.
    #[error("the HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

/// What a swarm is started with.
#[derive(Debug, Clone)]
pub struct SwarmConfig {
    /// The relay's origin: loopback only.
    pub relay: String,
    /// Number of nodes.
    pub nodes: usize,
    /// Slots of each.
    pub slots: u8,
    /// What runs their tasks.
    pub executor: Executor,
    /// Their keys come from this number: same number, same keys.
    pub seed: u64,
    /// Keep every acknowledgement ([`Swarm::acks`]), and check each one's
    /// signature. Otherwise one in 16 is checked: nodes do that on
    /// machines of their own, and a swarm that shares the relay's would slow it.
    pub keep_acks: bool,
    /// The loopback address that their sockets come from, if not 127.0.0.1.
    pub from: Option<Ipv4Addr>,
}

/// Many simulated nodes. Dropping it stops them as a crash would.
#[derive(Debug)]
pub struct Swarm {
    nodes: Vec<NodeHandle>,
}

impl Swarm {
    /// Starts the nodes and waits until all joined; fails when they haven't
    /// `within` that time.
    pub async fn start(config: SwarmConfig, within: Duration) -> Result<Self, SwarmError> {
        if !is_loopback(&config.relay) {
            return Err(SwarmError::NotLoopback(config.relay));
        }
        let http = reqwest::Client::builder().no_proxy().build()?;
        let until = Instant::now() + within;
        let mut swarm = Self { nodes: Vec::with_capacity(config.nodes) };
        while swarm.nodes.len() < config.nodes {
            let more = JOINING.min(config.nodes - swarm.nodes.len());
            for _ in 0..more {
                let setup = setup(&config, swarm.nodes.len(), http.clone());
                swarm.nodes.push(start_node(setup));
            }
            swarm.wait_joined(until).await.map_err(|joined| SwarmError::Late {
                joined,
                asked: config.nodes,
                seconds: within.as_secs(),
            })?;
        }
        Ok(swarm)
    }

    /// Waits until all nodes are joined; else says how many are.
    async fn wait_joined(&self, until: Instant) -> Result<(), usize> {
        loop {
            let joined = self.joined();
            if joined == self.nodes.len() {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(joined);
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// The nodes.
    pub fn nodes(&self) -> &[NodeHandle] {
        &self.nodes
    }

    /// How many are joined now.
    pub fn joined(&self) -> usize {
        self.nodes.iter().filter(|node| node.joined()).count()
    }

    /// Receipts acknowledged, in all.
    pub fn acked(&self) -> u64 {
        self.nodes.iter().map(NodeHandle::acked).sum()
    }

    /// All acknowledgements, where they are kept.
    pub fn acks(&self) -> Vec<Ack> {
        self.nodes.iter().flat_map(NodeHandle::acks).collect()
    }
}

/// One in so many acknowledgements is checked by a swarm that doesn't keep them.
pub(crate) const CHECKED: u64 = 16;

fn sampled(key: &PublicKey, bytes: &[u8], signature: &Signature) -> Result<(), SignatureError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    match COUNT.fetch_add(1, Ordering::Relaxed) % CHECKED {
        0 => key.verify_strict(bytes, signature),
        _ => Ok(()),
    }
}

fn setup(config: &SwarmConfig, index: usize, http: reqwest::Client) -> NodeSetup {
    let mut seed = b"grid-swarm".to_vec();
    seed.extend_from_slice(&config.seed.to_le_bytes());
    seed.extend_from_slice(&(index as u64).to_le_bytes());
    let seed = Digest::of(&seed);
    NodeSetup {
        config: Config {
            agent: concat!("grid-swarm/", env!("CARGO_PKG_VERSION")).into(),
            slots: config.slots,
            jitter_seed: config.seed ^ index as u64,
            saves: false,
            admissions: vec![grid_sandbox::ADMISSION],
            verify_ack: if config.keep_acks { PublicKey::verify_strict } else { sampled },
            ..Config::default()
        },
        key: SigningKey::from_seed(seed.0),
        settings: Settings { on: true, relay: config.relay.clone(), ..Settings::default() },
        saved: vec![],
        executor: config.executor.clone(),
        http,
        keep_acks: config.keep_acks,
        from: config.from,
    }
}

/// Is this the origin of a server on this machine?
pub fn is_loopback(origin: &str) -> bool {
    let Some(rest) = origin.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn loopback_only() {
        for yes in
            ["http://127.0.0.1:8090", "http://127.9.9.9/", "http://[::1]:1", "http://localhost"]
        {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in [
            "http://10.0.0.1:8090",
            "http://grid.example",
            "https://127.0.0.1",
            "http://127.0.0.1@grid.example",
            "http://127.0.0.1.grid.example",
            "http://localhost.grid.example",
            "http://0.0.0.0:1",
            "ws://127.0.0.1",
            "",
        ] {
            assert!(!is_loopback(no), "{no}");
        }
    }
}
