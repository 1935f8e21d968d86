//! The rate on a store that holds ten times what the plain run leaves.

use super::{BenchConfig, Fresh, percentile, rate};
use crate::process::PRIVATE;
use anyhow::Result;
use serde::Serialize;
use std::time::Instant;

#[derive(Debug, Clone, Serialize)]
pub(super) struct History {
    pub(super) tasks_per_s: f64,
    /// Without history, measured in turns with it.
    plain_tasks_per_s: f64,
    /// The first to the second.
    ratio: f64,
    rounds: Vec<f64>,
    plain_rounds: Vec<f64>,
    /// Tasks that were settled before the first round.
    tasks_before: usize,
    /// Seconds that the relay then took to start.
    starts_s: Vec<f64>,
}

/// How many plain runs come first.
const TIMES: usize = 10;

pub(super) async fn measure(config: &BenchConfig) -> Result<History> {
    let mut old = Fresh::start(config)?;
    for _ in 0..TIMES {
        rate::round(config, &old).await?;
    }
    let (mut rounds, mut plain_rounds, mut starts_s) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..config.rounds {
        // Both begin with a process that has done nothing yet.
        let start = Instant::now();
        old.relay.restart()?;
        starts_s.push(start.elapsed().as_secs_f64());
        rounds.push(rate::round(config, &old).await?.0);
        plain_rounds.push(rate::one(config, PRIVATE).await?.0);
    }
    let (tasks_per_s, plain_tasks_per_s) = (median(&rounds), median(&plain_rounds));
    Ok(History {
        tasks_per_s,
        plain_tasks_per_s,
        ratio: tasks_per_s / plain_tasks_per_s,
        rounds,
        plain_rounds,
        tasks_before: TIMES * config.jobs * config.tasks,
        starts_s,
    })
}

fn median(rounds: &[f64]) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    percentile(&sorted, 0.5)
}
