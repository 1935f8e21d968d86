//! Leaves, made of entries.

use super::LogError;
use crate::store::{Entry, rows};
use grid_log::tile::MAX_ENTRY;
use grid_protocol::Digest;
use grid_protocol::entry::Leaf;
use rusqlite::Connection;
use std::collections::HashMap;

/// Makes leaves. Holds the secret that hides receipts until they are settled.
#[derive(Debug, Clone)]
pub(crate) struct Leaves(Digest);

impl Leaves {
    pub(crate) fn new(secret: Digest) -> Self {
        Self(secret)
    }

    pub(super) fn secret(&self) -> &Digest {
        &self.0
    }

    /// The leaves of the entries from `first` on, at most `most`.
    pub(crate) fn read(
        &self,
        db: &Connection,
        first: u64,
        most: usize,
    ) -> Result<Vec<Vec<u8>>, LogError> {
        let mut entries = Vec::new();
        rows::entries(db, first, |_, entry| {
            entries.push(entry);
            Ok(entries.len() < most)
        })?;
        // A settlement opens receipts that mostly came just before it.
        let near = |seq: u64| -> Option<&Entry> {
            entries.get(usize::try_from(seq.checked_sub(first)?).ok()?)
        };
        let mut far = HashMap::new();
        for seq in entries.iter().flat_map(opened).copied().filter(|seq| *seq < first) {
            if let Some(entry) = rows::entry(db, seq)? {
                far.insert(seq, entry);
            }
        }
        let leaves = entries.iter().zip(first..).map(|(entry, seq)| {
            let receipts = |seq: u64| near(seq).or_else(|| far.get(&seq)).cloned();
            let leaf = Leaf::of(entry, &self.0, receipts).ok_or(LogError::Leaf(seq))?.encode();
            if leaf.len() > MAX_ENTRY { Err(LogError::Leaf(seq)) } else { Ok(leaf) }
        });
        leaves.collect()
    }
}

/// Entries of the receipts that an entry opens.
fn opened(entry: &Entry) -> &[u64] {
    match entry {
        Entry::Settled { votes, .. } => votes,
        _ => &[],
    }
}
