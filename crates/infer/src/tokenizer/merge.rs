//! Byte pair merging: the best neighbouring pair first, the leftmost of equal
//! ones, until none is left. O(n log n) for any text.

use super::index::{Index, hash};
use super::parts::{NONE, Parts, TokenizerError};
use super::vocab::Vocab;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

/// A part of a text on its way to be a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbol {
    pub(super) id: u32,
    start: u32,
    /// In bytes; 0 once it was merged into its left neighbour.
    length: u32,
    previous: u32,
    next: u32,
}

impl Symbol {
    pub(super) fn new(id: u32, start: usize, length: usize) -> Self {
        let (start, length) = (start as u32, length as u32);
        Self { id, start, length, previous: NONE, next: NONE }
    }

    pub(super) fn alive(&self) -> bool {
        self.length > 0
    }

    pub(super) fn range(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.length as usize
    }
}

/// What two tokens become.
#[derive(Debug, Clone)]
pub(super) struct Merger {
    /// Left and right, best first.
    pairs: Arc<[[u32; 2]]>,
    /// What they become.
    merged: Vec<u32>,
    index: Index,
}

fn hash_pair([left, right]: [u32; 2]) -> u64 {
    hash(&(u64::from(left) << 32 | u64::from(right)).to_le_bytes())
}

impl Merger {
    pub(super) fn new(parts: &Parts, vocab: &Vocab) -> Result<Self, TokenizerError> {
        let pairs = parts.merges.clone();
        let mut index = Index::new(pairs.len());
        let mut merged = Vec::with_capacity(pairs.len());
        for (rank, pair) in pairs.iter().enumerate() {
            let [left, right] = pair.map(|id| parts.tokens.get(id as usize));
            let id = vocab.find(&[left, right].concat());
            merged.push(id.ok_or(TokenizerError::Merge(rank))?);
            index.insert(hash_pair(*pair), rank as u32)?;
        }
        Ok(Self { pairs, merged, index })
    }

    /// Merges by the list of pairs.
    pub(super) fn by_rank(&self, symbols: &mut [Symbol]) {
        merge(symbols, |left, right| {
            let pair = [left.id, right.id];
            let same = |rank: u32| self.pairs[rank as usize] == pair;
            let rank = self.index.find(hash_pair(pair), same)?;
            Some((rank, self.merged[rank as usize]))
        });
    }

    /// Merges where the text of both is a token, the highest score first.
    pub(super) fn by_score(
        &self,
        symbols: &mut [Symbol],
        text: &[u8],
        vocab: &Vocab,
        scores: &[f32],
    ) {
        merge(symbols, |left, right| {
            let id = vocab.find(&text[left.range().start..right.range().end])?;
            Some((rank_of(scores[id as usize]), id))
        });
    }
}

/// A number that is the smaller the higher the score is.
fn rank_of(score: f32) -> u32 {
    // Plus zero and minus zero are one score.
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 0 { !bits & 0x7fff_ffff } else { bits }
}

fn merge(symbols: &mut [Symbol], find: impl Fn(&Symbol, &Symbol) -> Option<(u32, u32)>) {
    let count = symbols.len();
    let mut heap = BinaryHeap::with_capacity(count);
    for at in 1..count {
        symbols[at].previous = at as u32 - 1;
        symbols[at - 1].next = at as u32;
    }
    // Rank and place decide; the length says whether both are still what they were.
    let candidate = |symbols: &[Symbol], at: u32| {
        let left = symbols.get(at as usize)?;
        let right = symbols.get(left.next as usize)?;
        let (rank, id) = find(left, right)?;
        Some(Reverse((rank, at, left.length + right.length, id)))
    };
    heap.extend((0..count as u32).filter_map(|at| candidate(symbols, at)));
    while let Some(Reverse((_, at, length, id))) = heap.pop() {
        let left = symbols[at as usize];
        let Some(right) = symbols.get(left.next as usize).copied() else { continue };
        if !left.alive() || left.length + right.length != length {
            continue;
        }
        symbols[left.next as usize].length = 0;
        symbols[at as usize] = Symbol { id, length, next: right.next, ..left };
        if let Some(after) = symbols.get_mut(right.next as usize) {
            after.previous = at;
        }
        heap.extend(candidate(symbols, left.previous));
        heap.extend(candidate(symbols, at));
    }
}
