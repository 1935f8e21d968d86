//! What a tokenizer is made of, and its bytes in the model file:
//! docs/model-file.md, "The tokenizer".

use super::Template;
use std::sync::Arc;
use thiserror::Error;

/// "No such token" in the bytes, and "not a token" while merging.
pub const NONE: u32 = u32::MAX;
/// What SentencePiece writes for a space.
pub(crate) const SPACE: char = '\u{2581}';
/// Version of the section.
const VERSION: u8 = 1;
/// Most tokens, and most merges.
const MAX_TOKENS: usize = 1 << 20;
/// Most tokens that end a generation.
const MAX_STOPS: usize = 16;

/// How text becomes tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Algorithm {
    /// Byte-level BPE with a list of merges.
    Bytes = 0,
    /// SentencePiece's BPE: pieces with scores, bytes for what has no piece.
    Pieces = 1,
    /// WordPiece.
    Words = 2,
}

/// How byte-level BPE cuts a text into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Split {
    /// GPT-2's pattern.
    Gpt2 = 0,
    /// Digits one by one, then GPT-2's pattern.
    Smollm = 1,
    /// Llama 3's pattern; words that are tokens are not merged.
    Llama3 = 2,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Made from text.
    Normal = 0,
    /// Stands for what has no token.
    Unknown = 1,
    /// Steers the model; never made from a user's text.
    Control = 2,
    /// Found in text before anything else.
    User = 3,
    /// Never made.
    Unused = 4,
    /// One byte, for text without pieces.
    Byte = 5,
}

/// Why a tokenizer was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The section ends early, or goes on after its end.
    #[error("the tokenizer is not as long as it says")]
    Truncated,
    /// Another version of the section.
    #[error("the tokenizer has version {0}, which this program doesn't know")]
    Version(u8),
    /// A field's value means nothing.
    #[error("the tokenizer's {0} is out of range")]
    Range(&'static str),
    /// A merge gives what is no token.
    #[error("merge {0} of the tokenizer gives no token")]
    Merge(usize),
    /// A vocabulary made to be slow.
    #[error("too many of the tokenizer's entries collide")]
    Collisions,
}

/// Many short texts in one piece of memory; clones share it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    bytes: Arc<[u8]>,
    ends: Arc<[u32]>,
}

impl Texts {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A text by number; empty where there is none.
    pub fn get(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = start.map_or(0, |start| *start as usize);
        self.ends.get(number).map_or(&[], |end| &self.bytes[start..*end as usize])
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for text in texts {
            bytes.extend_from_slice(text.as_ref());
            ends.push(bytes.len() as u32);
        }
        Self { bytes: bytes.into(), ends: ends.into() }
    }
}

/// What a tokenizer is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// How text becomes tokens.
    pub algorithm: Algorithm,
    /// How text is cut first; for [`Algorithm::Bytes`].
    pub split: Split,
    /// How a conversation becomes a prompt.
    pub template: Template,
    /// Whole texts begin with [`Parts::begin`].
    pub add_begin: bool,
    /// Whole texts end with [`Parts::end`].
    pub add_end: bool,
    /// A text gets a space in front; for [`Algorithm::Pieces`].
    pub space_prefix: bool,
    /// Lower case without accents; for [`Algorithm::Words`].
    pub uncased: bool,
    /// Begin of a text.
    pub begin: Option<u32>,
    /// End of a text.
    pub end: Option<u32>,
    /// For what has no token.
    pub unknown: Option<u32>,
    /// Tokens that end a generation.
    pub stops: Vec<u32>,
    /// What each token is.
    pub kinds: Vec<Kind>,
    /// Each token's bytes: of normal ones what they stand for.
    pub tokens: Texts,
    /// Pairs of tokens that become one, best first; for [`Algorithm::Bytes`].
    pub merges: Arc<[[u32; 2]]>,
    /// A score for each token; for [`Algorithm::Pieces`].
    pub scores: Vec<f32>,
}

impl Parts {
    /// What a token is; one that isn't there is unused.
    pub fn kind(&self, token: u32) -> Kind {
        self.kinds.get(token as usize).copied().unwrap_or(Kind::Unused)
    }

    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// The first thing that doesn't.
    pub fn check(&self) -> Result<(), TokenizerError> {
        let range = |fine: bool, what| if fine { Ok(()) } else { Err(TokenizerError::Range(what)) };
        let count = self.tokens.len();
        range((1..=MAX_TOKENS).contains(&count) && self.kinds.len() == count, "tokens")?;
        let there = |id: &u32| (*id as usize) < count;
        let named = [self.begin, self.end, self.unknown];
        range(named.iter().flatten().chain(&self.stops).all(there), "special tokens")?;
        range(self.stops.len() <= MAX_STOPS, "stops")?;
        range(self.merges.len() <= MAX_TOKENS, "merges")?;
        range(self.merges.iter().flatten().all(there), "merges")?;
        let scores = if self.algorithm == Algorithm::Pieces { count } else { 0 };
        range(self.scores.len() == scores, "scores")?;
        range(self.scores.iter().all(|score| score.is_finite()), "scores")?;
        for (id, kind) in self.kinds.iter().enumerate() {
            let text = self.tokens.get(id);
            let fine = match kind {
                Kind::Normal => !text.is_empty(),
                Kind::Byte => text.len() == 1,
                Kind::Unknown | Kind::Control | Kind::User => {
                    !text.is_empty() && std::str::from_utf8(text).is_ok()
                }
                Kind::Unused => true,
            };
            range(fine && text.len() <= usize::from(u16::MAX), "tokens")?;
        }
        Ok(())
    }

