//! Inference with one answer on every device: the model file, tokenizers,
//! conversion from GGUF and safetensors (feature `convert`).
//!
//! What reads a model (default features) runs in browsers: no files, no
//! clock, no regular expressions. docs/model-file.md describes the bytes.

pub mod file;
pub mod model;
pub mod run;
pub mod tokenizer;

#[cfg(feature = "convert")]
pub mod convert;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
