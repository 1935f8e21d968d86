//! How close Grid's integer models come to the same weights in `f32`: top-1
//! agreement, divergence and perplexity of a decoder, cosines of an encoder.
//! Prints one JSON object.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use grid_infer::tokenizer::Specials;
use grid_testing::float_models::{
    FloatBert, FloatLlama, IntegerModel, compare_embeddings, compare_logits,
};
use serde_json::json;
use std::path::PathBuf;

/// Measures what integer arithmetic costs in quality.
#[derive(Parser)]
struct Arguments {
    /// The decoder in GGUF.
    #[arg(long)]
    gguf: PathBuf,
    /// The same as a model file of Grid.
    #[arg(long)]
    decoder: PathBuf,
    /// The encoder's folder, with safetensors.
    #[arg(long)]
    bert: PathBuf,
    /// The same as a model file of Grid.
    #[arg(long)]
    encoder: PathBuf,
    /// Chunks that are taken of each text, at most.
    #[arg(long, default_value_t = 3)]
    chunks: usize,
    /// Tokens of a chunk.
    #[arg(long, default_value_t = 256)]
    tokens: usize,
    /// English texts.
    #[arg(required = true)]
    texts: Vec<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut texts = Vec::new();
    for path in &arguments.texts {
        let text = std::fs::read_to_string(path);
        texts.push(text.with_context(|| format!("can't read {}", path.display()))?);
    }
    let mut integer = IntegerModel::open(&arguments.decoder).context("the decoder")?;
    let chunks: Vec<Vec<u32>> = texts
        .iter()
        .flat_map(|text| {
            let ids = integer.tokenizer().encode(text, Specials::Text);
            let chunks = ids.chunks_exact(arguments.tokens).take(arguments.chunks);
            chunks.map(<[u32]>::to_vec).collect::<Vec<_>>()
        })
        .collect();
    ensure!(!chunks.is_empty(), "the texts are shorter than a chunk");
    println!("reading the decoder in f32");
    let mut float = FloatLlama::open(&arguments.gguf).context("the decoder in f32")?;
    let quality = compare_logits(&mut float, &mut integer, &chunks, |done| {
        println!("{done} of {} chunks", chunks.len());
    });
    drop((float, integer));

    let mut integer = IntegerModel::open(&arguments.encoder).context("the encoder")?;
    let mut float = FloatBert::open(&arguments.bert).context("the encoder in f32")?;
    let sentences: Vec<Vec<u32>> = texts
        .iter()
        .flat_map(|text| sentences(text))
        .map(|sentence| integer.tokenizer().encode_whole(&sentence, Specials::Text, 256))
        .collect();
    println!("{} sentences", sentences.len());
    let cosines = compare_embeddings(&mut float, &mut integer, &sentences);

    let figures = json!({
        "top1": quality.top1,
        "kl": quality.kl,
        "ppl_ratio": quality.ppl_ratio,
        "minilm_min_cosine": cosines.min,
        "quality": {
            "positions": quality.positions,
            "f32_perplexity": quality.reference_ppl,
            "sentences": cosines.texts,
            "minilm_mean_cosine": cosines.mean,
        },
    });
    println!("{figures}");
    Ok(())
}

/// Sentences, more or less: what ends with a full stop, of a usual length.
fn sentences(text: &str) -> Vec<String> {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let ends = words.split_inclusive(". ").map(str::trim);
    ends.filter(|sentence| (20..400).contains(&sentence.len()))
        .take(50)
        .map(str::to_owned)
        .collect()
}
