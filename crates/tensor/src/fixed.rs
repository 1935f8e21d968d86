//! Fixed-point primitives: docs/arithmetic.md, "Primitives".
//!
//! Each is defined by its mathematical value, so wide integers here and 16-bit limbs in WGSL give
//! the same bits.

use crate::tables;

/// Fraction bits of an attention weight before it is divided by the sum.
pub const WEIGHT_BITS: u32 = 18;

/// `floor(x * g / 2^16)`, |g| <= 2^16: the product never leaves 32 bits after the shift.
#[inline]
#[must_use]
pub fn mul16(x: i32, g: i32) -> i32 {
    debug_assert!(g.unsigned_abs() <= 1 << 16, "factor out of range");
    ((i64::from(x) * i64::from(g)) >> 16) as i32
}

/// `floor(a * b / 2^32)`.
#[inline]
#[must_use]
pub fn mul_high(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b)) >> 32) as i32
}

/// `x / 2^s` rounded half up for s > 0, `x * 2^-s` saturated to +-(2^31 - 1) for s < 0.
#[inline]
#[must_use]
pub fn rshift(x: i32, s: i32) -> i32 {
    match s {
        32.. => 0,
        1..=31 => (x >> s) + ((x >> (s - 1)) & 1),
        0 => x,
        -31..=-1 => saturate(i64::from(x) << -s),
        _ => saturate(i64::from(x) << 32),
    }
}

/// `x` clamped to +-(2^31 - 1).
#[inline]
#[must_use]
pub fn saturate(x: i64) -> i32 {
    x.clamp(-i64::from(i32::MAX), i64::from(i32::MAX)) as i32
}

/// Number of bits of |x|: 0 for 0, 1 for 1, 31 for 2^31 - 1.
#[inline]
#[must_use]
pub fn bits(x: u32) -> i32 {
    (32 - x.leading_zeros()) as i32
}

/// `floor(sqrt(m))`.
#[inline]
#[must_use]
pub fn isqrt(m: u32) -> u32 {
    m.isqrt()
}

/// `2^31 / s` for s in [2^15, 2^16], at most 65535: the reciprocal that [`mul16`] multiplies by.
#[inline]
#[must_use]
pub fn reciprocal(s: u32) -> i32 {
    (0x8000_0000_u32 / s).min(65_535) as i32
}

/// `2^-d` for d >= 0 in Q16; the result in Q18.
#[inline]
#[must_use]
pub fn exp2_neg(d: u32) -> u32 {
    let whole = d >> 16;
    if whole > WEIGHT_BITS {
        return 0;
    }
    let (index, rest) = (((d & 0xffff) >> 8) as usize, (d & 0xff) as i32);
    let (a, b) = (tables::EXP2[index], tables::EXP2[index + 1]);
    ((a - (((a - b) * rest) >> 8)) as u32) >> whole
}

/// Sine of `phase / 2^32` turns, in Q15 (at most 32767).
#[inline]
#[must_use]
pub fn sin(phase: u32) -> i32 {
    let quadrant = phase >> 30;
    let mut within = phase & 0x3fff_ffff;
    if quadrant & 1 == 1 {
        within = 0x4000_0000 - within;
    }
    let (index, rest) = ((within >> 22) as usize, ((within >> 6) & 0xffff) as i32);
    let a = tables::SIN[index];
    let value = match tables::SIN.get(index + 1) {
        Some(b) => a + (((b - a) * rest) >> 16),
        None => a,
    };
    if quadrant & 2 == 2 { -value } else { value }
}

/// Cosine of `phase / 2^32` turns, in Q15.
#[inline]
#[must_use]
pub fn cos(phase: u32) -> i32 {
    sin(phase.wrapping_add(0x4000_0000))
}

/// |x| of a value `x * 2^exponent`, in Q16, cut off at 16.0.
#[inline]
fn magnitude(x: i32, exponent: i32) -> u32 {
    const TOP: u32 = 16 << 16;
    let (x, shift) = (x.unsigned_abs(), exponent + 16);
    match shift {
        0.. if bits(x) + shift > 20 => TOP,
        0.. => x << shift,
        -31..=-1 => (x >> -shift).min(TOP),
        _ => 0,
    }
}

