//! Matrices of `f32`, and their product on two threads.

use super::FloatModelError;
use grid_infer::convert::{ConvertError, Rows, Source};

/// Numbers that one step of a dot product takes: two or more vectors of any
/// machine.
const LANES: usize = 16;
/// Tokens that share a pass over a row of weights.
const TOKENS: usize = 4;
const THREADS: usize = 2;

/// A matrix, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Columns.
    pub cols: usize,
    /// Its numbers.
    pub data: Vec<f32>,
}

impl Matrix {
    /// Zeros.
    pub fn zero(rows: usize, cols: usize) -> Self {
        Self { cols, data: vec![0.0; rows * cols] }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.data.len() / self.cols
    }

    /// A row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.cols..][..self.cols]
    }

    /// A row, to change it.
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.data[row * self.cols..][..self.cols]
    }

    /// A whole tensor of a source, dequantised.
    pub(super) fn read(source: &mut dyn Source, name: &str) -> Result<Self, FloatModelError> {
        let tensor = source.tensors().iter().find(|tensor| tensor.name == name);
        let tensor = tensor.ok_or_else(|| ConvertError::MissingTensor(name.to_owned()))?;
        let (rows, cols) = (tensor.rows, tensor.cols as usize);
        let data = match source.read_rows(name, 0..rows)? {
            Rows::Floats(data) => data,
            Rows::Blocks(blocks) => blocks
                .iter()
                .flat_map(|block| block.q.map(|q| (f64::from(q) * block.scale + block.min) as f32))
                .collect(),
        };
        Ok(Self { cols, data })
    }

    /// `self * weights^T`: each row of `weights` makes a column.
    pub fn times(&self, weights: &Self) -> Self {
        let (tokens, outputs) = (self.rows(), weights.rows());
        let share = outputs.div_ceil(THREADS).max(1);
        let mut columns = Self::zero(outputs, tokens);
        std::thread::scope(|scope| {
            for (part, out) in columns.data.chunks_mut(share * tokens.max(1)).enumerate() {
                scope.spawn(move || {
                    for (index, out) in out.chunks_mut(tokens.max(1)).enumerate() {
                        column(self, weights.row(part * share + index), out);
                    }
                });
            }
        });
        let mut out = Self::zero(tokens, outputs);
        for (output, column) in columns.data.chunks(tokens.max(1)).enumerate() {
            for (token, value) in column.iter().enumerate() {
                out.data[token * outputs + output] = *value;
            }
        }
        out
    }

    /// Adds another matrix of the same shape.
    pub fn add(&mut self, other: &Self) {
        for (a, b) in self.data.iter_mut().zip(&other.data) {
            *a += b;
        }
    }

    /// Adds a row to each row.
    pub fn add_row(&mut self, row: &[f32]) {
        for values in self.data.chunks_mut(self.cols) {
            for (a, b) in values.iter_mut().zip(row) {
                *a += b;
            }
        }
    }
}

/// The products of all rows of `x` with one row of weights.
fn column(x: &Matrix, weights: &[f32], out: &mut [f32]) {
    let (tiles, rest) = out.as_chunks_mut::<TOKENS>();
    let done = tiles.len() * TOKENS;
    for (tile, out) in tiles.iter_mut().enumerate() {
        *out = dots(std::array::from_fn(|k| x.row(tile * TOKENS + k)), weights);
    }
    for (token, out) in rest.iter_mut().enumerate() {
        [*out] = dots([x.row(done + token)], weights);
    }
}

/// Dot products of some rows with one; the order of additions doesn't depend on
/// how many rows there are.
pub(super) fn dots<const N: usize>(rows: [&[f32]; N], weights: &[f32]) -> [f32; N] {
    let mut sums = [[0.0_f32; LANES]; N];
    let (chunks, rest) = weights.as_chunks::<LANES>();
    for (index, w) in chunks.iter().enumerate() {
        for (sum, row) in sums.iter_mut().zip(rows) {
            let Some(x) = row[index * LANES..].first_chunk::<LANES>() else { continue };
            for ((sum, x), w) in sum.iter_mut().zip(x).zip(w) {
                *sum += x * w;
            }
        }
    }
    let done = chunks.len() * LANES;
    std::array::from_fn(|k| {
        let tail: f32 = rows[k][done..].iter().zip(rest).map(|(x, w)| x * w).sum();
        sums[k].iter().sum::<f32>() + tail
    })
}

/// Makes numbers probabilities.
pub(super) fn softmax(values: &mut [f32]) {
    let top = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in values.iter_mut() {
        *value = (*value - top).exp();
        sum += *value;
    }
    for value in values.iter_mut() {
        *value /= sum;
    }
}

/// One head of attention over keys and values of `dim` columns that begin at
/// `at` in their rows; query `t` sees the keys below `sees(t)`.
pub(super) fn attend(
    out: &mut Matrix,
    (queries, query_at): (&Matrix, usize),
    (keys, values, at): (&Matrix, &Matrix, usize),
    dim: usize,
    sees: impl Fn(usize) -> usize,
) {
    let scale = 1.0 / (dim as f32).sqrt();
    for token in 0..queries.rows() {
        let query = &queries.row(token)[query_at..][..dim];
        let score = |key: usize| dots([&keys.row(key)[at..][..dim]], query)[0] * scale;
        let mut weights: Vec<f32> = (0..sees(token)).map(score).collect();
        softmax(&mut weights);
        let out = &mut out.row_mut(token)[query_at..][..dim];
        for (key, weight) in weights.iter().enumerate() {
            for (out, value) in out.iter_mut().zip(&values.row(key)[at..][..dim]) {
                *out += weight * value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small whole numbers, so that every order of additions gives the same.
    fn sample(rows: usize, cols: usize, seed: usize) -> Matrix {
        let data = (0..rows * cols).map(|at| ((at * 31 + seed) % 17) as f32 - 8.0).collect();
        Matrix { cols, data }
    }

    #[test]
    fn products_are_sums_of_products() {
        for (tokens, cols, outputs) in [(1, 16, 1), (7, 37, 5), (4, 64, 9)] {
            let (x, weights) = (sample(tokens, cols, 3), sample(outputs, cols, 5));
            let out = x.times(&weights);
            assert_eq!((out.rows(), out.cols), (tokens, outputs));
            for token in 0..tokens {
                for output in 0..outputs {
                    let pairs = x.row(token).iter().zip(weights.row(output));
                    assert_eq!(out.row(token)[output], pairs.map(|(x, w)| x * w).sum::<f32>());
                }
            }
        }
    }

    #[test]
    fn attention_means_what_it_sees() {
        // Equal keys, so each sees the mean of the values so far.
        let (keys, values) = (Matrix { cols: 2, data: vec![1.0; 6] }, sample(3, 2, 0));
        let mut out = Matrix::zero(3, 2);
        attend(&mut out, (&keys, 0), (&keys, &values, 0), 2, |token| token + 1);
        assert_eq!(out.row(0), values.row(0));
        let mean = (values.row(0)[1] + values.row(1)[1] + values.row(2)[1]) / 3.0;
        assert!((out.row(2)[1] - mean).abs() < 1e-6);
    }
}
