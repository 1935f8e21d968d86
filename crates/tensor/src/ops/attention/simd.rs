//! The same in 128-bit vectors.

use wide::{i16x8, i32x8};

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
    let (mut values, mut exponents) = (vec![0; cols], vec![0; cols / BLOCK]);
    let mut head = Head { heads, queries, cache, weights: Vec::new() };
    for token in 0..tokens {
        for (index, (values, exponents)) in values
            .chunks_exact_mut(heads.dim)
            .zip(exponents.chunks_exact_mut(heads.blocks()))
            .enumerate()
        {
            head.attend(token, index, range(token), values, exponents);
        }
        out.push(&values, |b| exponents[b]);
    }
    out
}

struct Head<'a> {
    heads: &'a Heads,
    queries: &'a Lanes,
    cache: &'a Cache,
    /// Scores, then weights, of the keys in sight.
    weights: Vec<i32>,
}

impl Head<'_> {
    fn attend(
        &mut self,
        token: usize,
        head: usize,
        range: std::ops::Range<usize>,
        values: &mut [i32],
        exponents: &mut [i32],
    ) {
        let heads = self.heads;
        let blocks = heads.blocks();
        let kv = head / (heads.query / heads.kv) * blocks;
        let stride = heads.kv * blocks;
        let first = (token * heads.query + head) * blocks;
        let sum = self.weigh(first..first + blocks, range.clone().map(|key| key * stride + kv));
        for (b, (values, exponent)) in values.chunks_exact_mut(BLOCK).zip(exponents).enumerate() {
            let of = range.clone().map(|key| key * stride + kv + b);
            let top =
                of.clone().map(|at| self.cache.values.exponents[at]).max().unwrap_or(ZERO_EXPONENT);
            let lanes: &[[i16; BLOCK]] = bytemuck::cast_slice(&self.cache.values.mantissas);
            let mut acc = [i32x8::ZERO; BLOCK / 8];
            for (at, weight) in of.zip(&self.weights) {
                let weight = rshift(*weight, sum.shift + top - self.cache.values.exponents[at]);
                if weight != 0 {
                    let weight = i32x8::splat(weight);
                    let values: [i16x8; BLOCK / 8] = bytemuck::cast(lanes[at]);
                    for (acc, v) in acc.iter_mut().zip(values) {
                        *acc += weight * i32x8::from_i16x8(v);
                    }
                }
            }
            let acc: [i32; BLOCK] = bytemuck::cast(acc);
            for (value, acc) in values.iter_mut().zip(acc) {
                *value = mul16(acc, sum.factor);
            }
            *exponent = sum.exponent(top);
        }
    }

    /// Leaves the weights of the keys whose first blocks `keys` are.
    fn weigh(&mut self, query: std::ops::Range<usize>, keys: impl Iterator<Item = usize>) -> Sum {
        let of = |lanes: &[i16], block: usize| -> [i16x8; BLOCK / 8] {
            let block: &[i16; BLOCK] = lanes[block * BLOCK..][..BLOCK].try_into().expect("a block");
            bytemuck::cast(*block)
        };
        self.weights.clear();
        let mut top = i32::MIN;
        for key in keys {
            let mut score = 0_i32;
            for (b, q) in query.clone().enumerate() {
                let (a, k) =
                    (of(&self.queries.mantissas, q), of(&self.cache.keys.mantissas, key + b));
                let dots = a[0].dot(k[0]) + a[1].dot(k[1]) + a[2].dot(k[2]) + a[3].dot(k[3]);
                let exponent = self.queries.exponents[q] + self.cache.keys.exponents[key + b] + 16;
                score = score.saturating_add(rshift(dots.reduce_add(), -exponent));
            }
            top = top.max(score);
            self.weights.push(score);
        }
        let mut sum = 0;
        for w in &mut self.weights {
            *w = exp2_neg(top.wrapping_sub(*w) as u32) as i32;
            sum += *w as u32;
        }
        Sum::new(sum)
    }
}
