//! A proof file made from the tiles that a log serves, as `grid prove` makes
//! it, without input and output: the caller fetches what [`Prove::next`] asks
//! for, until there is a proof.

use grid_audit::proof::{ProofFile, ProvenLeaf};
use grid_log::checkpoint::{SignedCheckpoint, UnverifiedCheckpoint};
use grid_log::note::{KeyKind, VerifierKey};
use grid_log::tile::{TILE_WIDTH, TileLevel, TilePath, decode_bundle, decode_hashes};
use grid_log::{Hash, TileReader, Tree, TreeError};
use grid_protocol::PublicKey;
use grid_protocol::entry::Leaf;
use std::collections::HashMap;
use std::fmt;

/// Tiles that one proof may need; more means that the log lies about its size.
const MAX_TILES: usize = 512;

/// A checkpoint whose signature by the relay's key holds.
pub fn checkpoint(note: &[u8], relay: &PublicKey) -> Result<SignedCheckpoint, String> {
    let checkpoint = UnverifiedCheckpoint::parse(note)
        .map_err(|error| format!("the checkpoint can't be read: {error}"))?;
    let key = VerifierKey::new(checkpoint.claimed_origin(), KeyKind::Log, *relay)
        .map_err(|error| format!("the log's name: {error}"))?;
    checkpoint.verify(&key).map_err(|error| format!("the checkpoint: {error}"))
}

/// What a proof in the making wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This tile, below `log/`.
    Fetch(TilePath),
    /// Nothing more: the proof file's bytes.
    Done(Vec<u8>),
}

/// A proof in the making.
#[derive(Debug)]
pub struct Prove {
    relay: PublicKey,
    checkpoint: SignedCheckpoint,
    seq: u64,
    hashes: Tiles,
    bundles: HashMap<u64, Vec<Vec<u8>>>,
}

impl Prove {
    /// Of the settlement in entry `seq`.
    pub fn new(relay: PublicKey, checkpoint: SignedCheckpoint, seq: u64) -> Self {
        Self { relay, checkpoint, seq, hashes: Tiles::default(), bundles: HashMap::new() }
    }

    fn size(&self) -> u64 {
        self.checkpoint.checkpoint().size()
    }

    /// What is wanted now, or why there is no proof.
    pub fn next(&self) -> Result<Next, String> {
        if self.hashes.0.len() + self.bundles.len() > MAX_TILES {
            return Err("the log asks for more tiles than a proof can need".into());
        }
        match self.make() {
            Ok(file) => {
                let mut json = serde_json::to_vec_pretty(&file).map_err(|why| why.to_string())?;
                json.push(b'\n');
                Ok(Next::Done(json))
            }
            Err(Stop::Missing(path)) => Ok(Next::Fetch(path)),
            Err(Stop::Wrong(why)) => Err(why),
        }
    }

    /// A tile that was fetched.
    pub fn give(&mut self, path: TilePath, bytes: &[u8]) -> Result<(), String> {
        let wrong = |why: &dyn fmt::Display| format!("{path}: {why}");
        match path.level() {
            TileLevel::Hashes(level) => {
                let hashes = decode_hashes(bytes, path.width()).map_err(|why| wrong(&why))?;
                self.hashes.0.insert((level, path.index()), hashes);
            }
            TileLevel::Entries => {
                let leaves = decode_bundle(bytes, path.width()).map_err(|why| wrong(&why))?;
                let leaves = leaves.into_iter().map(<[u8]>::to_vec).collect();
                self.bundles.insert(path.index(), leaves);
            }
        }
        Ok(())
    }

    fn make(&self) -> Result<ProofFile, Stop> {
        let settled = self.proven(self.seq)?;
        let Ok(Leaf::Settled { votes, .. }) = Leaf::decode(&settled.leaf) else {
            return Err(Stop::Wrong(format!("entry {} of the log settles no task", self.seq)));
        };
        let votes = votes.iter().map(|vote| self.proven(vote.seq)).collect::<Result<_, _>>()?;
        let checkpoint = self.checkpoint.encode();
        Ok(ProofFile { grid_proof: 1, relay: self.relay, settled, votes, checkpoint })
    }

    fn proven(&self, seq: u64) -> Result<ProvenLeaf, Stop> {
        let size = self.size();
        let index = seq.checked_sub(1).filter(|index| *index < size).ok_or_else(|| {
            Stop::Wrong(format!("entry {seq} is not in the log, which has {size} entries"))
        })?;
        let (tile, at) = (index / u64::from(TILE_WIDTH), (index % u64::from(TILE_WIDTH)) as usize);
        let width = (size - tile * u64::from(TILE_WIDTH)).min(TILE_WIDTH.into()) as u16;
        let bundle = self.bundles.get(&tile).ok_or(TilePath::entries(tile, width))?;
        let leaf = bundle.get(at).ok_or_else(|| Stop::Wrong(format!("entry {seq} is missing")))?;
        let tree = Tree::from_edge(size, self.checkpoint.checkpoint().root(), &self.hashes)?;
        let inclusion = tree.inclusion_proof(&self.hashes, index, size)?;
        Ok(ProvenLeaf { seq, leaf: leaf.clone(), inclusion })
    }
}

/// Why a proof is not made yet, or never will be.
enum Stop {
    Missing(TilePath),
    Wrong(String),
}

impl From<TilePath> for Stop {
    fn from(path: TilePath) -> Self {
        Self::Missing(path)
    }
}

impl From<TreeError<Missing>> for Stop {
    fn from(error: TreeError<Missing>) -> Self {
        match error {
            TreeError::Read(Missing(path)) => Self::Missing(path),
            other => Self::Wrong(format!("the log's tiles: {other}")),
        }
    }
}

/// Tiles of hashes that were fetched.
#[derive(Debug, Default)]
struct Tiles(HashMap<(u8, u64), Vec<Hash>>);

/// A tile that is needed and was not fetched yet.
#[derive(Debug, Clone, Copy)]
struct Missing(TilePath);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is missing", self.0)
    }
}

impl std::error::Error for Missing {}

impl TileReader for Tiles {
    type Error = Missing;

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, Missing> {
        let found = self.0.get(&(level, index)).filter(|tile| tile.len() >= usize::from(width));
        found.cloned().ok_or(Missing(TilePath::hashes(level, index, width)))
    }
}
