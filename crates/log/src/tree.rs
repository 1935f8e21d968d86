//! The tree as its keeper holds it: in memory only the incomplete tiles of the
//! right edge, everything else in full tiles that someone stores.

use crate::tile::{TILE_WIDTH, TilePath};
use crate::{Hash, MAX_SIZE, merkle};
use std::fmt::Debug;
use thiserror::Error;

/// Where tiles come from: files of the log's keeper, or a log's HTTP server.
pub trait TileReader {
    /// Why a tile could not be read.
    type Error;

    /// The first `width` hashes (1 to 256) of the tile at `level` and `index`.
    /// More hashes than asked for are fine: a tile that was incomplete may be
    /// full by now. [`Tree`] checks every tile that it gets.
    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, Self::Error>;
}

impl<R: TileReader + ?Sized> TileReader for &R {
    type Error = R::Error;

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, Self::Error> {
        (**self).tile(level, index, width)
    }
}

/// Why a tree could not be opened or a proof not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TreeError<E> {
    /// The tile could not be read.
    #[error("a tile can't be read")]
    Read(#[source] E),
    /// The tile has too few or too many hashes.
    #[error("tile {index} of level {level} has {found} hashes, {expected} are needed")]
    Width {
        /// Level of the tile.
        level: u8,
        /// Index of the tile in its level.
        index: u64,
        /// Hashes it has.
        found: usize,
        /// Hashes it must have.
        expected: u16,
    },
    /// The tile's hashes are not those that the tree was made of.
    #[error("tile {index} of level {level} is not the one this tree was made of")]
    Altered {
        /// Level of the tile.
        level: u8,
        /// Index of the tile in its level.
        index: u64,
    },
    /// The tiles of the right edge don't lead to the root.
    #[error("the tiles lead to another root")]
    Root,
    /// The size, index or number of leaf hashes is outside the tree.
    #[error("the size or index is outside the tree")]
    OutOfRange,
}

impl<E> TreeError<E> {
    /// A code that stays the same between versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read(_) => "tile_read",
            Self::Width { .. } => "tile_width",
            Self::Altered { .. } => "tile_altered",
            Self::Root => "tree_root",
            Self::OutOfRange => "tree_out_of_range",
        }
    }
}

/// A tile that an append has completed: 256 hashes, which never change again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullTile {
    /// Level: 0 for leaf hashes; each hash of a higher level is the root of a
    /// full tile of the level below.
    pub level: u8,
    /// Index in the level, from 0.
    pub index: u64,
    /// Its 256 hashes.
    pub hashes: Vec<Hash>,
}

impl FullTile {
    /// Its 8,192 bytes, as stored and served.
    pub fn bytes(&self) -> Vec<u8> {
        crate::tile::encode_hashes(&self.hashes)
    }

    /// Its path under the log's prefix.
    pub fn path(&self) -> TilePath {
        TilePath::hashes(self.level, self.index, TILE_WIDTH)
    }
}

/// An append-only Merkle tree (RFC 6962). Holds at most 255 hashes a level, so
/// cloning it before a commit that may fail is cheap (56 KiB at the very most).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    /// For each level the hashes of its incomplete tile, which may be empty.
    edge: Vec<Vec<Hash>>,
}

/// How many nodes the tree of `size` leaves has at a level of tiles.
pub(crate) fn nodes(size: u64, level: u8) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

impl Tree {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the tree of `size` leaves again from its full tiles and the leaf
    /// hashes that follow the last full tile of level 0 (`size` mod 256 of
    /// them). Reads at most 255 tiles a level. Tiles tell nothing of their own
    /// soundness: compare [`Tree::root`], or [`Tree::root_at`] for an older
    /// size, with a checkpoint.
    pub fn open<R: TileReader>(
        size: u64,
        tail: &[Hash],
        reader: &R,
    ) -> Result<Self, TreeError<R::Error>> {
        let width = u64::from(TILE_WIDTH);
        if size > MAX_SIZE || tail.len() as u64 != size % width {
            return Err(TreeError::OutOfRange);
        }
        let mut edge = vec![tail.to_vec()];
        for level in 1.. {
            let nodes = nodes(size, level);
            if nodes == 0 {
                break;
            }
            let first = nodes - nodes % width;
            let below = (first..nodes).map(|index| {
                let tile = read(reader, level - 1, index, TILE_WIDTH)?;
                Ok(merkle::root(&tile))
            });
            edge.push(below.collect::<Result<_, _>>()?);
        }
        Ok(Self { size, edge })
    }

