//! The relay's benchmark: figures of a relay in a process of its own, with the
//! swarm and the owner in this one.

mod history;
mod idle;
mod latency;
mod limits;
mod rate;

use crate::process::{CHECKED, PRIVATE, RelayProcess};
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
    /// The same where nodes check each other by the default rules of trust:
    /// settled tasks a second.
    pub tasks_per_s_checked: f64,
    /// The same as `tasks_per_s` on a store that holds ten times what that run
    /// leaves.
    pub tasks_per_s_10x_history: f64,
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

/// Half of the 8,000 tasks a second that a relay on two cores is meant to
/// reach at least: the load at which latency is comparable between machines.
const AIMED_LOAD: f64 = 4_000.0;

/// Measures.
pub async fn bench_relay(config: &BenchConfig) -> Result<Figures> {
    let rate = rate::measure(config, PRIVATE).await?;
    let checked = rate::measure(config, CHECKED).await?;
    let history = history::measure(config).await?;
    let latency = latency::measure(config, rate.tasks_per_s / 2.0).await?;
    let aimed = latency::measure(config, AIMED_LOAD).await?;
    let idle = idle::measure(config).await?;
    Ok(Figures {
        tasks_per_s: rate.tasks_per_s,
        tasks_per_s_checked: checked.tasks_per_s,
        tasks_per_s_10x_history: history.tasks_per_s,
        p50_ms: latency.p50_ms,
        p99_ms: latency.p99_ms,
        bytes_per_idle_connection: idle.bytes_per_connection,
        context: json!({
            "rate": rate,
            "rate_checked": checked,
            "history": history,
            "latency": latency,
            "latency_at_4000_per_s": aimed,
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
        Self::start_with(config, PRIVATE)
    }

    fn start_with(config: &BenchConfig, trust: &str) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let relay = RelayProcess::start_with(&config.relay, data.path(), trust)?;
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
            from: None,
        };
        Ok(Swarm::start(config, Duration::from_secs(60)).await?)
    }
}

/// What the relay says of its commits (`/metrics`).
#[derive(Debug, Clone, Copy, Serialize)]
struct Commits {
    count: f64,
    writes_each: f64,
    /// Upper bounds: of the histogram's buckets that hold these shares.
    p50_ms: f64,
    p99_ms: f64,
    all_ms: f64,
}

impl Commits {
    async fn of(fresh: &Fresh) -> Result<Self> {
        let text = reqwest::Client::builder().no_proxy().build()?;
        let text = text.get(format!("{}/metrics", fresh.relay.origin())).send().await?;
        Ok(Self::read(&text.text().await?))
    }

    fn read(text: &str) -> Self {
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or(f64::NAN)
        };
        let count = value("grid_commit_seconds_count ");
        let buckets = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("grid_commit_seconds_bucket{le=\"")?;
            let (bound, below) = rest.split_once("\"} ")?;
            Some((bound.parse::<f64>().ok()? * 1e3, below.trim().parse::<f64>().ok()?))
        });
        let buckets: Vec<_> = buckets.collect();
        let bound = |share: f64| {
            let found = buckets.iter().find(|(_, below)| *below >= count * share);
            found.map_or(f64::NAN, |(bound, _)| *bound)
        };
        Self {
            count,
            writes_each: value("grid_commit_writes_sum ") / count,
            p50_ms: bound(0.5),
            p99_ms: bound(0.99),
            all_ms: bound(1.0),
        }
    }
}

/// The value below which this share of the sorted values lies.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::{Commits, percentile};

    #[test]
    fn percentiles() {
        let sorted: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(
            [0.0, 0.5, 0.99, 1.0].map(|share| percentile(&sorted, share)),
            [0.0, 50.0, 99.0, 100.0]
        );
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn commits_are_read() {
        let text = "# TYPE grid_commit_seconds histogram\n\
            grid_commit_seconds_sum 1.5\ngrid_commit_seconds_count 200\n\
            grid_commit_seconds_bucket{le=\"0.001\"} 100\n\
            grid_commit_seconds_bucket{le=\"0.25\"} 199\n\
            grid_commit_seconds_bucket{le=\"0.5\"} 200\n\
            grid_commit_seconds_bucket{le=\"+Inf\"} 200\n\
            grid_commit_writes_sum 1000\n";
        let commits = Commits::read(text);
        assert_eq!((commits.count, commits.writes_each), (200.0, 5.0));
        assert_eq!((commits.p50_ms, commits.p99_ms, commits.all_ms), (1.0, 250.0, 500.0));
    }
}
