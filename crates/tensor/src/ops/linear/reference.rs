//! The definition, number by number.

use crate::activation::{Activation, Matrix, Precision};
use crate::fixed::rshift;
use crate::weights::{BLOCK, Kind, Weights};

/// `weights * activation`, a row of the result for each token.
///
/// # Panics
/// When the shapes or the precision don't fit: what a model's header is checked for.
#[must_use]
pub fn linear(weights: &Weights, a: &Activation) -> Matrix {
    let shape = *weights.shape();
    assert_eq!(
        (a.cols, a.precision),
        (shape.cols, Precision::from(shape.kind)),
        "an activation for these weights"
    );
    let mut out = Matrix::zero(a.tokens(), shape.rows);
    for token in 0..a.tokens() {
        for row in 0..shape.rows {
            let mut acc = 0;
            for block in 0..shape.cols / BLOCK {
                let dot: i32 = (block * BLOCK..(block + 1) * BLOCK)
                    .map(|k| weights.number(row, k) * i32::from(a.mantissas[token * a.cols + k]))
                    .sum();
                let at = token * a.cols / BLOCK + block;
                acc += match shape.kind {
                    Kind::R16 => dot,
                    Kind::N4 | Kind::B8 => {
                        let (d, m) = weights.scale(row, block);
                        let shift = shape.dot_shift as i32;
                        let product = rshift(dot, shift) * d + rshift(a.sums[at], shift) * m;
                        rshift(product, shape.sum_shift as i32 + i32::from(a.shifts[at]))
                    }
                };
            }
            out.row_mut(token)[row] = rshift(acc, i32::from(weights.shifts()[row]));
        }
        out.exponents[token] = shape.exponent + a.exponents[token];
    }
    out
}
