//! Tasks a second, from lease to durably accepted receipt.

use super::{BenchConfig, Fresh, percentile};
use crate::owner::{NO_OP, small_job};
use anyhow::{Result, ensure};
use serde::Serialize;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[derive(Debug, Clone, Serialize)]
pub(super) struct Rate {
    pub(super) tasks_per_s: f64,
    rounds: Vec<f64>,
    jobs: usize,
    tasks: usize,
    nodes: usize,
    slots: u8,
    relay_cpu_us_per_task: f64,
    swarm_cpu_us_per_task: f64,
}

const LATE: Duration = Duration::from_secs(120);

pub(super) async fn measure(config: &BenchConfig) -> Result<Rate> {
    let mut rounds = Vec::new();
    let mut relay_cpu = 0.0;
    let mut swarm_cpu = 0.0;
    for _ in 0..config.rounds {
        let round = one(config).await?;
        rounds.push(round.0);
        relay_cpu += round.1 / config.rounds as f64;
        swarm_cpu += round.2 / config.rounds as f64;
    }
    let mut sorted = rounds.clone();
    sorted.sort_by(f64::total_cmp);
    Ok(Rate {
        tasks_per_s: percentile(&sorted, 0.5),
        rounds,
        jobs: config.jobs,
        tasks: config.tasks,
        nodes: config.nodes,
        slots: config.slots,
        relay_cpu_us_per_task: relay_cpu,
        swarm_cpu_us_per_task: swarm_cpu,
    })
}

/// Tasks a second; processor time a task of the relay, and of this process, in
/// microseconds. Jobs are there before the first node joins: submitting them
/// isn't measured. Time runs from the first node's start to the last
/// acknowledgement, which a relay sends when the receipt is durable.
async fn one(config: &BenchConfig) -> Result<(f64, f64, f64)> {
    let fresh = Fresh::start(config)?;
    let module = fresh.owner.submit_module(NO_OP.as_bytes()).await?;
    for job in 0..config.jobs {
        let job = small_job(module.source, &format!("rate {job}"), config.tasks);
        fresh.owner.submit_job(&job).await?;
    }
    let all = (config.jobs * config.tasks) as u64;
    let (relay_before, own_before) = (fresh.relay.cpu_time()?, own_cpu()?);
    let start = Instant::now();
    let swarm = fresh.swarm(config.nodes, config.slots).await?;
    while swarm.acked() < all {
        ensure!(start.elapsed() < LATE, "{} of {all} tasks in {LATE:?}", swarm.acked());
        sleep(Duration::from_millis(1)).await;
    }
    let seconds = start.elapsed().as_secs_f64();
    let relay = (fresh.relay.cpu_time()? - relay_before).as_secs_f64();
    let own = (own_cpu()? - own_before).as_secs_f64();
    let each = 1e6 / all as f64;
    Ok((all as f64 / seconds, relay * each, own * each))
}

/// This process's processor time so far (Linux).
fn own_cpu() -> Result<Duration> {
    crate::process::cpu_time(std::process::id())
}
