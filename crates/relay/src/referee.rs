//! The relay's own runs: the verifier of last resort. One task at a time, in
//! wasmtime, on a thread that may block; the result is signed by the relay's
//! key and committed as a vote like any other.

use crate::core::random;
use crate::inference::{InferenceError, InferenceTask, Inferred};
use crate::job::Job;
use crate::state::{Shared, unix_ms};
use crate::store::{Accept, BlobError, StoreError, Write, model_block, rows};
use crate::votes::Later;
use crate::writer::{Request, Then};
use bytes::Bytes;
use grid_engine::{Engine, EngineError, Module};
use grid_protocol::{
    Digest, ExitReason, Files, LeaseId, ReceiptBody, ReceiptError, Runtime, Side, Spec,
    UnverifiedReceipt,
};
use grid_scheduler::Task;
use grid_scheduler::trust::Draw;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use thiserror::Error;
use tokio::sync::mpsc;

/// Pause before a run that came to nothing is tried again; twice as long each
/// time.
const RETRY_MS: u64 = 10_000;

/// Tasks to be run.
#[derive(Debug)]
pub(crate) struct Referee(mpsc::UnboundedSender<Task>);

/// Why a run came to nothing.
#[derive(Debug, Error)]
enum RefereeError {
    #[error("the task is over")]
    Over,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("{0} is missing")]
    Missing(Digest),
    #[error("the input can't be read: {0}")]
    Input(#[from] grid_protocol::FilesError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Inference(#[from] InferenceError),
    #[error("this relay has no runtime infer")]
    NoInference,
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
}

