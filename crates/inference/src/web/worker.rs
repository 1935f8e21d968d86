//! The worker: one task at a time, in slices that let messages in, with the
//! model of the last one in memory.

use super::device::{Devices, Ended, Engine};
use super::fetch::Source;
use super::model::{Failure, load};
use grid_contexts::messages::{Finished, FromInference, Inference, Text, ToInference};
use grid_contexts::pace::{Pace, Rest};
use grid_contexts::port::Port;
use grid_contexts::wait::{let_messages_in, performance_now, sleep};
use grid_infer::run::{self, Outcome, Task};
use grid_node::{RunReport, Share};
use grid_protocol::infer::Work;
use grid_protocol::{Digest, Files, GiveBackReason, LeaseId, Side, Spec};
use js_sys::{Function, Promise};
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::MessagePort;

/// A run says that it is alive this often, in milliseconds.
const ALIVE_MS: f64 = 250.0;

/// The worker's state.
pub(crate) struct Worker {
    port: RefCell<Option<Port>>,
    pace: RefCell<Pace>,
    /// The task that runs, and whether it should stop.
    running: Cell<Option<LeaseId>>,
    stop: Cell<bool>,
    pub(crate) devices: Devices,
    /// The model in memory.
    loaded: RefCell<Option<Loaded>>,
    /// What runs may use.
    share: Cell<Share>,
    /// Most tokens of a slice.
    chunk: usize,
    /// When the slice began, messages were last let in, and life last told.
    slice: Cell<f64>,
    yielded: Cell<f64>,
    told: Cell<f64>,
    /// Resolves what a paused run waits for.
    resume: RefCell<Option<Function>>,
}

/// A model in memory.
struct Loaded {
    model: Digest,
    engine: Rc<Engine>,
    /// Whether it could have gone to the GPU.
    gpu: bool,
}

/// What infers, for whoever shares its context with it and can't terminate it.
#[wasm_bindgen]
pub struct Inferring(Rc<Worker>);

#[wasm_bindgen]
impl Inferring {
    /// Ends it: a task that runs stops after its slice, and nothing is said.
    pub fn end(self) {
        self.0.port.take();
        self.0.stop.set(true);
        self.0.go_on();
    }
}

/// Starts what infers: tasks come on this port. `chunk`, where it shares its
/// context with others: most tokens of a slice, 1 to 64.
#[wasm_bindgen]
pub fn infer(port: MessagePort, chunk: Option<u32>) -> Inferring {
    let now = performance_now();
    let worker = Rc::new(Worker {
        port: RefCell::default(),
        pace: RefCell::new(Pace::new(100, 0.0, now)),
        running: Cell::default(),
        stop: Cell::default(),
        devices: Devices::default(),
        loaded: RefCell::default(),
        share: Cell::new(Share { cpu: 100, gpu: 100 }),
        chunk: chunk.map_or(run::CHUNK, |chunk| (chunk as usize).clamp(1, run::CHUNK)),
        slice: Cell::new(now),
        yielded: Cell::new(now),
        told: Cell::new(now),
        resume: RefCell::default(),
    });
    let inner = worker.clone();
    let port = Port::new(port, move |message| inner.clone().on_message(message));
    port.send(&FromInference::Ready);
    worker.port.replace(Some(port));
    Inferring(worker)
}

impl Worker {
    fn on_message(self: Rc<Self>, message: ToInference) {
        match message {
            ToInference::Run(lease, job) => {
                self.running.set(Some(lease));
                self.stop.set(false);
                spawn_local(async move {
                    let ended = self.work(lease, job).await;
                    self.running.set(None);
                    self.say(&match ended {
                        Ok(finished) => FromInference::Finished(lease, finished),
                        Err(Failure(reason, detail)) => {
                            FromInference::Failed(lease, reason.number(), detail)
                        }
                    });
                });
            }
            ToInference::Stop(lease) => {
                if self.running.get() == Some(lease) {
                    self.stop.set(true);
                    self.go_on();
                }
            }
            ToInference::Pace(cpu, gpu) => {
                self.share.set(Share { cpu, gpu });
                self.set_pace();
                self.alive();
                self.go_on();
            }
        }
    }

    async fn work(&self, lease: LeaseId, job: Inference) -> Result<Finished, Failure> {
        let unable = |why: String| Failure(GiveBackReason::Unable, why);
        let spec = Spec::decode(&job.spec).map_err(|error| unable(error.to_string()))?;
        let input =
            Files::decode(Side::Input, &job.input).map_err(|error| unable(error.to_string()))?;
        let work = spec.args.first().and_then(|work| Work::of(work));
        let work = work.ok_or_else(|| unable("no such work".into()))?;
        if self.off_the_gpu() {
            self.loaded.take();
        }
        self.begin_slice();
        if !self.step().await {
            return Err(Failure::stopped());
        }
        let engine = self.engine(lease, &spec, job.origin, job.quota).await?;
        let began = performance_now();
        let task = Task {
            work,
            stdin: input.get("stdin").unwrap_or_default(),
            seed: spec.seed,
            draft: job.draft.as_deref(),
            fuel: spec.fuel,
            output: spec.output_bytes,
        };
        self.set_pace();
        self.begin_slice();
        let mut slices = Slices { worker: self, lease, offset: 0, pieces: 0 };
        let ended = engine.run(task, &mut slices).await.map_err(|ended| match ended {
            Ended::Stopped => Failure::stopped(),
            Ended::Lost(why) => {
                // The next task opens another device.
                self.devices.lost();
                self.loaded.take();
                Failure(GiveBackReason::Device, why)
            }
        });
        let Outcome { reason, exit_code, output, check, fuel } = ended?;
        let output = output.encode();
        let report = RunReport { reason, exit_code, output, check, fuel, hint: None };
        let owed = self.pace.borrow().owed();
        Ok(Finished::new(report, performance_now() - began, owed))
    }

