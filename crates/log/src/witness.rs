//! A witness (C2SP tlog-witness): cosigns a log's checkpoint only when it is
//! consistent with the last one it cosigned, so that a log that shows two
//! histories can't have both cosigned.

use crate::checkpoint::{Checkpoint, CheckpointError, UnverifiedCheckpoint, WitnessKey, decimal};
use crate::note::{KeyError, KeyKind, NoteError, VerifierKey, base64_of};
use crate::{Hash, merkle};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use grid_protocol::PublicKey;
use std::collections::BTreeMap;
use thiserror::Error;

/// The longest request, in bytes: old size, 63 hashes, a note.
pub const MAX_REQUEST: usize = crate::note::MAX_NOTE + 4096;
/// The most hashes of a consistency proof.
const MAX_PROOF: usize = 63;

/// Why a witness doesn't cosign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// The request can't be read, or its old size is over the new one.
    #[error("not a request to cosign a checkpoint")]
    BadRequest,
    /// No key of the log has signed the checkpoint.
    #[error("the checkpoint is not signed by the log's key")]
    Forbidden,
    /// The log is not one that this witness watches.
    #[error("an unknown log")]
    UnknownLog,
    /// The old size is not that of the last checkpoint cosigned.
    #[error("the last size cosigned is {known}")]
    Conflict {
        /// Size of the last checkpoint cosigned.
        known: u64,
    },
    /// The log shows another root for the size already cosigned: proof that
    /// it has two histories.
    #[error("another root was cosigned for size {known}")]
    SplitView {
        /// Size of both checkpoints.
        known: u64,
    },
    /// The consistency proof is wrong.
    #[error("the checkpoint is not shown to be consistent with the last one")]
    Inconsistent,
}

impl WitnessError {
    /// A code that stays the same between versions.
    pub fn code(self) -> &'static str {
        match self {
            Self::BadRequest => "witness_bad_request",
            Self::Forbidden => "witness_forbidden",
            Self::UnknownLog => "witness_unknown_log",
            Self::Conflict { .. } => "witness_conflict",
            Self::SplitView { .. } => "witness_split_view",
            Self::Inconsistent => "witness_inconsistent",
        }
    }

    /// The HTTP status to answer with.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::UnknownLog => 404,
            Self::Conflict { .. } | Self::SplitView { .. } => 409,
            Self::Inconsistent => 422,
        }
    }

    /// The body to answer a conflict with, as `text/x.tlog.size`.
    pub fn known_size(self) -> Option<String> {
        match self {
            Self::Conflict { known } | Self::SplitView { known } => Some(format!("{known}\n")),
            _ => None,
        }
    }
}

/// Reads the size that a witness answers a conflict with.
pub fn parse_known_size(body: &str) -> Option<u64> {
    decimal(body.strip_suffix('\n')?).filter(|size| *size <= crate::MAX_SIZE)
}

/// A request to cosign: `old N`, proof lines, an empty line, the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the last checkpoint that the witness cosigned, as the log
    /// believes; 0 for none.
    pub old: u64,
    /// Consistency proof from there to the checkpoint; at most 63 hashes.
    pub proof: Vec<Hash>,
    /// The checkpoint's note.
    pub checkpoint: String,
}

impl AddCheckpoint {
    /// The bytes to send.
    pub fn encode(&self) -> String {
        let proof = self.proof.iter().map(|hash| STANDARD.encode(hash.0) + "\n");
        format!("old {}\n{}\n{}", self.old, proof.collect::<String>(), self.checkpoint)
    }

    /// Reads a request; the checkpoint's note is not looked into.
    pub fn decode(bytes: &[u8]) -> Result<Self, WitnessError> {
        let bad = WitnessError::BadRequest;
        if bytes.len() > MAX_REQUEST {
            return Err(bad);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| bad)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(bad)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
        let proof = lines.map(|line| base64_of(line, 32)?.try_into().ok().map(Hash));
        let proof: Vec<Hash> = proof.take(MAX_PROOF + 1).collect::<Option<_>>().ok_or(bad)?;
        if proof.len() > MAX_PROOF {
            return Err(bad);
        }
        Ok(Self { old: old.ok_or(bad)?, proof, checkpoint: checkpoint.to_owned() })
    }
}

/// The last checkpoint of a log that a witness cosigned: what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latest {
    /// Number of leaves; 0 when it never cosigned one.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
}

impl Default for Latest {
    fn default() -> Self {
        Self { size: 0, root: merkle::empty_root() }
    }
}

