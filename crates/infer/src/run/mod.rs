//! A task of runtime `infer`: from its input list to its output list, check
//! digest and fuel. docs/arithmetic.md, "Tasks".

mod embed;
mod generate;
mod open;

pub use open::OpenError;

use crate::file::{Header, Span};
use crate::model::bert::Bert;
use crate::model::llama::Llama;
use crate::tokenizer::Tokenizer;
use grid_protocol::infer::{REFUSED, Work};
use grid_protocol::{Digest, ExitReason, Files, Side};
pub use grid_tensor::backend::{Backend, Cpu};
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use thiserror::Error;

/// Most tokens that go through the layers at once: a layer of them is a slice.
pub const CHUNK: usize = 64;

/// A model on a device, ready for tasks.
pub struct Runner<B: Backend> {
    device: B,
    tokenizer: Tokenizer,
    model: Model<B>,
}

/// A network on a device.
pub enum Model<B: Backend> {
    /// Goes on with a text.
    Decoder(Llama<B>),
    /// Turns texts into vectors.
    Encoder(Bert<B>),
}

/// What a task asks for.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// The spec's argument.
    pub work: Work,
    /// The request, JSON of [`grid_protocol::infer`].
    pub stdin: &'a [u8],
    /// The spec's seed: where sampling takes its randomness.
    pub seed: [u8; 32],
    /// Standard output that a node claims. What it says is checked in one
    /// pass where it is right, and plays no part in the answer.
    pub draft: Option<&'a [u8]>,
    /// Most fuel: multiply-adds.
    pub fuel: u64,
    /// Most bytes of the output list.
    pub output: u64,
}

/// How a task ended: what its receipt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Why it ended.
    pub reason: ExitReason,
    /// 0, or [`REFUSED`] with the reason on standard error.
    pub exit_code: u32,
    /// Standard output with the answer.
    pub output: Files,
    /// Of the hidden states or vectors; zero where there is no answer.
    pub check: Digest,
    /// Integer multiply-adds, exactly, from the shapes.
    pub fuel: u64,
}

/// What the caller does between two slices of work.
pub trait Pace {
    /// Called after every layer of some tokens: waits as long as it likes, and
    /// breaks when the run should be given up.
    fn step(&mut self) -> impl Future<Output = ControlFlow<()>>;
    /// Most tokens of a slice, 1 to [`CHUNK`]: fewer make it shorter and the
    /// run longer, and change nothing of its outcome.
    fn chunk(&self) -> usize {
        CHUNK
    }
    /// More text of a generation, provisional until the task is settled.
    fn text(&mut self, more: &str);
}

/// A caller that never waits and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Freely;

impl Pace for Freely {
    async fn step(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn text(&mut self, _: &str) {}
}

/// Why there is no outcome: nothing that a receipt could say.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError<E: std::error::Error> {
    /// [`Pace::step`] broke.
    #[error("the run was stopped")]
    Stopped,
    /// The device was lost.
    #[error("the device was lost: {0}")]
    Device(E),
}

/// Why a run ends before its answer.
enum Halt<E> {
    Stopped,
    Device(E),
    /// The request can't be taken; every node says so.
    Refused(String),
    /// The fuel wouldn't do.
    Fuel,
}

/// An answer.
struct Answer {
    json: Vec<u8>,
    check: Digest,
    fuel: u64,
}

impl<B: Backend> Runner<B> {
    /// Takes a model to a device; `read` gives the bytes of a span of the data,
    /// which the caller has checked block by block.
    ///
    /// # Errors
    /// The header's numbers and tensors make no model.
    pub fn open(
        device: B,
        header: &Header,
        mut read: impl FnMut(Span) -> Option<Vec<u8>>,
    ) -> Result<Self, OpenError> {
        now(Self::open_in_slices(device, header, async |span| read(span)))
    }

    /// The same where `read` waits: for the bytes, and for whatever else is to
    /// be done between two tensors.
    ///
    /// # Errors
    /// As [`Runner::open`].
    pub async fn open_in_slices(
        device: B,
        header: &Header,
        read: impl AsyncFnMut(Span) -> Option<Vec<u8>>,
    ) -> Result<Self, OpenError> {
        open::open(device, header, read).await
    }

    /// What this model does.
    #[must_use]
    pub fn work(&self) -> Work {
        match &self.model {
            Model::Decoder(_) => Work::Generate,
            Model::Encoder(_) => Work::Embed,
        }
    }

    /// Its network, and the device that it is on: for measuring.
    #[must_use]
    pub fn network(&self) -> (&B, &Model<B>) {
        (&self.device, &self.model)
    }

    /// Its tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Runs a task.
    ///
    /// # Errors
    /// It was stopped, or the device was lost: the lease goes back.
    pub async fn run(
        &self,
        task: Task<'_>,
        pace: &mut impl Pace,
    ) -> Result<Outcome, RunError<B::Error>> {
        let answer = match (&self.model, task.work) {
            (Model::Decoder(model), Work::Generate) => {
                generate::run(&self.device, model, &self.tokenizer, task, pace).await
            }
            (Model::Encoder(model), Work::Embed) => {
                embed::run(&self.device, model, &self.tokenizer, task, pace).await
            }
            (_, work) => Err(Halt::Refused(format!("this model does not {}", work.name()))),
        };
        let empty = |reason, fuel| Outcome {
            reason,
            exit_code: 0,
            output: Files::new(Side::Output),
            check: Digest::ZERO,
            fuel,
        };
        match answer {
            Ok(answer) => {
                let output = files("stdout", answer.json);
                if output.size() > task.output {
                    return Ok(empty(ExitReason::OutputLimit, answer.fuel));
                }
                let (reason, exit_code) = (ExitReason::Exit, 0);
                Ok(Outcome { reason, exit_code, output, check: answer.check, fuel: answer.fuel })
            }
            Err(Halt::Refused(why)) => {
                let output = files("stderr", format!("{why}\n").into_bytes());
                Ok(Outcome { exit_code: REFUSED, output, ..empty(ExitReason::Exit, 0) })
            }
            Err(Halt::Fuel) => Ok(empty(ExitReason::OutOfFuel, task.fuel)),
            Err(Halt::Stopped) => Err(RunError::Stopped),
            Err(Halt::Device(error)) => Err(RunError::Device(error)),
        }
    }
}

fn files(path: &str, bytes: Vec<u8>) -> Files {
    let mut files = Files::new(Side::Output);
    files.insert(path, bytes).expect("a standard stream is always allowed");
    files
}

/// Between two slices.
async fn pause<B: Backend>(device: &B, pace: &mut impl Pace) -> Result<(), Halt<B::Error>> {
    device.pace().await.map_err(Halt::Device)?;
    match pace.step().await {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Halt::Stopped),
    }
}

/// The request of a task.
fn request<E, T: serde::de::DeserializeOwned>(stdin: &[u8]) -> Result<T, Halt<E>> {
    serde_json::from_slice(stdin).map_err(|error| Halt::Refused(format!("the request: {error}")))
}

/// The outcome of a future that waits for nothing: it is there when it is first
/// asked for.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("it waits for nothing"),
    }
}

#[cfg(test)]
mod tests;
