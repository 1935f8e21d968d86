//! Leases as their holders and the relay see them.

use crate::Task;
use grid_protocol::{LeaseId, PublicKey};
use thiserror::Error;

/// Why a lease could not be taken, extended or given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// No lease has this id, or it is over.
    #[error("no lease has this id, or it is over")]
    Unknown,
    /// Another node holds it.
    #[error("another node holds this lease")]
    NotYours,
    /// Its result is being committed; what comes of it will be told then.
    #[error("the result of this lease is being committed")]
    Committing,
}

/// A lease whose result is on its way to the store. It is completed once or
/// put back once, because both consume it; until then the lease's deadline is
/// not looked at.
#[derive(Debug)]
#[must_use = "a lease that is neither completed nor put back blocks its task"]
pub struct Lease {
    pub(crate) id: LeaseId,
    pub(crate) node: PublicKey,
    pub(crate) task: Task,
}

impl Lease {
    /// Its id.
    pub fn id(&self) -> LeaseId {
        self.id
    }

    /// The node that holds it.
    pub fn node(&self) -> PublicKey {
        self.node
    }

    /// The task it is for.
    pub fn task(&self) -> Task {
        self.task
    }
}

/// Why a lease is over without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// No heartbeat before the deadline.
    Expired,
    /// Its node vanished and did not come back in time.
    Vanished,
    /// Its node came back without it.
    Forgotten,
    /// Its job is over.
    JobOver,
    /// Another lease of its task was faster, or the task is settled.
    Superseded,
    /// Its node was caught.
    Caught,
}

impl Why {
    /// Stable name, as in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Vanished => "vanished",
            Self::Forgotten => "forgotten",
            Self::JobOver => "job_over",
            Self::Superseded => "superseded",
            Self::Caught => "caught",
        }
    }
}

/// A lease that is over without a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// The lease.
    pub lease: LeaseId,
    /// Who held it.
    pub node: PublicKey,
    /// Why.
    pub why: Why,
}
