//! Attention: docs/arithmetic.md, "Attention".
//!
//! Three passes over the keys a query sees: scores and their maximum; weights and their sum; the
//! weighted sum of values. Never online softmax: its rescaling would make the rounding depend on
//! how the keys are cut into tiles.

mod reference;
mod simd;
#[cfg(test)]
mod tests;

pub use reference::attend as reference;
pub use simd::attend as simd;

use crate::activation::Matrix;
use crate::fixed::{bits, cos, mul16, rshift, sin};
use crate::weights::BLOCK;

/// Most keys that a query may see: the sum of their weights then fits 31 bits.
pub const MAX_CONTEXT: usize = 8192;
/// Bits of a query's and a key's magnitude.
const KEY_BITS: i32 = 12;
/// Bits of a value's magnitude.
const VALUE_BITS: i32 = 11;
/// Exponent of a block that is all zero: under every other.
const ZERO_EXPONENT: i32 = -1000;

/// How a rotary embedding pairs the columns of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// Columns 2i and 2i + 1, as in GGUF's llama.
    Neighbours,
    /// Columns i and i + half.
    Halves,
}

/// Rotary position embedding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rope {
    /// Turns per position, times 2^32, for each pair.
    pub frequencies: Vec<u32>,
    /// Which columns make a pair.
    pub pairs: Pairs,
}

/// The shape of an attention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key and value heads; divides `query`.
    pub kv: usize,
    /// Columns of a head, a multiple of 32.
    pub dim: usize,
    /// What scores are multiplied by, times log2(e): `factor * 2^(exponent - 16)`.
    pub scale: (i32, i32),
    /// Positions by rotation, if any.
    pub rope: Option<Rope>,
}

impl Heads {
    /// The scale that [`Heads::scale`] holds for a real one (usually 1 / sqrt(dim)).
    #[must_use]
    pub fn fixed_scale(real: f64) -> (i32, i32) {
        let real = real * std::f64::consts::LOG2_E;
        let exponent = real.log2().floor() as i32 + 1;
        (((real * f64::from(16 - exponent).exp2()) + 0.5).floor().min(65_535.0) as i32, exponent)
    }

    fn blocks(&self) -> usize {
        self.dim / BLOCK
    }
}

/// Numbers of 16 bits with an exponent for each block of 32: queries, keys or values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lanes {
    /// Mantissas, position by position.
    pub mantissas: Vec<i16>,
    /// Exponents, a block each.
    pub exponents: Vec<i32>,
}

impl Lanes {
    fn push(&mut self, values: &[i32], exponent: i32, width: i32) {
        let limit = (1 << width) - 1;
        for block in values.chunks_exact(BLOCK) {
            let top = block.iter().fold(0, |m, v| m.max(v.unsigned_abs()));
            let shift = (bits(top) - width).max(0);
            self.mantissas
                .extend(block.iter().map(|v| rshift(*v, shift).clamp(-limit, limit) as i16));
            self.exponents.push(if top == 0 { ZERO_EXPONENT } else { exponent + shift });
        }
    }

    /// Keeps the first `positions` of `cols` columns each.
    pub fn truncate(&mut self, positions: usize, cols: usize) {
        self.mantissas.truncate(positions * cols);
        self.exponents.truncate(positions * cols / BLOCK);
    }
}

/// Keys and values of one layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cache {
    /// Keys.
    pub keys: Lanes,
    /// Values.
    pub values: Lanes,
}

impl Cache {
    /// Appends the keys (turned to their positions, the first of which is `position`) and values of
    /// all tokens.
    pub fn append(&mut self, heads: &Heads, keys: &mut Matrix, values: &Matrix, position: usize) {
        for token in 0..keys.rows() {
            let mut exponent = keys.exponents[token];
            exponent += rotate(heads, keys.row_mut(token), position + token);
            self.keys.push(keys.row(token), exponent, KEY_BITS);
            self.values.push(values.row(token), values.exponents[token], VALUE_BITS);
        }
    }
}

/// Queries, turned to their positions, scaled and quantised.
#[must_use]
pub fn queries(heads: &Heads, q: &mut Matrix, position: usize) -> Lanes {
    let mut out = Lanes::default();
    let (factor, shift) = heads.scale;
    for token in 0..q.rows() {
        let mut exponent = q.exponents[token] + shift;
        exponent += rotate(heads, q.row_mut(token), position + token);
        for v in q.row_mut(token) {
            *v = mul16(*v, factor);
        }
        out.push(q.row(token), exponent, KEY_BITS);
    }
    out
}

/// Turns every head of one token; returns what that adds to the exponent.
fn rotate(heads: &Heads, values: &mut [i32], position: usize) -> i32 {
    let Some(rope) = &heads.rope else { return 0 };
    let half = heads.dim / 2;
    for head in values.chunks_exact_mut(heads.dim) {
        for (i, frequency) in rope.frequencies.iter().enumerate() {
            let (a, b) = match rope.pairs {
                Pairs::Neighbours => (2 * i, 2 * i + 1),
                Pairs::Halves => (i, i + half),
            };
            let phase = (position as u32).wrapping_mul(*frequency);
            let (s, c) = (sin(phase), cos(phase));
            let (x, y) = (head[a], head[b]);
            head[a] = mul16(x, c) - mul16(y, s);
            head[b] = mul16(x, s) + mul16(y, c);
        }
    }
    // Sines have 15 fraction bits where the product drops 16.
    1
}

/// The first bits of a query's weights: what the third pass needs of the second.
#[derive(Debug, Clone, Copy)]
struct Sum {
    /// Shift of the weights so that the weighted sum fits.
    shift: i32,
    factor: i32,
    zeros: i32,
}

impl Sum {
    fn new(sum: u32) -> Self {
        let zeros = sum.leading_zeros();
        Self {
            shift: (bits(sum) - (30 - VALUE_BITS)).max(0),
            factor: crate::fixed::reciprocal((sum << zeros) >> 16),
            zeros: zeros as i32,
        }
    }

    /// The exponent of a weighted sum of values whose largest exponent is `top`.
    fn exponent(&self, top: i32) -> i32 {
        self.zeros - 31 + top + self.shift
    }
}
