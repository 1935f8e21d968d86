//! One case is an operator, or a few in a row, with its inputs.

use std::ops::Range;

use super::random::Random;
use super::{Device, Outcome};
use crate::activation::{Matrix, Precision};
use crate::backend::Bias;
use crate::ops::attention::{Heads, Pairs, Rope};
use crate::ops::norm::Norm;
use crate::weights::{BLOCK, Kind, Weights};

/// What is computed.
pub(super) enum Case {
    Embed { table: Weights, ids: Vec<u32>, fraction: u32 },
    RmsNorm { x: Matrix, norm: Norm, precision: Precision },
    LayerNorm { x: Matrix, norm: Norm },
    Quantise { x: Matrix, precision: Precision },
    Linear { weights: Weights, x: Matrix },
    Add { x: Matrix, y: Matrix, rows: Range<usize> },
    AddBias { x: Matrix, bias: Bias },
    SiluMul { gate: Matrix, up: Matrix, precision: Precision },
    Gelu { x: Matrix, precision: Precision },
    Argmax { x: Matrix },
    Attention(Box<Attention>),
    Layer(Box<Layer>),
}

/// Some tokens at once, then some more, some of which are then forgotten and seen again.
pub(super) struct Attention {
    heads: Heads,
    /// Queries, keys and values of each round.
    rounds: Vec<[Matrix; 3]>,
    causal: bool,
    precision: Precision,
}

/// A small decoder layer, so that buffers are taken again while they are still used.
pub(super) struct Layer {
    table: Weights,
    ids: Vec<u32>,
    norms: [Norm; 2],
    heads: Heads,
    /// q, k, v, o, gate, up, down.
    weights: [Weights; 7],
}

const KINDS: [Kind; 3] = [Kind::N4, Kind::B8, Kind::R16];
const PRECISIONS: [Precision; 2] = [Precision::Block, Precision::Row];

/// The cases of one round.
pub(super) fn round(random: &mut Random) -> Vec<Case> {
    let cols = |random: &mut Random| random.size(1, 4) * BLOCK;
    let mut cases = Vec::new();
    for kind in KINDS {
        let (rows, width) = (random.size(1, 40), cols(random));
        let ids = (0..random.size(1, 5)).map(|_| random.size(0, rows - 1) as u32).collect();
        let fraction = random.pick(&[14, 18]);
        cases.push(Case::Embed { table: random.weights(kind, rows, width), ids, fraction });
        // One token, and then enough that the other kernel takes them.
        for (tokens, blocks) in [(1, 4), (2, 40), (9, 4)] {
            let (rows, width) = (random.size(1, 70), random.size(1, blocks) * BLOCK);
            let tokens = if tokens == 9 { random.size(3, 9) } else { tokens };
            let (weights, x) = (random.weights(kind, rows, width), random.matrix(tokens, width));
            cases.push(Case::Linear { weights, x });
        }
    }
    for precision in PRECISIONS {
        let (rows, width) = (random.size(1, 5), cols(random));
        let norm = random.norm(width, 14, false);
        cases.push(Case::RmsNorm { x: random.stream(rows, width, 14), norm, precision });
        cases.push(Case::Quantise { x: random.matrix(rows, width), precision });
        let (gate, up) = (random.matrix(rows, width), random.matrix(rows, width));
        cases.push(Case::SiluMul { gate, up, precision });
        cases.push(Case::Gelu { x: random.matrix(rows, width), precision });
        let attention = attention(random, precision);
        cases.push(Case::Attention(Box::new(attention)));
    }
    let (rows, width) = (random.size(1, 5), cols(random));
    let norm = random.norm(width, 18, true);
    cases.push(Case::LayerNorm { x: random.stream(rows, width, 18), norm });
    let last = random.size(1, rows);
    let (x, y) = (random.stream(rows, width, 14), random.matrix(rows, width));
    cases.push(Case::Add { x, y, rows: random.size(0, last - 1)..last });
    let (x, bias) = (random.matrix(rows, width), random.bias(width));
    cases.push(Case::AddBias { x, bias });
    let (rows, wide) = (random.size(1, 4), random.size(1, 300));
    let mut x = random.matrix(rows, wide);
    if random.chance(2) {
        x.data.iter_mut().for_each(|v| *v = *v % 3 - 9); // ties
    }
    cases.push(Case::Argmax { x });
    cases.push(Case::Layer(Box::new(layer(random))));
    cases
}

