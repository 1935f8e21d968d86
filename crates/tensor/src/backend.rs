//! Where operators run: one trait, so that a model is written once.
//!
//! Operators are recorded or done in order and can't fail; what a device could fail with (being
//! lost) comes out when something is read back.

use std::ops::Range;

use crate::activation::{self, Activation, Matrix, Precision};
use crate::ops::attention::{self, Heads};
use crate::ops::norm::{self, Norm};
use crate::ops::{embed, gate, linear};
use crate::weights::Weights;

/// Integers that a bias adds: `values * 2^exponent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bias {
    /// One for each column.
    pub values: Vec<i32>,
    /// Their exponent.
    pub exponent: i32,
}

/// The operators of docs/arithmetic.md, on some device.
pub trait Backend {
    /// Exact 32-bit values.
    type Matrix;
    /// Quantised values.
    type Activation;
    /// A matrix of weights, where the device wants it.
    type Weights;
    /// A norm's weights.
    type Norm;
    /// A bias.
    type Bias;
    /// Keys and values of one layer.
    type Cache;
    /// Queries.
    type Queries;
    /// Why nothing can be read any more.
    type Error: std::error::Error + 'static;

    /// Takes weights to the device.
    fn weights(&self, weights: Weights) -> Self::Weights;
    /// Takes a norm to the device.
    fn norm(&self, norm: Norm) -> Self::Norm;
    /// Takes a bias to the device.
    fn bias(&self, bias: Bias) -> Self::Bias;
    /// An empty cache with room for `positions` positions.
    fn cache(&self, heads: &Heads, positions: usize) -> Self::Cache;

    /// [`embed::embed`].
    fn embed(&self, table: &Self::Weights, ids: &[u32], fraction: u32) -> Self::Matrix;
    /// The rows `rows` of a matrix.
    fn rows(&self, x: &Self::Matrix, rows: Range<usize>) -> Self::Matrix;
    /// [`norm::rms_norm`].
    fn rms_norm(
        &self,
        x: &Self::Matrix,
        norm: &Self::Norm,
        precision: Precision,
    ) -> Self::Activation;
    /// [`norm::layer_norm`].
    fn layer_norm(&self, x: &mut Self::Matrix, norm: &Self::Norm);
    /// [`activation::quantise`].
    fn quantise(&self, x: &Self::Matrix, precision: Precision) -> Self::Activation;
    /// [`linear::reference`].
    fn linear(&self, weights: &Self::Weights, a: &Self::Activation) -> Self::Matrix;
    /// [`norm::add`].
    fn add(&self, x: &mut Self::Matrix, y: &Self::Matrix);
    /// [`norm::add_bias`].
    fn add_bias(&self, x: &mut Self::Matrix, bias: &Self::Bias);
    /// [`attention::queries`].
    fn queries(&self, heads: &Heads, q: Self::Matrix, position: usize) -> Self::Queries;
    /// [`attention::Cache::append`].
    fn append(
        &self,
        cache: &mut Self::Cache,
        heads: &Heads,
        k: Self::Matrix,
        v: &Self::Matrix,
        position: usize,
    );
    /// Forgets all but the first `positions` of a cache.
    fn truncate(&self, cache: &mut Self::Cache, heads: &Heads, positions: usize);
    /// [`attention::reference`]; `sight` has for each query the keys that it sees.
    fn attend(
        &self,
        heads: &Heads,
        queries: &Self::Queries,
        cache: &Self::Cache,
        sight: &[Range<usize>],
        precision: Precision,
    ) -> Self::Activation;
    /// [`gate::silu_mul`].
    fn silu_mul(
        &self,
        gate: &Self::Matrix,
        up: &Self::Matrix,
        precision: Precision,
    ) -> Self::Activation;
    /// [`gate::gelu`].
    fn gelu(&self, x: &Self::Matrix, precision: Precision) -> Self::Activation;

    /// Waits until little recorded work is left to do, so that it doesn't pile up: called between
    /// slices.
    ///
    /// # Errors
    /// As [`Backend::read`].
    fn pace(&self) -> impl Future<Output = Result<(), Self::Error>> {
        std::future::ready(Ok(()))
    }
    /// Reads a matrix back.
    ///
    /// # Errors
    /// When the device was lost since the last read: nothing of it can be used any more.
    fn read(&self, x: &Self::Matrix) -> impl Future<Output = Result<Matrix, Self::Error>>;
    /// Reads an activation back.
    ///
    /// # Errors
    /// As [`Backend::read`].
    fn read_activation(
        &self,
        a: &Self::Activation,
    ) -> impl Future<Output = Result<Activation, Self::Error>>;
    /// For each row the column of its largest value ([`crate::ops::sample::argmax`]).
    ///
    /// # Errors
    /// As [`Backend::read`].
    fn argmax(&self, x: &Self::Matrix) -> impl Future<Output = Result<Vec<u32>, Self::Error>>;
}

