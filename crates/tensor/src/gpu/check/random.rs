//! Inputs that follow from a seed, everyday ones and extremes.

use crate::activation::Matrix;
use crate::backend::Bias;
use crate::ops::norm::{Norm, STREAM_LIMIT};
use crate::weights::{BLOCK, Block, Kind, Weights, pack_blocks, pack_floats};

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub(in crate::gpu) struct Random(u64);

impl Random {
    pub(in crate::gpu) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.bits() % (high - low + 1) as u64) as i64
    }

    pub(super) fn size(&mut self, low: usize, high: usize) -> usize {
        self.between(low as i64, high as i64) as usize
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.size(0, from.len() - 1)]
    }

    pub(super) fn chance(&mut self, of: i64) -> bool {
        self.between(1, of) == 1
    }

    fn real(&mut self, low: f64, high: f64) -> f64 {
        low + (self.bits() >> 11) as f64 / (1_u64 << 53) as f64 * (high - low)
    }

    /// A number of any size up to `limit`, often an extreme one.
    fn number(&mut self, limit: i32) -> i32 {
        match self.between(0, 9) {
            0 => 0,
            1 => self.pick(&[limit, -limit, 1, -1]),
            2 => self.between(-i64::from(limit), i64::from(limit)) as i32,
            3 => (self.bits() as i32 >> self.between(1, 31)).clamp(-limit, limit),
            _ => self.between(-100_000, 100_000) as i32,
        }
    }

    /// Values that are like each other, or not, or nearly all zero; blocks of nothing among them.
    fn values(&mut self, count: usize, limit: i32) -> Vec<i32> {
        let style = self.between(0, 5);
        let small = self.between(1, 30);
        let mut values: Vec<i32> = (0..count)
            .map(|_| match style {
                0 => self.bits() as i32 >> small,
                1 if self.chance(10) => self.number(limit),
                1 => 0,
                2 => self.pick(&[limit, -limit]),
                _ => self.number(limit),
            })
            .collect();
        for block in values.chunks_mut(BLOCK) {
            if self.chance(8) {
                block.fill(0);
            }
        }
        values
    }

    /// Any 32-bit numbers, -2^31 left out as no operator makes it.
    pub(in crate::gpu) fn matrix(&mut self, rows: usize, cols: usize) -> Matrix {
        let data = (0..rows).flat_map(|_| self.values(cols, i32::MAX)).collect();
        Matrix { cols, data, exponents: (0..rows).map(|_| self.between(-30, 4) as i32).collect() }
    }

    /// What the residual stream can hold.
    pub(super) fn stream(&mut self, rows: usize, cols: usize, fraction: i32) -> Matrix {
        let data = (0..rows).flat_map(|_| self.values(cols, STREAM_LIMIT)).collect();
        Matrix { cols, data, exponents: vec![-fraction; rows] }
    }

    pub(in crate::gpu) fn weights(&mut self, kind: Kind, rows: usize, cols: usize) -> Weights {
        let packed = if kind == Kind::R16 {
            let top = self.pick(&[0.01, 1.0, 30.0]);
            let values: Vec<f32> = (0..rows * cols)
                .map(|_| if self.chance(30) { 9.0 } else { self.real(-top, top) as f32 })
                .collect();
            pack_floats(rows, cols, &values)
        } else {
            let (low, high) = if kind == Kind::N4 { (-8, 7) } else { (-128, 127) };
            let blocks: Vec<Block> = (0..rows * cols / BLOCK)
                .map(|_| {
                    let full = self.chance(5);
                    let q = std::array::from_fn(|_| {
                        if full {
                            self.pick(&[low, high]) as i8
                        } else {
                            self.between(low, high) as i8
                        }
                    });
                    let min = if kind == Kind::N4 { self.scale() } else { 0.0 };
                    Block { q, scale: self.scale(), min }
                })
                .collect();
            pack_blocks(kind, rows, cols, &blocks)
        };
        packed.expect("finite numbers of a good shape")
    }

    fn scale(&mut self) -> f64 {
        match self.between(0, 8) {
            0 => 0.0,
            1 => self.real(-0.05, -0.001),
            2 => self.real(1e-7, 1e-6),
            _ => self.real(0.001, 0.01),
        }
    }

    pub(super) fn norm(&mut self, cols: usize, fraction: u32, biased: bool) -> Norm {
        let top = self.pick(&[0.1, 3.0, 1000.0]);
        let mut reals = |count: usize| -> Vec<f32> {
            (0..count).map(|_| self.real(-top, top) as f32).collect()
        };
        let (gains, bias) = (reals(cols), reals(if biased { cols } else { 0 }));
        let epsilon = self.pick(&[0.0, 1e-12, 1e-5]);
        Norm::new(&gains, &bias, epsilon, fraction)
    }

    pub(super) fn bias(&mut self, cols: usize) -> Bias {
        Bias { values: self.values(cols, i32::MAX), exponent: self.between(-40, 8) as i32 }
    }

    pub(super) fn words(&mut self, count: usize) -> Vec<u32> {
        (0..count).map(|_| self.bits() as u32).collect()
    }
}
