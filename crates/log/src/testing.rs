//! A log in memory, for tests: its tiles, its entries, and proofs from them.

use crate::tile::TILE_WIDTH;
use crate::{FullTile, Hash, TileReader, Tree, merkle};
use std::collections::BTreeMap;
use thiserror::Error;

/// The tile was never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("there is no tile {index} of level {level}")]
pub struct NoTile {
    /// Level asked for.
    pub level: u8,
    /// Index asked for.
    pub index: u64,
}

/// Tiles by level and index. Public so that tests can spoil them.
#[derive(Debug, Clone, Default)]
pub struct MemoryTiles(pub BTreeMap<(u8, u64), Vec<Hash>>);

impl MemoryTiles {
    /// Stores full tiles.
    pub fn store(&mut self, tiles: Vec<FullTile>) {
        self.0.extend(tiles.into_iter().map(|tile| ((tile.level, tile.index), tile.hashes)));
    }
}

impl TileReader for MemoryTiles {
    type Error = NoTile;

    fn tile(&self, level: u8, index: u64, _width: u16) -> Result<Vec<Hash>, NoTile> {
        self.0.get(&(level, index)).cloned().ok_or(NoTile { level, index })
    }
}

/// A whole log in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog {
    /// The tree.
    pub tree: Tree,
    /// Its full tiles.
    pub tiles: MemoryTiles,
    /// The leaf hashes, in order.
    pub leaves: Vec<Hash>,
}

impl MemoryLog {
    /// A log of so many leaves, whose entries are their own numbers (8 bytes,
    /// big-endian).
    pub fn of_size(size: u64) -> Self {
        let mut log = Self::default();
        let leaves: Vec<Hash> = (0..size).map(|n| merkle::leaf_hash(&n.to_be_bytes())).collect();
        log.append(&leaves);
        log
    }

    /// Appends leaf hashes and stores the tiles that they complete.
    pub fn append(&mut self, leaves: &[Hash]) {
        self.tiles.store(self.tree.append(leaves));
        self.leaves.extend_from_slice(leaves);
    }

    /// The leaf hashes after the last full tile.
    pub fn tail(&self) -> &[Hash] {
        &self.leaves[self.leaves.len() / usize::from(TILE_WIDTH) * usize::from(TILE_WIDTH)..]
    }

    /// Full and incomplete tiles together, as a log serves them.
    pub fn served(&self) -> MemoryTiles {
        let mut served = self.tiles.clone();
        for (path, hashes) in self.tree.partial_tiles() {
            if let crate::tile::TileLevel::Hashes(level) = path.level() {
                served.0.insert((level, path.index()), hashes.to_vec());
            }
        }
        served
    }
}
