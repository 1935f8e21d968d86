//! `grid audit`

mod acks;
mod kept;
mod ledger;
mod replay;
mod report;
mod witness;

use crate::args::{AuditArgs, Global};
use crate::config::{self, Config};
use crate::failure::{Exit, Failure};
use crate::progress::Work;
use crate::ui;
use grid_client::Client;
use grid_log::checkpoint::SignedCheckpoint;
use grid_log::merkle::verify_consistency;
use grid_protocol::{Digest, PublicKey};
use kept::Kept;
use replay::Replay;
use report::{Problem, Report};
use std::time::Instant;

pub(crate) async fn audit(global: &Global, args: &AuditArgs) -> Result<Exit, Failure> {
    let config = Config::load().unwrap_or_default();
    let global_url = args.url.clone().or_else(|| global.relay.clone());
    let (url, known) = config::relay(&Global { relay: global_url, ..global.clone() }, &config);
    let client = Client::without_key(&url)?;
    let relay = relay_key(global, args, &client, config.relay_key.filter(|_| known)).await?;

    let acks = acks::read(&args.acks, &relay)?;
    let kept = Kept::open(args.state.clone(), &relay, args.fresh)?;
    // Asked first: the checkpoint that follows covers it.
    let claimed = client.points().await?;
    let ledger = client.ledger().await?;
    let checkpoint = client.checkpoint(&relay).await?;

    let mut problems = Vec::new();
    if let Some(old) = kept.checkpoint(&relay)? {
        problems.extend(follows(&client, &old, &checkpoint).await?);
    }
    let started = Instant::now();
    let work = Work::new("entries", checkpoint.checkpoint().size(), global.json);
    let mut replay = Replay::new(relay, &checkpoint, &claimed, ledger, &acks)?;
    // A history that was rewritten is read anew: what is kept is another's.
    let kept = if problems.is_empty() { kept } else { kept.set_aside()? };
    replay.run(&client, &kept, &work).await?;
    work.finish();
    problems.extend(replay.problems(&claimed, &acks));
    if problems.is_empty() {
        kept.store(&checkpoint)?;
    }
    let cosigned = match &args.witness {
        Some(folder) if problems.is_empty() => {
            Some(witness::cosign(folder, &client, &relay, &checkpoint).await?)
        }
        _ => None,
    };
    let report = Report {
        relay,
        checkpoint,
        counts: replay.auditor.counts(),
        points: replay.auditor.points(),
        problems,
        skipped: replay.known,
        acks: acks.len() as u64,
        seconds: started.elapsed().as_secs_f64(),
        cosigned,
    };
    report.print(global)?;
    Ok(if report.problems.is_empty() { Exit::Ok } else { Exit::NotVerified })
}

/// The key that everything must be signed with.
async fn relay_key(
    global: &Global,
    args: &AuditArgs,
    client: &Client,
    pinned: Option<PublicKey>,
) -> Result<PublicKey, Failure> {
    if let Some(key) = args.relay_key.or(pinned) {
        return Ok(key);
    }
    let key = client.network().await?.relay;
    if !global.json {
        ui::note(&format!(
            "the relay says that its key is {key}; give the one you know with --relay-key"
        ));
    }
    Ok(key)
}

/// Does a checkpoint follow from the one seen before?
async fn follows(
    client: &Client,
    old: &SignedCheckpoint,
    new: &SignedCheckpoint,
) -> Result<Option<Problem>, Failure> {
    let (old_size, old_root) = (old.checkpoint().size(), *old.checkpoint().root());
    let (new_size, new_root) = (new.checkpoint().size(), *new.checkpoint().root());
    if new_size < old_size {
        let why = format!("the log had {old_size} entries before, and has {new_size} now");
        return Ok(Some(Problem::new("history", why)));
    }
    let proof = client.prove(new, |tree, tiles| tree.consistency_proof(tiles, old_size, new_size));
    let proof = match proof.await {
        Ok(proof) => proof,
        // Tiles that don't lead to the root that was signed.
        Err(error @ grid_client::ClientError::Answer { .. }) => {
            return Ok(Some(Problem::new("history", error.to_string())));
        }
        Err(error) => return Err(error.into()),
    };
    let follows = verify_consistency(old_size, &old_root, new_size, &new_root, &proof);
    Ok(follows.is_err().then(|| {
        let why = format!(
            "the relay signed two histories: the log of {new_size} entries does not begin with \
             the {old_size} entries that it signed before"
        );
        Problem::new("history", why)
    }))
}

/// A root in short.
fn short(root: &Digest) -> String {
    ui::short(root)
}
