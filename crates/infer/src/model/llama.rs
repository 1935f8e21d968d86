//! Decoders of the Llama family: RMSNorm, rotary positions, grouped queries, gated MLP.
//!
//! Touvron et al., "LLaMA: Open and Efficient Foundation Language Models" (arXiv 2302.13971), section 2.2.

use grid_tensor::activation::Precision;
use grid_tensor::backend::Backend;
use grid_tensor::ops::attention::{Heads, MAX_CONTEXT, Pairs, Rope};
use grid_tensor::weights::Shape;

use super::{Linear, Misfit, Parts, Tensors, check_heads};

/// Fraction bits of the residual stream.
pub const FRACTION: u32 = 14;
/// Most layers.
pub const MAX_LAYERS: usize = 256;

/// The shape of a decoder.
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
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Columns of a head.
    pub head_dim: usize,
    /// Which columns of a head turn together.
    pub pairs: Pairs,
    /// Most positions, at most 8192.
    pub context: usize,
    /// Whether the embedding table is the head too.
    pub tied: bool,
}

/// A decoder on a device.
pub struct Llama<B: Backend> {
    config: Config,
    heads: Heads,
    table: (Shape, B::Weights),
    layers: Vec<Layer<B>>,
    norm: B::Norm,
    /// None where the embedding table is the head too.
    head: Option<(Shape, B::Weights)>,
    /// Multiply-adds of one token through all layers, attention and head not counted.
    dense: u64,
}

struct Layer<B: Backend> {
    attention_norm: B::Norm,
    q: Linear<B>,
    k: Linear<B>,
    v: Linear<B>,
    o: Linear<B>,
    mlp_norm: B::Norm,
    gate: Linear<B>,
    up: Linear<B>,
    down: Linear<B>,
}

/// The positions that a decoder has seen.
pub struct Session<B: Backend> {
    caches: Vec<B::Cache>,
    len: usize,
}

impl<B: Backend> Session<B> {
    /// Positions in the cache.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has seen nothing yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Some tokens on their way through the layers.
pub struct Pass<B: Backend> {
    x: B::Matrix,
    tokens: usize,
    layer: usize,
}

impl<B: Backend> Llama<B> {
    /// Takes a decoder to a device.
    ///
    /// # Errors
    /// When a tensor is missing or doesn't fit.
    pub async fn load<T: Tensors>(
        device: &B,
        config: Config,
        tensors: &mut T,
    ) -> Result<Self, T::Error> {
        let Config { width, inner, vocabulary, head_dim: dim, .. } = config;
        check_heads(config.heads, config.kv_heads, dim)?;
        let (queries, keys) = (config.heads * dim, config.kv_heads * dim);
        let frequencies = tensors.words("rope_freqs").await?;
        if frequencies.len() != dim / 2 || !(1..=MAX_CONTEXT).contains(&config.context) {
            return Err(Misfit(
                "positions: a frequency for each pair, at most 8192 of them".into(),
            )
            .into());
        }
        let mut parts = Parts { device, tensors, prefix: String::new() };
        let table = parts.weights("token_embd", vocabulary, width).await?;
        let table = (*table.shape(), device.weights(table));
        let norm = parts.norm("output_norm", width, false).await?;
        let head = match config.tied {
            true => None,
            false => Some(parts.weights("output", vocabulary, width).await?),
        };
        let head = head.map(|w| (*w.shape(), device.weights(w)));
        let mut layers = Vec::with_capacity(config.layers.min(MAX_LAYERS));
        for i in 0..config.layers {
            parts.prefix = format!("blk.{i}.");
            layers.push(Layer {
                attention_norm: parts.norm("attn_norm", width, false).await?,
                q: parts.linear("attn_q", queries, width).await?,
                k: parts.linear("attn_k", keys, width).await?,
                v: parts.linear("attn_v", keys, width).await?,
                o: parts.linear("attn_output", width, queries).await?,
                mlp_norm: parts.norm("ffn_norm", width, false).await?,
                gate: parts.linear("ffn_gate", inner, width).await?,
                up: parts.linear("ffn_up", inner, width).await?,
                down: parts.linear("ffn_down", width, inner).await?,
            });
        }
        let dense = layers
            .iter()
            .flat_map(|l| [&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down])
            .map(|l| l.cost)
            .sum();
        let heads = Heads {
            query: config.heads,
            kv: config.kv_heads,
            dim: config.head_dim,
            scale: Heads::fixed_scale(1.0 / (config.head_dim as f64).sqrt()),
            rope: Some(Rope { frequencies, pairs: config.pairs }),
        };
        Ok(Self { config, heads, table, layers, norm, head, dense })
    }

