//! Full tiles and bundles as files, laid out as they are served (C2SP
//! tlog-tiles), and the checkpoint up to which they were synced.

use super::LogError;
use super::leaves::Leaves;
use grid_log::tile::{TILE_WIDTH, TileLevel, TilePath, decode_bundle, decode_hashes};
use grid_log::tile::{encode_bundle, encode_hashes};
use grid_log::{Hash, TileReader, Tree, merkle};
use rusqlite::Connection;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const WIDTH: u64 = TILE_WIDTH as u64;

/// The log's folder. Files appear whole under their names; they are synced
/// all together, before [`Tiles::keep`] says up to where. Until then a crash of
/// the machine may leave anything in them.
#[derive(Debug, Clone)]
pub(crate) struct Tiles(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Held while a file is written: two writers would share the name beside.
    writing: Mutex<()>,
}

impl Tiles {
    /// The log's folder; made when missing.
    pub(crate) fn open(folder: &Path) -> Result<Self, LogError> {
        fs::create_dir_all(folder).map_err(|source| LogError::io(folder, source))?;
        Ok(Self(Arc::new(Inner { folder: folder.into(), writing: Mutex::default() })))
    }

    pub(crate) fn path(&self, tile: TilePath) -> PathBuf {
        self.0.folder.join(tile.to_string())
    }

    pub(crate) fn kept_path(&self) -> PathBuf {
        self.0.folder.join("checkpoint")
    }

    /// The checkpoint that was kept last.
    pub(crate) fn kept(&self) -> Result<Option<Vec<u8>>, LogError> {
        let path = self.kept_path();
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::io(&path, error)),
        }
    }

    /// Makes every file that was written durable, and then the checkpoint that
    /// they belong to.
    pub(super) fn keep(&self, checkpoint: &str) -> Result<(), LogError> {
        let path = self.kept_path();
        let keep = || {
            let folder = File::open(&self.0.folder)?;
            rustix::fs::syncfs(&folder)?;
            let new = path.with_extension("new");
            fs::write(&new, checkpoint)?;
            File::open(&new)?.sync_all()?;
            fs::rename(&new, &path)?;
            folder.sync_all()
        };
        keep().map_err(|source| LogError::io(&path, source))
    }

    /// Writes a file beside and renames it.
    pub(super) fn write(&self, tile: TilePath, bytes: &[u8]) -> Result<(), LogError> {
        let _writing = self.0.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(tile);
        let new = path.with_extension("new");
        let write = || match fs::write(&new, bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::write(&new, bytes)
            }
            written => written,
        };
        let written = write().and_then(|()| fs::rename(&new, &path));
        written.map_err(|source| LogError::io(&path, source))
    }

    /// Is the file, if it is there, these bytes?
    pub(super) fn compare(&self, tile: TilePath, bytes: &[u8]) -> Result<(), LogError> {
        let path = self.path(tile);
        match fs::read(&path) {
            Ok(found) if found == bytes => Ok(()),
            Ok(_) => Err(LogError::Damaged(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(LogError::io(&path, error)),
        }
    }

    fn read_hashes(&self, level: u8, index: u64) -> Option<Vec<Hash>> {
        let bytes = fs::read(self.path(TilePath::hashes(level, index, TILE_WIDTH))).ok()?;
        decode_hashes(&bytes, TILE_WIDTH).ok()
    }
}

/// Tiles together with the entries that they can be made of again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) tiles: &'a Tiles,
    pub(super) leaves: &'a Leaves,
    pub(super) db: &'a Connection,
    /// Must what is made be written too? Who only reads can do without.
    pub(super) writes: bool,
}

/// Takes a tile from its file, or else makes it again. What is in the file is
/// believed: whoever reads compares the root.
impl TileReader for Source<'_> {
    type Error = LogError;

    fn tile(&self, level: u8, index: u64, _width: u16) -> Result<Vec<Hash>, LogError> {
        match self.tiles.read_hashes(level, index) {
            Some(hashes) => Ok(hashes),
            None => self.make(level, index),
        }
    }
}

