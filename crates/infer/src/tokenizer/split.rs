//! How byte-level BPE cuts a text into words before it merges: what the
//! originals write as regular expressions, as code.

use super::Split;
use unicode_general_category::{GeneralCategory as Category, get_general_category};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Number,
    Space,
    Other,
}

fn class(char: char) -> Class {
    if char.is_ascii() {
        return match char {
            'a'..='z' | 'A'..='Z' => Class::Letter,
            '0'..='9' => Class::Number,
            ' ' | '\t'..='\r' => Class::Space,
            _ => Class::Other,
        };
    }
    match get_general_category(char) {
        Category::UppercaseLetter
        | Category::LowercaseLetter
        | Category::TitlecaseLetter
        | Category::ModifierLetter
        | Category::OtherLetter => Class::Letter,
        Category::DecimalNumber | Category::LetterNumber | Category::OtherNumber => Class::Number,
        _ if char.is_whitespace() => Class::Space,
        _ => Class::Other,
    }
}

/// Calls `each` with every piece of a text, in order.
pub(super) fn pieces(split: Split, text: &str, mut each: impl FnMut(&str)) {
    match split {
        Split::Gpt2 => cut(text, gpt2, &mut each),
        Split::Llama3 => cut(text, llama3, &mut each),
        Split::Smollm => {
            // Each digit by itself, then GPT-2's pattern on what lies between.
            let mut rest = text;
            while let Some(at) = rest.find(|char| class(char) == Class::Number) {
                cut(&rest[..at], gpt2, &mut each);
                let end = at + first(&rest[at..]).map_or(0, char::len_utf8);
                cut(&rest[at..end], gpt2, &mut each);
                rest = &rest[end..];
            }
            cut(rest, gpt2, &mut each);
        }
    }
}

fn cut(mut text: &str, length: fn(&str) -> usize, each: &mut impl FnMut(&str)) {
    while !text.is_empty() {
        let (piece, rest) = text.split_at(length(text));
        each(piece);
        text = rest;
    }
}

fn first(text: &str) -> Option<char> {
    text.chars().next()
}

fn is(text: &str, wanted: Class) -> bool {
    first(text).is_some_and(|char| class(char) == wanted)
}

/// Length in bytes of the characters of a class that a text begins with, at
/// most `most` of them.
fn run(text: &str, wanted: Class, most: usize) -> usize {
    let chars = text.chars().take(most).take_while(|char| class(*char) == wanted);
    chars.map(char::len_utf8).sum()
}

/// `'s|'t|'re|'ve|'m|'ll|'d`
fn contraction(text: &str, any_case: bool) -> Option<usize> {
    const ENDINGS: [&str; 7] = ["s", "t", "re", "ve", "m", "ll", "d"];
    let rest = text.strip_prefix('\'')?;
    // Without case U+017F is an s.
    if any_case && rest.starts_with('ſ') {
        return Some(1 + 'ſ'.len_utf8());
    }
    let begins = |ending: &&&str| {
        let same = |piece: &str| {
            if any_case { piece.eq_ignore_ascii_case(ending) } else { piece == **ending }
        };
        rest.get(..ending.len()).is_some_and(same)
    };
    ENDINGS.iter().find(begins).map(|ending| 1 + ending.len())
}

/// `\s+(?!\S)|\s+`: white space but for the last character before a word.
fn space(text: &str) -> usize {
    let length = run(text, Class::Space, usize::MAX);
    let last = text[..length].chars().next_back().map_or(0, char::len_utf8);
    if length == text.len() || length == last { length } else { length - last }
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
fn gpt2(text: &str) -> usize {
    if let Some(length) = contraction(text, false) {
        return length;
    }
    let space_before = usize::from(text.starts_with(' '));
    let rest = &text[space_before..];
    for wanted in [Class::Letter, Class::Number, Class::Other] {
        if is(rest, wanted) {
            return space_before + run(rest, wanted, usize::MAX);
        }
    }
    space(text)
}

/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
/// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
fn llama3(text: &str) -> usize {
    if let Some(length) = contraction(text, true) {
        return length;
    }
    let Some(char) = first(text) else { return 0 };
    let kind = class(char);
    if kind == Class::Number {
        return run(text, Class::Number, 3);
    }
    let before = if kind == Class::Letter || "\r\n".contains(char) { 0 } else { char.len_utf8() };
    let letters = run(&text[before..], Class::Letter, usize::MAX);
    if letters > 0 {
        return before + letters;
    }
    let space_before = usize::from(char == ' ');
    let others = run(&text[space_before..], Class::Other, usize::MAX);
    if others > 0 {
        let end = space_before + others;
        let lines = text[end..].bytes().take_while(|byte| b"\r\n".contains(byte)).count();
        return end + lines;
    }
    let blank = &text[..run(text, Class::Space, usize::MAX)];
    blank.rfind(['\r', '\n']).map_or_else(|| space(text), |at| at + 1)
}
