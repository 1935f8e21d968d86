//! Merkle tree hashes and the verification of proofs (RFC 6962 section 2.1,
//! RFC 9162 section 2.1), with SHA-256.

use crate::Hash;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Why a proof does not show what it claims to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The index lies outside the tree, or the old tree is larger than the new.
    #[error("the proof is about leaves that the tree doesn't have")]
    OutOfRange,
    /// A proof for these sizes has another number of hashes.
    #[error("the proof is too long or too short")]
    Length,
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Mismatch,
}

impl ProofError {
    /// A code that stays the same between versions.
    pub fn code(self) -> &'static str {
        match self {
            Self::OutOfRange => "proof_out_of_range",
            Self::Length => "proof_length",
            Self::Mismatch => "proof_mismatch",
        }
    }
}

/// The hash of a leaf: SHA-256(0x00 ‖ entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    Hash(Sha256::digest(bytes).into())
}

/// The root of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Hash::of(&[])
}

/// The root over `nodes`: leaf hashes, or the roots of perfect subtrees of one
/// height of which only the last may be incomplete. n nodes cost n hashes.
pub fn root(nodes: &[Hash]) -> Hash {
    // Roots of perfect subtrees, larger ones first: one for each bit set in
    // the number of nodes seen.
    let mut pending: Vec<Hash> = Vec::with_capacity(16);
    for (index, node) in nodes.iter().enumerate() {
        let mut hash = *node;
        for _ in 0..index.trailing_ones() {
            if let Some(left) = pending.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        pending.push(hash);
    }
    pending
        .into_iter()
        .rev()
        .reduce(|right, left| node_hash(&left, &right))
        .unwrap_or_else(empty_root)
}

/// Checks that the leaf with this hash is the one at `index` in the tree of
/// `size` leaves with this root (RFC 9162, section 2.1.3.2).
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            skip_to_odd(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Mismatch) }
}

/// Checks that the tree of `new_size` leaves begins with the tree of
/// `old_size` leaves (RFC 9162, section 2.1.4.2). Between equal sizes, and from
/// the empty tree, the proof is empty.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::OutOfRange);
    }
    if old_size == 0 || old_size == new_size {
        if !proof.is_empty() {
            return Err(ProofError::Length);
        }
        let empty = |size, root: &Hash| size != 0 || *root == empty_root();
        let same = old_size != new_size || old_root == new_root;
        let sound = same && empty(old_size, old_root) && empty(new_size, new_root);
        return if sound { Ok(()) } else { Err(ProofError::Mismatch) };
    }
    // The proof's first hash is left out where it is the old root itself.
    let (first, rest) = if old_size.is_power_of_two() {
        if proof.is_empty() {
            return Err(ProofError::Length);
        }
        (*old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(ProofError::Length)?;
        (*first, rest)
    };
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    let odd = node.trailing_ones();
    node >>= odd;
    last >>= odd;
    let (mut old, mut new) = (first, first);
    for hash in rest {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
            skip_to_odd(&mut node, &mut last);
        } else {
            new = node_hash(&new, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if old == *old_root && new == *new_root { Ok(()) } else { Err(ProofError::Mismatch) }
}

/// Goes up past the levels where the node is the last of its level and has no
/// sibling: until it is a right child, or the leftmost node.
fn skip_to_odd(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
    }
}
