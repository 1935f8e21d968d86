//! What the relay keeps, and what is promised about it.
//!
//! One thread writes (in `writer`), through [`Store::commit`]. Readers
//! use connections of their own ([`Reads`]) and see what was committed.
//! Bodies over 64 KiB are files ([`Blobs`]), written and synced before the
//! rows that refer to them.

mod blobs;
mod check;
mod check_people;
mod models;
pub(crate) mod people;
mod reads;
pub(crate) use models::{model, model_block, model_named, models};
pub(crate) mod results;
pub(crate) mod rows;
mod sqlite;
mod votes;

pub use blobs::{BlobError, Blobs};
pub use check::{CheckError, CheckReport, check};
pub use grid_protocol::entry::{Entry, EntryError, Kind, Movement};
pub use models::{ModelRow, NewModelRow};
pub use people::{NewCode, PeopleWrite};
pub use reads::Reads;
pub use results::ResultRow;
pub use rows::{DecisionRow, JobRow, OwnerRow, TaskRow, VoteRow};
pub use sqlite::SqliteStore;
pub(crate) use sqlite::owner_tag;

use bytes::Bytes;
use grid_protocol::api::{JobState, ModuleInfo};
use grid_protocol::entry::DRAW_PROOF;
use grid_protocol::{Delegation, Digest, JobId, LeaseId, PublicKey, Receipt, Runtime};
use thiserror::Error;

/// Why the store could not do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database said no: disk full, not readable, damaged.
    #[error("the database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The database is of a version that this build doesn't know.
    #[error("the database has version {0}; this build knows version {known}", known = sqlite::VERSION)]
    Version(i64),
    /// An entry can't be decoded.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// A row holds what no row may hold.
    #[error("the database holds {0} that can't be read")]
    Row(&'static str),
}

/// Where accepted facts are kept.
pub trait Store: Send {
    /// Applies writes in order, all or none.
    ///
    /// When this returns `Ok`, all of them are durable, and each has its
    /// outcome, in order. A write that breaks a rule is refused alone, as its
    /// outcome, and changes nothing.
    ///
    /// When it returns `Err`, or the process dies inside, either none or all
    /// of them are durable, and which is not known. Applying the same writes
    /// again is right in both cases: one that holds already is recognised by
    /// its own id (lease, job, task, key; a logged entry by its bytes) and has
    /// the same outcome; one that was refused is judged anew. (A node's link to
    /// an account has no id: where one commit holds two of the same node, both
    /// may be written again, and the last counts as before.)
    fn commit(&mut self, writes: &[Write]) -> Result<Vec<Outcome>, StoreError>;
}

/// An owner's number in the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OwnerId(pub i64);

/// A change to be made durable. Times are milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "requests are boxed on their way to the writer")]
pub enum Write {
    /// A new owner, or a new key for one whose key was revoked.
    AddOwner {
        /// Its name.
        name: String,
        /// SHA-256 of the key's text.
        hash: Digest,
        /// Fuel granted with it.
        budget: u64,
        /// When.
        at_ms: u64,
    },
    /// An owner's key ends.
    RevokeKey {
        /// SHA-256 of the key's text.
        hash: Digest,
        /// When.
        at_ms: u64,
    },
    /// A node was linked to an account; the delegation is verified.
    LinkAccount {
        /// The node.
        node: PublicKey,
        /// The account and its signature.
        delegation: Delegation,
        /// When.
        at_ms: u64,
    },
    /// An owner submitted a module. Both blobs are durable.
    PutModule {
        /// The owner.
        owner: OwnerId,
        /// The module.
        info: ModuleInfo,
    },
    /// The operator installed a model. All blobs are durable.
    PutModel(Box<NewModelRow>),
    /// The operator removed a model; its blobs are left to the sweep.
    RemoveModel {
        /// The model.
        digest: Digest,
    },
    /// An owner put an input list.
    PutInput {
        /// The owner.
        owner: OwnerId,
        /// The list.
        input: NewBody,
    },
    /// A job starts.
    SubmitJob(Box<NewJobRow>),
    /// A job ends early.
    EndJob {
        /// The job.
        job: JobId,
        /// How: cancelled, or out of budget.
        state: JobState,
        /// When.
        at_ms: u64,
    },
    /// A receipt that passed every check: a vote on its task.
    Accept(Box<Accept>),
    /// A task has its canonical result.
    Settle(Box<Settle>),
    /// A change about accounts, invitations, teams or campaigns.
    People(PeopleWrite),
    /// A fact that changes nothing but what is known of nodes: roster, rules,
    /// unanswered draws, refused receipts; and the rules of rewards. An entry with the same bytes is the
    /// same fact and is written once, so two facts differ at least in time.
    Log(Entry),
}

/// An encoded input list on its way into the store.
#[derive(Debug, Clone)]
pub struct NewBody {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The list itself, where it is at most 64 KiB; a larger one is a durable
    /// blob.
    pub bytes: Option<Bytes>,
}