    /// The model of a task: the one in memory, or else it is loaded, and the
    /// one before is let go first.
    async fn engine(
        &self,
        lease: LeaseId,
        spec: &Spec,
        origin: String,
        quota: u64,
    ) -> Result<Rc<Engine>, Failure> {
        let gpu = self.devices.may_use_gpu(self.share.get().gpu);
        if let Some(loaded) = &*self.loaded.borrow()
            && loaded.model == spec.module
            && loaded.gpu == gpu
        {
            return Ok(loaded.engine.clone());
        }
        self.loaded.take();
        let source = Source { origin, model: spec.module };
        let engine = Rc::new(load(self, lease, &source, quota, gpu).await?);
        let gpu = engine.on_gpu() || (gpu && self.devices.may_use_gpu(1));
        let (model, kept) = (spec.module, engine.clone());
        self.loaded.replace(Some(Loaded { model, engine: kept, gpu }));
        Ok(engine)
    }

    pub(crate) fn say(&self, message: &FromInference) {
        if let Some(port) = &*self.port.borrow() {
            port.send(message);
        }
    }

    fn alive(&self) {
        self.told.set(performance_now());
        self.say(&FromInference::Alive);
    }

    fn go_on(&self) {
        if let Some(resume) = self.resume.take() {
            let _ = resume.call0(&JsValue::UNDEFINED);
        }
    }

    /// Is the model that runs on the GPU?
    fn on_gpu(&self) -> bool {
        self.loaded.borrow().as_ref().is_some_and(|loaded| loaded.engine.on_gpu())
    }

    /// The pace follows the share of what the run is on.
    fn set_pace(&self) {
        let Share { cpu, gpu } = self.share.get();
        let share = if cpu > 0 && self.on_gpu() { gpu } else { cpu };
        self.pace.borrow_mut().set_share(share);
    }

    /// A run on a GPU that is to be left alone from now on can't go on: it is
    /// given back, and the next one runs on the processor.
    fn off_the_gpu(&self) -> bool {
        let Share { cpu, gpu } = self.share.get();
        cpu > 0 && gpu == 0 && self.on_gpu()
    }

    /// Time is counted from here: what was before was waiting.
    pub(crate) fn begin_slice(&self) {
        self.slice.set(performance_now());
    }

    /// Ends a slice: rests as long as the share asks for, lets messages in.
    /// False when the run should stop.
    pub(crate) async fn step(&self) -> bool {
        let ended = performance_now();
        self.pace.borrow_mut().used(ended - self.slice.get());
        loop {
            if self.stop.get() || self.off_the_gpu() {
                return false;
            }
            let now = performance_now();
            if now - self.told.get() >= ALIVE_MS {
                self.alive();
            }
            let due = self.pace.borrow().rest(now - self.yielded.get());
            match due {
                Rest::None => break,
                Rest::Yield => let_messages_in().await,
                Rest::Sleep(ms) => sleep(ms.ceil() as u32).await,
                Rest::Paused => self.paused().await,
            }
            self.yielded.set(performance_now());
            if let Rest::Sleep(_) = due {
                self.pace.borrow_mut().slept(self.yielded.get() - now);
            }
        }
        self.begin_slice();
        true
    }

    /// Waits for the next change of the share, or for the order to stop.
    async fn paused(&self) {
        self.alive();
        let changed = Promise::new(&mut |resolve, _| drop(self.resume.replace(Some(resolve))));
        let _ = JsFuture::from(changed).await;
    }
}

/// What a run does between two slices.
struct Slices<'a> {
    worker: &'a Worker,
    lease: LeaseId,
    /// Bytes of text so far, and the pieces they came in.
    offset: u32,
    pieces: u32,
}

impl run::Pace for Slices<'_> {
    fn chunk(&self) -> usize {
        self.worker.chunk
    }

    async fn step(&mut self) -> ControlFlow<()> {
        match self.worker.step().await {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }

    fn text(&mut self, more: &str) {
        self.pieces += 1;
        let (text, offset, pieces) = (more.to_owned(), self.offset, self.pieces);
        self.offset = offset.saturating_add(more.len() as u32);
        self.worker.say(&FromInference::Text(self.lease, Text { offset, text, pieces }));
    }
}
