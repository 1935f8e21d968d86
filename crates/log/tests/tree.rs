//! Tree, proofs and tiles held against RFC 6962's definitions, written out
//! here once more, over every size up to 300 and some that need three levels.

use grid_log::merkle::{self, ProofError, leaf_hash, node_hash};
use grid_log::testing::{MemoryLog, MemoryTiles, NoTile};
use grid_log::{Hash, TileReader, Tree, TreeError};
use proptest::prelude::*;

const SIZES: u64 = 300;

/// RFC 6962, section 2.1.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of(b""),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&mth(left), &mth(right))
        }
    }
}

/// RFC 6962, section 2.1.1.
fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let middle = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(middle);
    let (mut proof, sibling) = if index < middle {
        (path(index, left), mth(right))
    } else {
        (path(index - middle, right), mth(left))
    };
    proof.push(sibling);
    proof
}

/// RFC 6962, section 2.1.2.
fn subproof(old: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if known { Vec::new() } else { vec![mth(leaves)] };
    }
    let middle = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(middle);
    let (mut proof, sibling) = if old <= middle {
        (subproof(old, left, known), mth(right))
    } else {
        (subproof(old - middle, right, false), mth(left))
    };
    proof.push(sibling);
    proof
}

/// All of a range for small trees; for larger ones every fourth, another fourth
/// for each size, and what lies beside the tiles' bounds.
fn chosen(size: u64, range: std::ops::Range<u64>) -> impl Iterator<Item = u64> {
    let last = range.end - 1;
    let kept =
        move |n: &u64| size <= 64 || (n + size).is_multiple_of(4) || *n == last || n % 256 <= 1;
    range.filter(kept)
}

/// Proofs that differ from this one in a bit, in their order or in their length:
/// for small trees in every hash, for larger ones in a hash that `salt` picks.
fn altered(proof: &[Hash], size: u64, salt: usize) -> Vec<Vec<Hash>> {
    let mut all = vec![[proof, &[Hash::ZERO]].concat()];
    let places =
        if size <= 40 { 0..proof.len() } else { salt % proof.len()..salt % proof.len() + 1 };
    for at in places {
        let mut flipped = proof.to_vec();
        let bit = (salt * 31 + at * 7) % 256;
        flipped[at].0[bit / 8] ^= 1 << (bit % 8);
        all.push(flipped);
        let mut shorter = proof.to_vec();
        shorter.remove(at);
        all.push(shorter);
        let mut longer = proof.to_vec();
        longer.insert(at, proof[at]);
        all.push(longer);
        if at > 0 && proof[at] != proof[at - 1] {
            let mut swapped = proof.to_vec();
            swapped.swap(at, at - 1);
            all.push(swapped);
        }
    }
    all
}

