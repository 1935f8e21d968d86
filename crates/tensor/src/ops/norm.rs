//! RMSNorm and LayerNorm: docs/arithmetic.md, "Norms".
//!
//! Both scale a token to about 30 bits, take an exact sum of squares of its top 15 bits, an integer
//! square root and a 16-bit reciprocal.

use crate::activation::{Activation, Matrix, Precision};
use crate::fixed::{isqrt, mul16, reciprocal, rshift};

/// Largest magnitude of a value of the residual stream; sums saturate there.
pub const STREAM_LIMIT: i32 = (1 << 30) - 1;
/// Most columns of a norm.
pub const MAX_COLS: usize = 8192;

/// The weights of a norm, as `gains[i] * 2^exponent`, with the square root of the column count
/// already in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Norm {
    /// Gains.
    pub gains: Vec<i16>,
    /// Their exponent.
    pub exponent: i32,
    /// What LayerNorm adds, with the stream's fraction bits; empty for RMSNorm.
    pub bias: Vec<i32>,
    /// `epsilon * columns * 2^(2 * fraction bits of the stream)`.
    pub epsilon: u32,
}

impl Norm {
    /// From real numbers. `fraction` are the stream's fraction bits; `bias` is empty for RMSNorm.
    ///
    /// # Panics
    /// When a gain isn't finite: the converter has checked.
    #[must_use]
    pub fn new(gains: &[f32], bias: &[f32], epsilon: f64, fraction: u32) -> Self {
        let root = (gains.len() as f64).sqrt();
        let gains: Vec<f64> = gains.iter().map(|g| f64::from(*g) * root).collect();
        let top = gains.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
        assert!(top.is_finite(), "gains are finite");
        let mut exponent = if top == 0.0 { 0 } else { (top / 32_767.0).log2().floor() as i32 - 1 };
        while top * (-f64::from(exponent)).exp2() + 0.5 >= 32_768.0 {
            exponent += 1;
        }
        let fixed = |x: f64, e: i32| (x * (-f64::from(e)).exp2() + 0.5).floor();
        Self {
            gains: gains.iter().map(|g| fixed(*g, exponent) as i16).collect(),
            exponent,
            bias: bias.iter().map(|b| fixed(f64::from(*b), -(fraction as i32)) as i32).collect(),
            epsilon: fixed(epsilon * gains.len() as f64, -2 * fraction as i32) as u32,
        }
    }
}

/// A token divided by its root of the sum of squares: `value * 2^exponent`, before the gains' own.
struct Unit {
    /// Shift to about 30 bits.
    up: u32,
    factor: i32,
    exponent: i32,
}

impl Unit {
    fn new(x: &[i32], epsilon: u32) -> Self {
        let top = x.iter().fold(0, |m, v| m.max(v.unsigned_abs()));
        let up = (top | 1).leading_zeros().saturating_sub(2).min(22);
        let mut sum: u64 =
            x.iter().map(|v| u64::from(((v << up) >> 15).unsigned_abs().pow(2))).sum();
        let scale = 2 * up as i32 - 30;
        sum += if scale >= 0 { u64::from(epsilon) << scale } else { u64::from(epsilon) >> -scale };
        // Zeros stay zeros whatever they are divided by.
        let sum = sum.max(1);
        let even = sum.leading_zeros() & !1;
        let root = isqrt(((sum << even) >> 32) as u32);
        Self { up, factor: reciprocal(root), exponent: (even / 2) as i32 - 30 }
    }

    fn apply(&self, x: i32, gain: i16) -> i32 {
        mul16(mul16(x << self.up, self.factor), i32::from(gain))
    }
}

/// RMSNorm of each token of the stream, quantised.
#[must_use]
pub fn rms_norm(x: &Matrix, norm: &Norm, precision: Precision) -> Activation {
    let mut out = Activation::with_capacity(precision, x.rows(), x.cols);
    let mut values = vec![0; x.cols];
    for row in 0..x.rows() {
        let unit = Unit::new(x.row(row), norm.epsilon);
        for ((y, v), gain) in values.iter_mut().zip(x.row(row)).zip(&norm.gains) {
            *y = unit.apply(*v, *gain);
        }
        out.push(&values, |_| unit.exponent + norm.exponent);
    }
    out
}

