//! Wire messages between node and relay: one CBOR value (RFC 8949) a WebSocket
//! message, `[number, {field: value}]`. Fields are numbered; a reader ignores
//! fields it doesn't know, so fields may be added within a version.

use crate::bytes::DecodeError;
use crate::ids::{BrowserId, LeaseId, LeaseToken};
use crate::{Ack, Delegation, Digest, PublicKey, ReceiptBody, ReceiptError, Signature, limits};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Versions of these messages that this build speaks, best first.
pub const VERSIONS: &[u16] = &[1];

/// Why a message was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Longer than [`limits::MAX_MESSAGE`].
    #[error("the message has {0} bytes, more than {max}", max = limits::MAX_MESSAGE)]
    TooLong(usize),
    /// Not the CBOR of a message.
    #[error("not a message: {0}")]
    Cbor(#[from] minicbor::decode::Error),
    /// Bytes follow the message.
    #[error("{0} bytes follow the message")]
    Trailing(usize),
    /// The receipt inside is malformed.
    #[error("the receipt is malformed: {0}")]
    Receipt(#[from] ReceiptError),
    /// A field is outside its range.
    #[error(transparent)]
    Field(#[from] DecodeError),
}

/// Encodes one message.
pub fn encode<T: Encode<()>>(message: &T) -> Vec<u8> {
    match minicbor::to_vec(message) {
        Ok(bytes) => bytes,
        Err(error) => match error.into_write() {
            Some(infallible) => match infallible {},
            None => Vec::new(), // no message has an encoder that fails
        },
    }
}

/// Decodes one message that is all of `bytes`.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, MessageError> {
    if bytes.len() > limits::MAX_MESSAGE {
        return Err(MessageError::TooLong(bytes.len()));
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let message = decoder.decode()?;
    match bytes.len() - decoder.position() {
        0 => Ok(message),
        left => Err(MessageError::Trailing(left)),
    }
}

/// From a node to its relay.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum FromNode {
    /// First message: which versions the node speaks. Its layout never
    /// changes.
    #[n(0)]
    #[cbor(map)]
    Hello {
        /// Versions the node speaks.
        #[n(0)]
        versions: Vec<u16>,
        /// Name and version of the node's software.
        #[n(1)]
        agent: String,
    },
    /// The answer to a challenge.
    #[n(1)]
    Join(#[n(0)] Join),
    /// The node now has this many free slots (it replaces the last number).
    #[n(2)]
    #[cbor(map)]
    Ready {
        /// Leases it would take now.
        #[n(0)]
        slots: u8,
    },
    /// Still working on these leases. Extends their deadlines.
    #[n(3)]
    #[cbor(map)]
    Heartbeat {
        /// Leases that the node holds.
        #[n(0)]
        leases: Vec<HeldLease>,
    },
    /// A finished run: the receipt, and the output where it is small.
    #[n(4)]
    Result(#[n(0)] RunResult),
    /// The node won't finish this lease; nothing is signed.
    #[n(5)]
    #[cbor(map)]
    GiveBack {
        /// The lease.
        #[n(0)]
        lease: LeaseId,
        /// Number of a [`GiveBackReason`].
        #[n(1)]
        reason: u16,
        /// For people.
        #[n(2)]
        detail: String,
    },
    /// What was generated so far, for whoever watches: provisional, paid by
    /// nobody, in no log.
    #[n(6)]
    Partial(#[n(0)] Partial),
    /// What the node infers with has changed since it joined.
    #[n(7)]
    Update(#[n(0)] Inference),
}

/// A piece of the text that a lease's generation gave so far.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Partial {
    /// The lease.
    #[n(0)]
    pub lease: LeaseId,
    /// Bytes of the text before these. Pieces follow each other without gaps.
    #[n(1)]
    pub offset: u32,
    /// UTF-8 text, whole characters, at most [`limits::MAX_PARTIAL`] bytes. The
    /// answer's text begins with all that was sent.
    #[n(2)]
    pub text: String,
}

/// What a node infers with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Inference {
    /// Versions of the arithmetic that it computes; none: it has no runtime
    /// `infer`.
    #[n(0)]
    pub arithmetics: Vec<u16>,
    /// Models that it holds whole, at most [`limits::MAX_MODELS`].
    #[n(1)]
    pub models: Vec<Digest>,
}

/// Who joins, and what it can do.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Join {
    /// The node's key.
    #[n(0)]
    pub node: PublicKey,
    /// Its signature over [`crate::join_bytes`].
    #[n(1)]
    pub signature: Signature,
    /// The account it belongs to, if any.
    #[n(2)]
    pub delegation: Option<Delegation>,
    /// What the node's package may run.
    #[n(3)]
    pub package: Package,
    /// Versions of admission whose modules it runs.
    #[n(4)]
    pub admissions: Vec<u16>,
    /// Leases from before that it still holds, finished or not.
    #[n(5)]
    pub holding: Vec<LeaseId>,
    /// What it infers with, where it has runtime `infer`.
    #[n(6)]
    pub inference: Option<Inference>,
    /// The invitation code that it came by, or its site's, if any; at most
    /// [`limits::MAX_INVITATION`] bytes.
    #[n(7)]
    pub invitation: Option<String>,
    /// The browser that it runs in, where that is known across sites.
    #[n(8)]
    pub browser: Option<BrowserId>,
}

/// What a node's package may run (DESIGN.md, "Where code runs").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum Package {
    /// Fetched task modules and built-in runtimes.
    #[n(0)]
    Full,
    /// Built-in runtimes only.
    #[n(1)]
    BuiltinOnly,
}

/// A lease that a node works on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HeldLease {
    /// The lease.
    #[n(0)]
    pub lease: LeaseId,
    /// Fuel used so far. A hint for progress bars: nothing is paid by it.
    #[n(1)]
    pub fuel: u64,
}

