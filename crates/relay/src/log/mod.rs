//! The transparency log: leaf `seq - 1` stands for entry `seq`.
//!
//! The log follows the store. After a commit the writer's thread calls
//! [`Log::follow`], which reads the entries that the tree doesn't have yet,
//! appends their leaves and signs a checkpoint; only then anyone is told. So a
//! signed root covers durable entries only, and as entries never change, no
//! two roots of one size are ever signed. Everything else (tiles, bundles,
//! the kept checkpoint) can be made again from the entries: [`publish`] writes
//! it behind the writer, and a start takes up what is there.

mod check;
mod leaves;
mod publish;
mod serve;
mod tiles;
mod witnesses;

pub(crate) use check::check;
pub(crate) use serve::api;
pub(crate) use witnesses::serve as ask_witnesses;
pub use witnesses::{WitnessAddress, WitnessAddressError};

use crate::store::{Reads, StoreError, rows};
use grid_log::checkpoint::{CheckpointError, LogKey, SignedCheckpoint, UnverifiedCheckpoint};
use grid_log::note::KeyError;
use grid_log::tile::{TILE_WIDTH, TilePath};
use grid_log::{Hash, Tree, merkle};
use grid_protocol::{Ack, Digest, LeaseId, Signature, SigningKey, entry};
use leaves::Leaves;
use publish::{Completed, Publisher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use thiserror::Error;
use tiles::{Source, Tiles};

/// Entries that are read together: bounds the memory of catching up.
const CHUNK: usize = 16 * TILE_WIDTH as usize;

/// Why the log can't be opened or follow.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the log can't be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What came of it.
        source: io::Error,
    },
    /// The origin can't be a log's name.
    #[error("{origin:?} can't be the log's name: {source}")]
    Name {
        /// The origin.
        origin: String,
        /// Why.
        source: KeyError,
    },
    /// The kept checkpoint can't be read, or is of another key.
    #[error("{path} is not a checkpoint of this relay's log: {source}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CheckpointError,
    },
    /// Entries are missing that a signed checkpoint covers.
    #[error(
        "the log has signed {signed} leaves, but the database has {held} entries: is it an old copy?"
    )]
    Lost {
        /// Size of the kept checkpoint.
        signed: u64,
        /// Entries in the database.
        held: u64,
    },
    /// The entries are not those that a signed checkpoint covers.
    #[error("the database's first {size} entries are not those that the log has signed")]
    Forked {
        /// Size of the kept checkpoint.
        size: u64,
    },
    /// A file of the log is not what the entries make of it.
    #[error("{0} is not what the entries make of it")]
    Damaged(PathBuf),
    /// An entry has no leaf: what it refers to is missing, or it is too long.
    #[error("entry {0} can't be a leaf")]
    Leaf(u64),
    /// A proof can't be made.
    #[error("{0}")]
    Proof(String),
    /// A checkpoint can't be signed: the log is larger than any may be.
    #[error(transparent)]
    Sign(#[from] CheckpointError),
}

impl LogError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}

impl From<rusqlite::Error> for LogError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What anyone may see of the log: replaced as a whole.
#[derive(Debug)]
struct Head {
    tree: Tree,
    root: Hash,
    checkpoint: SignedCheckpoint,
}

impl Head {
    fn new(tree: Tree, key: &LogKey) -> Result<Arc<Self>, LogError> {
        let root = tree.root();
        let checkpoint = key.sign(tree.size(), root)?;
        Ok(Arc::new(Self { tree, root, checkpoint }))
    }
}

/// The log.
#[derive(Debug)]
pub(crate) struct Log {
    leaves: Leaves,
    /// Signs acknowledgements.
    relay: SigningKey,
    key: LogKey,
    tiles: Tiles,
    reads: Reads,
    head: RwLock<Arc<Head>>,
    /// The newest checkpoint that a witness cosigned.
    cosigned: RwLock<Option<SignedCheckpoint>>,
    /// Leaves of the bundle that is not full; held by who appends.
    tail: Mutex<Vec<Vec<u8>>>,
    publisher: Publisher,
}

impl Log {
    /// Opens the log in a folder of its own and brings it up to the store's
    /// last entry; `origin` is its name. Makes again what is missing or
    /// damaged. Blocks.
    pub(crate) fn open(
        folder: &Path,
        origin: &str,
        relay: SigningKey,
        secret: Digest,
        reads: Reads,
    ) -> Result<Self, LogError> {
        let name = |source| LogError::Name { origin: origin.into(), source };
        let key = LogKey::new(origin, relay.clone()).map_err(name)?;
        let leaves = Leaves::new(secret);
        let tiles = Tiles::open(folder)?;
        let (head, tail) = reads.clone().with(|db| {
            let size = rows::last_entry(db)?;
            let (tree, tail) = recover(db, &leaves, &tiles, &key, size)?;
            Ok::<_, LogError>((Head::new(tree, &key)?, tail))
        })?;
        let publisher =
            Publisher::start(tiles.clone(), leaves.clone(), reads.clone(), head.clone())?;
        let (head, tail) = (RwLock::new(head), Mutex::new(tail));
        let cosigned = RwLock::default();
        Ok(Self { leaves, relay, key, tiles, reads, head, cosigned, tail, publisher })
    }

    /// Entries that it covers.
    pub(crate) fn size(&self) -> u64 {
        self.head().tree.size()
    }

