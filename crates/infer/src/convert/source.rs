//! What a model is read from.

use super::ConvertError;
use grid_tensor::weights::{Block, Kind};
use std::ops::Range;

/// How a tensor's numbers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Blocks of 32, to be packed as this kind, which loses nothing.
    Blocks(Kind),
    /// Numbers.
    Floats,
}

/// A tensor of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTensor {
    /// GGUF's name of it.
    pub name: String,
    /// Rows; 1 for a vector.
    pub rows: u32,
    /// Columns, which are consecutive.
    pub cols: u32,
    /// How its numbers come.
    pub layout: Layout,
    /// The format's name in the source.
    pub format: &'static str,
}

/// Some rows of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Rows {
    /// Row by row, `cols / 32` blocks each; exactly the source's numbers.
    Blocks(Vec<Block>),
    /// Row by row.
    Floats(Vec<f32>),
}

/// A model that can be read tensor by tensor.
pub trait Source {
    /// Its tensors, by their names in GGUF.
    fn tensors(&self) -> &[SourceTensor];

    /// Some rows of a tensor, which is one of [`Source::tensors`].
    ///
    /// # Errors
    /// There are no such rows, or they can't be read.
    fn read_rows(&mut self, name: &str, rows: Range<u32>) -> Result<Rows, ConvertError>;
}
