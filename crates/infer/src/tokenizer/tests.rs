//! What needs no real vocabulary. The originals are compared with in
//! tests/tokenizers.rs.

use super::*;
use crate::testing::tokenizers::{bytes, pieces, words};
use proptest::prelude::*;

fn all() -> [Parts; 3] {
    [bytes(), pieces(), words()]
}

#[test]
fn users_can_not_write_control_tokens() {
    let tokenizer = Tokenizer::new(bytes()).unwrap();
    assert_eq!(tokenizer.encode("<|end|>", Specials::Parse), [261]);
    assert_eq!(tokenizer.encode("<|end|>", Specials::Text), b"<|end|>".map(u32::from));
    assert_eq!(
        tokenizer.encode("a<b>", Specials::Text),
        [97, 262],
        "user-defined are always found"
    );
    assert_eq!(tokenizer.decode(&[97, 261, 98]), "ab", "control tokens have no text");
    // Not by merging either: SentencePiece would find the whole text as a token.
    let tokenizer = Tokenizer::new(pieces()).unwrap();
    assert!(!tokenizer.encode("<s>", Specials::Text).contains(&1));
    assert_eq!(tokenizer.encode("<s>", Specials::Parse), [1]);
    let tokenizer = Tokenizer::new(words()).unwrap();
    assert!(!tokenizer.encode("[CLS]", Specials::Text).contains(&1));
}

#[test]
fn merges_go_by_rank_and_pieces_by_score() {
    let tokenizer = Tokenizer::new(bytes()).unwrap();
    assert_eq!(tokenizer.encode("the thin", Specials::Text), [257, 32, 256, 258]);
    // " ab" is "a" + "b" first, as that scores highest, then the space.
    let tokenizer = Tokenizer::new(pieces()).unwrap();
    assert_eq!(tokenizer.encode("ab", Specials::Text), [8]);
    assert_eq!(tokenizer.encode("aab", Specials::Text), [7, 6]);
    assert_eq!(tokenizer.encode("\u{2581}ab", Specials::Text), [3, 8], "a space by another name");
    assert_eq!(tokenizer.encode("é", Specials::Text), [3, 9 + 0xc3, 9 + 0xa9], "as bytes");
    assert_eq!(tokenizer.encode_whole("ab", Specials::Text, 9), [1, 8]);
    assert_eq!(tokenizer.decode(&[1, 8, 2, 9 + 0xc3, 9 + 0xa9]), "ab\n\né");
}

#[test]
fn words_are_normalised() {
    let tokenizer = Tokenizer::new(words()).unwrap();
    let encode = |text: &str| tokenizer.encode(text, Specials::Text);
    assert_eq!(encode("ABC abc!"), [3, 4, 3, 4, 6]);
    assert_eq!(encode("\u{4e00}a\u{4e00}"), [7, 5, 7]);
    assert_eq!(encode("É e\u{301}\u{0} \u{200b}"), [8, 8]);
    assert_eq!(encode("abd"), [0]);
    assert_eq!(encode(&"a".repeat(101)), [0]);
    assert_eq!(tokenizer.decode(&[1, 3, 4, 6, 2]), "abc !");
}

#[test]
fn text_streams_by_character() {
    let mut stream = Stream::default();
    assert_eq!(stream.push("a\u{20ac}".as_bytes().split_at(2).0), "a");
    assert_eq!(stream.push(&"\u{20ac}".as_bytes()[1..2]), "");
    assert_eq!(stream.push(&"\u{20ac}".as_bytes()[2..]), "\u{20ac}");
    assert_eq!(stream.push(b"\xff\xe2\x82"), "\u{fffd}");
    assert_eq!(stream.push(b"b"), "\u{fffd}b");
    assert_eq!(stream.push(b"\xf0\x9f"), "");
    assert_eq!((stream.finish(), stream.finish()), ("\u{fffd}".into(), String::new()));
}