/// A witness of some logs.
#[derive(Debug, Clone)]
pub struct Witness {
    key: WitnessKey,
    logs: BTreeMap<String, Watched>,
}

#[derive(Debug, Clone)]
struct Watched {
    keys: Vec<VerifierKey>,
    latest: Latest,
}

impl Watched {
    /// One of the log's keys must have signed, and none wrongly; signatures of
    /// other keys are nothing to us.
    fn verify(&self, unverified: UnverifiedCheckpoint) -> Result<Checkpoint, WitnessError> {
        let mut verified = None;
        for key in &self.keys {
            match unverified.clone().verify(key) {
                Ok(signed) => verified = Some(signed.checkpoint().clone()),
                Err(CheckpointError::Note(NoteError::Unsigned)) => {}
                Err(_) => return Err(WitnessError::Forbidden),
            }
        }
        verified.ok_or(WitnessError::Forbidden)
    }
}

/// A cosignature that may be handed out once [`Pending::latest`] is durable.
#[derive(Debug)]
#[must_use = "persist `latest`, then hand it to Witness::persisted"]
pub struct Pending {
    before: Latest,
    checkpoint: Checkpoint,
    line: String,
}

impl Pending {
    /// The log that it is about.
    pub fn origin(&self) -> &str {
        self.checkpoint.origin()
    }

    /// What to keep for this log from now on.
    pub fn latest(&self) -> Latest {
        Latest { size: self.checkpoint.size(), root: *self.checkpoint.root() }
    }
}

impl Witness {
    /// A witness that watches no log yet.
    pub fn new(key: WitnessKey) -> Self {
        Self { key, logs: BTreeMap::new() }
    }

    /// The key that its cosignatures verify with.
    pub fn verifier(&self) -> &VerifierKey {
        self.key.verifier()
    }

    /// Watches a log, which signs with any of these keys, from what was last
    /// persisted about it.
    pub fn watch(
        &mut self,
        origin: &str,
        keys: &[PublicKey],
        latest: Latest,
    ) -> Result<(), KeyError> {
        let keys = keys.iter().map(|key| VerifierKey::new(origin, KeyKind::Log, *key));
        let watched = Watched { keys: keys.collect::<Result<_, _>>()?, latest };
        self.logs.insert(origin.to_owned(), watched);
        Ok(())
    }

    /// The last checkpoint of a log that it cosigned.
    pub fn latest(&self, origin: &str) -> Option<Latest> {
        self.logs.get(origin).map(|log| log.latest)
    }

    /// Checks a request at a time in seconds since 1970 (below 2^63). Changes nothing: the
    /// caller makes [`Pending::latest`] durable and then takes the cosignature
    /// line from [`Witness::persisted`]. Checking, persisting and that call
    /// belong under one lock.
    pub fn add_checkpoint(&self, request: &[u8], now: u64) -> Result<Pending, WitnessError> {
        let AddCheckpoint { old, proof, checkpoint } = AddCheckpoint::decode(request)?;
        let unverified = UnverifiedCheckpoint::parse(checkpoint.as_bytes());
        let unverified = unverified.map_err(|_| WitnessError::BadRequest)?;
        let log = self.logs.get(unverified.claimed_origin()).ok_or(WitnessError::UnknownLog)?;
        let checkpoint = log.verify(unverified)?;
        let (size, root) = (checkpoint.size(), checkpoint.root());
        let Latest { size: known, root: known_root } = log.latest;
        if old > size {
            return Err(WitnessError::BadRequest);
        }
        if old != known {
            return Err(WitnessError::Conflict { known });
        }
        if old == size && size > 0 && *root != known_root {
            return Err(WitnessError::SplitView { known });
        }
        merkle::verify_consistency(old, &known_root, size, root, &proof)
            .map_err(|_| WitnessError::Inconsistent)?;
        let line = self.key.cosign(&checkpoint, now);
        Ok(Pending { before: log.latest, checkpoint, line })
    }

    /// Takes note that [`Pending::latest`] is durable and gives the cosignature
    /// line to answer with. Refused when another checkpoint of the log came
    /// between: what is then durable is the later of the two calls' choice, so
    /// callers keep the lock that [`Witness::add_checkpoint`] speaks of.
    pub fn persisted(&mut self, pending: Pending) -> Result<String, WitnessError> {
        let latest = pending.latest();
        let log = self.logs.get_mut(pending.origin()).ok_or(WitnessError::UnknownLog)?;
        if log.latest != pending.before {
            return Err(WitnessError::Conflict { known: log.latest.size });
        }
        log.latest = latest;
        Ok(pending.line)
    }
}
