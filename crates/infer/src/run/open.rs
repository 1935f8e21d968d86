//! From a model file to a [`Runner`].

use super::{Model, Runner};
use crate::file::{Family, Header, LoadError, Loader, ParameterError, Span};
use crate::model::bert::{self, Bert};
use crate::model::llama::{self, Llama, MAX_LAYERS};
use crate::tokenizer::{Tokenizer, TokenizerError};
use grid_tensor::backend::Backend;
use grid_tensor::ops::attention::{MAX_CONTEXT, Pairs};
use thiserror::Error;

/// Why a file is no model that can run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A hyper-parameter is missing or out of range.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A tensor is missing or doesn't fit.
    #[error(transparent)]
    Tensor(#[from] LoadError),
    /// The tokenizer can't be read.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The tokenizer's bytes aren't there.
    #[error("the tokenizer's data is not there")]
    Data,
    /// Tokenizer and model don't have the same tokens.
    #[error("the tokenizer has {tokenizer} tokens, the model {model}")]
    Vocabulary {
        /// Tokens that the tokenizer can make.
        tokenizer: usize,
        /// Rows of the table.
        model: usize,
    },
    /// A family that this build can't run.
    #[error("models of the family {0} can't run yet")]
    Family(&'static str),
}

pub(super) async fn open<B: Backend>(
    device: B,
    header: &Header,
    mut read: impl AsyncFnMut(Span) -> Option<Vec<u8>>,
) -> Result<Runner<B>, OpenError> {
    let tokenizer = read(header.tokenizer).await.ok_or(OpenError::Data)?;
    let tokenizer = Tokenizer::decode_section(&tokenizer)?;
    let parameters = &header.parameters;
    let count = |name, most: usize| parameters.count(name, most as u64).map(|n| n as usize);
    const WIDE: usize = 1 << 20;
    let vocabulary = count("vocabulary", WIDE)?;
    if tokenizer.size() > vocabulary {
        return Err(OpenError::Vocabulary { tokenizer: tokenizer.size(), model: vocabulary });
    }
    let layers = count("layers", MAX_LAYERS)?;
    let (width, inner) = (count("embedding", WIDE)?, count("feed_forward", WIDE)?);
    let (heads, head_dim) = (count("heads", WIDE)?, count("head_size", WIDE)?);
    let context = count("context", WIDE)?;
    let mut loader = Loader::new(header, read);
    let model = match header.family {
        Family::Llama => Model::Decoder(
            Llama::load(
                &device,
                llama::Config {
                    layers,
                    width,
                    inner,
                    vocabulary,
                    heads,
                    kv_heads: count("kv_heads", WIDE)?,
                    head_dim,
                    // GGUF's llama has its queries and keys reordered for neighbours.
                    pairs: Pairs::Neighbours,
                    context: context.min(MAX_CONTEXT),
                    tied: header.tensor("output").is_none(),
                },
                &mut loader,
            )
            .await?,
        ),
        Family::Bert => Model::Encoder(
            Bert::load(
                &device,
                bert::Config {
                    layers,
                    width,
                    inner,
                    vocabulary,
                    positions: context,
                    heads,
                    head_dim,
                    context: count("sequence", context)?.min(MAX_CONTEXT),
                },
                &mut loader,
            )
            .await?,
        ),
        Family::Gemma3 => return Err(OpenError::Family(Family::Gemma3.name())),
    };
    Ok(Runner { device, tokenizer, model })
}
