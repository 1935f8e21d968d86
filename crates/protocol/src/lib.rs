//! What Grid's parts say to each other: ids, digests, specs, receipts, wire
//! messages, and the exact bytes that are hashed and signed.
//!
//! Pure: no clock, randomness, files or network. Every decoder takes hostile
//! bytes, never panics, and never allocates what the input merely claims.
//! docs/protocol.md describes the bytes; `tests/vectors` holds golden vectors.

mod account;
pub mod api;
mod bytes;
pub mod entry;
mod files;
mod ids;
pub mod infer;
mod invitation;
mod join;
mod keys;
pub mod limits;
pub mod live;
mod message;
mod names;
mod receipt;
mod spec;

pub use account::{AccountRequest, REQUEST_VALID_MS};
pub use bytes::DecodeError;
pub use files::{Files, FilesError, Side};
pub use ids::{BrowserId, CampaignId, Digest, JobId, LeaseId, LeaseToken, ParseHexError, TeamId};
pub use invitation::{InvitationCode, ParseCodeError};
pub use join::{Delegation, join_bytes};
#[cfg(feature = "strict")]
pub use keys::StrictKey;
pub use keys::{PublicKey, Signature, SignatureError, SigningKey};
pub use message::{
    FromNode, GiveBackReason, HeldLease, Inference, Join, LeaseOffer, MessageError, Package,
    Partial, Publisher, RefuseCode, RejectCode, RunResult, ToNode, VERSIONS, decode, encode,
};
pub use names::{Name, ParseNameError};
pub use receipt::{Ack, ExitReason, Receipt, ReceiptBody, ReceiptError, UnverifiedReceipt};
pub use spec::{Runtime, Spec, SpecError, default_seed};
