//! The definition, number by number.

use super::{Cache, Heads, Lanes, Sum, ZERO_EXPONENT};
use crate::activation::{Activation, Precision};
use crate::fixed::{exp2_neg, mul16, rshift};
use crate::weights::BLOCK;

/// What each query takes from the keys it sees, quantised. Query `t` sees the keys `range(t)`.
#[must_use]
pub fn attend(
    heads: &Heads,
    queries: &Lanes,
    cache: &Cache,
    range: impl Fn(usize) -> std::ops::Range<usize>,
    precision: Precision,
) -> Activation {
    let cols = heads.query * heads.dim;
    let tokens = queries.mantissas.len() / cols;
    let mut out = Activation::with_capacity(precision, tokens, cols);
    for token in 0..tokens {
        let (mut values, mut exponents) =
            (Vec::with_capacity(cols), Vec::with_capacity(cols / BLOCK));
        for head in 0..heads.query {
            attend_head(
                heads,
                queries,
                cache,
                (token, head),
                range(token),
                &mut values,
                &mut exponents,
            );
        }
        out.push(&values, |b| exponents[b]);
    }
    out
}

fn attend_head(
    heads: &Heads,
    queries: &Lanes,
    cache: &Cache,
    (token, head): (usize, usize),
    range: std::ops::Range<usize>,
    values: &mut Vec<i32>,
    exponents: &mut Vec<i32>,
) {
    let kv = head / (heads.query / heads.kv);
    let query_block = (token * heads.query + head) * heads.blocks();
    let key_block = |key: usize| (key * heads.kv + kv) * heads.blocks();

    let scores: Vec<i32> = range
        .clone()
        .map(|key| {
            (0..heads.blocks()).fold(0_i32, |score, b| {
                let (q, k) = (query_block + b, key_block(key) + b);
                let dot: i32 = (0..BLOCK)
                    .map(|i| {
                        i32::from(queries.mantissas[q * BLOCK + i])
                            * i32::from(cache.keys.mantissas[k * BLOCK + i])
                    })
                    .sum();
                let exponent = queries.exponents[q] + cache.keys.exponents[k] + 16;
                score.saturating_add(rshift(dot, -exponent))
            })
        })
        .collect();
    let top = scores.iter().copied().max().expect("a query sees at least itself");

    let weights: Vec<u32> = scores.iter().map(|s| exp2_neg(top.wrapping_sub(*s) as u32)).collect();
    let sum = Sum::new(weights.iter().sum());

    for b in 0..heads.blocks() {
        let exponent = |key: usize| cache.values.exponents[key_block(key) + b];
        let top = range.clone().map(exponent).max().unwrap_or(ZERO_EXPONENT);
        for i in 0..BLOCK {
            let total: i32 = range
                .clone()
                .zip(&weights)
                .map(|(key, weight)| {
                    let value = i32::from(cache.values.mantissas[(key_block(key) + b) * BLOCK + i]);
                    rshift(*weight as i32, sum.shift + top - exponent(key)) * value
                })
                .sum();
            values.push(mul16(total, sum.factor));
        }
        exponents.push(sum.exponent(top));
    }
}
