//! Entries: the facts that a relay accepted, append-only and without gaps, and
//! the leaves of the public log that stand for them. Entry `seq` (from 1) is
//! leaf `seq - 1`. Everything else that is looked up, counted or paid is a
//! function of them.
//!
//! Bytes are laid by hand, little-endian, one function for each kind; golden
//! tests hold them. They never change: a new layout gets a new version.
//! docs/protocol.md, "Entries and leaves".

mod leaf;
mod people;
#[cfg(test)]
mod tests;

pub use leaf::{Leaf, Opened, commitment, salt};
pub use people::{CampaignTerms, InvitationKind, MAX_CAMPAIGN_NAME, PeopleFact, TeamChange};

use crate::api::JobState;
use crate::{Delegation, Digest, JobId, LeaseId, PublicKey, ReceiptBody, Runtime, Signature};
use crate::{ReceiptError, UnverifiedReceipt};
use thiserror::Error;

/// Bytes of a draw's proof (RFC 9381, ECVRF-EDWARDS25519-SHA512-TAI).
pub const DRAW_PROOF: usize = 80;
/// Votes that one settlement holds at most.
pub const MAX_VOTES: usize = 32;
/// Nodes that one roster entry adds, and removes, at most.
pub const MAX_ROSTER: usize = 512;
/// Bytes of encoded rules at most.
pub const MAX_RULES: usize = 1024;

/// Numbers of kinds, reserved once and for all. Those without a layout below
/// are for what comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A receipt that was committed, or refused.
    Receipt = 1,
    /// What checks came to: a task was settled, a draw went unanswered, or was
    /// made anew.
    Check = 2,
    /// The rules that decisions follow.
    Rules = 3,
    /// The nodes that checkers are drawn from.
    Roster = 4,
    /// An owner's key was added or revoked.
    Key = 5,
    /// A node was linked to an account, or an account was closed.
    AccountLink = 6,
    /// An invitation.
    Invitation = 7,
    /// A campaign.
    Campaign = 8,
    /// Fuel granted to an owner, reserved by a job, or refunded.
    Budget = 9,
    /// A correction by the operator.
    Adjustment = 10,
    /// The rules that rewards follow.
    Rewards = 11,
    /// A team was made, joined or left.
    Team = 12,
}

/// Stored bytes that are not an entry or leaf of their kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an entry of kind {kind} can't be decoded")]
pub struct EntryError {
    /// The kind's number.
    pub kind: u8,
}

/// Stands for an owner's name in the log: 16 bytes that say nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnerTag(pub [u8; 16]);

/// A node that checkers are drawn from, and the groups it belongs to. Two
/// nodes with the same tag are of one group; a tag of zeros is no group. Tags
/// are salted by the relay: they tell that two are equal, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Member {
    /// The node.
    pub node: PublicKey,
    /// Where it joins from.
    pub network: [u8; 8],
    /// Whose it is.
    pub account: [u8; 8],
}

/// Why a drawn node did not check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Unanswered {
    /// Off line by then.
    Absent = 1,
    /// It had no free slot in time.
    Busy = 2,
    /// It took the lease and did not finish it.
    Silent = 3,
    /// It can't run the task.
    Unable = 4,
    /// No node of the draw up to this place had a free slot in time: they were
    /// asked together, and the first with a free slot checks.
    Crowded = 5,
}

