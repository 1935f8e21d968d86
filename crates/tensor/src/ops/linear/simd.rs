//! The same in 128-bit vectors: SSE2, NEON and wasm's simd128 through the crate `wide`.
//!
//! A vector of weights holds two columns of four rows, so one `dot` with a pair of mantissas that is
//! repeated four times adds two products to each of four rows, and no sum across lanes is ever
//! needed. Eight rows by up to four tokens are in flight, so that each unpacked vector is used four
//! times and each repeated pair twice.

use wide::{i16x8, i32x4};

use crate::activation::{Activation, Matrix, Precision};
use crate::fixed::rshift;
use crate::weights::{BLOCK, GROUP, Kind, Shape, Weights};

/// Bytes of mantissas that are worked on together.
const NEAR: usize = 200 << 10;

/// `weights * activation`, a row of the result for each token.
///
/// # Panics
/// As the reference.
#[must_use]
pub fn linear(weights: &Weights, a: &Activation) -> Matrix {
    let shape = *weights.shape();
    assert_eq!(
        (a.cols, a.precision),
        (shape.cols, Precision::from(shape.kind)),
        "an activation for these weights"
    );
    let mut out = Matrix::zero(a.tokens(), shape.rows);
    // So many tokens that their mantissas stay in the first-level cache beside a group of weights.
    let chunk = (NEAR / (shape.cols * size_of::<i16>())).next_multiple_of(4);
    for first in (0..a.tokens()).step_by(chunk) {
        let end = a.tokens().min(first + chunk);
        for group in 0..shape.rows.div_ceil(GROUP) {
            let vectors = weights.group(group);
            let mut token = first;
            while token < end {
                token += match end - token {
                    1 => tile::<1>(weights, vectors, a, group, token, &mut out),
                    2 => tile::<2>(weights, vectors, a, group, token, &mut out),
                    3 => tile::<3>(weights, vectors, a, group, token, &mut out),
                    _ => tile::<4>(weights, vectors, a, group, token, &mut out),
                };
            }
        }
    }
    for (e, token) in out.exponents.iter_mut().zip(&a.exponents) {
        *e = shape.exponent + token;
    }
    out
}

/// Eight rows of `N` tokens; returns `N`.
fn tile<const N: usize>(
    weights: &Weights,
    vectors: &[i32x4],
    a: &Activation,
    group: usize,
    token: usize,
    out: &mut Matrix,
) -> usize {
    let shape = weights.shape();
    let tokens = Tokens::<N>::new(a, token);
    let sums = match shape.kind {
        Kind::N4 => n4(shape, vectors, &tokens),
        Kind::B8 => b8(shape, vectors, &tokens),
        Kind::R16 => r16(vectors, &tokens),
    };
    let rows = group * GROUP..shape.rows.min((group + 1) * GROUP);
    let shifts = &weights.shifts()[rows.clone()];
    for (n, sums) in sums.into_iter().enumerate() {
        let sums: [i32; GROUP] = bytemuck::cast(sums);
        for ((out, sum), shift) in
            out.row_mut(token + n)[rows.clone()].iter_mut().zip(sums).zip(shifts)
        {
            *out = rshift(sum, i32::from(*shift));
        }
    }
    N
}

