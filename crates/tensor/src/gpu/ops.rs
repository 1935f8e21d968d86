//! Each operator as the kernels that do it.

use std::ops::Range;

use super::buffers::{Activation, Bias, Cache, Lanes, Matrix, Norm, Queries, Slot, Weights};
use super::kernels::Kernel;
use super::recorder::AXIS;
use super::{Error, Gpu};
use crate::activation::{self, Precision};
use crate::backend::{self, Backend};
use crate::ops::attention::{Heads, Pairs};
use crate::ops::norm::{self, STREAM_LIMIT};
use crate::weights::{self, BLOCK, GROUP, Kind};

/// Positions that a cache has room for at first; it doubles.
const ROOM: usize = 256;
/// Most blocks of a token that is quantised: what workgroup memory holds.
const MAX_BLOCKS: usize = 768;
/// Words of scores that one round of attention may have.
const SCORES: usize = 8 << 20;
/// Bits of queries' and keys' magnitudes, and of values'.
const KEY_BITS: u32 = 12;
const VALUE_BITS: u32 = 11;

fn words(values: &[i32]) -> &[u32] {
    bytemuck::cast_slice(values)
}

fn int(value: i32) -> u32 {
    value as u32
}

/// What is brought to 16 bits, with the position of its first token.
#[derive(Clone, Copy)]
enum Role {
    Query(usize),
    Key(usize),
    Value,
}

/// What values come from: data, exponents, and whether these are of blocks.
struct Values<'a> {
    data: &'a Slot,
    exponents: &'a Slot,
    by_block: bool,
}

impl Gpu {
    /// Takes a matrix to the device.
    #[must_use]
    pub fn matrix(&self, x: &activation::Matrix) -> Matrix {
        Matrix {
            rows: x.rows(),
            cols: x.cols,
            data: self.recorder.upload(words(&x.data)),
            exponents: self.recorder.upload(words(&x.exponents)),
        }
    }

    fn new_matrix(&self, rows: usize, cols: usize) -> Matrix {
        Matrix {
            rows,
            cols,
            data: self.recorder.room(rows * cols),
            exponents: self.recorder.room(rows),
        }
    }

    /// A kernel that ends in quantise.wgsl; `inputs` are its bindings from 4 up.
    fn quantised(
        &self,
        kernel: Kernel,
        (tokens, cols): (usize, usize),
        precision: Precision,
        inputs: &[&Slot],
        (a, b): (i32, u32),
    ) -> Activation {
        assert!(
            cols.is_multiple_of(BLOCK) && cols / BLOCK <= MAX_BLOCKS,
            "{cols} columns can't be quantised"
        );
        let blocks = tokens * cols / BLOCK;
        let out = Activation {
            precision,
            tokens,
            cols,
            mantissas: self.recorder.room(blocks * 16),
            blocks: self.recorder.room(blocks),
            exponents: self.recorder.room(tokens),
        };
        let mut slots = vec![&out.mantissas, &out.blocks, &out.exponents];
        slots.extend_from_slice(inputs);
        let params = [cols as u32, u32::from(precision == Precision::Row), int(a), b];
        let work = (tokens * cols) as f64 * 20.0;
        self.recorder.dispatch(kernel, &slots, &params, [tokens as u32, 1, 1], work);
        out
    }

    fn quantise_values(
        &self,
        shape: (usize, usize),
        precision: Precision,
        values: &Values<'_>,
    ) -> Activation {
        let inputs = [values.data, values.exponents];
        self.quantised(Kernel::Quantise, shape, precision, &inputs, (0, u32::from(values.by_block)))
    }

    fn add_to(&self, x: &Matrix, y: &Slot, exponents: &Slot, bias: Option<i32>, limit: i32) {
        let count = (x.rows * x.cols) as u32;
        let across = count.div_ceil(64).min(1 << 10);
        let stride = across * 64;
        let params = [
            x.cols as u32,
            count,
            u32::from(bias.is_some()),
            int(bias.unwrap_or(0)),
            int(limit),
            stride,
        ];
        let grid = [across, count.div_ceil(stride), 1];
        self.recorder.dispatch(
            Kernel::Add,
            &[&x.data, &x.exponents, y, exponents],
            &params,
            grid,
            f64::from(count),
        );
    }