/// The processor: by the definition, or in vectors.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    vectors: bool,
}

impl Cpu {
    /// Number by number, as the definition reads. Slow.
    #[must_use]
    pub const fn reference() -> Self {
        Self { vectors: false }
    }

    /// In 128-bit vectors.
    #[must_use]
    pub const fn simd() -> Self {
        Self { vectors: true }
    }
}

impl Backend for Cpu {
    type Matrix = Matrix;
    type Activation = Activation;
    type Weights = Weights;
    type Norm = Norm;
    type Bias = Bias;
    type Cache = attention::Cache;
    type Queries = attention::Lanes;
    type Error = std::convert::Infallible;

    fn weights(&self, weights: Weights) -> Weights {
        weights
    }

    fn norm(&self, norm: Norm) -> Norm {
        norm
    }

    fn bias(&self, bias: Bias) -> Bias {
        bias
    }

    fn cache(&self, _: &Heads, _: usize) -> attention::Cache {
        attention::Cache::default()
    }

    fn embed(&self, table: &Weights, ids: &[u32], fraction: u32) -> Matrix {
        embed::embed(table, ids, fraction)
    }

    fn rows(&self, x: &Matrix, rows: Range<usize>) -> Matrix {
        Matrix {
            cols: x.cols,
            data: x.data[rows.start * x.cols..rows.end * x.cols].to_vec(),
            exponents: x.exponents[rows].to_vec(),
        }
    }

    fn rms_norm(&self, x: &Matrix, norm: &Norm, precision: Precision) -> Activation {
        norm::rms_norm(x, norm, precision)
    }

    fn layer_norm(&self, x: &mut Matrix, norm: &Norm) {
        norm::layer_norm(x, norm);
    }

    fn quantise(&self, x: &Matrix, precision: Precision) -> Activation {
        activation::quantise(x, precision)
    }

    fn linear(&self, weights: &Weights, a: &Activation) -> Matrix {
        if self.vectors { linear::simd(weights, a) } else { linear::reference(weights, a) }
    }

    fn add(&self, x: &mut Matrix, y: &Matrix) {
        norm::add(x, y);
    }

    fn add_bias(&self, x: &mut Matrix, bias: &Bias) {
        norm::add_bias(x, &bias.values, bias.exponent);
    }

    fn queries(&self, heads: &Heads, mut q: Matrix, position: usize) -> attention::Lanes {
        attention::queries(heads, &mut q, position)
    }

    fn append(
        &self,
        cache: &mut attention::Cache,
        heads: &Heads,
        mut k: Matrix,
        v: &Matrix,
        position: usize,
    ) {
        cache.append(heads, &mut k, v, position);
    }

    fn truncate(&self, cache: &mut attention::Cache, heads: &Heads, positions: usize) {
        cache.keys.truncate(positions, heads.kv * heads.dim);
        cache.values.truncate(positions, heads.kv * heads.dim);
    }

    fn attend(
        &self,
        heads: &Heads,
        queries: &attention::Lanes,
        cache: &attention::Cache,
        sight: &[Range<usize>],
        precision: Precision,
    ) -> Activation {
        let range = |t: usize| sight[t].clone();
        if self.vectors {
            attention::simd(heads, queries, cache, range, precision)
        } else {
            attention::reference(heads, queries, cache, range, precision)
        }
    }

    fn silu_mul(&self, gate: &Matrix, up: &Matrix, precision: Precision) -> Activation {
        gate::silu_mul(gate, up, precision)
    }

    fn gelu(&self, x: &Matrix, precision: Precision) -> Activation {
        gate::gelu(x, precision)
    }

    async fn read(&self, x: &Matrix) -> Result<Matrix, Self::Error> {
        Ok(x.clone())
    }

    async fn read_activation(&self, a: &Activation) -> Result<Activation, Self::Error> {
        Ok(a.clone())
    }

    async fn argmax(&self, x: &Matrix) -> Result<Vec<u32>, Self::Error> {
        Ok((0..x.rows()).map(|row| crate::ops::sample::argmax(x.row(row))).collect())
    }
}
