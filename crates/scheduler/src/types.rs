//! What goes in and what comes out.

use crate::lease::Over;
use grid_protocol::entry::Unanswered;
use grid_protocol::{Digest, JobId, LeaseId, PublicKey};

/// A task: its job, and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Task {
    /// The job.
    pub job: JobId,
    /// The task's place in it, from 0.
    pub index: u32,
}

/// Times in milliseconds, and how often something is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A lease ends this long after it was granted or last extended.
    pub lease_ms: u64,
    /// Leases of a vanished node stand for this long.
    pub grace_ms: u64,
    /// A node doesn't get a task that it gave back for this long.
    pub avoid_ms: u64,
    /// A node that failed a task of a job doesn't get others of that job for
    /// this long, while there are nodes that didn't.
    pub avoid_job_ms: u64,
    /// When every node gave a task back, it is put off for this long, twice as
    /// long the next time, up to `max_backoff_ms`.
    pub backoff_ms: u64,
    /// Longest time that a task is put off.
    pub max_backoff_ms: u64,
    /// A drawn checker that has no free slot for this long is passed over. Those
    /// that are asked together have six times as long.
    pub answer_ms: u64,
    /// A lease is never slow before this; see [`crate::Scheduler::expire`].
    pub slow_ms: u64,
    /// A task that so many different nodes' devices could not run goes to the
    /// referee; with fewer nodes, after twice as many tries. 0: never.
    pub device_tries: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease_ms: 60_000,
            grace_ms: 30_000,
            avoid_ms: 5_000,
            avoid_job_ms: 30_000,
            backoff_ms: 1_000,
            max_backoff_ms: 60_000,
            answer_ms: 10_000,
            slow_ms: 10_000,
            device_tries: 4,
        }
    }
}

/// What a job's tasks need of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Needs {
    /// It runs task modules.
    #[default]
    Modules,
    /// It infers; one that holds this model already goes first.
    Model(Digest),
}

/// What a node can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities {
    /// It runs task modules.
    pub modules: bool,
    /// It infers, with any model that it can fetch.
    pub inference: bool,
    /// Models that it holds, at most [`grid_protocol::limits::MAX_MODELS`].
    pub models: Vec<Digest>,
}

impl Default for Abilities {
    /// It runs task modules, and nothing else.
    fn default() -> Self {
        Self { modules: true, inference: false, models: Vec::new() }
    }
}

impl Abilities {
    /// Can it run tasks that need this?
    pub fn meet(&self, needs: Needs) -> bool {
        match needs {
            Needs::Modules => self.modules,
            Needs::Model(_) => self.inference,
        }
    }
}

/// A job that starts, or is taken up again after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The job.
    pub job: JobId,
    /// What its tasks need of a node.
    pub needs: Needs,
    /// Places of its tasks that nobody has a result of, no place twice.
    pub tasks: Vec<u32>,
    /// Places of its tasks that have votes and are not settled, and the fuel
    /// of those votes.
    pub open: Vec<(u32, u64)>,
    /// Fuel limit of each task.
    pub fuel_limit: u64,
    /// Fuel the job may use.
    pub budget: u64,
    /// Fuel of the votes that were paid so far.
    pub spent: u64,
}

/// A node gets a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The new lease.
    pub lease: LeaseId,
    /// Who gets it.
    pub node: PublicKey,
    /// The task.
    pub task: Task,
}

/// A task wants a vote of a node that a receipt's draw names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The task.
    pub task: Task,
    /// Entry of the receipt whose draw it is.
    pub seq: u64,
    /// Nodes that the draw names, each at its first place, in order
    /// ([`crate::trust::Roster::candidates`]).
    pub candidates: Vec<(u32, PublicKey)>,
    /// The log excuses all of them already: whoever has a free slot first
    /// checks.
    pub together: bool,
}

/// A drawn node did not check: a fact for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip {
    /// The task that was to be checked.
    pub task: Task,
    /// Entry of the receipt whose draw it was.
    pub seq: u64,
    /// Place in the draw.
    pub place: u32,
    /// The node.
    pub node: PublicKey,
    /// Why.
    pub why: Unanswered,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decisions {
    /// Leases to be sent.
    pub grants: Vec<Grant>,
    /// Jobs whose budget doesn't cover one more task while nothing of them is
    /// under way. Each is named once; the caller ends it by
    /// [`crate::Scheduler::end_job`].
    pub out_of_budget: Vec<JobId>,
    /// Drawn nodes that were passed over.
    pub skips: Vec<Skip>,
    /// Tasks that no node is left for, or whose check the budget doesn't
    /// cover: the relay runs them itself.
    pub referee: Vec<Task>,
    /// Leases of those that were slow: their nodes may stop.
    pub over: Vec<Over>,
    /// Jobs of which nothing is left to lease while slots are idle, or nobody
    /// is there: results of theirs that are only held may be checked outright.
    pub tails: Vec<JobId>,
}

/// What became of the leases of a node that joined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joined {
    /// Of those it said it holds: the ones that stand. Their deadlines start
    /// anew.
    pub standing: Vec<LeaseId>,
    /// Those it doesn't have any more: their tasks wait again.
    pub over: Vec<Over>,
}

/// Counts over all jobs and nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Jobs with unfinished tasks.
    pub jobs: usize,
    /// Tasks that wait for their first lease, or for another after one failed.
    pub waiting: usize,
    /// Standing leases, those whose result is being committed too.
    pub leased: usize,
    /// Tasks that have votes, or are the referee's, and are not settled.
    pub open: usize,
    /// Nodes on line.
    pub nodes: usize,
}
