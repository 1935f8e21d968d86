//! Nodes that check each other by the default rules while every slot is taken:
//! each task settles, and the log isn't flooded with nodes that were busy.

use anyhow::Result;
use grid_protocol::api::JobState;
use grid_testing::{CHECKED, Executor, NO_OP, Owner, RelayProcess, Swarm, SwarmConfig, echo};
use grid_tests::{BUDGET, eventually_in, metric, relay_program};
use std::time::Duration;

const JOBS: usize = 4;
const TASKS: usize = 250;
/// Even on a machine that does something else beside.
const PATIENCE: Duration = Duration::from_secs(60);
/// A drawn node that had no free slot for so long is passed over: by the
/// default ten seconds nobody would be.
const ANSWER: &str = "answer = '10ms'\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_task_settles_under_full_load() -> Result<()> {
    let data = tempfile::tempdir()?;
    let config = format!("{CHECKED}{ANSWER}");
    let relay = RelayProcess::start_with(&relay_program()?, data.path(), &config)?;
    let owner = Owner::new(relay.origin(), &relay.add_owner("owner", BUDGET)?)?;
    let module = owner.submit_module(NO_OP.as_bytes()).await?;
    let mut jobs = Vec::new();
    for number in 0..JOBS {
        let job = grid_testing::small_job(module.source, &format!("load {number}"), TASKS);
        jobs.push(owner.submit_job(&job).await?.id);
    }
    let config = SwarmConfig {
        relay: relay.origin().into(),
        nodes: 16,
        slots: 16,
        executor: Executor::instant(echo),
        seed: 1,
        keep_acks: false,
        from: None,
    };
    let swarm = Swarm::start(config, Duration::from_secs(20)).await?;
    for job in &jobs {
        let done = async || Ok(owner.job(*job).await?.state == JobState::Done);
        eventually_in(PATIENCE, "the job is done", done).await?;
    }
    let unanswered = metric(relay.origin(), "grid_checks_unanswered_total").await?;
    let votes = metric(relay.origin(), "grid_votes_total").await?;
    // Each vote has one draw, which passes three nodes in turn and the rest
    // together. Some were passed over, or this shows nothing.
    assert!((1..=4 * votes).contains(&unanswered), "{unanswered} for {votes} votes");
    drop(swarm);
    drop(relay);
    grid_relay::check_store(data.path())?;
    Ok(())
}
