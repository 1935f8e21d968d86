//! Rows of an embedding table: docs/arithmetic.md, "Embedding".

use crate::activation::Matrix;
use crate::fixed::rshift;
use crate::ops::norm::STREAM_LIMIT;
use crate::weights::{BLOCK, Kind, Weights};

/// The rows of `ids`, with `fraction` fraction bits.
///
/// # Panics
/// When an id isn't a row: the tokenizer has checked.
#[must_use]
pub fn embed(table: &Weights, ids: &[u32], fraction: u32) -> Matrix {
    let shape = *table.shape();
    let mut out = Matrix::zero(ids.len(), shape.cols);
    out.exponents.fill(-(fraction as i32));
    for (token, id) in ids.iter().enumerate() {
        let row = *id as usize;
        assert!(row < shape.rows, "an id of the vocabulary");
        // Block formats are a number times a scale, before the shifts of a product.
        let own = shape.exponent
            - (shape.dot_shift + shape.sum_shift) as i32
            - i32::from(table.shifts()[row]);
        for (col, out) in out.row_mut(token).iter_mut().enumerate() {
            let number = table.number(row, col);
            let value = match shape.kind {
                Kind::R16 => number,
                Kind::N4 | Kind::B8 => {
                    let (d, m) = table.scale(row, col / BLOCK);
                    number * d + m
                }
            };
            *out = rshift(value, -(fraction as i32) - own).clamp(-STREAM_LIMIT, STREAM_LIMIT);
        }
    }
    out
}
