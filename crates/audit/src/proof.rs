//! One file that proves one canonical result: its settlement as the log holds
//! it, the receipts of its quorum, and the way from each to a signed
//! checkpoint. Whoever has the relay's key checks it off line.

use crate::read::{Keys, Read};
use grid_log::checkpoint::UnverifiedCheckpoint;
use grid_log::merkle::{leaf_hash, verify_inclusion};
use grid_log::note::{KeyKind, VerifierKey};
use grid_protocol::entry::Leaf;
use grid_protocol::{Digest, ExitReason, JobId, PublicKey};
use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// Longest proof file that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// The file's content, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofFile {
    /// Version of this layout: 1.
    pub grid_proof: u16,
    /// The relay.
    pub relay: PublicKey,
    /// The settlement.
    pub settled: ProvenLeaf,
    /// The receipts that it opens, in its order.
    pub votes: Vec<ProvenLeaf>,
    /// The checkpoint, a signed note.
    pub checkpoint: String,
}

/// A leaf and its inclusion proof in the checkpoint's tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenLeaf {
    /// Number of the entry; the leaf's index is one less.
    pub seq: u64,
    /// The leaf's bytes, hexadecimal.
    #[serde(with = "hex")]
    pub leaf: Vec<u8>,
    /// RFC 9162, section 2.1.3.
    pub inclusion: Vec<Digest>,
}

/// One step of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was checked, in a word or three.
    pub name: &'static str,
    /// Does it hold?
    pub ok: bool,
    /// What was found, for people.
    pub why: String,
}

/// What a proof proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// The job.
    pub job: JobId,
    /// The task's place in it.
    pub index: u32,
    /// Digest of the task's spec.
    pub spec: Digest,
    /// Digest of its input list.
    pub input: Digest,
    /// How the run ended.
    pub reason: ExitReason,
    /// Its exit code.
    pub exit_code: u32,
    /// Digest of its output list.
    pub output: Digest,
    /// Fuel it used.
    pub fuel: u64,
    /// Who computed it; the relay's own key where that ran it itself.
    pub nodes: Vec<PublicKey>,
}

/// Every step, and what is proven when all of them hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// `None` when a step failed.
    pub proven: Option<Proven>,
}

impl Report {
    fn step<T>(
        &mut self,
        name: &'static str,
        result: Result<(T, impl Display), String>,
    ) -> Option<T> {
        let (ok, why, value) = match result {
            Ok((value, why)) => (true, why.to_string(), Some(value)),
            Err(why) => (false, why, None),
        };
        self.steps.push(Step { name, ok, why });
        value
    }
}

/// Checks a proof file against the relay's key that the reader trusts. Takes
/// any bytes; makes as many steps as what failed before allows.
pub fn check(bytes: &[u8], relay: Option<&PublicKey>) -> Report {
    let mut report = Report { steps: Vec::new(), proven: None };
    let Some(file) = report.step("file", parse(bytes)) else { return report };
    let trusted = match relay {
        Some(key) if *key == file.relay => Ok(((), format!("relay {key}, as expected"))),
        Some(key) => Err(format!("the proof is of relay {}, not of {key}", file.relay)),
        None => Ok(((), format!("relay {}; compare it with the one you know", file.relay))),
    };
    report.step("relay", trusted);
    let Some((size, root)) = report.step("checkpoint", checkpoint(&file)) else { return report };
    let leaves = std::iter::once(&file.settled).chain(&file.votes);
    let included = leaves.clone().try_for_each(|proven| {
        let leaf = leaf_hash(&proven.leaf);
        let index = proven.seq.checked_sub(1).ok_or("entries are numbered from 1")?;
        verify_inclusion(&leaf, index, size, &proven.inclusion, &root)
            .map_err(|error| format!("entry {} is not in that log: {error}", proven.seq))
    });
    let words = format!("{} entries are in the log of {size}", leaves.count());
    report.step("inclusion", included.map(|()| ((), words)));
    let proven = report.step("quorum", quorum(&file));
    report.proven = proven.filter(|_| report.steps.iter().all(|step| step.ok));
    report
}

fn parse(bytes: &[u8]) -> Result<(ProofFile, String), String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("{} bytes are more than a proof has", bytes.len()));
    }
    let file: ProofFile =
        serde_json::from_slice(bytes).map_err(|error| format!("not a proof file: {error}"))?;
    if file.grid_proof != 1 {
        return Err(format!("version {} of proof files is not known here", file.grid_proof));
    }
    let words = format!("a proof with {} receipts", file.votes.len());
    Ok((file, words))
}

fn checkpoint(file: &ProofFile) -> Result<((u64, Digest), String), String> {
    let parsed = UnverifiedCheckpoint::parse(file.checkpoint.as_bytes());
    let parsed = parsed.map_err(|error| format!("not a checkpoint: {error}"))?;
    let origin = parsed.claimed_origin().to_owned();
    let key =
        VerifierKey::new(&origin, KeyKind::Log, file.relay).map_err(|error| error.to_string())?;
    let signed = parsed.verify(&key).map_err(|error| error.to_string())?;
    let (size, root) = (signed.checkpoint().size(), *signed.checkpoint().root());
    Ok(((size, root), format!("{origin}, {size} entries, signed by the relay")))
}

fn quorum(file: &ProofFile) -> Result<(Proven, String), String> {
    let keys = Keys::new(file.relay).map_err(|error| error.to_string())?;
    let read = keys.read(file.settled.seq, &file.settled.leaf);
    let read = read.map_err(|finding| finding.to_string())?;
    let Read::Settled { job, index, answer, votes, .. } = read else {
        return Err(format!("entry {} settles nothing", file.settled.seq));
    };
    let opened = votes.len() == file.votes.len()
        && votes.iter().zip(&file.votes).all(|(vote, proven)| {
            let hidden = Leaf::decode(&proven.leaf);
            let holds = |leaf| matches!(leaf, Leaf::Receipt { commitment, .. } if commitment == vote.commitment);
            vote.seq == proven.seq && vote.seq < file.settled.seq && hidden.is_ok_and(holds)
        });
    if !opened {
        return Err("the settlement opens other receipts than were committed".into());
    }
    let first = &votes[0].body;
    let same =
        |body: &grid_protocol::ReceiptBody| body.spec == first.spec && body.input == first.input;
    if votes[0].answer != answer || !votes.iter().all(|vote| same(&vote.body)) {
        return Err("the settlement is not about the receipts that it opens".into());
    }
    let agree = votes.iter().filter(|vote| vote.answer == answer);
    let nodes: Vec<PublicKey> = agree.map(|vote| vote.body.node).collect();
    let words = match (nodes.len(), nodes.contains(&file.relay)) {
        (1, false) => {
            "one node, trusted by its record; recompute that with `grid audit`".to_owned()
        }
        (count, true) => format!("{count} agree, the relay's own run among them"),
        (count, false) => format!("{count} nodes agree"),
    };
    let proven = Proven {
        job,
        index,
        spec: first.spec,
        input: first.input,
        reason: first.reason,
        exit_code: first.exit_code,
        output: first.output,
        fuel: first.fuel,
        nodes,
    };
    Ok((proven, words))
}