/// An accepted fact. Times are milliseconds since 1970-01-01 UTC, by the
/// relay's clock; amounts are fuel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "most entries are receipts, the largest")]
pub enum Entry {
    /// A receipt was committed for a task: a vote. One whose node is the relay
    /// itself is the relay's own run.
    Receipt {
        /// When.
        at_ms: u64,
        /// The task's job.
        job: JobId,
        /// The task's place in it.
        index: u32,
        /// Proof of the draw over the receipt's digest, by the relay's key.
        draw: [u8; DRAW_PROOF],
        /// The receipt, its signature verified strictly before.
        receipt: UnverifiedReceipt,
    },
    /// A receipt for a lease that was held was refused.
    Refused {
        /// When.
        at_ms: u64,
        /// The node.
        node: PublicKey,
        /// The lease.
        lease: LeaseId,
        /// Number of a [`crate::RejectCode`].
        code: u16,
        /// SHA-256 of the body that came.
        receipt: Digest,
    },
    /// A task has its canonical result.
    Settled {
        /// When.
        at_ms: u64,
        /// The task's job.
        job: JobId,
        /// The task's place in it.
        index: u32,
        /// [`ReceiptBody::answer`] of the canonical result.
        answer: Digest,
        /// Entries of all votes on the task, the canonical result's own first.
        /// At least 1, at most [`MAX_VOTES`].
        votes: Vec<u64>,
    },
    /// A node that was drawn to check did not.
    Unanswered {
        /// When.
        at_ms: u64,
        /// Entry of the receipt whose draw it was.
        seq: u64,
        /// Place in the draw, from 0.
        place: u32,
        /// The node.
        node: PublicKey,
        /// Why.
        why: Unanswered,
    },
    /// Everybody whom a draw named was passed over: its places are counted
    /// again, on the roster as it is here.
    Redrawn {
        /// When.
        at_ms: u64,
        /// Entry of the receipt whose draw it is.
        seq: u64,
    },
    /// From here on decisions follow these rules.
    Rules {
        /// When.
        at_ms: u64,
        /// The scheduler's encoding of them; at most [`MAX_RULES`] bytes.
        rules: Vec<u8>,
    },
    /// Nodes came and went; first those in `removed` leave, then those in
    /// `added` come.
    Roster {
        /// When.
        at_ms: u64,
        /// At most [`MAX_ROSTER`].
        removed: Vec<PublicKey>,
        /// At most [`MAX_ROSTER`].
        added: Vec<Member>,
    },
    /// An owner's key was added or revoked.
    Key {
        /// When.
        at_ms: u64,
        /// Added, or revoked?
        added: bool,
        /// SHA-256 of the key's text.
        hash: Digest,
        /// The owner.
        owner: OwnerTag,
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
        /// The owner.
        owner: OwnerTag,
    },
    /// What people and their points follow from beside work: accounts,
    /// invitations, teams, campaigns, the rules of rewards.
    People {
        /// When.
        at_ms: u64,
        /// What.
        fact: PeopleFact,
    },
}

/// How fuel moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    /// From the operator to an owner.
    Grant,
    /// From an owner to a job that starts.
    Reserve {
        /// The job.
        job: JobId,
        /// What executes its tasks: standing is earned for each by itself.
        runtime: Runtime,
        /// Its tasks.
        tasks: u32,
        /// Fuel limit of each task.
        fuel: u64,
        /// Highest probability of a wrong canonical result that its owner
        /// accepts, in 10^-9.
        error_ppb: u32,
    },
    /// What a job left, back to its owner; the job ended in this state.
    Refund(JobId, JobState),
}

const VERSION: u16 = 2;

impl Entry {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Receipt { .. } | Self::Refused { .. } => Kind::Receipt,
            Self::Settled { .. } | Self::Unanswered { .. } | Self::Redrawn { .. } => Kind::Check,
            Self::Rules { .. } => Kind::Rules,
            Self::Roster { .. } => Kind::Roster,
            Self::Key { .. } => Kind::Key,
            Self::AccountLink { .. } => Kind::AccountLink,
            Self::Budget { .. } => Kind::Budget,
            Self::People { fact, .. } => fact.kind(),
        }
    }

    /// When it was accepted, by the relay's clock.
    pub fn at_ms(&self) -> u64 {
        match self {
            Self::Receipt { at_ms, .. }
            | Self::Refused { at_ms, .. }
            | Self::Settled { at_ms, .. }
            | Self::Unanswered { at_ms, .. }
            | Self::Redrawn { at_ms, .. }
            | Self::Rules { at_ms, .. }
            | Self::Roster { at_ms, .. }
            | Self::Key { at_ms, .. }
            | Self::AccountLink { at_ms, .. }
            | Self::Budget { at_ms, .. }
            | Self::People { at_ms, .. } => *at_ms,
        }
    }

    /// The stored bytes: `version (u16) ‖ tag (u8) ‖ time (u64)`, and what the
    /// kind and tag say.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            // job ‖ index ‖ draw ‖ signature ‖ body
            Self::Receipt { at_ms, job, index, draw, receipt } => {
                let mut out = start(*at_ms, 0);
                out.extend_from_slice(&job.0);
                out.extend_from_slice(&index.to_le_bytes());
                put_vote(&mut out, draw, receipt);
                out
            }
            // node ‖ lease ‖ code ‖ receipt digest
            Self::Refused { at_ms, node, lease, code, receipt } => {
                let mut out = start(*at_ms, 1);
                out.extend_from_slice(&node.0);
                out.extend_from_slice(&lease.0);
                out.extend_from_slice(&code.to_le_bytes());
                out.extend_from_slice(&receipt.0);
                out
            }
            // job ‖ index ‖ answer ‖ votes (u8 count, u64 each)
            Self::Settled { at_ms, job, index, answer, votes } => {
                let mut out = start(*at_ms, 0);
                put_settled(&mut out, job, *index, answer, votes.len());
                votes.iter().for_each(|seq| out.extend_from_slice(&seq.to_le_bytes()));
                out
            }
            // seq ‖ place ‖ node ‖ why
            Self::Unanswered { at_ms, seq, place, node, why } => {
                let mut out = start(*at_ms, 1);
                out.extend_from_slice(&seq.to_le_bytes());
                out.extend_from_slice(&place.to_le_bytes());
                out.extend_from_slice(&node.0);
                out.push(*why as u8);
                out
            }
            Self::Redrawn { at_ms, seq } => {
                let mut out = start(*at_ms, 2);
                out.extend_from_slice(&seq.to_le_bytes());
                out
            }
            Self::Rules { at_ms, rules } => {
                let mut out = start(*at_ms, 0);
                out.extend_from_slice(rules);
                out
            }
            // u16 removed, keys ‖ u16 added, members
            Self::Roster { at_ms, removed, added } => {
                let mut out = start(*at_ms, 0);
                out.extend_from_slice(&(removed.len() as u16).to_le_bytes());
                removed.iter().for_each(|node| out.extend_from_slice(&node.0));
                out.extend_from_slice(&(added.len() as u16).to_le_bytes());
                for member in added {
                    out.extend_from_slice(&member.node.0);
                    out.extend_from_slice(&member.network);
                    out.extend_from_slice(&member.account);
                }
                out
            }
            // tag: 0 added, 1 revoked; hash ‖ owner
            Self::Key { at_ms, added, hash, owner } => {
                let mut out = start(*at_ms, u8::from(!added));
                out.extend_from_slice(&hash.0);
                out.extend_from_slice(&owner.0);
                out
            }
            // node ‖ account ‖ account's signature
            Self::AccountLink { at_ms, node, delegation } => {
                let mut out = start(*at_ms, 0);
                out.extend_from_slice(&node.0);
                out.extend_from_slice(&delegation.account.0);
                out.extend_from_slice(&delegation.signature.0);
                out
            }
            Self::Budget { at_ms, movement, amount, owner } => {
                encode_budget(*at_ms, movement, *amount, owner)
            }
            Self::People { at_ms, fact } => {
                let mut out = start(*at_ms, fact.tag());
                fact.put(&mut out);
                out
            }
        }
    }

    /// Decodes stored bytes. Takes any bytes.
    pub fn decode(kind: u8, bytes: &[u8]) -> Result<Self, EntryError> {
        decode(kind, bytes).ok_or(EntryError { kind })
    }
}

