//! Encoders of the BERT family, with mean pooling.
//!
//! Devlin et al., "BERT" (arXiv 1810.04805); pooling as Reimers and Gurevych, "Sentence-BERT"
//! (arXiv 1908.10084), section 3.

use grid_tensor::activation::Matrix;
use grid_tensor::backend::Backend;
use grid_tensor::ops::attention::Heads;

use super::Tensors;
use super::llama::Linear;

/// Fraction bits of the stream.
pub const FRACTION: u32 = 18;

/// The shape of an encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Layers.
    pub layers: usize,
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
    fn load<T: Tensors>(device: &B, tensors: &mut T, name: &str) -> Result<Self, T::Error> {
        let linear = Linear::load(device, tensors, name)?;
        Ok(Self { linear, bias: device.bias(tensors.bias(&format!("{name}.bias"))?) })
    }

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
    /// When a tensor is missing.
    pub fn load<T: Tensors>(device: &B, config: Config, tensors: &mut T) -> Result<Self, T::Error> {
        let words = device.weights(tensors.weights("token_embd")?);
        // Positions have the embedding of token type 0 in them.
        let positions = device.weights(tensors.weights("position_embd")?);
        let norm = device.norm(tensors.norm("token_embd_norm")?);
        let mut layers = Vec::with_capacity(config.layers);
        for i in 0..config.layers {
            let mut biased = |name: &str| Biased::load(device, tensors, &format!("blk.{i}.{name}"));
            let (q, k, v, o) = (biased("attn_q")?, biased("attn_k")?, biased("attn_v")?, biased("attn_output")?);
            let (up, down) = (biased("ffn_up")?, biased("ffn_down")?);
            let mut norm = |name: &str| Ok(device.norm(tensors.norm(&format!("blk.{i}.{name}"))?));
            let (attention_norm, output_norm) = (norm("attn_output_norm")?, norm("layer_output_norm")?);
            layers.push(Layer { q, k, v, o, attention_norm, up, down, output_norm });
        }
        let dense =
            layers.iter().flat_map(|l| [&l.q, &l.k, &l.v, &l.o, &l.up, &l.down]).map(|l| l.linear.cost).sum();
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
        assert!(texts.iter().all(|t| (1..=self.config.context).contains(&t.len())), "texts within the context");
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

        // Weights of one encoder have one format, so one precision serves the three.
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
