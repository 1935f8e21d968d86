use super::quantised::Ggml;
use super::*;
use crate::file::{Format, Loader, Span};
use crate::model::Tensors as _;
use crate::run::now;
use crate::testing;
use crate::tokenizer::{Specials, Tokenizer};
use proptest::prelude::*;
use std::fs;
use std::io::Cursor;

/// Dequantised by ggml's own Python package: tests/vectors/ggml.json.
#[test]
fn blocks_are_what_ggml_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/ggml.json");
    let vectors: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let rows = vectors["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 16);
    for row in rows {
        let format = Ggml::from_type(row[0].as_u64().unwrap() as u32).unwrap();
        assert_eq!(format.name, row[1]);
        let digits = row[2].as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..digits.len() / 2).map(byte).collect();
        let numbers: Vec<f64> = match format.rows(&bytes) {
            Rows::Floats(floats) => floats.into_iter().map(f64::from).collect(),
            Rows::Blocks(blocks) => blocks
                .iter()
                .flat_map(|block| block.q.map(|q| f64::from(q) * block.scale + block.min))
                .collect(),
        };
        let expected: Vec<f64> =
            row[3].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
        assert_eq!(numbers.len(), expected.len());
        for (number, expected) in numbers.iter().zip(&expected) {
            // They compute in f32.
            let close = (number - expected).abs() <= 1e-6 * (1.0 + expected.abs());
            assert!(close, "{}: {number} instead of {expected}", format.name);
        }
    }
}

fn convert_bytes(bytes: &[u8]) -> Result<(crate::file::Header, Vec<u8>), ConvertError> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.gguf"), folder.path().join("out.gridmodel"));
    fs::write(&input, bytes).unwrap();
    let result = convert(&input, &output, &mut |_| {});
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, if result.is_ok() { 2 } else { 1 }, "no half-written file stays");
    result.map(|header| (header, fs::read(&output).unwrap()))
}

#[test]
fn a_tiny_model_is_converted() {
    let (header, bytes) = convert_bytes(&testing::gguf()).unwrap();
    let mut cursor = Cursor::new(&bytes);
    assert_eq!(read_header(&mut cursor).unwrap().unwrap(), header);
    let data = &bytes[cursor.position() as usize..];
    for number in 0..header.blocks.len() {
        let block = header.block(number).unwrap();
        block.check(&data[block.span.offset as usize..][..block.span.length as usize]).unwrap();
    }
    assert_eq!(data.len() as u64, header.length);
    let formats = [
        ("token_embd", Format::B8),
        ("output_norm", Format::Norm),
        ("blk.0.attn_q", Format::N4),
        ("blk.0.attn_k", Format::N4),
        ("blk.0.attn_v", Format::B8),
        ("blk.0.ffn_gate", Format::R16),
        ("rope_freqs", Format::I32),
    ];
    for (name, format) in formats {
        assert_eq!(header.tensor(name).unwrap().format, format, "{name}");
    }
    let slice = |span: Span| data.get(span.offset as usize..span.end()? as usize).map(Vec::from);
    let mut loader = Loader::new(&header, async |span| slice(span));
    assert_eq!(now(loader.weights("blk.0.attn_k")).unwrap().shape().rows, 32);
    // 2^32 / 2 pi turns for the first pair, then slower.
    let turns = now(loader.words("rope_freqs")).unwrap();
    assert_eq!((turns[0], turns.len()), (683_565_276, 16));
    let tokenizer = Tokenizer::decode_section(&slice(header.tokenizer).unwrap()).unwrap();
    assert_eq!(tokenizer.encode("aaa", Specials::Text), [1, 0]);
    assert_eq!(convert_bytes(&testing::gguf()).unwrap().1, bytes, "the same bytes each time");
}

/// The tiny model with some bytes replaced; all of the same length.
fn with(old: &str, new: &str) -> ConvertError {
    assert_eq!(old.len(), new.len());
    let mut bytes = testing::gguf();
    let at = bytes.windows(old.len()).position(|window| window == old.as_bytes()).unwrap();
    bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
    convert_bytes(&bytes).unwrap_err()
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let message = |old, new| with(old, new).to_string();
    assert!(message("GGUF", "GGUX").contains("neither a GGUF file"));
    assert!(message("ffn_up.weight", "ffn_ux.weight").contains("blk.0.ffn_ux.weight"));
    assert!(message("\x05\0\0\0\0\0\0\0llama", "\x05\0\0\0\0\0\0\0qwen2").contains("qwen2"));
    assert!(message("llama.context_length", "llama.expert_count01").contains("expert_count01"));
    assert!(message("smollm", "deepsk").contains("deepsk"));
    assert!(message("a a", "a b").contains("merge 0"));
    assert!(message("llama.block_count", "other.block_count").contains("block_count"));
    assert!(
        message("eos_token_id\x04\0\0\0\x02", "eos_token_id\x04\0\0\0\x03").contains("special")
    );
}

#[test]
fn safetensors_are_read_by_row() {
    let mut file = Safetensors::open(testing::safetensors(), |name| {
        (name != "c").then(|| format!("{name}.weight"))
    })
    .unwrap();
    assert_eq!(file.tensors().len(), 2);
    assert_eq!(file.read_rows("a.weight", 1..2).unwrap(), Rows::Floats(vec![0.5, 3.0]));
    assert_eq!(file.read_rows("b.weight", 0..1).unwrap(), Rows::Floats(vec![1.0, -2.0, 0.5]));
    assert!(file.read_rows("a.weight", 1..3).is_err(), "not into the next tensor");
    assert!(file.read_rows("c.weight", 0..1).is_err());
}

/// Opens hostile bytes and reads all that they claim to have.
fn read_all(source: &mut dyn Source) {
    for tensor in source.tensors().to_vec() {
        let _ = source.read_rows(&tensor.name, 0..tensor.rows);
    }
}

proptest! {
    #[test]
    fn hostile_files_end_in_errors(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        for original in [testing::gguf(), testing::safetensors()] {
            let mut bytes = original;
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
                if let Ok(mut file) = Gguf::open(Cursor::new(bytes)) {
                    read_all(&mut file);
                }
                if let Ok(mut file) = Safetensors::open(bytes.to_vec(), |name| Some(name.into())) {
                    read_all(&mut file);
                }
            }
        }
    }
}
