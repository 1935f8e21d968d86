//! What goes in and what comes out.

use crate::lease::Over;
use grid_protocol::{JobId, LeaseId, PublicKey};

/// A task: its job, and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Task {
    /// The job.
    pub job: JobId,
    /// The task's place in it, from 0.
    pub index: u32,
}

/// Times, all in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A lease ends this long after it was granted or last extended.
    pub lease_ms: u64,
    /// Leases of a vanished node stand for this long.
    pub grace_ms: u64,
    /// A node doesn't get a task that it gave back for this long.
    pub avoid_ms: u64,
    /// When every node gave a task back, it is put off for this long, twice as
    /// long the next time, up to `max_backoff_ms`.
    pub backoff_ms: u64,
    /// Longest time that a task is put off.
    pub max_backoff_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease_ms: 60_000,
            grace_ms: 30_000,
            avoid_ms: 5_000,
            backoff_ms: 1_000,
            max_backoff_ms: 60_000,
        }
    }
}

/// A job that starts, or is taken up again after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The job.
    pub job: JobId,
    /// Places of its unfinished tasks, no place twice.
    pub tasks: Vec<u32>,
    /// Fuel limit of each task.
    pub fuel_limit: u64,
    /// Fuel the job may use.
    pub budget: u64,
    /// Fuel its results used so far.
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

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decisions {
    /// Leases to be sent.
    pub grants: Vec<Grant>,
    /// Jobs whose budget doesn't cover one more task while nothing is leased.
    /// Each is named once; the caller ends it by [`Scheduler::end_job`].
    pub out_of_budget: Vec<JobId>,
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
    /// Tasks that wait.
    pub waiting: usize,
    /// Tasks that are leased, or whose result is being committed.
    pub leased: usize,
    /// Nodes on line.
    pub nodes: usize,
}
