//! Grid's own models, as what is compared with the plain ones.

use super::{Embed, Logits};
use grid_infer::convert::read_header;
use grid_infer::file::{HeaderError, Span};
use grid_infer::run::{Model, OpenError, Runner};
use grid_infer::tokenizer::Tokenizer;
use grid_tensor::backend::{Backend, Cpu};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use thiserror::Error;

/// Why a model file can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IntegerModelError {
    /// It can't be read.
    #[error("can't read the model file: {0}")]
    File(#[from] io::Error),
    /// Its header is broken.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// It makes no model.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// A model file on the processor, in vectors.
pub struct IntegerModel {
    runner: Runner<Cpu>,
}

impl IntegerModel {
    /// Reads all of a model file.
    ///
    /// # Errors
    /// It can't be read, or is no model.
    pub fn open(path: &Path) -> Result<Self, IntegerModelError> {
        let mut file = File::open(path)?;
        let header = read_header(&mut file)??;
        let begin = file.stream_position()?;
        let read = |span: Span| {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(begin + span.offset)).ok()?;
            file.by_ref().take(span.length).read_to_end(&mut bytes).ok()?;
            Some(bytes)
        };
        Ok(Self { runner: Runner::open(Cpu::simd(), &header, read)? })
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        self.runner.tokenizer()
    }
}

/// The value of a future of the processor's, which never waits.
fn ready<T, E: std::error::Error>(future: impl Future<Output = Result<T, E>>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(value)) => value,
        Poll::Ready(Err(error)) => unreachable!("the processor is not lost: {error}"),
        Poll::Pending => unreachable!("the processor answers at once"),
    }
}

impl Logits for IntegerModel {
    /// # Panics
    /// When the model is an encoder.
    fn logits(&mut self, ids: &[u32]) -> Vec<Vec<f32>> {
        let (device, Model::Decoder(model)) = self.runner.network() else {
            panic!("an encoder has no logits")
        };
        let mut session = model.session(device);
        let mut pass = model.start(device, &session, ids);
        while model.advance(device, &mut session, &mut pass) {}
        let (_, logits) = model.finish(device, &pass, ids.len());
        let logits = ready(device.read(&logits));
        let row = |row: usize| -> Vec<f32> {
            let unit = f64::from(logits.exponents[row]).exp2();
            logits.row(row).iter().map(|x| (f64::from(*x) * unit) as f32).collect()
        };
        (0..logits.rows()).map(row).collect()
    }
}

impl Embed for IntegerModel {
    /// # Panics
    /// When the model is a decoder.
    fn embed(&mut self, ids: &[u32]) -> Vec<f32> {
        let (device, Model::Encoder(model)) = self.runner.network() else {
            panic!("a decoder has no embeddings")
        };
        let mut pass = model.start(device, &[ids]);
        while model.advance(device, &mut pass) {}
        ready(model.finish(device, &pass)).pop().unwrap_or_default()
    }
}
