//! Entries: the facts that the relay accepted, append-only and without gaps.
//! Everything else that is looked up derives from them.
//!
//! Bytes are laid by hand, little-endian, one function for each kind; the
//! golden tests below hold them. They never change: a new layout gets a new
//! version.

use grid_protocol::api::JobState;
use grid_protocol::{Delegation, Digest, JobId, PublicKey, ReceiptBody, Signature};
use grid_protocol::{ReceiptError, UnverifiedReceipt};
use thiserror::Error;

/// Numbers of kinds, reserved once and for all. Those without a layout below
/// are for what comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// What was decided on a receipt.
    Receipt = 1,
    /// A spot check and what came of it.
    Check = 2,
    /// The rules that decisions follow.
    Rules = 3,
    /// The nodes that checkers are drawn from.
    Roster = 4,
    /// An owner's key was added or revoked.
    Key = 5,
    /// A node was linked to an account.
    AccountLink = 6,
    /// An invitation.
    Invitation = 7,
    /// A campaign.
    Campaign = 8,
    /// Fuel granted to an owner, reserved by a job, or refunded.
    Budget = 9,
    /// A correction by the operator.
    Adjustment = 10,
}

/// Stored bytes that are not an entry of their kind: the store is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an entry of kind {kind} can't be decoded")]
pub struct EntryError {
    /// The kind's number.
    pub kind: u8,
}

/// An accepted fact. Times are milliseconds since 1970-01-01 UTC, by the
/// relay's clock; amounts are fuel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A receipt was accepted for a task.
    Receipt {
        /// When.
        at_ms: u64,
        /// The task's job.
        job: JobId,
        /// The task's place in it.
        index: u32,
        /// The receipt, its signature verified strictly before.
        receipt: UnverifiedReceipt,
    },
    /// An owner's key was added or revoked.
    Key {
        /// When.
        at_ms: u64,
        /// Added, or revoked?
        added: bool,
        /// SHA-256 of the key's text.
        hash: Digest,
        /// The owner's name.
        owner: String,
    },
    /// A node was linked to an account, by the account's signature.
    AccountLink {
        /// When.
        at_ms: u64,
        /// The node.
        node: PublicKey,
        /// The account, and its signature over [`Delegation::bytes`].
        delegation: Delegation,
    },
    /// Fuel moved.
    Budget {
        /// When.
        at_ms: u64,
        /// How.
        movement: Movement,
        /// How much.
        amount: u64,
        /// The owner's name.
        owner: String,
    },
}

/// How fuel moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    /// From the operator to an owner.
    Grant,
    /// From an owner to a job.
    Reserve(JobId),
    /// What a job left, back to its owner; the job ended in this state.
    Refund(JobId, JobState),
}

const VERSION: u16 = 1;

impl Entry {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Receipt { .. } => Kind::Receipt,
            Self::Key { .. } => Kind::Key,
            Self::AccountLink { .. } => Kind::AccountLink,
            Self::Budget { .. } => Kind::Budget,
        }
    }

    /// The stored bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Receipt { at_ms, job, index, receipt } => {
                encode_receipt(*at_ms, job, *index, receipt)
            }
            Self::Key { at_ms, added, hash, owner } => encode_key(*at_ms, *added, hash, owner),
            Self::AccountLink { at_ms, node, delegation } => encode_link(*at_ms, node, delegation),
            Self::Budget { at_ms, movement, amount, owner } => {
                encode_budget(*at_ms, *movement, *amount, owner)
            }
        }
    }

    /// Decodes stored bytes.
    pub fn decode(kind: u8, bytes: &[u8]) -> Result<Self, EntryError> {
        decode(kind, bytes).ok_or(EntryError { kind })
    }
}

/// `version ‖ decision (0: accepted) ‖ time ‖ job ‖ index ‖ signature ‖ body`
fn encode_receipt(at_ms: u64, job: &JobId, index: u32, receipt: &UnverifiedReceipt) -> Vec<u8> {
    let mut out = start(at_ms, 0);
    out.extend_from_slice(&job.0);
    out.extend_from_slice(&index.to_le_bytes());
    out.extend_from_slice(&receipt.signature.0);
    out.extend_from_slice(&receipt.body.encode());
    out
}

/// `version ‖ 0 added, 1 revoked ‖ time ‖ hash ‖ owner's name`
fn encode_key(at_ms: u64, added: bool, hash: &Digest, owner: &str) -> Vec<u8> {
    let mut out = start(at_ms, u8::from(!added));
    out.extend_from_slice(&hash.0);
    out.extend_from_slice(owner.as_bytes());
    out
}

/// `version ‖ 0 ‖ time ‖ node ‖ account ‖ account's signature`
fn encode_link(at_ms: u64, node: &PublicKey, delegation: &Delegation) -> Vec<u8> {
    let mut out = start(at_ms, 0);
    out.extend_from_slice(&node.0);
    out.extend_from_slice(&delegation.account.0);
    out.extend_from_slice(&delegation.signature.0);
    out
}

/// `version ‖ movement ‖ time ‖ amount ‖ job (zero for a grant) ‖ owner's
/// name`. Movements: 0 grant, 1 reserve; refund of a job that is 2 done,
/// 3 cancelled, 4 out of budget.
fn encode_budget(at_ms: u64, movement: Movement, amount: u64, owner: &str) -> Vec<u8> {
    let (number, job) = match movement {
        Movement::Grant => (0, JobId([0; 16])),
        Movement::Reserve(job) => (1, job),
        Movement::Refund(job, state) => (1 + job_state_number(state), job),
    };
    let mut out = start(at_ms, number);
    out.extend_from_slice(&amount.to_le_bytes());
    out.extend_from_slice(&job.0);
    out.extend_from_slice(owner.as_bytes());
    out
}

