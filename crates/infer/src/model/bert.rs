//! Encoders of the BERT family, with mean pooling.
//!
//! Devlin et al., "BERT" (arXiv 1810.04805); pooling as Reimers and Gurevych, "Sentence-BERT"
//! (arXiv 1908.10084), section 3.

use grid_tensor::activation::Matrix;
use grid_tensor::backend::Backend;
use grid_tensor::ops::attention::{Heads, MAX_CONTEXT};

use super::llama::MAX_LAYERS;
use super::{Linear, Misfit, Parts, Tensors, check_heads};

/// Fraction bits of the stream.
pub const FRACTION: u32 = 18;

/// The shape of an encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Layers.
    pub layers: usize,
    /// Columns of the stream.
    pub width: usize,
    /// Columns within the MLP.
    pub inner: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Positions that have an embedding.
    pub positions: usize,
    /// Heads.
    pub heads: usize,
    /// Columns of a head.
    pub head_dim: usize,
    /// Most positions of a text.
    pub context: usize,
}

/// An encoder on a device.
pub struct Bert<B: Backend> {
    config: Config,
    heads: Heads,
    words: B::Weights,
    positions: B::Weights,
    norm: B::Norm,
    layers: Vec<Layer<B>>,
    dense: u64,
}

struct Layer<B: Backend> {
    q: Biased<B>,
    k: Biased<B>,
    v: Biased<B>,
    o: Biased<B>,
    attention_norm: B::Norm,
    up: Biased<B>,
    down: Biased<B>,
    output_norm: B::Norm,
}

struct Biased<B: Backend> {
    linear: Linear<B>,
    bias: B::Bias,
}

impl<B: Backend> Biased<B> {
    fn of(&self, device: &B, a: &B::Activation) -> B::Matrix {
        let mut out = device.linear(&self.linear.weights, a);
        device.add_bias(&mut out, &self.bias);
        out
    }
}

/// Texts on their way through the layers.
pub struct Pass<B: Backend> {
    x: B::Matrix,
    lengths: Vec<usize>,
    layer: usize,
}

impl<B: Backend> Bert<B> {
    /// Takes an encoder to a device.
    ///
    /// # Errors
    /// When a tensor is missing or doesn't fit.
    pub async fn load<T: Tensors>(
        device: &B,
        config: Config,
        tensors: &mut T,
    ) -> Result<Self, T::Error> {
        let Config { width, inner, head_dim: dim, .. } = config;
        check_heads(config.heads, config.heads, dim)?;
        let queries = config.heads * dim;
        if !(1..=MAX_CONTEXT).contains(&config.context) || config.positions < config.context {
            return Err(Misfit(
                "positions: as many as the context has, at most 8192 of them".into(),
            )
            .into());
        }
        let mut parts = Parts { device, tensors, prefix: String::new() };
        let words = device.weights(parts.weights("token_embd", config.vocabulary, width).await?);
        // Positions have the embedding of token type 0 in them.
        let positions =
            device.weights(parts.weights("position_embd", config.positions, width).await?);
        let norm = parts.norm("token_embd_norm", width, true).await?;
        let mut layers = Vec::with_capacity(config.layers.min(MAX_LAYERS));
        for i in 0..config.layers {
            parts.prefix = format!("blk.{i}.");
            let mut biased = async |name: &str, rows: usize, cols: usize| {
                let linear = parts.linear(name, rows, cols).await?;
                Ok::<_, T::Error>(Biased {
                    linear,
                    bias: parts.bias(&format!("{name}.bias"), rows).await?,
                })
            };
            let q = biased("attn_q", queries, width).await?;
            let (k, v) =
                (biased("attn_k", queries, width).await?, biased("attn_v", queries, width).await?);
            let o = biased("attn_output", width, queries).await?;
            let (up, down) =
                (biased("ffn_up", inner, width).await?, biased("ffn_down", width, inner).await?);
            if [&q, &k, &v].iter().any(|l| l.linear.precision != q.linear.precision) {
                return Err(Misfit(format!(
                    "layer {i}: queries, keys and values of one precision"
                ))
                .into());
            }
            let attention_norm = parts.norm("attn_output_norm", width, true).await?;
            let output_norm = parts.norm("layer_output_norm", width, true).await?;
            layers.push(Layer { q, k, v, o, attention_norm, up, down, output_norm });
        }
        let dense = layers
            .iter()
            .flat_map(|l| [&l.q, &l.k, &l.v, &l.o, &l.up, &l.down])
            .map(|l| l.linear.cost)
            .sum();
        let heads = Heads {
            query: config.heads,
            kv: config.heads,
            dim: config.head_dim,
            scale: Heads::fixed_scale(1.0 / (config.head_dim as f64).sqrt()),
            rope: None,
        };
        Ok(Self { config, heads, words, positions, norm, layers, dense })
    }

