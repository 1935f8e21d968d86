//! What an audit finds wrong.

use grid_ledger::Objection;
use grid_protocol::{JobId, LeaseId, PublicKey};
use serde::{Serialize, Serializer};
use thiserror::Error;

/// Something that a relay which follows its rules does not write.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[error("entry {seq}: {fault}")]
pub struct Finding {
    /// Number of the entry (its leaf is one less).
    pub seq: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// Not the bytes of a leaf.
    #[error("it can't be decoded")]
    Malformed,
    /// A receipt's signature does not verify strictly.
    #[error("the receipt of entry {0} is not signed by the node it names")]
    Signature(u64),
    /// The proof of a draw is not of the relay's key over this receipt.
    #[error("the draw of entry {0} is not what the relay's key gives for that receipt")]
    Draw(u64),
    /// A receipt was made for another relay.
    #[error("the receipt of entry {0} was made for another relay")]
    Relay(u64),
    /// It opens an entry that holds no hidden receipt, or holds it no more.
    #[error("it opens entry {0}, which holds no receipt that is still hidden")]
    NotHidden(u64),
    /// What it opens is not what was committed to.
    #[error("it opens entry {0} as another receipt than the one committed there")]
    Opened(u64),
    /// A job that was not reserved, or is over.
    #[error("job {0} was never reserved, or is over")]
    NoSuchJob(JobId),
    /// A task that the job doesn't have.
    #[error("job {0} has no task {1}")]
    NoSuchTask(JobId, u32),
    /// A task has one canonical result.
    #[error("task {1} of job {0} was settled before")]
    SettledTwice(JobId, u32),
    /// A job was reserved twice.
    #[error("job {0} was reserved before")]
    ReservedTwice(JobId),
    /// Votes on one task are of different tasks.
    #[error("its votes are on different specs or inputs")]
    Spec,
    /// A node votes once on a task.
    #[error("node {0} votes twice")]
    TwoVotes(PublicKey),
    /// A lease has one receipt.
    #[error("lease {0} was used before")]
    Lease(LeaseId),
    /// More fuel than the task's limit.
    #[error("the receipt of entry {0} used more fuel than the task's limit")]
    Fuel(u64),
    /// The canonical answer is not that of its own receipt.
    #[error("the answer is not the one of the receipt it names first")]
    Answer,
    /// The votes don't make a quorum under the rules.
    #[error("its votes are not enough under the rules: {0}")]
    Quorum(&'static str),
    /// A vote by a node that was not drawn for it.
    #[error("node {node} (entry {seq}) was not drawn to check")]
    NotDrawn {
        /// Entry of the vote.
        seq: u64,
        /// Who voted.
        node: PublicKey,
    },
    /// A draw that names nodes which nothing excuses was made anew.
    #[error("the draw of entry {0} was made anew while it still named someone")]
    Redrawn(u64),
    /// Rules that can't be decoded.
    #[error("the rules can't be decoded")]
    Rules,
    /// A node that is on the roster came, or one that isn't left.
    #[error("the roster can't change so: node {0}")]
    Roster(PublicKey),
    /// A link that the account did not sign.
    #[error("node {0} is linked to an account that did not sign it")]
    Link(PublicKey),
    /// Fuel moved that wasn't there.
    #[error("fuel moves that isn't there")]
    Money,
    /// A refund is not what the job left.
    #[error("the refund is {refund} fuel, but the job left {left}")]
    Refund {
        /// What the entry says.
        refund: u64,
        /// What was left.
        left: u64,
    },
    /// A job ended as done with tasks that are not settled.
    #[error("the job is said to be done, but {0} of its tasks are not settled")]
    NotDone(u32),
    /// A node that was drawn can't have failed to answer a draw that isn't.
    #[error("it names a draw that isn't one")]
    Unanswered,
    /// A fact about people that the rules don't allow.
    #[error("{0}")]
    People(Objection),
}

impl Fault {
    /// A code that stays the same between versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Signature(_) => "signature",
            Self::Draw(_) => "draw",
            Self::Relay(_) => "relay",
            Self::NotHidden(_) => "not_hidden",
            Self::Opened(_) => "opened",
            Self::NoSuchJob(_) => "no_such_job",
            Self::NoSuchTask(..) => "no_such_task",
            Self::SettledTwice(..) => "settled_twice",
            Self::ReservedTwice(_) => "reserved_twice",
            Self::Spec => "spec",
            Self::TwoVotes(_) => "two_votes",
            Self::Lease(_) => "lease",
            Self::Fuel(_) => "fuel",
            Self::Answer => "answer",
            Self::Quorum(_) => "quorum",
            Self::NotDrawn { .. } => "not_drawn",
            Self::Redrawn(_) => "redrawn",
            Self::Rules => "rules",
            Self::Roster(_) => "roster",
            Self::Link(_) => "link",
            Self::Money => "money",
            Self::Refund { .. } => "refund",
            Self::NotDone(_) => "not_done",
            Self::Unanswered => "unanswered",
            Self::People(_) => "people",
        }
    }
}

impl Serialize for Fault {
    /// As its code and its words.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut map = serializer.serialize_struct("Fault", 2)?;
        map.serialize_field("code", self.code())?;
        map.serialize_field("message", &self.to_string())?;
        map.end()
    }
}
