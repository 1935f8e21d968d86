//! What a model runs on here: the GPU where there is a real one that computes
//! what the definition says, the processor elsewhere.

use grid_contexts::wait::performance_now;
use grid_infer::file::{Header, Span};
use grid_infer::run::{Cpu, OpenError, Outcome, Pace, RunError, Runner, Task};
use grid_tensor::gpu::check::{self, Scope};
use grid_tensor::gpu::{Gpu, Options};
use js_sys::Reflect;
use std::cell::Cell;
use wasm_bindgen::JsValue;

/// After so many losses the GPU is left alone.
const LOSSES: u32 = 2;

/// A model on whatever this browser computes with.
pub(crate) enum Engine {
    /// The processor, in vectors.
    Cpu(Box<Runner<Cpu>>),
    /// The GPU.
    Gpu(Box<Runner<Gpu>>),
}

/// Why a run has no outcome.
pub(crate) enum Ended {
    Stopped,
    /// The GPU is gone; what it held is to be dropped.
    Lost(String),
}

impl Engine {
    pub(crate) fn on_gpu(&self) -> bool {
        matches!(self, Self::Gpu(_))
    }

    pub(crate) async fn run(&self, task: Task<'_>, pace: &mut impl Pace) -> Result<Outcome, Ended> {
        match self {
            Self::Cpu(runner) => runner.run(task, pace).await.map_err(ended),
            Self::Gpu(runner) => runner.run(task, pace).await.map_err(ended),
        }
    }
}

fn ended<E: std::error::Error>(error: RunError<E>) -> Ended {
    match error {
        RunError::Stopped => Ended::Stopped,
        error => Ended::Lost(error.to_string()),
    }
}

/// The devices of this browser.
#[derive(Default)]
pub(crate) struct Devices {
    losses: Cell<u32>,
    /// There is no GPU that is worth asking for.
    none: Cell<bool>,
}

impl Devices {
    /// Counts a lost GPU.
    pub(crate) fn lost(&self) {
        self.losses.set(self.losses.get() + 1);
    }

    /// Whether a model may go to the GPU, where its owner lends this share of
    /// it, in percent.
    pub(crate) fn may_use_gpu(&self, share: u8) -> bool {
        share > 0 && !self.none.get() && self.losses.get() < LOSSES
    }

    /// Takes a model to the best device; to the processor where the GPU is to
    /// be left alone.
    pub(crate) async fn open(
        &self,
        gpu: bool,
        header: &Header,
        read: impl AsyncFn(Span) -> Option<Vec<u8>>,
    ) -> Result<Engine, String> {
        let refused = |error: OpenError| error.to_string();
        let gpu = if gpu { self.gpu(header).await } else { None };
        if let Some(gpu) = gpu {
            let runner = Runner::open_in_slices(gpu, header, &read).await.map_err(refused)?;
            return Ok(Engine::Gpu(Box::new(runner)));
        }
        if only_gpu() {
            return Err("there is no GPU that computes what it should".into());
        }
        let runner = Runner::open_in_slices(Cpu::simd(), header, &read).await.map_err(refused)?;
        Ok(Engine::Cpu(Box::new(runner)))
    }

    /// A GPU that holds this model and gives the definition's bits.
    async fn gpu(&self, header: &Header) -> Option<Gpu> {
        let gpu = Gpu::open(Options::new(performance_now)).await.ok();
        // A processor that plays GPU is slower than our vectors.
        let gpu = gpu.filter(|gpu| !gpu.about().processor || only_gpu());
        self.none.set(gpu.is_none());
        let gpu = gpu?;
        let shapes = header.tensors.iter().filter_map(grid_infer::file::Tensor::shape);
        if !shapes.into_iter().all(|shape| gpu.fits(&shape)) {
            return None;
        }
        // Drivers have faults; a node whose answers lose is shut out.
        let report = check::run(&gpu, Scope::All, 1, 1).await.ok()?;
        report.wrong.is_empty().then_some(gpu)
    }
}

/// Whether tests want a GPU, be it a software one, and nothing else: `?gpu=only` behind the worker's
/// address.
fn only_gpu() -> bool {
    let field = |of: &JsValue, name: &str| Reflect::get(of, &name.into()).ok();
    let search = field(&js_sys::global(), "location").and_then(|at| field(&at, "search"));
    search.and_then(|text| text.as_string()).is_some_and(|text| text.contains("gpu=only"))
}
