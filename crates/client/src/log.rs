//! Reading a relay's public log: checkpoint, tiles and leaves (C2SP
//! tlog-tiles). Nothing here needs an owner key, and nothing is believed: who
//! asks verifies.

use crate::client::Client;
use crate::error::ClientError;
use grid_log::checkpoint::{SignedCheckpoint, UnverifiedCheckpoint};
use grid_log::note::{KeyKind, VerifierKey};
use grid_log::tile::{TILE_WIDTH, TilePath, decode_bundle, decode_hashes};
use grid_log::{Hash, TileReader, Tree, TreeError};
use grid_protocol::PublicKey;
use grid_protocol::api::{LedgerInfo, NodeStanding, PointsInfo};
use std::collections::HashMap;

/// Largest bundle of 256 leaves.
const MAX_BUNDLE: usize = 256 * (2 + 65_535);
/// Largest checkpoint.
const MAX_NOTE: usize = 64 * 1024;
/// Tiles that one proof may need; more means that the log lies about its size.
const MAX_TILES: usize = 256;

impl Client {
    /// The log's latest checkpoint, signed by `relay`.
    pub async fn checkpoint(&self, relay: &PublicKey) -> Result<SignedCheckpoint, ClientError> {
        let bytes = self.body("log/checkpoint", MAX_NOTE).await?;
        verified(&bytes, relay).map_err(|why| self.bad_answer(why))
    }

    /// The encoded bundle of leaves at this index, `width` of them (1 to 256).
    pub async fn leaves(&self, index: u64, width: u16) -> Result<Vec<u8>, ClientError> {
        let path = TilePath::entries(index, width);
        let bytes = self.body(&format!("log/{path}"), MAX_BUNDLE).await?;
        decode_bundle(&bytes, width).map_err(|why| self.bad_answer(format!("{path}: {why}")))?;
        Ok(bytes)
    }

    /// One leaf of a log of `size` leaves.
    pub async fn leaf(&self, index: u64, size: u64) -> Result<Vec<u8>, ClientError> {
        let width = u64::from(TILE_WIDTH);
        let (tile, at) = (index / width, (index % width) as usize);
        let there = (size - tile * width).min(width) as u16;
        let bundle = self.leaves(tile, there).await?;
        let leaves = decode_bundle(&bundle, there);
        let leaf = leaves.ok().and_then(|leaves| leaves.get(at).map(|leaf| leaf.to_vec()));
        leaf.ok_or_else(|| self.bad_answer(format!("leaf {index} is not in its bundle")))
    }

    /// A node's standing, and why.
    pub async fn node(&self, node: &PublicKey) -> Result<NodeStanding, ClientError> {
        self.get(&format!("v1/nodes/{node}")).await
    }

    /// What the relay says that every node earned.
    pub async fn points(&self) -> Result<PointsInfo, ClientError> {
        self.get("v1/points").await
    }

    /// What the relay says that everyone has; `None` where it is of a version
    /// that has no ledger.
    pub async fn ledger(&self) -> Result<Option<LedgerInfo>, ClientError> {
        match self.get("v1/ledger").await {
            Ok(ledger) => Ok(Some(ledger)),
            Err(ClientError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a proof from tiles, which are fetched as it asks for them. `make`
    /// is called again with each tile more that is there.
    pub async fn prove<T>(
        &self,
        checkpoint: &SignedCheckpoint,
        make: impl Fn(&Tree, &Tiles) -> Result<T, TreeError<Missing>>,
    ) -> Result<T, ClientError> {
        let (size, root) = (checkpoint.checkpoint().size(), *checkpoint.checkpoint().root());
        let mut tiles = Tiles::default();
        loop {
            let made = Tree::from_edge(size, &root, &tiles).and_then(|tree| make(&tree, &tiles));
            match made {
                Err(TreeError::Read(missing)) if tiles.0.len() < MAX_TILES => {
                    let Missing { level, index, width } = missing;
                    let path = TilePath::hashes(level, index, width);
                    let bytes = self.body(&format!("log/{path}"), 32 * 256).await?;
                    let hashes = decode_hashes(&bytes, width)
                        .map_err(|why| self.bad_answer(format!("{path}: {why}")))?;
                    tiles.0.insert((level, index), hashes);
                }
                Err(why) => return Err(self.bad_answer(format!("its log: {why}"))),
                Ok(made) => return Ok(made),
            }
        }
    }
}

/// A checkpoint whose signature by the relay's key holds.
pub fn verified(bytes: &[u8], relay: &PublicKey) -> Result<SignedCheckpoint, String> {
    let checkpoint = UnverifiedCheckpoint::parse(bytes)
        .map_err(|error| format!("its checkpoint can't be read: {error}"))?;
    let key = VerifierKey::new(checkpoint.claimed_origin(), KeyKind::Log, *relay)
        .map_err(|error| format!("its log's name: {error}"))?;
    checkpoint.verify(&key).map_err(|error| format!("its checkpoint: {error}"))
}

/// Tiles that were fetched.
#[derive(Debug, Default)]
pub struct Tiles(HashMap<(u8, u64), Vec<Hash>>);

/// A tile that is needed and was not fetched yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    level: u8,
    index: u64,
    width: u16,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tile {} of level {}", self.index, self.level)
    }
}

impl std::error::Error for Missing {}

impl TileReader for Tiles {
    type Error = Missing;

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, Missing> {
        let found = self.0.get(&(level, index)).filter(|tile| tile.len() >= usize::from(width));
        found.cloned().ok_or(Missing { level, index, width })
    }
}
