//! Tokens to text, at once or as they come.

use super::{Algorithm, Kind, Tokenizer};

impl Tokenizer {
    /// The bytes that a token stands for; none for control tokens and for ids
    /// that are no token. May be a part of a character.
    pub fn bytes(&self, token: u32) -> &[u8] {
        match self.parts.kind(token) {
            Kind::Normal | Kind::Byte | Kind::User => self.parts.tokens.get(token as usize),
            Kind::Unknown | Kind::Control | Kind::Unused => &[],
        }
    }

    /// The text of tokens, without control tokens. What is no UTF-8 becomes
    /// U+FFFD. Of WordPiece, which forgets case and spaces, a readable form.
    pub fn decode(&self, tokens: &[u32]) -> String {
        if self.parts.algorithm == Algorithm::Words {
            let pieces = tokens.iter().map(|token| self.bytes(*token));
            let text =
                pieces.filter(|piece| !piece.is_empty()).fold(String::new(), |text, piece| {
                    let piece = String::from_utf8_lossy(piece);
                    let space = if text.is_empty() { "" } else { " " };
                    match piece.strip_prefix("##") {
                        Some(more) => text + more,
                        None => text + space + &piece,
                    }
                });
            return text;
        }
        let mut stream = Stream::default();
        let mut text: String = tokens.iter().map(|token| stream.push(self.bytes(*token))).collect();
        text += &stream.finish();
        match text.strip_prefix(' ') {
            Some(rest) if self.parts.space_prefix => rest.to_owned(),
            _ => text,
        }
    }
}

/// Text from bytes that come in parts, which may end within a character.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// The beginning of a character: at most three bytes.
    pending: Vec<u8>,
}

impl Stream {
    /// The text that is certain now.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::with_capacity(self.pending.len());
        let mut chunks = self.pending.utf8_chunks().peekable();
        let mut rest = 0;
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && is_beginning(invalid) {
                rest = invalid.len();
            } else if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.pending.drain(..self.pending.len() - rest);
        text
    }

    /// What is left when nothing more comes.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        text
    }
}

/// Whether more bytes could make a character of these.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}
