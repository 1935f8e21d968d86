//! One module for each command.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod batch;
pub(crate) mod infer;
pub(crate) mod login;
pub(crate) mod model;
pub(crate) mod node;
pub(crate) mod prove;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod verify;

use crate::args::{CancelArgs, Global, ResultsArgs};
use crate::collect::Collector;
use crate::config::Session;
use crate::failure::{Exit, Failure};
use crate::folder::{self, ResultsFolder};
use crate::ui;
use grid_client::Client;
use grid_protocol::JobId;
use grid_protocol::api::{JobInfo, JobState};
use serde_json::json;

/// The job that a whole id, or its first digits, name.
pub(crate) async fn find_job(client: &Client, text: &str) -> Result<JobInfo, Failure> {
    let text = text.trim().to_lowercase();
    if let Ok(id) = text.parse::<JobId>() {
        return Ok(client.job(id).await?);
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(
            Failure::usage(format!("{text:?} is no job id")).hint("`grid status` lists your jobs")
        );
    }
    let mut jobs = client.jobs().await?;
    jobs.retain(|job| job.id.to_string().starts_with(&text));
    match (jobs.pop(), jobs.is_empty()) {
        (Some(job), true) => Ok(job),
        (Some(_), false) => Err(Failure::usage(format!("more than one job begins with {text}"))
            .hint("give more digits; `grid status` lists your jobs")),
        (None, _) => {
            let message = format!("you have no job that begins with {text}");
            Err(Failure::new(Exit::Refused, "not_found", message)
                .hint("`grid status` lists your jobs"))
        }
    }
}

/// A job's state in words.
pub(crate) fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Cancelled => "cancelled",
        JobState::OutOfBudget => "out of budget",
    }
}

/// `grid results`
pub(crate) async fn results(global: &Global, args: &ResultsArgs) -> Result<Exit, Failure> {
    let session = Session::open(global)?;
    let job = find_job(&session.client, &args.job).await?;
    if let Some(root) = &args.out.out {
        folder::check(root, args.out.force, Some(job.id))?;
    }
    let relay = session.relay_key().await?;
    let folder = match &args.out.out {
        Some(root) => {
            let tasks = session.client.tasks(job.id).await?;
            let names = tasks.into_iter().map(|task| task.name);
            Some(ResultsFolder::open(root, args.out.force, job.id, relay, names)?)
        }
        None => None,
    };
    let (client, follow) = (&session.client, args.follow);
    Collector::new(client, job, relay, None, folder, follow, global.json).collect().await
}

/// `grid cancel`
pub(crate) async fn cancel(global: &Global, args: &CancelArgs) -> Result<Exit, Failure> {
    let session = Session::open(global)?;
    let found = find_job(&session.client, &args.job).await?;
    let job = session.client.cancel(found.id).await?;
    if global.json {
        ui::line(json!({ "job": job }).to_string())?;
    } else if job.state == JobState::Cancelled {
        ui::line(format!(
            "Cancelled job {}. {} of {} tasks had a result; `grid results {} --out DIR` takes them.",
            job.id, job.done, job.tasks, job.id
        ))?;
    } else {
        ui::line(format!("Job {} was over already: {}.", job.id, state_name(job.state)))?;
    }
    Ok(Exit::Ok)
}
