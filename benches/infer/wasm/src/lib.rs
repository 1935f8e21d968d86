//! Grid's inference as the benchmark's page loads it: engines/ours.worker.mjs
//! calls this, and takes the time.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use grid_infer::file::{Header, PREFIX, Span};
use grid_infer::model::llama::Session;
use grid_infer::run::{Model as Network, Runner};
use grid_tensor::backend::{Backend, Cpu};
use wasm_bindgen::prelude::*;

/// Tokens that go through the layers at once, as in a task.
const CHUNK: usize = 64;

/// A model, and the sequence that it is at.
#[wasm_bindgen]
pub struct Model {
    runner: Runner<Cpu>,
    session: Option<Session<Cpu>>,
    /// The token after the sequence.
    next: u32,
}

#[wasm_bindgen]
impl Model {
    /// Opens a model file.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: &[u8]) -> Result<Model, String> {
        let length = Header::length(bytes.get(..PREFIX).unwrap_or_default()).map_err(text)?;
        let header = bytes.get(..length).unwrap_or_default();
        let header = Header::decode(header).map_err(text)?;
        let begin = Header::data_begins(length) as usize;
        let read = |span: Span| {
            let first = begin + span.offset as usize;
            bytes.get(first..first + span.length as usize).map(<[u8]>::to_vec)
        };
        let runner = Runner::open(Cpu::simd(), &header, read).map_err(text)?;
        Ok(Self { runner, session: None, next: 0 })
    }

    /// Reads a prompt into an empty cache, and chooses what comes after it.
    pub fn prompt(&mut self, ids: &[u32]) -> Result<(), String> {
        let (device, Network::Decoder(model)) = self.runner.network() else {
            return Err("an encoder takes no prompt".into());
        };
        let mut session = model.session(device);
        for ids in ids.chunks(CHUNK) {
            let mut pass = model.start(device, &session, ids);
            while model.advance(device, &mut session, &mut pass) {}
            let (_, logits) = model.finish(device, &pass, 1);
            self.next = first(device.argmax(&logits))?;
        }
        self.session = Some(session);
        Ok(())
    }

    /// Goes on for `n` tokens, whatever they are.
    pub fn decode(&mut self, n: usize) -> Result<Vec<u32>, String> {
        let (device, Network::Decoder(model)) = self.runner.network() else {
            return Err("an encoder doesn't go on".into());
        };
        let session = self.session.as_mut().ok_or("there is no prompt to go on from")?;
        let mut made = Vec::with_capacity(n);
        for _ in 0..n {
            made.push(self.next);
            let mut pass = model.start(device, session, &[self.next]);
            while model.advance(device, session, &mut pass) {}
            let (_, logits) = model.finish(device, &pass, 1);
            self.next = first(device.argmax(&logits))?;
        }
        Ok(made)
    }

    /// Whether prefill, from an empty cache, chooses each token after the
    /// first `prompt`, as a check of a generation does.
    pub fn check(&self, prompt: usize, ids: &[u32]) -> Result<bool, String> {
        let (device, Network::Decoder(model)) = self.runner.network() else {
            return Err("an encoder generates nothing".into());
        };
        let mut session = model.session(device);
        let mut chosen = Vec::with_capacity(ids.len());
        for ids in ids.chunks(CHUNK) {
            let first = session.len();
            let mut pass = model.start(device, &session, ids);
            while model.advance(device, &mut session, &mut pass) {}
            let choosing = (first + ids.len()).saturating_sub(prompt - 1).min(ids.len());
            if choosing > 0 {
                let (_, logits) = model.finish(device, &pass, choosing);
                chosen.extend(now(device.argmax(&logits))?.map_err(text)?);
            }
        }
        chosen.pop();
        Ok(chosen == ids[prompt..])
    }

    /// Embeds texts of `tokens` tokens each, one after another in `ids`.
    pub fn embed(&self, ids: &[u32], tokens: usize) -> Result<Vec<f32>, String> {
        let (device, Network::Encoder(model)) = self.runner.network() else {
            return Err("a decoder doesn't embed".into());
        };
        let texts: Vec<&[u32]> = ids.chunks(tokens).collect();
        let mut out = Vec::new();
        // As in a task: as many texts together as a chunk takes, at least one.
        for texts in texts.chunks((CHUNK / tokens).max(1)) {
            let mut pass = model.start(device, texts);
            while model.advance(device, &mut pass) {}
            let vectors = now(model.finish(device, &pass))?.map_err(text)?;
            out.extend(vectors.concat());
        }
        Ok(out)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn first<E: std::error::Error>(
    chosen: impl Future<Output = Result<Vec<u32>, E>>,
) -> Result<u32, String> {
    now(chosen)?.map_err(text)?.first().copied().ok_or_else(|| "nothing was chosen".into())
}

/// What a future of the processor's gives: it never waits.
fn now<T>(future: impl Future<Output = T>) -> Result<T, String> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err("the processor waits".into()),
    }
}
