//! Models, written once for every [`Backend`](grid_tensor::backend::Backend).

pub mod bert;
pub mod llama;

use grid_tensor::activation::Precision;
use grid_tensor::backend::{Backend, Bias};
use grid_tensor::ops::norm::{MAX_COLS, Norm};
use grid_tensor::weights::{BLOCK, Weights};

/// Where a model's parts come from, by name: a model file, or a converter.
///
/// Names are GGUF's: `token_embd`, `blk.0.attn_q`, ...
pub trait Tensors {
    /// Why a part can't be had, or doesn't fit.
    type Error: From<Misfit>;
    /// A matrix.
    ///
    /// # Errors
    /// When there is none of that name, or it isn't what the arithmetic allows.
    fn weights(&mut self, name: &str) -> impl Future<Output = Result<Weights, Self::Error>>;
    /// A norm.
    ///
    /// # Errors
    /// As [`Tensors::weights`].
    fn norm(&mut self, name: &str) -> impl Future<Output = Result<Norm, Self::Error>>;
    /// A bias.
    ///
    /// # Errors
    /// As [`Tensors::weights`].
    fn bias(&mut self, name: &str) -> impl Future<Output = Result<Bias, Self::Error>>;
    /// A table of 32-bit words.
    ///
    /// # Errors
    /// As [`Tensors::weights`].
    fn words(&mut self, name: &str) -> impl Future<Output = Result<Vec<u32>, Self::Error>>;
}

/// Parts that don't make a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(pub String);

/// A matrix with what its input must look like.
struct Linear<B: Backend> {
    weights: B::Weights,
    precision: Precision,
    /// Multiply-adds for one token.
    cost: u64,
}

impl<B: Backend> Linear<B> {
    fn new(device: &B, weights: Weights) -> Self {
        let shape = *weights.shape();
        Self {
            precision: Precision::from(shape.kind),
            cost: (shape.rows * shape.cols) as u64,
            weights: device.weights(weights),
        }
    }
}

/// Takes parts from a source to a device, and sees that they fit.
struct Parts<'a, B, T> {
    device: &'a B,
    tensors: &'a mut T,
    /// `blk.N.`, or nothing.
    prefix: String,
}

impl<B: Backend, T: Tensors> Parts<'_, B, T> {
    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    async fn weights(&mut self, name: &str, rows: usize, cols: usize) -> Result<Weights, T::Error> {
        let name = self.name(name);
        let weights = self.tensors.weights(&name).await?;
        let shape = weights.shape();
        if (shape.rows, shape.cols) != (rows, cols) {
            let (is, wants) =
                (format!("{} x {}", shape.rows, shape.cols), format!("{rows} x {cols}"));
            return Err(
                Misfit(format!("tensor {name} is {is}, and the model wants {wants}")).into()
            );
        }
        Ok(weights)
    }

    async fn linear(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
    ) -> Result<Linear<B>, T::Error> {
        Ok(Linear::new(self.device, self.weights(name, rows, cols).await?))
    }

    /// A norm; `biased` for LayerNorm.
    async fn norm(&mut self, name: &str, cols: usize, biased: bool) -> Result<B::Norm, T::Error> {
        let name = self.name(name);
        let norm = self.tensors.norm(&name).await?;
        let bias = if biased { cols } else { 0 };
        if (norm.gains.len(), norm.bias.len()) != (cols, bias) || cols > MAX_COLS {
            return Err(
                Misfit(format!("norm {name} doesn't have {cols} gains and {bias} biases")).into()
            );
        }
        Ok(self.device.norm(norm))
    }

    async fn bias(&mut self, name: &str, cols: usize) -> Result<B::Bias, T::Error> {
        let name = self.name(name);
        let bias = self.tensors.bias(&name).await?;
        if bias.values.len() != cols {
            return Err(Misfit(format!(
                "bias {name} has {} values instead of {cols}",
                bias.values.len()
            ))
            .into());
        }
        Ok(self.device.bias(bias))
    }
}

/// Sees that a model's attention is one that the arithmetic has.
fn check_heads(heads: usize, kv: usize, dim: usize) -> Result<(), Misfit> {
    let fits = kv > 0
        && heads.is_multiple_of(kv)
        && dim.is_multiple_of(BLOCK)
        && (32..=256).contains(&dim);
    if fits && heads * dim <= MAX_COLS {
        return Ok(());
    }
    Err(Misfit(format!(
        "{heads} heads over {kv} of {dim} columns: a head has 32, 64, ... 256, at most {MAX_COLS} in all"
    )))
}
