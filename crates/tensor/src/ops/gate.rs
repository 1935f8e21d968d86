//! Gated and plain activations: docs/arithmetic.md, "Activation functions".
//!
//! Each block of 32 is brought to 30 bits by itself, so that nothing has to be known of the rest of
//! the token.

use crate::activation::{Activation, Matrix, Precision};
use crate::fixed::{mul_high, mul16, phi, sigmoid};
use crate::weights::BLOCK;

/// `silu(gate) * up`, quantised.
#[must_use]
pub fn silu_mul(gate: &Matrix, up: &Matrix, precision: Precision) -> Activation {
    let mut out = Activation::with_capacity(precision, gate.rows(), gate.cols);
    let (mut values, mut exponents) = (vec![0; gate.cols], vec![0; gate.cols / BLOCK]);
    for row in 0..gate.rows() {
        let (ge, ue) = (gate.exponents[row], up.exponents[row]);
        let blocks = gate.row(row).chunks_exact(BLOCK).zip(up.row(row).chunks_exact(BLOCK));
        for (((g, u), y), e) in blocks.zip(values.chunks_exact_mut(BLOCK)).zip(&mut exponents) {
            let (gs, us) = (headroom(g), headroom(u));
            for ((g, u), y) in g.iter().zip(u).zip(y) {
                *y = mul_high(mul16(g << gs, sigmoid(*g, ge)), u << us);
            }
            *e = ge - gs as i32 + ue - us as i32 + 32;
        }
        out.push(&values, |b| exponents[b]);
    }
    out
}

/// `gelu(x)` with the normal distribution, quantised.
#[must_use]
pub fn gelu(x: &Matrix, precision: Precision) -> Activation {
    let mut out = Activation::with_capacity(precision, x.rows(), x.cols);
    let (mut values, mut exponents) = (vec![0; x.cols], vec![0; x.cols / BLOCK]);
    for row in 0..x.rows() {
        let xe = x.exponents[row];
        let blocks = x.row(row).chunks_exact(BLOCK).zip(values.chunks_exact_mut(BLOCK));
        for ((x, y), e) in blocks.zip(&mut exponents) {
            let shift = headroom(x);
            for (x, y) in x.iter().zip(y) {
                *y = mul16(x << shift, phi(*x, xe));
            }
            *e = xe - shift as i32;
        }
        out.push(&values, |b| exponents[b]);
    }
    out
}

/// The shift that leaves a block's largest magnitude two bits under the sign.
fn headroom(block: &[i32]) -> u32 {
    let top = block.iter().fold(1, |m, v| m | v.unsigned_abs());
    top.leading_zeros().saturating_sub(2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matrix(value: impl Strategy<Value = i32>) -> impl Strategy<Value = Matrix> {
        let data = prop::collection::vec(value, 32);
        (data, -22i32..-16).prop_map(|(data, e)| Matrix { cols: 32, data, exponents: vec![e] })
    }

    fn real(m: i16, a: &Activation) -> f64 {
        f64::from(m) * f64::from(a.exponents[0]).exp2()
    }

    proptest! {
        #[test]
        fn close_to_the_real_functions(g in matrix(-900_000..900_000), u in matrix(-900_000..900_000)) {
            let of = |m: &Matrix, i: usize| f64::from(m.data[i]) * f64::from(m.exponents[0]).exp2();
            let gated = silu_mul(&g, &u, Precision::Block);
            let most = (0..32).map(|i| (of(&g, i) * of(&u, i)).abs()).fold(0.0, f64::max);
            for (i, m) in gated.mantissas.iter().enumerate() {
                let want = of(&g, i) / (1.0 + (-of(&g, i)).exp()) * of(&u, i);
                prop_assert!((real(*m, &gated) - want).abs() < 2e-4 * most + 1e-4);
            }
        }

        #[test]
        fn any_input_is_safe(g in matrix(any::<i32>()), mut u in matrix(any::<i32>())) {
            u.exponents[0] = 90;
            let _ = silu_mul(&g, &u, Precision::Row);
            let _ = gelu(&u, Precision::Block);
        }
    }

    #[test]
    fn gelu_at_known_points() {
        // 0.5 x (1 + erf(x / sqrt 2)) from tables of the normal distribution.
        let x = Matrix {
            cols: 32,
            data: (0..32).map(|i| (i - 16) << 14).collect(),
            exponents: vec![-16],
        };
        let y = gelu(&x, Precision::Block);
        for (i, want) in
            [(16, 0.0), (20, 0.841_345), (12, -0.158_655), (24, 1.954_500), (8, -0.045_500)]
        {
            let got = real(y.mantissas[i], &y);
            assert!((got - want).abs() < 2e-4, "gelu at {}: {got}", (i as f64 - 16.0) / 4.0);
        }
    }
}
