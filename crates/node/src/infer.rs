//! Runtime `infer`, as the node sees it: what it announces, how far a model
//! is, and the text that is passed on while it is being generated.

use crate::lease::{Lease, Stage};
use crate::{Action, Node};
use grid_protocol::{
    Digest, FromNode, GiveBackReason, Inference, LeaseId, Partial, Spec, encode, limits,
};

/// Pieces of text are passed on no more often than this, in milliseconds.
const TEXT: u64 = 100;
/// Most text that waits to be passed on, in bytes. What doesn't fit is left
/// out, and all that follows: the answer has it.
const WAITING: usize = limits::INLINE_BODY;
/// Longest name of a model that is kept, in bytes.
const NAME: usize = 100;

/// How far an inference is.
#[derive(Debug, Default)]
pub(crate) struct Inferring {
    /// What another node claims to be its output, until it runs.
    pub(crate) draft: Option<Vec<u8>>,
    /// Name of the model, once it is known.
    pub(crate) model: String,
    /// Bytes of the model that are here and bytes in all, until it is loaded.
    pub(crate) loading: Option<(u64, u64)>,
    /// Pieces of text so far.
    pub(crate) pieces: u32,
    /// Bytes of the text that were passed on.
    passed: u32,
    /// Text that follows them.
    waiting: String,
    /// When the next piece may be passed on.
    next: u64,
}

impl Inferring {
    pub(crate) fn new(draft: Option<Vec<u8>>) -> Self {
        Self { draft: draft.filter(|d| d.len() <= limits::INLINE_BODY), ..Self::default() }
    }

    /// Takes the next piece that may be sent.
    fn piece(&mut self) -> Option<(u32, String)> {
        let end = self.waiting.floor_char_boundary(limits::MAX_PARTIAL);
        let piece: String = self.waiting.drain(..end).collect();
        let offset = self.passed;
        self.passed += piece.len() as u32;
        (!piece.is_empty()).then_some((offset, piece))
    }
}

impl Node {
    /// What the node infers with now.
    pub(crate) fn inference(&self) -> Option<Inference> {
        let able = self.settings.inference && !self.config.arithmetics.is_empty();
        able.then(|| Inference {
            arithmetics: self.config.arithmetics.clone(),
            models: self.models.iter().copied().take(limits::MAX_MODELS).collect(),
        })
    }

    pub(crate) fn examine_inference(&self, spec: &Spec) -> Result<(), String> {
        match self.inference() {
            None => Err("this node does not infer".into()),
            Some(inference) if inference.arithmetics.contains(&spec.arithmetic) => Ok(()),
            Some(_) => Err(format!("unknown arithmetic version {}", spec.arithmetic)),
        }
    }

    pub(crate) fn on_models(&mut self, models: Vec<Digest>) {
        self.models = models;
    }

    pub(crate) fn on_loading(&mut self, id: LeaseId, mut model: String, loading: (u64, u64)) {
        if let Some(lease) = self.leases.get_mut(&id) {
            model.truncate(model.floor_char_boundary(NAME));
            lease.inferring.model = model;
            lease.inferring.loading = (loading.0 < loading.1).then_some(loading);
        }
    }

    pub(crate) fn on_text(&mut self, id: LeaseId, offset: u32, text: &str, pieces: u32) {
        let Some(lease) = self.leases.get_mut(&id).filter(|lease| lease.unfinished()) else {
            return;
        };
        let inferring = &mut lease.inferring;
        inferring.loading = None;
        inferring.pieces = pieces;
        // A node that was started again takes up in the middle: what the
        // relay missed is in the answer.
        if inferring.passed == 0 && inferring.waiting.is_empty() {
            inferring.passed = offset;
        }
        let follows =
            u64::from(inferring.passed) + inferring.waiting.len() as u64 == u64::from(offset);
        if follows && inferring.waiting.len() + text.len() <= WAITING {
            inferring.waiting.push_str(text);
        }
    }

    /// Tells the relay what changed, and passes text on.
    pub(crate) fn settle_inference(&mut self, now: u64, out: &mut Vec<Action>) {
        if !self.settings.inference {
            let infers = |(_, lease): &(&LeaseId, &Lease)| lease.infers() && lease.unfinished();
            let ids = self.leases.iter().filter(infers).map(|(id, _)| *id).collect::<Vec<_>>();
            for id in ids {
                self.give_back(id, GiveBackReason::Stopped, "AI is switched off", out);
            }
        }
        if !self.link.joined() {
            return;
        }
        if self.told != self.inference() {
            self.told = self.inference();
            let update = self.inference().unwrap_or_default();
            out.push(Action::Send(encode(&FromNode::Update(update))));
        }
        for (id, lease) in &mut self.leases {
            if lease.inferring.next <= now
                && let Stage::Running = lease.stage
                && let Some((offset, text)) = lease.inferring.piece()
            {
                lease.inferring.next = now + TEXT;
                let partial = Partial { lease: *id, offset, text };
                out.push(Action::Send(encode(&FromNode::Partial(partial))));
            }
        }
    }

    pub(crate) fn texts_need(&self) -> Option<u64> {
        let waits = |lease: &&Lease| {
            matches!(lease.stage, Stage::Running) && !lease.inferring.waiting.is_empty()
        };
        let waiting = self.leases.values().filter(waits).map(|lease| lease.inferring.next);
        waiting.min().filter(|_| self.link.joined())
    }
}
