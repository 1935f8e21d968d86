//! Proofs for any leaf and any two sizes, from tiles. Each tile that is read
//! is held against the hash that its parent has for it, up to the right edge
//! in memory: an altered tile is an error, never a wrong proof.

use crate::tile::TILE_WIDTH;
use crate::tree::{nodes, read};
use crate::{Hash, TileReader, Tree, TreeError, merkle};
use std::collections::BTreeMap;

impl Tree {
    /// Proves that the leaf at `index` is in the tree of the first `size`
    /// leaves (RFC 9162, section 2.1.3.1). Reads at most one or two tiles a
    /// level.
    pub fn inclusion_proof<R: TileReader>(
        &self,
        reader: &R,
        index: u64,
        size: u64,
    ) -> Result<Vec<Hash>, TreeError<R::Error>> {
        if index >= size || size > self.size() {
            return Err(TreeError::OutOfRange);
        }
        let mut prover = Prover::new(self, reader);
        let (mut low, mut high) = (0, size);
        let mut proof = Vec::new();
        while high - low > 1 {
            let middle = low + split(high - low);
            if index < middle {
                proof.push(prover.range(middle, high)?);
                high = middle;
            } else {
                proof.push(prover.range(low, middle)?);
                low = middle;
            }
        }
        proof.reverse();
        Ok(proof)
    }

    /// Proves that the tree of the first `new` leaves begins with that of the
    /// first `old` (RFC 9162, section 2.1.4.1). Empty from the empty tree and
    /// between equal sizes.
    pub fn consistency_proof<R: TileReader>(
        &self,
        reader: &R,
        old: u64,
        new: u64,
    ) -> Result<Vec<Hash>, TreeError<R::Error>> {
        if old > new || new > self.size() {
            return Err(TreeError::OutOfRange);
        }
        if old == 0 || old == new {
            return Ok(Vec::new());
        }
        let mut prover = Prover::new(self, reader);
        let (mut low, mut high) = (0, new);
        let mut proof = Vec::new();
        while high != old {
            let middle = low + split(high - low);
            if old <= middle {
                proof.push(prover.range(middle, high)?);
                high = middle;
            } else {
                proof.push(prover.range(low, middle)?);
                low = middle;
            }
        }
        // The old root itself is left out: the verifier has it.
        if low > 0 {
            proof.push(prover.range(low, high)?);
        }
        proof.reverse();
        Ok(proof)
    }

    /// The root that the tree had at `size` leaves.
    pub fn root_at<R: TileReader>(
        &self,
        reader: &R,
        size: u64,
    ) -> Result<Hash, TreeError<R::Error>> {
        match size {
            0 => Ok(merkle::empty_root()),
            _ if size == self.size() => Ok(self.root()),
            _ if size > self.size() => Err(TreeError::OutOfRange),
            _ => Prover::new(self, reader).range(0, size),
        }
    }
}

/// The largest power of two below `leaves`, which is at least 2.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// Reads and checks tiles, each once.
struct Prover<'a, R> {
    tree: &'a Tree,
    reader: &'a R,
    checked: BTreeMap<(u8, u64), Vec<Hash>>,
}

impl<'a, R: TileReader> Prover<'a, R> {
    fn new(tree: &'a Tree, reader: &'a R) -> Self {
        Self { tree, reader, checked: BTreeMap::new() }
    }

    /// The hash over the leaves `low..high`: a node of the tree, or one of the
    /// right edge of an older tree.
    fn range(&mut self, low: u64, high: u64) -> Result<Hash, TreeError<R::Error>> {
        let leaves = high - low;
        if leaves.is_power_of_two() {
            return self.perfect(leaves.ilog2(), low);
        }
        let middle = low + split(leaves);
        let left = self.range(low, middle)?;
        Ok(merkle::node_hash(&left, &self.range(middle, high)?))
    }

    /// The root of the perfect subtree of this height that begins at a leaf.
    fn perfect(&mut self, height: u32, leaf: u64) -> Result<Hash, TreeError<R::Error>> {
        let (level, within) = ((height / 8) as u8, height % 8);
        let first = nodes(leaf, level);
        let hashes = self.tile(level, first / 256)?;
        let from = (first % 256) as usize;
        let found = hashes.get(from..from + (1 << within));
        found.map(merkle::root).ok_or(TreeError::OutOfRange)
    }

    /// A tile's hashes: of the right edge from memory, of a full tile read
    /// once and checked.
    fn tile(&mut self, level: u8, index: u64) -> Result<&[Hash], TreeError<R::Error>> {
        let width = u64::from(TILE_WIDTH);
        if index >= nodes(self.tree.size(), level) / width {
            return Ok(self.tree.edge(level));
        }
        let key = (level, index);
        if !self.checked.contains_key(&key) {
            let hashes = read(self.reader, level, index, TILE_WIDTH)?;
            let parent = self.tile(level + 1, index / width)?.get((index % width) as usize);
            if parent != Some(&merkle::root(&hashes)) {
                return Err(TreeError::Altered { level, index });
            }
            self.checked.insert(key, hashes);
        }
        Ok(&self.checked[&key])
    }
}
