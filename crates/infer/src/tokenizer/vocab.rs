//! Tokens by text, by byte, and the specials in a text.

use super::index::{Index, hash};
use super::parts::{Kind, NONE, Parts, Texts, TokenizerError};
use super::{Algorithm, Specials};

#[derive(Debug, Clone)]
pub(super) struct Vocab {
    texts: Texts,
    /// Ordinary tokens by text.
    ordinary: Index,
    /// Control and user-defined tokens by text.
    specials: Index,
    kinds: Vec<Kind>,
    bytes: Box<[u32; 256]>,
    /// Of specials: whether a first byte occurs, and the lengths, longest first.
    first: Box<[bool; 256]>,
    lengths: Vec<usize>,
    /// Longest ordinary token in bytes.
    pub(super) longest: usize,
}

impl Vocab {
    pub(super) fn new(parts: &Parts) -> Result<Self, TokenizerError> {
        let texts = parts.tokens.clone();
        let count = |of: fn(Kind) -> bool| parts.kinds.iter().filter(|kind| of(**kind)).count();
        let mut ordinary = Index::new(count(|kind| kind == Kind::Normal));
        let mut specials = Index::new(count(is_special));
        let (mut bytes, mut first) = (Box::new([NONE; 256]), Box::new([false; 256]));
        let mut lengths = Vec::new();
        let mut longest = 0;
        for (id, kind) in parts.kinds.iter().enumerate() {
            let text = texts.get(id);
            let id = id as u32;
            match kind {
                Kind::Normal => {
                    ordinary.insert(hash(text), id)?;
                    longest = longest.max(text.len());
                    // Byte-level vocabularies have no tokens of kind byte.
                    if let ([byte], Algorithm::Bytes) = (text, parts.algorithm) {
                        bytes[usize::from(*byte)] = id;
                    }
                }
                Kind::Byte => bytes[usize::from(text[0])] = id,
                kind if is_special(*kind) && !text.is_empty() => {
                    specials.insert(hash(text), id)?;
                    first[usize::from(text[0])] = true;
                    lengths.push(text.len());
                }
                _ => {}
            }
        }
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        let kinds = parts.kinds.clone();
        Ok(Self { texts, ordinary, specials, kinds, bytes, first, lengths, longest })
    }

    /// The ordinary token with this text.
    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        if text.len() > self.longest {
            return None;
        }
        self.ordinary.find(hash(text), |id| self.texts.get(id as usize) == text)
    }

    /// The token of a byte.
    pub(super) fn byte(&self, byte: u8) -> Option<u32> {
        Some(self.bytes[usize::from(byte)]).filter(|id| *id != NONE)
    }

    /// The first special in a text, the longest where several begin: from, to, id.
    pub(super) fn next_special(
        &self,
        text: &str,
        specials: Specials,
    ) -> Option<(usize, usize, u32)> {
        let bytes = text.as_bytes();
        let begins = |at: &usize| self.first[usize::from(bytes[*at])];
        (0..bytes.len()).filter(begins).find_map(|at| {
            self.lengths.iter().find_map(|length| {
                let end = at + length;
                let piece = bytes.get(at..end)?;
                let wanted = |id: u32| {
                    let kind = self.kinds[id as usize];
                    (kind == Kind::User || specials == Specials::Parse)
                        && self.texts.get(id as usize) == piece
                };
                // A special is UTF-8, so it ends where a character ends.
                self.specials.find(hash(piece), wanted).map(|id| (at, end, id))
            })
        })
    }
}

/// Found in a text before anything else is.
fn is_special(kind: Kind) -> bool {
    matches!(kind, Kind::Control | Kind::User | Kind::Unknown)
}