/// The mantissas of `N` tokens in pairs, 16 to a block, with each block's shift and sum.
struct Tokens<'a, const N: usize> {
    pairs: [&'a [[i32; BLOCK / 2]]; N],
    shifts: [&'a [u8]; N],
    sums: [&'a [i32]; N],
}

impl<'a, const N: usize> Tokens<'a, N> {
    fn new(a: &'a Activation, first: usize) -> Self {
        let blocks = a.cols / BLOCK;
        let row = |n: usize| (first + n) * blocks..(first + n + 1) * blocks;
        let pairs: &[[i32; BLOCK / 2]] = bytemuck::cast_slice(a.mantissas.as_slice());
        Self {
            pairs: std::array::from_fn(|n| &pairs[row(n)]),
            shifts: std::array::from_fn(|n| &a.shifts[row(n)]),
            sums: std::array::from_fn(|n| &a.sums[row(n)]),
        }
    }
}

/// Adds the products of one pair of columns: `w` are the eight rows, two vectors of four.
#[inline(always)]
fn step<const N: usize>(
    dots: &mut [[i32x4; 2]; N],
    w: [i16x8; 2],
    pairs: &[&[i32; BLOCK / 2]; N],
    k: usize,
) {
    for n in 0..N {
        let x: i16x8 = bytemuck::cast(i32x4::splat(pairs[n][k]));
        dots[n][0] += w[0].dot(x);
        dots[n][1] += w[1].dot(x);
    }
}

/// `x / 2^s` rounded half up; `half` is `2^(s - 1)`, or 0 for s = 0.
#[inline(always)]
fn round(x: i32x4, half: i32x4, s: u32) -> i32x4 {
    (x + half) >> s
}

fn half(s: u32) -> i32 {
    (1 << s) >> 1
}

#[inline(always)]
fn low(x: i32x4) -> i32x4 {
    (x << 16_u32) >> 16_u32
}

fn n4<const N: usize>(shape: &Shape, vectors: &[i32x4], tokens: &Tokens<'_, N>) -> [[i32x4; 2]; N] {
    const MASK: u32 = 0x000f_000f;
    let mask = i32x4::splat(MASK as i32);
    let mut acc = [[i32x4::ZERO; 2]; N];
    let dot_half = i32x4::splat(half(shape.dot_shift));
    for (b, v) in vectors.as_chunks::<{ Kind::N4.vectors() }>().0.iter().enumerate() {
        let pairs: [&[i32; BLOCK / 2]; N] = std::array::from_fn(|n| &tokens.pairs[n][b]);
        // The numbers are stored 8 too large: that much of the sum is taken off beforehand.
        let mut dots: [[i32x4; 2]; N] =
            std::array::from_fn(|n| [i32x4::splat(tokens.sums[n][b] * -8); 2]);
        for j in 0..4 {
            let w = [v[2 + j], v[6 + j]];
            step(&mut dots, w.map(|w| bytemuck::cast(w & mask)), &pairs, 4 * j);
            for i in 1..4 {
                let shift = 4 * i as u32;
                step(&mut dots, w.map(|w| bytemuck::cast((w >> shift) & mask)), &pairs, 4 * j + i);
            }
        }
        for n in 0..N {
            let shift = shape.sum_shift + u32::from(tokens.shifts[n][b]);
            let sum = i32x4::splat((tokens.sums[n][b] + half(shape.dot_shift)) >> shape.dot_shift);
            let sum_half = i32x4::splat(half(shift));
            for quad in 0..2 {
                let dot = round(dots[n][quad], dot_half, shape.dot_shift);
                let product = dot * low(v[quad]) + sum * (v[quad] >> 16_u32);
                acc[n][quad] += round(product, sum_half, shift);
            }
        }
    }
    acc
}

fn b8<const N: usize>(shape: &Shape, vectors: &[i32x4], tokens: &Tokens<'_, N>) -> [[i32x4; 2]; N] {
    let mut acc = [[i32x4::ZERO; 2]; N];
    let dot_half = i32x4::splat(half(shape.dot_shift));
    for (b, v) in vectors.as_chunks::<{ Kind::B8.vectors() }>().0.iter().enumerate() {
        let pairs: [&[i32; BLOCK / 2]; N] = std::array::from_fn(|n| &tokens.pairs[n][b]);
        let mut dots = [[i32x4::ZERO; 2]; N];
        for j in 0..8 {
            let w: [i16x8; 2] = [v[1 + j], v[9 + j]].map(bytemuck::cast);
            step(&mut dots, w.map(|w| (w << 8_u32) >> 8_u32), &pairs, 2 * j);
            step(&mut dots, w.map(|w| w >> 8_u32), &pairs, 2 * j + 1);
        }
        let scales = [low(v[0]), v[0] >> 16_u32];
        for n in 0..N {
            let shift = shape.sum_shift + u32::from(tokens.shifts[n][b]);
            let sum_half = i32x4::splat(half(shift));
            for quad in 0..2 {
                let dot = round(dots[n][quad], dot_half, shape.dot_shift);
                acc[n][quad] += round(dot * scales[quad], sum_half, shift);
            }
        }
    }
    acc
}

fn r16<const N: usize>(vectors: &[i32x4], tokens: &Tokens<'_, N>) -> [[i32x4; 2]; N] {
    let mut acc = [[i32x4::ZERO; 2]; N];
    for (b, v) in vectors.as_chunks::<{ Kind::R16.vectors() }>().0.iter().enumerate() {
        let pairs: [&[i32; BLOCK / 2]; N] = std::array::from_fn(|n| &tokens.pairs[n][b]);
        for k in 0..BLOCK / 2 {
            step(&mut acc, [v[k], v[16 + k]].map(bytemuck::cast), &pairs, k);
        }
    }
    acc
}