/// The logistic function of `x * 2^exponent`, in Q16, 0 to 65535.
#[inline]
#[must_use]
pub fn sigmoid(x: i32, exponent: i32) -> i32 {
    lookup::<11, 513>(&tables::SIGMOID, x, exponent)
}

/// The normal distribution function of `x * 2^exponent`, in Q16, 0 to 65535.
#[inline]
#[must_use]
pub fn phi(x: i32, exponent: i32) -> i32 {
    lookup::<10, 1025>(&tables::PHI, x, exponent)
}

/// A table of `f(i / 2^(16 - SHIFT))` in Q16, with f(-x) = 1 - f(x), linear between its entries.
#[inline]
fn lookup<const SHIFT: u32, const N: usize>(table: &[i32; N], x: i32, exponent: i32) -> i32 {
    let a = magnitude(x, exponent);
    let (index, rest) = ((a >> SHIFT) as usize, (a & ((1 << SHIFT) - 1)) as i32);
    let mut y = table[index];
    if let Some(next) = table.get(index + 1) {
        y += ((next - y) * rest) >> SHIFT;
    }
    if x < 0 {
        y = 65_536 - y;
    }
    y.min(65_535)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shifts_round_half_up_and_saturate() {
        let check = |x, s, expect| assert_eq!(rshift(x, s), expect, "rshift({x}, {s})");
        check(5, 1, 3);
        check(-5, 1, -2);
        check(i32::MAX, 31, 1);
        check(i32::MIN, 31, -1);
        check(i32::MIN, 32, 0);
        check(i32::MIN, 99, 0);
        check(3, -4, 48);
        check(1, -31, i32::MAX);
        check(-1, -31, -i32::MAX);
        check(0, -99, 0);
        check(-7, -99, -i32::MAX);
    }

    #[test]
    fn tables_are_their_formulas() {
        let close = |got: i32, want: f64| {
            assert!((f64::from(got) - want).abs() <= 0.500_001, "{got} is not {want}")
        };
        for (i, &v) in tables::EXP2.iter().enumerate() {
            close(v, 262_144.0 * (-(i as f64) / 256.0).exp2());
        }
        for (i, &v) in tables::SIN.iter().enumerate() {
            close(v, 32_767.0 * (std::f64::consts::FRAC_PI_2 * i as f64 / 256.0).sin());
        }
        for (i, &v) in tables::SIGMOID.iter().enumerate() {
            close(v, 65_536.0 / (1.0 + (-(i as f64) / 32.0).exp()));
        }
        // The normal distribution by integrating its density: no erf in std.
        let (mut sum, steps) = (0.5, 1000);
        let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        for (i, &v) in tables::PHI.iter().enumerate() {
            close(v, 65_536.0 * sum);
            let (a, h) = (i as f64 / 64.0, 1.0 / 64.0 / f64::from(steps));
            for k in 0..steps {
                let x = a + h * f64::from(k);
                sum += h / 6.0 * (density(x) + 4.0 * density(x + h / 2.0) + density(x + h));
            }
        }
    }

    proptest! {
        #[test]
        fn functions_are_close_to_real_ones(x in -40.0f64..40.0, phase: u32, d in 0u32..(20 << 16)) {
            let e = -20;
            let fixed = (x * 1_048_576.0) as i32;
            prop_assert!((f64::from(sigmoid(fixed, e)) / 65_536.0 - 1.0 / (1.0 + (-x).exp())).abs() < 4e-5);
            let angle = f64::from(phase) / 4_294_967_296.0 * std::f64::consts::TAU;
            prop_assert!((f64::from(sin(phase)) / 32_767.0 - angle.sin()).abs() < 6e-5);
            prop_assert!((f64::from(cos(phase)) / 32_767.0 - angle.cos()).abs() < 6e-5);
            let want = (-f64::from(d) / 65_536.0).exp2();
            prop_assert!((f64::from(exp2_neg(d)) / 262_144.0 - want).abs() < 1e-5);
        }

        #[test]
        fn any_input_is_in_range(x: i32, e in -200i32..200, d: u32, s in -100i32..100) {
            prop_assert!((0..65_536).contains(&sigmoid(x, e)));
            prop_assert!((0..65_536).contains(&phi(x, e)));
            prop_assert!(exp2_neg(d) <= 1 << WEIGHT_BITS);
            let _ = rshift(x, s);
        }
    }
}