/// A job on its way into the store.
#[derive(Debug, Clone)]
pub struct NewJobRow {
    /// Its id.
    pub id: JobId,
    /// Whose it is.
    pub owner: OwnerId,
    /// When it was submitted.
    pub created_ms: u64,
    /// What executes its tasks.
    pub runtime: Runtime,
    /// What it is: `api::NewJob` without tasks, as JSON.
    pub template: String,
    /// Digest of the admitted module.
    pub admitted: Digest,
    /// Version of admission that made it.
    pub admission: u16,
    /// Size of the admitted module.
    pub module_bytes: u32,
    /// Fuel it reserves.
    pub budget: u64,
    /// Fuel limit of each task.
    pub fuel: u64,
    /// Highest probability of a wrong canonical result, in 10^-9.
    pub error_ppb: u32,
    /// Its tasks, in order.
    pub tasks: Vec<NewTaskRow>,
    /// Input lists that came with it.
    pub bodies: Vec<NewBody>,
}

/// A task on its way into the store.
#[derive(Debug, Clone)]
pub struct NewTaskRow {
    /// Its name.
    pub name: String,
    /// Digest of its input list.
    pub input: Digest,
    /// Size of its input list.
    pub input_bytes: u64,
}

/// A receipt that passed every check, on its way into the store.
#[derive(Debug, Clone)]
pub struct Accept {
    /// The task's job.
    pub job: JobId,
    /// The task's place in it.
    pub index: u32,
    /// The receipt.
    pub receipt: Receipt,
    /// Proof of the draw over the receipt's digest, by the relay's key.
    pub draw: [u8; DRAW_PROOF],
    /// The encoded output list, where it is at most 64 KiB; a larger one is a
    /// durable blob.
    pub output: Option<Bytes>,
    /// What the node's engine said of a trap.
    pub hint: Option<String>,
    /// When it came.
    pub at_ms: u64,
}

/// A decision that a task is settled, on its way into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settle {
    /// The task's job.
    pub job: JobId,
    /// The task's place in it.
    pub index: u32,
    /// Answer of the canonical result.
    pub answer: Digest,
    /// Entries of all votes on the task, the canonical result's own first.
    pub votes: Vec<u64>,
    /// When.
    pub at_ms: u64,
}

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds now, or held already.
    Done,
    /// The job holds now, or held already.
    Submitted,
    /// The job is over, in this state.
    Ended(JobState),
    /// The receipt holds as this entry, now or since before.
    Accepted {
        /// The entry's number.
        seq: u64,
        /// The same receipt was accepted before.
        again: bool,
    },
    /// The task is settled by this entry, now or since before.
    Settled {
        /// The entry's number.
        seq: u64,
        /// The job ended with it.
        job_done: bool,
    },
    /// It breaks a rule and changed nothing.
    Refused(Refusal),
}

/// The rule that a write breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// An owner of this name has a key already.
    #[error("an owner of this name has a key already; revoke it first")]
    OwnerExists,
    /// No owner has this name.
    #[error("no owner has this name")]
    NoSuchOwner,
    /// The owner's budget is smaller than what the job reserves.
    #[error("the owner's budget is {balance} fuel")]
    BudgetTooSmall {
        /// What the owner has.
        balance: u64,
    },
    /// No job has this id, or it has no such task.
    #[error("no job has this id, or it has no such task")]
    NoSuchJob,
    /// The job is over.
    #[error("the job is over")]
    JobOver,
    /// The task is settled, or another receipt was accepted for this lease,
    /// or from this node for this task.
    #[error("the task is settled, or another receipt was accepted for this lease")]
    TaskDone,
    /// The votes named are not all the votes on the task, first one that gave
    /// the answer: decide again.
    #[error("these are not the votes on the task")]
    OtherVotes,
    /// What agreeing nodes would be paid is more than the job has left.
    #[error("the job's budget doesn't cover what the settlement pays")]
    OverBudget,
    /// Another model has this name.
    #[error("another model has this name; remove it first, or choose another")]
    ModelExists,
    /// No model has this name.
    #[error("no model has this name")]
    NoSuchModel,
    /// A job that runs needs the model.
    #[error("a job that runs needs this model")]
    ModelInUse,
    /// The account was deleted.
    #[error("this account was deleted")]
    Closed,
    /// The account made as many codes as it may.
    #[error("an account may make {} invitation codes", people::MAX_CODES)]
    TooManyCodes,
    /// No team has this name.
    #[error("no team has this name")]
    NoSuchTeam,
    /// A team of this name was made before.
    #[error("a team of this name was made before; join it, or choose another name")]
    TeamExists,
    /// The account is in a team.
    #[error("the account is in a team already; leave it first")]
    InTeam,
    /// The account is in another team.
    #[error("the account is not in this team")]
    NotInTeam,
    /// No campaign has this id.
    #[error("no campaign has this id")]
    NoSuchCampaign,
    /// As many campaigns are open as may be.
    #[error("16 campaigns are open, and no more can be; close one")]
    TooManyCampaigns,
    /// The entry can't be logged as it is: it is of another kind, or too long.
    #[error("not an entry to be logged as it is")]
    NotAFact,
}

/// A committed receipt, found by its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedRow {
    /// The lease it ended.
    pub lease: LeaseId,
    /// The node.
    pub node: PublicKey,
    /// Digest of the receipt's body.
    pub receipt: Digest,
    /// The entry's number.
    pub seq: u64,
}
