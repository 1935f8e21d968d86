//! A lease in the node's hands.

use crate::infer::Inferring;
use crate::{Receipted, SavedLease};
use grid_protocol::{
    Ack, Digest, GiveBackReason, LeaseId, LeaseToken, PublicKey, Publisher, Runtime, Signature,
    Spec,
};
use std::sync::Arc;

/// A lease in the node's hands.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) token: LeaseToken,
    pub(crate) spec: Spec,
    pub(crate) spec_digest: Digest,
    /// The relay that granted it.
    pub(crate) relay: PublicKey,
    /// Whose work it is; empty where the relay doesn't say.
    pub(crate) publisher: Publisher,
    /// When it came, in the driver's milliseconds.
    pub(crate) since: u64,
    /// Fuel used so far.
    pub(crate) fuel: u64,
    pub(crate) inferring: Inferring,
    pub(crate) stage: Stage,
}

/// How far it is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Module or input are on their way, or both are here and the executor
    /// isn't. `asked`: this lease's token opened the module's fetch. Where the
    /// runtime is `infer` the module is there, and empty: models are the
    /// executor's.
    Fetching { module: Option<Arc<[u8]>>, input: Option<Vec<u8>>, asked: bool },
    /// The executor has it; where the executor isn't ready, it is from before
    /// the node was started again.
    Running,
    /// The signed result waits for its output to be uploaded.
    Uploading { result: Signed, output: Vec<u8>, failures: u32, retry_at: Option<u64> },
    /// The signed result waits for its acknowledgement.
    Finished { result: Signed, sent: bool, counted: bool },
}

/// A signed result.
#[derive(Debug)]
pub(crate) struct Signed {
    /// The receipt's body.
    pub(crate) receipt: Vec<u8>,
    /// The node's signature over it.
    pub(crate) signature: Signature,
    /// Fuel that the receipt names.
    pub(crate) fuel: u64,
    /// The encoded `Result` message.
    pub(crate) message: Vec<u8>,
}

/// A lease given back that the relay hasn't been told of.
#[derive(Debug)]
pub(crate) struct Owed {
    pub(crate) lease: LeaseId,
    pub(crate) relay: PublicKey,
    pub(crate) reason: GiveBackReason,
    pub(crate) detail: String,
}

impl Lease {
    /// One that outlived the driver.
    pub(crate) fn restored(saved: SavedLease, now: u64) -> Self {
        Self {
            token: saved.token,
            spec_digest: saved.spec.digest(),
            spec: saved.spec,
            relay: saved.relay,
            publisher: saved.publisher,
            since: now,
            fuel: 0,
            inferring: Inferring::default(),
            stage: Stage::Running,
        }
    }

    /// Is there still something to compute or to fetch?
    pub(crate) fn unfinished(&self) -> bool {
        matches!(self.stage, Stage::Fetching { .. } | Stage::Running)
    }

    /// Is it an inference?
    pub(crate) fn infers(&self) -> bool {
        self.spec.runtime == Runtime::Infer
    }

    /// Was its result sent, and not answered yet?
    pub(crate) fn awaits_ack(&self) -> bool {
        matches!(self.stage, Stage::Finished { sent: true, .. })
    }

    /// What its owner keeps of a result that was acknowledged.
    pub(crate) fn receipted(
        &self,
        result: &Signed,
        ack: Ack,
        ack_signature: Signature,
    ) -> Receipted {
        Receipted {
            runtime: self.spec.runtime,
            module: self.spec.module,
            model: self.inferring.model.clone(),
            fuel: result.fuel,
            receipt: result.receipt.clone(),
            signature: result.signature,
            relay: self.relay,
            ack,
            ack_signature,
        }
    }

    /// Where it waits for this module's bytes: whether it asked for them.
    pub(crate) fn wants_module(&self, digest: &Digest) -> Option<bool> {
        match &self.stage {
            Stage::Fetching { module: None, asked, .. } if self.spec.module == *digest => {
                Some(*asked)
            }
            _ => None,
        }
    }
}
