//! What a device reaches: matrix products as in decoding and in a prompt, against its own bandwidth
//! and its own peak of integer dot products, measured in the same run.

use super::buffers::{Matrix, Weights};
use super::check::Random;
use super::kernels::Kernel;
use super::{Error, Gpu};
use crate::activation::{self, Precision};
use crate::backend::Backend;
use crate::ops::linear;
use crate::weights::{self, Kind};

/// What is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Kind, rows and columns of each matrix.
    pub shapes: Vec<(Kind, usize, usize)>,
    /// Tokens of a prompt.
    pub tokens: usize,
    /// Each measurement takes at least so many milliseconds.
    pub time: f64,
    /// Bytes of weights that one measurement goes through before it meets the same again: more than
    /// the device's caches hold.
    pub spread: u64,
    /// Bytes that are copied to measure the bandwidth.
    pub copied: u64,
}

impl Plan {
    /// For a GPU.
    #[must_use]
    pub fn full() -> Self {
        use Kind::{B8, N4, R16};
        Self {
            shapes: vec![
                (N4, 576, 1536),
                (N4, 1536, 576),
                (B8, 49_152, 576),
                (R16, 1536, 384),
                (N4, 4096, 4096),
                (B8, 4096, 4096),
            ],
            tokens: 128,
            time: 150.0,
            spread: 256 << 20,
            copied: 128 << 20,
        }
    }

    /// For a processor that plays GPU.
    #[must_use]
    pub fn small() -> Self {
        Self {
            shapes: vec![(Kind::N4, 576, 1536), (Kind::B8, 1536, 576), (Kind::R16, 1536, 384)],
            tokens: 32,
            time: 100.0,
            spread: 0,
            copied: 16 << 20,
        }
    }
}

/// One matrix product.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Format of the weights.
    pub kind: Kind,
    /// Rows and columns of the weights.
    pub shape: (usize, usize),
    /// Tokens at once.
    pub tokens: usize,
    /// Milliseconds of one product.
    pub milliseconds: f64,
    /// Bytes of weights a second, in 10^9.
    pub gigabytes: f64,
    /// Multiplications and additions a second, in 10^9, as a model counts them.
    pub gigaops: f64,
    /// Of the bandwidth that copying reached.
    pub bandwidth_share: f64,
    /// Of the peak of integer dot products: those done (two for each that a model counts) over those
    /// that could have been done. None for R16, which has no use for them.
    pub dot_share: Option<f64>,
    /// Whether every bit was the processor's.
    pub equal: bool,
}

/// All figures of a device.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Bytes read and written a second when copying, in 10^9.
    pub copy: f64,
    /// Multiplications and additions in dot products of bytes a second, in 10^9.
    pub dot: f64,
    /// The matrix products.
    pub products: Vec<Figure>,
}

/// Measures a device, by its clock.
///
/// # Errors
/// When the device is lost or fails.
pub async fn run(gpu: &Gpu, clock: fn() -> f64, plan: &Plan) -> Result<Figures, Error> {
    let copy = copy(gpu, clock, plan).await?;
    let dot = dot(gpu, clock, plan).await?;
    let mut products = Vec::new();
    for (kind, rows, cols) in &plan.shapes {
        let mut random = Random::new(1);
        let weights = random.weights(*kind, *rows, *cols);
        let bytes = weights.words().len() as f64 * 4.0;
        let copies = (plan.spread as f64 / bytes).clamp(1.0, 512.0) as usize;
        let on_device: Vec<Weights> = (0..copies).map(|_| gpu.weights(weights.clone())).collect();
        for tokens in [1, plan.tokens] {
            let x = random.matrix(tokens, *cols);
            let product = Product { gpu, weights: &weights, on_device: &on_device, x: &x };
            let (milliseconds, equal) = product.measure(clock, plan.time).await?;
            let gigabytes = bytes / milliseconds / 1e6;
            let gigaops = 2.0 * (rows * cols * tokens) as f64 / milliseconds / 1e6;
            products.push(Figure {
                kind: *kind,
                shape: (*rows, *cols),
                tokens,
                milliseconds,
                gigabytes,
                gigaops,
                bandwidth_share: gigabytes / copy,
                dot_share: (*kind != Kind::R16).then_some(2.0 * gigaops / dot),
                equal,
            });
        }
    }
    Ok(Figures { copy, dot, products })
}

/// Milliseconds of one `work`, done until `time` is over.
async fn timed(
    gpu: &Gpu,
    clock: fn() -> f64,
    time: f64,
    mut work: impl FnMut(usize),
) -> Result<f64, Error> {
    // Compiles, and lets the slices grow.
    for i in 0..3 {
        work(i);
        gpu.finish().await?;
    }
    let (mut done, mut next) = (0, 1);
    let start = clock();
    loop {
        for _ in 0..next {
            work(done);
            done += 1;
        }
        gpu.finish().await?;
        let took = clock() - start;
        if took >= time {
            return Ok(took / done as f64);
        }
        next = (done * 2).min(1000);
    }
}

async fn copy(gpu: &Gpu, clock: fn() -> f64, plan: &Plan) -> Result<f64, Error> {
    let words = (plan.copied.min(gpu.about().binding) / 4) as usize;
    let (a, b) = (gpu.recorder.room(words), gpu.recorder.room(words));
    let time =
        timed(gpu, clock, plan.time, |_| gpu.recorder.copy((&a.buffer, 0), (&b.buffer, 0), words))
            .await?;
    Ok(2.0 * words as f64 * 4.0 / time / 1e6)
}

async fn dot(gpu: &Gpu, clock: fn() -> f64, plan: &Plan) -> Result<f64, Error> {
    let (groups, rounds) = if gpu.about().processor { (16, 256) } else { (4096, 2048) };
    let out = gpu.recorder.room(groups as usize * 64);
    // Sixteen dots of four, two operations for each byte.
    let operations = f64::from(groups) * 64.0 * f64::from(rounds) * 16.0 * 8.0;
    let work = |_| {
        gpu.recorder.dispatch(Kernel::Peak, &[&out], &[rounds], [groups, 1, 1], operations / 8.0)
    };
    let time = timed(gpu, clock, plan.time, work).await?;
    Ok(operations / time / 1e6)
}

struct Product<'a> {
    gpu: &'a Gpu,
    weights: &'a weights::Weights,
    on_device: &'a [Weights],
    x: &'a activation::Matrix,
}

impl Product<'_> {
    async fn measure(&self, clock: fn() -> f64, time: f64) -> Result<(f64, bool), Error> {
        let precision = Precision::from(self.weights.shape().kind);
        let a = self.gpu.quantise(&self.gpu.matrix(self.x), precision);
        let mut out: Option<Matrix> = None;
        let took = timed(self.gpu, clock, time, |i| {
            out = Some(self.gpu.linear(&self.on_device[i % self.on_device.len()], &a));
        })
        .await?;
        let want = linear::simd(self.weights, &activation::quantise(self.x, precision));
        let got = self.gpu.read(&out.expect("it was done")).await?;
        Ok((took, got == want))
    }
}
