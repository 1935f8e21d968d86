//! Models, written once for every [`Backend`](grid_tensor::backend::Backend).

pub mod bert;
pub mod llama;

use grid_tensor::backend::Bias;
use grid_tensor::ops::norm::Norm;
use grid_tensor::weights::Weights;

/// Where a model's parts come from, by name: a model file, or a converter.
///
/// Names are GGUF's: `token_embd`, `blk.0.attn_q`, ...
pub trait Tensors {
    /// Why a part can't be had.
    type Error;
    /// A matrix.
    ///
    /// # Errors
    /// When there is none of that name, or it isn't what the arithmetic allows.
    fn weights(&mut self, name: &str) -> Result<Weights, Self::Error>;
    /// A norm.
    ///
    /// # Errors
    /// As [`Tensors::weights`].
    fn norm(&mut self, name: &str) -> Result<Norm, Self::Error>;
    /// A bias.
    ///
    /// # Errors
    /// As [`Tensors::weights`].
    fn bias(&mut self, name: &str) -> Result<Bias, Self::Error>;
    /// A table of 32-bit words.
    ///
    /// # Errors
    /// As [`Tensors::weights`].
    fn words(&mut self, name: &str) -> Result<Vec<u32>, Self::Error>;
}
