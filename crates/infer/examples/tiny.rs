//! Makes tiny random models, and runs tasks natively: what the tests of
//! browsers compare with.
//!
//! - `tiny make FOLDER`: `llama.gridmodel` and `bert.gridmodel`.
//! - `tiny run FILE WORK [DRAFT]`, the request on standard input: one line of
//!   JSON with the spec, the input list, standard output, the digest of the
//!   output list, the check digest and the fuel. The draft is a file.

#![allow(clippy::unwrap_used, reason = "a program for tests")]

use grid_infer::convert::{convert, read_header};
use grid_infer::run::{Freely, Runner, Task};
use grid_protocol::infer::{ARITHMETIC, Work};
use grid_protocol::{Digest, Files, Runtime, Side, Spec, limits};
use grid_tensor::backend::Cpu;
use serde_json::json;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

const WIDTH: usize = 128;
const INNER: usize = 384;
const LAYERS: usize = 3;
const CONTEXT: usize = 1024;
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["make", folder] => make(Path::new(folder)),
        ["run", file, work, draft @ ..] => run(file, work, draft.first().copied()),
        _ => panic!("tiny make FOLDER, or tiny run FILE WORK [DRAFT]"),
    }
}

fn run(file: &str, work: &str, draft: Option<&str>) {
    let mut stdin = Vec::new();
    std::io::stdin().read_to_end(&mut stdin).unwrap();
    let mut file = File::open(file).unwrap();
    let header = read_header(&mut file).unwrap().unwrap();
    let begins = file.stream_position().unwrap();
    let runner = Runner::open(Cpu::simd(), &header, |span| {
        let mut bytes = vec![0; usize::try_from(span.length).ok()?];
        file.seek(SeekFrom::Start(begins + span.offset)).ok()?;
        file.read_exact(&mut bytes).ok()?;
        Some(bytes)
    });
    let runner = runner.unwrap();
    let input = Files::stdin(stdin).encode();
    let spec = Spec {
        runtime: Runtime::Infer,
        arithmetic: ARITHMETIC,
        source: header.digest(),
        module: header.digest(),
        admission: 0,
        args: vec![work.to_owned()],
        env: vec![],
        seed: [7; 32],
        input: Digest::of(&input),
        fuel: limits::MAX_FUEL,
        memory_pages: 1,
        output_bytes: limits::MAX_OUTPUT,
    };
    let files = Files::decode(Side::Input, &input).unwrap();
    let draft = draft.map(|path| fs::read(path).unwrap());
    let task = Task {
        work: Work::of(work).unwrap(),
        stdin: files.get("stdin").unwrap(),
        seed: spec.seed,
        draft: draft.as_deref(),
        fuel: spec.fuel,
        output: spec.output_bytes,
    };
    let mut pace = Freely;
    let outcome = pin!(runner.run(task, &mut pace));
    // A processor never waits.
    let Poll::Ready(outcome) = outcome.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("a run on the processor waited");
    };
    let outcome = outcome.unwrap();
    let said = json!({
        "model": spec.module,
        "spec": hex(&spec.encode()),
        "input": hex(&input),
        "stdout": String::from_utf8_lossy(outcome.output.get("stdout").unwrap_or_default()),
        "output": Digest::of(&outcome.output.encode()),
        "check": outcome.check,
        "fuel": outcome.fuel,
    });
    println!("{said}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn make(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let source = folder.join("llama.gguf");
    fs::write(&source, llama()).unwrap();
    convert(&source, &folder.join("llama.gridmodel"), &mut |_| {}).unwrap();
    let source = folder.join("bert");
    fs::create_dir_all(&source).unwrap();
    bert(&source);
    convert(&source, &folder.join("bert.gridmodel"), &mut |_| {}).unwrap();
}

/// Numbers between -1 and 1, the same each time.
struct Random(u32);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(self.0 >> 8) / f64::from(1 << 23) - 1.0) as f32
    }

    fn floats(&mut self, count: usize, mean: f32, spread: f32) -> Vec<u8> {
        (0..count).flat_map(|_| (mean + self.next() * spread).to_le_bytes()).collect()
    }
}

