use proptest::prelude::*;

use super::{reference, simd};
use crate::activation::{Matrix, Precision, quantise};
use crate::weights::{Block, Kind, Weights, pack_blocks, pack_floats};

/// Numbers between the everyday and the extreme.
fn number() -> impl Strategy<Value = i32> {
    prop_oneof![4 => -100_000..100_000, 1 => Just(0), 1 => Just(i32::MAX), 1 => Just(-i32::MAX)]
}

fn scale() -> impl Strategy<Value = f64> {
    prop_oneof![6 => 0.001f64..0.01, 1 => Just(0.0), 1 => -0.05f64..-0.001, 1 => 1e-7f64..1e-6]
}

/// Weights of every kind, full-range numbers among them.
pub(crate) fn weights(kind: Kind, rows: usize, cols: usize) -> BoxedStrategy<Weights> {
    let blocks = rows * cols / 32;
    match kind {
        Kind::R16 => {
            prop::collection::vec(prop_oneof![9 => -0.2f32..0.2, 1 => -9f32..9.0], rows * cols)
                .prop_map(move |v| pack_floats(rows, cols, &v).expect("finite"))
                .boxed()
        }
        _ => {
            let (low, high) = if kind == Kind::N4 { (-8i8, 7) } else { (-128, 127) };
            let q = prop_oneof![4 => low..=high, 1 => Just(low), 1 => Just(high)];
            let block = (prop::collection::vec(q, 32), scale(), scale());
            prop::collection::vec(block, blocks)
                .prop_map(move |v| {
                    let blocks: Vec<Block> = v
                        .into_iter()
                        .map(|(q, scale, min)| Block {
                            q: q.try_into().expect("32 numbers"),
                            scale,
                            min: if kind == Kind::N4 { min } else { 0.0 },
                        })
                        .collect();
                    pack_blocks(kind, rows, cols, &blocks).expect("finite")
                })
                .boxed()
        }
    }
}

pub(crate) fn matrix(rows: usize, cols: usize) -> impl Strategy<Value = Matrix> {
    let data = prop::collection::vec(number(), rows * cols);
    (data, prop::collection::vec(-30i32..0, rows)).prop_map(move |(data, exponents)| Matrix {
        cols,
        data,
        exponents,
    })
}

fn case() -> impl Strategy<Value = (Weights, Matrix)> {
    let kind = prop::sample::select(vec![Kind::N4, Kind::B8, Kind::R16]);
    (kind, 1usize..20, 1usize..4, 1usize..7).prop_flat_map(|(kind, rows, blocks, tokens)| {
        (weights(kind, rows, blocks * 32), matrix(tokens, blocks * 32))
    })
}

proptest! {
    #[test]
    fn simd_equals_the_reference((w, x) in case()) {
        let a = quantise(&x, Precision::from(w.shape().kind));
        prop_assert_eq!(simd(&w, &a), reference(&w, &a));
    }

    #[test]
    fn a_product_is_close_to_the_real_one((w, x) in case()) {
        let a = quantise(&x, Precision::from(w.shape().kind));
        let shape = *w.shape();
        let got = reference(&w, &a);
        for token in 0..x.rows() {
            for row in 0..shape.rows {
                let scale = shape.exponent - (shape.dot_shift + shape.sum_shift) as i32 - i32::from(w.shifts()[row]);
                let (mut want, mut size) = (0.0, 0.0);
                for k in 0..shape.cols {
                    let (d, m) = w.scale(row, k / 32);
                    let block = a.exponents[token] - i32::from(a.shifts[token * shape.cols / 32 + k / 32]);
                    let value = f64::from(a.mantissas[token * shape.cols + k]) * f64::from(block).exp2();
                    let weight = f64::from(w.number(row, k) * d + m) * f64::from(scale).exp2();
                    want += value * weight;
                    size += (f64::from(d.abs()) * f64::from(w.number(row, k).abs().max(8)) + f64::from(m.abs()))
                        * f64::from(scale).exp2() * f64::from(a.exponents[token]).exp2() * 16384.0;
                }
                let got = f64::from(got.row(token)[row]) * f64::from(got.exponents[token]).exp2();
                let step = f64::from(shape.exponent + a.exponents[token]).exp2();
                prop_assert!((got - want).abs() <= size * 1e-4 + step, "{got} is not {want} (size {size})");
            }
        }
    }

    #[test]
    fn weights_survive_their_bytes((w, _) in case()) {
        let again = Weights::decode(*w.shape(), &w.encode()).expect("its own bytes");
        prop_assert_eq!(again.words(), w.words());
        prop_assert_eq!(again.shape(), w.shape());
    }

    #[test]
    fn hostile_weights_are_refused_or_safe(bytes in prop::collection::vec(any::<u8>(), 160 + 16), dot in 0u32..17, sum in 0u32..17) {
        let shape = crate::weights::Shape { kind: Kind::N4, rows: 8, cols: 32, exponent: 0, dot_shift: dot, sum_shift: sum };
        if let Ok(w) = Weights::decode(shape, &bytes) {
            let x = Matrix { cols: 32, data: vec![i32::MAX; 32], exponents: vec![0] };
            let a = quantise(&x, Precision::Block);
            prop_assert_eq!(simd(&w, &a), reference(&w, &a)); // overflow checks are on in tests
        }
    }
}

#[test]
fn packing_keeps_four_bit_blocks_exactly() {
    let q: [i8; 32] = std::array::from_fn(|i| (i % 16) as i8 - 8);
    let block = Block { q, scale: 1.25 / 64.0, min: 3.0 / 128.0 };
    let w = pack_blocks(Kind::N4, 1, 32, &[block]).expect("finite");
    let (d, m) = w.scale(0, 0);
    let unit =
        f64::from(w.shape().exponent - (w.shape().dot_shift + w.shape().sum_shift) as i32).exp2();
    assert_eq!((f64::from(d) * unit, f64::from(m) * unit), (block.scale, block.min));
    for (k, want) in q.into_iter().enumerate() {
        assert_eq!(w.number(0, k), i32::from(want), "column {k}");
    }
}
