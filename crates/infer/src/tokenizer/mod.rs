//! Text to tokens and back: byte-level BPE (GPT-2's family), SentencePiece's
//! BPE with byte fallback (Gemma), WordPiece (BERT). Each gives what its
//! original gives; no regular expressions, so that it stays small in wasm.
//!
//! A text from a user never becomes a control token unless that is asked for
//! ([`Specials::Parse`]).

mod chat;
mod decode;
mod index;
mod merge;
mod parts;
mod split;
mod vocab;
mod wordpiece;

pub use chat::{ChatError, Message, Template};
pub use decode::Stream;
pub use parts::{Algorithm, Kind, NONE, Parts, Split, TokenizerError};

use merge::{Merger, Symbol};
use vocab::Vocab;

/// What control tokens in a text are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Specials {
    /// Text like any other: what users wrote.
    Text,
    /// The tokens: templates, and prompts whose owner asked for it.
    Parse,
}

/// A tokenizer, ready for use.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    parts: Parts,
    vocab: Vocab,
    merger: Merger,
}

impl Tokenizer {
    /// Reads a model file's tokenizer section.
    ///
    /// # Errors
    /// The bytes are no tokenizer's.
    pub fn decode_section(bytes: &[u8]) -> Result<Self, TokenizerError> {
        Self::new(Parts::decode(bytes)?)
    }

    /// From its parts.
    ///
    /// # Errors
    /// The parts don't fit together.
    pub fn new(parts: Parts) -> Result<Self, TokenizerError> {
        parts.check()?;
        let vocab = Vocab::new(&parts)?;
        let merger = Merger::new(&parts, &vocab)?;
        Ok(Self { parts, vocab, merger })
    }

    /// What it is made of.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Number of tokens.
    pub fn size(&self) -> usize {
        self.parts.tokens.len()
    }

    /// Whether generation ends with this token.
    pub fn stops(&self, token: u32) -> bool {
        self.parts.stops.contains(&token)
    }

    /// The tokens of a text, without begin and end.
    pub fn encode(&self, text: &str, specials: Specials) -> Vec<u32> {
        let mut out = Vec::with_capacity(text.len() / 3 + 2);
        let mut at_start = true;
        let mut rest = text;
        while !rest.is_empty() {
            let found = self.vocab.next_special(rest, specials);
            let (before, special) = match found {
                Some((start, end, id)) => (&rest[..start], Some((end, id))),
                None => (rest, None),
            };
            if !before.is_empty() {
                self.encode_plain(before, at_start, &mut out);
            }
            let Some((end, id)) = special else { break };
            out.push(id);
            at_start = self.parts.kind(id) == Kind::Control;
            rest = &rest[end..];
        }
        out
    }

    /// The tokens of a whole text as the model wants it: with begin and end
    /// where it has them, cut to `most` tokens in all, the end kept.
    pub fn encode_whole(&self, text: &str, specials: Specials, most: usize) -> Vec<u32> {
        let begin = self.parts.begin.filter(|_| self.parts.add_begin);
        let end = self.parts.end.filter(|_| self.parts.add_end);
        let mut out: Vec<u32> = begin.into_iter().collect();
        out.extend(self.encode(text, specials));
        out.truncate(most.saturating_sub(usize::from(end.is_some())));
        out.extend(end);
        out.truncate(most);
        out
    }

    /// Text without specials.
    fn encode_plain(&self, text: &str, at_start: bool, out: &mut Vec<u32>) {
        match self.parts.algorithm {
            Algorithm::Bytes => {
                let mut symbols = Vec::new();
                split::pieces(self.parts.split, text, |piece| {
                    self.encode_bytes(piece.as_bytes(), &mut symbols, out);
                });
            }
            Algorithm::Pieces => {
                let prefix = if at_start && self.parts.space_prefix { " " } else { "" };
                // Vocabularies say space; SentencePiece says U+2581 and takes both.
                let text = format!("{prefix}{}", text.replace(parts::SPACE, " "));
                self.encode_pieces(&text, out);
            }
            Algorithm::Words => wordpiece::encode(self, text, out),
        }
    }

    fn encode_bytes(&self, piece: &[u8], symbols: &mut Vec<Symbol>, out: &mut Vec<u32>) {
        // Llama 3 takes a word that is a token whole, the others only what merges make.
        if let Some(id) = self.vocab.find(piece)
            && (self.parts.split == Split::Llama3 || piece.len() == 1)
        {
            out.push(id);
            return;
        }
        symbols.clear();
        // A byte that the vocabulary doesn't have is passed over, as the original does.
        for byte in piece {
            if let Some(id) = self.vocab.byte(*byte) {
                symbols.push(Symbol::new(id, symbols.len(), 1));
            }
        }
        self.merger.by_rank(symbols);
        out.extend(symbols.iter().filter(|symbol| symbol.alive()).map(|symbol| symbol.id));
    }

    fn encode_pieces(&self, text: &str, out: &mut Vec<u32>) {
        let mut symbols: Vec<Symbol> = text
            .char_indices()
            .map(|(at, char)| {
                let length = char.len_utf8();
                let id = self.vocab.find(&text.as_bytes()[at..at + length]);
                Symbol::new(id.unwrap_or(NONE), at, length)
            })
            .collect();
        self.merger.by_score(&mut symbols, text.as_bytes(), &self.vocab, &self.parts.scores);
        for symbol in symbols.iter().filter(|symbol| symbol.alive()) {
            if symbol.id != NONE {
                out.push(symbol.id);
                continue;
            }
            for byte in &text.as_bytes()[symbol.range()] {
                out.extend(self.vocab.byte(*byte).or(self.parts.unknown));
            }
        }
    }
}

#[cfg(test)]
mod tests;
