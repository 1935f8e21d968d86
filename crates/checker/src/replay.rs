//! A whole log, recomputed: the caller fetches bundles in order, and at the
//! end there is a verdict on everything that the relay says.

use grid_audit::{Auditor, Counts, Finding, Keys, NodePoints};
use grid_log::Tree;
use grid_log::checkpoint::SignedCheckpoint;
use grid_log::merkle::leaf_hash;
use grid_log::tile::{TILE_WIDTH, TilePath, decode_bundle};
use grid_protocol::PublicKey;
use grid_protocol::api::PointsInfo;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const WIDTH: u64 = TILE_WIDTH as u64;
/// Problems that a verdict names; more are counted.
const MOST: usize = 200;

/// A replay under way.
#[derive(Debug)]
pub struct Replay {
    keys: Keys,
    checkpoint: SignedCheckpoint,
    claimed: PointsInfo,
    tree: Tree,
    auditor: Auditor,
    /// Points as they were after the entry that the relay's claim names.
    points: Option<Vec<NodePoints>>,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The log's name.
    pub origin: String,
    /// Entries that were recomputed.
    pub size: u64,
    /// Root of their tree, hexadecimal.
    pub root: String,
    /// Receipts committed.
    pub receipts: u64,
    /// Tasks settled.
    pub settled: u64,
    /// Nodes that were caught.
    pub caught: u64,
    /// Every node that earned something, most first, as the log says.
    pub nodes: Vec<Computed>,
    /// What is wrong, in words; empty when the relay's word holds.
    pub problems: Vec<String>,
    /// Problems beyond those named.
    pub more: u64,
}

/// What a node earned: the log's word, and the relay's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Computed {
    /// The node.
    pub node: PublicKey,
    /// Fuel, recomputed.
    pub fuel: u64,
    /// Receipts, recomputed.
    pub tasks: u64,
    /// Does the relay say the same?
    pub agrees: bool,
}

impl Replay {
    /// Of the log that `checkpoint` speaks of, against what the relay says
    /// that nodes earned.
    pub fn new(
        relay: PublicKey,
        checkpoint: SignedCheckpoint,
        claimed: PointsInfo,
    ) -> Result<Self, String> {
        let keys = Keys::new(relay).map_err(|error| format!("the relay's key: {error}"))?;
        let (tree, auditor) = (Tree::new(), Auditor::new(relay));
        let points = (claimed.seq == 0).then(Vec::new);
        Ok(Self { keys, checkpoint, claimed, tree, auditor, points })
    }

    /// Entries there are in all.
    pub fn size(&self) -> u64 {
        self.checkpoint.checkpoint().size()
    }

    /// Entries recomputed so far.
    pub fn done(&self) -> u64 {
        self.tree.size()
    }

    /// The bundle at this place in the log; `None` past its end. Bundles may
    /// be fetched ahead, and are given in order.
    pub fn bundle(&self, index: u64) -> Option<TilePath> {
        let first = index.checked_mul(WIDTH).filter(|first| *first < self.size())?;
        Some(TilePath::entries(index, (self.size() - first).min(WIDTH) as u16))
    }

    /// Applies the next bundle.
    pub fn give(&mut self, bytes: &[u8]) -> Result<(), String> {
        let path = self.bundle(self.done() / WIDTH).ok_or("the log is at its end")?;
        let leaves = decode_bundle(bytes, path.width()).map_err(|why| format!("{path}: {why}"))?;
        for leaf in leaves {
            let seq = self.tree.size() + 1;
            self.tree.append(&[leaf_hash(leaf)]);
            self.auditor.apply(self.keys.read(seq, leaf));
            if seq == self.claimed.seq {
                self.points = Some(self.auditor.points());
            }
        }
        Ok(())
    }

    /// What came out, once every bundle was given.
    pub fn verdict(mut self) -> Verdict {
        let signed = self.checkpoint.checkpoint();
        let Counts { receipts, settled, caught, .. } = self.auditor.counts();
        let mut problems = Vec::new();
        if self.tree.root() != *signed.root() {
            problems.push(format!(
                "the {} entries that the relay serves are not those that it signed: their root \
                 is {}, the checkpoint says {}",
                self.tree.size(),
                self.tree.root(),
                signed.root()
            ));
        }
        problems.extend(self.auditor.findings().iter().map(Finding::to_string));
        let hidden = self.auditor.counts().findings - self.auditor.findings().len() as u64;
        if !self.auditor.balances() {
            problems.push("granted fuel is not all accounted for".into());
        }
        let nodes = match self.points.take() {
            Some(points) => compare(&points, &self.claimed, &mut problems),
            None => {
                problems.push(format!(
                    "the relay counts points up to entry {}, past the {} of its log",
                    self.claimed.seq,
                    self.tree.size()
                ));
                compare(&self.auditor.points(), &self.claimed, &mut Vec::new())
            }
        };
        let more = hidden + problems.len().saturating_sub(MOST) as u64;
        problems.truncate(MOST);
        Verdict {
            origin: signed.origin().to_owned(),
            size: self.tree.size(),
            root: self.tree.root().to_string(),
            receipts,
            settled,
            caught,
            nodes,
            problems,
            more,
        }
    }
}

/// Both sides' points, most first, and where they differ.
fn compare(
    points: &[NodePoints],
    claimed: &PointsInfo,
    problems: &mut Vec<String>,
) -> Vec<Computed> {
    // Both sides' fuel and tasks, by node.
    let mut both = BTreeMap::<PublicKey, [(u64, u64); 2]>::new();
    for node in points {
        both.entry(node.node).or_default()[0] = (node.fuel, node.tasks);
    }
    for node in &claimed.nodes {
        both.entry(node.node).or_default()[1] = (node.fuel, node.tasks);
    }
    let mut nodes = Vec::new();
    for (node, [(fuel, tasks), (said, said_tasks)]) in both {
        if (fuel, tasks, said, said_tasks) == (0, 0, 0, 0) {
            continue;
        }
        let agrees = (fuel, tasks) == (said, said_tasks);
        if !agrees {
            problems.push(format!(
                "node {node}: the relay says {said} fuel for {said_tasks} tasks, the log makes \
                 it {fuel} for {tasks}"
            ));
        }
        nodes.push(Computed { node, fuel, tasks, agrees });
    }
    nodes.sort_unstable_by_key(|node| (std::cmp::Reverse(node.fuel), node.node));
    nodes
}