/// LayerNorm of each token, in place; the stream keeps its exponent.
pub fn layer_norm(x: &mut Matrix, norm: &Norm) {
    let n = x.cols as i64;
    for row in 0..x.rows() {
        let stream = x.exponents[row];
        let values = x.row_mut(row);
        let sum: i64 = values.iter().map(|v| i64::from(*v)).sum();
        let mean = (sum + n / 2).div_euclid(n) as i32;
        for v in values.iter_mut() {
            *v = clamp(i64::from(*v) - i64::from(mean));
        }
        let unit = Unit::new(values, norm.epsilon);
        for ((v, gain), bias) in values.iter_mut().zip(&norm.gains).zip(&norm.bias) {
            let scaled = rshift(unit.apply(*v, *gain), stream - (unit.exponent + norm.exponent));
            *v = clamp(i64::from(scaled) + i64::from(*bias));
        }
    }
}

/// Adds a result to the stream: `x += y`, saturating.
pub fn add(x: &mut Matrix, y: &Matrix) {
    for row in 0..x.rows() {
        let shift = x.exponents[row] - y.exponents[row];
        accumulate(x.row_mut(row), y.row(row), shift, STREAM_LIMIT);
    }
}

/// Adds a bias, `bias[i] * 2^exponent`, to each token of a result, saturating.
pub fn add_bias(x: &mut Matrix, bias: &[i32], exponent: i32) {
    for row in 0..x.rows() {
        let shift = x.exponents[row] - exponent;
        accumulate(x.row_mut(row), bias, shift, i32::MAX);
    }
}

/// `x += rshift(y, shift)`, clamped to +-limit.
fn accumulate(x: &mut [i32], y: &[i32], shift: i32, limit: i32) {
    // The saturated sum is clamped to less than what it saturates at, so 32 bits do.
    let sum = |x: i32, y: i32| x.saturating_add(y).clamp(-limit, limit);
    if let 1..=31 = shift {
        // The usual case, written so that it becomes vectors.
        for (x, y) in x.iter_mut().zip(y) {
            *x = sum(*x, (y >> shift) + ((y >> (shift - 1)) & 1));
        }
    } else {
        for (x, y) in x.iter_mut().zip(y) {
            *x = sum(*x, rshift(*y, shift));
        }
    }
}

fn clamp(x: i64) -> i32 {
    x.clamp(-i64::from(STREAM_LIMIT), i64::from(STREAM_LIMIT)) as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(value: impl Strategy<Value = i32>) -> impl Strategy<Value = Matrix> {
        prop::collection::vec(value, 64).prop_map(|data| Matrix {
            cols: 64,
            data,
            exponents: vec![-14],
        })
    }

    fn reals(a: &Activation) -> Vec<f64> {
        let e = |i: usize| f64::from(a.exponents[0] - i32::from(a.shifts[i / 32])).exp2();
        a.mantissas.iter().enumerate().map(|(i, m)| f64::from(*m) * e(i)).collect()
    }

    proptest! {
        #[test]
        fn norms_are_close_to_real_ones(x in stream(-3_000_000..3_000_000), gains in prop::collection::vec(-3f32..3.0, 64)) {
            let real: Vec<f64> = x.data.iter().map(|v| f64::from(*v) / 16_384.0).collect();
            let rms = (real.iter().map(|v| v * v).sum::<f64>() / 64.0 + 1e-5).sqrt();
            let got = reals(&rms_norm(&x, &Norm::new(&gains, &[], 1e-5, 14), Precision::Block));
            for ((got, v), g) in got.iter().zip(&real).zip(&gains) {
                let want = v / rms * f64::from(*g);
                prop_assert!((got - want).abs() < 2e-3, "{got} is not {want}");
            }
            let mean = real.iter().sum::<f64>() / 64.0;
            let var = real.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 64.0;
            let mut y = x.clone();
            layer_norm(&mut y, &Norm::new(&gains, &gains, 1e-12, 14));
            for ((got, v), g) in y.data.iter().zip(&real).zip(&gains) {
                let want = (v - mean) / var.sqrt() * f64::from(*g) + f64::from(*g);
                prop_assert!((f64::from(*got) / 16_384.0 - want).abs() < 3e-3, "{got} is not {want}");
            }
        }

        #[test]
        fn any_stream_is_safe(mut x in stream(prop_oneof![Just(0), -STREAM_LIMIT..=STREAM_LIMIT, Just(STREAM_LIMIT), -2..2])) {
            let norm = Norm::new(&[1000.0; 64], &[1.0; 64], 1e-12, 14);
            let _ = rms_norm(&x, &norm, Precision::Row);
            layer_norm(&mut x, &norm);
            let y = x.clone();
            add(&mut x, &y);
            prop_assert!(x.data.iter().all(|v| v.abs() <= STREAM_LIMIT));
        }
    }
}
