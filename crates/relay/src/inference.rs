//! What the relay needs of inference: the shape of a model file, and runs of
//! its own, as verifier of last resort.

use crate::store::ModelRow;
use grid_infer::file::{Family, Header, HeaderError, PREFIX};
use grid_protocol::infer::Work;
use grid_protocol::{Digest, ExitReason, Files, Spec};
use std::fmt::Debug;
use std::io::{self, Read};
use std::ops::ControlFlow;
use thiserror::Error;

/// What a model file's header says (docs/model-file.md).
#[derive(Debug)]
pub(crate) struct ModelFile {
    /// Its SHA-256 is the model's digest.
    pub(crate) header: Vec<u8>,
    /// Digest and size of each block of the data, in order.
    pub(crate) blocks: Vec<(Digest, u32)>,
    pub(crate) work: Work,
    /// Tokens that it can take at a time.
    pub(crate) context: u32,
}

/// Reads a model file up to where its data begins.
pub(crate) fn open(file: &mut dyn Read) -> Result<ModelFile, InferenceError> {
    let mut bytes = vec![0; PREFIX];
    file.read_exact(&mut bytes)?;
    let length = Header::length(&bytes)?;
    bytes.resize(length, 0);
    file.read_exact(&mut bytes[PREFIX..])?;
    let header = Header::decode(&bytes)?;
    let zeros = Header::data_begins(length) - length as u64;
    let mut rest = vec![0; zeros as usize];
    file.read_exact(&mut rest)?;
    if rest.iter().any(|byte| *byte != 0) {
        return Err(InferenceError::File("something stands before the data".into()));
    }
    let size = |number: usize| header.block(number).map_or(0, |block| block.span.length as u32);
    Ok(ModelFile {
        blocks: (0..).zip(&header.blocks).map(|(at, digest)| (*digest, size(at))).collect(),
        work: if header.family == Family::Bert { Work::Embed } else { Work::Generate },
        context: header.parameters.count("context", u32::MAX.into()).unwrap_or(0) as u32,
        header: bytes,
    })
}

/// How many numbers an embedding has, where a model file's header says.
pub(crate) fn embedding_width(header: &[u8]) -> Option<usize> {
    let header = Header::decode(header).ok()?;
    usize::try_from(header.parameters.count("embedding", u32::MAX.into()).ok()?).ok()
}

/// A task to be run.
pub struct InferenceTask<'a> {
    /// Its spec; runtime, arithmetic and arguments were checked.
    pub spec: &'a Spec,
    /// Its input list.
    pub input: &'a Files,
    /// Standard output that a node claims: what it says is checked in one pass,
    /// where it is right.
    pub draft: Option<&'a [u8]>,
    /// The model's header.
    pub header: &'a [u8],
    /// Reads a block of the data, at most a mebibyte. Its digest is for the
    /// runtime to check.
    pub block: &'a dyn Fn(u32) -> io::Result<Vec<u8>>,
    /// Asked often; the run ends where it says so.
    pub go_on: &'a dyn Fn() -> ControlFlow<()>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inferred {
    /// Why it ended.
    pub reason: ExitReason,
    /// Its exit code.
    pub exit_code: u32,
    /// What it left.
    pub output: Files,
    /// The receipt's check digest.
    pub check: Digest,
    /// Fuel used.
    pub fuel: u64,
}

/// Why there is no model, or no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InferenceError {
    /// The file can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes are no model file.
    #[error("not a model file: {0}")]
    Header(#[from] HeaderError),
    /// The file's data is not what its header says.
    #[error("the model file is damaged: {0}")]
    File(String),
    /// The machine could not run it: memory.
    #[error("the relay can't run this model: {0}")]
    Device(String),
    /// It was told to stop.
    #[error("stopped")]
    Stopped,
}

/// The runtime `infer`.
pub trait Inference: Debug + Send + Sync {
    /// Runs a task; blocks.
    fn run(&self, task: &InferenceTask<'_>) -> Result<Inferred, InferenceError>;
}

/// Most fuel that a call may use that names no limit: four integer
/// multiply-adds for each byte of the model and each token, which is above
/// what any weight format and the attention of a context this short take.
pub(crate) fn fuel_for(model: &ModelRow, tokens: u64) -> u64 {
    let each = model.bytes.saturating_mul(4);
    each.saturating_mul(tokens).clamp(1_000_000, grid_protocol::limits::MAX_FUEL)
}
