//! From GGUF and safetensors to a Grid model file. Native only, and hostile
//! input ends in an error that says which part is wrong.

mod config;
mod families;
mod gguf;
mod half;
mod pack;
mod quantised;
mod safetensors;
mod source;
mod vocabulary;
mod write;

pub use gguf::{Gguf, GgufError, Value};
pub use safetensors::{Safetensors, SafetensorsError};
pub use source::{Layout, Rows, Source, SourceTensor};
pub use write::{Progress, convert, is_model_file, read_header};

use crate::file::HeaderError;
use crate::tokenizer::TokenizerError;
use grid_tensor::weights::WeightsError;
use std::path::PathBuf;
use thiserror::Error;

/// Why a model was not converted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A file can't be read or written.
    #[error("can't {what} {path}: {source}", path = path.display())]
    File {
        /// `read` or `write`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The input is neither a GGUF file nor a folder with safetensors.
    #[error("{} is neither a GGUF file nor a folder with model.safetensors", .0.display())]
    Unknown(PathBuf),
    /// A GGUF file that is none.
    #[error("the GGUF file is broken: {0}")]
    Gguf(#[from] GgufError),
    /// A safetensors file that is none.
    #[error("the safetensors file is broken: {0}")]
    Safetensors(#[from] SafetensorsError),
    /// A JSON file beside it is missing something.
    #[error("{file}: {why}")]
    Json {
        /// Which file.
        file: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A network that Grid doesn't have.
    #[error("models of the family {0:?} can't be converted; llama, gemma3 and bert can")]
    Family(String),
    /// A setting that Grid's networks don't have.
    #[error("the model's setting {0} is not supported")]
    Setting(String),
    /// A setting that must be there, and in range.
    #[error("the model's setting {0} is missing or out of range")]
    Missing(String),
    /// A tensor that the family doesn't have.
    #[error("the model has a tensor {0:?}, which its family doesn't know")]
    UnknownTensor(String),
    /// A tensor that the family needs.
    #[error("the model misses the tensor {0}")]
    MissingTensor(String),
    /// A tensor of another shape.
    #[error("tensor {name} is {rows} x {cols} instead of {expected}")]
    Shape {
        /// Its name.
        name: String,
        /// Its rows.
        rows: u32,
        /// Its columns.
        cols: u32,
        /// What it should be.
        expected: String,
    },
    /// A tensor that can't be packed.
    #[error("tensor {name}: {source}")]
    Weights {
        /// Its name.
        name: String,
        /// Why.
        source: WeightsError,
    },
    /// A vector with NaN or infinity.
    #[error("tensor {0} holds something that is no finite number")]
    NotFinite(String),
    /// The tokenizer is of a kind that Grid doesn't have, or broken.
    #[error("the tokenizer can't be converted: {0}")]
    Vocabulary(String),
    /// The tokenizer's parts don't fit together.
    #[error("the tokenizer can't be converted: {0}")]
    Tokenizer(#[from] TokenizerError),
    /// What was made is not a model file: too large, most likely.
    #[error("the model doesn't fit a model file: {0}")]
    Header(#[from] HeaderError),
}

#[cfg(test)]
mod tests;
