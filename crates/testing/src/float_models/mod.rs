//! The models as plain `f32` networks, weights dequantised: what Grid's integer
//! arithmetic is measured against. Written from the papers, without regard to
//! crates/infer, whose readers of GGUF and safetensors it uses.

mod bert;
mod integer;
mod llama;
mod matrix;
mod quality;

pub use bert::FloatBert;
pub use integer::{IntegerModel, IntegerModelError};
pub use llama::FloatLlama;
pub use matrix::Matrix;
pub use quality::{Cosines, Quality, compare_embeddings, compare_logits};

use grid_infer::convert::{ConvertError, GgufError, SafetensorsError};
use std::path::PathBuf;
use thiserror::Error;

/// Why a model can't be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FloatModelError {
    /// The file can't be read.
    #[error("can't read {path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is no GGUF file.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// It is no safetensors file.
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
    /// A tensor can't be read.
    #[error(transparent)]
    Tensor(#[from] ConvertError),
    /// A setting is missing.
    #[error("the setting {0} is missing or no number")]
    Setting(String),
}

/// A decoder.
pub trait Logits {
    /// For each token the logits of the one after it, from an empty cache.
    fn logits(&mut self, ids: &[u32]) -> Vec<Vec<f32>>;
}

/// An encoder.
pub trait Embed {
    /// The embedding of a text with its special tokens, of length 1.
    fn embed(&mut self, ids: &[u32]) -> Vec<f32>;
}