fn start(at_ms: u64, tag: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(400);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.push(tag);
    out.extend_from_slice(&at_ms.to_le_bytes());
    out
}

/// The number of a job's state in entries and tables.
pub(crate) fn job_state_number(state: JobState) -> u8 {
    match state {
        JobState::Running => 0,
        JobState::Done => 1,
        JobState::Cancelled => 2,
        JobState::OutOfBudget => 3,
    }
}

/// The state with this number.
pub(crate) fn job_state(number: u8) -> Option<JobState> {
    [JobState::Running, JobState::Done, JobState::Cancelled, JobState::OutOfBudget]
        .get(usize::from(number))
        .copied()
}

fn decode(kind: u8, bytes: &[u8]) -> Option<Entry> {
    let mut rest = bytes;
    if u16::from_le_bytes(take(&mut rest)?) != VERSION {
        return None;
    }
    let [tag] = take(&mut rest)?;
    let at_ms = u64::from_le_bytes(take(&mut rest)?);
    let entry = match (kind, tag) {
        (1, 0) => {
            let job = JobId(take(&mut rest)?);
            let index = u32::from_le_bytes(take(&mut rest)?);
            let signature = Signature(take(&mut rest)?);
            let body: Result<ReceiptBody, ReceiptError> = ReceiptBody::decode(rest);
            let receipt = UnverifiedReceipt { body: body.ok()?, signature };
            return Some(Entry::Receipt { at_ms, job, index, receipt });
        }
        (5, 0 | 1) => {
            let hash = Digest(take(&mut rest)?);
            return Some(Entry::Key { at_ms, added: tag == 0, hash, owner: text(rest)? });
        }
        (6, 0) => {
            let node = PublicKey(take(&mut rest)?);
            let account = PublicKey(take(&mut rest)?);
            let signature = Signature(take(&mut rest)?);
            Entry::AccountLink { at_ms, node, delegation: Delegation { account, signature } }
        }
        (9, 0..=4) => {
            let amount = u64::from_le_bytes(take(&mut rest)?);
            let job = JobId(take(&mut rest)?);
            let movement = match tag {
                0 => Movement::Grant,
                1 => Movement::Reserve(job),
                _ => Movement::Refund(job, job_state(tag - 1)?),
            };
            return Some(Entry::Budget { at_ms, movement, amount, owner: text(rest)? });
        }
        _ => return None,
    };
    rest.is_empty().then_some(entry)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (field, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*field)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use grid_protocol::{ExitReason, LeaseId, SigningKey};

    /// Golden: these bytes are in people's stores.
    fn check(entry: Entry, kind: u8, expect: &str) {
        let bytes = entry.encode();
        assert_eq!(entry.kind() as u8, kind);
        assert_eq!(hex::encode(&bytes), expect);
        assert_eq!(Entry::decode(kind, &bytes), Ok(entry));
        for end in 0..bytes.len().min(11) {
            assert_eq!(Entry::decode(kind, &bytes[..end]), Err(EntryError { kind }));
        }
        assert!(Entry::decode(2, &bytes).is_err());
    }

    #[test]
    fn receipt() {
        let key = SigningKey::from_seed([1; 32]);
        let body = ReceiptBody {
            relay: PublicKey([2; 32]),
            lease: LeaseId([3; 16]),
            spec: Digest([4; 32]),
            input: Digest([5; 32]),
            reason: ExitReason::Exit,
            exit_code: 7,
            output: Digest([6; 32]),
            check: Digest::ZERO,
            fuel: 0x0102_0304,
            node: key.public(),
        };
        let receipt = body.sign(&key);
        let signature = hex::encode(receipt.signature.0);
        let body = hex::encode(receipt.body.encode());
        let job = JobId([9; 16]);
        check(
            Entry::Receipt { at_ms: 0x1122, job, index: 0x0a0b, receipt },
            1,
            &format!("0100002211000000000000{}0b0a0000{signature}{body}", "09".repeat(16)),
        );
    }

    #[test]
    fn key() {
        let hash = Digest([8; 32]);
        let expect = |tag| format!("0100{tag}0100000000000000{}616461", "08".repeat(32));
        for (added, tag) in [(true, "00"), (false, "01")] {
            let owner = "ada".to_owned();
            check(Entry::Key { at_ms: 1, added, hash, owner }, 5, &expect(tag));
        }
    }

    #[test]
    fn account_link() {
        let delegation = Delegation { account: PublicKey([2; 32]), signature: Signature([3; 64]) };
        check(
            Entry::AccountLink { at_ms: 1, node: PublicKey([1; 32]), delegation },
            6,
            &format!(
                "0100000100000000000000{}{}{}",
                "01".repeat(32),
                "02".repeat(32),
                "03".repeat(64)
            ),
        );
    }

    #[test]
    fn budget() {
        let job = JobId([7; 16]);
        let zero = JobId([0; 16]);
        for (tag, movement, named) in [
            (0, Movement::Grant, zero),
            (1, Movement::Reserve(job), job),
            (2, Movement::Refund(job, JobState::Done), job),
            (3, Movement::Refund(job, JobState::Cancelled), job),
            (4, Movement::Refund(job, JobState::OutOfBudget), job),
        ] {
            check(
                Entry::Budget { at_ms: 1, movement, amount: 500, owner: "ada".into() },
                9,
                &format!("01000{tag}0100000000000000f401000000000000{named}616461"),
            );
        }
    }
}
