//! Quantised activations: docs/arithmetic.md, "Activations".

use crate::fixed::{bits, rshift};
use crate::weights::{BLOCK, Kind};

/// Largest mantissa in blocks: 15 bits with the sign, two signed 8-bit halves for `dot4I8Packed`.
pub const BLOCK_LIMIT: i32 = 16_383;
/// Largest mantissa with one exponent a token: 14 bits with the sign.
pub const ROW_LIMIT: i32 = 8_191;
/// The most that a block's exponent may lie under its token's.
pub const MAX_SHIFT: i32 = 15;

/// How fine an activation is; follows from the weights that it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 15 bits, an exponent for each block of 32: for [`Kind::N4`] and [`Kind::B8`].
    Block,
    /// 14 bits, an exponent for each token: for [`Kind::R16`].
    Row,
}

impl From<Kind> for Precision {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::N4 | Kind::B8 => Self::Block,
            Kind::R16 => Self::Row,
        }
    }
}

/// Exact 32-bit values, a row for each token: `data * 2^exponent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// Columns.
    pub cols: usize,
    /// Row by row.
    pub data: Vec<i32>,
    /// One for each row.
    pub exponents: Vec<i32>,
}

impl Matrix {
    /// Zeros with exponent 0.
    #[must_use]
    pub fn zero(rows: usize, cols: usize) -> Self {
        Self { cols, data: vec![0; rows * cols], exponents: vec![0; rows] }
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.exponents.len()
    }

    /// One row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[i32] {
        &self.data[row * self.cols..(row + 1) * self.cols]
    }

    /// One row, to change it.
    #[must_use]
    pub fn row_mut(&mut self, row: usize) -> &mut [i32] {
        &mut self.data[row * self.cols..(row + 1) * self.cols]
    }
}

/// What a matrix product takes: 16-bit mantissas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// How fine.
    pub precision: Precision,
    /// Columns, a multiple of 32.
    pub cols: usize,
    /// Mantissas, token by token.
    pub mantissas: Vec<i16>,
    /// For each block how far its exponent lies under the token's, 0 to 15; zeros for rows.
    pub shifts: Vec<u8>,
    /// For each block the sum of its mantissas.
    pub sums: Vec<i32>,
    /// One for each token.
    pub exponents: Vec<i32>,
}

impl Activation {
    /// Nothing yet, with room for `tokens` rows of `cols`.
    #[must_use]
    pub fn with_capacity(precision: Precision, tokens: usize, cols: usize) -> Self {
        assert!(cols.is_multiple_of(BLOCK), "an activation has whole blocks");
        Self {
            precision,
            cols,
            mantissas: Vec::with_capacity(tokens * cols),
            shifts: Vec::with_capacity(tokens * cols / BLOCK),
            sums: Vec::with_capacity(tokens * cols / BLOCK),
            exponents: Vec::with_capacity(tokens),
        }
    }

    /// Tokens.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.exponents.len()
    }

    /// Appends a token whose values are `values[i] * 2^exponents[i / 32]`.
    pub fn push(&mut self, values: &[i32], exponents: impl Fn(usize) -> i32) {
        debug_assert_eq!(values.len(), self.cols, "a whole token");
        let (limit, width) = match self.precision {
            Precision::Block => (BLOCK_LIMIT, 14),
            Precision::Row => (ROW_LIMIT, 13),
        };
        let needed = |block: &[i32]| {
            let top = block.iter().fold(0, |m, v| m.max(v.unsigned_abs()));
            (top != 0).then(|| (bits(top) - width).max(0))
        };
        let blocks = values.chunks_exact(BLOCK);
        let top =
            blocks.clone().enumerate().filter_map(|(b, v)| Some(exponents(b) + needed(v)?)).max();
        let token = top.unwrap_or(0);
        for (b, block) in blocks.enumerate() {
            let own = match (self.precision, needed(block)) {
                (_, None) | (Precision::Row, _) => token,
                (Precision::Block, Some(shift)) => (exponents(b) + shift).max(token - MAX_SHIFT),
            };
            let mut sum = 0;
            for value in block {
                let mantissa = rshift(*value, own - exponents(b)).clamp(-limit, limit);
                sum += mantissa;
                self.mantissas.push(mantissa as i16);
            }
            self.shifts.push((token - own) as u8);
            self.sums.push(sum);
        }
        self.exponents.push(token);
    }
}

/// Every row of a matrix, quantised.
#[must_use]
pub fn quantise(values: &Matrix, precision: Precision) -> Activation {
    let mut out = Activation::with_capacity(precision, values.rows(), values.cols);
    for row in 0..values.rows() {
        out.push(values.row(row), |_| values.exponents[row]);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wide() -> impl Strategy<Value = i32> {
        prop_oneof![Just(0), any::<i32>(), -1000..1000, Just(i32::MIN), Just(i32::MAX)]
    }

    proptest! {
        #[test]
        fn what_comes_out_is_close(values in prop::collection::vec(wide(), 64), e in prop::array::uniform2(-40i32..20)) {
            for precision in [Precision::Block, Precision::Row] {
                let mut a = Activation::with_capacity(precision, 1, 64);
                a.push(&values, |b| e[b]);
                let limit = if precision == Precision::Block { BLOCK_LIMIT } else { ROW_LIMIT };
                for (i, v) in values.iter().enumerate() {
                    let own = a.exponents[0] - i32::from(a.shifts[i / 32]);
                    let m = i32::from(a.mantissas[i]);
                    prop_assert!(m.abs() <= limit);
                    let (got, want) = (f64::from(m) * f64::from(own).exp2(), f64::from(*v) * f64::from(e[i / 32]).exp2());
                    // Half a step of the mantissa, and a whole one at the top, where it is cut off.
                    prop_assert!((got - want).abs() <= f64::from(own).exp2(), "{got} is not {want}");
                }
                for (b, sum) in a.sums.iter().enumerate() {
                    prop_assert_eq!(*sum, a.mantissas[b * 32..][..32].iter().map(|m| i32::from(*m)).sum::<i32>());
                }
            }
        }
    }
}
