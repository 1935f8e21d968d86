//! Time from submit to result, at a rate that doesn't wait for answers.

use super::{BenchConfig, Commits, Fresh, percentile};
use crate::owner::{NO_OP, small_job};
use anyhow::{Result, ensure};
use serde::Serialize;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

#[derive(Debug, Clone, Serialize)]
pub(super) struct Latency {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    max_ms: f64,
    offered_tasks_per_s: f64,
    reached_tasks_per_s: f64,
    tasks_per_job: usize,
    results: usize,
    commits: Commits,
}

/// Tasks of each job: small, as owners who wait submit them.
const TASKS: usize = 20;
/// Time before what is measured.
const WARM_UP: Duration = Duration::from_secs(2);

pub(super) async fn measure(config: &BenchConfig, tasks_per_s: f64) -> Result<Latency> {
    let fresh = Fresh::start(config)?;
    let module = fresh.owner.submit_module(NO_OP.as_bytes()).await?;
    let _swarm = fresh.swarm(config.nodes, config.slots).await?;
    let every = Duration::from_secs_f64(TASKS as f64 / tasks_per_s.max(1.0));
    let start = Instant::now();
    let measured = start + WARM_UP;
    let end = measured + Duration::from_secs(config.seconds);
    let mut jobs = JoinSet::new();
    let mut number = 0u32;
    loop {
        // When it should be submitted, whether or not this process is late.
        let due = start + every * number;
        if due >= end {
            break;
        }
        sleep_until(due).await;
        let owner = fresh.owner.clone();
        let job = small_job(module.source, &format!("latency {number}"), TASKS);
        jobs.spawn(async move {
            let info = owner.submit_job(&job).await?;
            let mut times = Vec::with_capacity(TASKS);
            owner
                .follow(info.id, |lines| {
                    let late = due.elapsed().as_secs_f64() * 1e3;
                    times.extend(std::iter::repeat_n(late, lines));
                })
                .await?;
            ensure!(times.len() == TASKS, "{} of {TASKS} results", times.len());
            Ok((due, times))
        });
        number += 1;
    }
    let mut times = Vec::new();
    while let Some(job) = jobs.join_next().await {
        let (due, each) = job??;
        if due >= measured {
            times.extend(each);
        }
    }
    let took = measured.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    Ok(Latency {
        p50_ms: percentile(&times, 0.5),
        p99_ms: percentile(&times, 0.99),
        max_ms: percentile(&times, 1.0),
        offered_tasks_per_s: tasks_per_s,
        reached_tasks_per_s: times.len() as f64 / took,
        tasks_per_job: TASKS,
        results: times.len(),
        commits: Commits::of(&fresh).await?,
    })
}
