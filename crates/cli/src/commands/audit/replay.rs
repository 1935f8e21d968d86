//! The log from its beginning: downloaded or kept, verified on every core,
//! applied in order.

use super::acks::Promise;
use super::kept::Kept;
use super::ledger::Claim;
use super::report::Problem;
use super::short;
use crate::failure::{Exit, Failure};
use crate::progress::Work;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use grid_audit::{Auditor, Finding, Keys, NodePoints, Read};
use grid_client::{Client, ClientError};
use grid_log::checkpoint::SignedCheckpoint;
use grid_log::merkle::leaf_hash;
use grid_log::tile::{TILE_WIDTH, decode_bundle};
use grid_log::{Hash, Tree};
use grid_protocol::api::{LedgerInfo, PointsInfo};
use grid_protocol::{Digest, PublicKey};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Bundles that are fetched or verified at a time.
const AT_A_TIME: usize = 16;
const WIDTH: u64 = TILE_WIDTH as u64;

/// A leaf: its hash, and what reading it gave.
type Leaf = (Hash, Result<Read, Finding>);

/// One pass over a log.
pub(super) struct Replay {
    keys: Arc<Keys>,
    size: u64,
    tree: Tree,
    pub(super) auditor: Auditor,
    /// Entries verified in an earlier audit.
    pub(super) known: u64,
    /// Roots that the log must have had, by size: who says so.
    roots: BTreeMap<u64, Vec<(String, Hash)>>,
    /// Commitments that entries must hold.
    promised: HashMap<u64, Vec<(String, Digest)>>,
    /// Points as they were after the entry that the relay's claim names.
    points: Option<Vec<NodePoints>>,
    points_at: u64,
    /// What the relay says that everyone has.
    ledger: Option<Claim>,
    problems: Vec<Problem>,
}

impl Replay {
    pub(super) fn new(
        relay: PublicKey,
        checkpoint: &SignedCheckpoint,
        claimed: &PointsInfo,
        ledger: Option<LedgerInfo>,
        acks: &[Promise],
    ) -> Result<Self, Failure> {
        let keys = Keys::new(relay).map_err(|error| {
            Failure::new(Exit::NotVerified, "bad_key", format!("the relay's key: {error}"))
        })?;
        let size = checkpoint.checkpoint().size();
        let mut roots: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        let said = ("the checkpoint".to_owned(), *checkpoint.checkpoint().root());
        roots.entry(size).or_default().push(said);
        let mut promised: HashMap<u64, Vec<_>> = HashMap::new();
        for promise in acks {
            let ack = &promise.ack;
            roots.entry(ack.size).or_default().push((promise.from.clone(), ack.root));
            let commitment = (promise.from.clone(), promise.commitment());
            promised.entry(ack.seq).or_default().push(commitment);
        }
        Ok(Self {
            keys: Arc::new(keys),
            size,
            tree: Tree::new(),
            auditor: Auditor::new(relay),
            known: 0,
            roots,
            promised,
            points: None,
            points_at: claimed.seq,
            ledger: ledger.map(Claim::new),
            problems: Vec::new(),
        })
    }

    pub(super) async fn run(
        &mut self,
        client: &Client,
        kept: &Kept,
        work: &Work,
    ) -> Result<(), Failure> {
        if let Some(old) = kept.checkpoint(&self.keys.relay())? {
            // Only whole bundles are kept, and only what was in them is known.
            self.known = old.checkpoint().size() / WIDTH * WIDTH;
            let root = ("the last audit".to_owned(), *old.checkpoint().root());
            self.roots.entry(old.checkpoint().size()).or_default().push(root);
        }
        let (size, known, keys) = (self.size, self.known, self.keys.clone());
        let bundles = stream::iter(0..size.div_ceil(WIDTH)).map(|index| {
            let (client, kept, keys) = (client.clone(), kept.clone(), keys.clone());
            async move {
                let width = (size - index * WIDTH).min(WIDTH) as u16;
                let bytes = bundle(&client, &kept, index, width).await?;
                let known = (index + 1) * WIDTH <= known;
                let read = move || read(&keys, index * WIDTH, &bytes, width, known);
                let leaves = tokio::task::spawn_blocking(read).await;
                leaves.expect("reading leaves doesn't panic")
            }
        });
        let mut bundles = bundles.buffered(AT_A_TIME);
        while let Some(leaves) = bundles.try_next().await? {
            work.add(leaves.len() as u64);
            leaves.into_iter().for_each(|leaf| self.leaf(leaf));
        }
        Ok(())
    }

