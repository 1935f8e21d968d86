//! `grid prove`

use super::find_job;
use crate::args::{Global, ProveArgs};
use crate::config::Session;
use crate::failure::{Exit, Failure};
use crate::ui;
use grid_audit::proof::{ProofFile, ProvenLeaf};
use grid_client::Client;
use grid_log::checkpoint::SignedCheckpoint;
use grid_protocol::JobId;
use grid_protocol::api::TaskResult;
use grid_protocol::entry::Leaf;
use std::fs;

pub(crate) async fn prove(global: &Global, args: &ProveArgs) -> Result<Exit, Failure> {
    let session = Session::open(global)?;
    let client = &session.client;
    let job = find_job(client, &args.job).await?;
    let relay = session.relay_key().await?;
    let result = find(client, job.id, &args.task).await?;
    // After the result: the checkpoint covers its settlement.
    let checkpoint = client.checkpoint(&relay).await?;
    let settled = proven(client, &checkpoint, result.seq).await?;
    let Ok(Leaf::Settled { votes: opened, .. }) = Leaf::decode(&settled.leaf) else {
        let message = format!("entry {} of the log is not the task's settlement", result.seq);
        return Err(Failure::new(Exit::NotVerified, "not_settled", message));
    };
    let mut votes = Vec::new();
    for vote in opened {
        votes.push(proven(client, &checkpoint, vote.seq).await?);
    }
    let checkpoint = checkpoint.encode();
    let file = ProofFile { grid_proof: 1, relay, settled, votes, checkpoint };
    let mut json = serde_json::to_vec_pretty(&file).expect("every key is text");
    json.push(b'\n');
    let report = grid_audit::proof::check(&json, Some(&relay));
    if report.proven.is_none() {
        let failed = report.steps.iter().find(|step| !step.ok).map_or("", |step| &step.why);
        let message = format!("what the relay gave proves nothing: {failed}");
        return Err(Failure::new(Exit::NotVerified, "not_proven", message));
    }
    match &args.out {
        None => ui::line(String::from_utf8_lossy(&json).trim_end())?,
        Some(path) => {
            fs::write(path, &json).map_err(|error| Failure::file("write", path, &error))?;
            if global.json {
                ui::line(serde_json::json!({ "file": path, "proof": report }).to_string())?;
            } else {
                ui::line(format!("Wrote {}.", path.display()))?;
                ui::line(format!("  grid verify {}   checks it, off line", path.display()))?;
            }
        }
    }
    Ok(Exit::Ok)
}

/// The canonical result of a task by name or place.
async fn find(client: &Client, job: JobId, task: &str) -> Result<TaskResult, Failure> {
    let place: Option<u32> = task.parse().ok();
    let mut results = client.results(job, None, false);
    let (mut by_place, mut by_name) = (None, Vec::new());
    while let Some(result) = results.next().await {
        let result = result?;
        if result.name == task {
            by_name.push(result);
        } else if Some(result.index) == place {
            by_place = Some(result);
        }
    }
    let refused = |message: String| Failure::new(Exit::Refused, "not_found", message);
    match (by_name.pop(), by_name.is_empty(), by_place) {
        (Some(result), true, _) | (None, _, Some(result)) => Ok(result),
        (Some(_), false, _) => Err(refused(format!("more than one task is named {task:?}"))
            .hint("name it by its place in the job, from 0")),
        (None, _, None) => Err(refused(format!("task {task:?} has no canonical result"))
            .hint(format!("`grid status {job}` shows the job's tasks"))),
    }
}

async fn proven(
    client: &Client,
    checkpoint: &SignedCheckpoint,
    seq: u64,
) -> Result<ProvenLeaf, Failure> {
    let size = checkpoint.checkpoint().size();
    let index = seq.checked_sub(1).filter(|index| *index < size).ok_or_else(|| {
        let message = format!("entry {seq} is not in the log of {size} entries");
        Failure::new(Exit::NotVerified, "not_logged", message)
    })?;
    let leaf = client.leaf(index, size).await?;
    let inclusion =
        client.prove(checkpoint, |tree, tiles| tree.inclusion_proof(tiles, index, size)).await?;
    Ok(ProvenLeaf { seq, leaf, inclusion })
}