    /// Lets the log cover this entry, which is durable but may be another
    /// process's. Blocks.
    pub(crate) fn reach(&self, seq: u64) -> Result<(), LogError> {
        if self.size() < seq { self.follow() } else { Ok(()) }
    }

    fn head(&self) -> Arc<Head> {
        self.head.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn cosigned(&self) -> Option<SignedCheckpoint> {
        self.cosigned.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_cosigned(&self, checkpoint: SignedCheckpoint) {
        *self.cosigned.write().unwrap_or_else(PoisonError::into_inner) = Some(checkpoint);
    }

    /// The acknowledgement of a receipt that is this entry, which the log
    /// follows already: with the size and root that it has now.
    pub(crate) fn ack(&self, receipt: Digest, lease: LeaseId, seq: u64) -> (Ack, Signature) {
        let salt = entry::salt(self.leaves.secret(), &receipt);
        let head = self.head();
        let ack = Ack { receipt, lease, seq, salt, size: head.tree.size(), root: head.root };
        let signature = self.relay.sign(&ack.encode());
        (ack, signature)
    }

    /// Stands for a group of nodes in the roster: says whether two are of one,
    /// and nothing else. Never zeros, which are no group.
    pub(crate) fn tag(&self, kind: u8, group: &[u8]) -> [u8; 8] {
        let domain: &[u8] = b"grid-group-v1";
        let digest = Digest::of(&[domain, &self.leaves.secret().0, &[kind], group].concat());
        let mut tag = [0; 8];
        tag.copy_from_slice(&digest.0[..8]);
        tag[7] |= 1;
        tag
    }

    /// Appends the leaves of all entries that it doesn't have yet, and signs.
    /// On an error nothing changes. Blocks.
    pub(crate) fn follow(&self) -> Result<(), LogError> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        while self.follow_some(&mut tail)? {}
        Ok(())
    }

    /// At most [`CHUNK`] entries; true when there may be more.
    fn follow_some(&self, tail: &mut Vec<Vec<u8>>) -> Result<bool, LogError> {
        let before = self.head();
        let first = before.tree.size() + 1;
        let mut added = self.reads.with(|db| self.leaves.read(db, first, CHUNK))?;
        if added.is_empty() {
            return Ok(false);
        }
        let more = added.len() == CHUNK;
        let hashes: Vec<Hash> = added.iter().map(|leaf| merkle::leaf_hash(leaf)).collect();
        let mut tree = before.tree.clone();
        let completed = tree.append(&hashes);
        let head = Head::new(tree, &self.key)?;

        let mut files: Vec<_> = completed.iter().map(|tile| (tile.path(), tile.bytes())).collect();
        let width = usize::from(TILE_WIDTH);
        let bundles = (first - 1) / u64::from(TILE_WIDTH)..;
        let mut leaves = std::mem::take(tail);
        leaves.append(&mut added);
        let full = leaves.len() / width * width;
        for (index, entries) in bundles.zip(leaves[..full].chunks(width)) {
            files.push((TilePath::entries(index, TILE_WIDTH), tiles::bundle(entries)));
        }
        leaves.drain(..full);
        *tail = leaves;
        *self.head.write().unwrap_or_else(PoisonError::into_inner) = head.clone();
        self.publisher.send(Completed { before: first - 1, head, files });
        Ok(more)
    }

    /// Waits until all files are written and synced; nothing follows any more.
    pub(crate) fn close(&self) {
        self.publisher.stop();
    }
}

/// Size and root of the checkpoint that was kept last; of the empty log where
/// there is none.
fn kept(tiles: &Tiles, key: &LogKey) -> Result<(u64, Hash), LogError> {
    let Some(bytes) = tiles.kept()? else { return Ok((0, merkle::empty_root())) };
    let checkpoint = UnverifiedCheckpoint::parse(&bytes)
        .and_then(|checkpoint| checkpoint.verify(key.verifier()))
        .map_err(|source| LogError::Checkpoint { path: tiles.kept_path(), source })?;
    Ok((checkpoint.checkpoint().size(), *checkpoint.checkpoint().root()))
}

/// The tree of the first `size` entries, and the leaves of its last bundle if
/// that is not full. Full tiles are taken from files where those can be
/// trusted: up to the checkpoint that was kept when they were synced.
fn recover(
    db: &rusqlite::Connection,
    leaves: &Leaves,
    tiles: &Tiles,
    key: &LogKey,
    size: u64,
) -> Result<(Tree, Vec<Vec<u8>>), LogError> {
    let (signed, root) = kept(tiles, key)?;
    if signed > size {
        return Err(LogError::Lost { signed, held: size });
    }
    let source = Source { tiles, leaves, db, writes: true };
    let incomplete = (size % u64::from(TILE_WIDTH)) as usize;
    let mut tail = Vec::new();
    if incomplete > 0 {
        tail = leaves.read(db, size - incomplete as u64 + 1, incomplete)?;
    }
    let hashes: Vec<Hash> = tail.iter().map(|leaf| merkle::leaf_hash(leaf)).collect();
    for from in [signed, 0] {
        source.make_all(from, size)?;
        if let Ok(tree) = Tree::open(size, &hashes, &source)
            && tree.root_at(&source, signed).is_ok_and(|now| now == root)
        {
            return Ok((tree, tail));
        }
        tracing::error!(size, "tiles are damaged: all are made again from the entries");
    }
    Err(LogError::Forked { size: signed })
}