#[test]
fn sections_come_back_and_broken_ones_are_refused() {
    for parts in all() {
        let bytes = parts.encode();
        assert_eq!(Parts::decode(&bytes).unwrap(), parts);
        for end in 0..bytes.len() {
            assert!(Parts::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert_eq!(Parts::decode(&[&bytes[..], &[0]].concat()), Err(TokenizerError::Truncated));
    }
    let refused = |change: fn(&mut Parts), error: TokenizerError| {
        let mut parts = bytes();
        change(&mut parts);
        assert_eq!(Tokenizer::new(parts).unwrap_err(), error);
    };
    refused(|parts| parts.end = Some(263), TokenizerError::Range("special tokens"));
    refused(|parts| parts.merges = [[1, 2]].into(), TokenizerError::Merge(0));
    refused(|parts| parts.merges = [[1, 300]].into(), TokenizerError::Range("merges"));
    refused(|parts| parts.kinds[200] = Kind::Unknown, TokenizerError::Range("tokens"));
    refused(|parts| parts.scores = vec![1.0], TokenizerError::Range("scores"));
    refused(|parts| parts.tokens = vec![b"x"; 263].iter().collect(), TokenizerError::Collisions);
}

#[test]
fn templates_are_recognised() {
    let cases = [
        ("{{'<|im_start|>' + role}}", Template::ChatMl),
        (
            "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>",
            Template::SmolLm2,
        ),
        ("{{ '<start_of_turn>' + role }}", Template::Gemma),
        ("[INST] x [/INST]", Template::None),
    ];
    for (jinja, template) in cases {
        assert_eq!(Template::recognise(jinja), template);
    }
    let tokenizer = Tokenizer::new(bytes()).unwrap();
    let say = |role| tokenizer.chat(&[Message { role, content: "x" }]);
    assert_eq!(say("user"), Err(ChatError::NoTemplate));
    assert_eq!(say("tool"), Err(ChatError::Role("tool".into())));
    assert_eq!(tokenizer.chat(&[]), Err(ChatError::Empty));
}

#[test]
fn gemma_takes_turns() {
    let mut parts = bytes();
    let mut tokens: Vec<Vec<u8>> = (0..263).map(|id| parts.tokens.get(id).to_vec()).collect();
    tokens.extend([b"<start_of_turn>".to_vec(), b"<end_of_turn>".to_vec()]);
    parts.tokens = tokens.iter().collect();
    parts.kinds.extend([Kind::Control; 2]);
    (parts.template, parts.begin) = (Template::Gemma, Some(261));
    let tokenizer = Tokenizer::new(parts).unwrap();
    let message = |role, content| Message { role, content };
    let ids = tokenizer.chat(&[message("system", "s"), message("user", " u ")]).unwrap();
    let text = |text: &str| tokenizer.encode(text, Specials::Text);
    let expected = [&[261, 263][..], &text("user\ns\n\nu"), &[264, 10, 263], &text("model\n")];
    assert_eq!(ids, expected.concat());
    assert_eq!(tokenizer.chat(&[message("assistant", "x")]), Err(ChatError::Turns));
    assert_eq!(tokenizer.chat(&[message("system", "x")]), Err(ChatError::Empty));
}

proptest! {
    #[test]
    fn any_text_is_taken_and_bytes_come_back(text in any::<String>(), at in any::<proptest::sample::Index>()) {
        for parts in all() {
            let tokenizer = Tokenizer::new(parts).unwrap();
            for specials in [Specials::Text, Specials::Parse] {
                let ids = tokenizer.encode(&text, specials);
                prop_assert!(ids.iter().all(|id| (*id as usize) < tokenizer.size()));
                if tokenizer.parts().algorithm == Algorithm::Bytes && specials == Specials::Text {
                    prop_assert_eq!(&tokenizer.decode(&ids), &text);
                }
            }
        }
        // A stream gives the same text wherever it is cut.
        let cut = at.index(text.len() + 1);
        let mut stream = Stream::default();
        let (one, two) = text.as_bytes().split_at(cut);
        prop_assert_eq!(stream.push(one) + &stream.push(two) + &stream.finish(), text);
    }

    #[test]
    fn hostile_sections_are_errors(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        for parts in all() {
            let mut bytes = parts.encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(tokenizer) = Tokenizer::decode_section(&bytes) {
                tokenizer.encode("the thin ab [CLS] <s> é", Specials::Parse);
            }
        }
    }
}