fn heads(random: &mut Random, pairs: Option<Pairs>) -> Heads {
    let (kv, per, dim) = (random.size(1, 2), random.size(1, 3), random.size(1, 2) * BLOCK);
    let rope = pairs.map(|pairs| Rope { frequencies: random.words(dim / 2), pairs });
    Heads { query: kv * per, kv, dim, scale: Heads::fixed_scale(1.0 / (dim as f64).sqrt()), rope }
}

fn attention(random: &mut Random, precision: Precision) -> Attention {
    let pairs = random.pick(&[None, Some(Pairs::Neighbours), Some(Pairs::Halves)]);
    let heads = heads(random, pairs);
    // Rarely so many that the cache grows.
    let many = if random.chance(8) { 290 } else { 12 };
    let quiet = random.chance(2);
    let rounds = [random.size(1, many), random.size(1, 3), 1].map(|tokens| {
        [heads.query, heads.kv, heads.kv].map(|count| {
            let mut x = random.matrix(tokens, count * heads.dim);
            if quiet {
                // Scores near each other, so that many keys have a weight.
                x.data.iter_mut().for_each(|v| *v %= 60_000);
                x.exponents.fill(-14);
            }
            x
        })
    });
    Attention { rounds: rounds.into(), causal: random.chance(2), precision, heads }
}

fn layer(random: &mut Random) -> Layer {
    let heads = heads(random, Some(Pairs::Neighbours));
    let (width, inner) = (random.size(1, 3) * BLOCK, random.size(1, 4) * BLOCK);
    let (q, kv) = (heads.query * heads.dim, heads.kv * heads.dim);
    let shapes = [
        (q, width),
        (kv, width),
        (kv, width),
        (width, q),
        (inner, width),
        (inner, width),
        (width, inner),
    ];
    let weights = shapes.map(|(rows, cols)| {
        let kind = random.pick(&KINDS);
        random.weights(kind, rows, cols)
    });
    let ids = (0..random.size(1, 6)).map(|_| random.size(0, 19) as u32).collect();
    let norms = [random.norm(width, 14, false), random.norm(width, 14, false)];
    let kind = random.pick(&KINDS);
    Layer { table: random.weights(kind, 20, width), ids, norms, heads, weights }
}

impl Case {
    /// The operator and its shape.
    pub(super) fn name(&self) -> String {
        let of = |x: &Matrix| format!("{} x {}", x.rows(), x.cols);
        match self {
            Self::Embed { table, ids, .. } => format!("embed of {} from {:?}", ids.len(), table),
            Self::RmsNorm { x, precision, .. } => format!("rms_norm of {}, {precision:?}", of(x)),
            Self::LayerNorm { x, .. } => format!("layer_norm of {}", of(x)),
            Self::Quantise { x, precision } => format!("quantise of {}, {precision:?}", of(x)),
            Self::Linear { weights, x } => {
                format!("linear of {} tokens with {weights:?}", x.rows())
            }
            Self::Add { x, rows, .. } => format!("add of {}, rows {rows:?}", of(x)),
            Self::AddBias { x, .. } => format!("add_bias of {}", of(x)),
            Self::SiluMul { gate, precision, .. } => {
                format!("silu_mul of {}, {precision:?}", of(gate))
            }
            Self::Gelu { x, precision } => format!("gelu of {}, {precision:?}", of(x)),
            Self::Argmax { x } => format!("argmax of {}", of(x)),
            Self::Attention(a) => {
                let tokens: Vec<usize> = a.rounds.iter().map(|[q, ..]| q.rows()).collect();
                format!(
                    "attention of {tokens:?} tokens, causal {}, {:?}, {:?}",
                    a.causal, a.precision, a.heads
                )
            }
            Self::Layer(layer) => format!("a layer of {} tokens", layer.ids.len()),
        }
    }