    fn leaf(&mut self, (hash, read): Leaf) {
        let seq = self.tree.size() + 1;
        for (from, promised) in self.promised.remove(&seq).unwrap_or_default() {
            let holds =
                matches!(&read, Ok(Read::Hidden { commitment, .. }) if *commitment == promised);
            if !holds {
                let why = format!(
                    "the relay acknowledged a receipt as entry {seq} ({from}), but the log holds \
                     something else there"
                );
                self.problems.push(Problem::new("dropped_receipt", why));
            }
        }
        self.tree.append(&[hash]);
        self.auditor.apply(read);
        if let Some(roots) = self.roots.remove(&seq) {
            let root = self.tree.root();
            for (from, said) in roots.into_iter().filter(|(_, said)| *said != root) {
                let why = format!(
                    "the {seq} entries that the relay serves have the root {}, but {from} says {}",
                    short(&root),
                    short(&said)
                );
                self.problems.push(Problem::new("root", why));
            }
        }
        if seq == self.points_at {
            self.points = Some(self.auditor.points());
        }
        if let Some(claim) = &mut self.ledger {
            claim.at(seq, &self.auditor);
        }
    }

    /// Everything that is wrong.
    pub(super) fn problems(&mut self, claimed: &PointsInfo, acks: &[Promise]) -> Vec<Problem> {
        let mut problems = std::mem::take(&mut self.problems);
        for promise in acks.iter().filter(|promise| promise.ack.seq > self.size) {
            let why = format!(
                "the relay acknowledged a receipt as entry {} ({}), but its log has {} entries",
                promise.ack.seq, promise.from, self.size
            );
            problems.push(Problem::new("dropped_receipt", why));
        }
        problems.extend(self.auditor.findings().iter().map(Problem::of));
        if !self.auditor.balances() {
            problems.push(Problem::new("money", "granted fuel is not all accounted for".into()));
        }
        let none = (claimed.seq == 0).then(Vec::new);
        match self.points.take().or(none) {
            Some(points) => problems.extend(differences(claimed, &points)),
            None => {
                let why = format!(
                    "the relay counts points up to entry {}, past the {} of its log",
                    claimed.seq, self.size
                );
                problems.push(Problem::new("points", why));
            }
        }
        problems.extend(self.ledger.take().into_iter().flat_map(|claim| claim.problems(self.size)));
        problems
    }
}

/// Where the relay's points are not those of the log.
fn differences(claimed: &PointsInfo, points: &[NodePoints]) -> Vec<Problem> {
    let earned = |points: &NodePoints| (points.node, (points.fuel, points.tasks));
    let ours: BTreeMap<PublicKey, _> =
        points.iter().filter(|points| points.tasks > 0).map(earned).collect();
    let theirs: BTreeMap<PublicKey, _> = (claimed.nodes.iter())
        .filter(|node| node.tasks > 0 || node.fuel > 0)
        .map(|node| (node.node, (node.fuel, node.tasks)))
        .collect();
    let nodes: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let differ = nodes.into_iter().filter(|node| ours.get(node) != theirs.get(node));
    differ
        .map(|node| {
            let (ours, theirs) = (ours.get(node), theirs.get(node));
            let words = |earned: Option<&(u64, u64)>| {
                let (fuel, tasks) = earned.copied().unwrap_or_default();
                format!("{fuel} fuel for {tasks} tasks")
            };
            let why = format!(
                "node {node}: the relay says {}, the log makes it {}",
                words(theirs),
                words(ours)
            );
            Problem::new("points", why)
        })
        .collect()
}

async fn bundle(client: &Client, kept: &Kept, index: u64, width: u16) -> Result<Vec<u8>, Failure> {
    if width < TILE_WIDTH {
        return Ok(client.leaves(index, width).await?);
    }
    if let Some(bytes) = kept.bundle(index).filter(|bytes| decode_bundle(bytes, width).is_ok()) {
        return Ok(bytes);
    }
    let bytes = client.leaves(index, width).await?;
    kept.keep(index, &bytes).map_err(|error| {
        let message = format!("can't keep what was downloaded: {}", crate::failure::plain(&error));
        Failure::new(Exit::Failed, "audit_state", message).hint("name a folder with --state DIR")
    })?;
    Ok(bytes)
}

fn read(
    keys: &Keys,
    first: u64,
    bytes: &[u8],
    width: u16,
    known: bool,
) -> Result<Vec<Leaf>, Failure> {
    let leaves = decode_bundle(bytes, width).map_err(|error| {
        Failure::from(ClientError::Answer { relay: "the relay".into(), why: error.to_string() })
    })?;
    let read = |(at, leaf): (usize, &&[u8])| {
        let seq = first + at as u64 + 1;
        let read = if known { keys.reread(seq, leaf) } else { keys.read(seq, leaf) };
        (leaf_hash(leaf), read)
    };
    Ok(leaves.iter().enumerate().map(read).collect())
}