    /// Queries, keys or values to 16 bits, into `out` from block `first` on.
    fn lanes(&self, heads: &Heads, x: &Matrix, role: Role, out: &Lanes, first: usize) {
        let (turn, width) = match role {
            Role::Query(position) | Role::Key(position) => (Some(position), KEY_BITS),
            Role::Value => (None, VALUE_BITS),
        };
        let rope = heads.rope.as_ref().filter(|_| turn.is_some());
        let frequencies = rope.map_or(&[][..], |rope| &rope.frequencies);
        let mode = match rope.map(|rope| rope.pairs) {
            None => 0,
            Some(Pairs::Neighbours) => 1,
            Some(Pairs::Halves) => 2,
        };
        let (factor, shift) = if matches!(role, Role::Query(_)) { heads.scale } else { (0, 0) };
        let params = [
            x.cols as u32,
            heads.dim as u32,
            turn.unwrap_or(0) as u32,
            mode,
            frequencies.len() as u32,
            int(factor),
            // Sines have 15 fraction bits where the product drops 16.
            int(shift + i32::from(rope.is_some())),
            width,
            first as u32,
        ];
        let slots = [
            &x.data,
            &x.exponents,
            &self.recorder.kept(frequencies),
            self.recorder.tables(),
            &out.mantissas,
            &out.exponents,
        ];
        let grid = [(x.cols / BLOCK) as u32, x.rows as u32, 1];
        self.recorder.dispatch(
            Kernel::Lanes,
            &slots,
            &params,
            grid,
            (x.rows * x.cols) as f64 * 20.0,
        );
    }

    fn new_lanes(&self, blocks: usize) -> Lanes {
        Lanes { mantissas: self.recorder.room(blocks * 16), exponents: self.recorder.room(blocks) }
    }

    /// Doubles a cache until it has room for so many positions.
    fn grow(&self, cache: &mut Cache, positions: usize) {
        if positions <= cache.room {
            return;
        }
        let room = positions.next_power_of_two();
        let new = self.new_lanes(2 * room * cache.width);
        let (kept, old) = (cache.len * cache.width, cache.room * cache.width);
        let (from, to) = (&cache.lanes, &new);
        for (first, target) in [(0, 0), (old, room * cache.width)] {
            self.recorder.copy(
                (&from.mantissas.buffer, first * 16),
                (&to.mantissas.buffer, target * 16),
                kept * 16,
            );
            self.recorder.copy(
                (&from.exponents.buffer, first),
                (&to.exponents.buffer, target),
                kept,
            );
        }
        (cache.room, cache.lanes) = (room, new);
    }
}

impl Backend for Gpu {
    type Matrix = Matrix;
    type Activation = Activation;
    type Weights = Weights;
    type Norm = Norm;
    type Bias = Bias;
    type Cache = Cache;
    type Queries = Queries;
    type Error = Error;

    fn weights(&self, weights: weights::Weights) -> Weights {
        Weights {
            shape: *weights.shape(),
            data: self.recorder.upload(weights.words()),
            shifts: self
                .recorder
                .upload(&bytemuck::pod_collect_to_vec::<u8, u32>(weights.shifts())),
        }
    }

    fn norm(&self, norm: norm::Norm) -> Norm {
        let gains: Vec<u32> = norm.gains.iter().map(|g| int(i32::from(*g))).collect();
        Norm {
            cols: gains.len(),
            exponent: norm.exponent,
            epsilon: norm.epsilon,
            gains: self.recorder.upload(&gains),
            bias: self.recorder.upload(words(&norm.bias)),
        }
    }

    fn bias(&self, bias: backend::Bias) -> Bias {
        let values = self.recorder.upload(words(&bias.values));
        Bias { cols: bias.values.len(), exponent: bias.exponent, values }
    }

    fn cache(&self, heads: &Heads, positions: usize) -> Cache {
        let (width, room) = (heads.kv * heads.dim / BLOCK, positions.clamp(1, ROOM));
        Cache { width, room, len: 0, lanes: self.new_lanes(2 * room * width) }
    }

    fn embed(&self, table: &Weights, ids: &[u32], fraction: u32) -> Matrix {
        let shape = &table.shape;
        assert!(ids.iter().all(|id| (*id as usize) < shape.rows), "ids of the vocabulary");
        let out = self.new_matrix(ids.len(), shape.cols);
        let exponent = -(fraction as i32);
        let shift = exponent - (shape.exponent - (shape.dot_shift + shape.sum_shift) as i32);
        let kind = u32::from(shape.kind.code());
        let params = [
            shape.cols as u32,
            ids.len() as u32,
            shape.rows as u32,
            kind,
            int(shift),
            int(exponent),
        ];
        let slots =
            [&table.data, &table.shifts, &self.recorder.upload(ids), &out.data, &out.exponents];
        let grid = [shape.cols.div_ceil(64) as u32, ids.len() as u32, 1];
        self.recorder.dispatch(
            Kernel::Embed,
            &slots,
            &params,
            grid,
            (ids.len() * shape.cols) as f64,
        );
        out
    }

