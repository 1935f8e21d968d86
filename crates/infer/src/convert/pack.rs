//! From a source's tensors to a model file's: matrices are packed, norms and
//! biases become integers, and what the networks would compute from settings
//! alone is computed here, once.

use super::ConvertError;
use super::config::Settings;
use super::source::{Layout, Rows, Source, SourceTensor};
use crate::file::{Family, Format, Number, Span, Tensor, norm_bytes};
use crate::model::{bert, llama};
use grid_tensor::ops::norm::{MAX_COLS, Norm};
use grid_tensor::weights::{Weights, WeightsError, pack_blocks, pack_floats};
use std::f64::consts::TAU;

/// Bits of a bias.
const BIAS_BITS: i32 = 30;

/// A tensor of the model file, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    name: String,
    from: From,
}

/// What a tensor is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum From {
    Matrix,
    /// The matrix of positions and the first token type, added.
    Positions,
    /// Gains and, for a LayerNorm, biases.
    Norm,
    Bias,
    /// The setting with the base.
    Frequencies(&'static str),
}

/// What is made, sorted by name.
pub(super) fn plan(settings: &Settings, tensors: &[SourceTensor]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut add = |name: &str, from: From| parts.push(Part { name: name.to_owned(), from });
    for tensor in tensors {
        let name = &tensor.name;
        match name.rsplit_once('.') {
            Some(("token_types", "weight")) => {}
            Some((stem @ "position_embd", "weight")) => add(stem, From::Positions),
            Some((stem, "weight")) if stem.ends_with("norm") => add(stem, From::Norm),
            Some((stem, "weight")) => add(stem, From::Matrix),
            Some((stem, "bias")) if stem.ends_with("norm") => {}
            _ => add(name, From::Bias),
        }
    }
    for (base, name) in [("rope_base", "rope_freqs"), ("rope_base_local", "rope_freqs_local")] {
        if settings.parameters.0.contains_key(base) {
            add(name, From::Frequencies(base));
        }
    }
    parts.sort_unstable();
    parts
}

impl Part {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The tensor's entry, with its span still empty, and its bytes.
    pub(super) fn pack(
        &self,
        settings: &Settings,
        source: &mut dyn Source,
    ) -> Result<(Tensor, Vec<u8>), ConvertError> {
        let name = &self.name;
        let weight = format!("{name}.weight");
        match self.from {
            From::Matrix => {
                let tensor = find(source, &weight)?;
                let (rows, cols) = (tensor.rows as usize, tensor.cols as usize);
                let layout = tensor.layout;
                let weights = match (source.read_rows(&weight, 0..tensor.rows)?, layout) {
                    (Rows::Blocks(blocks), Layout::Blocks(kind)) => {
                        pack_blocks(kind, rows, cols, &blocks)
                    }
                    (Rows::Floats(numbers), _) => pack_floats(rows, cols, &numbers),
                    (Rows::Blocks(_), Layout::Floats) => Err(WeightsError::Shape { rows, cols }),
                };
                self.matrix(weights)
            }
            From::Positions => {
                let tensor = find(source, &weight)?;
                let (rows, cols) = (tensor.rows as usize, tensor.cols as usize);
                let mut numbers = floats(source, &weight)?;
                let first = floats(source, "token_types.weight")?;
                for (number, at) in numbers.iter_mut().zip((0..cols).cycle()) {
                    *number += first[at];
                }
                self.matrix(pack_floats(rows, cols, &numbers))
            }
            From::Norm => {
                let gains = finite(source, &weight)?;
                let bert = settings.family == Family::Bert;
                let bias = if bert { finite(source, &format!("{name}.bias"))? } else { Vec::new() };
                if gains.len() > MAX_COLS {
                    return Err(ConvertError::Setting(format!(
                        "a norm of {} columns",
                        gains.len()
                    )));
                }
                let epsilon = settings.parameters.float("norm_epsilon").unwrap_or_default();
                let fraction = if bert { bert::FRACTION } else { llama::FRACTION };
                let norm = Norm::new(&gains, &bias, epsilon, fraction);
                let rows = if bert { 2 } else { 1 };
                let entry = self.entry(Format::Norm, rows, gains.len(), norm.exponent);
                Ok((entry, norm_bytes(&norm)))
            }
            From::Bias => {
                let bias = finite(source, name)?;
                let top = bias.iter().fold(0.0, |top: f64, b| top.max(f64::from(b.abs())));
                // Zeros have any exponent; the others get all the bits there are.
                let bits = if top == 0.0 { 0 } else { top.log2().floor() as i32 + 1 - BIAS_BITS };
                let exponent = bits.clamp(-60, 60);
                let unit = (-f64::from(exponent)).exp2();
                let fixed = bias.iter().map(|b| (f64::from(*b) * unit).round() as i32);
                let bytes = fixed.flat_map(|b| b.to_le_bytes()).collect();
                Ok((self.entry(Format::I32, 1, bias.len(), exponent), bytes))
            }
            From::Frequencies(base) => {
                let number = |name| settings.parameters.0.get(name).copied();
                let (Some(Number::Int(head)), Some(Number::Float(base))) =
                    (number("head_size"), number(base))
                else {
                    return Err(ConvertError::Missing(base.to_owned()));
                };
                // Turns of pair i for each position, times 2^32.
                let turns = |i: u64| base.powf(-(2.0 * i as f64) / head as f64) / TAU;
                let fixed = (0..head / 2).map(|i| (turns(i) * 2_f64.powi(32)).round() as u32);
                let bytes = fixed.flat_map(|f| f.to_le_bytes()).collect();
                Ok((self.entry(Format::I32, 1, head as usize / 2, 0), bytes))
            }
        }
    }

    fn entry(&self, format: Format, rows: u32, cols: usize, exponent: i32) -> Tensor {
        Tensor {
            name: self.name.clone(),
            format,
            rows,
            cols: cols as u32,
            exponent,
            dot_shift: 0,
            sum_shift: 0,
            span: Span { offset: 0, length: 0 },
        }
    }

    fn matrix(
        &self,
        weights: Result<Weights, WeightsError>,
    ) -> Result<(Tensor, Vec<u8>), ConvertError> {
        let name = &self.name;
        let weights =
            weights.map_err(|source| ConvertError::Weights { name: name.clone(), source })?;
        let shape = weights.shape();
        let rows = shape.rows as u32;
        let entry = self.entry(Format::of(shape.kind), rows, shape.cols, shape.exponent);
        let (dot_shift, sum_shift) = (shape.dot_shift, shape.sum_shift);
        Ok((Tensor { dot_shift, sum_shift, ..entry }, weights.encode()))
    }
}

fn find(source: &dyn Source, name: &str) -> Result<SourceTensor, ConvertError> {
    let found = source.tensors().iter().find(|tensor| tensor.name == name);
    found.cloned().ok_or_else(|| ConvertError::MissingTensor(name.to_owned()))
}

fn floats(source: &mut dyn Source, name: &str) -> Result<Vec<f32>, ConvertError> {
    let rows = find(source, name)?.rows;
    match source.read_rows(name, 0..rows)? {
        Rows::Floats(numbers) => Ok(numbers),
        Rows::Blocks(_) => Err(ConvertError::Setting(format!("{name} in blocks"))),
    }
}

fn finite(source: &mut dyn Source, name: &str) -> Result<Vec<f32>, ConvertError> {
    let numbers = floats(source, name)?;
    match numbers.iter().all(|number| number.is_finite()) {
        true => Ok(numbers),
        false => Err(ConvertError::NotFinite(name.to_owned())),
    }
}