    /// The decoder's shape.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Tokens of the vocabulary.
    #[must_use]
    pub fn vocabulary(&self) -> usize {
        self.table.0.rows
    }

    /// A session that has seen nothing.
    #[must_use]
    pub fn session(&self, device: &B) -> Session<B> {
        let caches =
            self.layers.iter().map(|_| device.cache(&self.heads, self.config.context)).collect();
        Session { caches, len: 0 }
    }

    /// Forgets all but the first `positions`.
    pub fn truncate(&self, device: &B, session: &mut Session<B>, positions: usize) {
        for cache in &mut session.caches {
            device.truncate(cache, &self.heads, positions);
        }
        session.len = session.len.min(positions);
    }

    /// Starts a pass of tokens that follow what the session has seen.
    ///
    /// # Panics
    /// When the context is too small for them: the caller has checked.
    #[must_use]
    pub fn start(&self, device: &B, session: &Session<B>, ids: &[u32]) -> Pass<B> {
        assert!(session.len + ids.len() <= self.config.context, "positions within the context");
        Pass { x: device.embed(&self.table.1, ids, FRACTION), tokens: ids.len(), layer: 0 }
    }

    /// One layer; false when all are done, and the tokens are in the cache.
    pub fn advance(&self, device: &B, session: &mut Session<B>, pass: &mut Pass<B>) -> bool {
        let Some(layer) = self.layers.get(pass.layer) else { return false };
        let (cache, heads, x) = (&mut session.caches[pass.layer], &self.heads, &mut pass.x);

        let mut h = Input::new(device, x, &layer.attention_norm);
        let (q, k, v) = (h.linear(&layer.q), h.linear(&layer.k), h.linear(&layer.v));
        let queries = device.queries(heads, q, session.len);
        device.append(cache, heads, k, &v, session.len);
        let sight: Vec<_> = (0..pass.tokens).map(|t| 0..session.len + t + 1).collect();
        let attended = device.attend(heads, &queries, cache, &sight, layer.o.precision);
        device.add(x, &device.linear(&layer.o.weights, &attended));

        let mut h = Input::new(device, x, &layer.mlp_norm);
        let (gate, up) = (h.linear(&layer.gate), h.linear(&layer.up));
        let gated = device.silu_mul(&gate, &up, layer.down.precision);
        device.add(x, &device.linear(&layer.down.weights, &gated));

        pass.layer += 1;
        if pass.layer == self.layers.len() {
            session.len += pass.tokens;
            return false;
        }
        true
    }

    /// The normed hidden state of the last `last` tokens of a finished pass, and their logits.
    #[must_use]
    pub fn finish(&self, device: &B, pass: &Pass<B>, last: usize) -> (B::Activation, B::Matrix) {
        let x = device.rows(&pass.x, pass.tokens - last..pass.tokens);
        let (shape, head) = self.head.as_ref().unwrap_or(&self.table);
        let hidden = device.rms_norm(&x, &self.norm, shape.kind.into());
        let logits = device.linear(head, &hidden);
        (hidden, logits)
    }

    /// Exact multiply-adds of seeing `positions` tokens and choosing `chosen` of them.
    #[must_use]
    pub fn cost(&self, positions: u64, chosen: u64) -> u64 {
        let (shape, _) = self.head.as_ref().unwrap_or(&self.table);
        let head = (shape.rows * shape.cols) as u64;
        // Position p sees p + 1 keys, once for its scores and once for its values.
        let keys = positions * (positions + 1) / 2;
        let attention = self.layers.len() as u64 * 2 * (self.heads.query * self.heads.dim) as u64;
        positions * self.dense + keys * attention + chosen * head
    }
}

/// A normed stream, quantised as each matrix wants it, once.
struct Input<'a, B: Backend> {
    device: &'a B,
    x: &'a B::Matrix,
    norm: &'a B::Norm,
    made: Vec<(Precision, B::Activation)>,
}

impl<'a, B: Backend> Input<'a, B> {
    fn new(device: &'a B, x: &'a B::Matrix, norm: &'a B::Norm) -> Self {
        Self { device, x, norm, made: Vec::with_capacity(1) }
    }

    fn linear(&mut self, linear: &Linear<B>) -> B::Matrix {
        let at = self.made.iter().position(|(p, _)| *p == linear.precision).unwrap_or_else(|| {
            self.made.push((
                linear.precision,
                self.device.rms_norm(self.x, self.norm, linear.precision),
            ));
            self.made.len() - 1
        });
        self.device.linear(&linear.weights, &self.made[at].1)
    }
}
