//! Tiny tokenizers, one of each algorithm.

use crate::tokenizer::{Algorithm, Kind, Parts, Split, Template};

/// Bytes, some merges, one control token, one user-defined.
pub fn bytes() -> Parts {
    let merges = ["t h", "th e", "i n", "  t", "  the"];
    let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    let mut pairs = Vec::new();
    for merge in merges {
        // The last space parts left and right.
        let (left, right) = merge.rsplit_once(' ').expect("a space parts the two");
        let id = |text: &str| tokens.iter().position(|token| token == text.as_bytes());
        pairs.push([
            id(left).expect("it was added") as u32,
            id(right).expect("it was added") as u32,
        ]);
        tokens.push([left, right].concat().into_bytes());
    }
    let mut kinds = vec![Kind::Normal; tokens.len()];
    for (text, kind) in [("<|end|>", Kind::Control), ("<b>", Kind::User)] {
        tokens.push(text.into());
        kinds.push(kind);
    }
    Parts {
        algorithm: Algorithm::Bytes,
        split: Split::Gpt2,
        template: Template::None,
        add_begin: false,
        add_end: false,
        space_prefix: false,
        uncased: false,
        begin: None,
        end: Some(261),
        unknown: None,
        stops: vec![261],
        kinds,
        tokens: tokens.iter().collect(),
        merges: pairs.into(),
        scores: Vec::new(),
    }
}

/// SentencePiece: a few pieces with scores, bytes for the rest.
pub fn pieces() -> Parts {
    let scored = [(" ", -5.0), ("a", -6.0), ("b", -7.0), ("ab", -1.0), (" a", -2.0), (" ab", -3.0)];
    let mut tokens: Vec<Vec<u8>> = vec![b"<unk>".to_vec(), b"<s>".to_vec(), b"\n\n".to_vec()];
    let mut kinds = vec![Kind::Unknown, Kind::Control, Kind::User];
    let mut scores = vec![-1000.0; 3];
    for (text, score) in scored {
        tokens.push(text.into());
        kinds.push(Kind::Normal);
        scores.push(score);
    }
    for byte in 0..=255 {
        tokens.push(vec![byte]);
        kinds.push(Kind::Byte);
        scores.push(0.0);
    }
    Parts {
        algorithm: Algorithm::Pieces,
        add_begin: true,
        space_prefix: true,
        begin: Some(1),
        end: None,
        unknown: Some(0),
        stops: vec![],
        kinds,
        tokens: tokens.iter().collect(),
        merges: Vec::new().into(),
        scores,
        ..bytes()
    }
}

/// WordPiece of nine tokens.
pub fn words() -> Parts {
    let tokens = ["[UNK]", "[CLS]", "[SEP]", "ab", "##c", "a", "!", "\u{4e00}", "e"];
    let mut kinds = vec![Kind::Normal; tokens.len()];
    kinds[..3].fill(Kind::Control);
    Parts {
        algorithm: Algorithm::Words,
        uncased: true,
        add_begin: true,
        add_end: true,
        begin: Some(1),
        end: Some(2),
        unknown: Some(0),
        stops: vec![],
        kinds,
        tokens: tokens.iter().collect(),
        merges: Vec::new().into(),
        ..bytes()
    }
}
