//! `grid status`

use super::{find_job, state_name};
use crate::args::{Global, StatusArgs};
use crate::config::Session;
use crate::failure::{Exit, Failure};
use crate::{quantity, ui};
use grid_protocol::api::{JobInfo, JobState, TaskState};
use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) async fn status(global: &Global, args: &StatusArgs) -> Result<Exit, Failure> {
    let session = Session::open(global)?;
    match &args.job {
        Some(job) => one(global, &session, job).await?,
        None => all(global, &session).await?,
    }
    Ok(Exit::Ok)
}

async fn all(global: &Global, session: &Session) -> Result<(), Failure> {
    let mut jobs = session.client.jobs().await?;
    jobs.sort_by_key(|job| std::cmp::Reverse(job.created_ms));
    if global.json {
        return ui::line(json!({ "jobs": jobs }).to_string());
    }
    if jobs.is_empty() {
        return ui::line(
            "You have no jobs yet. Start one: grid submit MODULE --input FILE --watch",
        );
    }
    let row = |job: &JobInfo| {
        vec![
            job.id.to_string(),
            name(job),
            state_name(job.state).into(),
            format!("{}/{}", job.done, job.tasks),
            job.failed.to_string(),
            quantity::fuel(job.spent),
            age(job),
        ]
    };
    let rows: Vec<_> = jobs.iter().map(row).collect();
    let head = ["JOB", "NAME", "STATE", "DONE", "FAILED", "FUEL", "SUBMITTED"];
    ui::table(&head, &rows).iter().try_for_each(ui::line)
}

async fn one(global: &Global, session: &Session, job: &str) -> Result<(), Failure> {
    let job = find_job(&session.client, job).await?;
    let tasks = session.client.tasks(job.id).await?;
    if global.json {
        return ui::line(json!({ "job": job, "tasks": tasks }).to_string());
    }
    let count = |state| tasks.iter().filter(|task| task.state == state).count();
    let (waiting, dropped) = (count(TaskState::Waiting), count(TaskState::Dropped));
    let mut parts = vec![format!("{} done", job.done)];
    let counts = [
        (job.failed, "of them failed"),
        (count(TaskState::Leased) as u64, "running"),
        (waiting as u64, "waiting"),
        (dropped as u64, "not run"),
    ];
    parts.extend(counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    ui::line(format!("Job        {}", job.id))?;
    ui::line(format!("Name       {}", name(&job)))?;
    ui::line(format!("State      {}", state_name(job.state)))?;
    ui::line(format!("Submitted  {}", age(&job)))?;
    ui::line(format!("Tasks      {} ({})", job.tasks, parts.join(", ")))?;
    let (spent, budget) = (quantity::fuel(job.spent), quantity::fuel(job.budget));
    ui::line(format!("Fuel       {spent} of {budget}"))?;
    ui::line(format!("Module     {}", job.module))?;
    if job.state == JobState::Running && job.leased == 0 {
        let nodes = session.client.network().await?.nodes_online;
        let why = if nodes == 0 { "No node is on line." } else { "The nodes on line are busy." };
        ui::line(format!("\n{why} The tasks wait, and run as soon as a node is free."))?;
    }
    if job.done > 0 {
        ui::line(format!("\nTake the results: grid results {} --out DIR", job.id))?;
    }
    Ok(())
}

fn name(job: &JobInfo) -> String {
    let name = ui::inline(&job.name);
    let mut short: String = name.chars().take(30).collect();
    if short.len() < name.len() {
        short += "…";
    }
    short
}

/// How long ago a job was submitted, by this machine's clock.
fn age(job: &JobInfo) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = now.saturating_sub(Duration::from_millis(job.created_ms));
    format!("{} ago", quantity::span(since))
}
