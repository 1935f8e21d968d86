//! BERT's normaliser, its words, and the pieces of a word.

use super::Tokenizer;
use unicode_general_category::{GeneralCategory as Category, get_general_category};
use unicode_normalization::char::{canonical_combining_class, decompose_canonical};

/// A longer word, in characters, is unknown.
const MAX_WORD: usize = 100;
/// How tokens begin that go on with a word.
const GOES_ON: &str = "##";

/// Appends the tokens of a text.
pub(super) fn encode(tokenizer: &Tokenizer, text: &str, out: &mut Vec<u32>) {
    let mut word = String::new();
    let mut piece = String::new();
    for char in normalise(text, tokenizer.parts.uncased) {
        let alone = is_punctuation(char);
        if alone || char.is_whitespace() {
            pieces(tokenizer, &word, &mut piece, out);
            word.clear();
        }
        if alone {
            word.push(char);
            pieces(tokenizer, &word, &mut piece, out);
            word.clear();
        } else if !char.is_whitespace() {
            word.push(char);
        }
    }
    pieces(tokenizer, &word, &mut piece, out);
}

/// The longest token first; a word that isn't made of tokens is unknown.
fn pieces(tokenizer: &Tokenizer, word: &str, piece: &mut String, out: &mut Vec<u32>) {
    let before = out.len();
    let mut rest = word;
    let known = word.chars().take(MAX_WORD + 1).count() <= MAX_WORD;
    while known && !rest.is_empty() {
        piece.clear();
        if rest.len() < word.len() {
            piece.push_str(GOES_ON);
        }
        let prefix = piece.len();
        piece.push_str(rest);
        let found = loop {
            match tokenizer.vocab.find(piece.as_bytes()) {
                Some(id) => break Some(id),
                None if piece.len() > prefix => drop(piece.pop()),
                None => break None,
            }
        };
        let Some(id) = found.filter(|_| piece.len() > prefix) else { break };
        out.push(id);
        rest = &rest[piece.len() - prefix..];
    }
    if !rest.is_empty() {
        out.truncate(before);
        out.extend(tokenizer.parts.unknown);
    }
}

/// Control characters away, white space to spaces, spaces around Chinese
/// characters; without case: accents away, lower case.
fn normalise(text: &str, uncased: bool) -> Vec<char> {
    let mut out = Vec::with_capacity(text.len());
    for char in text.chars().filter(|char| !is_removed(*char)) {
        let char = if char.is_whitespace() { ' ' } else { char };
        if is_chinese(char) {
            out.extend([' ', char, ' ']);
        } else {
            out.push(char);
        }
    }
    if !uncased {
        return out;
    }
    let mut decomposed = Vec::with_capacity(out.len());
    for char in out {
        decompose_canonical(char, |part| decomposed.push(part));
    }
    // Canonical order: marks that follow each other are sorted by class.
    for run in decomposed.chunk_by_mut(|_, next| canonical_combining_class(*next) != 0) {
        let from = usize::from(run.first().is_some_and(|c| canonical_combining_class(*c) == 0));
        run[from..].sort_by_key(|char| canonical_combining_class(*char));
    }
    decomposed.retain(|char| get_general_category(*char) != Category::NonspacingMark);
    decomposed.into_iter().flat_map(char::to_lowercase).collect()
}

fn is_removed(char: char) -> bool {
    let blank = char == '\t' || char == '\n' || char == '\r';
    let control = || {
        let category = get_general_category(char);
        matches!(category, Category::Control | Category::Format | Category::PrivateUse)
    };
    char == '\0' || char == char::REPLACEMENT_CHARACTER || (!blank && control())
}

fn is_punctuation(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_punctuation();
    }
    matches!(
        get_general_category(char),
        Category::ConnectorPunctuation
            | Category::DashPunctuation
            | Category::OpenPunctuation
            | Category::ClosePunctuation
            | Category::InitialPunctuation
            | Category::FinalPunctuation
            | Category::OtherPunctuation
    )
}

/// The CJK ideographs, not kana or Hangul: BERT's own list.
fn is_chinese(char: char) -> bool {
    matches!(char,
        '\u{4E00}'..='\u{9FFF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{20000}'..='\u{2A6DF}'
        | '\u{2A700}'..='\u{2B73F}'
        | '\u{2B740}'..='\u{2B81F}'
        | '\u{2B920}'..='\u{2CEAF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{2F800}'..='\u{2FA1F}')
}
