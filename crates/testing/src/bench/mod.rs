//! The relay's benchmark: figures of a relay in a process of its own, with the
//! swarm and the owner in this one.

mod idle;
mod latency;
mod limits;
mod rate;

use crate::process::RelayProcess;
use crate::{Executor, Owner, Swarm, SwarmConfig, echo};
use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// How much to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchConfig {
    /// The relay's program.
    pub relay: PathBuf,
    /// Nodes of the swarm.
    pub nodes: usize,
    /// Slots of each.
    pub slots: u8,
    /// Jobs, for the rate.
    pub jobs: usize,
    /// Tasks of each.
    pub tasks: usize,
    /// Times the rate is measured; the median counts.
    pub rounds: usize,
    /// Seconds for which latency is measured.
    pub seconds: u64,
    /// Idle connections.
    pub connections: usize,
}

/// The figures. Keys are stable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Tasks a second, from lease to durably accepted receipt.
    pub tasks_per_s: f64,
    /// Median time from submit to result at half that rate, in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile of the same.
    pub p99_ms: f64,
    /// Resident memory of the relay for each idle, joined connection.
    pub bytes_per_idle_connection: f64,
    /// How it was measured, and limits to compare with.
    pub context: Value,
}

/// Most fuel that an owner can be granted at once.
const BUDGET: u64 = 1 << 60;

/// Measures.
pub async fn bench_relay(config: &BenchConfig) -> Result<Figures> {
    let rate = rate::measure(config).await?;
    let latency = latency::measure(config, rate.tasks_per_s / 2.0).await?;
    let idle = idle::measure(config).await?;
    Ok(Figures {
        tasks_per_s: rate.tasks_per_s,
        p50_ms: latency.p50_ms,
        p99_ms: latency.p99_ms,
        bytes_per_idle_connection: idle.bytes_per_connection,
        context: json!({
            "rate": rate,
            "latency": latency,
            "idle": idle,
            "limits": limits::measure(),
            "swarm_checks_one_ack_in": crate::swarm::CHECKED,
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
        }),
    })
}

/// A relay with a fresh data folder, and an owner of it.
struct Fresh {
    relay: RelayProcess,
    owner: Owner,
    _data: tempfile::TempDir,
}

impl Fresh {
    fn start(config: &BenchConfig) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let relay = RelayProcess::start(&config.relay, data.path())?;
        let key = relay.add_owner("bench", BUDGET)?;
        let owner = Owner::new(relay.origin(), &key)?;
        Ok(Self { relay, owner, _data: data })
    }

    async fn swarm(&self, nodes: usize, slots: u8) -> Result<Swarm> {
        let config = SwarmConfig {
            relay: self.relay.origin().into(),
            nodes,
            slots,
            executor: Executor::instant(echo),
            seed: 1,
            keep_acks: false,
        };
        Ok(Swarm::start(config, Duration::from_secs(60)).await?)
    }
}

/// The value below which this share of the sorted values lies.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}