    fn rows(&self, x: &Matrix, rows: Range<usize>) -> Matrix {
        assert!(rows.start <= rows.end && rows.end <= x.rows, "rows of the matrix");
        let out = self.new_matrix(rows.len(), x.cols);
        let first = rows.start;
        self.recorder.copy(
            (&x.data.buffer, first * x.cols),
            (&out.data.buffer, 0),
            rows.len() * x.cols,
        );
        self.recorder.copy((&x.exponents.buffer, first), (&out.exponents.buffer, 0), rows.len());
        out
    }

    fn rms_norm(&self, x: &Matrix, norm: &Norm, precision: Precision) -> Activation {
        assert_eq!(x.cols, norm.cols, "a gain for each column");
        let inputs = [&x.data, &norm.gains];
        self.quantised(
            Kernel::RmsNorm,
            (x.rows, x.cols),
            precision,
            &inputs,
            (norm.exponent, norm.epsilon),
        )
    }

    fn layer_norm(&self, x: &mut Matrix, norm: &Norm) {
        assert_eq!(x.cols, norm.cols, "a gain for each column");
        let params = [x.cols as u32, int(norm.exponent), norm.epsilon];
        let slots = [&x.data, &x.exponents, &norm.gains, &norm.bias];
        let work = (x.rows * x.cols) as f64 * 10.0;
        self.recorder.dispatch(Kernel::LayerNorm, &slots, &params, [x.rows as u32, 1, 1], work);
    }

    fn quantise(&self, x: &Matrix, precision: Precision) -> Activation {
        let values = Values { data: &x.data, exponents: &x.exponents, by_block: false };
        self.quantise_values((x.rows, x.cols), precision, &values)
    }

    fn linear(&self, weights: &Weights, a: &Activation) -> Matrix {
        let (shape, tiles) = (&weights.shape, self.recorder.tiles());
        assert_eq!(
            (a.cols, a.precision),
            (shape.cols, Precision::from(shape.kind)),
            "an activation for these weights"
        );
        let out = self.new_matrix(a.tokens, shape.rows);
        let slots = [
            &weights.data,
            &weights.shifts,
            &a.mantissas,
            &a.blocks,
            &a.exponents,
            &out.data,
            &out.exponents,
        ];
        let (kernel, across, down) = if a.tokens <= tiles.few {
            (Kernel::vector(shape.kind), tiles.vector.0, 1)
        } else {
            (Kernel::product(shape.kind), tiles.product.0, 4 * tiles.product.1 as usize)
        };
        // A slice has whole workgroups: some tokens, and as many groups of rows as then fit.
        let budget = self.recorder.pace().budget();
        let one = (GROUP * shape.cols) as f64 * if shape.kind == Kind::R16 { 2.0 } else { 1.0 };
        let tokens = (budget / (one * f64::from(across))) as usize / down * down;
        let tokens = tokens.max(down).min(a.tokens);
        // Reading weights takes as long as some tokens do.
        let each = one * tokens.max(4) as f64;
        let fitting = (budget / each) as u32 / across * across;
        let groups = shape.rows.div_ceil(GROUP) as u32;
        let fitting = fitting.clamp(across, AXIS * across).min(groups);
        for token in (0..a.tokens).step_by(tokens) {
            let end = (token + tokens).min(a.tokens);
            for first in (0..groups).step_by(fitting as usize) {
                let last = (first + fitting).min(groups);
                let params = [
                    shape.rows as u32,
                    a.width() as u32,
                    end as u32,
                    int(shape.exponent),
                    shape.dot_shift,
                    shape.sum_shift,
                    first,
                    last,
                    token as u32,
                ];
                let grid =
                    [(last - first).div_ceil(across), (end - token).div_ceil(down) as u32, 1];
                self.recorder.dispatch(
                    kernel,
                    &slots,
                    &params,
                    grid,
                    each * f64::from(last - first),
                );
            }
        }
        out
    }

    fn add(&self, x: &mut Matrix, y: &Matrix) {
        assert_eq!((x.rows, x.cols), (y.rows, y.cols), "matrices of one shape");
        self.add_to(x, &y.data, &y.exponents, None, STREAM_LIMIT);
    }

    fn add_bias(&self, x: &mut Matrix, bias: &Bias) {
        assert_eq!(x.cols, bias.cols, "a bias for each column");
        self.add_to(x, &bias.values, &x.exponents, Some(bias.exponent), i32::MAX);
    }

    fn queries(&self, heads: &Heads, q: Matrix, position: usize) -> Queries {
        let lanes = self.new_lanes(q.rows * q.cols / BLOCK);
        self.lanes(heads, &q, Role::Query(position), &lanes, 0);
        Queries { tokens: q.rows, lanes }
    }

