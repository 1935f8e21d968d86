//! What a node asks of whoever drives it.

use crate::Share;
use grid_protocol::{
    Ack, Digest, LeaseId, LeaseToken, PublicKey, Publisher, Runtime, Signature, Spec,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which of a lease's blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchKind {
    /// The admitted module. Worth keeping in a cache, by digest.
    Module,
    /// The input list. Used once.
    Input,
}

/// What must outlive the node to take a lease up again. Holds the lease's
/// token: keep it in storage that ends with the browser session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLease {
    /// The lease.
    pub lease: LeaseId,
    /// Its token.
    pub token: LeaseToken,
    /// Its spec.
    pub spec: Spec,
    /// The relay that granted it.
    pub relay: PublicKey,
    /// Whose work it is.
    pub publisher: Publisher,
}

/// A receipt that the relay acknowledged, and what it was for: enough to prove
/// that the log must hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipted {
    /// What ran it.
    pub runtime: Runtime,
    /// Digest of the module or model.
    pub module: Digest,
    /// Name of the model; empty for modules, and for a run that outlived the
    /// driver.
    pub model: String,
    /// Fuel that the receipt names.
    pub fuel: u64,
    /// [`grid_protocol::ReceiptBody::encode`].
    pub receipt: Vec<u8>,
    /// The node's signature over it.
    pub signature: Signature,
    /// The relay's key.
    pub relay: PublicKey,
    /// What the relay promised.
    pub ack: Ack,
    /// The relay's signature over it, checked.
    pub ack_signature: Signature,
}

/// What a node asks for. Actions are carried out in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Open a socket to this `ws://` or `wss://` URL; answer with
    /// [`crate::Event::Opened`] or [`crate::Event::Closed`].
    Connect(String),
    /// Send one binary message.
    Send(Vec<u8>),
    /// Close the socket; no event of it may follow.
    Disconnect,

    /// `GET {origin}/v1/blobs/{digest}` with the lease's authorization; read
    /// no more than `max_bytes`; answer with [`crate::Event::Fetched`].
    Fetch {
        /// For which lease.
        lease: LeaseId,
        /// Opens the blob.
        token: LeaseToken,
        /// Which blob.
        digest: Digest,
        /// What it is.
        kind: FetchKind,
        /// Most bytes it may have.
        max_bytes: u64,
    },
    /// `PUT {origin}/v1/blobs/{digest}` with the lease's authorization; answer
    /// with [`crate::Event::Uploaded`].
    Upload {
        /// For which lease.
        lease: LeaseId,
        /// Lets it be written.
        token: LeaseToken,
        /// Its digest.
        digest: Digest,
        /// The blob.
        bytes: Vec<u8>,
    },

    /// Start the executor (offscreen document, spare worker); answer with
    /// [`crate::Event::ExecutorReady`]. Harmless when it runs.
    StartExecutor,
    /// Let the executor go: the node is switched off.
    StopExecutor,
    /// Run a task; answer with `Progress`, then `Finished` or `Failed`.
    Run {
        /// The lease.
        lease: LeaseId,
        /// Its spec.
        spec: Spec,
        /// The admitted module, its digest checked.
        module: Arc<[u8]>,
        /// The encoded input list, its digest checked.
        input: Vec<u8>,
    },
    /// Infer: have the model (fetch it, check it, keep it), then run the task;
    /// answer with `Loading`, `Text`, `Models`, then `Finished` or `Failed`.
    Infer {
        /// The lease.
        lease: LeaseId,
        /// Its spec.
        spec: Spec,
        /// The encoded input list, its digest checked.
        input: Vec<u8>,
        /// What another node claims to be its standard output.
        draft: Option<Vec<u8>>,
    },
    /// Stop a run, or forget a finished one; the executor needs not keep
    /// anything of it. No event follows.
    Drop(LeaseId),
    /// From now, runs may use these shares; a share of no core pauses them.
    Pace(Share),

    /// Keep this: it is the owner's proof.
    Keep(Box<Receipted>),
    /// Keep exactly these leases in session storage, in place of what was kept.
    Save(Vec<SavedLease>),
    /// Send [`crate::Event::Wake`] at this time; replaces the time asked for
    /// before.
    Wake(u64),
}
