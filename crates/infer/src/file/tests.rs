use super::*;
use crate::model::Tensors as _;
use crate::run::now;
use crate::testing::model;
use grid_protocol::Digest;
use proptest::prelude::*;

/// Another layout is another version: every model's digest depends on it.
#[test]
fn the_header_has_these_bytes() {
    let (header, _) = model();
    let digest = "00e59d91328f9e31a1b812edb9a63a4de0653429f76896757f8c6148a94b924b";
    assert_eq!(header.digest().to_string(), digest);
    assert_eq!(Header::decode(&header.encode()), Ok(header));
}

#[test]
fn blocks_are_checked_one_by_one() {
    let (mut header, _) = model();
    let data = vec![7; BLOCK as usize + 3];
    header.length = data.len() as u64;
    header.blocks = data.chunks(BLOCK as usize).map(Digest::of).collect();
    let (first, last) = (header.block(0).unwrap(), header.block(1).unwrap());
    assert_eq!(first.span, Span { offset: 0, length: BLOCK });
    assert_eq!(last.span, Span { offset: BLOCK, length: 3 });
    assert_eq!(header.block(2), None);
    assert_eq!(last.check(&[7; 3]), Ok(()));
    assert_eq!(last.check(&[7, 7, 8]), Err(BlockError::Digest));
    assert_eq!(last.check(&[7; 4]), Err(BlockError::Length { found: 4, expected: 3 }));
}

#[test]
fn tensors_are_read() {
    let (header, data) = model();
    let read = |span: Span| data.get(span.offset as usize..span.end()? as usize).map(Vec::from);
    let mut loader = Loader::new(&header, async |span| read(span));
    let norm = now(loader.norm("token_embd_norm")).unwrap();
    assert_eq!((norm.gains, norm.bias), (vec![3, -2, 1], vec![5, 6, -7]));
    assert_eq!((norm.exponent, norm.epsilon), (-7, 9));
    let bias = now(loader.bias("blk.0.attn_q.bias")).unwrap();
    assert_eq!((bias.values, bias.exponent), (vec![7, -8], -9));
    assert_eq!(now(loader.words("x")).unwrap_err(), LoadError::Missing("x".into()));
    let kind = LoadError::Kind("token_embd_norm".into());
    assert_eq!(now(loader.weights("token_embd_norm")).unwrap_err(), kind);
    let mut empty = Loader::new(&header, async |_| None);
    let missing = LoadError::Data("token_embd_norm".into());
    assert_eq!(now(empty.norm("token_embd_norm")).unwrap_err(), missing);
}

fn refused(change: fn(&mut Header), error: HeaderError) {
    let (mut header, _) = model();
    change(&mut header);
    assert_eq!(Header::decode(&header.encode()), Err(error));
}

#[test]
fn impossible_headers_are_refused() {
    use HeaderError::{Gap, Range, Spans};
    let tensor = |why| HeaderError::Tensor { name: "blk.0.attn_q.bias".into(), why };
    refused(|h| h.name = "a\nb".into(), Range("the model's name"));
    refused(|h| h.tensors.clear(), Range("the number of tensors"));
    refused(|h| h.tensors.reverse(), Range("the order of the tensors"));
    refused(|h| h.tensors[1].name = h.tensors[0].name.clone(), Range("the order of the tensors"));
    refused(|h| h.blocks.clear(), Range("the number of blocks"));
    refused(|h| h.length = u64::MAX, Range("the length of the data"));
    refused(|h| h.tensors[0].cols = 3, tensor("its length is another one"));
    refused(|h| h.tensors[0].cols = u32::MAX, tensor("its shape is out of range"));
    refused(|h| h.tensors[0].rows = 2, tensor("its format doesn't fit its shape"));
    refused(|h| h.tensors[0].format = Format::N4, tensor("its format doesn't fit its shape"));
    refused(|h| h.tensors[0].exponent = 101, tensor("its format doesn't fit its shape"));
    refused(|h| h.tensors[0].span.offset = 0, Spans);
    refused(|h| h.tensors[0].span.offset = 65, Spans);
    refused(|h| h.tensors[0].span.offset = !63, Gap);
    refused(|h| h.tensors[1].span.offset = 192, Gap);
    refused(|h| h.length -= 1, Spans);
    refused(|h| h.length += 1, Gap);
    refused(
        |h| h.parameters.0.extend([("x".into(), Number::Float(f64::NAN))]),
        Range("a parameter"),
    );
    let bytes = model().0.encode();
    assert_eq!(Header::decode(&[&bytes[..], &[0]].concat()), Err(HeaderError::Truncated));
    assert_eq!(Header::length(b"gridmode"), Err(HeaderError::Truncated));
    assert_eq!(Header::length(b"GGUF000000000000"), Err(HeaderError::Magic));
    let mut other = bytes.clone();
    other[8] = 2;
    assert_eq!(Header::decode(&other), Err(HeaderError::Version(2)));
    other = bytes;
    other[15] = 1;
    assert_eq!(Header::decode(&other), Err(HeaderError::TooLarge));
}

proptest! {
    #[test]
    fn mutated_headers_are_refused_or_the_same(
        at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in any::<proptest::sample::Index>()
    ) {
        let mut bytes = model().0.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(header) = Header::decode(&bytes) {
            prop_assert_eq!(header.encode(), bytes.clone());
        }
        let end = cut.index(bytes.len());
        prop_assert!(Header::decode(&bytes[..end]).is_err());
    }
}
