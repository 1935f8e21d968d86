//! Tiny models for tests and fuzz targets.

pub mod tokenizers;

use crate::file::{BLOCK, Family, Format, Header, Number, Parameters, Span, Tensor, norm_bytes};
use grid_protocol::Digest;
use grid_tensor::ops::norm::Norm;

/// GGUF's type numbers of value kinds.
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const TEXT: u32 = 8;
const LIST: u32 = 9;

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn pair(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&text(key)[..], &kind.to_le_bytes(), value].concat()
}

fn list(key: &str, kind: u32, values: &[Vec<u8>]) -> Vec<u8> {
    let count = (values.len() as u64).to_le_bytes();
    pair(key, LIST, &[&kind.to_le_bytes()[..], &count, &values.concat()].concat())
}

/// A llama of one layer, with a tensor of each format that has blocks of 32,
/// and a vocabulary of three tokens.
pub fn gguf() -> Vec<u8> {
    let number = |key: &str, n: u32| pair(&format!("llama.{key}"), U32, &n.to_le_bytes());
    let float = |key: &str, n: f32| pair(&format!("llama.{key}"), F32, &n.to_le_bytes());
    let word = |key: &str, value: &str| pair(key, TEXT, &text(value));
    let kinds = [1_i32, 1, 3].map(|kind| kind.to_le_bytes().to_vec());
    let pairs = [
        word("general.architecture", "llama"),
        word("general.name", "tiny"),
        number("block_count", 1),
        number("context_length", 64),
        number("embedding_length", 32),
        number("feed_forward_length", 32),
        number("attention.head_count", 1),
        float("attention.layer_norm_rms_epsilon", 1e-5),
        word("tokenizer.ggml.model", "gpt2"),
        word("tokenizer.ggml.pre", "smollm"),
        list("tokenizer.ggml.tokens", TEXT, &[text("a"), text("aa"), text("<|im_end|>")]),
        list("tokenizer.ggml.token_type", I32, &kinds),
        list("tokenizer.ggml.merges", TEXT, &[text("a a")]),
        pair("tokenizer.ggml.eos_token_id", U32, &2_u32.to_le_bytes()),
    ];
    // Name, type, rows (0: a vector), bytes of 32 numbers.
    let tensors = [
        ("token_embd.weight", 8, 3, 34),
        ("output_norm.weight", 0, 0, 128),
        ("blk.0.attn_norm.weight", 0, 0, 128),
        ("blk.0.attn_q.weight", 2, 32, 18),
        ("blk.0.attn_k.weight", 3, 32, 20),
        ("blk.0.attn_v.weight", 6, 32, 22),
        ("blk.0.attn_output.weight", 1, 32, 64),
        ("blk.0.ffn_norm.weight", 0, 0, 128),
        ("blk.0.ffn_gate.weight", 30, 32, 64),
        ("blk.0.ffn_up.weight", 0, 32, 128),
        ("blk.0.ffn_down.weight", 8, 32, 34),
    ];
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((pairs.len() as u64).to_le_bytes());
    out.extend(pairs.concat());
    let mut data: Vec<u8> = Vec::new();
    for (name, kind, rows, bytes) in tensors {
        out.extend(text(name));
        let dimensions: &[u64] = if rows == 0 { &[32] } else { &[32, rows] };
        out.extend((dimensions.len() as u32).to_le_bytes());
        out.extend(dimensions.iter().flat_map(|size| size.to_le_bytes()));
        out.extend(u32::to_le_bytes(kind));
        data.resize(data.len().next_multiple_of(32), 0);
        out.extend((data.len() as u64).to_le_bytes());
        // 0x2e as high byte makes small positive numbers of f16, f32 and bf16.
        let size = rows.max(1) * bytes;
        data.extend((0..size).map(|at| if at % 2 == 0 { at as u8 } else { 0x2e }));
    }
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend(data);
    out
}

/// A safetensors file with tensors of each format.
pub fn safetensors() -> Vec<u8> {
    let header = r#"{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},
"b":{"dtype":"F16","shape":[3],"data_offsets":[16,22]},
"c":{"dtype":"BF16","shape":[1,1],"data_offsets":[22,24]}}"#;
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend_from_slice(header.as_bytes());
    out.extend([1.0_f32, -2.0, 0.5, 3.0].iter().flat_map(|number| number.to_le_bytes()));
    out.extend([0x3c00_u16, 0xc000, 0x3800, 0x4040].iter().flat_map(|bits| bits.to_le_bytes()));
    out
}

/// A header, and the data that it describes: a bias and a norm, which no real
/// model is made of, and a tokenizer section of five bytes.
pub fn model() -> (Header, Vec<u8>) {
    let norm = Norm { gains: vec![3, -2, 1], exponent: -7, bias: vec![5, 6, -7], epsilon: 9 };
    let mut data = vec![1, 2, 3, 4, 5];
    data.resize(64, 0);
    data.extend([7_i32, -8].iter().flat_map(|word| word.to_le_bytes()));
    data.resize(128, 0);
    data.extend(norm_bytes(&norm));
    let tensor = |name: &str, format, rows, cols, exponent, offset, length| Tensor {
        name: name.to_owned(),
        format,
        rows,
        cols,
        exponent,
        dot_shift: 0,
        sum_shift: 0,
        span: Span { offset, length },
    };
    let parameters = [("layers", Number::Int(1)), ("norm_epsilon", Number::Float(1e-12))];
    let header = Header {
        name: "tiny".into(),
        licence: "apache-2.0".into(),
        family: Family::Bert,
        parameters: Parameters(parameters.map(|(name, n)| (name.to_owned(), n)).into()),
        tensors: vec![
            tensor("blk.0.attn_q.bias", Format::I32, 1, 2, -9, 64, 8),
            tensor("token_embd_norm", Format::Norm, 2, 3, -7, 128, 24),
        ],
        tokenizer: Span { offset: 0, length: 5 },
        length: data.len() as u64,
        blocks: data.chunks(BLOCK as usize).map(Digest::of).collect(),
    };
    (header, data)
}