impl Source<'_> {
    /// Makes the full tiles that a log of `new` entries has, and one of `old`
    /// had not.
    pub(super) fn make_all(&self, old: u64, new: u64) -> Result<(), LogError> {
        for tile in TilePath::new_hashes(old, new).filter(|tile| tile.is_full()) {
            if let TileLevel::Hashes(level) = tile.level() {
                self.make(level, tile.index())?;
            }
        }
        Ok(())
    }

    fn write(&self, tile: TilePath, bytes: &[u8]) -> Result<(), LogError> {
        match self.tiles.write(tile, bytes) {
            Err(error) if !self.writes => {
                tracing::debug!(%error, "a file of the log can't be written");
                Ok(())
            }
            written => written,
        }
    }

    /// Makes a tile: of the entries, or of the 256 tiles below.
    fn make(&self, level: u8, index: u64) -> Result<Vec<Hash>, LogError> {
        let hashes = match level {
            0 => self.make_bundle(index)?.1,
            _ => {
                let below = index * WIDTH..(index + 1) * WIDTH;
                let below = below.map(|index| self.tile(level - 1, index, TILE_WIDTH));
                let roots = below.map(|tile| tile.map(|tile| merkle::root(&tile)));
                roots.collect::<Result<Vec<_>, _>>()?
            }
        };
        self.write(TilePath::hashes(level, index, TILE_WIDTH), &encode_hashes(&hashes))?;
        Ok(hashes)
    }

    /// Makes a bundle; gives back the hashes of its leaves too.
    fn make_bundle(&self, index: u64) -> Result<(Vec<u8>, Vec<Hash>), LogError> {
        let (bundle, hashes) = self.bundle_of(index, TILE_WIDTH)?;
        self.write(TilePath::entries(index, TILE_WIDTH), &bundle)?;
        Ok((bundle, hashes))
    }

    /// The first `width` leaves of a bundle as the entries have them, and their
    /// hashes.
    pub(crate) fn bundle_of(
        &self,
        index: u64,
        width: u16,
    ) -> Result<(Vec<u8>, Vec<Hash>), LogError> {
        let first = index * WIDTH + 1;
        let leaves = self.leaves.read(self.db, first, usize::from(width))?;
        if leaves.len() != usize::from(width) {
            return Err(LogError::Leaf(first + leaves.len() as u64));
        }
        let hashes = leaves.iter().map(|leaf| merkle::leaf_hash(leaf)).collect();
        Ok((bundle(&leaves), hashes))
    }

    /// A full tile of this tree. One that is missing, or not what the tree was
    /// made of, is made again.
    pub(super) fn hashes(&self, tree: &Tree, level: u8, index: u64) -> Result<Vec<Hash>, LogError> {
        let parent = self.node(tree, level + 1, index)?;
        let sound = |tile: &Vec<Hash>| Some(merkle::root(tile)) == parent;
        if let Some(tile) = self.tiles.read_hashes(level, index).filter(sound) {
            return Ok(tile);
        }
        let tile = self.make(level, index)?;
        if sound(&tile) {
            return Ok(tile);
        }
        // One of those below is damaged too.
        let leaves = WIDTH.pow(u32::from(level) + 1);
        self.make_all(index * leaves, (index + 1) * leaves)?;
        self.tile(level, index, TILE_WIDTH)
    }

    /// A node of the tree, at the level of tiles where it is one hash of many.
    fn node(&self, tree: &Tree, level: u8, index: u64) -> Result<Option<Hash>, LogError> {
        let (tile, place) = (index / WIDTH, (index % WIDTH) as usize);
        if edge_tile(tree, level) == tile {
            return Ok(edge(tree, level).get(place).copied());
        }
        Ok(self.hashes(tree, level, tile)?.get(place).copied())
    }

    /// A full bundle of this tree's leaves, made again as tiles are.
    pub(super) fn bundle(&self, tree: &Tree, index: u64) -> Result<Vec<u8>, LogError> {
        let hashes = self.hashes(tree, 0, index)?;
        let kept = fs::read(self.tiles.path(TilePath::entries(index, TILE_WIDTH)));
        let sound = |bytes: &Vec<u8>| {
            let leaves = decode_bundle(bytes, TILE_WIDTH);
            leaves.is_ok_and(|leaves| {
                leaves.iter().zip(&hashes).all(|(leaf, hash)| merkle::leaf_hash(leaf) == *hash)
            })
        };
        match kept.ok().filter(sound) {
            Some(bundle) => Ok(bundle),
            None => Ok(self.make_bundle(index)?.0),
        }
    }
}

/// The bytes of a bundle of leaves that are short enough.
pub(super) fn bundle(leaves: &[Vec<u8>]) -> Vec<u8> {
    encode_bundle(leaves).expect("leaves that are too long are refused when they are made")
}

/// Index of the tile of a level that is not full.
fn edge_tile(tree: &Tree, level: u8) -> u64 {
    tree.size().checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0)
}

/// The hashes of the tile of a level that is not full.
pub(super) fn edge(tree: &Tree, level: u8) -> &[Hash] {
    let of = |path: &TilePath| path.level() == TileLevel::Hashes(level);
    tree.partial_tiles().find(|(path, _)| of(path)).map_or(&[], |(_, hashes)| hashes)
}
