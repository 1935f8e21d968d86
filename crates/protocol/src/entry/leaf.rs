//! What the public log shows of an entry.
//!
//! A receipt is there at once, but hidden: were its answer public before the
//! task is settled, a checker could copy it. The leaf of its settlement opens
//! it, with everything that the decision rests on.

use super::{DRAW_PROOF, Entry, EntryError, Kind, MAX_VOTES};
use super::{put_settled, put_vote, start, take, take_settled, take_vote};
use crate::{Digest, JobId, UnverifiedReceipt};

/// A leaf of the log. Its bytes: kind (u8), then as in entries `version ‖ tag ‖
/// time`, then what is public.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "decoded one at a time, never kept in numbers")]
pub enum Leaf {
    /// A receipt was committed.
    Receipt {
        /// When.
        at_ms: u64,
        /// [`commitment`] to it.
        commitment: Digest,
    },
    /// A task was settled, its votes are opened.
    Settled {
        /// When.
        at_ms: u64,
        /// The task's job.
        job: JobId,
        /// The task's place in it.
        index: u32,
        /// Answer of the canonical result.
        answer: Digest,
        /// As in [`Entry::Settled`], opened.
        votes: Vec<Opened>,
    },
    /// Any other entry, in full.
    Fact(Entry),
}

/// A vote that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Entry of the receipt.
    pub seq: u64,
    /// Salt of its commitment.
    pub salt: Digest,
    /// Proof of its draw.
    pub draw: [u8; DRAW_PROOF],
    /// The receipt.
    pub receipt: UnverifiedReceipt,
}

/// What hides a receipt in the log until its task is settled. `receipt` is the
/// digest of its body.
pub fn commitment(salt: &Digest, receipt: &Digest) -> Digest {
    digest(b"grid-commit-v1", salt, receipt)
}

/// The salt of a receipt's commitment, from a secret of the relay's.
pub fn salt(secret: &Digest, receipt: &Digest) -> Digest {
    digest(b"grid-salt-v1", secret, receipt)
}

fn digest(domain: &[u8], first: &Digest, second: &Digest) -> Digest {
    let mut bytes = Vec::with_capacity(80);
    bytes.extend_from_slice(domain);
    bytes.extend_from_slice(&first.0);
    bytes.extend_from_slice(&second.0);
    Digest::of(&bytes)
}

impl Opened {
    /// The commitment that its own leaf must hold.
    pub fn commitment(&self) -> Digest {
        commitment(&self.salt, &Digest::of(&self.receipt.body.encode()))
    }
}

impl Leaf {
    /// When, by the relay's clock.
    pub fn at_ms(&self) -> u64 {
        match self {
            Self::Receipt { at_ms, .. } | Self::Settled { at_ms, .. } => *at_ms,
            Self::Fact(entry) => entry.at_ms(),
        }
    }

    /// The leaf of an entry. `secret` makes salts; `receipts` gives the
    /// Receipt entry with a number, and is asked for the votes of a settlement
    /// only. `None` when one of those isn't there.
    pub fn of(
        entry: &Entry,
        secret: &Digest,
        mut receipts: impl FnMut(u64) -> Option<Entry>,
    ) -> Option<Self> {
        match entry {
            Entry::Receipt { at_ms, receipt, .. } => {
                let digest = Digest::of(&receipt.body.encode());
                let commitment = commitment(&salt(secret, &digest), &digest);
                Some(Self::Receipt { at_ms: *at_ms, commitment })
            }
            Entry::Settled { at_ms, job, index, answer, votes } => {
                let mut open = |seq: &u64| match receipts(*seq)? {
                    Entry::Receipt { draw, receipt, .. } => {
                        let salt = salt(secret, &Digest::of(&receipt.body.encode()));
                        Some(Opened { seq: *seq, salt, draw, receipt })
                    }
                    _ => None,
                };
                let votes = votes.iter().map(&mut open).collect::<Option<Vec<_>>>()?;
                let (at_ms, job, index, answer) = (*at_ms, *job, *index, *answer);
                Some(Self::Settled { at_ms, job, index, answer, votes })
            }
            other => Some(Self::Fact(other.clone())),
        }
    }

    /// The bytes that the log hashes. At most 65,535.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, rest) = match self {
            Self::Receipt { at_ms, commitment } => {
                let mut rest = start(*at_ms, 0);
                rest.extend_from_slice(&commitment.0);
                (Kind::Receipt, rest)
            }
            Self::Settled { at_ms, job, index, answer, votes } => {
                let mut rest = start(*at_ms, 0);
                put_settled(&mut rest, job, *index, answer, votes.len());
                for vote in votes {
                    rest.extend_from_slice(&vote.seq.to_le_bytes());
                    rest.extend_from_slice(&vote.salt.0);
                    put_vote(&mut rest, &vote.draw, &vote.receipt);
                }
                (Kind::Check, rest)
            }
            Self::Fact(entry) => (entry.kind(), entry.encode()),
        };
        let mut out = Vec::with_capacity(1 + rest.len());
        out.push(kind as u8);
        out.extend_from_slice(&rest);
        out
    }

    /// Decodes a leaf's bytes. Takes any bytes; each leaf has one encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let (&kind, rest) = bytes.split_first().ok_or(EntryError { kind: 0 })?;
        let hidden = match (kind, rest.get(2)) {
            (1, Some(0)) => receipt(rest),
            (2, Some(0)) => settled(rest),
            _ => return Entry::decode(kind, rest).map(Self::Fact),
        };
        hidden.ok_or(EntryError { kind })
    }
}

fn header(rest: &mut &[u8]) -> Option<u64> {
    let (version, [_tag]) = (u16::from_le_bytes(take(rest)?), take(rest)?);
    (version == super::VERSION).then_some(())?;
    Some(u64::from_le_bytes(take(rest)?))
}

fn receipt(mut rest: &[u8]) -> Option<Leaf> {
    let at_ms = header(&mut rest)?;
    let commitment = Digest(take(&mut rest)?);
    rest.is_empty().then_some(Leaf::Receipt { at_ms, commitment })
}

fn settled(mut rest: &[u8]) -> Option<Leaf> {
    let at_ms = header(&mut rest)?;
    let (job, index, answer, count) = take_settled(&mut rest)?;
    let mut votes = Vec::with_capacity(count.min(MAX_VOTES));
    for _ in 0..count {
        let seq = u64::from_le_bytes(take(&mut rest)?);
        let salt = Digest(take(&mut rest)?);
        let (draw, receipt) = take_vote(&mut rest)?;
        votes.push(Opened { seq, salt, draw, receipt });
    }
    rest.is_empty().then_some(Leaf::Settled { at_ms, job, index, answer, votes })
}