    /// What a device makes of it.
    pub(super) async fn run<D: Device>(&self, device: &D) -> Result<Outcome, D::Error> {
        let activation = match self {
            Self::Embed { table, ids, fraction } => {
                let out = device.embed(&device.weights(table.clone()), ids, *fraction);
                return Ok(Outcome::Matrix(device.read(&out).await?));
            }
            Self::LayerNorm { x, norm } => {
                let mut x = device.take(x);
                device.layer_norm(&mut x, &device.norm(norm.clone()));
                return Ok(Outcome::Matrix(device.read(&x).await?));
            }
            Self::Linear { weights, x } => {
                let a = device.quantise(&device.take(x), Precision::from(weights.shape().kind));
                let out = device.linear(&device.weights(weights.clone()), &a);
                return Ok(Outcome::Matrix(device.read(&out).await?));
            }
            Self::Add { x, y, rows } => {
                let mut x = device.take(x);
                device.add(&mut x, &device.take(y));
                return Ok(Outcome::Matrix(device.read(&device.rows(&x, rows.clone())).await?));
            }
            Self::AddBias { x, bias } => {
                let mut x = device.take(x);
                device.add_bias(&mut x, &device.bias(bias.clone()));
                return Ok(Outcome::Matrix(device.read(&x).await?));
            }
            Self::Argmax { x } => {
                return Ok(Outcome::Columns(device.argmax(&device.take(x)).await?));
            }
            Self::Layer(layer) => return Ok(Outcome::Matrix(layer.run(device).await?)),
            Self::RmsNorm { x, norm, precision } => {
                device.rms_norm(&device.take(x), &device.norm(norm.clone()), *precision)
            }
            Self::Quantise { x, precision } => device.quantise(&device.take(x), *precision),
            Self::SiluMul { gate, up, precision } => {
                device.silu_mul(&device.take(gate), &device.take(up), *precision)
            }
            Self::Gelu { x, precision } => device.gelu(&device.take(x), *precision),
            Self::Attention(attention) => attention.run(device),
        };
        Ok(Outcome::Activation(device.read_activation(&activation).await?))
    }
}

impl Attention {
    fn run<D: Device>(&self, device: &D) -> D::Activation {
        let heads = &self.heads;
        let mut cache = device.cache(heads, 1 << 10);
        let (mut position, mut attended) = (0, None);
        for (round, [q, k, v]) in self.rounds.iter().enumerate() {
            let tokens = q.rows();
            let queries = device.queries(heads, device.take(q), position);
            device.append(&mut cache, heads, device.take(k), &device.take(v), position);
            let sight: Vec<_> = (0..tokens)
                .map(|t| if self.causal { t % 2..position + t + 1 } else { 0..position + tokens })
                .map(|seen| seen.start.min(seen.end - 1)..seen.end)
                .collect();
            attended = Some(device.attend(heads, &queries, &cache, &sight, self.precision));
            position += tokens;
            if round == 1 {
                position -= 1;
                device.truncate(&mut cache, heads, position);
            }
        }
        attended.expect("there are rounds")
    }
}

impl Layer {
    async fn run<D: Device>(&self, device: &D) -> Result<Matrix, D::Error> {
        let precision = |i: usize| Precision::from(self.weights[i].shape().kind);
        let weights = self.weights.each_ref().map(|w| device.weights(w.clone()));
        let norms = self.norms.each_ref().map(|n| device.norm(n.clone()));
        let mut x = device.embed(&device.weights(self.table.clone()), &self.ids, 14);
        let mut cache = device.cache(&self.heads, self.ids.len());
        let normed = |x: &D::Matrix, norm: usize, i: usize| {
            device.linear(&weights[i], &device.rms_norm(x, &norms[norm], precision(i)))
        };
        let (q, k, v) = (normed(&x, 0, 0), normed(&x, 0, 1), normed(&x, 0, 2));
        let queries = device.queries(&self.heads, q, 0);
        device.append(&mut cache, &self.heads, k, &v, 0);
        let sight: Vec<_> = (0..self.ids.len()).map(|t| 0..t + 1).collect();
        let attended = device.attend(&self.heads, &queries, &cache, &sight, precision(3));
        device.add(&mut x, &device.linear(&weights[3], &attended));
        let (gate, up) = (normed(&x, 1, 4), normed(&x, 1, 5));
        device.add(&mut x, &device.linear(&weights[6], &device.silu_mul(&gate, &up, precision(6))));
        device.read(&x).await
    }
}