    fn append(&self, cache: &mut Cache, heads: &Heads, k: Matrix, v: &Matrix, position: usize) {
        self.grow(cache, cache.len + k.rows);
        let first = cache.len * cache.width;
        self.lanes(heads, &k, Role::Key(position), &cache.lanes, first);
        let first = first + cache.room * cache.width;
        self.lanes(heads, v, Role::Value, &cache.lanes, first);
        cache.len += k.rows;
    }

    fn truncate(&self, cache: &mut Cache, _: &Heads, positions: usize) {
        cache.len = cache.len.min(positions);
    }

    fn attend(
        &self,
        heads: &Heads,
        queries: &Queries,
        cache: &Cache,
        sight: &[Range<usize>],
        precision: Precision,
    ) -> Activation {
        assert_eq!(sight.len(), queries.tokens, "a range for each query");
        assert!(sight.iter().all(|s| s.start < s.end && s.end <= cache.len), "keys that are there");
        let (tokens, cols) = (queries.tokens, heads.query * heads.dim);
        let blocks = heads.dim / BLOCK;
        let ranges: Vec<u32> = sight.iter().flat_map(|s| [s.start as u32, s.end as u32]).collect();
        let sight_slot = &self.recorder.kept(&ranges);
        let stride = sight.iter().map(Range::len).max().unwrap_or(0);
        let (data, exponents) =
            (self.recorder.room(tokens * cols), self.recorder.room(tokens * cols / BLOCK));

        let each = (stride * cols) as f64 * 2.0;
        let most =
            (SCORES / (heads.query * stride)).min((self.recorder.pace().budget() / each) as usize);
        let most = most.clamp(1, AXIS as usize);
        for token in (0..tokens).step_by(most) {
            let count = most.min(tokens - token);
            let scores = self.recorder.room(count * heads.query * stride);
            let sums = self.recorder.room(count * heads.query);
            let params = [
                heads.query,
                heads.query / heads.kv,
                heads.kv,
                blocks,
                token,
                stride,
                cache.room * cache.width,
            ]
            .map(|n| n as u32);
            let work = each / 2.0 * count as f64;
            let (count, query) = (count as u32, heads.query as u32);
            let (q, c) = (&queries.lanes, &cache.lanes);
            let slots =
                [&q.mantissas, &q.exponents, &c.mantissas, &c.exponents, sight_slot, &scores];
            let grid = [stride.div_ceil(64) as u32, query, count];
            self.recorder.dispatch(Kernel::Scores, &slots, &params, grid, work);
            let slots = [sight_slot, self.recorder.tables(), &scores, &sums];
            self.recorder.dispatch(
                Kernel::Weights,
                &slots,
                &params,
                [query, count, 1],
                work / heads.dim as f64,
            );
            let slots = [sight_slot, &scores, &sums, &c.mantissas, &c.exponents, &data, &exponents];
            self.recorder.dispatch(
                Kernel::Sum,
                &slots,
                &params,
                [query * blocks as u32, count, 1],
                work,
            );
        }
        let values = Values { data: &data, exponents: &exponents, by_block: true };
        self.quantise_values((tokens, cols), precision, &values)
    }

    fn silu_mul(&self, gate: &Matrix, up: &Matrix, precision: Precision) -> Activation {
        assert_eq!((gate.rows, gate.cols), (up.rows, up.cols), "matrices of one shape");
        let inputs = [&gate.data, &gate.exponents, &up.data, &up.exponents, self.recorder.tables()];
        self.quantised(Kernel::SiluMul, (gate.rows, gate.cols), precision, &inputs, (0, 0))
    }

    fn gelu(&self, x: &Matrix, precision: Precision) -> Activation {
        let inputs = [&x.data, &x.exponents, self.recorder.tables()];
        self.quantised(Kernel::Gelu, (x.rows, x.cols), precision, &inputs, (0, 0))
    }

    /// Waits until the device has at most one more slice to do, and gives the caller's thread to
    /// others meanwhile.
    async fn pace(&self) -> Result<(), Error> {
        self.recorder.wait(1).await;
        self.alive()
    }

    async fn read(&self, x: &Matrix) -> Result<activation::Matrix, Error> {
        self.read_matrix(x).await
    }

    async fn read_activation(&self, a: &Activation) -> Result<activation::Activation, Error> {
        self.read_quantised(a).await
    }

    async fn argmax(&self, x: &Matrix) -> Result<Vec<u32>, Error> {
        let found = self.recorder.room(x.rows);
        let work = (x.rows * x.cols) as f64;
        self.recorder.dispatch(
            Kernel::Argmax,
            &[&x.data, &found],
            &[x.cols as u32],
            [x.rows as u32, 1, 1],
            work,
        );
        let parts = self.fetch(&[(&found, x.rows)]).await?;
        Ok(parts.into_iter().next().unwrap_or_default())
    }
}
