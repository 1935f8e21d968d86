//! Decoders of the Llama family: Touvron et al., "LLaMA" (arXiv 2302.13971),
//! section 2.2; grouped queries after Ainslie et al. (arXiv 2305.13245).

use super::matrix::{Matrix, attend};
use super::{FloatModelError, Logits};
use grid_infer::convert::{Gguf, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

/// A decoder from a GGUF file.
#[derive(Debug)]
pub struct FloatLlama {
    heads: usize,
    kv_heads: usize,
    epsilon: f32,
    rope_base: f64,
    table: Matrix,
    layers: Vec<Layer>,
    norm: Matrix,
    /// None where the table is the head too.
    head: Option<Matrix>,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Matrix,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    output: Matrix,
    feed_norm: Matrix,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

fn number(metadata: &BTreeMap<String, Value>, key: &str) -> Result<f64, FloatModelError> {
    match metadata.get(key) {
        Some(Value::Int(number)) => Ok(*number as f64),
        Some(Value::Float(number)) => Ok(*number),
        _ => Err(FloatModelError::Setting(key.to_owned())),
    }
}

impl FloatLlama {
    /// Reads and dequantises all of a model.
    ///
    /// # Errors
    /// The file can't be read, or is no Llama in GGUF.
    pub fn open(path: &Path) -> Result<Self, FloatModelError> {
        let file = File::open(path)
            .map_err(|source| FloatModelError::File { path: path.to_owned(), source })?;
        let mut gguf = Gguf::open(file)?;
        let setting = |key: &str| number(gguf.metadata(), &format!("llama.{key}"));
        let layers = setting("block_count")? as usize;
        let heads = setting("attention.head_count")? as usize;
        let kv_heads = setting("attention.head_count_kv")? as usize;
        let epsilon = setting("attention.layer_norm_rms_epsilon")? as f32;
        let rope_base = setting("rope.freq_base")?;
        let mut read = |name: &str| Matrix::read(&mut gguf, &format!("{name}.weight"));
        let table = read("token_embd")?;
        let norm = read("output_norm")?;
        let head = read("output").ok();
        let layers = (0..layers)
            .map(|layer| {
                let mut read = |name: &str| read(&format!("blk.{layer}.{name}"));
                Ok(Layer {
                    attention_norm: read("attn_norm")?,
                    query: read("attn_q")?,
                    key: read("attn_k")?,
                    value: read("attn_v")?,
                    output: read("attn_output")?,
                    feed_norm: read("ffn_norm")?,
                    gate: read("ffn_gate")?,
                    up: read("ffn_up")?,
                    down: read("ffn_down")?,
                })
            })
            .collect::<Result<_, FloatModelError>>()?;
        Ok(Self { heads, kv_heads, epsilon, rope_base, table, layers, norm, head })
    }

    fn layer(&self, layer: &Layer, x: &mut Matrix) {
        let normed = self.normed(x, &layer.attention_norm);
        let (mut query, mut key) = (normed.times(&layer.query), normed.times(&layer.key));
        let value = normed.times(&layer.value);
        let dim = query.cols / self.heads;
        self.rotate(&mut query, dim);
        self.rotate(&mut key, dim);
        let mut mixed = Matrix::zero(x.rows(), query.cols);
        let group = self.heads / self.kv_heads;
        for head in 0..self.heads {
            let at = head / group * dim;
            attend(&mut mixed, (&query, head * dim), (&key, &value, at), dim, |token| token + 1);
        }
        x.add(&mixed.times(&layer.output));

        let normed = self.normed(x, &layer.feed_norm);
        let mut gate = normed.times(&layer.gate);
        let up = normed.times(&layer.up);
        for (gate, up) in gate.data.iter_mut().zip(&up.data) {
            *gate = *gate / (1.0 + (-*gate).exp()) * up;
        }
        x.add(&gate.times(&layer.down));
    }

    fn normed(&self, x: &Matrix, gains: &Matrix) -> Matrix {
        let mut out = x.clone();
        for row in out.data.chunks_mut(x.cols) {
            let square: f32 = row.iter().map(|value| value * value).sum();
            let scale = 1.0 / (square / row.len() as f32 + self.epsilon).sqrt();
            for (value, gain) in row.iter_mut().zip(&gains.data) {
                *value *= scale * gain;
            }
        }
        out
    }

    /// Turns neighbouring columns of each head: Su et al. (arXiv 2104.09864).
    fn rotate(&self, x: &mut Matrix, dim: usize) {
        for token in 0..x.rows() {
            for head in x.row_mut(token).chunks_mut(dim) {
                for (pair, values) in head.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                    let frequency = self.rope_base.powf(-2.0 * pair as f64 / dim as f64);
                    let (sin, cos) = (token as f64 * frequency).sin_cos();
                    let ([a, b], sin, cos) = (*values, sin as f32, cos as f32);
                    *values = [a * cos - b * sin, a * sin + b * cos];
                }
            }
        }
    }
}

impl Logits for FloatLlama {
    fn logits(&mut self, ids: &[u32]) -> Vec<Vec<f32>> {
        let rows = ids.iter().flat_map(|id| self.table.row(*id as usize)).copied();
        let mut x = Matrix { cols: self.table.cols, data: rows.collect() };
        for layer in &self.layers {
            self.layer(layer, &mut x);
        }
        let head = self.head.as_ref().unwrap_or(&self.table);
        let logits = self.normed(&x, &self.norm).times(head);
        logits.data.chunks(logits.cols).map(<[f32]>::to_vec).collect()
    }
}
