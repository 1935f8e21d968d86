//! Tensors from a model's data.

use super::header::{Format, Header, Span, Tensor};
use crate::model::{Misfit, Tensors};
use grid_tensor::backend::Bias;
use grid_tensor::ops::norm::{MAX_COLS, Norm};
use grid_tensor::weights::{Weights, WeightsError};
use thiserror::Error;

/// Why a tensor can't be had.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The model has no such tensor.
    #[error("the model has no tensor {0}")]
    Missing(String),
    /// The tensor is no matrix, or no norm.
    #[error("tensor {0} is of another kind")]
    Kind(String),
    /// The data isn't there.
    #[error("the data of tensor {0} is not there")]
    Data(String),
    /// Tensors that don't make a model.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// A matrix that the arithmetic doesn't allow.
    #[error("tensor {name}: {source}")]
    Weights {
        /// Its name.
        name: String,
        /// What is wrong with it.
        source: WeightsError,
    },
}

/// Reads tensors; `read` gives the bytes of a span of the data, which were
/// checked block by block.
#[derive(Debug)]
pub struct Loader<'a, R> {
    header: &'a Header,
    read: R,
}

impl<'a, R: AsyncFnMut(Span) -> Option<Vec<u8>>> Loader<'a, R> {
    /// Reads the tensors of this model.
    pub fn new(header: &'a Header, read: R) -> Self {
        Self { header, read }
    }

    async fn bytes(&mut self, name: &str) -> Result<(&'a Tensor, Vec<u8>), LoadError> {
        let tensor = self.header.tensor(name).ok_or_else(|| LoadError::Missing(name.into()))?;
        let bytes = (self.read)(tensor.span).await;
        let bytes = bytes.filter(|b| b.len() as u64 == tensor.span.length);
        Ok((tensor, bytes.ok_or_else(|| LoadError::Data(name.into()))?))
    }

    async fn integers(&mut self, name: &str) -> Result<(&'a Tensor, Vec<i32>), LoadError> {
        let (tensor, bytes) = self.bytes(name).await?;
        match tensor.format {
            Format::I32 => Ok((tensor, words(&bytes))),
            _ => Err(LoadError::Kind(name.into())),
        }
    }
}

fn words(bytes: &[u8]) -> Vec<i32> {
    bytes.as_chunks().0.iter().map(|word| i32::from_le_bytes(*word)).collect()
}

impl<R: AsyncFnMut(Span) -> Option<Vec<u8>>> Tensors for Loader<'_, R> {
    type Error = LoadError;

    async fn weights(&mut self, name: &str) -> Result<Weights, LoadError> {
        let (tensor, bytes) = self.bytes(name).await?;
        let shape = tensor.shape().ok_or_else(|| LoadError::Kind(name.into()))?;
        Weights::decode(shape, &bytes)
            .map_err(|source| LoadError::Weights { name: name.into(), source })
    }

    async fn norm(&mut self, name: &str) -> Result<Norm, LoadError> {
        let (tensor, bytes) = self.bytes(name).await?;
        let cols = tensor.cols as usize;
        if tensor.format != Format::Norm || cols > MAX_COLS {
            return Err(LoadError::Kind(name.into()));
        }
        // The header's check made the length fit the shape.
        let (epsilon, rest) = bytes.split_at(4);
        let (gains, bias) = rest.split_at((2 * cols).next_multiple_of(4));
        let gains = gains.as_chunks().0.iter().take(cols);
        Ok(Norm {
            gains: gains.map(|gain| i16::from_le_bytes(*gain)).collect(),
            exponent: tensor.exponent,
            bias: words(bias),
            epsilon: words(epsilon).first().map_or(0, |word| *word as u32),
        })
    }

    async fn bias(&mut self, name: &str) -> Result<Bias, LoadError> {
        let (tensor, values) = self.integers(name).await?;
        Ok(Bias { values, exponent: tensor.exponent })
    }

    async fn words(&mut self, name: &str) -> Result<Vec<u32>, LoadError> {
        let (_, values) = self.integers(name).await?;
        Ok(values.into_iter().map(|word| word as u32).collect())
    }
}

/// A norm's bytes: epsilon u32, gains i16 each, zeros to four bytes, biases
/// i32 each.
pub fn norm_bytes(norm: &Norm) -> Vec<u8> {
    let mut out = norm.epsilon.to_le_bytes().to_vec();
    out.extend(norm.gains.iter().flat_map(|gain| gain.to_le_bytes()));
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(norm.bias.iter().flat_map(|bias| bias.to_le_bytes()));
    out
}