/// A finished run.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RunResult {
    /// [`ReceiptBody::encode`], as signed.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub receipt: Vec<u8>,
    /// The node's signature over it.
    #[n(1)]
    pub signature: Signature,
    /// The encoded output list, where it is at most [`limits::INLINE_BODY`];
    /// a larger one was uploaded as a blob before.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub output: Option<Vec<u8>>,
    /// What the engine said of a trap. Unsigned: engines differ.
    #[n(3)]
    pub hint: Option<String>,
}

impl RunResult {
    /// The receipt inside, not verified yet.
    pub fn unverified(&self) -> Result<crate::UnverifiedReceipt, MessageError> {
        let body = ReceiptBody::decode(&self.receipt)?;
        Ok(crate::UnverifiedReceipt { body, signature: self.signature })
    }
}

/// From a relay to a node.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ToNode {
    /// Prove that you hold your key.
    #[n(0)]
    #[cbor(map)]
    Challenge {
        /// The version that the relay chose.
        #[n(0)]
        version: u16,
        /// The relay's key.
        #[n(1)]
        relay: PublicKey,
        /// The relay's origin, as it names itself.
        #[n(2)]
        origin: String,
        /// Fresh random bytes.
        #[n(3)]
        #[cbor(with = "minicbor::bytes")]
        nonce: [u8; 32],
    },
    /// Joined.
    #[n(1)]
    #[cbor(map)]
    Welcome {
        /// Send a heartbeat at least this often.
        #[n(0)]
        heartbeat_ms: u32,
        /// Of the leases the node said it holds: those that still stand.
        #[n(1)]
        standing: Vec<LeaseId>,
        /// Verified fuel the relay has on record for this node.
        #[n(2)]
        fuel: u64,
        /// Accepted receipts the relay has on record for this node.
        #[n(3)]
        tasks: u64,
    },
    /// The relay won't talk; it closes the socket after this. Its layout never
    /// changes.
    #[n(2)]
    #[cbor(map)]
    Refused {
        /// Number of a [`RefuseCode`].
        #[n(0)]
        code: u16,
        /// For people.
        #[n(1)]
        message: String,
        /// Versions that the relay speaks.
        #[n(2)]
        versions: Vec<u16>,
    },
    /// A task, until its deadline.
    #[n(3)]
    Lease(#[n(0)] LeaseOffer),
    /// The receipt is durable.
    #[n(4)]
    #[cbor(map)]
    Ack {
        /// Digest of the receipt's body.
        #[n(0)]
        receipt: Digest,
        /// The lease it ends.
        #[n(1)]
        lease: LeaseId,
        /// Number of the entry.
        #[n(2)]
        seq: u64,
        /// The relay's signature over [`Ack::encode`].
        #[n(3)]
        signature: Signature,
        /// Salt of the receipt's commitment in the log.
        #[n(4)]
        salt: Digest,
        /// Leaves of the log that hold it.
        #[n(5)]
        size: u64,
        /// Root of the log at that size.
        #[n(6)]
        root: Digest,
    },
    /// The receipt was refused; the lease is over.
    #[n(5)]
    #[cbor(map)]
    Rejected {
        /// The lease.
        #[n(0)]
        lease: LeaseId,
        /// Number of a [`RejectCode`].
        #[n(1)]
        code: u16,
        /// For people.
        #[n(2)]
        message: String,
    },
    /// Stop working on this lease; it is over.
    #[n(6)]
    #[cbor(map)]
    Cancel {
        /// The lease.
        #[n(0)]
        lease: LeaseId,
    },
    /// Socket data that keeps a service worker alive; needs no answer.
    #[n(7)]
    Ping,
}

