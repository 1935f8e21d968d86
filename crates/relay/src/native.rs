//! Runtime `infer` on the relay's own processor: the verifier of last resort,
//! and what lets a network with one node on line settle.

use crate::inference::{Inference, InferenceError, InferenceTask, Inferred};
use futures_util::FutureExt as _;
use grid_infer::file::{BLOCK, Header, Span};
use grid_infer::run::{Cpu, Pace, RunError, Runner, Task};
use grid_protocol::Digest;
use grid_protocol::infer::Work;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps the model that ran last in memory.
#[derive(Default)]
pub struct Native {
    model: Mutex<Option<(Digest, Arc<Runner<Cpu>>)>>,
}

impl std::fmt::Debug for Native {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Native").finish_non_exhaustive()
    }
}

impl Native {
    fn runner(&self, task: &InferenceTask<'_>) -> Result<Arc<Runner<Cpu>>, InferenceError> {
        let digest = task.spec.module;
        // Two runs that load at once cost one load too many, which is better than one waiting
        // under the lock.
        let kept = self.model.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, runner)) = kept.filter(|(kept, _)| *kept == digest) {
            return Ok(runner);
        }
        let header = Header::decode(task.header)?;
        let mut failed = None;
        let runner = Runner::open(Cpu::simd(), &header, |span| {
            read(&header, task, span).inspect_err(|error| failed = Some(error.kind())).ok()
        });
        let runner = runner.map_err(|error| match failed {
            Some(kind) => InferenceError::Io(kind.into()),
            None => InferenceError::File(error.to_string()),
        })?;
        let runner = Arc::new(runner);
        let mut kept = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some((digest, runner.clone()));
        Ok(runner)
    }
}

impl Inference for Native {
    fn run(&self, task: &InferenceTask<'_>) -> Result<Inferred, InferenceError> {
        let work = task.spec.args.first().and_then(|argument| Work::of(argument));
        let work = work.ok_or_else(|| InferenceError::Device("the work is not known".into()))?;
        let runner = self.runner(task)?;
        let asked = Task {
            work,
            stdin: task.input.get("stdin").unwrap_or_default(),
            seed: task.spec.seed,
            draft: task.draft,
            fuel: task.spec.fuel,
            output: task.spec.output_bytes,
        };
        // The processor never waits for anything, so one poll runs all of it.
        let outcome = runner.run(asked, &mut Asking(task.go_on)).now_or_never();
        match outcome {
            Some(Ok(outcome)) => Ok(Inferred {
                reason: outcome.reason,
                exit_code: outcome.exit_code,
                output: outcome.output,
                check: outcome.check,
                fuel: outcome.fuel,
            }),
            Some(Err(RunError::Stopped)) => Err(InferenceError::Stopped),
            Some(Err(error)) => Err(InferenceError::Device(error.to_string())),
            None => Err(InferenceError::Device("the processor waited".into())),
        }
    }
}

struct Asking<'a>(&'a dyn Fn() -> ControlFlow<()>);

impl Pace for Asking<'_> {
    async fn step(&mut self) -> ControlFlow<()> {
        (self.0)()
    }

    fn text(&mut self, _: &str) {}
}

/// A span of the data, from blocks whose digests are right.
fn read(header: &Header, task: &InferenceTask<'_>, span: Span) -> io::Result<Vec<u8>> {
    let end = span.end().ok_or(io::ErrorKind::InvalidData)?;
    let mut out = Vec::with_capacity(span.length as usize);
    for number in span.offset / BLOCK..end.div_ceil(BLOCK) {
        let block = header.block(number as usize).ok_or(io::ErrorKind::InvalidData)?;
        let bytes = (task.block)(number as u32)?;
        block.check(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let begin = span.offset.saturating_sub(block.span.offset) as usize;
        let stop = (end - block.span.offset).min(bytes.len() as u64) as usize;
        out.extend_from_slice(&bytes[begin..stop]);
    }
    Ok(out)
}