    /// Its bytes in the model file.
    pub fn encode(&self) -> Vec<u8> {
        let flags = [self.add_begin, self.add_end, self.space_prefix, self.uncased];
        let flags = flags.iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(*flag));
        let mut out = vec![
            VERSION,
            self.algorithm as u8,
            self.split as u8,
            self.template as u8,
            flags,
            self.stops.len() as u8,
        ];
        let named = [self.begin, self.end, self.unknown].map(|id| id.unwrap_or(NONE));
        let counts = [self.tokens.len() as u32, self.merges.len() as u32];
        for number in named.iter().chain(&self.stops).chain(&counts) {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend(self.kinds.iter().map(|kind| *kind as u8));
        for id in 0..self.tokens.len() {
            out.extend_from_slice(&(self.tokens.get(id).len() as u16).to_le_bytes());
        }
        out.extend_from_slice(&self.tokens.bytes);
        out.extend(self.merges.iter().flatten().flat_map(|id| id.to_le_bytes()));
        out.extend(self.scores.iter().flat_map(|score| score.to_le_bytes()));
        out
    }

    /// Reads what [`Parts::encode`] wrote, and checks it.
    ///
    /// # Errors
    /// The bytes are no tokenizer's.
    pub fn decode(bytes: &[u8]) -> Result<Self, TokenizerError> {
        let mut reader = Reader(bytes);
        let [version, algorithm, split, template, flags, stops] = reader.array()?;
        if version != VERSION {
            return Err(TokenizerError::Version(version));
        }
        let algorithm = match algorithm {
            0 => Algorithm::Bytes,
            1 => Algorithm::Pieces,
            2 => Algorithm::Words,
            _ => return Err(TokenizerError::Range("algorithm")),
        };
        let split = match split {
            0 => Split::Gpt2,
            1 => Split::Smollm,
            2 => Split::Llama3,
            _ => return Err(TokenizerError::Range("split")),
        };
        let template = Template::from_code(template).ok_or(TokenizerError::Range("template"))?;
        if flags >= 16 {
            return Err(TokenizerError::Range("flags"));
        }
        let flag = |bit: u8| flags >> bit & 1 == 1;
        let mut named = || reader.u32().map(|id| Some(id).filter(|id| *id != NONE));
        let (begin, end, unknown) = (named()?, named()?, named()?);
        let stops = (0..stops).map(|_| reader.u32()).collect::<Result<_, _>>()?;
        let (count, merges) = (reader.u32()? as usize, reader.u32()? as usize);
        if count > MAX_TOKENS || merges > MAX_TOKENS {
            return Err(TokenizerError::Range("size"));
        }
        let kinds =
            reader.take(count)?.iter().map(|kind| kind_of(*kind)).collect::<Result<_, _>>()?;
        let mut total = 0_usize;
        let lengths = reader.take(2 * count)?.chunks_exact(2);
        let ends: Vec<u32> = lengths
            .map(|length| {
                total += usize::from(length[0]) | usize::from(length[1]) << 8;
                total as u32
            })
            .collect();
        let tokens = Texts { bytes: reader.take(total)?.into(), ends: ends.into() };
        let merges = reader.take(8 * merges)?.as_chunks::<4>().0.as_chunks::<2>().0;
        let merges = merges.iter().map(|pair| pair.map(u32::from_le_bytes)).collect();
        let scores = if algorithm == Algorithm::Pieces { 4 * count } else { 0 };
        let scores = reader.take(scores)?.as_chunks().0.iter();
        let scores = scores.map(|score| f32::from_le_bytes(*score)).collect();
        if !reader.0.is_empty() {
            return Err(TokenizerError::Truncated);
        }
        let parts = Self {
            algorithm,
            split,
            template,
            add_begin: flag(0),
            add_end: flag(1),
            space_prefix: flag(2),
            uncased: flag(3),
            begin,
            end,
            unknown,
            stops,
            kinds,
            tokens,
            merges,
            scores,
        };
        parts.check()?;
        Ok(parts)
    }
}

fn kind_of(code: u8) -> Result<Kind, TokenizerError> {
    Ok(match code {
        0 => Kind::Normal,
        1 => Kind::Unknown,
        2 => Kind::Control,
        3 => Kind::User,
        4 => Kind::Unused,
        5 => Kind::Byte,
        _ => return Err(TokenizerError::Range("kinds")),
    })
}

/// Bytes that are taken from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], TokenizerError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(TokenizerError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TokenizerError> {
        self.take(N).map(|bytes| std::array::from_fn(|at| bytes[at]))
    }

    fn u32(&mut self) -> Result<u32, TokenizerError> {
        self.array().map(u32::from_le_bytes)
    }
}
