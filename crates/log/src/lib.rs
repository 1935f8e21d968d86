//! The arithmetic of Grid's transparency log: Merkle tree (RFC 6962), tiles
//! (C2SP tlog-tiles), checkpoints (C2SP tlog-checkpoint and signed-note),
//! witnesses (C2SP tlog-cosignature and tlog-witness), and the verifiable draw
//! (ECVRF, RFC 9381; feature `vrf`).
//!
//! Pure: no clock, randomness, files or network. Whoever keeps a log stores
//! the tiles that [`Tree::append`] completes and reads them back through
//! [`TileReader`]; whoever checks one reads the same tiles from files that the
//! log serves. Everything decoded may come from an adversary: lengths are
//! checked before anything is allocated, and nothing panics.

pub mod checkpoint;
pub mod merkle;
pub mod note;
mod prove;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tile;
mod tree;
#[cfg(feature = "vrf")]
pub mod vrf;
pub mod witness;

pub use grid_protocol::Digest as Hash;
pub use tree::{FullTile, TileReader, Tree, TreeError};

/// The most leaves that a log may have: 2^53, so that sizes and indices are
/// exact in JSON and JavaScript too.
pub const MAX_SIZE: u64 = 1 << 53;