impl ToNode {
    /// The acknowledgement inside, where this is one.
    pub fn ack(&self) -> Option<(Ack, Signature)> {
        match self {
            Self::Ack { receipt, lease, seq, signature, salt, size, root } => {
                let ack = Ack {
                    receipt: *receipt,
                    lease: *lease,
                    seq: *seq,
                    salt: *salt,
                    size: *size,
                    root: *root,
                };
                Some((ack, *signature))
            }
            _ => None,
        }
    }

    /// The message that carries an acknowledgement.
    pub fn of_ack(ack: &Ack, signature: Signature) -> Self {
        let Ack { receipt, lease, seq, salt, size, root } = *ack;
        Self::Ack { receipt, lease, seq, signature, salt, size, root }
    }
}

/// A task given to a node.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LeaseOffer {
    /// The lease's id.
    #[n(0)]
    pub lease: LeaseId,
    /// Opens the lease's blobs.
    #[n(1)]
    pub token: LeaseToken,
    /// [`crate::Spec::encode`].
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub spec: Vec<u8>,
    /// Milliseconds until the deadline, from now; heartbeats extend it.
    #[n(3)]
    pub deadline_ms: u32,
    /// Size of the admitted module's blob; of the model's header for runtime
    /// `infer`.
    #[n(4)]
    pub module_bytes: u32,
    /// The encoded input list where it is at most [`limits::INLINE_BODY`];
    /// a larger one is a blob.
    #[n(5)]
    #[cbor(with = "minicbor::bytes")]
    pub input: Option<Vec<u8>>,
    /// Standard output that another node claims, at most
    /// [`limits::INLINE_BODY`] bytes: the check of a generation reads it in one
    /// pass instead of generating it token by token. It is no part of the spec
    /// and changes no answer; it may be wrong.
    #[n(6)]
    #[cbor(with = "minicbor::bytes")]
    pub draft: Option<Vec<u8>>,
    /// Whose work it is.
    #[n(7)]
    pub publisher: Option<Publisher>,
}

/// Whose work a lease is, as the relay tells those who do it. No part of the
/// spec: it changes no answer.
#[derive(Debug, Default, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct Publisher {
    /// The owner's name, as the operator gave it; at most
    /// [`limits::MAX_OWNER_NAME`] bytes.
    #[n(0)]
    pub owner: String,
    /// The job's name, as its owner gave it; at most
    /// [`limits::MAX_JOB_NAME`] characters, or empty.
    #[n(1)]
    pub job: String,
}

/// Numbered codes that travel as `u16`, so that an unknown one decodes.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its number on the wire.
            pub fn number(self) -> u16 {
                match self { $(Self::$variant => $number),* }
            }

            /// Its stable name, as in metrics and logs.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// The code with this number, if this build knows it.
            pub fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    /// Why a relay won't talk to a node.
    RefuseCode {
        /// No version in common.
        Version = 1, "unsupported_version";
        /// A message that can't be decoded, too long, or out of order.
        Message = 2, "bad_message";
        /// The challenge's answer or the delegation isn't signed right.
        Signature = 3, "bad_signature";
        /// The relay holds as many sockets as it may.
        Full = 4, "relay_full";
        /// The same key joined again elsewhere.
        Replaced = 5, "replaced";
        /// The node was silent for too long.
        Timeout = 6, "timeout";
        /// The relay shuts down; come back soon.
        Closing = 7, "closing";
        /// An answer of the node lost against others: it gets no more tasks.
        Caught = 8, "caught";
        /// Another node of the same browser works already.
        Browser = 9, "same_browser";
    }
}

codes! {
    /// Why a receipt was refused.
    RejectCode {
        /// The receipt's bytes can't be decoded.
        Malformed = 1, "malformed";
        /// The signature is not valid for the key named.
        Signature = 2, "bad_signature";
        /// It names another relay.
        Relay = 3, "wrong_relay";
        /// It names another node than the one that joined.
        Node = 4, "wrong_node";
        /// No lease has this id, or it is over.
        Lease = 5, "no_such_lease";
        /// Another node holds the lease.
        NotYours = 6, "not_your_lease";
        /// The spec isn't the lease's.
        Spec = 7, "wrong_spec";
        /// The input isn't the lease's.
        Input = 8, "wrong_input";
        /// The output doesn't have the digest that was signed, or is not there.
        Output = 9, "wrong_output";
        /// Fuel, exit code, check digest or output size break the spec.
        Limit = 10, "out_of_limits";
        /// The job was cancelled or is over.
        JobOver = 11, "job_over";
    }
}

codes! {
    /// Why a node gives a lease back.
    GiveBackReason {
        /// Its owner stopped or paused it.
        Stopped = 1, "stopped";
        /// The device could not: memory, compile time, a crash.
        Device = 2, "device";
        /// Module or input could not be fetched, or had another digest.
        Fetch = 3, "fetch";
        /// The node doesn't run this kind of task.
        Unable = 4, "unable";
        /// What ran it was lost (a closed browser, a killed worker).
        Lost = 5, "lost";
    }
}