/// The character that GGUF's byte tokens write a byte as: GPT-2's.
fn byte_char(byte: u8) -> char {
    let printable = |b: u32| matches!(b, 33..=126 | 161..=172 | 174..=255);
    if printable(byte.into()) {
        return byte.into();
    }
    let before = (0..u32::from(byte)).filter(|b| !printable(*b)).count() as u32;
    char::from_u32(256 + before).unwrap()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn pair(key: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [&text(key)[..], &kind.to_le_bytes(), value].concat()
}

fn list(key: &str, kind: u32, values: &[Vec<u8>]) -> Vec<u8> {
    let count = (values.len() as u64).to_le_bytes();
    pair(key, 9, &[&kind.to_le_bytes()[..], &count, &values.concat()].concat())
}

/// A GGUF file: a decoder whose tokens are bytes.
fn llama() -> Vec<u8> {
    let number = |key: &str, n: usize| {
        pair(&format!("llama.{key}"), 4, &u32::try_from(n).unwrap().to_le_bytes())
    };
    let word = |key: &str, value: &str| pair(key, 8, &text(value));
    let mut tokens: Vec<Vec<u8>> =
        (0..=255).map(|byte| text(&byte_char(byte).to_string())).collect();
    tokens.extend([text("<|im_end|>"), text("<|im_start|>")]);
    let kinds = (0..tokens.len()).map(|at| i32::from(at >= 256) * 2 + 1);
    let kinds: Vec<Vec<u8>> = kinds.map(|kind| kind.to_le_bytes().to_vec()).collect();
    let pairs = [
        word("general.architecture", "llama"),
        word("general.name", "tiny llama"),
        number("block_count", LAYERS),
        number("context_length", CONTEXT),
        number("embedding_length", WIDTH),
        number("feed_forward_length", INNER),
        number("attention.head_count", 4),
        number("attention.head_count_kv", 2),
        pair("llama.attention.layer_norm_rms_epsilon", 6, &1e-5_f32.to_le_bytes()),
        word("tokenizer.ggml.model", "gpt2"),
        word("tokenizer.ggml.pre", "smollm"),
        list("tokenizer.ggml.tokens", 8, &tokens),
        list("tokenizer.ggml.token_type", 5, &kinds),
        list("tokenizer.ggml.merges", 8, &[]),
        pair("tokenizer.ggml.eos_token_id", 4, &256_u32.to_le_bytes()),
        word("tokenizer.chat_template", "<|im_start|>"),
    ];
    let mut tensors = vec![
        ("token_embd.weight".to_owned(), tokens.len(), WIDTH),
        ("output_norm.weight".to_owned(), 0, WIDTH),
    ];
    for layer in 0..LAYERS {
        let parts = [
            ("attn_norm", 0, WIDTH),
            ("attn_q", WIDTH, WIDTH),
            ("attn_k", WIDTH / 2, WIDTH),
            ("attn_v", WIDTH / 2, WIDTH),
            ("attn_output", WIDTH, WIDTH),
            ("ffn_norm", 0, WIDTH),
            ("ffn_gate", INNER, WIDTH),
            ("ffn_up", INNER, WIDTH),
            ("ffn_down", WIDTH, INNER),
        ];
        let named = |(name, rows, cols)| (format!("blk.{layer}.{name}.weight"), rows, cols);
        tensors.extend(parts.map(named));
    }
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((pairs.len() as u64).to_le_bytes());
    out.extend(pairs.concat());
    let (mut data, mut random) = (Vec::new(), Random(1));
    for (name, rows, cols) in tensors {
        out.extend(text(&name));
        let dimensions = [cols as u64, rows as u64];
        let dimensions = &dimensions[..if rows == 0 { 1 } else { 2 }];
        out.extend((dimensions.len() as u32).to_le_bytes());
        out.extend(dimensions.iter().flat_map(|size| size.to_le_bytes()));
        out.extend(0_u32.to_le_bytes());
        out.extend((data.len() as u64).to_le_bytes());
        // Every size is a multiple of 32 bytes.
        data.extend(match rows {
            0 => random.floats(cols, 1.0, 0.3),
            rows => random.floats(rows * cols, 0.0, 0.15),
        });
    }
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend(data);
    out
}

/// A folder with an encoder whose tokens are letters.
fn bert(folder: &Path) {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];
    let letters = LETTERS.chars().flat_map(|letter| [letter.to_string(), format!("##{letter}")]);
    let tokens = special.map(str::to_owned).into_iter().chain(letters);
    let vocabulary: serde_json::Map<_, _> =
        tokens.enumerate().map(|(id, token)| (token, json!(id))).collect();
    let size = vocabulary.len();
    let added = (0..4).map(|id| json!({"id": id, "content": special[id], "special": true}));
    let tokenizer = json!({
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": {"type": "BertNormalizer", "lowercase": true, "clean_text": true,
            "handle_chinese_chars": true, "strip_accents": null},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    let config = json!({
        "_name_or_path": "tiny bert", "model_type": "bert", "hidden_act": "gelu",
        "num_hidden_layers": 2, "max_position_embeddings": 128, "hidden_size": 64,
        "intermediate_size": 128, "num_attention_heads": 2, "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    });
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();

    let mut tensors: Vec<(String, Vec<usize>)> = Vec::new();
    for (name, rows) in [("word", size), ("position", 128), ("token_type", 2)] {
        tensors.push((format!("embeddings.{name}_embeddings.weight"), vec![rows, 64]));
    }
    let mut add = |name: String, rows: usize, cols: usize| {
        let shape = if name.contains("LayerNorm") { vec![rows] } else { vec![rows, cols] };
        tensors.push((format!("{name}.weight"), shape));
        tensors.push((format!("{name}.bias"), vec![rows]));
    };
    add("embeddings.LayerNorm".into(), 64, 0);
    for layer in 0..2 {
        let parts = [
            ("attention.self.query", 64, 64),
            ("attention.self.key", 64, 64),
            ("attention.self.value", 64, 64),
            ("attention.output.dense", 64, 64),
            ("attention.output.LayerNorm", 64, 0),
            ("intermediate.dense", 128, 64),
            ("output.dense", 64, 128),
            ("output.LayerNorm", 64, 0),
        ];
        for (name, rows, cols) in parts {
            add(format!("encoder.layer.{layer}.{name}"), rows, cols);
        }
    }
    let (mut data, mut random) = (Vec::new(), Random(2));
    let mut header = serde_json::Map::new();
    for (name, shape) in tensors {
        let begin = data.len();
        let mean = if name.ends_with("LayerNorm.weight") { 1.0 } else { 0.0 };
        data.extend(random.floats(shape.iter().product(), mean, 0.12));
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]});
        header.insert(name, entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    fs::write(folder.join("model.safetensors"), [&length, header.as_bytes(), &data].concat())
        .unwrap();
}