/// `owner ‖ amount`, then by tag: 0 grant; 1 reserve: `job ‖ tasks ‖ fuel limit
/// of a task ‖ error rate ‖ runtime (u8)`; refund of a job that is 2 done, 3 cancelled, 4 out
/// of budget: `job`.
fn encode_budget(at_ms: u64, movement: &Movement, amount: u64, owner: &OwnerTag) -> Vec<u8> {
    let tag = match movement {
        Movement::Grant => 0,
        Movement::Reserve { .. } => 1,
        Movement::Refund(_, state) => 1 + job_state_number(*state),
    };
    let mut out = start(at_ms, tag);
    out.extend_from_slice(&owner.0);
    out.extend_from_slice(&amount.to_le_bytes());
    match movement {
        Movement::Grant => {}
        Movement::Reserve { job, runtime, tasks, fuel, error_ppb } => {
            out.extend_from_slice(&job.0);
            out.extend_from_slice(&tasks.to_le_bytes());
            out.extend_from_slice(&fuel.to_le_bytes());
            out.extend_from_slice(&error_ppb.to_le_bytes());
            out.push(runtime.number());
        }
        Movement::Refund(job, _) => out.extend_from_slice(&job.0),
    }
    out
}

fn start(at_ms: u64, tag: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.push(tag);
    out.extend_from_slice(&at_ms.to_le_bytes());
    out
}

/// `draw ‖ signature ‖ body`: a body has one length, so no field says it.
fn put_vote(out: &mut Vec<u8>, draw: &[u8; DRAW_PROOF], receipt: &UnverifiedReceipt) {
    out.extend_from_slice(draw);
    out.extend_from_slice(&receipt.signature.0);
    out.extend_from_slice(&receipt.body.encode());
}

fn take_vote(rest: &mut &[u8]) -> Option<([u8; DRAW_PROOF], UnverifiedReceipt)> {
    let draw = take(rest)?;
    let signature = Signature(take(rest)?);
    let (body, after) = rest.split_at_checked(ReceiptBody::LENGTH)?;
    *rest = after;
    let body: Result<ReceiptBody, ReceiptError> = ReceiptBody::decode(body);
    Some((draw, UnverifiedReceipt { body: body.ok()?, signature }))
}

