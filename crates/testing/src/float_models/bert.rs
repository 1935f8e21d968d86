//! Encoders of the BERT family: Devlin et al. (arXiv 1810.04805); mean pooling
//! after Reimers and Gurevych (arXiv 1908.10084), section 3.

use super::matrix::{Matrix, attend};
use super::{Embed, FloatModelError};
use grid_infer::convert::Safetensors;
use serde_json::Value as Json;
use std::path::Path;

/// An encoder from a folder with `model.safetensors` and `config.json`.
#[derive(Debug)]
pub struct FloatBert {
    heads: usize,
    epsilon: f32,
    words: Matrix,
    places: Matrix,
    /// The kind of the first text, which is the only one.
    kind: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Norm {
    gain: Vec<f32>,
    bias: Vec<f32>,
}

#[derive(Debug)]
struct Dense {
    weight: Matrix,
    bias: Vec<f32>,
}

impl Dense {
    fn of(&self, x: &Matrix) -> Matrix {
        let mut out = x.times(&self.weight);
        out.add_row(&self.bias);
        out
    }
}

#[derive(Debug)]
struct Layer {
    query: Dense,
    key: Dense,
    value: Dense,
    output: Dense,
    attention_norm: Norm,
    up: Dense,
    down: Dense,
    norm: Norm,
}

impl FloatBert {
    /// Reads all of a model.
    ///
    /// # Errors
    /// A file can't be read, or a tensor or setting is missing.
    pub fn open(folder: &Path) -> Result<Self, FloatModelError> {
        let file = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|source| FloatModelError::File { path, source })
        };
        let config: Json = serde_json::from_slice(&file("config.json")?).unwrap_or_default();
        let setting = |key: &str| {
            config[key].as_f64().ok_or_else(|| FloatModelError::Setting(key.to_owned()))
        };
        let floats = |name: &str| name.rsplit('.').next() != Some("position_ids");
        let mut tensors = Safetensors::open(file("model.safetensors")?, |name| {
            floats(name).then(|| name.to_owned())
        })?;
        let mut read = |name: &str| Matrix::read(&mut tensors, name);
        let words = read("embeddings.word_embeddings.weight")?;
        let places = read("embeddings.position_embeddings.weight")?;
        let kind = read("embeddings.token_type_embeddings.weight")?.row(0).to_vec();
        let mut pair = |name: &str| -> Result<_, FloatModelError> {
            Ok((read(&format!("{name}.weight"))?, read(&format!("{name}.bias"))?.data))
        };
        let norm_of = |(gain, bias): (Matrix, Vec<f32>)| Norm { gain: gain.data, bias };
        let dense_of = |(weight, bias): (Matrix, Vec<f32>)| Dense { weight, bias };
        let norm = norm_of(pair("embeddings.LayerNorm")?);
        let layers = (0..setting("num_hidden_layers")? as usize)
            .map(|layer| {
                let mut pair = |name: &str| pair(&format!("encoder.layer.{layer}.{name}"));
                Ok(Layer {
                    query: dense_of(pair("attention.self.query")?),
                    key: dense_of(pair("attention.self.key")?),
                    value: dense_of(pair("attention.self.value")?),
                    output: dense_of(pair("attention.output.dense")?),
                    attention_norm: norm_of(pair("attention.output.LayerNorm")?),
                    up: dense_of(pair("intermediate.dense")?),
                    down: dense_of(pair("output.dense")?),
                    norm: norm_of(pair("output.LayerNorm")?),
                })
            })
            .collect::<Result<_, FloatModelError>>()?;
        let heads = setting("num_attention_heads")? as usize;
        let epsilon = setting("layer_norm_eps")? as f32;
        Ok(Self { heads, epsilon, words, places, kind, norm, layers })
    }

    fn normalise(&self, x: &mut Matrix, norm: &Norm) {
        for row in x.data.chunks_mut(x.cols) {
            let count = row.len() as f32;
            let mean = row.iter().sum::<f32>() / count;
            let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count;
            let scale = 1.0 / (variance + self.epsilon).sqrt();
            for ((value, gain), bias) in row.iter_mut().zip(&norm.gain).zip(&norm.bias) {
                *value = (*value - mean) * scale * gain + bias;
            }
        }
    }

    fn layer(&self, layer: &Layer, x: &mut Matrix) {
        let (query, key) = (layer.query.of(x), layer.key.of(x));
        let value = layer.value.of(x);
        let (tokens, dim) = (x.rows(), query.cols / self.heads);
        let mut mixed = Matrix::zero(tokens, query.cols);
        for at in (0..query.cols).step_by(dim) {
            attend(&mut mixed, (&query, at), (&key, &value, at), dim, |_| tokens);
        }
        x.add(&layer.output.of(&mixed));
        self.normalise(x, &layer.attention_norm);
        let mut inner = layer.up.of(x);
        for value in &mut inner.data {
            *value = gelu(*value);
        }
        x.add(&layer.down.of(&inner));
        self.normalise(x, &layer.norm);
    }
}

impl Embed for FloatBert {
    fn embed(&mut self, ids: &[u32]) -> Vec<f32> {
        let rows = ids.iter().flat_map(|id| self.words.row(*id as usize)).copied();
        let mut x = Matrix { cols: self.words.cols, data: rows.collect() };
        for place in 0..ids.len() {
            let place_row = self.places.row(place).iter().zip(&self.kind);
            for (value, (place, kind)) in x.row_mut(place).iter_mut().zip(place_row) {
                *value += place + kind;
            }
        }
        self.normalise(&mut x, &self.norm);
        for layer in &self.layers {
            self.layer(layer, &mut x);
        }
        let mut sum = vec![0.0_f32; x.cols];
        for row in x.data.chunks(x.cols) {
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += value;
            }
        }
        let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
        sum.iter().map(|value| value / length).collect()
    }
}

/// Hendrycks and Gimpel (arXiv 1606.08415), exactly.
fn gelu(x: f32) -> f32 {
    let x = f64::from(x);
    (0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))) as f32
}

/// The error function to about 1e-8, by a series of positive terms:
/// Abramowitz and Stegun, 7.1.6.
fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-12 {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
}

#[cfg(test)]
mod tests {
    use super::erf;

    #[test]
    fn erf_is_as_tabulated() {
        // Abramowitz and Stegun, table 7.1.
        for (x, wanted) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (2.0, 0.995_322_265_0),
            (5.0, 1.0),
        ] {
            assert!((erf(x) - wanted).abs() < 2e-8, "{x}");
            assert!((erf(-x) + wanted).abs() < 2e-8, "-{x}");
        }
    }
}
