//! Tasks a second, from lease to a durable canonical result.

use super::{BenchConfig, Fresh, percentile};
use crate::owner::{NO_OP, small_job};
use anyhow::{Result, ensure};
use grid_protocol::api::JobState;
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

pub(super) async fn measure(config: &BenchConfig, trust: &str) -> Result<Rate> {
    let mut rounds = Vec::new();
    let mut relay_cpu = 0.0;
    let mut swarm_cpu = 0.0;
    for _ in 0..config.rounds {
        let round = one(config, trust).await?;
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
/// isn't measured. Time runs from the first node's start until every job is
/// done: each task has a canonical result that is durable.
pub(super) async fn one(config: &BenchConfig, trust: &str) -> Result<(f64, f64, f64)> {
    round(config, &Fresh::start_with(config, trust)?).await
}

/// The same, on a relay that runs.
pub(super) async fn round(config: &BenchConfig, fresh: &Fresh) -> Result<(f64, f64, f64)> {
    let module = fresh.owner.submit_module(NO_OP.as_bytes()).await?;
    let mut jobs = Vec::new();
    for job in 0..config.jobs {
        let job = small_job(module.source, &format!("rate {job}"), config.tasks);
        jobs.push(fresh.owner.submit_job(&job).await?.id);
    }
    let all = (config.jobs * config.tasks) as u64;
    let (relay_before, own_before) = (fresh.relay.cpu_time()?, own_cpu()?);
    let start = Instant::now();
    let swarm = fresh.swarm(config.nodes, config.slots).await?;
    while swarm.acked() < all {
        ensure!(start.elapsed() < LATE, "{} of {all} tasks in {LATE:?}", swarm.acked());
        sleep(Duration::from_millis(1)).await;
    }
    for job in jobs {
        while fresh.owner.job(job).await?.state != JobState::Done {
            ensure!(start.elapsed() < LATE, "the jobs are not done in {LATE:?}");
            sleep(Duration::from_millis(1)).await;
        }
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
