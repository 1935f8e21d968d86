//! A whole log, recomputed: the caller fetches bundles in order, and at the
//! end there is a verdict on everything that the relay says.

use crate::claims::{Claim, Computed};
use grid_audit::{Auditor, Counts, Finding, Keys};
use grid_log::Tree;
use grid_log::checkpoint::SignedCheckpoint;
use grid_log::merkle::leaf_hash;
use grid_log::tile::{TILE_WIDTH, TilePath, decode_bundle};
use grid_protocol::PublicKey;
use serde::{Deserialize, Serialize};

const WIDTH: u64 = TILE_WIDTH as u64;
/// Problems that a verdict names; more are counted.
const MOST: usize = 200;

/// A replay under way.
#[derive(Debug)]
pub struct Replay {
    keys: Keys,
    checkpoint: SignedCheckpoint,
    tree: Tree,
    auditor: Auditor,
    /// What the relay says, of entries that are still to come.
    claims: Vec<Claim>,
    /// What was held against the log, and where it differs.
    compared: Vec<String>,
    differences: Vec<String>,
    nodes: Vec<Computed>,
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
    /// The relay's answers that were held against the log, by their addresses.
    pub compared: Vec<String>,
    /// What is wrong, in words; empty when the relay's word holds.
    pub problems: Vec<String>,
    /// Problems beyond those named.
    pub more: u64,
}

impl Replay {
    /// Of the log that `checkpoint` speaks of, against what the relay says
    /// beside it.
    pub fn new(
        relay: PublicKey,
        checkpoint: SignedCheckpoint,
        claims: Vec<Claim>,
    ) -> Result<Self, String> {
        let keys = Keys::new(relay).map_err(|error| format!("the relay's key: {error}"))?;
        let mut replay = Self {
            keys,
            checkpoint,
            tree: Tree::new(),
            auditor: Auditor::new(relay),
            claims,
            compared: Vec::new(),
            differences: Vec::new(),
            nodes: Vec::new(),
        };
        replay.compare();
        Ok(replay)
    }

    /// Holds what the relay says of the entries so far against them.
    fn compare(&mut self) {
        let done = self.done();
        for claim in self.claims.extract_if(.., |claim| claim.seq() == done) {
            self.compared.push(format!("/{}", claim.path()));
            self.differences.extend(claim.difference(&self.auditor));
            self.nodes = claim.nodes(&self.auditor).unwrap_or(std::mem::take(&mut self.nodes));
        }
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
            self.compare();
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
        problems.append(&mut self.differences);
        for claim in &self.claims {
            problems.push(format!(
                "/{} counts up to entry {}, past the {} of the log",
                claim.path(),
                claim.seq(),
                self.tree.size()
            ));
            self.nodes = claim.nodes(&self.auditor).unwrap_or(std::mem::take(&mut self.nodes));
        }
        let more = hidden + problems.len().saturating_sub(MOST) as u64;
        problems.truncate(MOST);
        Verdict {
            origin: signed.origin().to_owned(),
            size: self.tree.size(),
            root: self.tree.root().to_string(),
            receipts,
            settled,
            caught,
            nodes: self.nodes,
            compared: self.compared,
            problems,
            more,
        }
    }
}