    /// The encoder's shape.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Starts a pass of texts, each with its special tokens.
    ///
    /// # Panics
    /// When a text is empty or longer than the context: the caller has checked.
    #[must_use]
    pub fn start(&self, device: &B, texts: &[&[u32]]) -> Pass<B> {
        assert!(
            texts.iter().all(|t| (1..=self.config.context).contains(&t.len())),
            "texts within the context"
        );
        let ids: Vec<u32> = texts.iter().flat_map(|t| t.iter().copied()).collect();
        let positions: Vec<u32> = texts.iter().flat_map(|t| 0..t.len() as u32).collect();
        let mut x = device.embed(&self.words, &ids, FRACTION);
        device.add(&mut x, &device.embed(&self.positions, &positions, FRACTION));
        device.layer_norm(&mut x, &self.norm);
        Pass { x, lengths: texts.iter().map(|t| t.len()).collect(), layer: 0 }
    }

    /// One layer; false when all are done.
    pub fn advance(&self, device: &B, pass: &mut Pass<B>) -> bool {
        let Some(layer) = self.layers.get(pass.layer) else { return false };
        let (x, heads) = (&mut pass.x, &self.heads);
        let tokens = pass.lengths.iter().sum();

        let a = device.quantise(x, layer.q.linear.precision);
        let (q, k, v) = (layer.q.of(device, &a), layer.k.of(device, &a), layer.v.of(device, &a));
        let mut cache = device.cache(heads, tokens);
        let queries = device.queries(heads, q, 0);
        device.append(&mut cache, heads, k, &v, 0);
        let mut sight = Vec::with_capacity(tokens);
        for len in &pass.lengths {
            let own = sight.len()..sight.len() + len;
            sight.extend(std::iter::repeat_n(own, *len));
        }
        let attended = device.attend(heads, &queries, &cache, &sight, layer.o.linear.precision);
        device.add(x, &layer.o.of(device, &attended));
        device.layer_norm(x, &layer.attention_norm);

        let a = device.quantise(x, layer.up.linear.precision);
        let inner = device.gelu(&layer.up.of(device, &a), layer.down.linear.precision);
        device.add(x, &layer.down.of(device, &inner));
        device.layer_norm(x, &layer.output_norm);

        pass.layer += 1;
        pass.layer < self.layers.len()
    }

    /// The unit vector of each text of a finished pass: docs/arithmetic.md, "Pooling".
    ///
    /// # Errors
    /// When the device was lost.
    pub async fn finish(&self, device: &B, pass: &Pass<B>) -> Result<Vec<Vec<f32>>, B::Error> {
        let x = device.read(&pass.x).await?;
        let mut first = 0;
        Ok(pass
            .lengths
            .iter()
            .map(|len| {
                first += len;
                pool(&x, first - len..first)
            })
            .collect())
    }

    /// Exact multiply-adds of texts of these lengths.
    pub fn cost(&self, lengths: impl IntoIterator<Item = usize>) -> u64 {
        let attention = self.layers.len() as u64 * 2 * (self.heads.query * self.heads.dim) as u64;
        lengths.into_iter().map(|n| n as u64).map(|n| n * self.dense + n * n * attention).sum()
    }
}

/// The sum of the tokens, scaled to length 1: multiples of 2^-24, so exact in an `f32`.
fn pool(x: &Matrix, tokens: std::ops::Range<usize>) -> Vec<f32> {
    let mut sums = vec![0_i64; x.cols];
    for token in tokens {
        for (sum, v) in sums.iter_mut().zip(x.row(token)) {
            *sum += i64::from(*v);
        }
    }
    let square: u128 = sums.iter().map(|s| u128::from(s.unsigned_abs()).pow(2)).sum();
    let length = square.isqrt().max(1) as i128;
    sums.iter()
        .map(|s| {
            let scaled = ((i128::from(*s) << 25) / length + 1).div_euclid(2);
            scaled as f32 / (1 << 24) as f32
        })
        .collect()
}