fn put_settled(out: &mut Vec<u8>, job: &JobId, index: u32, answer: &Digest, votes: usize) {
    out.extend_from_slice(&job.0);
    out.extend_from_slice(&index.to_le_bytes());
    out.extend_from_slice(&answer.0);
    out.push(votes as u8);
}

fn take_settled(rest: &mut &[u8]) -> Option<(JobId, u32, Digest, usize)> {
    let job = JobId(take(rest)?);
    let index = u32::from_le_bytes(take(rest)?);
    let answer = Digest(take(rest)?);
    let [count] = take(rest)?;
    let count = usize::from(count);
    (1..=MAX_VOTES).contains(&count).then_some((job, index, answer, count))
}

/// The number of a job's state in entries and tables.
pub fn job_state_number(state: JobState) -> u8 {
    match state {
        JobState::Running => 0,
        JobState::Done => 1,
        JobState::Cancelled => 2,
        JobState::OutOfBudget => 3,
    }
}

/// The state with this number.
pub fn job_state(number: u8) -> Option<JobState> {
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
            let (draw, receipt) = take_vote(&mut rest)?;
            Entry::Receipt { at_ms, job, index, draw, receipt }
        }
        (1, 1) => Entry::Refused {
            at_ms,
            node: PublicKey(take(&mut rest)?),
            lease: LeaseId(take(&mut rest)?),
            code: u16::from_le_bytes(take(&mut rest)?),
            receipt: Digest(take(&mut rest)?),
        },
        (2, 0) => {
            let (job, index, answer, count) = take_settled(&mut rest)?;
            let votes = (0..count).map(|_| Some(u64::from_le_bytes(take(&mut rest)?)));
            let votes = votes.collect::<Option<Vec<_>>>()?;
            Entry::Settled { at_ms, job, index, answer, votes }
        }
        (2, 1) => Entry::Unanswered {
            at_ms,
            seq: u64::from_le_bytes(take(&mut rest)?),
            place: u32::from_le_bytes(take(&mut rest)?),
            node: PublicKey(take(&mut rest)?),
            why: match take(&mut rest)? {
                [1] => Unanswered::Absent,
                [2] => Unanswered::Busy,
                [3] => Unanswered::Silent,
                [4] => Unanswered::Unable,
                [5] => Unanswered::Crowded,
                _ => return None,
            },
        },
        (2, 2) => Entry::Redrawn { at_ms, seq: u64::from_le_bytes(take(&mut rest)?) },
        (3, 0) if rest.len() <= MAX_RULES => {
            let rules = std::mem::take(&mut rest).to_vec();
            Entry::Rules { at_ms, rules }
        }
        (4, 0) => {
            let removed = take_list(&mut rest, |rest| take(rest).map(PublicKey))?;
            let added = take_list(&mut rest, |rest| {
                let (node, network, account) = (take(rest)?, take(rest)?, take(rest)?);
                Some(Member { node: PublicKey(node), network, account })
            })?;
            Entry::Roster { at_ms, removed, added }
        }
        (5, 0 | 1) => {
            let hash = Digest(take(&mut rest)?);
            Entry::Key { at_ms, added: tag == 0, hash, owner: OwnerTag(take(&mut rest)?) }
        }
        (6, 0) => {
            let node = PublicKey(take(&mut rest)?);
            let account = PublicKey(take(&mut rest)?);
            let signature = Signature(take(&mut rest)?);
            Entry::AccountLink { at_ms, node, delegation: Delegation { account, signature } }
        }
        (9, 0..=4) => {
            let owner = OwnerTag(take(&mut rest)?);
            let amount = u64::from_le_bytes(take(&mut rest)?);
            let movement = match tag {
                0 => Movement::Grant,
                1 => Movement::Reserve {
                    job: JobId(take(&mut rest)?),
                    tasks: u32::from_le_bytes(take(&mut rest)?),
                    fuel: u64::from_le_bytes(take(&mut rest)?),
                    error_ppb: u32::from_le_bytes(take(&mut rest)?),
                    runtime: Runtime::from_number(take::<1>(&mut rest)?[0])?,
                },
                _ => Movement::Refund(JobId(take(&mut rest)?), job_state(tag - 1)?),
            };
            Entry::Budget { at_ms, movement, amount, owner }
        }
        _ => Entry::People { at_ms, fact: PeopleFact::take(kind, tag, &mut rest)? },
    };
    rest.is_empty().then_some(entry)
}

/// A list with a u16 count of at most [`MAX_ROSTER`].
fn take_list<T>(rest: &mut &[u8], mut item: impl FnMut(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = usize::from(u16::from_le_bytes(take(rest)?));
    if count > MAX_ROSTER {
        return None;
    }
    (0..count).map(|_| item(rest)).collect()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (field, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*field)
}