/// The trees of certificate-transparency's own tests.
#[test]
fn known_roots_and_paths() {
    let entries = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let mut log = MemoryLog::default();
    assert_eq!(log.tree.root().to_string(), empty);
    for (entry, root) in entries.iter().zip(roots) {
        log.append(&[leaf_hash(&hex::decode(entry).unwrap())]);
        assert_eq!(log.tree.root().to_string(), root);
    }
    let texts = |proof: Vec<Hash>| proof.iter().map(Hash::to_string).collect::<Vec<_>>();
    assert_eq!(
        texts(log.tree.inclusion_proof(&log.tiles, 0, 8).unwrap()),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    assert_eq!(
        texts(log.tree.consistency_proof(&log.tiles, 6, 8).unwrap()),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn every_bit_of_a_proof_counts() {
    let log = MemoryLog::of_size(11);
    let root = log.tree.root();
    let old_root = log.tree.root_at(&log.tiles, 6).unwrap();
    let inclusion = log.tree.inclusion_proof(&log.tiles, 5, 11).unwrap();
    let consistency = log.tree.consistency_proof(&log.tiles, 6, 11).unwrap();
    for (at, bit) in (0..4).flat_map(|at| (0..256).map(move |bit| (at, bit))) {
        let flip = |proof: &[Hash]| {
            let mut flipped = proof.to_vec();
            flipped[at].0[bit / 8] ^= 1 << (bit % 8);
            flipped
        };
        let checked = merkle::verify_inclusion(&log.leaves[5], 5, 11, &flip(&inclusion), &root);
        assert_eq!(checked, Err(ProofError::Mismatch));
        let checked = merkle::verify_consistency(6, &old_root, 11, &root, &flip(&consistency));
        assert_eq!(checked, Err(ProofError::Mismatch));
    }
}

#[test]
fn inclusion_proofs_of_every_size_and_no_altered_one() {
    for size in 1..=SIZES {
        let log = MemoryLog::of_size(size);
        let root = mth(&log.leaves);
        assert_eq!(log.tree.root(), root);
        for index in chosen(size, 0..size) {
            let leaf = log.leaves[index as usize];
            let proof = log.tree.inclusion_proof(&log.tiles, index, size).unwrap();
            if size % 9 < 2 {
                assert_eq!(proof, path(index as usize, &log.leaves));
            }
            let check = |leaf: &Hash, index, proof: &[Hash], root: &Hash| {
                merkle::verify_inclusion(leaf, index, size, proof, root)
            };
            assert_eq!(check(&leaf, index, &proof, &root), Ok(()));
            assert!(check(&leaf, (index + 1) % size, &proof, &root).is_err() || size == 1);
            assert_eq!(check(&leaf, size, &proof, &root), Err(ProofError::OutOfRange));
            assert_eq!(check(&leaf, index, &proof, &Hash::ZERO), Err(ProofError::Mismatch));
            assert_eq!(check(&Hash::ZERO, index, &proof, &root), Err(ProofError::Mismatch));
            for altered in altered(&proof, size, (size + index) as usize) {
                assert!(check(&leaf, index, &altered, &root).is_err(), "{index} of {size}");
            }
        }
    }
}

#[test]
fn consistency_proofs_of_every_size_and_no_altered_one() {
    let log = MemoryLog::of_size(SIZES);
    let roots: Vec<Hash> = (0..=SIZES as usize).map(|size| mth(&log.leaves[..size])).collect();
    for new in 0..=SIZES {
        let at = MemoryLog::of_size(new);
        for old in chosen(new, 0..new + 1) {
            let proof = at.tree.consistency_proof(&at.tiles, old, new).unwrap();
            if old > 0 && new % 9 < 2 {
                assert_eq!(proof, subproof(old as usize, &at.leaves, true));
            }
            let (old_root, new_root) = (&roots[old as usize], &roots[new as usize]);
            let check = |old_root: &Hash, new_root: &Hash, proof: &[Hash]| {
                merkle::verify_consistency(old, old_root, new, new_root, proof)
            };
            assert_eq!(check(old_root, new_root, &proof), Ok(()), "{old} to {new}");
            assert!(check(&Hash::ZERO, new_root, &proof).is_err());
            assert!(check(old_root, &Hash::ZERO, &proof).is_err() || old == 0 && new > 0);
            for altered in
                altered(&proof, if proof.is_empty() { 0 } else { new }, (old + new) as usize)
            {
                assert!(check(old_root, new_root, &altered).is_err(), "{old} to {new}");
            }
            if old < new {
                let swapped = merkle::verify_consistency(new, new_root, old, old_root, &proof);
                assert_eq!(swapped, Err(ProofError::OutOfRange));
            }
        }
    }
}

/// From the tree as it is now, proofs about every older size.
#[test]
fn older_sizes_are_proved_from_the_newest_tree() {
    let log = MemoryLog::of_size(SIZES);
    for size in (0..=SIZES).step_by(7) {
        let leaves = &log.leaves[..size as usize];
        assert_eq!(log.tree.root_at(&log.tiles, size), Ok(mth(leaves)));
        for index in (0..size).step_by(5) {
            let proof = log.tree.inclusion_proof(&log.tiles, index, size).unwrap();
            assert_eq!(proof, path(index as usize, leaves));
        }
        for old in (1..=size).step_by(11) {
            let proof = log.tree.consistency_proof(&log.tiles, old, size).unwrap();
            assert_eq!(proof, subproof(old as usize, leaves, true));
        }
    }
}

#[test]
fn a_tree_of_three_levels() {
    let log = MemoryLog::of_size(70_000);
    let root = mth(&log.leaves);
    assert_eq!(log.tree.root(), root);
    let served = log.served();
    let client = Tree::from_edge(70_000, &root, &served).unwrap();
    for index in [0, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999] {
        for size in [256, 65_536, 65_537, 69_888, 69_999, 70_000] {
            if index >= size {
                continue;
            }
            let leaves = &log.leaves[..size as usize];
            let proof = client.inclusion_proof(&served, index, size).unwrap();
            assert_eq!(proof, path(index as usize, leaves));
            let proof = client.consistency_proof(&served, index + 1, size).unwrap();
            assert_eq!(proof, subproof(index as usize + 1, leaves, true));
            assert_eq!(client.root_at(&served, size), Ok(mth(leaves)));
        }
    }
}

/// Counts what is read.
struct Counted<'a>(&'a MemoryTiles, std::cell::Cell<usize>);

impl TileReader for Counted<'_> {
    type Error = NoTile;

    fn tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<Hash>, NoTile> {
        self.1.set(self.1.get() + 1);
        self.0.tile(level, index, width)
    }
}

#[test]
fn a_proof_reads_few_tiles() {
    let log = MemoryLog::of_size(70_000);
    for (old, new) in [(1, 70_000), (65_535, 69_999), (300, 65_537), (12_345, 54_321)] {
        let counted = Counted(&log.tiles, std::cell::Cell::new(0));
        log.tree.inclusion_proof(&counted, old, new).unwrap();
        log.tree.consistency_proof(&counted, old, new).unwrap();
        assert!(counted.1.get() <= 8, "{} tiles for {old}, {new}", counted.1.get());
    }
}

#[test]
fn a_tree_opened_again_is_the_one_never_closed() {
    let mut log = MemoryLog::default();
    for size in 0..=560u64 {
        let opened = Tree::open(size, log.tail(), &log.tiles).unwrap();
        assert_eq!(opened.root(), log.tree.root());
        let from_edge = Tree::from_edge(size, &log.tree.root(), &log.served()).unwrap();
        for mut tree in [opened, from_edge] {
            let leaves: Vec<Hash> = (0..300u64).map(|n| leaf_hash(&n.to_be_bytes())).collect();
            let mut continued = log.tree.clone();
            assert_eq!(tree.append(&leaves), continued.append(&leaves));
            assert_eq!(tree.root(), continued.root());
            assert!(tree.partial_tiles().eq(continued.partial_tiles()));
        }
        log.append(&[leaf_hash(&size.to_be_bytes())]);
    }
    let big = MemoryLog::of_size(131_072 + 777);
    let opened = Tree::open(big.tree.size(), big.tail(), &big.tiles).unwrap();
    assert_eq!(opened.root(), big.tree.root());
}

#[test]
fn spoiled_tiles_are_errors() {
    let log = MemoryLog::of_size(70_000);
    let prove = |tiles: &MemoryTiles| log.tree.inclusion_proof(tiles, 300, 69_000);
    assert!(prove(&log.tiles).is_ok());
    let spoil = |change: &dyn Fn(&mut MemoryTiles)| {
        let mut tiles = log.tiles.clone();
        change(&mut tiles);
        prove(&tiles).unwrap_err()
    };
    // The leaf's own tile, and the one above it.
    for key in [(0u8, 1u64), (1, 0)] {
        let (level, index) = key;
        for bit in 0..256 {
            let altered = spoil(&|tiles| {
                tiles.0.get_mut(&key).unwrap()[bit].0[bit / 8] ^= 1 << (bit % 8);
            });
            assert_eq!(altered, TreeError::Altered { level, index });
        }
        let swapped = spoil(&|tiles| tiles.0.get_mut(&key).unwrap().swap(3, 200));
        assert_eq!(swapped, TreeError::Altered { level, index });
        let other = spoil(&|tiles| {
            let other = tiles.0[&(0, 7)].clone();
            tiles.0.insert(key, other);
        });
        assert_eq!(other, TreeError::Altered { level, index });
        for width in [0, 255, 257] {
            let cut = spoil(&|tiles| tiles.0.get_mut(&key).unwrap().resize(width, Hash::ZERO));
            assert_eq!(cut, TreeError::Width { level, index, found: width, expected: 256 });
        }
        let gone = spoil(&|tiles| drop(tiles.0.remove(&key)));
        assert_eq!(gone, TreeError::Read(NoTile { level, index }));
    }
}

#[test]
fn a_spoiled_edge_is_an_error() {
    let log = MemoryLog::of_size(70_000);
    let root = log.tree.root();
    for key in [(0u8, 273u64), (1, 1), (2, 0)] {
        let mut served = log.served();
        served.0.get_mut(&key).unwrap()[0].0[0] ^= 1;
        assert_eq!(Tree::from_edge(70_000, &root, &served), Err(TreeError::Root));
        served.0.get_mut(&key).unwrap().pop();
        assert!(matches!(Tree::from_edge(70_000, &root, &served), Err(TreeError::Width { .. })));
    }
    let served = log.served();
    assert_eq!(Tree::from_edge(70_000, &Hash::ZERO, &served), Err(TreeError::Root));
    assert_eq!(Tree::from_edge(u64::MAX, &root, &served), Err(TreeError::OutOfRange));
}

#[test]
fn out_of_range_is_an_error() {
    let log = MemoryLog::of_size(10);
    let (tree, tiles) = (&log.tree, &log.tiles);
    assert_eq!(tree.inclusion_proof(tiles, 10, 10), Err(TreeError::OutOfRange));
    assert_eq!(tree.inclusion_proof(tiles, 0, 0), Err(TreeError::OutOfRange));
    assert_eq!(tree.inclusion_proof(tiles, 0, 11), Err(TreeError::OutOfRange));
    assert_eq!(tree.consistency_proof(tiles, 5, 4), Err(TreeError::OutOfRange));
    assert_eq!(tree.consistency_proof(tiles, 5, 11), Err(TreeError::OutOfRange));
    assert_eq!(tree.root_at(tiles, 11), Err(TreeError::OutOfRange));
    assert_eq!(Tree::open(10, &log.leaves[..9], tiles), Err(TreeError::OutOfRange));
    assert_eq!(Tree::open(u64::MAX, &[], tiles), Err(TreeError::OutOfRange));
}

proptest! {
    /// However the leaves come, the tree and its tiles are the same.
    #[test]
    fn batches_don_t_matter(batches in proptest::collection::vec(0usize..700, 0..8)) {
        let total: usize = batches.iter().sum();
        let whole = MemoryLog::of_size(total as u64);
        let mut log = MemoryLog::default();
        for batch in batches {
            let from = log.leaves.len();
            log.append(&whole.leaves[from..from + batch]);
        }
        prop_assert_eq!(&log.tree, &whole.tree);
        prop_assert_eq!(log.tiles.0, whole.tiles.0);
    }

    /// Nothing that a stranger sends as a proof panics or is believed.
    #[test]
    fn any_proof_is_refused(
        index: u64,
        size: u64,
        hashes in proptest::collection::vec(any::<[u8; 32]>().prop_map(Hash), 0..70),
    ) {
        let (old, new) = (index.min(size), index.max(size));
        prop_assert!(merkle::verify_inclusion(&Hash::ZERO, old, new, &hashes, &Hash::ZERO).is_err());
        if 0 < old && old < new {
            let verified =
                merkle::verify_consistency(old, &Hash::ZERO, new, &Hash::ZERO, &hashes);
            prop_assert!(verified.is_err());
        }
    }
}
