use proptest::prelude::*;

use super::*;
use crate::activation::Precision;
use crate::ops::linear::tests::matrix;

fn heads(query: usize, kv: usize, dim: usize, pairs: Option<Pairs>) -> Heads {
    let frequencies = (0..dim / 2)
        .map(|i| (683_565_275.0 / 1e5f64.powf(2.0 * i as f64 / dim as f64)) as u32)
        .collect();
    Heads {
        query,
        kv,
        dim,
        scale: Heads::fixed_scale(1.0 / (dim as f64).sqrt()),
        rope: pairs.map(|pairs| Rope { frequencies, pairs }),
    }
}

/// Shapes with grouped queries and without, and as many keys as tokens.
fn case() -> impl Strategy<Value = (Heads, Matrix, Matrix, Matrix)> {
    let pairs = prop::sample::select(vec![None, Some(Pairs::Neighbours), Some(Pairs::Halves)]);
    (1usize..3, 1usize..3, 1usize..3, pairs, 1usize..9).prop_flat_map(
        |(kv, per, blocks, pairs, tokens)| {
            let heads = heads(kv * per, kv, blocks * 32, pairs);
            let (q, k) = (heads.query * heads.dim, heads.kv * heads.dim);
            (Just(heads), matrix(tokens, q), matrix(tokens, k), matrix(tokens, k))
        },
    )
}

proptest! {
    #[test]
    fn simd_equals_the_reference((heads, mut q, mut k, v) in case(), causal: bool) {
        let mut cache = Cache::default();
        cache.append(&heads, &mut k, &v, 7);
        let queries = queries(&heads, &mut q, 7);
        let tokens = q.rows();
        let range = |t: usize| 0..if causal { t + 1 } else { tokens };
        for precision in [Precision::Block, Precision::Row] {
            prop_assert_eq!(
                simd(&heads, &queries, &cache, range, precision),
                reference(&heads, &queries, &cache, range, precision)
            );
        }
    }

    #[test]
    fn one_by_one_equals_all_at_once((heads, mut q, mut k, v) in case()) {
        let (one_q, mut one_k) = (q.clone(), k.clone());
        let mut cache = Cache::default();
        cache.append(&heads, &mut k, &v, 0);
        let lanes = queries(&heads, &mut q, 0);
        let whole = reference(&heads, &lanes, &cache, |t| 0..t + 1, Precision::Block);
        let mut grown = Cache::default();
        for t in 0..v.rows() {
            let row = |m: &Matrix| Matrix { cols: m.cols, data: m.row(t).to_vec(), exponents: vec![m.exponents[t]] };
            grown.append(&heads, &mut row(&one_k), &row(&v), t);
            let lanes = queries(&heads, &mut row(&one_q), t);
            let one = reference(&heads, &lanes, &grown, |_| 0..t + 1, Precision::Block);
            prop_assert_eq!(&one.mantissas[..], &whole.mantissas[t * whole.cols..(t + 1) * whole.cols]);
            prop_assert_eq!(one.exponents[0], whole.exponents[t]);
        }
        one_k.data.clear();
        prop_assert_eq!(grown, cache);
    }
}

/// Against softmax in floating point.
#[test]
fn close_to_real_attention() {
    let heads = heads(2, 1, 64, Some(Pairs::Neighbours));
    let mut seed = 1_u32;
    let mut random = |rows, cols| {
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as i32 - (1 << 23)
        };
        Matrix {
            cols,
            data: (0..rows * cols).map(|_| next()).collect(),
            exponents: vec![-22; rows],
        }
    };
    let (tokens, real) =
        (20, |m: &Matrix, t: usize, c: usize| f64::from(m.row(t)[c]) / 4_194_304.0);
    let (q, k, v) = (random(tokens, 128), random(tokens, 64), random(tokens, 64));
    let turned = |m: &Matrix, t: usize, c: usize| {
        let frequency = f64::from(heads.rope.as_ref().expect("given").frequencies[c % 64 / 2]);
        let angle = (t as f64 * frequency / 4_294_967_296.0).fract() * std::f64::consts::TAU;
        let (x, y) = (real(m, t, c & !1), real(m, t, c | 1));
        if c.is_multiple_of(2) {
            x * angle.cos() - y * angle.sin()
        } else {
            x * angle.sin() + y * angle.cos()
        }
    };
    let mut cache = Cache::default();
    cache.append(&heads, &mut k.clone(), &v, 0);
    let lanes = queries(&heads, &mut q.clone(), 0);
    let got = simd(&heads, &lanes, &cache, |t| 0..t + 1, Precision::Block);
    for t in 0..tokens {
        for head in 0..2 {
            let scores: Vec<f64> = (0..=t)
                .map(|j| {
                    (0..64).map(|c| turned(&q, t, head * 64 + c) * turned(&k, j, c)).sum::<f64>()
                        / 8.0
                })
                .collect();
            let top = scores.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
            let sum: f64 = weights.iter().sum();
            for c in 0..64 {
                let want: f64 =
                    weights.iter().enumerate().map(|(j, w)| w / sum * real(&v, j, c)).sum();
                let col = head * 64 + c;
                let exponent = got.exponents[t] - i32::from(got.shifts[t * 4 + col / 32]);
                let value = f64::from(got.mantissas[t * 128 + col]) * f64::from(exponent).exp2();
                assert!(
                    (value - want).abs() < 4e-3,
                    "token {t}, column {col}: {value} is not {want}"
                );
            }
        }
    }
}