impl Referee {
    pub(crate) fn channel() -> (Self, mpsc::UnboundedReceiver<Task>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Runs a task when those before it are done.
    pub(crate) fn ask(&self, task: Task) {
        // Nobody listens once the relay stops.
        let _ = self.0.send(task);
    }
}

/// Runs what is asked for, until the relay stops.
pub(crate) async fn serve(shared: Arc<Shared>, mut asked: mpsc::UnboundedReceiver<Task>) {
    let mut stop = shared.stop.subscribe();
    let mut runner = None;
    loop {
        let task = tokio::select! {
            task = asked.recv() => task,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Some(task) = task else { return };
        let (running, with) = (shared.clone(), runner.take());
        let ran = tokio::task::spawn_blocking(move || {
            let mut runner = with.unwrap_or_default();
            let ran = run(&running, &mut runner, task);
            (ran, runner)
        });
        let (ran, with) = match ran.await {
            Ok(ran) => ran,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        runner = Some(with);
        match ran {
            Ok((accept, draw)) => vote(&shared, task, accept, draw),
            Err(
                RefereeError::Over
                | RefereeError::Engine(EngineError::Stopped)
                | RefereeError::Inference(InferenceError::Stopped),
            ) => {}
            Err(error) => {
                shared.metrics.referee_failed.inc();
                let mut core = shared.core();
                let times = core.votes.referee_failed(task, error.to_string());
                if core.votes.may_referee(task) {
                    tracing::warn!(%error, job = %task.job, index = task.index, times,
                        "the relay can't run a task itself; it tries again later");
                    let at = shared.now() + (RETRY_MS << (times - 1));
                    core.votes.later(at, task, Later::Referee);
                } else {
                    tracing::error!(%error, job = %task.job, index = task.index, times,
                        "the relay can't run a task itself: the task waits for nodes");
                    shared.ask_referee(&mut core, task);
                }
            }
        }
    }
}

/// What is kept between runs: jobs ask for one module again and again.
#[derive(Default)]
struct Runner {
    engine: Option<Engine>,
    module: Option<(Digest, Module)>,
}

impl Runner {
    fn module(
        &mut self,
        shared: &Shared,
        digest: Digest,
    ) -> Result<(Engine, Module), RefereeError> {
        let engine = match &self.engine {
            Some(engine) => engine.clone(),
            None => self.engine.insert(Engine::new()?).clone(),
        };
        match &self.module {
            Some((kept, module)) if *kept == digest => Ok((engine, module.clone())),
            _ => {
                let module = engine.load(&read(shared, digest)?)?;
                self.module = Some((digest, module.clone()));
                Ok((engine, module))
            }
        }
    }
}

fn read(shared: &Shared, digest: Digest) -> Result<Vec<u8>, RefereeError> {
    use std::io::Read as _;
    let (mut file, size) = shared.blobs.open_blob(digest)?.ok_or(RefereeError::Missing(digest))?;
    let mut bytes = Vec::with_capacity(size as usize);
    file.read_to_end(&mut bytes).map_err(|_| RefereeError::Missing(digest))?;
    Ok(bytes)
}

fn input(shared: &Shared, digest: Digest, size: u64) -> Result<Vec<u8>, RefereeError> {
    if !rows::is_inline(size) {
        return read(shared, digest);
    }
    let body = shared.reads.run_blocking(|db| rows::body(db, digest))?;
    body.ok_or(RefereeError::Missing(digest))
}

fn run(
    shared: &Arc<Shared>,
    runner: &mut Runner,
    task: Task,
) -> Result<(Accept, Draw), RefereeError> {
    let job = {
        let core = shared.core();
        core.job(task.job).filter(|_| core.scheduler.is_open(task)).ok_or(RefereeError::Over)?
    };
    let (Some(spec), Some(of)) = (job.spec(task.index), job.input(task.index)) else {
        return Err(RefereeError::Over);
    };
    let files = Files::decode(Side::Input, &input(shared, of.digest, of.size)?)?;
    let (watched, id) = (shared.clone(), task.job);
    let go_on = move || {
        let over = watched.stopping.load(Ordering::Relaxed) || watched.core().job(id).is_none();
        if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let outcome = match spec.runtime {
        Runtime::Infer => infer(shared, &job, task.index, &spec, &files, &go_on)?,
        _ => {
            let (engine, module) = runner.module(shared, spec.module)?;
            let outcome = engine.run(&module, &spec, files, move |_| go_on())?;
            let grid_sandbox::Outcome { reason, exit_code, output, fuel, hint } = outcome;
            Ran { reason, exit_code, output, check: Digest::ZERO, fuel, hint }
        }
    };
    shared.metrics.referee_runs.inc();
    let output = outcome.output.encode();
    let body = body(shared, &spec, &outcome, &output);
    let output = if rows::is_inline(output.len() as u64) {
        Some(Bytes::from(output))
    } else {
        shared.blobs.put(body.output, &output)?;
        None
    };
    let signature = shared.key.sign(&body.encode());
    let receipt = UnverifiedReceipt { body, signature }.verify()?;
    let (proof, draw) = shared.draw(&receipt.digest());
    let accept = Accept {
        job: task.job,
        index: task.index,
        receipt,
        draw: proof,
        output,
        hint: outcome.hint,
        at_ms: unix_ms(),
    };
    Ok((accept, draw))
}

/// How a run of the relay's ended.
struct Ran {
    reason: ExitReason,
    exit_code: u32,
    output: Files,
    check: Digest,
    fuel: u64,
    hint: Option<String>,
}

fn infer(
    shared: &Arc<Shared>,
    job: &Job,
    index: u32,
    spec: &Spec,
    input: &Files,
    go_on: &dyn Fn() -> ControlFlow<()>,
) -> Result<Ran, RefereeError> {
    let inference = shared.inference.as_deref().ok_or(RefereeError::NoInference)?;
    let model = spec.module;
    let header = read(shared, model)?;
    let draft = shared.draft_blocking(job, index);
    let block = |number| {
        let digest = shared.reads.run_blocking(|db| model_block(db, model, number));
        let digest = digest.ok().flatten().ok_or(std::io::ErrorKind::NotFound)?;
        read(shared, digest).map_err(std::io::Error::other)
    };
    let task = InferenceTask {
        spec,
        input,
        draft: draft.as_deref(),
        header: &header,
        block: &block,
        go_on,
    };
    let Inferred { reason, exit_code, output, check, fuel } = inference.run(&task)?;
    Ok(Ran { reason, exit_code, output, check, fuel, hint: None })
}

fn body(shared: &Shared, spec: &Spec, outcome: &Ran, output: &[u8]) -> ReceiptBody {
    ReceiptBody {
        relay: shared.relay,
        lease: LeaseId(random()),
        spec: spec.digest(),
        input: spec.input,
        reason: outcome.reason,
        exit_code: outcome.exit_code,
        output: Digest::of(output),
        check: outcome.check,
        fuel: outcome.fuel,
        node: shared.relay,
    }
}

/// Commits the run as a vote, unless a node's is just being committed: that
/// one may decide.
fn vote(shared: &Shared, task: Task, accept: Accept, draw: Draw) {
    let mut core = shared.core();
    if core.scheduler.is_committing(task) {
        core.votes.later(shared.now(), task, Later::Referee);
        return;
    }
    if !core.scheduler.is_open(task) || core.votes.is_settling(task) {
        return;
    }
    let write = Write::Accept(Box::new(accept));
    shared.follow_up(Request { write, then: Then::Referee(task, draw) });
}