    /// The tree that a checkpoint speaks of, from the incomplete tiles of its
    /// right edge, one a level: for whoever checks another's log. What it then
    /// reads to make proofs is held against this root.
    pub fn from_edge<R: TileReader>(
        size: u64,
        root: &Hash,
        reader: &R,
    ) -> Result<Self, TreeError<R::Error>> {
        if size > MAX_SIZE {
            return Err(TreeError::OutOfRange);
        }
        let mut edge = Vec::new();
        for level in 0.. {
            let nodes = nodes(size, level);
            if nodes == 0 {
                break;
            }
            let (index, width) = (nodes / 256, (nodes % 256) as u16);
            edge.push(if width == 0 { Vec::new() } else { read(reader, level, index, width)? });
        }
        let tree = Self { size, edge };
        if tree.root() == *root { Ok(tree) } else { Err(TreeError::Root) }
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root hash. Costs at most 255 hashes a level.
    pub fn root(&self) -> Hash {
        let mut below = None;
        for tile in &self.edge {
            // What hangs below an incomplete tile is its last, incomplete node.
            let nodes: Vec<Hash> = tile.iter().copied().chain(below).collect();
            below = (!nodes.is_empty()).then(|| merkle::root(&nodes));
        }
        below.unwrap_or_else(merkle::empty_root)
    }

    /// Appends leaf hashes (of [`merkle::leaf_hash`]) and returns the tiles
    /// that this completed, which the caller stores before it shows anyone a
    /// root that covers them. n leaves cost n hashes or so.
    pub fn append(&mut self, leaves: &[Hash]) -> Vec<FullTile> {
        let width = usize::from(TILE_WIDTH);
        let mut completed = Vec::new();
        let mut added = leaves.to_vec();
        for level in 0u8.. {
            if added.is_empty() {
                break;
            }
            if self.edge.len() == usize::from(level) {
                self.edge.push(Vec::new());
            }
            let first = nodes(self.size, level + 1);
            let tile = &mut self.edge[usize::from(level)];
            tile.append(&mut added);
            let rest = tile.split_off(tile.len() / width * width);
            for (index, hashes) in (first..).zip(tile.chunks(width)) {
                added.push(merkle::root(hashes));
                completed.push(FullTile { level, index, hashes: hashes.to_vec() });
            }
            *tile = rest;
        }
        self.size += leaves.len() as u64;
        completed
    }

    /// The incomplete tiles of the right edge, as they are served for a
    /// checkpoint of this size.
    pub fn partial_tiles(&self) -> impl Iterator<Item = (TilePath, &[Hash])> {
        (0u8..).zip(&self.edge).filter(|(_, tile)| !tile.is_empty()).map(|(level, tile)| {
            let index = nodes(self.size, level) / u64::from(TILE_WIDTH);
            (TilePath::hashes(level, index, tile.len() as u16), tile.as_slice())
        })
    }

    /// The hashes of a level's incomplete tile; empty where there is none.
    pub(crate) fn edge(&self, level: u8) -> &[Hash] {
        self.edge.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }
}

/// Reads a tile and cuts it to the width asked for.
pub(crate) fn read<R: TileReader>(
    reader: &R,
    level: u8,
    index: u64,
    width: u16,
) -> Result<Vec<Hash>, TreeError<R::Error>> {
    let mut tile = reader.tile(level, index, width).map_err(TreeError::Read)?;
    if tile.len() < usize::from(width) || tile.len() > usize::from(TILE_WIDTH) {
        return Err(TreeError::Width { level, index, found: tile.len(), expected: width });
    }
    tile.truncate(usize::from(width));
    Ok(tile)
}
