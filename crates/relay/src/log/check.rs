//! Makes the log again from the entries and compares.

use super::leaves::Leaves;
use super::tiles::{Tiles, bundle};
use super::{CHUNK, LogError, kept};
use crate::store::Reads;
use grid_log::checkpoint::LogKey;
use grid_log::tile::{TILE_WIDTH, TilePath};
use grid_log::{Hash, Tree, merkle};
use grid_protocol::{Digest, SigningKey};
use std::path::Path;

/// Checks that the kept checkpoint is one of the log that the entries make,
/// and that every file of the log is what the entries make of it; files may be
/// missing. Gives back the log's root. The relay may run meanwhile.
pub(crate) fn check(
    folder: &Path,
    origin: &str,
    relay: SigningKey,
    secret: Digest,
    reads: &Reads,
) -> Result<Hash, LogError> {
    let name = |source| LogError::Name { origin: origin.into(), source };
    let key = LogKey::new(origin, relay).map_err(name)?;
    let (tiles, leaves) = (Tiles::open(folder)?, Leaves::new(secret));
    // Read first: the entries that it covers are then there.
    let (signed, root) = kept(&tiles, &key)?;
    let width = usize::from(TILE_WIDTH);
    let mut tree = Tree::new();
    let mut shown = (signed == 0).then(merkle::empty_root);
    loop {
        let size = tree.size();
        let chunk = reads.with(|db| leaves.read(db, size + 1, CHUNK))?;
        // Bundles begin where chunks do.
        for (index, full) in (size / TILE_WIDTH as u64..).zip(chunk.chunks_exact(width)) {
            tiles.compare(TilePath::entries(index, TILE_WIDTH), &bundle(full))?;
        }
        let hashes: Vec<Hash> = chunk.iter().map(|leaf| merkle::leaf_hash(leaf)).collect();
        if (size + 1..=size + hashes.len() as u64).contains(&signed) {
            let mut then = tree.clone();
            then.append(&hashes[..(signed - size) as usize]);
            shown = Some(then.root());
        }
        for tile in tree.append(&hashes) {
            tiles.compare(tile.path(), &tile.bytes())?;
        }
        if chunk.len() < CHUNK {
            break;
        }
    }
    match shown {
        None => Err(LogError::Lost { signed, held: tree.size() }),
        Some(shown) if shown != root => Err(LogError::Forked { size: signed }),
        Some(_) => Ok(tree.root()),
    }
}
