//! Memory of a joined connection that does nothing.

use super::{BenchConfig, Fresh};
use anyhow::{Result, ensure};
use serde::Serialize;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[derive(Debug, Clone, Serialize)]
pub(super) struct Idle {
    pub(super) bytes_per_connection: f64,
    connections: usize,
    before_bytes: u64,
    after_bytes: u64,
}

/// Connections that join and leave before the first look: what a relay
/// allocates once isn't a connection's.
const FIRST: usize = 50;
/// How long the connections stand before the second look.
const STAND: Duration = Duration::from_secs(5);

pub(super) async fn measure(config: &BenchConfig) -> Result<Idle> {
    let fresh = Fresh::start(config)?;
    drop(fresh.swarm(FIRST, 1).await?);
    sleep(Duration::from_secs(1)).await;
    let before_bytes = fresh.relay.resident_bytes()?;
    let swarm = fresh.swarm(config.connections, 1).await?;
    let stood = Instant::now();
    while stood.elapsed() < STAND {
        sleep(Duration::from_millis(100)).await;
    }
    ensure!(swarm.joined() == config.connections, "only {} are joined", swarm.joined());
    let after_bytes = fresh.relay.resident_bytes()?;
    let grown = after_bytes.saturating_sub(before_bytes);
    Ok(Idle {
        bytes_per_connection: grown as f64 / config.connections as f64,
        connections: config.connections,
        before_bytes,
        after_bytes,
    })
}
